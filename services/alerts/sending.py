"""Sends what waits in the outbox: each host on its own, so that a slow or dead one delays no other.

A delivery is leased before it is sent and settled after. A process that is killed in between leaves its lease to end;
then the delivery is sent again, so an officer may be told twice at most once for each such death, and never not at all.
"""

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

import structlog

from services.alerts import decide
from services.alerts.announce import NOBODY_CONFIGURED
from services.alerts.case import Case
from services.alerts.channels import ChannelError, Notification, send_by_apprise, send_to_file, without_secrets
from services.alerts.officers import Officers
from services.alerts.rules import AlertingRules, Sending
from services.alerts.store import CaseStore, Change, Claimed, QueuedDelivery
from shared.bus.errors import DependencyAwayError
from shared.contracts import AlertState, Delivery
from shared.observability import metrics

log = structlog.get_logger()

T = TypeVar("T")

AT_ONCE = 64
"""Deliveries under way in one process, over all hosts."""
POLL_SECONDS = 0.2
DRAIN_SECONDS = 3.0
_AWAY_PAUSE_SECONDS = 0.5


class NotWantedError(Exception):
    """The delivery is not to be sent any more; the words say why."""


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
    """

    store: CaseStore
    officers: Callable[[], Officers]
    rules: Callable[[], AlertingRules]
    notification_file: Path | None
    clock: Callable[[], datetime]
    _busy: Counter[str] = field(default_factory=Counter)
    _failing: set[str] = field(default_factory=set)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

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
            error, outcome = await self._attempt(claimed, sending)
            now = self.clock()
            record = Delivery(
                delivery_id=delivery.delivery_id,
                alert_id=delivery.alert_id,
                at=now,
                officer_id=delivery.officer_id,
                channel=delivery.host,
                outcome=outcome,
                attempt=claimed.attempt,
                error=error,
                title=delivery.title,
                latency_ms=max(0, int((now - delivery.newest_report_at).total_seconds() * 1000)),
            )
            await self._record(delivery, record, sending, now)
        except Exception:
            # The lease ends by itself and the delivery comes again; the worker must live on for the others.
            log.exception("delivery_failed", delivery=str(delivery.delivery_id))

    async def _attempt(self, claimed: Claimed, sending: Sending) -> tuple[str, Literal["sent", "failed", "abandoned"]]:
        delivery = claimed.delivery
        started = False
        try:
            if claimed.attempt > sending.attempts:
                raise NotWantedError("the service died in every attempt")
            send = await self._way_out(delivery, sending)
            started = True
            await self._in_own_thread(send, delivery.host, sending.timeout_seconds)
        except NotWantedError as error:
            return str(error), "abandoned"
        except ChannelError as error:
            self._failing.add(delivery.host)
            return str(error), "abandoned" if claimed.attempt >= sending.attempts else "failed"
        finally:
            if not started:
                self._busy[delivery.host] -= 1
        self._failing.discard(delivery.host)
        return "", "sent"

    async def _way_out(self, delivery: QueuedDelivery, sending: Sending) -> Callable[[], None]:
        case = await self._patiently(lambda: self.store.case(delivery.case_key))
        alert = case.alert if case else None
        if alert is None or alert.alert_id != delivery.alert_id or alert.state is AlertState.RESOLVED:
            raise NotWantedError("the alert was resolved before this could be sent")
        notification = Notification(delivery.title, delivery.body, delivery.html)
        if delivery.officer_id == NOBODY_CONFIGURED:
            path = self.notification_file
            if path is None:
                raise NotWantedError("there is no notification file any more")
            return lambda: send_to_file(path, notification)
        officer = self.officers().by_id(delivery.officer_id)
        if officer is None or delivery.channel >= len(officer.channels):
            raise NotWantedError("the officer or channel is not configured any more")
        url = officer.channels[delivery.channel]

        def send() -> None:
            try:
                send_by_apprise(url, notification, sending.timeout_seconds)
            except ChannelError:
                raise
            except Exception as error:  # noqa: BLE001 (a plug-in may raise anything; its words may hold the URL)
                raise ChannelError(without_secrets(f"{type(error).__name__}: {error}", url)[:300]) from None

        return send

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
            threading.Thread(target=work, name=f"notify {host}", daemon=True).start()
        except RuntimeError as error:
            finish(None)
            raise ChannelError(f"no thread to send with: {error}") from None
        try:
            await asyncio.wait_for(answer, timeout_seconds)
        except TimeoutError:
            raise ChannelError(f"no answer within {timeout_seconds:g} seconds") from None

    async def _record(self, delivery: QueuedDelivery, record: Delivery, sending: Sending, now: datetime) -> None:
        if record.outcome == "failed":
            until = now + retry_delay(record.attempt, sending, random.random())
            await self._patiently(lambda: self.store.postpone(delivery, record, until))
        else:

            def settle(case: Case | None) -> Change:
                if case is None:
                    return Change(None, settles=record, settled_host=delivery.host)
                sent = record.outcome == "sent"
                after = decide.delivered(case, delivery.alert_id, delivery.number, sent=sent, now=now)
                return Change(after.case, after.events, settles=record, settled_host=delivery.host)

            await self._patiently(lambda: self.store.update({delivery.case_key: settle}))
        metrics.deliveries.labels(record.outcome).inc()
        if record.outcome == "sent" and not delivery.reminder:
            metrics.notify_seconds.observe(record.latency_ms / 1000)
        level = log.info if record.outcome == "sent" else log.warning
        level(
            f"notification_{record.outcome}",
            title=delivery.title,
            officer=delivery.officer_id,
            channel=delivery.host,
            attempt=record.attempt,
            error=record.error,
            **({"file": str(self.notification_file)} if delivery.officer_id == NOBODY_CONFIGURED else {}),
        )

    @staticmethod
    async def _patiently(act: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await act()
            except DependencyAwayError as error:
                log.debug("outbox_away", error=str(error))
                await asyncio.sleep(_AWAY_PAUSE_SECONDS)
