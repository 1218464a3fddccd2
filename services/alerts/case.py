"""What is remembered of one region and risk class: the reports seen, what an officer is shown of them, and the alert.

These records live in Redis as MessagePack; every change makes a new one.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from shared.contracts import AlertState, Regime, RiskClass, Severity, Stage, Status


class Sighting(Struct, frozen=True, array_like=True):
    """One report, as far as counting needs it."""

    report_id: UUID
    incident_id: UUID
    sender: str
    at: datetime
    """When it was received."""
    severity: Severity
    spent: bool = False
    """It belongs to an alert that is closed (or is older than one's window) and opens no other."""


class CitedNorm(Struct, frozen=True):
    """An article that may apply."""

    id: str
    citation: str
    verified: bool
    sanction: str = ""
    channel: str = ""


class Act(Struct, frozen=True):
    """One alleged act of a report."""

    code: str
    name: str
    severity: Severity
    quotes: tuple[str, ...] = ()
    norms: tuple[CitedNorm, ...] = ()
    missing: tuple[str, ...] = ()
    """Elements of the offence that the text does not show."""


class Exhibit(Struct, frozen=True):
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


class News(Struct, frozen=True):
    """A report that has just arrived at its case."""

    sighting: Sighting
    exhibit: Exhibit


class Cause(StrEnum):
    """Why an alert was opened."""

    SINGLE = "single"
    BURST = "burst"
    CLASSIFY_FAILED = "classify_failed"


class Reason(StrEnum):
    """Why a notification is sent."""

    FIRST = "first"
    EVIDENCE = "evidence"
    SEVERITY = "severity"
    REMINDER = "reminder"


class Waiting(Struct, frozen=True):
    """A notification whose deliveries are still under way."""

    number: int
    pending: int
    sent: bool = False


class HistoryEntry(Struct, frozen=True):
    """One line of an alert's history."""

    at: datetime
    event: str
    actor: str
    reason: str


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

    @property
    def is_open(self) -> bool:
        """Whether the region counts as flagged."""
        return self.state is not AlertState.RESOLVED


class Case(Struct, frozen=True):
    """One region and risk class. An empty region code stands for reports whose place nobody knows yet."""

    region_code: str
    region_name: str
    risk_class: RiskClass
    sightings: tuple[Sighting, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    alert: Alert | None = None
