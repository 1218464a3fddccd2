"""The messages between services, one record each.

A `Submission` is what arrived, a `Report` is a submission normalised, an `Assessment` is a report with its findings.
All times are timezone-aware UTC. Texts in a `Report` and beyond are masked: no phone number, NIK, e-mail address or
account number leaves ingest.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Record(BaseModel):
    """Base of every message: immutable, unknown keys ignored so that an older reader survives a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True)


class RiskClass(StrEnum):
    """Primary class of a text; `NONE` means that no violation is reported."""

    NEUTRALITY = "neutrality"
    MONEY_POLITICS = "money_politics"
    OTHER_RISK = "other_risk"
    NONE = "none"


class Severity(StrEnum):
    """How fast an officer must know, in rising order."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for `none` up to 4 for `critical`."""
        return _SEVERITY_ORDER.index(self)


_SEVERITY_ORDER = list(Severity)


class Kind(StrEnum):
    """What sort of text a report is."""

    VIOLATION_REPORT = "violation_report"
    PREVENTION = "prevention"
    QUESTION = "question"
    OTHER = "other"
    CLASSIFY_FAILED = "classify_failed"


class Status(StrEnum):
    """Where the alleged act stands."""

    ALLEGED = "alleged"
    PLANNED = "planned"
    ADJUDICATED = "adjudicated"
    CLEARED = "cleared"
    NOT_APPLICABLE = "not_applicable"


class Regime(StrEnum):
    """Which body of law applies; the two are never mixed."""

    PILKADA = "pilkada"
    PEMILU = "pemilu"


class Stage(StrEnum):
    """Stage (tahapan) of the election; `LUAR_TAHAPAN` when the calendar names none for that day."""

    PRA_PENCALONAN = "pra_pencalonan"
    PENCALONAN = "pencalonan"
    KAMPANYE = "kampanye"
    MASA_TENANG = "masa_tenang"
    PUNGUT_HITUNG = "pungut_hitung"
    REKAPITULASI = "rekapitulasi"
    PSU = "psu"
    LUAR_TAHAPAN = "luar_tahapan"


class District(Record):
    """A kecamatan inside the region."""

    code: str
    name: str


class Region(Record):
    """A regency, city or province by Kemendagri's dotted code; `district` when the text names one.

    `name` is written in full: `Kabupaten Balangan`, `Kota Balikpapan`, `Provinsi Sumatera Utara`.
    `confidence` is 0 to 1.
    """

    code: str
    name: str
    level: Literal["province", "regency"]
    confidence: Annotated[float, Field(ge=0, le=1)]
    district: District | None = None

    @property
    def province_code(self) -> str:
        """The two digits of the province."""
        return self.code[:2]

    @property
    def regency_code(self) -> str:
        """`63.11`, or empty when the text determines only a province."""
        return self.code[:5] if self.level == "regency" else ""


class Attachment(Record):
    """A reference to a picture, recording or document; it is never fetched."""

    url: str
    type: str = ""
    sha256: str = ""
    """As the sender gives it; empty when it gives none."""


MOST_PARTS = 9
"""Submissions of one report at most."""


class Part(Record):
    """One of the submissions that a report was joined from."""

    receipt: str
    content_hash: str
    received_at: AwareDatetime


class Report(Record):
    """A submission normalised: cleaned, masked, placed and dated."""

    receipt: str
    report_id: UUID
    incident_id: UUID
    source: str
    received_at: AwareDatetime
    occurred_at: AwareDatetime | None = None
    title: str = ""
    text: str
    region: Region | None = None
    regime: Regime = Regime.PILKADA
    stage: Stage = Stage.LUAR_TAHAPAN
    url: str = ""
    attachments: tuple[Attachment, ...] = ()
    sender: str = ""
    """Keyed hash of the reporter, to count distinct senders; says nothing without the key. Empty when unknown."""
    content_hash: str = ""
    replayed: bool = False
    """Normalised again by an operator: it may correct what is known, and is no news where it counted before."""
    notes: tuple[str, ...] = ()
    """What an officer should know of how the report was placed, in Indonesian: `wilayah dari koordinat, ...`."""
    parts: Annotated[tuple[Part, ...], Field(max_length=MOST_PARTS)] = ()
    """The messages of the conversation that it is, in order; empty for what is no conversation and cannot grow."""

    @property
    def edition(self) -> tuple[datetime, int]:
        """Which of two states of a report is the newer one: when its newest submission came, and how many it has."""
        return max((part.received_at for part in self.parts), default=self.received_at), len(self.parts) or 1

    @property
    def receipts(self) -> dict[str, str]:
        """Every receipt that asks for this report, with the hash of what was submitted under it."""
        return {part.receipt: part.content_hash for part in self.parts} or {self.receipt: self.content_hash}


class Evidence(Record):
    """A span of the report's `text`: `text[start:end]`, in characters."""

    start: int
    end: int
    text: str


class Elements(Record):
    """Elements of the offence: which the text shows, and which an officer still has to establish."""

    seen: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Norm(Record):
    """An article that may apply. `verified` is false while nobody has confirmed it against the gazette or a source."""

    id: str
    citation: str
    verified: bool
    sanction: str = ""
    channel: str = ""


class Finding(Record):
    """One risk code seen in a report, with why."""

    code: str
    name: str = ""
    risk_class: Annotated[RiskClass, Field(alias="class")]
    risk: Annotated[float, Field(ge=0, le=1)]
    severity: Severity
    evidence: tuple[Evidence, ...] = ()
    elements: Elements = Elements()
    norms: tuple[Norm, ...] = ()
    rule: str = ""


class Judgement(Record):
    """What the classifier says of one text."""

    kind: Kind
    status: Status
    primary: RiskClass
    labels: tuple[str, ...] = ()
    is_violation_report: bool
    severity: Severity
    neutrality_risk: float = 0.0
    money_politics_risk: float = 0.0
    other_risk: float = 0.0
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    """Which rule decided kind and status, for the officer who asks why."""
    rule_pack_version: str = ""
    model_version: str = ""


class Assessment(Record):
    """A report and what the classifier says of it."""

    report: Report
    judgement: Judgement
    classified_at: AwareDatetime

    @classmethod
    def failed(cls, report: Report, error: str, at: datetime, rule_pack_version: str) -> Self:
        """An assessment that says openly that classification did not happen: never to be read as clean."""
        judgement = Judgement(
            kind=Kind.CLASSIFY_FAILED,
            status=Status.NOT_APPLICABLE,
            primary=RiskClass.NONE,
            is_violation_report=False,
            severity=Severity.NONE,
            reason=error,
            rule_pack_version=rule_pack_version,
        )
        return cls(report=report, judgement=judgement, classified_at=at)


class AlertState(StrEnum):
    """Life of an alert."""

    OPEN = "open"
    NOTIFIED = "notified"
    ACKNOWLEDGED = "acknowledged"
    ESCALATED = "escalated"
    SILENCED = "silenced"
    RESOLVED = "resolved"


class AlertEvent(Record):
    """A change of an alert: who did what, when, why. Carries the alert's state after the change."""

    type: Literal["alert_event"] = "alert_event"
    event_id: UUID
    alert_id: UUID
    at: AwareDatetime
    event: Literal[
        "opened", "evidence_added", "severity_raised", "notification_sent", "no_notification_sent",
        "acknowledged", "escalated", "deadline_near", "silenced", "resolved", "verdict_given",
    ]  # fmt: skip
    state: AlertState
    region_code: str
    region_name: str
    risk_class: RiskClass
    severity: Severity
    opened_at: AwareDatetime
    sequence: int
    """Number of the event within its alert, from 0: clocks may disagree, this does not."""
    reports: int
    incidents: int
    senders: int
    actor: str = "system"
    reason: str = ""
    report_ids: tuple[UUID, ...] = ()


class Delivery(Record):
    """What became of one notification to one channel of one officer."""

    type: Literal["delivery"] = "delivery"
    delivery_id: UUID
    alert_id: UUID
    at: AwareDatetime
    officer_id: str
    channel: str
    """Scheme and host of the channel's URL, without credentials or addresses."""
    outcome: Literal["sent", "failed", "abandoned", "held"]
    """`held`: the officer is told later, in a summary (quiet hours, or too many within an hour)."""
    attempt: int
    error: str = ""
    title: str = ""
    latency_ms: int = 0
    """From the newest report's receipt to the hand-over to the channel."""


class Opinion(StrEnum):
    """What an officer says of a finding."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNCLEAR = "unclear"


class Verdict(Record):
    """An officer's judgement of one finding of one report; a later one of the same officer replaces it."""

    type: Literal["verdict"] = "verdict"
    verdict_id: UUID
    alert_id: UUID
    report_id: UUID
    code: str
    verdict: Opinion
    officer_id: str
    note: str = ""
    at: AwareDatetime


class ReceiptStage(StrEnum):
    """How far a submission has come."""

    RECEIVED = "received"
    NORMALISED = "normalised"
    ASSESSED = "assessed"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
