"""Decides which region is flagged and when its officers are told: pure functions, time passed in.

A case and what happened go in; the changed case, the events to record, and whether to notify now come out. Nothing here
knows Redis, officers or channels.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

from msgspec.structs import replace

from services.alerts.case import Alert, Case, Cause, Exhibit, HistoryEntry, News, Reason, Sighting, Waiting
from services.alerts.rules import AlertingRules
from shared.contracts import AlertEvent, AlertState, RiskClass, Severity

_ALERTS = UUID("6f0c6b52-3c59-5f0e-9c39-6a2f5d1b7a10")
"""Name space of alert ids; it never changes, or a redelivered report would open a second alert."""

_GRAVEST_SHOWN = 3
_NEWEST_SHOWN = 3
_HISTORY_KEPT = 50
_IDS_IN_EVENT = 100

EventName = Literal[
    "opened", "evidence_added", "severity_raised", "notification_sent", "no_notification_sent",
    "acknowledged", "escalated", "silenced", "resolved",
]  # fmt: skip


class NotPossibleError(Exception):
    """What was asked cannot be done with this alert; the words say why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision leads to."""

    case: Case
    events: tuple[AlertEvent, ...] = ()
    notify: Reason | None = None


def alert_id_of(region_code: str, risk_class: RiskClass, opened_by: UUID) -> UUID:
    """The id of the alert that this report opens; the same report always opens the same alert."""
    return uuid5(_ALERTS, f"{region_code}/{risk_class}/{opened_by}")


def absorb(case: Case, news: Iterable[News], rules: AlertingRules, now: datetime) -> Outcome:
    """Take in what has been reported.

    A report that came before changes nothing, unless it is now judged graver. Returns the case with its alert opened or
    updated; whether it is due to be told is for `ring` to say.
    """
    fresh, regraded = _sort_out(case, news)
    if not fresh and not regraded:
        return Outcome(case)
    changed = {item.sighting.report_id: item for item in (*fresh, *regraded)}
    sightings = [
        replace(changed[old.report_id].sighting, spent=old.spent) if old.report_id in changed else old
        for old in case.sightings
    ]
    case = replace(
        case,
        sightings=_remembered([*sightings, *(item.sighting for item in fresh)], rules, now),
        exhibits=_with_exhibits(case.exhibits, changed),
    )
    if case.alert and case.alert.is_open:
        return _update(case, case.alert, [item.sighting for item in fresh], rules, now)
    return _open_if_flagged(case, rules, now)


def ring(case: Case, now: datetime) -> Outcome:
    """Say whether the alert must be told now, and why."""
    alert = case.alert
    if not alert or not alert.is_open or alert.next_at is None or alert.next_at > now:
        return Outcome(case)
    if alert.state is AlertState.SILENCED:
        alert = replace(alert, state=AlertState.NOTIFIED if alert.told_at else AlertState.OPEN)
    reason = alert.next_reason if alert.notifications else Reason.FIRST
    return Outcome(replace(case, alert=alert), notify=reason)


def told(case: Case, recipients: int, rules: AlertingRules, now: datetime) -> Outcome:
    """Note that a notification was handed to the outbox for so many channels; with none, that nobody could be told."""
    alert = _open_alert(case)
    number = alert.notifications + 1
    alert = replace(
        alert,
        notifications=number,
        told_at=now,
        next_at=now + rules.notify.repeat_interval,
        next_reason=Reason.REMINDER,
        waiting=(*alert.waiting, Waiting(number, recipients)) if recipients else alert.waiting,
    )
    case = replace(case, alert=alert, exhibits=tuple(replace(exhibit, told=True) for exhibit in case.exhibits))
    if recipients:
        return Outcome(case)
    return _recorded(case, alert, [("no_notification_sent", "no officer is configured for this region")], now)


def delivered(case: Case, alert_id: UUID, number: int, *, sent: bool, now: datetime) -> Outcome:
    """Note that a delivery of notification `number` has been sent or given up.

    The first one sent makes the alert `notified`; when all are given up, nobody has been told and that is recorded.
    """
    alert = case.alert
    waiting = next((item for item in alert.waiting if item.number == number), None) if alert else None
    if not alert or alert.alert_id != alert_id or not waiting:
        return Outcome(case)
    after = Waiting(number, waiting.pending - 1, waiting.sent or sent)
    others = tuple(item for item in alert.waiting if item.number != number)
    alert = replace(alert, waiting=(*others, after) if after.pending > 0 else others)
    if sent and not waiting.sent:
        if alert.state is AlertState.OPEN:
            alert = replace(alert, state=AlertState.NOTIFIED)
        return _recorded(case, alert, [("notification_sent", f"notification {number}")], now)
    if after.pending <= 0 and not after.sent:
        return _recorded(case, alert, [("no_notification_sent", f"notification {number}: every channel failed")], now)
    return Outcome(replace(case, alert=alert))


def acknowledge(case: Case, *, actor: str, reason: str, now: datetime) -> Outcome:
    """An officer takes the alert: reminders stop until something graver comes. Raises `NotPossibleError`."""
    alert = replace(_open_alert(case), state=AlertState.ACKNOWLEDGED, next_at=None)
    return _recorded(case, alert, [("acknowledged", reason)], now, actor=actor)


def resolve(case: Case, *, actor: str, reason: str, now: datetime) -> Outcome:
    """Close the alert; what it was made of opens no other, and what is not sent yet is not sent.

    Raises `NotPossibleError`.
    """
    alert = replace(_open_alert(case), state=AlertState.RESOLVED, next_at=None, waiting=())
    case = replace(case, sightings=tuple(replace(sighting, spent=True) for sighting in case.sightings))
    return _recorded(case, alert, [("resolved", reason)], now, actor=actor)


def silence(case: Case, until: datetime, *, actor: str, reason: str, rules: AlertingRules, now: datetime) -> Outcome:
    """Send nothing before `until`; everything is still recorded, and the alert is told again when it ends.

    Raises `NotPossibleError` for an end in the past or beyond the longest silence, and without a reason.
    """
    longest = timedelta(hours=rules.silences.longest_hours)
    if until <= now:
        raise NotPossibleError("the end of the silence has passed already")
    if until > now + longest:
        raise NotPossibleError(f"a silence may last {rules.silences.longest_hours:g} hours at most (alerting.yaml)")
    if not reason.strip():
        raise NotPossibleError("a silence needs a reason")
    alert = replace(_open_alert(case), state=AlertState.SILENCED, next_at=until, next_reason=Reason.REMINDER)
    words = f"until {until.isoformat(timespec='minutes')}: {reason}"
    return _recorded(case, alert, [("silenced", words)], now, actor=actor)


# Evidence


def _sort_out(case: Case, news: Iterable[News]) -> tuple[list[News], list[News]]:
    known = {sighting.report_id: sighting.severity for sighting in case.sightings}
    fresh: dict[UUID, News] = {}
    regraded: dict[UUID, News] = {}
    for item in news:
        id_, severity = item.sighting.report_id, item.sighting.severity
        if id_ not in known:
            fresh[id_] = item
        elif severity.rank > known[id_].rank:
            (fresh if id_ in fresh else regraded)[id_] = item
        else:
            continue
        known[id_] = severity
    return list(fresh.values()), list(regraded.values())


def _remembered(sightings: Sequence[Sighting], rules: AlertingRules, now: datetime) -> tuple[Sighting, ...]:
    """The sightings worth keeping. Where there are too many, copies go first, so a flood of one text hides no other."""
    newest_first = sorted(sightings, key=lambda sighting: (sighting.severity.rank, sighting.at), reverse=True)
    kept = [sighting for sighting in newest_first if sighting.at > now - rules.memory.length]
    if len(kept) > rules.memory.reports:
        copies: dict[UUID, int] = defaultdict(int)
        ranked = []
        for sighting in kept:
            ranked.append((sighting.spent, copies[sighting.incident_id], now - sighting.at, sighting))
            copies[sighting.incident_id] += 1
        ranked.sort(key=lambda entry: entry[:3])
        kept = [entry[3] for entry in ranked[: rules.memory.reports]]
    return tuple(sorted(kept, key=lambda sighting: (sighting.at, sighting.report_id)))


def _with_exhibits(exhibits: Sequence[Exhibit], changed: dict[UUID, News]) -> tuple[Exhibit, ...]:
    pool = [exhibit for exhibit in exhibits if exhibit.report_id not in changed]
    pool += [item.exhibit for item in changed.values()]
    gravest = sorted(pool, key=lambda exhibit: (exhibit.severity.rank, exhibit.at), reverse=True)
    newest = sorted(pool, key=lambda exhibit: exhibit.at, reverse=True)
    chosen = {exhibit.report_id: exhibit for exhibit in (*gravest[:_GRAVEST_SHOWN], *newest[:_NEWEST_SHOWN])}
    return tuple(chosen.values())


# Opening and updating


def _open_if_flagged(case: Case, rules: AlertingRules, now: datetime) -> Outcome:
    candidates = [sighting for sighting in case.sightings if not sighting.spent]
    found = _what_flags(case.risk_class, candidates, rules)
    if not found:
        return Outcome(case)
    opener, cause = found
    window = rules.classify_failed.window if cause is Cause.CLASSIFY_FAILED else rules.flag.burst.window
    own = [sighting for sighting in candidates if sighting.at >= opener.at - window]
    own_ids = {sighting.report_id for sighting in own}
    severity = Severity.HIGH if cause is Cause.CLASSIFY_FAILED else _gravest(own)
    urgent = severity.rank >= rules.notify.urgent_severity.rank
    alert = Alert(
        alert_id=alert_id_of(case.region_code, case.risk_class, opener.report_id),
        cause=cause,
        opened_by=opener.report_id,
        opened_at=now,
        state=AlertState.OPEN,
        severity=severity,
        reports=len(own),
        incidents=_incidents(own),
        senders=_senders(own),
        first_known_at=min(sighting.at for sighting in own),
        last_known_at=max(sighting.at for sighting in own),
        next_at=now if urgent else now + rules.notify.group_wait,
    )
    case = replace(
        case,
        sightings=tuple(
            sighting if sighting.report_id in own_ids else replace(sighting, spent=True) for sighting in case.sightings
        ),
        exhibits=tuple(exhibit for exhibit in case.exhibits if exhibit.report_id in own_ids),
    )
    return _recorded(case, alert, [("opened", cause.value)], now, report_ids=list(own_ids))


def _what_flags(
    risk_class: RiskClass, candidates: Sequence[Sighting], rules: AlertingRules
) -> tuple[Sighting, Cause] | None:
    """The report that flags, and why. `candidates` are in the order of their receipt."""
    if risk_class is RiskClass.NONE:
        failed = _completes(candidates, rules.classify_failed.reports, rules.classify_failed.window, by="report_id")
        return (failed, Cause.CLASSIFY_FAILED) if failed else None
    for sighting in candidates:
        if sighting.severity.rank >= rules.flag.single_report_severity.rank:
            return sighting, Cause.SINGLE
    burst = rules.flag.burst
    grave = [sighting for sighting in candidates if sighting.severity.rank >= burst.severity.rank]
    last = _completes(grave, burst.incidents, burst.window, by="incident_id")
    return (last, Cause.BURST) if last else None


def _completes(
    candidates: Sequence[Sighting], needed: int, window: timedelta, *, by: Literal["report_id", "incident_id"]
) -> Sighting | None:
    """The first report that makes `needed` different ones within any window, whenever they came to us."""
    inside: deque[Sighting] = deque()
    copies: dict[UUID, int] = defaultdict(int)
    for sighting in candidates:
        inside.append(sighting)
        copies[getattr(sighting, by)] += 1
        while inside[0].at < sighting.at - window:
            gone = getattr(inside.popleft(), by)
            copies[gone] -= 1
            if not copies[gone]:
                del copies[gone]
        if len(copies) >= needed:
            return sighting
    return None


def _update(case: Case, alert: Alert, fresh: Sequence[Sighting], rules: AlertingRules, now: datetime) -> Outcome:
    own = [sighting for sighting in case.sightings if not sighting.spent]
    severity = alert.severity if alert.cause is Cause.CLASSIFY_FAILED else max(alert.severity, _gravest(own), key=_rank)
    rises = severity.rank > alert.severity.rank
    fresh_ids = {sighting.report_id for sighting in fresh}
    known_incidents = {sighting.incident_id for sighting in own if sighting.report_id not in fresh_ids}
    another_grave_one = any(
        sighting.incident_id not in known_incidents and sighting.severity.rank >= rules.flag.single_report_severity.rank
        for sighting in fresh
    )
    times = [sighting.at for sighting in fresh]
    alert = replace(
        alert,
        severity=severity,
        reports=alert.reports + len(fresh),
        incidents=max(alert.incidents, _incidents(own)),
        senders=max(alert.senders, _senders(own)),
        first_known_at=min([alert.first_known_at, *times]),
        last_known_at=max([alert.last_known_at, *times]),
    )
    if alert.state is AlertState.ACKNOWLEDGED and (rises or another_grave_one):
        alert = replace(alert, state=AlertState.NOTIFIED)
    alert = _rescheduled(alert, rules, now, rises=rises, grave=another_grave_one)
    events: list[tuple[EventName, str]] = []
    if fresh:
        events.append(("evidence_added", ""))
    if rises:
        events.append(("severity_raised", severity.value))
    return _recorded(case, alert, events, now, report_ids=[sighting.report_id for sighting in fresh])


def _rescheduled(alert: Alert, rules: AlertingRules, now: datetime, *, rises: bool, grave: bool) -> Alert:
    if alert.state in (AlertState.SILENCED, AlertState.ACKNOWLEDGED):
        return alert
    if rises and (alert.notifications or alert.severity.rank >= rules.notify.urgent_severity.rank):
        return replace(alert, next_at=now, next_reason=Reason.SEVERITY)
    if alert.told_at is None:
        return alert
    interval = rules.notify.grave_interval(alert.notifications) if grave else rules.notify.group_interval
    tick = max(now, alert.told_at + interval)
    if alert.next_at is not None and alert.next_at <= tick:
        return alert
    return replace(alert, next_at=tick, next_reason=Reason.EVIDENCE)


# Small things


def _open_alert(case: Case) -> Alert:
    if case.alert is None or not case.alert.is_open:
        raise NotPossibleError("this alert is resolved already")
    return case.alert


def _recorded(
    case: Case,
    alert: Alert,
    events: Sequence[tuple[EventName, str]],
    now: datetime,
    *,
    actor: str = "system",
    report_ids: Sequence[UUID] = (),
) -> Outcome:
    records = tuple(
        AlertEvent(
            event_id=uuid5(alert.alert_id, str(alert.events + number)),
            alert_id=alert.alert_id,
            at=now,
            event=event,
            state=alert.state,
            region_code=case.region_code,
            region_name=case.region_name,
            risk_class=case.risk_class,
            severity=alert.severity,
            opened_at=alert.opened_at,
            sequence=alert.events + number,
            reports=alert.reports,
            incidents=alert.incidents,
            senders=alert.senders,
            actor=actor,
            reason=reason,
            report_ids=tuple(sorted(report_ids))[:_IDS_IN_EVENT],
        )
        for number, (event, reason) in enumerate(events)
    )
    lines = tuple(HistoryEntry(now, event, actor, reason) for event, reason in events)
    alert = replace(alert, events=alert.events + len(events), history=(*alert.history, *lines)[-_HISTORY_KEPT:])
    return Outcome(replace(case, alert=alert), records)


def _rank(severity: Severity) -> int:
    return severity.rank


def _gravest(sightings: Iterable[Sighting]) -> Severity:
    return max((sighting.severity for sighting in sightings), key=_rank, default=Severity.NONE)


def _incidents(sightings: Iterable[Sighting]) -> int:
    return len({sighting.incident_id for sighting in sightings})


def _senders(sightings: Iterable[Sighting]) -> int:
    return len({sighting.sender for sighting in sightings if sighting.sender})
