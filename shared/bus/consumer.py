"""A consumer that loses nothing: reads a stream in batches, claims what dead consumers left, settles atomically.

It closes, once for all services, what a plain stream subscriber leaves open: groups start at the beginning of their
stream; a group or a Redis that vanished comes back without a restart; one bad message in a batch goes to quarantine
alone; messages of a killed process are taken over; when everything fails the service stops instead of pouring the whole
stream into quarantine.
"""

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby, repeat
from typing import Any

import structlog
from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.message import FAKE_CONSUMER
from faststream.redis.message import RedisBatchStreamMessage as BatchMessage
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError, ResponseError

from shared.bus.connection import Connections
from shared.bus.errors import DependencyAwayError, SenderAtFaultError, ServiceBrokenError, UnprocessableError
from shared.bus.healing import AWAY, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, until_redis_answers
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.partitions import Partitions
from shared.bus.streams import Stream
from shared.bus.trim import trim
from shared.observability import metrics
from shared.observability.faults import describe_fault

log = structlog.get_logger()

Handle = Callable[[Sequence[Message], Outbox], Awaitable[None]]
"""Handles a batch: puts its effects into the outbox. May raise `UnprocessableError` (this message is bad) or
`DependencyAwayError` (try again later); anything else counts as a bad message, found by handling them one by one."""

READ_BLOCK_MS = 1_000
IDLE_CONSUMER_SECONDS = 3_600
CHORES_SECONDS = 2.0
PENDING_LOOK = 10_000
_SUSPECT = 2
_NARROWING = 4
"""Messages handed out more than `_SUSPECT` times are handled in parts of a batch, halved so often each time."""
_ALONE_SECONDS = 86_400


def consumer_name() -> str:
    """A name no other running process has."""
    return f"{socket.gethostname()}-{os.getpid()}"


class StreamConsumer:
    """Member of one consumer group of one stream.

    Args:
        broker: FastStream's broker; it reads, this class does the rest.
        connections: for acknowledging, handing on and claiming.
        partitions: how streams are split.
        stream, group: what is read (one partition of it) and in whose name.
        handle: handles a batch, see `Handle`.
        batch_size: most messages in one batch.
        replicas: how many replicas must hold what a batch leads to elsewhere before it is acknowledged.
        linger_seconds: how long a batch that is not full waits for more, for targets that prefer few large writes.
        claim_idle_seconds: after how long an unacknowledged message is taken over from its consumer.
        max_deliveries: how often its process may end while a message is handled alone before that goes to quarantine.
        quarantine_limit: consecutive failures after which the service stops.
        quarantine_ratio: share of failures among the last `quarantine_window` messages above which it stops.
        stop: called with the reason when the service must stop.
    """

    def __init__(
        self,
        broker: RedisBroker,
        connections: Connections,
        partitions: Partitions,
        stream: Stream,
        group: str,
        handle: Handle,
        *,
        batch_size: int,
        claim_idle_seconds: float,
        max_deliveries: int,
        quarantine_limit: int,
        quarantine_ratio: float,
        quarantine_window: int,
        stop: Callable[[str], None],
        replicas: int = 0,
        linger_seconds: float = 0.0,
    ) -> None:
        self.stream = stream
        self.group = group
        self._handle = handle
        self._connections = connections
        self._redis = connections.of(stream.name)
        self._partitions = partitions
        self._replicas = replicas
        self._batch_size = batch_size
        self._linger_seconds = linger_seconds
        self._claim_idle_seconds = claim_idle_seconds
        self._max_deliveries = max_deliveries
        self._quarantine_limit = quarantine_limit
        self._stop = stop
        self._name = consumer_name()
        self._one_batch_at_a_time = asyncio.Lock()
        self._failures_in_a_row = 0
        self._quarantine_ratio = quarantine_ratio
        self._failed_lately: deque[bool] = deque(maxlen=quarantine_window)
        self._held: set[bytes] = set()
        self._just_read: set[tuple[bytes, bytes]] = set()
        self._alone = f"{stream.name}:{group}:alone"
        subscriber = broker.subscriber(
            stream=StreamSub(
                stream.name,
                group=group,
                consumer=self._name,
                batch=True,
                max_records=batch_size,
                polling_interval=READ_BLOCK_MS,
            ),
            ack_policy=AckPolicy.MANUAL,
            parser=_wrap_unparsed,
            decoder=_read_entries,
            title=f"{stream.name}:{group}",
        )
        subscriber(self._on_read)

    async def look_after(self) -> None:
        """Claim what dead consumers left, trim what all have read, count what waits; until cancelled."""
        await self._again_and_again(
            self._start_stuck_idle_times, self._claim_abandoned, self._forget_dead_consumers, self._trim
        )

    async def keep_hold(self) -> None:
        """Tell the others that what is being handled here is not abandoned; until cancelled.

        Beside `look_after`, which stands still while messages that were taken over wait for a dependency.
        """
        await self._again_and_again(self._stay_their_consumer)

    async def _again_and_again(self, *chores: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                for chore in chores:
                    await chore()
            except AWAY as error:
                log.debug("chores_postponed", stream=self.stream.name, error=str(error))
            except ResponseError as error:
                if "NOGROUP" not in str(error) and "no such key" not in str(error):
                    log.warning("chores_failed", stream=self.stream.name, error=str(error))
            await asyncio.sleep(min(CHORES_SECONDS, self._claim_idle_seconds / 3))

    async def _trim(self) -> None:
        await trim(self._redis, self.stream)
        metrics.backlog.labels(self.stream.name).set(await self._redis.xlen(self.stream.name))

    # Reading

    async def _on_read(self, batch: list[Message]) -> None:
        self._hold(batch)
        if self._linger_seconds and len(batch) < self._batch_size:
            batch += await self._read_more(self._batch_size - len(batch))
        await self._process(batch)

    async def _read_more(self, count: int) -> list[Message]:
        await asyncio.sleep(self._linger_seconds)
        try:
            answer: Any = await self._redis.xreadgroup(self.group, self._name, {self.stream.name: ">"}, count=count)
        except RedisError:
            return []  # what was read already is handled; the next read meets the same fault and heals it
        more = [Message(id_, fields) for _, entries in answer for id_, fields in entries]
        self._hold(more)
        return more

    def _hold(self, messages: Sequence[Message]) -> None:
        self._held.update(message.id for message in messages)

    # Handling

    async def _process(self, batch: list[Message], outbox: Outbox | None = None) -> None:
        """Handle a batch, unless what it leads to (`outbox`) stands already, and settle it."""
        async with self._one_batch_at_a_time:
            started = time.perf_counter()
            try:
                await self._settle(batch, outbox or await self._handled(batch))
            finally:
                self._held.difference_update(message.id for message in batch)
            metrics.batch_seconds.labels(self.stream.name, self.group).observe(time.perf_counter() - started)
            metrics.messages.labels(self.stream.name, self.group).inc(len(batch))

    async def _handled(self, batch: list[Message]) -> Outbox:
        outbox = Outbox(self.stream, self._partitions)
        try:
            await self._until_dependencies_answer(batch, outbox)
        except ServiceBrokenError as error:
            log.critical("service_broken", stream=self.stream.name, group=self.group, error=str(error))
            self._stop(str(error))
            raise
        except UnprocessableError as error:
            if len(batch) == 1:
                return self._put_aside(batch[0], str(error), counts=not isinstance(error, SenderAtFaultError))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this message's until proven otherwise
            if len(batch) == 1:
                return self._put_aside(batch[0], describe_fault(error))
        else:
            self._failures_in_a_row = 0
            self._failed_lately.extend(repeat(False, len(batch)))
            return outbox
        # Halving finds the bad ones in few steps and keeps the good ones in large batches.
        middle = len(batch) // 2
        outbox.clear()
        for half in (batch[:middle], batch[middle:]):
            outbox.merge(await self._handled(half))
        return outbox

    async def _until_dependencies_answer(self, batch: list[Message], outbox: Outbox) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._handle(batch, outbox)
            except DependencyAwayError as error:
                log.warning("dependency_away", group=self.group, error=str(error), retry_in_seconds=round(pause, 1))
            if len(batch) == 1:
                await self._was_not_fatal(batch[0])
            outbox.clear()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _put_aside(self, message: Message, error: str, attempts: int = 1, *, counts: bool = True) -> Outbox:
        self._failures_in_a_row += counts
        self._failed_lately.append(counts)
        if reason := self._what_is_broken():
            reason = f"{reason} failed in {self.group}; the last: {error}"
            log.critical("service_broken", stream=self.stream.name, group=self.group, error=reason)
            self._stop(reason)
            raise ServiceBrokenError(reason)
        log.error("message_quarantined", stream=self.stream.name, group=self.group, id=message.id.decode(), error=error)
        metrics.quarantined.labels(self.stream.name, self.group).inc()
        outbox = Outbox(self.stream, self._partitions)
        outbox.quarantine(message, group=self.group, error=error, attempts=attempts)
        return outbox

    def _what_is_broken(self) -> str:
        """Which limit the failures have passed; empty while they are the messages' own fault."""
        if self._failures_in_a_row > self._quarantine_limit:
            return f"{self._failures_in_a_row} messages in a row"
        lately, window = self._failed_lately, self._failed_lately.maxlen or 0
        if len(lately) == window and (failed := sum(lately)) > self._quarantine_ratio * window:
            return f"{failed} of the last {window} messages"
        return ""

    async def _settle(self, batch: list[Message], outbox: Outbox) -> None:
        def acknowledge(pipe: Pipeline) -> None:
            pipe.xack(self.stream.name, self.group, *(message.id for message in batch))

        await until_redis_answers(lambda: outbox.write(self._connections, acknowledge, self._replicas))

    # What dead consumers left

    async def _stay_their_consumer(self) -> None:
        # A batch that takes long is not abandoned: its idle time starts anew, so that nobody takes it over, and without
        # counting as another delivery.
        if held := list(self._held):
            ids: list[Any] = held
            await self._redis.xclaim(self.stream.name, self.group, self._name, 0, ids, justid=True)

    async def _start_stuck_idle_times(self) -> None:
        # Redis counts idle time on the clock of its machine. When that is set back, what was read before stays at 0
        # until the clock has caught up, perhaps for hours, and nobody takes it over. So what stands at 0 at two looks
        # is handed to the same consumer again: its time starts now. One that lives does not notice.
        pending: Any = await self._redis.xpending_range(self.stream.name, self.group, "-", "+", PENDING_LOOK)
        just_read = {(one["message_id"], one["consumer"]) for one in pending if not one["time_since_delivered"]}
        stuck = just_read & self._just_read
        for id_, consumer in stuck:
            await self._redis.xclaim(self.stream.name, self.group, consumer.decode(), 0, [id_], justid=True)
        if stuck:
            log.warning("clock_set_back", stream=self.stream.name, group=self.group, messages=len(stuck))
        self._just_read = just_read - stuck

    async def _claim_abandoned(self) -> None:
        idle_ms = int(self._claim_idle_seconds * 1000)
        cursor: Any = "0-0"
        while True:
            answer: Any = await self._redis.xautoclaim(
                self.stream.name, self.group, self._name, idle_ms, start_id=cursor, count=self._batch_size
            )
            cursor, entries, *_ = answer
            claimed = [Message(id_, fields) for id_, fields in entries if fields and id_ not in self._held]
            self._hold(claimed)
            if claimed:
                log.info("messages_claimed", stream=self.stream.name, group=self.group, count=len(claimed))
                metrics.claimed.labels(self.stream.name, self.group).inc(len(claimed))
                await self._process_claimed(claimed)
            if cursor in (b"0-0", "0-0"):
                return

    async def _process_claimed(self, claimed: list[Message]) -> None:
        deliveries = await self._redis.xpending_range(
            self.stream.name, self.group, claimed[0].id, claimed[-1].id, len(claimed), consumername=self._name
        )
        times = {entry["message_id"]: int(entry["times_delivered"]) for entry in deliveries}
        # A message that ends its process takes ever fewer neighbours along: the more often messages were handed out,
        # the smaller the groups they are handled in, and in the end each alone.
        for often, alike in groupby(sorted(claimed, key=lambda m: times.get(m.id, 1)), lambda m: times.get(m.id, 1)):
            size = max(1, self._batch_size >> _NARROWING * max(0, often - _SUSPECT))
            messages = list(alike)
            for group in (messages[start : start + size] for start in range(0, len(messages), size)):
                if size == 1:
                    await self._process_alone(group[0])
                else:
                    await self._process(group)

    async def _process_alone(self, message: Message) -> None:
        # How often it was handed out accuses no message: its processes may have ended for other reasons, or while they
        # waited for a dependency. Only what ends them while it is handled alone is put aside.
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hincrby(self._alone, message.id, 1)
            pipe.expire(self._alone, _ALONE_SECONDS)
            tried, _ = await pipe.execute()
        if tried > self._max_deliveries:
            reason = f"its process ended {tried - 1} times while it handled this message alone"
            await self._process([message], self._put_aside(message, reason, attempts=tried, counts=False))
        else:
            await self._process([message])
        await self._was_not_fatal(message)

    async def _was_not_fatal(self, message: Message) -> None:
        await until_redis_answers(lambda: self._redis.hdel(self._alone, message.id))

    async def _forget_dead_consumers(self) -> None:
        for consumer in await self._redis.xinfo_consumers(self.stream.name, self.group):
            idle = consumer["pending"] == 0 and consumer["idle"] > IDLE_CONSUMER_SECONDS * 1000
            if idle and consumer["name"].decode() != self._name:
                await self._redis.xgroup_delconsumer(self.stream.name, self.group, consumer["name"])


async def _wrap_unparsed(raw: Any) -> BatchMessage:
    # FastStream would parse and copy every entry; here the handlers read the raw fields themselves.
    return BatchMessage(raw_message=raw, body=b"", consumer=FAKE_CONSUMER, group=None)


async def _read_entries(message: BatchMessage) -> list[Message]:
    raw = message.raw_message
    return [Message(id_, fields) for id_, fields in zip(raw["message_ids"], raw["data"], strict=True)]
