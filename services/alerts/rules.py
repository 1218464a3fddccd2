"""alerting.yaml: what flags a region, when officers are told, and how hard a channel is tried."""

from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.alerts.duty import ClockTime
from services.alerts.role import Role
from shared.contracts import RiskClass, Severity, Stage, Status

FILE_NAME = "alerting.yaml"


class Acknowledge(StrEnum):
    """Whose acknowledgement ends the escalation."""

    ANY = "any"
    ALL = "all"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Level(StrEnum):
    """How exactly the place of a report is known."""

    REGENCY = "regency"
    PROVINCE = "province"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, region_code: str) -> "Level":
        """The level of a region code; the empty code stands for a place nobody knows."""
        if not region_code:
            return cls.UNKNOWN
        return cls.REGENCY if "." in region_code else cls.PROVINCE


class Alone(_Section):
    """An exception to the severity from which one report flags its region; an empty list fits everything."""

    severity: Severity
    classes: frozenset[RiskClass] = frozenset()
    stages: frozenset[Stage] = frozenset()
    levels: frozenset[Level] = frozenset()

    def fits(self, level: Level, risk_class: RiskClass, stage: Stage) -> bool:
        """Whether it speaks of such a report."""
        return (
            (not self.classes or risk_class in self.classes)
            and (not self.stages or stage in self.stages)
            and (not self.levels or level in self.levels)
        )


class Burst(_Section):
    """More distinct incidents of one class in one region than it usually has, though none flags it alone."""

    incidents: Annotated[int, Field(ge=2, le=1000)] = 3
    """Distinct incidents needed, however surprising fewer were; copies and reports of one incident count once."""
    senders: Annotated[int, Field(ge=1, le=1000)] = 2
    """Distinct senders needed; of unknown senders each incident counts as one."""
    within_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 48
    """Length of the sliding window, over the time of receipt: field reports are late by nature."""
    severity: Severity = Severity.MEDIUM
    """Incidents below this severity do not count."""
    most_probability: Annotated[float, Field(gt=0, le=1)] = 0.01
    """It flags only when so many incidents come by chance no more often than this; 1 looks at the number alone."""

    @property
    def window(self) -> timedelta:
        """`within_hours` as a duration."""
        return timedelta(hours=self.within_hours)


class Corroboration(_Section):
    """One incident of which several senders tell, each in words of their own: it counts one step graver, up to high."""

    senders: Annotated[int, Field(ge=0, le=100)] | None = 3
    """Distinct known senders needed; 0 or null turns it off."""

    @property
    def needed(self) -> int:
        """`senders`, 0 when it is off."""
        return self.senders or 0

    @model_validator(mode="after")
    def _more_than_one(self) -> Self:
        if self.senders == 1:
            raise ValueError("corroboration.senders: 1 would raise every report; use 2 or more, or 0 to turn it off")
        return self


class Usual(_Section):
    """How it is learnt what a region usually has."""

    incidents_per_day: Annotated[float, Field(gt=0, le=1000)] = 0.05
    """Of one class in one regency, before anything is known anywhere."""
    prior_days: Annotated[float, Field(gt=0, le=365)] = 7
    """How many days of its own a region must have seen to weigh as much as its province's rate."""
    half_life_days: Annotated[float, Field(gt=0, le=365)] = 28
    """An incident counts half after so long."""

    @property
    def half_life(self) -> timedelta:
        """`half_life_days` as a duration."""
        return timedelta(days=self.half_life_days)


class Pattern(_Section):
    """The same act in several districts of a regency, or in several regencies of a province."""

    within_days: Annotated[float, Field(gt=0, le=60)] = 7
    severity: Severity = Severity.MEDIUM
    """Acts below this severity do not count."""
    places: Annotated[int, Field(ge=2, le=100)] = 3
    """Distinct places needed."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Least share of all districts of the regency, or of all regencies of the province."""
    senders: Annotated[int, Field(ge=1, le=100)] = 2
    """Distinct senders needed; of unknown senders each incident counts as one."""
    massive_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """From this share on it is critical: evidence in half of the parts is what a TSM report needs (Perbawaslu 9/2020
    art. 15)."""

    @property
    def window(self) -> timedelta:
        """`within_days` as a duration."""
        return timedelta(days=self.within_days)


class Heartbeat(_Section):
    """A region or source that always reports and falls silent."""

    most_probability: Annotated[float, Field(gt=0, lt=1)] = 0.001
    """It is told when a silence so long comes by chance no more often than this."""
    least_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 12
    """No shorter silence is told, however lively the place was; hours of the day only."""
    least_per_day: Annotated[float, Field(gt=0, le=1000)] = 1
    """Who reports more rarely than so many times a day is not expected to."""
    least_days: Annotated[float, Field(gt=0, le=90)] = 5
    """So long it must have been known."""
    half_life_days: Annotated[float, Field(gt=0, le=365)] = 14
    day_from_hour: Annotated[int, Field(ge=0, le=23)] = 6
    day_to_hour: Annotated[int, Field(ge=1, le=24)] = 22
    """Only the hours between count as silence, by the place's own clock: at night nobody reports."""

    @property
    def half_life(self) -> timedelta:
        """`half_life_days` as a duration."""
        return timedelta(days=self.half_life_days)

    @model_validator(mode="after")
    def _day_has_hours(self) -> Self:
        if self.day_to_hour <= self.day_from_hour:
            raise ValueError("day_to_hour must be later than day_from_hour")
        return self


class Flag(_Section):
    """What opens an alert."""

    single_report_severity: Severity = Severity.HIGH
    """One violation report of this severity or above flags its region by itself."""
    alone_instead: tuple[Alone, ...] = (
        Alone(
            severity=Severity.MEDIUM,
            classes=frozenset({RiskClass.MONEY_POLITICS}),
            stages=frozenset({Stage.MASA_TENANG, Stage.PUNGUT_HITUNG, Stage.PSU}),
        ),
    )
    """Exceptions to it; the first that fits holds."""
    corroboration: Corroboration = Corroboration()
    burst: Burst = Burst()
    usual: Usual = Usual()
    pattern: Pattern = Pattern()
    heartbeat: Heartbeat = Heartbeat()
    statuses: frozenset[Status] = frozenset({Status.ALLEGED, Status.PLANNED, Status.ADJUDICATED})
    """Violation reports of another status (a cleared one) raise nothing."""

    def alone(self, region_code: str, risk_class: RiskClass, stage: Stage) -> Severity:
        """From which severity on one report of this place, class and stage flags its region."""
        level = Level.of(region_code)
        fitting = (rule.severity for rule in self.alone_instead if rule.fits(level, risk_class, stage))
        return next(fitting, self.single_report_severity)

    @model_validator(mode="after")
    def _severities_mean_something(self) -> Self:
        named = [self.single_report_severity, self.burst.severity, self.pattern.severity]
        if Severity.NONE in (*named, *(rule.severity for rule in self.alone_instead)):
            raise ValueError("the severity 'none' would flag every text; use low, medium, high or critical")
        return self


class ClassifyFailed(_Section):
    """When failures of the classifier are told to the operators: an outage must never read as "nothing found"."""

    reports: Annotated[int, Field(ge=1, le=1000)] = 1
    within_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 60

    @property
    def window(self) -> timedelta:
        """`within_minutes` as a duration."""
        return timedelta(minutes=self.within_minutes)


class Notify(_Section):
    """When an open alert is told (again)."""

    urgent_severity: Severity = Severity.HIGH
    """From this severity on the first notification does not wait."""
    group_wait_seconds: Annotated[float, Field(ge=0, le=3600)] = 30
    """How long a less urgent alert collects evidence before it is first told, from our own first sight of it."""
    group_interval_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 15
    """New evidence is told at most so often."""
    first_grave_interval_seconds: Annotated[float, Field(ge=0, le=3600)] = 5
    """Another grave incident is told after so long at first, and twice as long after each telling, up to the above."""
    repeat_interval_hours: Annotated[float, Field(gt=0, le=24 * 7)] = 6
    """An alert that nobody acknowledges is told again after so long without news."""
    retry_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 5
    """Where nobody could be told, it is tried again after so long, and as soon as officers.yaml changes."""
    tell_resolved: bool = True
    """Whether those who were told of an alert are told that it is closed."""

    @property
    def group_wait(self) -> timedelta:
        """`group_wait_seconds` as a duration."""
        return timedelta(seconds=self.group_wait_seconds)

    @property
    def group_interval(self) -> timedelta:
        """`group_interval_minutes` as a duration."""
        return timedelta(minutes=self.group_interval_minutes)

    def grave_interval(self, notifications: int) -> timedelta:
        """How long another grave incident waits after the last of so many notifications."""
        doubled = timedelta(seconds=self.first_grave_interval_seconds) * (1 << min(max(0, notifications - 1), 20))
        return min(doubled, self.group_interval)

    @property
    def retry_interval(self) -> timedelta:
        """`retry_minutes` as a duration."""
        return timedelta(minutes=self.retry_minutes)

    @property
    def repeat_interval(self) -> timedelta:
        """`repeat_interval_hours` as a duration."""
        return timedelta(hours=self.repeat_interval_hours)

    @model_validator(mode="after")
    def _repeats_after_the_group_interval(self) -> Self:
        if self.repeat_interval < self.group_interval:
            raise ValueError(
                "repeat_interval_hours must not be shorter than group_interval_minutes: "
                "a reminder would come before the news"
            )
        return self


class Silences(_Section):
    """Limits of a silence."""

    longest_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 72
    """No silence may last longer: a forgotten one hides real alerts."""


class LinkRules(_Section):
    """The links in notifications."""

    valid_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 168
    """How long a link lets its holder act; a later notification brings a new one."""


class Sending(_Section):
    """How hard a channel is tried."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 20
    """After so many failed attempts the delivery is abandoned, and recorded so."""
    first_retry_seconds: Annotated[float, Field(gt=0, le=3600)] = 5
    """Pause after the first failure; each further one doubles it, with jitter."""
    longest_retry_seconds: Annotated[float, Field(gt=0, le=24 * 3600)] = 1800
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 20
    """A channel that has not answered by then has failed this attempt."""
    lease_seconds: Annotated[float, Field(gt=0, le=3600)] = 60
    """A delivery whose sender died is taken up again after so long."""
    failover_after_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """After so many failed attempts others are told besides: the officer's next channel, else whoever stands above."""
    at_once_per_host: Annotated[int, Field(ge=1, le=64)] = 8
    """Deliveries under way to one host; a host that fails gets one at a time until it answers again."""

    @model_validator(mode="after")
    def _lease_outlasts_an_attempt(self) -> Self:
        if self.lease_seconds <= self.timeout_seconds:
            raise ValueError("lease_seconds must be longer than timeout_seconds: a slow channel would be told twice")
        if self.longest_retry_seconds < self.first_retry_seconds:
            raise ValueError("longest_retry_seconds must not be shorter than first_retry_seconds")
        return self


class Step(_Section):
    """One step of the escalation."""

    after_minutes: Annotated[float, Field(gt=0, le=7 * 24 * 60)]
    """So long after the step before, while nobody acknowledges."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    """Who is told: of each role the officers with the smallest region around the place."""
    acknowledge: Acknowledge = Acknowledge.ANY

    @property
    def after(self) -> timedelta:
        """`after_minutes` as a duration."""
        return timedelta(minutes=self.after_minutes)


class Escalation(_Section):
    """What happens while nobody acknowledges an alert, or when nothing follows an acknowledgement."""

    steps: Annotated[tuple[Step, ...], Field(max_length=20)] = (
        Step(after_minutes=15, roles=(Role.HEAD,)),
        Step(after_minutes=30, roles=(Role.PROVINCE,)),
        Step(after_minutes=60, roles=(Role.NATIONAL,)),
    )
    repeat: Annotated[int, Field(ge=0, le=100)] = 3
    """How often it begins anew after the last step; then the alert stays open and is reminded of."""
    acknowledge: Acknowledge = Acknowledge.ANY
    """Whether everybody told first must acknowledge, or one is enough."""
    acknowledgement_expires_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 24
    """An acknowledgement that nothing follows counts no longer; earlier when the law's term is short."""

    @property
    def acknowledgement_lasts(self) -> timedelta:
        """`acknowledgement_expires_hours` as a duration."""
        return timedelta(hours=self.acknowledgement_expires_hours)

    def acknowledge_at(self, step: int) -> Acknowledge:
        """Whose acknowledgement a step needs; step 0 stands for those told first."""
        return self.steps[step - 1].acknowledge if 0 < step <= len(self.steps) else self.acknowledge


class DeadlineStage(_Section):
    """One reminder before the law's term for a report ends: so many working days, or so many hours, before."""

    working_days: Annotated[int, Field(ge=1, le=30)] | None = None
    """Working days before the term's last day; the reminder comes on that day, at `deadline.at`."""
    hours: Annotated[float, Field(gt=0, le=24 * 30)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.working_days is None) == (self.hours is None):
            raise ValueError("give either working_days or hours")
        return self


class Deadline(_Section):
    """When an alert that is not closed is reminded of the law's term: first whoever acknowledged it, then a step up."""

    stages: Annotated[tuple[DeadlineStage, ...], Field(max_length=10)] = (
        DeadlineStage(working_days=2),
        DeadlineStage(working_days=1),
    )
    at: ClockTime = time(8)
    """The hour of stages in working days, by the clock of the place."""


class Limits(_Section):
    """How many notifications one officer gets; what goes beyond comes as one summary."""

    per_hour: Annotated[int, Field(ge=1, le=1000)] = 20
    critical_per_hour: Annotated[int, Field(ge=1, le=1000)] = 60
    """Critical alerts pass up to here."""

    def of(self, severity: Severity) -> int:
        """The limit for an alert of this severity."""
        return self.critical_per_hour if severity is Severity.CRITICAL else self.per_hour

    @model_validator(mode="after")
    def _critical_passes(self) -> Self:
        if self.critical_per_hour < self.per_hour:
            raise ValueError("critical_per_hour must not be smaller than per_hour: grave alerts would wait first")
        return self


class Memory(_Section):
    """How much is remembered of each region and class, to count incidents and to know a report that comes again."""

    reports: Annotated[int, Field(ge=10, le=5000)] = 500
    days: Annotated[float, Field(gt=0, le=365)] = 30

    @property
    def length(self) -> timedelta:
        """`days` as a duration."""
        return timedelta(days=self.days)


class AlertingRules(_Section):
    """The whole of alerting.yaml; every part has a default."""

    flag: Flag = Flag()
    classify_failed: ClassifyFailed = ClassifyFailed()
    notify: Notify = Notify()
    escalation: Escalation = Escalation()
    deadline: Deadline = Deadline()
    silences: Silences = Silences()
    limits: Limits = Limits()
    sending: Sending = Sending()
    links: LinkRules = LinkRules()
    memory: Memory = Memory()

    @model_validator(mode="after")
    def _memory_outlasts_the_window(self) -> Self:
        if self.memory.length < self.flag.burst.window:
            raise ValueError("memory.days must be longer than flag.burst.within_hours")
        if self.memory.length < self.flag.pattern.window:
            raise ValueError("memory.days must be longer than flag.pattern.within_days")
        if self.memory.reports < self.flag.burst.incidents:
            raise ValueError("memory.reports must not be smaller than flag.burst.incidents")
        if self.memory.reports < self.flag.corroboration.needed:
            raise ValueError("memory.reports must not be smaller than flag.corroboration.senders")
        return self
