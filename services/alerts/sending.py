"""Sends what waits in the outbox: each host on its own, so that a slow or dead one delays no other.

A delivery is leased before it is sent and settled after. A process that is killed in between leaves its lease to end;
then the delivery is sent again, and says that it may have come already: an officer may be told twice at most once for
each such death, and never not at all. A channel that keeps failing is still tried, but others are told besides.
"""

import asyncio
import contextlib
import random
import re
from _thread import start_new_thread
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar
from uuid import UUID, uuid5

import structlog
from msgspec.structs import replace

from services.alerts import decide
from services.alerts.announce import NOBODY_CONFIGURED
from services.alerts.case import Alert, Case, Progress, Reason, Target
from services.alerts.channels import (
    ChannelError,
    Notification,
    channel_label,
    send_by_apprise,
    send_to_file,
    without_secrets,
)
from services.alerts.letter import Content, Kind, Words, fit, kind_of
from services.alerts.links import Links
from services.alerts.officers import Officer, Officers
from services.alerts.rules import AlertingRules, Sending
from services.alerts.store import CaseStore, Change, Claimed, Decide, Hold, QueuedDelivery, Settlement
from services.alerts.together import Together
from shared.bus.errors import DependencyAwayError
from shared.contracts import AlertState, Delivery, Severity
from shared.observability import metrics

log = structlog.get_logger()

T = TypeVar("T")

AT_ONCE = 64
"""Deliveries under way in one process, over all hosts."""
POLL_SECONDS = 0.2
DRAIN_SECONDS = 3.0
_AWAY_PAUSE_SECONDS = 0.5
_NEWS = (Reason.FIRST, Reason.EVIDENCE, Reason.SEVERITY)
"""Reasons whose delay counts from the newest report."""
_PROGRESS = {"sent": Progress.SENT, "abandoned": Progress.GIVEN_UP, "held": Progress.HELD}


_MAYBE_KNOWN = "Pesan ini mungkin sudah Anda terima: pengiriman sebelumnya terputus tanpa kepastian."
_BODY_TAG = re.compile(r"<body[^>]*>")


class NotWantedError(Exception):
    """The delivery is not to be sent any more; the words say why."""


class HeldBackError(Exception):
    """The officer is to be told later, in a summary.

    Args:
        why: in words for the record.
        until: not before then.
    """

    def __init__(self, why: str, until: datetime) -> None:
        super().__init__(f"{why}; not before {until.isoformat(timespec='minutes')}")
        self.until = until


class NoAnswerError(ChannelError):
    """Whether the channel took the notification is not known."""


@dataclass(frozen=True, slots=True)
class _Result:
    outcome: Literal["sent", "failed", "abandoned", "held"]
    error: str = ""
    channel_failed: bool = False
    outcome_known: bool = True
    until: datetime | None = None


def retry_delay(attempt: int, sending: Sending, chance: float) -> timedelta:
    """The pause after failed attempt number `attempt` (from 1): doubling, bounded, spread by `chance` (0 to 1)."""
    seconds = min(sending.longest_retry_seconds, sending.first_retry_seconds * 2 ** min(attempt - 1, 40))
    return timedelta(seconds=seconds * (0.75 + chance / 2))


@dataclass(slots=True)
class Sender:
    """The worker of the outbox; any number may run.

    Args:
        store: where deliveries wait.
        officers, rules: give what is configured now.
        notification_file: the channel while no officer is configured.
        clock: gives the time.
        links: makes the links by which officers act; `None` without a key.
    """

    store: CaseStore
    officers: Callable[[], Officers]
    rules: Callable[[], AlertingRules]
    notification_file: Path | None
    clock: Callable[[], datetime]
    links: Callable[[], Links | None] = lambda: None
    _busy: Counter[str] = field(default_factory=Counter)
    _failing: set[str] = field(default_factory=set)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _case: Together[str, Case | None] = field(init=False)
    """Reads a case; those of several deliveries in one round trip."""
    _update: Together[tuple[str, Decide], None] = field(init=False)
    """Changes a case likewise."""

    def __post_init__(self) -> None:
        self._case = Together(self.store.cases)
        self._update = Together(self._update_all)

    @property
    def under_way(self) -> int:
        """Deliveries that this process is sending now."""
        return len(self._under_way)

    def wake(self) -> None:
        """Look at the outbox now: something was put into it."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled; what is under way then gets a few seconds to end."""
        try:
            while True:
                try:
                    found = await self.send_due()
                except DependencyAwayError as error:
                    log.debug("outbox_away", error=str(error))
                    await asyncio.sleep(_AWAY_PAUSE_SECONDS)
                    continue
                if not found:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
                    self._wake.clear()
        finally:
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=DRAIN_SECONDS)
            for task in list(self._under_way):
                task.cancel()

    async def send_due(self) -> int:
        """Lease what is due and start sending it. Returns how many; raises `DependencyAwayError`."""
        sending = self.rules().sending
        room = {host: self._room(host, sending) for host in await self.store.hosts()}
        claimed = await self.store.claim(room, self.clock(), timedelta(seconds=sending.lease_seconds))
        for item in claimed:
            self._busy[item.delivery.host] += 1
            task = asyncio.create_task(self._deliver(item))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(claimed)

    def _room(self, host: str, sending: Sending) -> int:
        allowed = 1 if host in self._failing else sending.at_once_per_host
        return max(0, min(allowed - self._busy[host], AT_ONCE - self._busy.total()))

    # One delivery

    async def _deliver(self, claimed: Claimed) -> None:
        delivery, sending = claimed.delivery, self.rules().sending
        try:
            result = await self._attempt(claimed, sending)
            now = self.clock()
            record = Delivery(
                delivery_id=delivery.delivery_id,
                alert_id=delivery.alert_id,
                at=now,
                officer_id=delivery.officer_id,
                channel=delivery.host,
                outcome=result.outcome,
                attempt=claimed.attempt,
                error=result.error,
                title=delivery.title,
                latency_ms=max(0, int((now - delivery.newest_report_at).total_seconds() * 1000)),
            )
            await self._record(delivery, record, result, sending, now)
        except Exception:
            # The lease ends by itself and the delivery comes again; the worker must live on for the others.
            log.exception("delivery_failed", delivery=str(delivery.delivery_id))

    async def _attempt(self, claimed: Claimed, sending: Sending) -> _Result:
        delivery = claimed.delivery
        started = False
        try:
            if claimed.attempt > sending.attempts:
                raise NotWantedError("the service died in every attempt")
            send = await self._way_out(claimed, sending)
            started = True
            await self._in_own_thread(send, delivery.host, sending.timeout_seconds)
        except NotWantedError as error:
            return _Result("abandoned", str(error))
        except HeldBackError as error:
            return _Result("held", str(error), until=error.until)
        except ChannelError as error:
            self._failing.add(delivery.host)
            outcome: Literal["abandoned", "failed"] = "abandoned" if claimed.attempt >= sending.attempts else "failed"
            known = not isinstance(error, NoAnswerError)
            return _Result(outcome, str(error), channel_failed=True, outcome_known=known)
        finally:
            if not started:
                self._busy[delivery.host] -= 1
        self._failing.discard(delivery.host)
        return _Result("sent")

    async def _way_out(self, claimed: Claimed, sending: Sending) -> Callable[[], None]:
        delivery = claimed.delivery
        await self._patiently(lambda: self._check_wanted(delivery))
        if delivery.officer_id == NOBODY_CONFIGURED:
            path = self.notification_file
            if path is None:
                raise NotWantedError("there is no notification file any more")
            notification = self._letter(claimed, Kind.PLAIN, Content.FULL)
            return lambda: send_to_file(path, notification)
        officer = self.officers().by_id(delivery.officer_id)
        if officer is None or delivery.channel >= len(officer.channels):
            raise NotWantedError("the officer or channel is not configured any more")
        await self._patiently(lambda: self._check_may_be_told(delivery, officer))
        url = officer.channels[delivery.channel]
        notification = self._letter(claimed, kind_of(url), officer.content_for(url))

        def send() -> None:
            try:
                send_by_apprise(url, notification, sending.timeout_seconds)
            except ChannelError:
                raise
            except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; its words may hold the URL)
                raise ChannelError(without_secrets(f"{type(error).__name__}: {error}", url)[:300]) from None

        return send

    def _letter(self, claimed: Claimed, kind: Kind, content: Content) -> Notification:
        delivery, links = claimed.delivery, self.links()
        plain, html, short = delivery.body, delivery.html, delivery.short or delivery.title
        if claimed.unsure:
            plain, short = _with_note(plain, html=False), f"{short}\n{_MAYBE_KNOWN}"
            html = _with_note(html, html=True) if html else ""
        single = links is not None and not delivery.summary_of
        link = links.url(delivery.alert_id, delivery.officer_id, self.clock()) if links and single else ""
        how = (
            f"Rincian: salingjaga alerts show {delivery.alert_id}"
            if not delivery.summary_of
            else "Rincian: salingjaga alerts list"
        )
        return fit(Words(delivery.title, short, plain, html, how, delivery.sms), kind, content, link)

    async def _check_wanted(self, delivery: QueuedDelivery) -> None:
        """Raises `NotWantedError` when sending it would tell nobody anything any more."""
        if delivery.summary_of:
            cases = await self.store.cases([key for _, key in delivery.summary_of])
            ids = [alert_id for alert_id, _ in delivery.summary_of]
            if not any(
                case and case.alert and case.alert.alert_id == id_ and case.alert.held_for(delivery.officer_id)
                for id_, case in zip(ids, cases, strict=True)
            ):
                raise NotWantedError("all its alerts were taken or resolved before this could be sent")
            return
        case = await self._case(delivery.case_key)
        alert = case.alert if case else None
        if alert and alert.alert_id == delivery.alert_id and delivery.reason is Reason.RESOLVED:
            return
        if alert is None or alert.alert_id != delivery.alert_id or alert.state is AlertState.RESOLVED:
            raise NotWantedError("the alert was resolved before this could be sent")
        if alert.state is AlertState.SILENCED:
            raise NotWantedError("the alert was silenced before this could be sent")
        if alert.state is AlertState.ACKNOWLEDGED and delivery.presses:
            raise NotWantedError("the alert was acknowledged before this could be sent")
        if self._told_over_another(delivery, alert):
            raise NotWantedError("the officer was told over the next channel")

    def _told_over_another(self, delivery: QueuedDelivery, alert: Alert) -> bool:
        officer = self.officers().by_id(delivery.officer_id)
        return bool(officer and officer.channels_order == "first") and any(
            target.officer_id == delivery.officer_id and target.progress is Progress.SENT
            for waiting in alert.waiting
            if waiting.number == delivery.number
            for target in waiting.targets
        )

    async def _check_may_be_told(self, delivery: QueuedDelivery, officer: Officer) -> None:
        """Raises `HeldBackError` in the officer's quiet hours, and when there were too many within the hour."""
        if delivery.summary_of:
            return
        now, limits = self.clock(), self.rules().limits
        quiet_until = officer.quiet_until(now)
        if quiet_until and delivery.severity is not Severity.CRITICAL:
            raise HeldBackError("quiet hours", quiet_until)
        limit = limits.of(delivery.severity)
        if until := await self.store.room_for(officer.id, f"{delivery.alert_id}/{delivery.number}", limit, now):
            raise HeldBackError(f"{limit} notifications within an hour", until)

    async def _in_own_thread(self, send: Callable[[], None], host: str, timeout_seconds: float) -> None:
        """Run `send` in a thread that holds its host's room until it really ends, and holds up no exit.

        Raises `ChannelError`, also when there is no answer in time.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()

        def finish(error: Exception | None) -> None:
            self._busy[host] -= 1
            self._wake.set()
            if answer.done():
                return
            if error:
                answer.set_exception(error)
            else:
                answer.set_result(None)

        def work() -> None:
            error: Exception | None = None
            try:
                send()
            except Exception as problem:  # noqa: BLE001 (handed to the waiting task)
                error = problem
            with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(finish, error)

        try:
            # Not `threading.Thread`, whose start waits for the thread: here nothing else would go on meanwhile.
            start_new_thread(work, ())
        except RuntimeError as error:
            finish(None)
            raise ChannelError(f"no thread to send with: {error}") from None
        try:
            await asyncio.wait_for(answer, timeout_seconds)
        except TimeoutError:
            raise NoAnswerError(f"no answer within {timeout_seconds:g} seconds") from None

    async def _record(
        self, delivery: QueuedDelivery, record: Delivery, result: _Result, sending: Sending, now: datetime
    ) -> None:
        again_at = now + retry_delay(record.attempt, sending, random.random()) if result.outcome == "failed" else None
        settlement = Settlement(delivery, record, again_at, result.outcome_known)
        fails_over = result.channel_failed and (
            result.outcome == "abandoned" or record.attempt >= sending.failover_after_attempts
        )
        progress = Progress.FAILING if result.outcome == "failed" else _PROGRESS[result.outcome]
        if delivery.summary_of:
            await self._record_summary(settlement, progress, now, fails_over=fails_over)
        elif result.outcome == "failed" and not fails_over:
            await self._patiently(
                lambda: self._update((delivery.case_key, lambda _: Change(None, settlement=settlement)))
            )
        else:
            settle = self._settling(settlement, result, progress, now)
            await self._patiently(lambda: self._update((delivery.case_key, settle)))
        metrics.deliveries.labels(record.outcome).inc()
        if record.outcome == "sent" and delivery.reason in _NEWS and not delivery.summary_of:
            metrics.notify_seconds.observe(record.latency_ms / 1000)
        level = log.info if record.outcome in ("sent", "held") else log.warning
        level(
            f"notification_{record.outcome}",
            title=delivery.title,
            reason=delivery.reason.value,
            officer=delivery.officer_id,
            channel=delivery.host,
            attempt=record.attempt,
            error=record.error,
            **({"file": str(self.notification_file)} if delivery.officer_id == NOBODY_CONFIGURED else {}),
        )

    async def _update_all(self, decisions: Sequence[tuple[str, Decide]]) -> list[None]:
        waiting = decisions
        while waiting:
            first: dict[str, Decide] = {}
            later = []
            for key, decision in waiting:  # of each case one decision at a time
                if first.setdefault(key, decision) is not decision:
                    later.append((key, decision))
            await self.store.update(first)
            waiting = later
        return [None] * len(decisions)

    def _settling(self, settlement: Settlement, result: _Result, progress: Progress, now: datetime) -> Decide:
        delivery = settlement.delivery

        def settle(case: Case | None) -> Change:
            if case is None:
                return Change(None, settlement=settlement)
            targets = [Target(delivery.officer_id, delivery.channel, progress)]
            following = self._over_next_channel(delivery, case.alert) if result.channel_failed else None
            if following:
                targets.append(Target(following.officer_id, following.channel))
            reason = "" if result.channel_failed else result.error
            after = decide.delivered(case, delivery.alert_id, delivery.number, targets, reason=reason, now=now)
            hold = Hold(delivery.officer_id, delivery.alert_id, result.until) if result.until else None
            deliveries = (following,) if following else ()
            return Change(after.case, after.events, deliveries, settlement, hold)

        return settle

    def _over_next_channel(self, delivery: QueuedDelivery, alert: Alert | None) -> QueuedDelivery | None:
        """The same to the officer's next channel, unless it is under way there already."""
        waiting = [item for item in alert.waiting if item.number == delivery.number] if alert else []
        following = self._on_next_channel(delivery)
        if following is None or not waiting or not waiting[0].is_new(following.officer_id, following.channel):
            return None
        return following

    def _on_next_channel(self, delivery: QueuedDelivery) -> QueuedDelivery | None:
        officer = self.officers().by_id(delivery.officer_id)
        place = officer.channel_after(delivery.channel) if officer else None
        if officer is None or place is None:
            return None
        id_ = uuid5(delivery.delivery_id, f"next/{place}")
        return replace(delivery, delivery_id=id_, channel=place, host=channel_label(officer.channels[place]))

    async def _record_summary(
        self, settlement: Settlement, progress: Progress, now: datetime, *, fails_over: bool
    ) -> None:
        """Note on every alert of a summary what became of it, then settle the summary itself; safe to repeat."""
        delivery, record = settlement.delivery, settlement.record

        def noting(alert_id: UUID) -> Decide:
            def note(case: Case | None) -> Change | None:
                if case is None or case.alert is None or case.alert.alert_id != alert_id:
                    return None
                after = decide.summarised(case, alert_id, delivery.officer_id, progress, now)
                own = record.model_copy(update={"alert_id": alert_id})
                records = (own,) if after.case is not case and alert_id != delivery.alert_id else ()
                return Change(after.case, after.events, records=records)

            return note

        if settlement.again_at is None or fails_over:
            for alert_id, key in delivery.summary_of:
                await self._patiently(partial(self.store.update, {key: noting(alert_id)}))
        turns = fails_over and record.attempt == min(
            self.rules().sending.failover_after_attempts, self.rules().sending.attempts
        )
        following = self._on_next_channel(delivery) if turns else None
        change = Change(None, deliveries=(following,) if following else (), settlement=settlement)
        await self._patiently(lambda: self.store.update({delivery.case_key: lambda _: change}))

    @staticmethod
    async def _patiently(act: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await act()
            except DependencyAwayError as error:
                log.debug("outbox_away", error=str(error))
                await asyncio.sleep(_AWAY_PAUSE_SECONDS)


def _with_note(body: str, *, html: bool) -> str:
    if not html:
        return f"{_MAYBE_KNOWN}\n\n{body}"
    note = f"<p><strong>{_MAYBE_KNOWN}</strong></p>"
    return _BODY_TAG.sub(lambda tag: tag[0] + note, body, count=1) if _BODY_TAG.search(body) else note + body
