"""Who may send reports, in which format, and how each proves who it is (`sources.yaml`)."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.ingest.adapters import ADAPTERS, Fields
from services.ingest.auth import Auth
from shared.config.errors import ConfigError

SourceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
RegionCode = Annotated[str, Field(pattern=r"^\d\d(?:\.\d\d)?$")]
JOIN_MINUTES = 5
"""How long after a message of a messenger another of the same sender belongs to it, unless `join_minutes` says so."""
_NOT_IN_NUMBERS = re.compile(r"[\s()+.-]")


def _known_adapter(name: str) -> str:
    if name not in ADAPTERS:
        raise ValueError(f"no adapter has this name; there are {', '.join(ADAPTERS)}")
    return name


class Source(BaseModel):
    """One sender."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adapter: Annotated[str, AfterValidator(_known_adapter)]
    auth: Auth
    rate_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Reports a minute that this source may send; without it there is no limit."""
    allow_from: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses that may send; empty: any. The address is the one that connects, a proxy's where one stands before."""
    fields: Fields = Fields()
    """Which fields of a form hold what."""
    region_prior: RegionCode | dict[str, RegionCode] = ""
    """The region that the source, or a receiving number or form of it, stands for; used when the text names none."""
    reply: bool = False
    """Answer the reporter with the receipt, and ask what is missing, where the channel can carry an answer."""

    join_minutes: Annotated[int, Field(ge=0, le=60)] | None = None
    """Short messages of one sender within so many minutes are one report; 0: each is its own. Messengers only."""

    @model_validator(mode="after")
    def _only_messages_are_joined(self) -> Self:
        if self.join_minutes and not ADAPTERS[self.adapter].messenger:
            raise ValueError(f"join_minutes is for messengers: what {self.adapter} sends is a whole report by itself")
        return self

    @property
    def joins_within_ms(self) -> int:
        """How long after a message another of the same sender may belong to it; 0: nothing is joined."""
        if not ADAPTERS[self.adapter].messenger:
            return 0
        return (JOIN_MINUTES if self.join_minutes is None else self.join_minutes) * 60_000

    def prior_codes(self) -> tuple[str, ...]:
        """All codes in `region_prior`."""
        if isinstance(self.region_prior, str):
            return (self.region_prior,) if self.region_prior else ()
        return tuple(self.region_prior.values())

    def allows(self, address: str) -> bool:
        """Whether a request from this address may be heard at all."""
        if not self.allow_from:
            return True
        try:
            given = ip_address(address)
        except ValueError:
            return False
        return any(given in network for network in self.allow_from)

    def prior(self, receivers: tuple[str, ...]) -> str:
        """The code of the region that the receiving number or form stands for; empty when none does."""
        if isinstance(self.region_prior, str):
            return self.region_prior
        wanted = {_NOT_IN_NUMBERS.sub("", receiver) for receiver in receivers}
        found = (code for key, code in self.region_prior.items() if _NOT_IN_NUMBERS.sub("", key) in wanted)
        return next(found, "")


class Sources(BaseModel):
    """The content of `sources.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: dict[SourceName, Source]

    def check_secrets(self) -> None:
        """Raise `ConfigError` naming every source whose secret is missing or unusable."""
        problems = []
        for name, source in self.sources.items():
            try:
                source.auth.keys()
            except ConfigError as error:
                problems.append(f"source {name}: {error}")
        if problems:
            raise ConfigError("\n".join(problems))
