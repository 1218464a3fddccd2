"""The work of the service: takes assessments in, and looks at alerts whose time has come."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from services.alerts import decide
from services.alerts.announce import Announcer
from services.alerts.case import Alert, Case, News
from services.alerts.decide import Outcome
from services.alerts.intake import concerns, news_of, read
from services.alerts.rules import AlertingRules
from services.alerts.store import CaseStore, Change, Decide, case_key, province_of
from shared.bus.errors import DependencyAwayError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.contracts import AlertState

log = structlog.get_logger()

TICK_SECONDS = 0.5


class Watch:
    """Decides on flagged regions; any number may run, since every change of a case is compare-and-set.

    Args:
        store: where cases are kept.
        announcer: adds the notification to a decision.
        rules: gives the rules that are valid now.
        clock: gives the time.
        announced: called after something may have been put into the outbox.
    """

    def __init__(
        self,
        store: CaseStore,
        announcer: Announcer,
        rules: Callable[[], AlertingRules],
        clock: Callable[[], datetime],
        announced: Callable[[], None],
    ) -> None:
        self._store = store
        self._announcer = announcer
        self._rules = rules
        self._clock = clock
        self._announced = announced

    async def handle(self, batch: Sequence[Message], _outbox: Outbox) -> None:
        """Take in a batch of assessments.

        Its effects are written here, each case by its own compare-and-set, and not with the acknowledgement: after a
        crash in between the batch comes again, finds its reports known, and changes nothing.

        Raises:
            UnprocessableError: a message is no assessment; nothing of the batch has been taken in.
            DependencyAwayError: Redis does not answer.
        """
        rules = self._rules()
        cases: dict[str, Case] = {}
        news: dict[str, list[News]] = defaultdict(list)
        for message in batch:
            assessment = read(message.body)
            case = concerns(assessment, rules) if assessment else None
            if assessment and case:
                key = case_key(case.region_code, case.risk_class)
                cases[key] = case
                news[key].append(news_of(assessment))
        if cases:
            await self._store.update({key: self._taking_in(case, news[key], rules) for key, case in cases.items()})
            self._announced()

    def _taking_in(self, empty: Case, news: Sequence[News], rules: AlertingRules) -> Decide:
        def decided(stored: Case | None) -> Change | None:
            now = self._clock()
            before = stored or empty
            outcome = decide.absorb(before, news, rules, now)
            return None if outcome.case is before else self._announcer.change(outcome, now)

        return decided

    async def look_at_due(self) -> int:
        """Tell what is due to be told. Returns how many cases were looked at; raises `DependencyAwayError`."""
        keys = await self._store.due(self._clock())
        if keys:
            provinces = await self._provinces_that_tell(keys)
            await self._store.update({key: self._due(province_of(key) in provinces) for key in keys})
            self._announced()
        return len(keys)

    async def _provinces_that_tell(self, keys: Sequence[str]) -> set[str]:
        """Of the provinces around these cases, those with an open alert of the same class that has been told."""
        provinces = sorted({province for key in keys if (province := province_of(key))})
        cases = await self._store.cases(provinces)
        return {key for key, case in zip(provinces, cases, strict=True) if case and case.alert and tells(case.alert)}

    def _due(self, province_tells: bool) -> Decide:
        def decided(stored: Case | None) -> Change | None:
            if stored is None:
                return None
            change = self._announcer.change(Outcome(stored), self._clock(), province_tells=province_tells)
            return None if change.case is stored else change

        return decided

    async def run(self) -> None:
        """Look at what is due, until cancelled."""
        while True:
            try:
                await self.look_at_due()
            except DependencyAwayError as error:
                log.debug("cases_away", error=str(error))
            await asyncio.sleep(TICK_SECONDS)


def tells(alert: Alert) -> bool:
    """Whether officers hear of this alert, so that it may speak for those inside its province."""
    return alert.is_open and alert.told_at is not None and alert.state is not AlertState.SILENCED
