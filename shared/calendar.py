"""The election calendar: which body of law and which stage a day belongs to, and until when a report is in time.

Dates and deadlines are configuration (`calendar.yaml`), each with its source and a mark whether somebody has read it.
All dates are civil dates in Indonesia (WIB by default).
"""

from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from shared.config.yaml_file import load_yaml
from shared.contracts import Regime, Stage

RegionCode = Annotated[str, Field(pattern=r"^\d{2}(\.\d{2}){0,2}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _Dated(_Entry):
    """A span of days, both ends included; an open end lasts."""

    first: date = Field(alias="from")
    last: date | None = Field(None, alias="to")
    verified: bool
    source: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last is not None and self.last < self.first:
            raise ValueError(f"'to' ({self.last}) lies before 'from' ({self.first}); swap them")
        return self

    def covers(self, day: date) -> bool:
        """Whether the day lies within."""
        return self.first <= day and (self.last is None or day <= self.last)


class StagePeriod(_Dated):
    """A stage from `first` to `last`.

    Attributes:
        regions: codes to which it is limited (a repeated vote); empty means everywhere.
        profile: the stage whose risks it takes over, where they differ from its own name's.
    """

    last: date = Field(alias="to")
    stage: Stage
    regions: tuple[RegionCode, ...] = ()
    profile: Stage | None = None

    def applies_to(self, region_code: str) -> bool:
        """Whether the region is one of its regions or lies within one."""
        return not self.regions or any(
            region_code == region or region_code.startswith(f"{region}.") for region in self.regions
        )

    def overlaps(self, other: "StagePeriod") -> bool:
        """Whether both claim a day for the same places; a regional period may stand over one for everywhere."""
        if self.first > other.last or other.first > self.last or bool(self.regions) != bool(other.regions):
            return False
        return not self.regions or any(
            other.applies_to(region) or self.applies_to(other_region)
            for region in self.regions
            for other_region in other.regions
        )


class Milestone(_Dated):
    """A dated fact that a rule of law hangs on, such as the ban on replacing officials."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Election(_Entry):
    """One election with its stages."""

    id: str
    regime: Regime
    name: str
    stages: Annotated[tuple[StagePeriod, ...], Field(min_length=1)]
    milestones: tuple[Milestone, ...] = ()

    @field_validator("stages")
    @classmethod
    def _apart(cls, stages: tuple[StagePeriod, ...]) -> tuple[StagePeriod, ...]:
        for one, other in combinations(stages, 2):
            if one.overlaps(other):
                raise ValueError(
                    f"{one.stage} (from {one.first}) and {other.stage} (from {other.first}) claim the same day; "
                    "end one before the other begins"
                )
        return stages


class ReportDeadline(_Entry):
    """How long after knowledge a violation may be reported under a regime."""

    regime: Regime
    days: Annotated[int, Field(ge=1, le=365)]
    count: Literal["calendar", "working"]
    citation: str
    verified: bool
    count_verified: bool = True
    """Whether the article says that the days are counted so."""
    source: str = ""


class HandlingTerm(_Entry):
    """How long the supervisor has for a report under a regime, once it is received and registered.

    Attributes:
        days, count: the first term.
        count_verified: whether the article says that the days of the first term are counted so.
        longest_days, longest_count: the whole of it when more statements are needed, the first term included.
    """

    regime: Regime
    days: Annotated[int, Field(ge=1, le=365)]
    count: Literal["calendar", "working"]
    longest_days: Annotated[int, Field(ge=1, le=365)]
    longest_count: Literal["calendar", "working"]
    citation: str
    verified: bool
    count_verified: bool = True
    source: str = ""


class Handling(_Entry):
    """Until when a report that is registered now must be handled.

    Attributes:
        first_until: last second of the first term.
        longest_until: last second of the whole, when more statements are needed.
        term: the rule behind both.
    """

    first_until: datetime
    longest_until: datetime
    term: HandlingTerm


class Deadline(_Entry):
    """Until when a report is in time, and why.

    Attributes:
        due_at: last second of the last day, in the calendar's time zone.
        days: length of the term.
        count: whether every day counts or only working days.
        citation: the article of law.
        verified: whether somebody has read that article in a source.
        count_verified: whether it says that its days are counted so.
        convention: how the days were counted, for the officer who must be able to check it.
    """

    due_at: datetime
    days: int
    count: Literal["calendar", "working"]
    citation: str
    verified: bool
    count_verified: bool
    convention: str


class Calendar(_Entry):
    """All elections known to this installation, with the deadlines of their law."""

    timezone: str = "Asia/Jakarta"
    precedence: tuple[Regime, ...] = ()
    elections: Annotated[tuple[Election, ...], Field(min_length=1)]
    deadlines: tuple[ReportDeadline, ...]
    handling: tuple[HandlingTerm, ...] = ()
    findings: tuple[ReportDeadline, ...] = ()
    """How long after it was found a violation may become a finding (temuan) of the supervisor itself, where known."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """The calendar in a file. Raises `ConfigError` naming file, line and what to change."""
        return load_yaml(path, cls)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"unknown time zone {name!r}; use Asia/Jakarta, Asia/Makassar or Asia/Jayapura") from None
        return name

    @field_validator("deadlines")
    @classmethod
    def _one_deadline_each(cls, deadlines: tuple[ReportDeadline, ...]) -> tuple[ReportDeadline, ...]:
        regimes = [deadline.regime for deadline in deadlines]
        for regime in Regime:
            if regimes.count(regime) != 1:
                raise ValueError(f"{regimes.count(regime)} deadlines for {regime}; there must be exactly one")
        return deadlines

    @model_validator(mode="after")
    def _precedence_where_needed(self) -> Self:
        for one, other in combinations(self.elections, 2):
            if one.id == other.id:
                raise ValueError(f"two elections are called {one.id}; rename one")
            clash = next((pair for pair in _pairs(one, other) if pair[0].overlaps(pair[1])), None)
            if clash is None:
                continue
            if one.regime == other.regime:
                raise ValueError(
                    f"{one.id} and {other.id}, both {one.regime}, claim the same day from {clash[1].first}"
                )
            if not {one.regime, other.regime} <= set(self.precedence):
                raise ValueError(
                    f"{one.id} ({clash[0].stage}) and {other.id} ({clash[1].stage}) claim the same day; say which "
                    f"regime counts, for example 'precedence: [{one.regime}, {other.regime}]'"
                )
        return self

    def place(self, on: date | datetime, region_code: str = "") -> tuple[Regime, Stage]:
        """Regime and stage of a day.

        Args:
            on: a civil date, or a time with time zone, which is turned into the date in the calendar's zone.
                `ValueError` for a time without zone.
            region_code: where; needed for stages of single regions (PSU), which come before those for everywhere.

        Outside all stages `Stage.LUAR_TAHAPAN`, with the regime of the election nearest in time.
        """
        day = self._day(on)
        found = self._period(day, region_code)
        if found is not None:
            return found[0].regime, found[1].stage
        nearest = min(self.elections, key=lambda election: (_days_away(election, day), self._rank(election.regime)))
        return nearest.regime, Stage.LUAR_TAHAPAN

    def period(self, on: date | datetime, region_code: str = "") -> StagePeriod | None:
        """The stage's whole entry (dates, source, risk profile); None outside all stages. Arguments as in `place`."""
        found = self._period(self._day(on), region_code)
        return found[1] if found else None

    def milestones_on(self, on: date | datetime, regime: Regime) -> tuple[Milestone, ...]:
        """The milestones of a regime in force that day, such as `larangan_mutasi`."""
        day = self._day(on)
        return tuple(
            milestone
            for election in self.elections
            if election.regime == regime
            for milestone in election.milestones
            if milestone.covers(day)
        )

    def legal_clock(self, regime: Regime, known_at: date | datetime, time_zone: str = "") -> Deadline:
        """Until when a report is in time: UU 1/2015 art. 134(4) for Pilkada, UU 7/2017 art. 454(6) for Pemilu.

        The day on which the violation became known does not count: the day after is day 1, and the term ends with the
        last second of its last day. Working days leave out Saturday, Sunday, national holidays and joint leave
        (cuti bersama); calendar days leave out none, also when the last one is a holiday. That way of counting is the
        usual one and is not spelt out in the two articles, so a report near the end belongs before a lawyer.

        `known_at` as `on` in `place`. Days begin and end in `time_zone` (IANA), the place's own; default the
        calendar's. Holidays of years not yet decreed are the library's estimate.
        """
        rule = next(deadline for deadline in self.deadlines if deadline.regime == regime)
        return self._until(rule, known_at, time_zone)

    def finding_clock(self, regime: Regime, found_at: date | datetime, time_zone: str = "") -> Deadline | None:
        """Until when a violation may become a finding; `None` when the calendar names no term.

        UU 7/2017 art. 454(5): 7 days since it was found. Days are counted as in `legal_clock`.
        """
        rule = next((one for one in self.findings if one.regime == regime), None)
        return self._until(rule, found_at, time_zone) if rule else None

    def _until(self, rule: ReportDeadline, known_at: date | datetime, time_zone: str) -> Deadline:
        zone = ZoneInfo(time_zone or self.timezone)
        return Deadline(
            due_at=_end_of(self._day(known_at, zone), rule.days, rule.count, zone),
            days=rule.days,
            count=rule.count,
            citation=rule.citation,
            verified=rule.verified,
            count_verified=rule.count_verified,
            convention=_CONVENTIONS[rule.count],
        )

    def handling_clock(self, regime: Regime, registered_at: date | datetime, time_zone: str = "") -> Handling | None:
        """Until when a report registered then is to be handled; `None` when the calendar names no term.

        UU 1/2015 art. 134(5),(6): 3 days, and 2 more for further statements. UU 7/2017 art. 454(7),(8): 7 days, at most
        14 working days in all (not 7 and 14). Days are counted as in `legal_clock`.
        """
        term = next((one for one in self.handling if one.regime == regime), None)
        if term is None:
            return None
        zone = ZoneInfo(time_zone or self.timezone)
        day = self._day(registered_at, zone)
        return Handling(
            first_until=_end_of(day, term.days, term.count, zone),
            longest_until=_end_of(day, term.longest_days, term.longest_count, zone),
            term=term,
        )

    def _day(self, on: date | datetime, zone: ZoneInfo | None = None) -> date:
        if not isinstance(on, datetime):
            return on
        if on.tzinfo is None:
            raise ValueError("a time needs its time zone; pass a date or an aware datetime")
        return on.astimezone(zone or ZoneInfo(self.timezone)).date()

    def _rank(self, regime: Regime) -> int:
        return (*self.precedence, *Regime).index(regime)

    def _period(self, day: date, region_code: str) -> tuple[Election, StagePeriod] | None:
        return min(
            (
                (election, period)
                for election in self.elections
                for period in election.stages
                if period.covers(day) and period.applies_to(region_code)
            ),
            key=lambda found: (not found[1].regions, self._rank(found[0].regime)),
            default=None,
        )


_CONVENTIONS = {
    "calendar": "hari kalender; hari diketahui tidak dihitung; berakhir pukul 23.59.59 pada hari terakhir",
    "working": "hari kerja tanpa Sabtu, Minggu, libur nasional, dan cuti bersama; hari diketahui tidak dihitung; "
    "berakhir pukul 23.59.59 pada hari terakhir",
}


def _pairs(one: Election, other: Election) -> list[tuple[StagePeriod, StagePeriod]]:
    return [(first, second) for first in one.stages for second in other.stages]


def _days_away(election: Election, day: date) -> int:
    return min(max((period.first - day).days, (day - period.last).days, 0) for period in election.stages)


def _end_of(day: date, days: int, count: Literal["calendar", "working"], zone: ZoneInfo) -> datetime:
    """The last second of the term that begins the day after `day`."""
    while days:
        day += timedelta(days=1)
        if count == "calendar" or _is_working_day(day):
            days -= 1
    return datetime.combine(day, time(23, 59, 59), tzinfo=zone)


def working_day_before(day: date, days: int) -> date:
    """The working day that lies `days` working days before `day`, which itself does not count."""
    while days:
        day -= timedelta(days=1)
        if _is_working_day(day):
            days -= 1
    return day


def _is_working_day(day: date) -> bool:
    return day.weekday() < 5 and day not in _holidays(day.year)


@cache
def _holidays(year: int) -> frozenset[date]:
    """National holidays and joint leave of a year."""
    return frozenset(holidays.country_holidays("ID", years=year, categories=("public", "government")))
