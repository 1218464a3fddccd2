"""Cases and deliveries in Redis, changed by compare-and-set: any number of replicas, nothing lost, nothing twice.

A change of a case carries everything that follows from it (events for the stream, deliveries for the outbox, the time
it is due again) and is written by one script, only when the case is still as it was read. A batch that is handled again
after a crash therefore finds its reports known and changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from services.alerts.case import Case
from shared.bus.errors import DependencyAwayError
from shared.bus.healing import AWAY
from shared.bus.streams import ALERT_EVENTS
from shared.contracts import AlertEvent, Delivery, RiskClass

_PREFIX = "salingjaga:alert:"
_DUE = f"{_PREFIX}due"
_INDEX = f"{_PREFIX}index"
_HOSTS = f"{_PREFIX}hosts"
_OUTBOX = f"{_PREFIX}outbox:"
_DELIVERY = f"{_PREFIX}delivery:"

_PASSING_REFUSALS = ("OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS", "LOADING")

# Run the commands when the case has the version that was read and (if a second key is given) that key still exists.
# Each command comes as the number of its words and the words.
_APPLY = """
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
local at = 2
while ARGV[at] do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + 1 + words
end
return 1
"""

# Hand out what is due on each host, as far as it has room, and move it behind the lease at once.
_CLAIM = """
local claimed = {}
for i = 5, #ARGV, 2 do
  local queue = ARGV[1] .. ARGV[i]
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', ARGV[3], 'LIMIT', 0, ARGV[i + 1])) do
    local document = redis.call('HGET', ARGV[2] .. id, 'document')
    if document then
      redis.call('ZADD', queue, ARGV[4], id)
      claimed[#claimed + 1] = {document, redis.call('HINCRBY', ARGV[2] .. id, 'attempt', 1)}
    else
      redis.call('ZREM', queue, id)
    end
  end
  if redis.call('EXISTS', queue) == 0 then redis.call('SREM', KEYS[1], ARGV[i]) end
end
return claimed
"""

_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_case_decoder = msgspec.msgpack.Decoder(Case)

Command = Sequence[str | bytes]


class QueuedDelivery(msgspec.Struct, frozen=True):
    """A notification on its way to one channel of one officer."""

    delivery_id: UUID
    alert_id: UUID
    case_key: str
    number: int
    """Which notification of its alert this is, from 1."""
    officer_id: str
    channel: int
    """Place of the channel in the officer's list: its URL is looked up when it is sent, and never stored."""
    host: str
    """Scheme and host of the channel when the delivery was queued; deliveries of one host share its room."""
    title: str
    body: str
    html: bool
    newest_report_at: datetime
    reminder: bool = False


_delivery_decoder = msgspec.msgpack.Decoder(QueuedDelivery)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process has leased, and the number of this attempt (from 1)."""

    delivery: QueuedDelivery
    attempt: int


@dataclass(frozen=True, slots=True)
class Change:
    """A changed case and what follows from it; `case` is `None` when it is gone and stays so."""

    case: Case | None
    events: tuple[AlertEvent, ...] = ()
    deliveries: tuple[QueuedDelivery, ...] = ()
    settles: Delivery | None = None
    """The outcome that ends a delivery; it is written only while the delivery is still there."""
    settled_host: str = ""


Decide = Callable[[Case | None], Change | None]
"""Says what becomes of a case as it is stored (`None`: not yet); may be called again when another was faster."""


@dataclass(slots=True)
class _Read:
    version: bytes
    case: Case | None


@dataclass(slots=True)
class CaseStore:
    """All that the alert service keeps. Every method raises `DependencyAwayError` while Redis does not answer.

    Args:
        redis: the connection.
        memory: how long a case without an open alert is remembered.
    """

    redis: "Redis"
    memory: timedelta = field(default=timedelta(days=30))

    async def update(self, decisions: Mapping[str, Decide]) -> None:
        """Decide on each case (by its key) and write what changed; again for those that another process changed."""
        open_decisions = dict(decisions)
        while open_decisions:
            stored = await self._read(list(open_decisions))
            changes = [
                (key, read, change)
                for (key, decide), read in zip(open_decisions.items(), stored, strict=True)
                if (change := decide(read.case)) is not None
            ]
            applied = await self._apply(changes)
            open_decisions = {
                key: open_decisions[key] for (key, _, _), done in zip(changes, applied, strict=True) if done == 0
            }

    async def case(self, key: str) -> Case | None:
        """The case of this key, if there is one."""
        return (await self._read([key]))[0].case

    async def due(self, now: datetime, limit: int = 500) -> list[str]:
        """Keys of the cases that want to be looked at by now."""
        found = await _answered(self.redis.zrangebyscore(_DUE, "-inf", _ms(now), start=0, num=limit))
        return [key.decode() for key in found]

    async def alert_keys(self) -> dict[UUID, str]:
        """The case key of every alert, open or lately resolved."""
        found = await _answered(self.redis.hgetall(_INDEX))
        return {UUID(id_.decode()): key.decode() for id_, key in found.items()}

    async def cases(self, keys: Sequence[str]) -> list[Case | None]:
        """The cases of these keys, in their order."""
        return [read.case for read in await self._read(keys)] if keys else []

    # Deliveries

    async def hosts(self) -> list[str]:
        """Hosts that deliveries are waiting for."""
        return sorted(host.decode() for host in await _answered(self.redis.smembers(_HOSTS)))

    async def claim(self, room: Mapping[str, int], now: datetime, lease: timedelta) -> list[Claimed]:
        """Lease what is due, for each host at most as many as it has room for.

        The lease is the record of the intent to send: a delivery whose sender dies is handed out again when it ends.
        """
        wanted = [part for host, free in room.items() if free > 0 for part in (host, free)]
        if not wanted:
            return []
        answer = await _answered(
            self.redis.eval(_CLAIM, 1, _HOSTS, _OUTBOX, _DELIVERY, _ms(now), _ms(now + lease), *wanted)
        )
        return [Claimed(_delivery_decoder.decode(document), int(attempt)) for document, attempt in answer]

    async def postpone(self, delivery: QueuedDelivery, record: Delivery, until: datetime) -> None:
        """Note a failed attempt and try again at `until`."""
        async with self.redis.pipeline(transaction=True) as pipe:
            pipe.zadd(f"{_OUTBOX}{delivery.host}", {str(delivery.delivery_id): _ms(until)}, xx=True)
            pipe.xadd(ALERT_EVENTS.name, {"body": record.model_dump_json()})
            await _answered(pipe.execute())

    # Reading and writing

    async def _read(self, keys: Sequence[str]) -> list[_Read]:
        async with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(key, ["version", "document"])
            answers = await _answered(pipe.execute())
        return [
            _Read(version or b"0", _case_decoder.decode(document) if document else None)
            for version, document in answers
        ]

    async def _apply(self, changes: Sequence[tuple[str, _Read, Change]]) -> list[int]:
        if not changes:
            return []
        async with self.redis.pipeline(transaction=False) as pipe:
            for key, read, change in changes:
                keys = [key]
                if change.settles:
                    keys.append(f"{_DELIVERY}{change.settles.delivery_id}")
                words = [word for command in self._commands(key, read, change) for word in (len(command), *command)]
                pipe.eval(_APPLY, len(keys), *keys, read.version, *words)
            answers = await _answered(pipe.execute())
        return [int(answer) for answer in answers]

    def _commands(self, key: str, read: _Read, change: Change) -> list[Command]:
        commands: list[Command] = []
        if change.case and change.case != read.case:
            commands += self._case_commands(key, read, change.case)
        for event in change.events:
            commands.append(("XADD", ALERT_EVENTS.name, "*", "body", event.model_dump_json()))
        for delivery in change.deliveries:
            commands += _queue_commands(delivery)
        if change.settles:
            id_ = str(change.settles.delivery_id)
            commands += [
                ("DEL", f"{_DELIVERY}{id_}"),
                ("ZREM", f"{_OUTBOX}{change.settled_host}", id_),
                ("XADD", ALERT_EVENTS.name, "*", "body", change.settles.model_dump_json()),
            ]
        return commands

    def _case_commands(self, key: str, read: _Read, case: Case) -> Iterable[Command]:
        alert = case.alert
        yield "HSET", key, "version", str(int(read.version) + 1), "document", _encoder.encode(case)
        if alert and alert.is_open:
            yield "PERSIST", key
        else:
            yield "PEXPIRE", key, str(int(self.memory.total_seconds() * 1000))
        if alert and alert.next_at:
            yield "ZADD", _DUE, str(_ms(alert.next_at)), key
        else:
            yield "ZREM", _DUE, key
        before = read.case.alert if read.case else None
        if alert and (before is None or before.alert_id != alert.alert_id):
            if before:
                yield "HDEL", _INDEX, str(before.alert_id)
            yield "HSET", _INDEX, str(alert.alert_id), key


def case_key(region_code: str, risk_class: RiskClass) -> str:
    """The Redis key of a region and class."""
    return f"{_PREFIX}case:{region_code}:{risk_class}"


def _queue_commands(delivery: QueuedDelivery) -> Iterable[Command]:
    id_ = str(delivery.delivery_id)
    yield "HSET", f"{_DELIVERY}{id_}", "document", _encoder.encode(delivery), "attempt", "0"
    yield "ZADD", f"{_OUTBOX}{delivery.host}", "0", id_
    yield "SADD", _HOSTS, delivery.host


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


async def _answered(act: Any) -> Any:
    try:
        return await act
    except AWAY as error:
        raise DependencyAwayError(f"Redis does not answer: {error}") from error
    except ResponseError as error:
        if any(refusal in str(error) for refusal in _PASSING_REFUSALS):
            raise DependencyAwayError(f"Redis refuses for now: {error}") from error
        raise
