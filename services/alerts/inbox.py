"""The alert inbox of officers and operators: list, show, acknowledge, resolve, silence.

Every change is written with its event, by the same compare-and-set as the service's own, so it may be made while any
number of services run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from redis.asyncio import Redis

from services.alerts import decide
from services.alerts.case import Alert, Case, Exhibit, HistoryEntry, Judged
from services.alerts.decide import NotPossibleError, Outcome
from services.alerts.rules import AlertingRules
from services.alerts.store import CaseStore, Change
from services.alerts.text import clean
from shared.contracts import AlertState, Opinion, RiskClass, Severity

_REASON_CHARACTERS = 500
_NOTE_CHARACTERS = 1000

__all__ = [
    "AlertDetail",
    "AlertSummary",
    "NotPossibleError",
    "acknowledge",
    "find",
    "judge",
    "list_alerts",
    "resolve",
    "silence",
]


@dataclass(frozen=True, slots=True)
class AlertSummary:
    """One line of the inbox."""

    alert_id: UUID
    state: AlertState
    severity: Severity
    risk_class: RiskClass
    region_code: str
    region_name: str
    opened_at: datetime
    first_known_at: datetime
    last_known_at: datetime
    reports: int
    incidents: int
    senders: int
    silenced_until: datetime | None
    step: int
    """How far it has climbed: 0 for those it concerns first, then the steps of alerting.yaml from 1."""
    rounds: int
    """How often the steps have been climbed to the end."""
    untold_since: datetime | None
    """Since when it has been known that nobody whom it concerns could be told."""


@dataclass(frozen=True, slots=True)
class AlertDetail:
    """One alert with what it rests on and what has happened to it; texts are masked and cleaned, but untrusted."""

    summary: AlertSummary
    exhibits: tuple[Exhibit, ...]
    history: tuple[HistoryEntry, ...]
    verdicts: tuple[Judged, ...] = ()


async def list_alerts(redis: Redis, *, include_resolved: bool = False) -> list[AlertSummary]:
    """The inbox: gravest first, then newest. Raises `DependencyAwayError` while Redis does not answer."""
    store = CaseStore(redis)
    keys = await store.alert_keys()
    found = [
        _summary(case, case.alert)
        for (alert_id, _), case in zip(keys.items(), await store.cases(list(keys.values())), strict=True)
        if case and case.alert and case.alert.alert_id == alert_id and (case.alert.is_open or include_resolved)
    ]
    return sorted(found, key=lambda alert: (alert.severity.rank, alert.opened_at), reverse=True)


async def find(redis: Redis, id_or_prefix: str) -> AlertDetail:
    """One alert, open or lately resolved, by its id or by enough of the id's beginning.

    Raises:
        NotPossibleError: there is none, or the beginning fits several.
        DependencyAwayError: Redis does not answer.
    """
    case, alert = await _case_of(CaseStore(redis), id_or_prefix)
    exhibits = sorted(case.exhibits, key=lambda exhibit: (exhibit.severity.rank, exhibit.at), reverse=True)
    return AlertDetail(_summary(case, alert), tuple(exhibits), alert.history, alert.verdicts)


async def acknowledge(
    redis: Redis, id_or_prefix: str, *, actor: str, reason: str, now: datetime, renew: bool = True
) -> AlertSummary:
    """Take an alert over: reminders stop until something graver comes.

    Without `renew` nothing changes when this actor's acknowledgement stands already.

    Raises:
        NotPossibleError: no such alert, or it is resolved.
        DependencyAwayError: Redis does not answer.
    """

    def act(case: Case) -> Outcome:
        alert = case.alert
        if not renew and alert and alert.state is AlertState.ACKNOWLEDGED and actor in alert.acknowledged_by:
            return Outcome(case)
        return decide.acknowledge(case, actor=actor, reason=clean(reason, _REASON_CHARACTERS), now=now)

    return await _change(redis, id_or_prefix, act)


async def resolve(redis: Redis, id_or_prefix: str, *, actor: str, reason: str, now: datetime) -> AlertSummary:
    """Close an alert; what is not sent yet is not sent. Raises as `acknowledge` does."""
    words = clean(reason, _REASON_CHARACTERS)
    return await _change(redis, id_or_prefix, lambda case: decide.resolve(case, actor=actor, reason=words, now=now))


async def silence(
    redis: Redis,
    id_or_prefix: str,
    *,
    until: datetime,
    actor: str,
    reason: str,
    rules: AlertingRules,
    now: datetime,
) -> AlertSummary:
    """Send nothing of an alert before `until`, at most `silences.longest_hours` away; it is told again then.

    Raises as `acknowledge` does, and `NotPossibleError` for an end that is not allowed or a missing reason.
    """
    words = clean(reason, _REASON_CHARACTERS)
    return await _change(
        redis,
        id_or_prefix,
        lambda case: decide.silence(case, until, actor=actor, reason=words, rules=rules, now=now),
    )


async def judge(
    redis: Redis,
    id_or_prefix: str,
    *,
    code: str,
    opinion: Opinion,
    report: str = "",
    note: str,
    actor: str,
    now: datetime,
) -> AlertSummary:
    """Record a verdict on one finding; the same one again changes nothing.

    `report` is a receipt or a report's id; it may be left out where the alert shows only one report with that code.
    Raises `NotPossibleError` for no such alert or finding, `DependencyAwayError` while Redis does not answer.
    """

    def act(case: Case) -> Outcome:
        report_id = _report_with(case, code, report)
        words = clean(note, _NOTE_CHARACTERS)
        return decide.judge(case, report_id=report_id, code=code, opinion=opinion, note=words, actor=actor, now=now)

    return await _change(redis, id_or_prefix, act)


def _report_with(case: Case, code: str, report: str) -> UUID:
    wanted = report.strip().lower()
    found = [
        exhibit.report_id
        for exhibit in case.exhibits
        if any(act.code == code for act in exhibit.found)
        and wanted in ("", exhibit.receipt.lower(), str(exhibit.report_id))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotPossibleError(f"{len(found)} reports show {code}; say which one, by its receipt")
    codes = sorted({act.code for exhibit in case.exhibits for act in exhibit.found if act.code})
    place = f" in {report}" if report else ""
    raise NotPossibleError(f"this alert shows no finding {code!r}{place}; it shows {', '.join(codes) or 'none'}")


async def _change(redis: Redis, id_or_prefix: str, act: Callable[[Case], Outcome]) -> AlertSummary:
    store = CaseStore(redis)
    _, alert = await _case_of(store, id_or_prefix)
    key = (await store.alert_keys())[alert.alert_id]
    after: list[Case] = []

    def decided(case: Case | None) -> Change:
        if case is None or case.alert is None or case.alert.alert_id != alert.alert_id:
            raise NotPossibleError("this alert is resolved already")
        outcome = act(case)
        after[:] = [outcome.case]
        return Change(outcome.case, outcome.events)

    await store.update({key: decided})
    (case,) = after
    return _summary(case, _alert_of(case))


async def _case_of(store: CaseStore, id_or_prefix: str) -> tuple[Case, Alert]:
    keys = await store.alert_keys()
    matching = _matching(list(keys), id_or_prefix)
    if not matching:
        raise NotPossibleError(f"there is no alert {id_or_prefix}; see `salingjaga alerts list`")
    if len(matching) > 1:
        raise NotPossibleError(f"{len(matching)} alerts begin with {id_or_prefix}; give more of the id")
    case = await store.case(keys[matching[0]])
    if case is None or case.alert is None or case.alert.alert_id != matching[0]:
        raise NotPossibleError(f"the alert {matching[0]} was resolved long ago; ClickHouse has its events")
    return case, case.alert


def _matching(ids: Sequence[UUID], id_or_prefix: str) -> list[UUID]:
    wanted = id_or_prefix.strip().lower()
    return [id_ for id_ in ids if wanted and str(id_).startswith(wanted)]


def _alert_of(case: Case) -> Alert:
    if case.alert is None:
        raise NotPossibleError("this alert is gone")
    return case.alert


def _summary(case: Case, alert: Alert) -> AlertSummary:
    return AlertSummary(
        alert_id=alert.alert_id,
        state=alert.state,
        severity=alert.severity,
        risk_class=case.risk_class,
        region_code=case.region_code,
        region_name=case.region_name,
        opened_at=alert.opened_at,
        first_known_at=alert.first_known_at,
        last_known_at=alert.last_known_at,
        reports=alert.reports,
        incidents=alert.incidents,
        senders=alert.senders,
        silenced_until=alert.next_at if alert.state is AlertState.SILENCED else None,
        step=alert.step,
        rounds=alert.rounds,
        untold_since=alert.untold_since,
    )
