"""From "this alert must be told now" to deliveries: who is told, over which channels, with which words."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid5

import structlog

from services.alerts import decide
from services.alerts.case import Alert, Case, Cause, Reason, Target
from services.alerts.channels import channel_label
from services.alerts.decide import Outcome
from services.alerts.escalation import Rung, deadline_times, next_rung, step_above
from services.alerts.letter import carries_html, carries_short, kind_of
from services.alerts.officers import Officer, Officers
from services.alerts.render import Renderer, Text, bare_text
from services.alerts.role import Role
from services.alerts.rules import AlertingRules
from services.alerts.store import Change, QueuedDelivery, case_key
from services.alerts.zones import zone_info, zone_of
from shared.calendar import Calendar
from shared.contracts import AlertState, Regime, RiskClass

log = structlog.get_logger()

NOBODY_CONFIGURED = "embedded-default"
"""Stands for the officer in deliveries to the notification file, which is used while officers.yaml names nobody."""
FILE_CHANNEL = "file://"


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who is told.

    Attributes:
        officers: those who get the notification.
        asked: of them, those who stand on the alert's present rung and may have to acknowledge.
        nobody: why none of those whom the alert concerns can be told; empty when somebody can.
    """

    officers: Sequence[Officer]
    asked: Sequence[Officer] = ()
    nobody: str = ""


@dataclass(frozen=True, slots=True)
class Announcer:
    """Adds to a decision the notification that is due.

    Args:
        officers: gives the officers who are configured now.
        rules: gives the rules that are valid now.
        calendar: gives the calendar that is valid now, for the term of law.
        renderer: writes the words.
        notification_file: where notifications go while no officer is configured at all.
    """

    officers: Callable[[], Officers]
    rules: Callable[[], AlertingRules]
    calendar: Callable[[], Calendar]
    renderer: Renderer
    notification_file: Path | None

    def change(self, outcome: Outcome, now: datetime, *, province_tells: bool = False) -> Change:
        """What is to be written: the decision, and when its alert is due the notification with it.

        `province_tells` says that an alert of the same class is open for the whole province: reminders are left out.
        """
        due = decide.ring(outcome.case, now)
        alert = due.case.alert
        events = outcome.events + due.events
        if due.notify is None or alert is None:
            return Change(due.case, events)
        if due.notify is Reason.RESOLVED:
            deliveries = self._deliveries(due.case, alert, due.notify, self._those_who_know(alert), now)
            closed = decide.told_closed(due.case, _targets(deliveries))
            return Change(closed.case, events, deliveries)
        if due.notify is Reason.REMINDER and province_tells:
            log.info("reminder_left_out", alert=str(alert.alert_id), because="the province has an open alert")
            return Change(decide.postponed(due.case, self.rules(), now).case, events)
        rung = self._rung(due.case, alert, due.notify, now)
        recipients = self._recipients(due.case, alert, due.notify, rung, now)
        if rung is None or (due.notify in (Reason.UNREACHED, Reason.RETRY) and not recipients.officers):
            return Change(decide.nobody_left(due.case, due.notify, self.rules(), now).case, events)
        deliveries = self._deliveries(due.case, alert, due.notify, recipients.officers, now)
        if recipients.nobody:
            log.error("nobody_to_tell", alert=str(alert.alert_id), region=due.case.region_code)
        report_until = self._report_until(due.case, alert)
        told = decide.told(
            due.case,
            _targets(deliveries),
            self.rules(),
            now,
            reason=due.notify,
            rung=rung,
            asked=[officer.id for officer in recipients.asked],
            nobody=recipients.nobody,
            stand_in=due.case.risk_class is not RiskClass.NONE and _are_operators(recipients.officers),
            report_until=report_until,
            deadlines=self._deadlines(due.case, report_until),
        )
        return Change(told.case, events + told.events, deliveries)

    def text(self, case: Case, alert: Alert, reason: Reason, now: datetime, officers: Sequence[Officer]) -> Text:
        """The words of a notification, in the forms that the channels of these officers carry."""
        channels = [(kind_of(url), officer.content_for(url)) for officer in officers for url in officer.channels]
        html, short = (any(needs(*channel) for channel in channels) for needs in (carries_html, carries_short))
        try:
            return self.renderer.render(case, reason, self.rules(), now, html=html, short=short)
        except Exception:
            # A template broken by an edit must not keep an alert from its officers.
            log.exception("notification_text_failed", alert=str(alert.alert_id))
            return bare_text(case, alert, reason)

    def _deliveries(
        self, case: Case, alert: Alert, reason: Reason, officers: Sequence[Officer], now: datetime
    ) -> tuple[QueuedDelivery, ...]:
        number = alert.notifications + 1
        presses = reason in (Reason.REMINDER, Reason.ESCALATION, Reason.STALE)
        targets = [
            (one.id, place, channel_label(one.channels[place])) for one in officers for place in one.first_channels()
        ]
        known = reason is not Reason.RESOLVED or NOBODY_CONFIGURED in alert.reached
        if not self.officers().officers and self.notification_file and known:
            targets = [(NOBODY_CONFIGURED, 0, FILE_CHANNEL)]
        if not targets:
            return ()
        text = self.text(case, alert, reason, now, officers)
        return tuple(
            _queued(case, alert, text, officer_id, place, host, number=number, presses=presses, reason=reason)
            for officer_id, place, host in targets
        )

    # Who is told

    def _those_who_know(self, alert: Alert) -> list[Officer]:
        """Who was told of an alert that is closed; nobody, where alerting.yaml does not want the closing told."""
        if not self.rules().notify.tell_resolved:
            return []
        return [officer for id_ in alert.reached if (officer := self.officers().by_id(id_))]

    def _rung(self, case: Case, alert: Alert, reason: Reason, now: datetime) -> Rung | None:
        here = Rung(alert.step, alert.rounds)
        if reason not in (Reason.ESCALATION, Reason.STALE, Reason.DEADLINE):
            return here
        escalation = self.rules().escalation
        tellable = [step for step in range(1, len(escalation.steps) + 1) if self._stand_at(step, case, alert, now)]
        if reason is Reason.DEADLINE:
            over = sum(at <= now for at in self._deadlines(case, self._report_until(case, alert)))
            return step_above(here, tellable) if over > 1 else here
        following = next_rung(here, escalation, tellable)
        return here if following is None and reason is Reason.STALE else following

    def _recipients(self, case: Case, alert: Alert, reason: Reason, rung: Rung | None, now: datetime) -> Recipients:
        officers = self.officers()
        if not officers.officers:
            return Recipients(())
        if reason is Reason.UNREACHED:
            passed_over = {*alert.unreached, *alert.reached}
            return Recipients(officers.in_stead_of(passed_over, case.region_code, now))
        if rung is None:
            return Recipients(())
        asked = self._stand_at(rung.step, case, alert, now)
        took = [officer for id_ in alert.acknowledged_by if (officer := officers.by_id(id_))]
        if reason is Reason.DEADLINE and took and alert.state is AlertState.ACKNOWLEDGED:
            above = asked if rung.step != alert.step else []
            return Recipients(list({officer.id: officer for officer in (*took, *above)}.values()), asked)
        highest = len(self.rules().escalation.steps) if rung.rounds else rung.step
        steps = [rung.step] if reason is Reason.ESCALATION else range(highest + 1)
        told = {officer.id: officer for step in steps for officer in self._stand_at(step, case, alert, now)}
        if reason is Reason.REMINDER and alert.must_acknowledge:
            told = {id_: officer for id_, officer in told.items() if id_ not in alert.acknowledged_by}
        if reason is Reason.RETRY:
            under_way = {target.officer_id for waiting in alert.waiting for target in waiting.targets}
            return Recipients([officer for id_, officer in told.items() if id_ not in under_way], asked)
        if told:
            return Recipients(list(told.values()), asked)
        operators = [officer for officer in officers.operators(now) if officer.role is Role.OPERATOR]
        return Recipients(operators, nobody="no officer is configured or on duty for this region")

    def _stand_at(self, step: int, case: Case, alert: Alert, now: datetime) -> list[Officer]:
        officers, steps = self.officers(), self.rules().escalation.steps
        if alert.cause is Cause.CLASSIFY_FAILED:
            return [] if step else officers.operators(now)
        if alert.cause is Cause.SILENCE and not step:
            place = officers.for_place(case.region_code, (), now) if case.region_code else []
            return list({officer.id: officer for officer in (*officers.operators(now), *place)}.values())
        if 0 < step <= len(steps):
            return officers.for_step(steps[step - 1].roles, case.region_code, now)
        return officers.for_place(case.region_code, _new_districts(case), now) if not step else []

    def _report_until(self, case: Case, alert: Alert) -> datetime:
        gravest = max(case.exhibits, key=lambda exhibit: (exhibit.severity.rank, exhibit.at), default=None)
        regime = gravest.regime if gravest else Regime.PILKADA
        place = zone_info(zone_of(case.region_code)).key
        report = self.calendar().legal_clock(regime, alert.first_known_at, place)
        finding = self.calendar().finding_clock(regime, alert.first_known_at, place)
        return min(report.due_at, finding.due_at) if finding else report.due_at

    def _deadlines(self, case: Case, report_until: datetime) -> list[datetime]:
        if case.risk_class is RiskClass.NONE:
            return []  # failures and silences of the system have no term in law
        return deadline_times(report_until, self.rules().deadline, zone_info(zone_of(case.region_code)))


def _new_districts(case: Case) -> Collection[str]:
    return {exhibit.district_code for exhibit in case.exhibits if exhibit.district_code and not exhibit.told}


def _are_operators(officers: Sequence[Officer]) -> bool:
    return bool(officers) and all(officer.role is Role.OPERATOR for officer in officers)


def _targets(deliveries: Sequence[QueuedDelivery]) -> list[Target]:
    return [Target(delivery.officer_id, delivery.channel) for delivery in deliveries]


def _queued(
    case: Case,
    alert: Alert,
    text: Text,
    officer_id: str,
    place: int,
    host: str,
    *,
    number: int,
    presses: bool,
    reason: Reason,
) -> QueuedDelivery:
    return QueuedDelivery(
        delivery_id=uuid5(alert.alert_id, f"{number}/{officer_id}/{place}"),
        alert_id=alert.alert_id,
        case_key=case_key(case.region_code, case.risk_class, case.subject),
        number=number,
        officer_id=officer_id,
        channel=place,
        host=host,
        title=text.title,
        body=text.plain,
        html=text.html,
        short=text.short,
        sms=text.sms if text.sms != text.title else "",
        severity=alert.severity,
        newest_report_at=alert.last_known_at,
        presses=presses,
        reason=reason,
    )
