"""alerting.yaml: what flags a region, when officers are told, and how hard a channel is tried."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.alerts.role import Role
from shared.contracts import Severity, Status

FILE_NAME = "alerting.yaml"


class Acknowledge(StrEnum):
    """Whose acknowledgement ends the escalation."""

    ANY = "any"
    ALL = "all"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Burst(_Section):
    """Several distinct incidents of one class in one region flag it, though none of them does alone."""

    incidents: Annotated[int, Field(ge=2, le=1000)] = 3
    """Distinct incidents needed; reports of one incident count once."""
    within_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 48
    """Length of the sliding window, over the time of receipt: field reports are late by nature."""
    severity: Severity = Severity.MEDIUM
    """Incidents below this severity do not count."""

    @property
    def window(self) -> timedelta:
        """`within_hours` as a duration."""
        return timedelta(hours=self.within_hours)


class Flag(_Section):
    """What opens an alert."""

    single_report_severity: Severity = Severity.HIGH
    """One violation report of this severity or above flags its region by itself."""
    burst: Burst = Burst()
    statuses: frozenset[Status] = frozenset({Status.ALLEGED, Status.PLANNED, Status.ADJUDICATED})
    """Violation reports of another status (a cleared one) raise nothing."""

    @model_validator(mode="after")
    def _severities_mean_something(self) -> Self:
        if Severity.NONE in (self.single_report_severity, self.burst.severity):
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
    silences: Silences = Silences()
    limits: Limits = Limits()
    sending: Sending = Sending()
    memory: Memory = Memory()

    @model_validator(mode="after")
    def _memory_outlasts_the_window(self) -> Self:
        if self.memory.length < self.flag.burst.window:
            raise ValueError("memory.days must be longer than flag.burst.within_hours")
        if self.memory.reports < self.flag.burst.incidents:
            raise ValueError("memory.reports must not be smaller than flag.burst.incidents")
        return self
