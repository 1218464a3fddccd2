"""What is remembered of one region and risk class: the reports seen, what an officer is shown of them, and the alert.

These records live in Redis as MessagePack; every change makes a new one. Those of which there are many hold nothing
that could form a cycle, so that the garbage collector need not walk them (`gc=False`).
"""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from services.alerts.baseline import Tally
from shared.contracts import AlertState, Opinion, Regime, RiskClass, Severity, Stage, Status


class Sighting(Struct, frozen=True, array_like=True, gc=False):
    """One report, as far as counting needs it."""

    report_id: UUID
    incident_id: UUID
    sender: str
    at: datetime
    """When it was received."""
    severity: Severity
    spent: bool = False
    """It belongs to an alert that is closed (or is older than one's window) and opens no other."""
    text: int = 0
    """Hash of its words, by which copies are known; 0 when there is none."""
    stage: Stage = Stage.LUAR_TAHAPAN
    words: bytes = b""
    """Map of its words, by which edited copies are known; empty when there is none."""


class CitedNorm(Struct, frozen=True, gc=False):
    """An article that may apply."""

    id: str
    citation: str
    verified: bool
    sanction: str = ""
    channel: str = ""


class Act(Struct, frozen=True, gc=False):
    """One alleged act of a report."""

    code: str
    name: str
    severity: Severity
    quotes: tuple[str, ...] = ()
    norms: tuple[CitedNorm, ...] = ()
    missing: tuple[str, ...] = ()
    """Elements of the offence that the text does not show."""


class Exhibit(Struct, frozen=True, gc=False):
    """What an officer is shown of one report; its texts are masked, and as untrusted as their sender."""

    report_id: UUID
    receipt: str
    source: str
    at: datetime
    severity: Severity
    status: Status
    stage: Stage
    regime: Regime
    acts: tuple[Act, ...] = ()
    occurred_at: datetime | None = None
    district_code: str = ""
    district_name: str = ""
    told: bool = False
    """Whether a notification has shown it already."""
    further: tuple[Act, ...] = ()
    """What else was found in it, by code and name only: not shown in notifications, and judged like the rest."""
    notes: tuple[str, ...] = ()
    """What was noticed when it was placed, in Indonesian."""

    @property
    def found(self) -> tuple[Act, ...]:
        """All that was found in it."""
        return (*self.acts, *self.further)


class News(Struct, frozen=True):
    """A report that has just arrived at its case."""

    sighting: Sighting
    exhibit: Exhibit
    replayed: bool = False
    grows: bool = False
    """Its reporter may go on writing: when it comes again it may say more."""


class Cause(StrEnum):
    """Why an alert was opened."""

    SINGLE = "single"
    BURST = "burst"
    PATTERN = "pattern"
    SILENCE = "silence"
    CLASSIFY_FAILED = "classify_failed"


class Reason(StrEnum):
    """Why a notification is sent."""

    FIRST = "first"
    EVIDENCE = "evidence"
    SEVERITY = "severity"
    REMINDER = "reminder"
    ESCALATION = "escalation"
    STALE = "stale"
    """Somebody acknowledged it long ago, and nothing followed."""
    UNREACHED = "unreached"
    """Those who should have been told could not be reached."""
    RETRY = "retry"
    """Until now nobody whom it concerns could be told."""
    DEADLINE = "deadline"
    """The term that the law leaves for a report comes to its end, and it is not closed."""
    RESOLVED = "resolved"
    """Those who were told are told that it is closed."""


class Progress(StrEnum):
    """How far a notification to one channel of one officer has come."""

    WAITING = "waiting"
    FAILING = "failing"
    """It keeps failing and is still tried."""
    HELD = "held"
    """The officer gets it later: quiet hours, or too many at once."""
    SENT = "sent"
    GIVEN_UP = "given_up"


class Target(Struct, frozen=True, array_like=True):
    """One channel of one officer, in one notification."""

    officer_id: str
    channel: int
    """Place of the channel in the officer's list."""
    progress: Progress = Progress.WAITING


class Waiting(Struct, frozen=True):
    """A notification whose deliveries are still under way."""

    number: int
    targets: tuple[Target, ...] = ()
    lost: bool = False
    """It has been recorded that this notification reached nobody."""
    reason: Reason = Reason.FIRST
    stand_in: bool = False
    """Only operators get it, since nobody whom it concerns could be told."""

    @property
    def sent(self) -> bool:
        """Whether anybody has been reached."""
        return any(target.progress is Progress.SENT for target in self.targets)

    @property
    def reaches_nobody(self) -> bool:
        """Whether every channel has been given up or keeps failing."""
        return all(target.progress in (Progress.FAILING, Progress.GIVEN_UP) for target in self.targets)

    def still_wants(self, officer_id: str) -> bool:
        """Whether it was held back for this officer, or keeps failing."""
        return any(
            target.officer_id == officer_id and target.progress in (Progress.HELD, Progress.FAILING)
            for target in self.targets
        )

    def is_new(self, officer_id: str, channel: int) -> bool:
        """Whether this channel has no part in the notification yet."""
        return all((target.officer_id, target.channel) != (officer_id, channel) for target in self.targets)

    @property
    def settled(self) -> bool:
        """Whether nothing more will become of it."""
        return all(target.progress in (Progress.SENT, Progress.GIVEN_UP) for target in self.targets)


class HistoryEntry(Struct, frozen=True, gc=False):
    """One line of an alert's history."""

    at: datetime
    event: str
    actor: str
    reason: str


class Judged(Struct, frozen=True):
    """An officer's verdict on one finding."""

    report_id: UUID
    code: str
    opinion: Opinion
    actor: str
    note: str
    at: datetime

    @property
    def finding(self) -> tuple[UUID, str]:
        """Which finding it is about."""
        return self.report_id, self.code


class Alert(Struct, frozen=True):
    """An alert, open or (until the next one replaces it) resolved."""

    alert_id: UUID
    cause: Cause
    opened_by: UUID
    """The report that opened it."""
    opened_at: datetime
    state: AlertState
    severity: Severity
    reports: int
    incidents: int
    senders: int
    """Distinct senders known; 0 when none is."""
    first_known_at: datetime
    """When the first of its reports was received: deadlines of law count from here."""
    last_known_at: datetime
    next_at: datetime | None = None
    """When it is told next; `None` when it rests."""
    next_reason: Reason = Reason.FIRST
    notifications: int = 0
    told_at: datetime | None = None
    waiting: tuple[Waiting, ...] = ()
    events: int = 0
    history: tuple[HistoryEntry, ...] = ()
    step: int = 0
    """How far it has climbed: 0 for those it concerns first, then the steps of alerting.yaml from 1."""
    rounds: int = 0
    """How often the steps have been climbed to the end."""
    escalate_at: datetime | None = None
    """When the next step is told unless somebody acknowledges; `None` when there is none left."""
    widen_at: datetime | None = None
    """When others are told in the stead of those who could not be reached."""
    unreached: tuple[str, ...] = ()
    """Officers who could not be reached since anybody was."""
    reached: tuple[str, ...] = ()
    """Officers who know of the alert."""
    must_acknowledge: tuple[str, ...] = ()
    """Officers of the present step who must all acknowledge; empty when one acknowledgement is enough."""
    acknowledged_by: tuple[str, ...] = ()
    acknowledged_at: datetime | None = None
    acknowledgement_ends_at: datetime | None = None
    """When the acknowledgement counts no longer unless it is renewed."""
    acknowledgement_lasts: timedelta = timedelta(hours=24)
    report_until: datetime | None = None
    """Until when a report (or a finding, where that is sooner) is in time; `None` before the first notification."""
    deadline_at: datetime | None = None
    """When the next reminder of that term is due; `None` when there is none left."""
    deadline_stage: int = 0
    """How many of those reminders are over."""
    grounds: str = ""
    """Why it was opened, in figures and in Indonesian; empty where the cause says it all."""
    details: tuple[str, ...] = ()
    """What else an officer must know, a line each; of a pattern its members."""
    verdicts: tuple[Judged, ...] = ()
    untold_since: datetime | None = None
    """Since when it has been known that nobody whom it concerns could be told; `None` once somebody was reached."""
    retry_at: datetime | None = None
    """When it is tried again to tell somebody."""
    news: str = ""
    """Why what came since it was last told weighs more than its reports do, in Indonesian; empty where it does not."""

    @property
    def is_open(self) -> bool:
        """Whether the region counts as flagged."""
        return self.state is not AlertState.RESOLVED

    @property
    def is_pending(self) -> bool:
        """Whether it still wants somebody to act."""
        return self.is_open and self.state not in (AlertState.ACKNOWLEDGED, AlertState.SILENCED)

    def held_for(self, officer_id: str) -> Reason | None:
        """Why an officer for whom it was held back is to be told of it now; `None` when that is moot by now."""
        wanted = [waiting.reason for waiting in self.waiting if waiting.still_wants(officer_id)]
        if Reason.RESOLVED in wanted:
            return Reason.RESOLVED
        if Reason.DEADLINE in wanted and self.state is not AlertState.SILENCED:
            return Reason.DEADLINE
        if not self.is_pending:
            return None
        return Reason.FIRST if self.state is AlertState.OPEN else Reason.REMINDER

    @property
    def due_at(self) -> datetime | None:
        """When something has to happen to it next."""
        deadline_at = None if self.state is AlertState.SILENCED else self.deadline_at
        times = (
            self.next_at, self.escalate_at, self.widen_at, self.acknowledgement_ends_at, deadline_at, self.retry_at,
        )  # fmt: skip
        return min((at for at in times if at), default=None)


class Case(Struct, frozen=True):
    """One region and risk class. An empty region code stands for reports whose place nobody knows yet.

    `subject` tells apart what else may be said of a region: a pattern over its parts, the silence of it or of a source.
    """

    region_code: str
    region_name: str
    risk_class: RiskClass
    sightings: tuple[Sighting, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    alert: Alert | None = None
    tally: Tally | None = None
    """What it usually has."""
    subject: str = ""
