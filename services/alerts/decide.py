"""Decides which region is flagged and when its officers are told: pure functions, time passed in.

A case and what happened go in; the changed case, the events to record, and whether to notify now come out. Nothing here
knows Redis, officers or channels.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

from msgspec.structs import replace

from services.alerts import flagging
from services.alerts.baseline import Background
from services.alerts.case import (
    Alert,
    Case,
    Cause,
    Exhibit,
    HistoryEntry,
    Judged,
    News,
    Progress,
    Reason,
    Sighting,
    Target,
    Waiting,
)
from services.alerts.corroboration import Corroborated, corroborated
from services.alerts.escalation import Rung, acknowledgement_ends_at, escalates_at
from services.alerts.flagging import Found, flags_alone, gravest
from services.alerts.rules import Acknowledge, AlertingRules
from shared.contracts import AlertEvent, AlertState, Opinion, RiskClass, Severity, Verdict

_ALERTS = UUID("6f0c6b52-3c59-5f0e-9c39-6a2f5d1b7a10")
"""Name space of alert ids; it never changes, or a redelivered report would open a second alert."""

NOTHING_KNOWN = Background()
MOVED = "pesan susulan pelapor menunjukkan wilayah atau jenis pelanggaran lain"

_GRAVEST_SHOWN = 3
_NEWEST_SHOWN = 3
_HISTORY_KEPT = 50
_VERDICTS_KEPT = 100
_IDS_IN_EVENT = 100
_WAITING_KEPT = 50
_AT_REST = (AlertState.ACKNOWLEDGED, AlertState.SILENCED, AlertState.RESOLVED)

EventName = Literal[
    "opened", "evidence_added", "severity_raised", "notification_sent", "no_notification_sent",
    "acknowledged", "escalated", "deadline_near", "silenced", "resolved", "verdict_given",
]  # fmt: skip


class NotPossibleError(Exception):
    """What was asked cannot be done with this alert; the words say why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision leads to."""

    case: Case
    events: tuple[AlertEvent | Verdict, ...] = ()
    notify: Reason | None = None


def alert_id_of(region_code: str, risk_class: RiskClass, opened_by: UUID, subject: str = "") -> UUID:
    """The id of the alert that this report opens; the same report always opens the same alert."""
    name = f"{region_code}/{risk_class}/{opened_by}"
    return uuid5(_ALERTS, f"{name}/{subject}" if subject else name)


def absorb(
    case: Case, news: Iterable[News], rules: AlertingRules, now: datetime, background: Background = NOTHING_KNOWN
) -> Outcome:
    """Take in what has been reported.

    A report that came before changes nothing, unless it is now judged graver; one that has grown is shown as it reads
    now. Returns the case with its alert opened or updated; whether it is due to be told is for `ring` to say.
    """
    news = list(news)
    fresh, regraded = _sort_out(case, news)
    case = _with_what_has_grown(case, news)
    if not fresh and not regraded:
        return Outcome(case)
    changed = {item.sighting.report_id: item for item in (*fresh, *regraded)}
    sightings = [
        replace(changed[old.report_id].sighting, spent=old.spent) if old.report_id in changed else old
        for old in case.sightings
    ]
    case = replace(
        case,
        tally=flagging.counted(case, [item.sighting for item in changed.values()], rules, now),
        sightings=_remembered([*sightings, *(item.sighting for item in fresh)], rules, now),
        exhibits=_with_exhibits(case.exhibits, changed),
    )
    if case.alert and case.alert.is_open:
        return _update(case, case.alert, [item.sighting for item in fresh], rules, now)
    return _open_if_flagged(case, rules, now, background)


def grown(
    case: Case,
    fresh: Sequence[Sighting],
    rules: AlertingRules,
    now: datetime,
    *,
    grounds: str,
    details: tuple[str, ...],
) -> Outcome:
    """The case whose open alert rests on more than before, and says so."""
    alert = replace(_open_alert(case), grounds=grounds, details=details)
    case = replace(case, sightings=_remembered([*case.sightings, *fresh], rules, now))
    return _update(case, alert, fresh, rules, now)


def let_go(case: Case, report_ids: Collection[UUID], now: datetime) -> Outcome:
    """The case without reports that have grown and belong elsewhere now; an alert that rested on them alone is closed.

    What belongs to an alert that is closed already stays with it.
    """
    gone = {one.report_id for one in case.sightings if one.report_id in report_ids and not one.spent}
    if not gone:
        return Outcome(case)
    kept = tuple(one for one in case.sightings if one.report_id not in gone)
    own = [one for one in kept if not one.spent]
    exhibits = tuple(one for one in case.exhibits if one.report_id not in gone)
    before, case = case, replace(case, sightings=kept, exhibits=exhibits)
    if not (case.alert and case.alert.is_open):
        return Outcome(case)
    if not own and not case.subject:
        return resolve(replace(case, exhibits=before.exhibits), actor="system", reason=MOVED, now=now)
    left = replace(case.alert, reports=case.alert.reports - len(gone), incidents=_incidents(own), senders=_senders(own))
    return Outcome(replace(case, alert=left))


def ring(case: Case, now: datetime) -> Outcome:
    """Say whether the alert must be told now, and why.

    One reason at a time: what else is due stays due, and is said when this one has been told.
    """
    alert = case.alert
    if not alert:
        return Outcome(case)
    if not alert.is_open:
        return Outcome(case, notify=Reason.RESOLVED if _is_due(alert.next_at, now) else None)
    if _is_due(alert.acknowledgement_ends_at, now):
        return _gone_stale(case, alert, now)
    if _is_due(alert.next_at, now):
        if alert.state is AlertState.SILENCED:
            alert = replace(alert, state=_standing(alert))
        reason = alert.next_reason if alert.notifications else Reason.FIRST
        return Outcome(replace(case, alert=alert), notify=reason)
    if _is_due(alert.widen_at, now):
        return Outcome(case, notify=Reason.UNREACHED)
    if _is_due(alert.retry_at, now):
        return Outcome(case, notify=Reason.RETRY)
    if _is_due(alert.deadline_at, now) and alert.state is not AlertState.SILENCED:
        return Outcome(case, notify=Reason.DEADLINE)
    if _is_due(alert.escalate_at, now):
        return Outcome(case, notify=Reason.ESCALATION)
    return Outcome(case)


def told(
    case: Case,
    targets: Sequence[Target],
    rules: AlertingRules,
    now: datetime,
    *,
    reason: Reason = Reason.FIRST,
    rung: Rung | None = None,
    asked: Collection[str] = (),
    nobody: str = "",
    stand_in: bool = False,
    report_until: datetime | None = None,
    deadlines: Sequence[datetime] = (),
) -> Outcome:
    """Note that a notification was handed to the outbox for these channels; with none, that nobody could be told.

    Args:
        case, targets, rules, now: what was told, to whom, under which rules, when.
        reason: why it was told.
        rung: how far the alert has climbed with it; where it stood before, when nothing is given.
        asked: the officers who stand on that rung.
        nobody: why none of those whom it concerns could be told, though the operators are.
        stand_in: whether only operators are told.
        report_until: until when a report is in time by law.
        deadlines: when that term is reminded of, the earliest first.
    """
    alert = _open_alert(case)
    number = alert.notifications + 1
    rung = rung or Rung(alert.step, alert.rounds)
    climbs = rung != Rung(alert.step, alert.rounds)
    alert = replace(
        alert,
        notifications=number,
        waiting=(*alert.waiting, Waiting(number, tuple(targets), reason=reason, stand_in=stand_in))[-_WAITING_KEPT:]
        if targets
        else alert.waiting,
        acknowledgement_lasts=rules.escalation.acknowledgement_lasts,
        report_until=report_until or alert.report_until,
    )
    alert = _reminded_of_term(alert, deadlines, reason, now)
    if reason is Reason.UNREACHED:
        alert = replace(alert, widen_at=None)
    elif reason is Reason.DEADLINE and alert.state is AlertState.ACKNOWLEDGED:
        alert = replace(alert, step=rung.step)  # whoever took it keeps it; those above know of it besides
    else:
        needs_all = rules.escalation.acknowledge_at(rung.step) is Acknowledge.ALL
        following = escalates_at(rung, rules.escalation, now)
        alert = replace(
            alert,
            step=rung.step,
            rounds=rung.rounds,
            must_acknowledge=tuple(sorted(asked)) if needs_all else (),
            acknowledged_by=() if climbs else alert.acknowledged_by,
            escalate_at=following if climbs else alert.escalate_at or following,
            state=AlertState.ESCALATED if climbs else alert.state,
        )
    if reason not in (Reason.UNREACHED, Reason.ESCALATION, Reason.DEADLINE):
        alert = replace(
            alert, told_at=now, next_at=now + rules.notify.repeat_interval, next_reason=Reason.REMINDER, news=""
        )
        case = replace(case, exhibits=tuple(replace(exhibit, told=True) for exhibit in case.exhibits))
    events: list[tuple[EventName, str]] = []
    if reason is Reason.DEADLINE:
        until = f"; a report is in time until {report_until.isoformat(timespec='minutes')}" if report_until else ""
        events.append(("deadline_near", f"reminder {alert.deadline_stage} of {len(deadlines)}{until}"))
    if climbs:
        events.append(("escalated", _climbed(rung, rules, reason)))
    if nobody or not targets:
        alert = _untold(alert, now)
        events.append(("no_notification_sent", nobody or "nobody is left who could be told"))
    alert = _tried_again_later(alert, rules, now)
    return _recorded(case, alert, events, now)


def _reminded_of_term(alert: Alert, deadlines: Sequence[datetime], reason: Reason, now: datetime) -> Alert:
    """The first notification names the term, so the reminders whose time has passed by then are over."""
    stage = alert.deadline_stage
    if reason is Reason.DEADLINE or alert.notifications == 1:
        stage = max(stage, sum(at <= now for at in deadlines))
    return replace(alert, deadline_stage=stage, deadline_at=deadlines[stage] if stage < len(deadlines) else None)


def told_closed(case: Case, targets: Sequence[Target]) -> Outcome:
    """Note that word of the closing was handed to the outbox for these channels; with none, that nobody gets any."""
    alert = case.alert
    if alert is None or alert.is_open:
        return Outcome(case)
    if targets:
        number = alert.notifications + 1
        waiting = Waiting(number, tuple(targets), reason=Reason.RESOLVED)
        alert = replace(alert, notifications=number, waiting=(waiting,))
    return Outcome(replace(case, alert=replace(alert, next_at=None)))


def nobody_left(case: Case, reason: Reason, rules: AlertingRules, now: datetime) -> Outcome:
    """Note that there is no further step, or nobody (still) to tell; the alert stays open and is reminded of."""
    alert = _open_alert(case)
    if reason is Reason.ESCALATION:
        alert = replace(alert, escalate_at=None)
    else:
        alert = _tried_again_later(replace(alert, widen_at=None), rules, now)
    return Outcome(replace(case, alert=alert))


def tried_again(case: Case, now: datetime) -> Outcome:
    """The case of which somebody is to be told now, if nobody could be until now."""
    alert = case.alert
    if alert is None or alert.untold_since is None or alert.retry_at is None:
        return Outcome(case)
    return Outcome(replace(case, alert=replace(alert, retry_at=now)))


def _untold(alert: Alert, now: datetime) -> Alert:
    return alert if alert.reached or alert.untold_since else replace(alert, untold_since=now)


def _tried_again_later(alert: Alert, rules: AlertingRules, now: datetime) -> Alert:
    return replace(alert, retry_at=now + rules.notify.retry_interval if alert.untold_since else None)


def postponed(case: Case, rules: AlertingRules, now: datetime) -> Outcome:
    """Leave out a reminder, since an alert of the province says the same; the next one is due as usual."""
    return Outcome(replace(case, alert=replace(_open_alert(case), next_at=now + rules.notify.repeat_interval)))


def delivered(
    case: Case, alert_id: UUID, number: int, targets: Sequence[Target], *, reason: str = "", now: datetime
) -> Outcome:
    """Note what has become of some channels of notification `number`; channels new to it are added.

    The first one reached makes the alert `notified`. When every channel fails or is given up nobody has been told: that
    is recorded once (with `reason`), and others are told at once.
    """
    alert = case.alert
    waiting = next((item for item in alert.waiting if item.number == number), None) if alert else None
    if not alert or alert.alert_id != alert_id or not waiting:
        return Outcome(case)
    changed = {(target.officer_id, target.channel): target for target in targets}
    known = {(target.officer_id, target.channel): target for target in waiting.targets}
    after = replace(waiting, targets=tuple((known | changed).values()))
    reached = {target.officer_id for target in after.targets if target.progress is Progress.SENT}
    alert = replace(alert, reached=tuple(sorted({*alert.reached, *reached})))
    events: list[tuple[EventName, str]] = []
    if after.sent and not waiting.sent:
        if alert.state is AlertState.OPEN:
            alert = replace(alert, state=AlertState.NOTIFIED)
        alert = replace(alert, unreached=())
        if not waiting.stand_in:
            alert = replace(alert, untold_since=None, retry_at=None)
        events.append(("notification_sent", f"notification {number}"))
    elif after.reaches_nobody and not after.lost and _matters_to(alert, waiting.reason):
        after = replace(after, lost=True)
        tried = {*alert.unreached, *(target.officer_id for target in after.targets)}
        if alert.is_open:
            alert = replace(_untold(alert, now), widen_at=now, unreached=tuple(sorted(tried)))
        events.append(("no_notification_sent", f"notification {number}: {reason or 'every channel fails'}"))
    others = tuple(item for item in alert.waiting if item.number != number)
    alert = replace(alert, waiting=others if after.settled else (*others, after))
    return _recorded(case, alert, events, now)


def summarised(case: Case, alert_id: UUID, officer_id: str, progress: Progress, now: datetime) -> Outcome:
    """Note what has become of the summary in which an officer was told what had been held back for them."""
    outcome = Outcome(case)
    for waiting in case.alert.waiting if case.alert else ():
        held = [
            replace(target, progress=progress)
            for target in waiting.targets
            if target.officer_id == officer_id and target.progress in (Progress.HELD, Progress.FAILING)
        ]
        if held:
            after = delivered(outcome.case, alert_id, waiting.number, held, now=now)
            outcome = Outcome(after.case, outcome.events + after.events)
    return outcome


def acknowledge(case: Case, *, actor: str, reason: str, now: datetime) -> Outcome:
    """An officer takes the alert: nobody is told any more until something graver comes, or nothing follows.

    Where everybody asked must acknowledge, it goes on until the last one has. Acknowledging again renews it. Raises
    `NotPossibleError`.
    """
    alert = _open_alert(case)
    by = tuple(dict.fromkeys((*alert.acknowledged_by, actor)))
    alert = replace(alert, acknowledged_by=by)
    missing = [officer for officer in alert.must_acknowledge if officer not in by]
    if missing and alert.state is not AlertState.ACKNOWLEDGED:
        words = f"{reason} (still asked: {', '.join(missing)})".strip()
        return _recorded(case, alert, [("acknowledged", words)], now, actor=actor)
    alert = replace(
        _resting(alert),
        state=AlertState.ACKNOWLEDGED,
        acknowledged_at=now,
        acknowledgement_ends_at=acknowledgement_ends_at(alert.acknowledgement_lasts, alert.report_until, now),
    )
    return _recorded(case, alert, [("acknowledged", reason)], now, actor=actor)


def resolve(case: Case, *, actor: str, reason: str, now: datetime) -> Outcome:
    """Close the alert; what it was made of opens no other, and what is not sent yet is not sent.

    Where somebody knows of the alert, word of the closing is due at once. Raises `NotPossibleError`.
    """
    alert = _open_alert(case)
    word_at = now if alert.reached else None
    alert = replace(_resting(alert), state=AlertState.RESOLVED, waiting=(), next_at=word_at, deadline_at=None)
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
    alert = replace(_resting(_open_alert(case)), state=AlertState.SILENCED, next_at=until, next_reason=Reason.REMINDER)
    words = f"until {until.isoformat(timespec='minutes')}: {reason}"
    return _recorded(case, alert, [("silenced", words)], now, actor=actor)


def judge(case: Case, *, report_id: UUID, code: str, opinion: Opinion, note: str, actor: str, now: datetime) -> Outcome:
    """An officer says whether a finding is right; also of a resolved alert. The same words again change nothing.

    Raises `NotPossibleError` when the alert shows no such finding.
    """
    alert = case.alert
    shown = any(
        exhibit.report_id == report_id and code and any(act.code == code for act in exhibit.found)
        for exhibit in case.exhibits
    )
    if alert is None or not shown:
        raise NotPossibleError(f"this alert shows no finding {code!r} in that report")
    given = Judged(report_id, code, opinion, actor, note, now)
    before = next((one for one in alert.verdicts if one.finding == given.finding and one.actor == actor), None)
    if before and (before.opinion, before.note) == (opinion, note):
        return Outcome(case)
    others = tuple(one for one in alert.verdicts if one is not before)
    alert = replace(alert, verdicts=(*others, given)[-_VERDICTS_KEPT:])
    verdict = Verdict(
        verdict_id=uuid5(alert.alert_id, f"verdict/{report_id}/{code}/{actor}/{now.isoformat()}"),
        alert_id=alert.alert_id,
        report_id=report_id,
        code=code,
        verdict=opinion,
        officer_id=actor,
        note=note,
        at=now,
    )
    words = f"{code}: {opinion}" + (f": {note}" if note else "")
    outcome = _recorded(case, alert, [("verdict_given", words)], now, actor=actor, report_ids=[report_id])
    return Outcome(outcome.case, (*outcome.events, verdict))


def _matters_to(alert: Alert, reason: Reason) -> bool:
    """Whether it is a loss that a notification of this alert reaches nobody."""
    if reason is Reason.DEADLINE:
        return alert.is_open and alert.state is not AlertState.SILENCED
    return alert.state not in _AT_REST or not alert.is_open


def _is_due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now


def _resting(alert: Alert) -> Alert:
    """Nothing is due of it by itself any more."""
    return replace(
        alert,
        next_at=None,
        escalate_at=None,
        widen_at=None,
        acknowledgement_ends_at=None,
        untold_since=None,
        retry_at=None,
    )


def _standing(alert: Alert) -> AlertState:
    """Where an alert stands that is neither silenced nor acknowledged."""
    if alert.step or alert.rounds:
        return AlertState.ESCALATED
    return AlertState.NOTIFIED if alert.told_at else AlertState.OPEN


def _gone_stale(case: Case, alert: Alert, now: datetime) -> Outcome:
    hours = (now - (alert.acknowledged_at or now)) / timedelta(hours=1)
    words = f"nothing followed the acknowledgement by {', '.join(alert.acknowledged_by)} for {hours:.1f} hours"
    alert = replace(
        alert, state=AlertState.ESCALATED, acknowledged_by=(), acknowledged_at=None, acknowledgement_ends_at=None
    )
    outcome = _recorded(case, alert, [("escalated", words)], now)
    return Outcome(outcome.case, outcome.events, notify=Reason.STALE)


def _climbed(rung: Rung, rules: AlertingRules, reason: Reason) -> str:
    causes = {Reason.STALE: "the acknowledgement went stale", Reason.DEADLINE: "the term of law comes to its end"}
    cause = causes.get(reason, "nobody has acknowledged")
    if not rung.step:
        return f"{cause}; round {rung.rounds + 1} begins"
    steps = rules.escalation.steps
    return f"{cause}; step {rung.step} of {len(steps)}: {', '.join(steps[rung.step - 1].roles)}"


# Evidence


def _sort_out(case: Case, news: Iterable[News]) -> tuple[list[News], list[News]]:
    known = {sighting.report_id: sighting.severity for sighting in case.sightings}
    fresh: dict[UUID, News] = {}
    regraded: dict[UUID, News] = {}
    for item in news:
        id_, severity = item.sighting.report_id, item.sighting.severity
        if id_ not in known:
            if item.replayed and case.alert and item.sighting.at <= case.alert.last_known_at:
                continue  # counted when it came first, and forgotten since
            fresh[id_] = item
        elif severity.rank > known[id_].rank:
            (fresh if id_ in fresh else regraded)[id_] = item
        else:
            continue
        known[id_] = severity
    return list(fresh.values()), list(regraded.values())


def _remembered(sightings: Sequence[Sighting], rules: AlertingRules, now: datetime) -> tuple[Sighting, ...]:
    """The sightings worth keeping. Where there are too many, copies go first, so a flood of one text hides no other."""
    kept = [sighting for sighting in sightings if sighting.at > now - rules.memory.length]
    kept.sort(key=lambda sighting: (sighting.at, sighting.report_id.int))
    if len(kept) > rules.memory.reports:
        kept = [kept[place] for place in sorted(_worth_keeping(kept)[: rules.memory.reports])]
    return tuple(kept)


def _worth_keeping(sightings: Sequence[Sighting]) -> list[int]:
    """The places of these sightings, which are in the order of receipt, whatever is worth most first."""
    texts: set[int] = set()
    repeats = []
    for sighting in sightings:
        repeats.append(sighting.text in texts)
        if sighting.text:
            texts.add(sighting.text)
    copies: dict[int, int] = defaultdict(int)
    ranked = []
    ranks = [sighting.severity.rank for sighting in sightings]
    for place in sorted(range(len(sightings)), key=lambda place: (ranks[place], place), reverse=True):
        incident = sightings[place].incident_id.int
        ranked.append((sightings[place].spent, repeats[place], copies[incident], -place))
        copies[incident] += 1
    return [-entry[3] for entry in sorted(ranked)]


def _with_what_has_grown(case: Case, news: Iterable[News]) -> Case:
    grown = {item.exhibit.report_id: item.exhibit for item in news if item.grows}
    shown = tuple(
        grown[old.report_id] if old.report_id in grown and replace(grown[old.report_id], told=old.told) != old else old
        for old in case.exhibits
    )
    return case if shown == case.exhibits else replace(case, exhibits=shown)


def _with_exhibits(exhibits: Sequence[Exhibit], changed: dict[UUID, News]) -> tuple[Exhibit, ...]:
    pool = [exhibit for exhibit in exhibits if exhibit.report_id not in changed]
    pool += [item.exhibit for item in changed.values()]
    gravest = sorted(pool, key=lambda exhibit: (exhibit.severity.rank, exhibit.at), reverse=True)
    newest = sorted(pool, key=lambda exhibit: exhibit.at, reverse=True)
    chosen = {exhibit.report_id: exhibit for exhibit in (*gravest[:_GRAVEST_SHOWN], *newest[:_NEWEST_SHOWN])}
    return tuple(chosen.values())


# Opening and updating


def _open_if_flagged(case: Case, rules: AlertingRules, now: datetime, background: Background) -> Outcome:
    found = flagging.what_flags(case, rules, background)
    if not found:
        return Outcome(case)
    opener = found.opener
    own = [sighting for sighting in case.sightings if not sighting.spent and sighting.at >= opener.at - found.window]
    own_ids = {sighting.report_id for sighting in own}
    severity = Severity.HIGH if found.cause is Cause.CLASSIFY_FAILED else gravest(own)
    raised = _raised([one for one in _corroborated(case, rules) if one.sighting.report_id in own_ids], above=severity)
    if raised:
        severity = raised.severity
        if raised.grounds != found.grounds:
            found = dataclasses.replace(found, grounds="; ".join(filter(None, (found.grounds, raised.grounds))))
    case = replace(
        case,
        sightings=tuple(
            sighting if sighting.report_id in own_ids else replace(sighting, spent=True) for sighting in case.sightings
        ),
        exhibits=tuple(exhibit for exhibit in case.exhibits if exhibit.report_id in own_ids),
    )
    return opened(case, found, severity, rules, now)


def opened(case: Case, found: Found, severity: Severity, rules: AlertingRules, now: datetime) -> Outcome:
    """The case with an alert opened on what was found, of the reports that are not spent."""
    own = [sighting for sighting in case.sightings if not sighting.spent]
    times = [sighting.at for sighting in own] or [found.opener.at]
    urgent = severity.rank >= rules.notify.urgent_severity.rank
    alert = Alert(
        alert_id=alert_id_of(case.region_code, case.risk_class, found.opener.report_id, case.subject),
        cause=found.cause,
        opened_by=found.opener.report_id,
        opened_at=now,
        state=AlertState.OPEN,
        severity=severity,
        reports=len(own),
        incidents=_incidents(own),
        senders=_senders(own),
        first_known_at=min(times),
        last_known_at=max(times),
        next_at=now if urgent else now + rules.notify.group_wait,
        grounds=found.grounds,
        details=found.details,
    )
    words = f"{found.cause}: {found.grounds}" if found.grounds else found.cause.value
    return _recorded(case, alert, [("opened", words)], now, report_ids=[sighting.report_id for sighting in own])


def _update(case: Case, alert: Alert, fresh: Sequence[Sighting], rules: AlertingRules, now: datetime) -> Outcome:
    own = [sighting for sighting in case.sightings if not sighting.spent]
    severity = alert.severity if alert.cause is Cause.CLASSIFY_FAILED else max(alert.severity, gravest(own), key=_rank)
    told = _corroborated(case, rules)
    raised = _raised(told, above=severity)
    if raised:
        severity = raised.severity
    rises = severity.rank > alert.severity.rank
    fresh_ids = {sighting.report_id for sighting in fresh}
    known_incidents = {sighting.incident_id.int for sighting in own if sighting.report_id not in fresh_ids}
    another_grave_one = not case.subject and any(
        sighting.incident_id.int not in known_incidents and flags_alone(case, sighting, rules.flag)
        for sighting in fresh
    )
    newly_grave = _newly_grave(case, told, fresh_ids, rules)
    another_grave_one = another_grave_one or newly_grave is not None
    because = raised if rises else newly_grave
    times = [sighting.at for sighting in fresh]
    alert = replace(
        alert,
        severity=severity,
        reports=alert.reports + len(fresh),
        incidents=max(alert.incidents, _incidents(own)),
        senders=max(alert.senders, _senders(own)),
        first_known_at=min([alert.first_known_at, *times]),
        last_known_at=max([alert.last_known_at, *times]),
        news=because.grounds if because else "" if rises else alert.news,
    )
    if alert.state is AlertState.ACKNOWLEDGED and (rises or another_grave_one):
        alert = replace(
            _resting(alert), state=AlertState.NOTIFIED, acknowledged_by=(), acknowledged_at=None, step=0, rounds=0
        )
    elif rises:
        alert = replace(alert, rounds=0, acknowledged_by=())
    alert = _rescheduled(alert, rules, now, rises=rises, grave=another_grave_one)
    events: list[tuple[EventName, str]] = []
    if fresh:
        events.append(("evidence_added", because.grounds if because and not rises else ""))
    if rises:
        events.append(("severity_raised", f"{severity}: {because.grounds}" if because else severity.value))
    return _recorded(case, alert, events, now, report_ids=[sighting.report_id for sighting in fresh])


def _corroborated(case: Case, rules: AlertingRules) -> list[Corroborated]:
    return corroborated(case.sightings, rules.flag.corroboration.needed)


def _raised(told: Iterable[Corroborated], above: Severity) -> Corroborated | None:
    """The gravest of these incidents, where it is graver than that."""
    graver = [one for one in told if one.severity.rank > above.rank]
    return max(graver, key=lambda one: one.severity.rank, default=None)


def _newly_grave(
    case: Case, told: Iterable[Corroborated], fresh_ids: Collection[UUID], rules: AlertingRules
) -> Corroborated | None:
    """An incident that, with these reports, is told of by so many that it would flag its region, and was not before."""
    grave = [one for one in told if flags_alone(case, one.sighting, rules.flag)]
    if not grave:
        return None
    before = [sighting for sighting in case.sightings if sighting.report_id not in fresh_ids]
    told_before = [one.sighting for one in corroborated(before, rules.flag.corroboration.needed)]
    known = {one.incident_id for one in (*before, *told_before) if not one.spent and flags_alone(case, one, rules.flag)}
    return next((one for one in grave if one.incident_id not in known), None)


def _rescheduled(alert: Alert, rules: AlertingRules, now: datetime, *, rises: bool, grave: bool) -> Alert:
    if alert.state is AlertState.ACKNOWLEDGED:
        return alert
    if alert.state is AlertState.SILENCED:
        graver = rises or alert.next_reason is Reason.SEVERITY
        return replace(alert, next_reason=Reason.SEVERITY if graver else Reason.EVIDENCE)
    if rises and (alert.notifications or alert.severity.rank >= rules.notify.urgent_severity.rank):
        return replace(alert, next_at=now, next_reason=Reason.SEVERITY)
    if alert.told_at is None:
        # Only an acknowledgement stops what has not been told at all, and that has just ended.
        return alert if alert.next_at else replace(alert, next_at=now)
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


def _incidents(sightings: Iterable[Sighting]) -> int:
    return len({sighting.incident_id.int for sighting in sightings})


def _senders(sightings: Iterable[Sighting]) -> int:
    return len({sighting.sender for sighting in sightings if sighting.sender})
