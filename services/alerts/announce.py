"""From "this alert must be told now" to deliveries: who is told, over which channels, with which words."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid5

import structlog

from services.alerts import decide
from services.alerts.case import Alert, Case, Cause, Reason
from services.alerts.channels import channel_label, takes_html
from services.alerts.decide import Outcome
from services.alerts.officers import Officer, Officers
from services.alerts.render import Renderer, Text, bare_text
from services.alerts.rules import AlertingRules
from services.alerts.store import Change, QueuedDelivery, case_key

log = structlog.get_logger()

NOBODY_CONFIGURED = "embedded-default"
"""Stands for the officer in deliveries to the notification file, which is used while officers.yaml names nobody."""
FILE_CHANNEL = "file://"


@dataclass(frozen=True, slots=True)
class Announcer:
    """Adds to a decision the notification that is due.

    Args:
        officers: gives the officers who are configured now.
        rules: gives the rules that are valid now.
        renderer: writes the words.
        notification_file: where notifications go while no officer is configured at all.
    """

    officers: Callable[[], Officers]
    rules: Callable[[], AlertingRules]
    renderer: Renderer
    notification_file: Path | None

    def change(self, outcome: Outcome, now: datetime) -> Change:
        """What is to be written: the decision, and when its alert is due the notification with it."""
        due = decide.ring(outcome.case, now)
        alert = due.case.alert
        if due.notify is None or alert is None:
            return Change(due.case, outcome.events)
        deliveries = self._deliveries(due.case, alert, due.notify, now)
        told = decide.told(due.case, len(deliveries), self.rules(), now)
        return Change(told.case, outcome.events + told.events, deliveries)

    def _deliveries(self, case: Case, alert: Alert, reason: Reason, now: datetime) -> tuple[QueuedDelivery, ...]:
        channels = self._channels(case, alert)
        if not channels:
            log.error("nobody_to_tell", alert=str(alert.alert_id), region=case.region_code)
            return ()
        try:
            text = self.renderer.render(case, reason, self.rules(), now)
        except Exception:
            # A template broken by an edit must not keep an alert from its officers.
            log.exception("notification_text_failed", alert=str(alert.alert_id))
            text = bare_text(case, alert, reason)
        return tuple(
            _queued(case, alert, reason, text, officer_id=officer_id, place=place, label=label, html=html)
            for officer_id, place, label, html in channels
        )

    def _channels(self, case: Case, alert: Alert) -> list[tuple[str, int, str, bool]]:
        officers = self.officers()
        if not officers.officers:
            return [(NOBODY_CONFIGURED, 0, FILE_CHANNEL, False)] if self.notification_file else []
        return [
            (officer.id, place, channel_label(url), takes_html(url))
            for officer in self._recipients(officers, case, alert)
            for place, url in enumerate(officer.channels)
        ]

    @staticmethod
    def _recipients(officers: Officers, case: Case, alert: Alert) -> list[Officer]:
        if alert.cause is Cause.CLASSIFY_FAILED:
            return officers.operators()
        districts = {exhibit.district_code for exhibit in case.exhibits if exhibit.district_code and not exhibit.told}
        return officers.for_place(case.region_code, districts)


def _queued(
    case: Case, alert: Alert, reason: Reason, text: Text, *, officer_id: str, place: int, label: str, html: bool
) -> QueuedDelivery:
    number = alert.notifications + 1
    return QueuedDelivery(
        delivery_id=uuid5(alert.alert_id, f"{number}/{officer_id}/{place}"),
        alert_id=alert.alert_id,
        case_key=case_key(case.region_code, case.risk_class),
        number=number,
        officer_id=officer_id,
        channel=place,
        host=label,
        title=text.title,
        body=text.html if html else text.plain,
        html=html,
        newest_report_at=alert.last_known_at,
        reminder=reason is Reason.REMINDER,
    )
