"""The work of the service: takes assessments in, and looks at alerts whose time has come."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog
from msgspec.structs import replace

from services.alerts import decide, heartbeat, patterns
from services.alerts.announce import Announcer
from services.alerts.baseline import Background, Tally
from services.alerts.case import Alert, Case, News
from services.alerts.decide import Outcome
from services.alerts.intake import concerns, glance, news_of, read
from services.alerts.ledger import Ledger, Standing
from services.alerts.patterns import Hit, hits_of
from services.alerts.places import Places
from services.alerts.rules import AlertingRules
from services.alerts.store import CaseStore, Change, Decide, case_key, province_of
from shared.bus.errors import DependencyAwayError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.contracts import AlertState, RiskClass
from shared.observability import metrics

log = structlog.get_logger()

TICK_SECONDS = 0.5
AROUND_SECONDS = 20


class Watch:
    """Decides on flagged regions; any number may run, since every change of a case is compare-and-set.

    Args:
        store: where cases are kept.
        announcer: adds the notification to a decision.
        rules: gives the rules that are valid now.
        clock: gives the time.
        announced: called after something may have been put into the outbox.
        ledger: what is remembered beside the cases.
        places: names and parts of the regions.
    """

    def __init__(
        self,
        store: CaseStore,
        ledger: Ledger,
        places: Places,
        announcer: Announcer,
        rules: Callable[[], AlertingRules],
        clock: Callable[[], datetime],
        announced: Callable[[], None],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._places = places
        self._tallies: dict[tuple[str, RiskClass], Tally] = {}
        self._background = Background()
        self._touched: set[str] = set(places.regencies)
        self._announcer = announcer
        self._rules = rules
        self._clock = clock
        self._announced = announced
        self._officers_changed = False

    async def handle(self, batch: Sequence[Message], _outbox: Outbox) -> None:
        """Take in a batch of assessments.

        Its effects are written here, each case by its own compare-and-set, and not with the acknowledgement: after a
        crash in between the batch comes again, finds its reports known, and changes nothing.

        Raises:
            UnprocessableError: a message is no assessment; nothing of the batch has been taken in.
            DependencyAwayError: Redis does not answer.
        """
        rules = self._rules()
        found: list[tuple[str, Case, News, Standing | None]] = []
        heard: dict[str, list[datetime]] = defaultdict(list)
        hits: list[Hit] = []
        for message in batch:
            glanced = glance(message.body)
            report = glanced.report
            for who in heartbeat.heard(report.source, report.region.code if report.region else ""):
                heard[who].append(report.received_at)
            assessment = read(message.body) if glanced.raises_something else None
            case = concerns(assessment, rules) if assessment else None
            if assessment and case:
                key = case_key(case.region_code, case.risk_class)
                standing = Standing(key, assessment.report.edition) if assessment.report.parts else None
                found.append((key, case, news_of(assessment), standing))
                hits += hits_of(assessment, rules)
        if found:
            await self._take_in(found, rules)
            self._announced()
        await self._ledger.note(heard, hits, rules)
        await self._store.hold()
        self._touched.update(hit.place[:2] for hit in hits)

    async def _take_in(self, found: Sequence[tuple[str, Case, News, Standing | None]], rules: AlertingRules) -> None:
        """Take news in to their cases: of reports that grow the newest edition, in the case where it belongs now."""
        growing: dict[UUID, list[Standing]] = defaultdict(list)
        for _, _, item, standing in found:
            if standing:
                growing[item.sighting.report_id].append(standing)
        before = await self._ledger.stands(list(growing))
        stands = {
            id_: max([*some, *([before[id_]] if id_ in before else [])], key=lambda one: one.edition)
            for id_, some in growing.items()
        }
        cases: dict[str, Case] = {}
        news: dict[str, list[News]] = defaultdict(list)
        for key, case, item, standing in found:
            if standing is None or standing == stands[item.sighting.report_id]:
                cases[key] = case
                news[key].append(item)
        left: dict[str, list[UUID]] = defaultdict(list)
        for id_, standing in before.items():
            if standing.case_key != stands[id_].case_key:
                left[standing.case_key].append(id_)
        # Noted last: after a crash in between all of it is done again, and changes nothing where it was done.
        await self._store.update({key: self._taking_in(case, news[key], rules) for key, case in cases.items()})
        await self._store.update({key: self._letting_go(ids) for key, ids in left.items()})
        await self._ledger.note_stands(stands)

    def _letting_go(self, report_ids: Collection[UUID]) -> Decide:
        def decided(stored: Case | None) -> Change | None:
            outcome = decide.let_go(stored, report_ids, self._clock()) if stored else None
            return None if outcome is None or outcome.case is stored else Change(outcome.case, outcome.events)

        return decided

    def _taking_in(self, empty: Case, news: Sequence[News], rules: AlertingRules) -> Decide:
        def decided(stored: Case | None) -> Change | None:
            now = self._clock()
            # A case that was forgotten, or is new, knows still what is usual there.
            before = stored or replace(empty, tally=self._tallies.get((empty.region_code, empty.risk_class)))
            outcome = decide.absorb(before, news, rules, now, self._background)
            return None if outcome.case is before else self._announcer.change(outcome, now)

        return decided

    def officers_changed(self) -> None:
        """At the next look, tell those who are configured now what nobody could be told before."""
        self._officers_changed = True

    async def look_at_due(self) -> int:
        """Tell what is due to be told. Returns how many cases were looked at; raises `DependencyAwayError`."""
        if self._officers_changed:
            await self._store.update(dict.fromkeys(await self._store.untold(), self._try_again))
            self._officers_changed = False
            self._announced()
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

    def _try_again(self, stored: Case | None) -> Change | None:
        if stored is None:
            return None
        now = self._clock()
        outcome = decide.tried_again(stored, now)
        return None if outcome.case is stored else self._announcer.change(outcome, now)

    async def look_around(self) -> None:
        """Learn what is usual, and look for patterns and silences. Raises `DependencyAwayError`."""
        rules, now = self._rules(), self._clock()
        self._tallies = await self._ledger.tallies()
        self._background = Background.of(self._tallies, self._places.regencies, rules.flag.usual, now)
        metrics.untold_alerts.set(len(await self._store.untold()))
        await self._look_for_patterns(rules, now)
        await self._look_for_silences(rules, now)
        self._announced()

    async def _look_for_patterns(self, rules: AlertingRules, now: datetime) -> None:
        touched, self._touched = self._touched, set()
        try:
            for province in sorted(touched):
                hits = await self._ledger.hits(province, now - rules.flag.pattern.window)
                decisions = {
                    case_key(code, risk_class, patterns.SUBJECT): self._deciding(
                        patterns.empty_case(code, risk_class, self._places),
                        partial(patterns.look, hits=theirs, places=self._places, rules=rules, now=now),
                    )
                    for (code, risk_class), theirs in patterns.regions_of(hits).items()
                    if len({hit.place for hit in theirs}) >= rules.flag.pattern.places
                }
                await self._store.update(decisions)
        except DependencyAwayError:
            self._touched |= touched
            raise

    async def _look_for_silences(self, rules: AlertingRules, now: datetime) -> None:
        pulses = await self._ledger.pulses()
        decisions: dict[str, Decide] = {}
        opened = {key for key in (await self._store.alert_keys()).values() if f":{heartbeat.SUBJECT}" in key}
        for who, pulse in pulses.items():
            case = heartbeat.case_of(who, self._places)
            key = case_key(case.region_code, case.risk_class, case.subject)
            if key in opened:
                decisions[key] = self._deciding(case, partial(heartbeat.heard_again, pulse=pulse, now=now))
        await self._store.update(decisions)
        decisions = {}
        for silence in heartbeat.silences(pulses, rules.flag.heartbeat, now):
            case = heartbeat.case_of(silence.who, self._places)
            decide_ = partial(heartbeat.fell_silent, silence=silence, rules=rules, now=now)
            decisions[case_key(case.region_code, case.risk_class, case.subject)] = self._deciding(case, decide_)
        await self._store.update(decisions)

    def _deciding(self, empty: Case, act: Callable[[Case], Outcome]) -> Decide:
        def decided(stored: Case | None) -> Change | None:
            before = stored or empty
            outcome = act(before)
            return None if outcome.case is before else self._announcer.change(outcome, self._clock())

        return decided

    async def run_around(self) -> None:
        """Look around, until cancelled."""
        while True:
            try:
                await self.look_around()
            except DependencyAwayError as error:
                log.debug("ledger_away", error=str(error))
            await asyncio.sleep(AROUND_SECONDS)

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
