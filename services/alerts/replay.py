"""What other rules would have raised: stored assessments once more through the same decisions. Writes nothing.

The clock is moved by the data. Nobody acts in a replay, so it assumes an attentive officer: every notification is
acknowledged at once, and an alert of which a week brings nothing new is closed.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from services.alerts import decide, heartbeat, patterns
from services.alerts.baseline import Background
from services.alerts.case import Alert, Case
from services.alerts.decide import Outcome
from services.alerts.intake import concerns, news_of
from services.alerts.patterns import Hit, hits_of
from services.alerts.places import Places
from services.alerts.rules import AlertingRules
from services.alerts.store import Change, case_key
from shared.contracts import (
    AlertState,
    Assessment,
    District,
    Finding,
    Judgement,
    Kind,
    Region,
    Report,
    RiskClass,
    Severity,
)

AROUND = timedelta(minutes=15)
"""How often a replay looks for patterns and silences and learns what is usual."""
TIDY = timedelta(hours=6)
QUIET = timedelta(days=7)
_TEXT_CHARACTERS = 2000

COUNT = """
SELECT count() FROM report_rows FINAL
WHERE received_at >= {since:DateTime64(3, 'UTC')} AND received_at < {until:DateTime64(3, 'UTC')}
"""
ROWS = f"""
SELECT report_id, incident_id, source, sender, received_at, region_code, region_name, district_code, district_name,
    regime, stage, kind, status, primary_class, severity, findings.code, findings.risk_class, findings.severity,
    if(kind = 'violation_report', substringUTF8(text, 1, {_TEXT_CHARACTERS}), '')
FROM report_rows FINAL
WHERE received_at >= {{since:DateTime64(3, 'UTC')}} AND received_at < {{until:DateTime64(3, 'UTC')}}
ORDER BY received_at, report_id
"""  # noqa: S608 - nothing of it comes from outside
"""The rows of a span in the order of their receipt, for `from_row`."""


@dataclass(slots=True)
class Raised:
    """An alert that would have been raised.

    Attributes:
        key: region, class and subject; the same for the alert of other rules.
        closed_at: when it was closed; `None` while it was open at the end.
        notifications: how often it would have been told.
    """

    alert_id: UUID
    key: str
    region_code: str
    region_name: str
    risk_class: RiskClass
    cause: str
    why: str
    opened_at: datetime
    severity: Severity
    notifications: int
    closed_at: datetime | None

    def overlaps(self, other: "Raised") -> bool:
        """Whether the other would have said the same of the same time."""
        end, other_end = self.closed_at or _EVER, other.closed_at or _EVER
        return self.key == other.key and self.opened_at <= other_end and other.opened_at <= end


_EVER = datetime.max.replace(tzinfo=UTC)


class Replay:
    """One set of rules, fed with assessments in the order of their receipt.

    Args:
        rules: the rules to try.
        places: names and parts of regions.
        tell: adds the notification that is due to a decision, as the service does (`Announcer.change`).
    """

    def __init__(self, rules: AlertingRules, places: Places, tell: Callable[[Outcome, datetime], Change]) -> None:
        self._rules = rules
        self._places = places
        self._tell = tell
        self._cases: dict[str, Case] = {}
        self._due: list[tuple[datetime, str]] = []
        self._hits: dict[str, dict[str, Hit]] = {}
        self._touched: set[str] = set()
        self._pulses: dict[str, heartbeat.Pulse] = {}
        self._background = Background()
        self._around_at: datetime | None = None
        self._tidied_at: datetime | None = None
        self._raised: dict[UUID, Raised] = {}

    def take(self, assessment: Assessment) -> None:
        """The next assessment; its time of receipt is the time now."""
        report, now = assessment.report, assessment.report.received_at
        self.move_to(now)
        for who in heartbeat.heard(report.source, report.region.code if report.region else ""):
            self._pulses[who] = heartbeat.beaten(self._pulses.get(who), now, self._rules.flag.heartbeat)
        empty = concerns(assessment, self._rules)
        if empty is None:
            return
        news = [news_of(assessment)]
        self._decide(empty, lambda case: decide.absorb(case, news, self._rules, now, self._background), now)
        for hit in hits_of(assessment, self._rules):
            self._hits.setdefault(hit.place[:2], {})[hit.key] = hit
            self._touched.add(hit.place[:2])

    def move_to(self, now: datetime) -> None:
        """Let the time pass: what is due by then is told, and every quarter of an hour one looks around."""
        while True:
            around = self._around_at or now
            if around > now and not (self._due and self._due[0][0] <= now):
                return
            if self._due and self._due[0][0] <= min(around, now):
                at, key = heapq.heappop(self._due)
                self._keep(key, self._cases[key], self._cases[key], at)
            elif around <= now:
                self._look_around(around)
                self._around_at = around + AROUND

    def raised(self, since: datetime) -> list[Raised]:
        """The alerts opened from `since` on, in order."""
        found = (one for one in self._raised.values() if one.opened_at >= since)
        return sorted(found, key=lambda one: (one.opened_at, one.key))

    def _decide(self, empty: Case, act: Callable[[Case], Outcome], now: datetime) -> None:
        key = case_key(empty.region_code, empty.risk_class, empty.subject)
        before = self._cases.get(key, empty)
        after = act(before).case
        if after is not before:
            self._keep(key, before, after, now)

    def _keep(self, key: str, before: Case, case: Case, now: datetime) -> None:
        case = self._tell(Outcome(case), now).case or case
        alert = case.alert
        if alert and alert.is_open and alert.notifications > _times_told(before, alert):
            case = decide.acknowledge(case, actor="replay", reason="", now=now).case
            if case.alert:  # and followed up, so that the acknowledgement does not run out
                case = replace(case, alert=replace(case.alert, acknowledgement_ends_at=None))
        self._cases[key] = case
        if case.alert is None:
            return
        self._note(key, case, case.alert, now)
        if case.alert.state is not AlertState.ACKNOWLEDGED and case.alert.is_open and case.alert.next_at:
            heapq.heappush(self._due, (max(case.alert.next_at, now), key))

    def _note(self, key: str, case: Case, alert: Alert, now: datetime) -> None:
        known = self._raised.get(alert.alert_id)
        if known is None:
            why = alert.grounds or f"{alert.cause}: {alert.severity}"
            known = self._raised[alert.alert_id] = Raised(
                alert.alert_id, key, case.region_code, case.region_name, case.risk_class, alert.cause.value, why,
                alert.opened_at, alert.severity, 0, None,
            )  # fmt: skip
        known.severity, known.notifications = alert.severity, alert.notifications
        if not alert.is_open and known.closed_at is None:
            known.closed_at = now

    def _look_around(self, now: datetime) -> None:
        if self._tidied_at is None or self._tidied_at <= now - TIDY:
            self._tidied_at = now
            self._tidy(now)
        tallies = {
            (case.region_code, case.risk_class): case.tally for case in self._cases.values() if case.tally is not None
        }
        self._background = Background.of(tallies, self._places.regencies, self._rules.flag.usual, now)
        self._look_for_patterns(now)
        self._look_for_silences(now)

    def _tidy(self, now: datetime) -> None:
        forgotten = now - self._rules.memory.length
        for key, case in list(self._cases.items()):
            if case.alert and case.alert.is_open and not case.subject.startswith(heartbeat.SUBJECT):
                if case.alert.last_known_at < now - QUIET:
                    closed = decide.resolve(case, actor="replay", reason="", now=now).case
                    self._keep(key, case, closed, now)
            elif not (case.alert and case.alert.is_open) and all(one.at < forgotten for one in case.sightings):
                self._cases[key] = replace(case, sightings=(), exhibits=())

    def _look_for_patterns(self, now: datetime) -> None:
        touched, self._touched = self._touched, set()
        for province in sorted(touched):
            hits = self._hits[province] = {
                key: hit for key, hit in self._hits[province].items() if hit.at >= now - self._rules.flag.pattern.window
            }
            for (code, risk_class), theirs in patterns.regions_of(hits.values()).items():
                empty = patterns.empty_case(code, risk_class, self._places)
                self._decide(empty, _looking(theirs, self._places, self._rules, now), now)

    def _look_for_silences(self, now: datetime) -> None:
        for key, case in list(self._cases.items()):
            if case.subject.startswith(heartbeat.SUBJECT) and case.alert and case.alert.is_open:
                pulse = self._pulses[case.subject.removeprefix(heartbeat.SUBJECT)]
                after = heartbeat.heard_again(case, pulse, now).case
                if after is not case:
                    self._keep(key, case, after, now)
        for silence in heartbeat.silences(self._pulses, self._rules.flag.heartbeat, now):
            empty = heartbeat.case_of(silence.who, self._places)
            self._decide(empty, _falling_silent(silence, self._rules, now), now)


def compare(present: Iterable[Raised], tried: Iterable[Raised]) -> tuple[list[Raised], list[Raised]]:
    """What the rules that were tried add to what the present ones raise, and what is gone with them."""
    present, tried = list(present), list(tried)
    added = [one for one in tried if not any(one.overlaps(other) for other in present)]
    gone = [one for one in present if not any(one.overlaps(other) for other in tried)]
    return added, gone


def from_row(row: Iterable[Any]) -> Assessment:
    """The assessment of a row of `ROWS`, as far as it was stored."""
    (
        report_id, incident_id, source, sender, received_at, region_code, region_name, district_code, district_name,
        regime, stage, kind, status, primary, severity, codes, classes, severities, text,
    ) = row  # fmt: skip
    if received_at.tzinfo is None:
        received_at = received_at.replace(tzinfo=UTC)
    region = None
    if region_code:
        region = Region(
            code=region_code,
            name=region_name,
            level="regency" if "." in region_code else "province",
            confidence=1,
            district=District(code=district_code, name=district_name) if district_code else None,
        )
    return Assessment(
        report=Report(
            receipt="", report_id=report_id, incident_id=incident_id, source=source, sender=sender,
            received_at=received_at, text=text, region=region, regime=regime, stage=stage,
        ),
        judgement=Judgement(
            kind=kind,
            status=status,
            primary=primary,
            severity=severity,
            is_violation_report=kind == Kind.VIOLATION_REPORT,
            findings=tuple(
                Finding(code=code, risk_class=risk_class, severity=grade, risk=1)
                for code, risk_class, grade in zip(codes, classes, severities, strict=True)
            ),
        ),
        classified_at=received_at,
    )  # fmt: skip


def spans(since: datetime, until: datetime, length: timedelta = timedelta(days=1)) -> Iterator[Mapping[str, datetime]]:
    """The parameters of one query after another, so that no answer holds more than a day."""
    for number in itertools.count():
        start = since + length * number
        if start >= until:
            return
        yield {"since": start, "until": min(start + length, until)}


def _times_told(before: Case, alert: Alert) -> int:
    return before.alert.notifications if before.alert and before.alert.alert_id == alert.alert_id else 0


def _looking(hits: list[Hit], places: Places, rules: AlertingRules, now: datetime) -> Callable[[Case], Outcome]:
    return lambda case: patterns.look(case, hits, places, rules, now)


def _falling_silent(silence: heartbeat.Silence, rules: AlertingRules, now: datetime) -> Callable[[Case], Outcome]:
    return lambda case: heartbeat.fell_silent(case, silence, rules, now)
