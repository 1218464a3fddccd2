"""officers.yaml: who is told of which regions, over which channels; and who that is for a given place."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.alerts.channels import is_usable
from services.alerts.duty import QuietHours, Rota, ZoneName
from services.alerts.letter import Content, usual_content
from services.alerts.role import Role
from services.alerts.zones import zone_info, zone_of
from shared.regions.gazetteer import Gazetteer

FILE_NAME = "officers.yaml"

_REGION_CODE = re.compile(r"\d{2}(\.\d{2}(\.\d{2})?)?")
_NATIONAL = ""


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
    channels_order: Literal["all", "first"] = "all"
    """Whether all channels are told at once, or the first that works, in their order."""
    quiet_hours: QuietHours | None = None
    content: Content | dict[str, Content] = Field(default_factory=dict)
    """How much notifications carry: for all channels, or by the scheme of their URL."""
    time_zone: ZoneName = ""

    @property
    def zone(self) -> str:
        """The officer's time zone: as configured, else that of the first region."""
        return self.time_zone or zone_of(self.regions[0])

    def quiet_until(self, now: datetime) -> datetime | None:
        """When the quiet hours of now end; `None` when the officer may be disturbed."""
        return self.quiet_hours.until(now, self.zone) if self.quiet_hours else None

    def content_for(self, url: str) -> Content:
        """How much a notification over this channel carries."""
        if isinstance(self.content, Content):
            return self.content
        return self.content.get(urlsplit(url).scheme.lower(), usual_content(url))

    @property
    def is_first(self) -> bool:
        """Whether the officer is told of alerts at first, and not of failures or on a step of the escalation alone."""
        return self.role not in (Role.OPERATOR, Role.HEAD)

    def first_channels(self) -> range:
        """Places of the channels that are told at first."""
        return range(1 if self.channels_order == "first" else len(self.channels))

    def channel_after(self, channel: int) -> int | None:
        """The channel to turn to when this one fails; `None` when all are told anyway, or none is left."""
        return channel + 1 if self.channels_order == "first" and channel + 1 < len(self.channels) else None


class Officers(BaseModel):
    """The whole of officers.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    officers: tuple[Officer, ...] = ()
    rotas: tuple[Rota, ...] = ()

    @model_validator(mode="after")
    def _rotas_name_officers(self) -> Self:
        known = {officer.id for officer in self.officers}
        for rota in self.rotas:
            if stranger := next((id_ for id_ in rota.officers if id_ not in known), None):
                raise ValueError(f"the rota {rota.id!r} names {stranger!r}, who is no officer of this file")
        return self

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        ids = [officer.id for officer in self.officers]
        twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
        if twice:
            raise ValueError(f"the id {twice[0]!r} is used twice; every officer needs an own one")
        return self

    def by_id(self, id_: str) -> Officer | None:
        """The officer of this id, if there is (still) one."""
        return self._by_id.get(id_)

    def for_place(
        self, region_code: str, district_codes: Collection[str] = (), at: datetime | None = None
    ) -> list[Officer]:
        """Who is told first of something in a region.

        Those whose region code is the longest that covers the place: the regency's, else the province's, else the
        national ones. The officers of the districts named are told too, beside their regency and not in its stead. With
        `at`, only those on duty then: where nobody is, the next larger region stands in. Empty when nobody covers it.
        """
        on_duty = self._duty(at)
        told = {
            officer.id: officer for officer in self._nearest(region_code, lambda one: one.is_first and on_duty(one))
        }
        for district in district_codes:
            there = self._of_region.get(district, ())
            told |= {officer.id: officer for officer in there if officer.is_first and on_duty(officer)}
        return list(told.values())

    def for_step(self, roles: Collection[Role], region_code: str, at: datetime | None = None) -> list[Officer]:
        """Who is told in a step of the escalation: of each role those on duty with the smallest region around it."""
        on_duty = self._duty(at)

        def nearest_of(role: Role) -> list[Officer]:
            return self._nearest(region_code, lambda one: one.role is role and on_duty(one))

        return list({officer.id: officer for role in roles for officer in nearest_of(role)}.values())

    def in_stead_of(self, tried: Collection[str], region_code: str, at: datetime | None = None) -> list[Officer]:
        """Who is told when those tried could not be reached: the nearest others on duty, else the operators."""
        on_duty = self._duty(at)

        def can_be_told(officer: Officer) -> bool:
            return officer.id not in tried and on_duty(officer)

        found = self._nearest(region_code, lambda one: one.is_first and can_be_told(one))
        return found or [one for one in self.officers if one.role is Role.OPERATOR and can_be_told(one)]

    def operators(self, at: datetime | None = None) -> list[Officer]:
        """Who is told that the system itself fails: the operators, else the national officers, else everybody."""
        on_duty = self._duty(at)
        operators = [officer for officer in self.officers if officer.role is Role.OPERATOR and on_duty(officer)]
        return operators or list(self._of_region.get(_NATIONAL, ())) or list(self.officers)

    def _duty(self, at: datetime | None) -> Callable[[Officer], bool]:
        """Says of an officer whether they are on duty; without rotas, or without a time, everybody is."""
        if at is None or not self.rotas:
            return lambda _: True
        in_rotas = {id_ for rota in self.rotas for id_ in rota.officers}
        on_duty = {rota.on_duty(at, self.zone_of_rota(rota)) for rota in self.rotas}
        return lambda officer: officer.id not in in_rotas or officer.id in on_duty

    def _nearest(self, region_code: str, wanted: Callable[[Officer], bool]) -> list[Officer]:
        """Those wanted of the smallest region around the place that has any."""
        code = region_code
        while not (found := [officer for officer in self._of_region.get(code, ()) if wanted(officer)]) and code:
            code = code.rpartition(".")[0]
        return found

    @cached_property
    def _by_id(self) -> dict[str, Officer]:
        return {officer.id: officer for officer in self.officers}

    @cached_property
    def _of_region(self) -> dict[str, list[Officer]]:
        """Officers by each code that is theirs, so that one among hundreds is found without asking all."""
        found: dict[str, list[Officer]] = defaultdict(list)
        for officer in self.officers:
            for code in dict.fromkeys(officer.regions):
                found[code].append(officer)
        return dict(found)

    def zone_of_rota(self, rota: Rota) -> str:
        """The time zone of a rota: as configured, else that of its first officer."""
        first = self.by_id(rota.officers[0])
        return rota.time_zone or (first.zone if first else "WIB")


def uncovered(officers: Officers, regency_codes: Iterable[str]) -> list[str]:
    """The regencies nobody is told of, for `salingjaga check`; empty while no officer is configured at all."""
    if not officers.officers:
        return []
    return [code for code in regency_codes if not officers.for_place(code)]


def without_own(officers: Officers, regency_codes: Iterable[str]) -> list[str]:
    """The regencies of which only officers of their province or of all Indonesia are told, for `salingjaga check`."""
    own = {code[:5] for officer in officers.officers if officer.role not in (Role.OPERATOR, Role.HEAD)
           for code in officer.regions if len(code) == len("63.11")}  # fmt: skip
    covered = [code for code in regency_codes if officers.for_place(code)]
    return [code for code in covered if code not in own]


def gaps(officers: Officers, start: datetime, days: int = 14) -> dict[str, datetime]:
    """Regions for which, at a hand-over of the coming days, nobody of their own is on duty, and when first."""
    found: dict[str, datetime] = {}
    moments = sorted(moment for rota in officers.rotas for moment in _hand_overs(officers, rota, start, days))
    in_rotas = {id_ for rota in officers.rotas for id_ in rota.officers}
    regions = {code for officer in officers.officers if officer.id in in_rotas for code in officer.regions}
    for moment in moments:
        for region in sorted(regions - found.keys()):
            if not any(region in officer.regions for officer in officers.for_place(region, at=moment)):
                found[region] = moment
    return found


def _hand_overs(officers: Officers, rota: Rota, start: datetime, days: int) -> Iterable[datetime]:
    there = start.astimezone(zone_info(officers.zone_of_rota(rota)))
    first = there.replace(hour=rota.hand_over.hour, minute=rota.hand_over.minute, second=0, microsecond=0)
    return (first + timedelta(days=number) for number in range(days + 1))
