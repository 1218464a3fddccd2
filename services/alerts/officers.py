"""officers.yaml: who is told of which regions, over which channels; and who that is for a given place."""

import re
from collections.abc import Collection, Iterable
from enum import StrEnum
from functools import cache
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.alerts.channels import is_usable
from shared.regions.gazetteer import Gazetteer

FILE_NAME = "officers.yaml"

_REGION_CODE = re.compile(r"\d{2}(\.\d{2}(\.\d{2})?)?")
_NATIONAL = ""


class Role(StrEnum):
    """Where an officer stands; operators look after the system itself."""

    PANWASCAM = "panwascam"
    REGENCY = "regency"
    PROVINCE = "province"
    NATIONAL = "national"
    OPERATOR = "operator"


def _known_region(code: str) -> str:
    if code in ("*", _NATIONAL):
        return _NATIONAL
    if not _REGION_CODE.fullmatch(code):
        raise ValueError(f"{code!r} is no region code: write '63', '63.11', '63.11.05', or '*' for all of Indonesia")
    if code not in _official_codes():
        raise ValueError(f"{code!r} is not among Kemendagri's region codes")
    return code


@cache
def _official_codes() -> frozenset[str]:
    return frozenset(Gazetteer.load().official)


def _usable_channel(url: str) -> str:
    if not is_usable(url):
        raise ValueError(
            f"this {url.partition(':')[0] if '://' in url else 'text'} is no channel that Apprise can use; "
            "see its list of services for the form of the URL (not shown here, since it holds secrets)"
        )
    return url


class Officer(BaseModel):
    """One officer, or one desk that several share."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    name: str = ""
    role: Role
    regions: Annotated[tuple[Annotated[str, AfterValidator(_known_region)], ...], Field(min_length=1)]
    """Region codes; each stands for everything inside it. `*` is all of Indonesia."""
    channels: Annotated[tuple[Annotated[str, AfterValidator(_usable_channel)], ...], Field(min_length=1)]
    """Apprise URLs. They hold secrets and never leave this process but to their channel."""


class Officers(BaseModel):
    """The whole of officers.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    officers: tuple[Officer, ...] = ()

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        ids = [officer.id for officer in self.officers]
        twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
        if twice:
            raise ValueError(f"the id {twice[0]!r} is used twice; every officer needs an own one")
        return self

    def by_id(self, id_: str) -> Officer | None:
        """The officer of this id, if there is (still) one."""
        return next((officer for officer in self.officers if officer.id == id_), None)

    def for_place(self, region_code: str, district_codes: Collection[str] = ()) -> list[Officer]:
        """Who is told of something in a region.

        Those whose region code is the longest that covers the place: the regency's, else the province's, else the
        national ones. The officers of the districts named are told too, beside their regency and not in its stead.
        Empty when nobody covers it at all.
        """
        people = [officer for officer in self.officers if officer.role is not Role.OPERATOR]
        told = {officer.id: officer for officer in _nearest(people, region_code)}
        for district in district_codes:
            told |= {officer.id: officer for officer in people if district in officer.regions}
        return list(told.values())

    def operators(self) -> list[Officer]:
        """Who is told that the system itself fails: the operators, else the national officers, else everybody."""
        operators = [officer for officer in self.officers if officer.role is Role.OPERATOR]
        return operators or _nearest(self.officers, _NATIONAL) or list(self.officers)


def _nearest(officers: Iterable[Officer], region_code: str) -> list[Officer]:
    best: list[Officer] = []
    best_length = -1
    for officer in officers:
        length = max((len(code) for code in officer.regions if _covers(code, region_code)), default=-1)
        if length > best_length:
            best, best_length = [officer], length
        elif length == best_length and length >= 0:
            best.append(officer)
    return best


def _covers(code: str, region_code: str) -> bool:
    return code == _NATIONAL or region_code == code or region_code.startswith(f"{code}.")


def uncovered(officers: Officers, regency_codes: Iterable[str]) -> list[str]:
    """The regencies nobody is told of, for `salingjaga check`; empty while no officer is configured at all."""
    if not officers.officers:
        return []
    return [code for code in regency_codes if not officers.for_place(code)]
