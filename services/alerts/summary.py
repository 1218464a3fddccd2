"""One summary instead of many notifications: what was held back for an officer, told when there is room for it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import uuid5

import structlog

from services.alerts import decide
from services.alerts.announce import Announcer
from services.alerts.case import Alert, Case, Progress, Reason
from services.alerts.channels import channel_label
from services.alerts.officers import Officer, Officers
from services.alerts.render import Text, bare_summary, summary_of
from services.alerts.rules import AlertingRules
from services.alerts.store import CaseStore, Change, Decide, Held, QueuedDelivery, case_key
from shared.bus.errors import DependencyAwayError

log = structlog.get_logger()

TICK_SECONDS = 0.5


class Summaries:
    """Releases what is held back, as soon as its officer may be told; any number may run.

    Args:
        store: where it is kept.
        announcer: writes the words of a single alert.
        officers, rules: give what is configured now.
        clock: gives the time.
        announced: called after something was put into the outbox.
    """

    def __init__(
        self,
        store: CaseStore,
        announcer: Announcer,
        officers: Callable[[], Officers],
        rules: Callable[[], AlertingRules],
        clock: Callable[[], datetime],
        announced: Callable[[], None],
    ) -> None:
        self._store = store
        self._announcer = announcer
        self._officers = officers
        self._rules = rules
        self._clock = clock
        self._announced = announced

    async def run(self) -> None:
        """Look at what is held back, until cancelled."""
        while True:
            try:
                await self.release_due()
            except DependencyAwayError as error:
                log.debug("held_away", error=str(error))
            await asyncio.sleep(TICK_SECONDS)

    async def release_due(self) -> None:
        """Hand over every summary whose time has come. Raises `DependencyAwayError`."""
        for officer_id in await self._store.held_due(self._clock()):
            held = await self._store.held(officer_id)
            if officer := self._officers().by_id(officer_id):
                await self._release(held, officer)
            else:
                await self._drop(held)

    async def _release(self, held: Held, officer: Officer) -> None:
        now = self._clock()
        cases = await self._waiting(held, officer.id)
        if not cases:
            await self._store.release(held, ())
            return
        until = officer.quiet_until(now) or await self._without_room(officer, cases, now)
        if until:
            await self._store.hold_until(officer.id, until)
        elif await self._store.release(held, self._deliveries(officer, cases, now)):
            self._announced()

    async def _without_room(
        self, officer: Officer, cases: Sequence[tuple[Case, Alert]], now: datetime
    ) -> datetime | None:
        gravest = max((alert.severity for _, alert in cases), key=lambda severity: severity.rank)
        return await self._store.room_for(
            officer.id, f"summary/{now.isoformat()}", self._rules().limits.of(gravest), now
        )

    async def _waiting(self, held: Held, officer_id: str) -> list[tuple[Case, Alert]]:
        """The alerts still worth telling, gravest first.

        Those that nobody has taken, silenced or closed meanwhile, and those of which the closing itself was held back.
        """
        found = [
            (case, case.alert)
            for alert_id, case in zip(held.alerts, await self._store.cases(list(held.alerts.values())), strict=True)
            if case and case.alert and case.alert.alert_id == alert_id and case.alert.held_for(officer_id)
        ]
        return sorted(found, key=lambda one: (-one[1].severity.rank, one[1].opened_at))

    async def _drop(self, held: Held) -> None:
        """The officer is not configured any more; whoever stands above is told where nobody else was."""

        def gone(case: Case | None) -> Change | None:
            if case is None or case.alert is None or case.alert.alert_id not in held.alerts:
                return None
            after = decide.summarised(case, case.alert.alert_id, held.officer_id, Progress.GIVEN_UP, self._clock())
            return Change(after.case, after.events)

        decisions: dict[str, Decide] = dict.fromkeys(held.alerts.values(), gone)
        await self._store.update(decisions)
        await self._store.release(held, ())

    def _deliveries(self, officer: Officer, cases: Sequence[tuple[Case, Alert]], now: datetime) -> list[QueuedDelivery]:
        case, alert = cases[0]
        reason = alert.held_for(officer.id) or Reason.REMINDER
        alone = len(cases) == 1
        text = self._announcer.text(case, alert, reason, now, [officer]) if alone else summary_text(cases)
        return [
            QueuedDelivery(
                delivery_id=uuid5(alert.alert_id, f"summary/{officer.id}/{place}/{now.isoformat()}"),
                alert_id=alert.alert_id,
                case_key=case_key(case.region_code, case.risk_class, case.subject),
                number=0,
                officer_id=officer.id,
                channel=place,
                host=channel_label(officer.channels[place]),
                title=text.title,
                body=text.plain,
                html=text.html,
                short=text.short,
                sms=text.sms,
                severity=alert.severity,
                newest_report_at=max(one.last_known_at for _, one in cases),
                presses=True,
                reason=reason,
                summary_of=tuple(
                    (one.alert_id, case_key(of.region_code, of.risk_class, of.subject)) for of, one in cases
                ),
            )
            for place in officer.first_channels()
        ]


def summary_text(cases: Sequence[tuple[Case, Alert]]) -> Text:
    """The words of a summary of several alerts."""
    try:
        return summary_of(cases)
    except Exception:
        # As with a single alert: a template broken by an edit must keep nothing from its officers.
        log.exception("summary_text_failed", alerts=len(cases))
        return bare_summary(cases)
