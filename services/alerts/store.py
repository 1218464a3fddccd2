"""Cases and deliveries in Redis, changed by compare-and-set: any number of replicas, nothing lost, nothing twice.

A change of a case carries everything that follows from it (events for the stream, deliveries for the outbox, the time
it is due again) and is written by one script, only when the case is still as it was read. A batch that is handled again
after a crash therefore finds its reports known and changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from services.alerts.case import Case, Reason
from shared.bus.healing import answered
from shared.bus.replicas import hold
from shared.bus.streams import ALERT_EVENTS
from shared.contracts import AlertEvent, Delivery, RiskClass, Severity, Verdict
from shared.observability import metrics

# One hash tag for every key of a script: a Redis Cluster keeps them, and the stream of events, on one node.
PREFIX = "salingjaga:{alerts}:"
_CASE = f"{PREFIX}case:"
CASES = f"{_CASE}*"
"""Matches the keys of all cases."""
_DUE = f"{PREFIX}due"
_INDEX = f"{PREFIX}index"
_HOSTS = f"{PREFIX}hosts"
_UNTOLD = f"{PREFIX}untold"
_OUTBOX = f"{PREFIX}outbox:"
_DELIVERY = f"{PREFIX}delivery:"
_HELD_DUE = f"{PREFIX}held-due"
_HELD = f"{PREFIX}held:"
_TOLD = f"{PREFIX}told:"
_HELD_BY_REPLICAS = f"{PREFIX}held-by-replicas"
TALLIES = f"{PREFIX}tallies"
"""What every region and class usually has, as their cases say; kept when a case is forgotten."""

_HOUR = timedelta(hours=1)

# Run the commands when the document has the version that was read and (if one is named) a delivery still waits. The
# commands come as lists of words in one MessagePack, which is less work than as many arguments; a number stands
# for the argument in that place, since this MessagePack knows no bytes. KEYS holds every key that the commands name.
_APPLY = """
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
if ARGV[2] == '1' and redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
for _, words in ipairs(cmsgpack.unpack(ARGV[3])) do
  for place, word in ipairs(words) do
    if type(word) == 'number' then words[place] = ARGV[word] end
  end
  redis.call(unpack(words))
end
return 1
"""

# Lease one delivery that is due. An attempt before this one whose outcome nobody has noted leaves it unsure for ever.
_CLAIM = """
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) > tonumber(ARGV[2]) then return nil end
local document = redis.call('HGET', KEYS[2], 'document')
if not document then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return nil
end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
local attempt = redis.call('HINCRBY', KEYS[2], 'attempt', 1)
local known = tonumber(redis.call('HGET', KEYS[2], 'known') or '0')
if known < attempt - 1 then redis.call('HSET', KEYS[2], 'unsure', '1') end
return {document, attempt, redis.call('HEXISTS', KEYS[2], 'unsure')}
"""

_FORGET_EMPTY = "if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end"

# Count a notification of an officer, once however often it is tried; or say when there is room for it.
_COUNT = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
local told = redis.call('ZCARD', KEYS[1])
local limit = tonumber(ARGV[4])
if told < limit then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  return 0
end
return redis.call('ZRANGE', KEYS[1], told - limit, told - limit, 'WITHSCORES')[2]
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
    html: str
    """The same for channels that show HTML."""
    severity: Severity
    newest_report_at: datetime
    presses: bool = False
    """It presses for an acknowledgement (reminder, escalation) and tells nothing new."""
    summary_of: tuple[tuple[UUID, str], ...] = ()
    """Alerts (with the keys of their cases) that a summary tells of; empty for a notification of one alert."""
    short: str = ""
    """The short form, for channels that get less than all of it; empty: its title."""
    sms: str = ""
    """The words of an SMS where they differ from its title."""
    reason: Reason = Reason.FIRST
    """Why it is sent; of a summary of several alerts it says nothing."""


_delivery_decoder = msgspec.msgpack.Decoder(QueuedDelivery)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process has leased, and the number of this attempt (from 1)."""

    delivery: QueuedDelivery
    attempt: int
    unsure: bool = False
    """What became of an earlier attempt is not known: the officer may have got it already."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of an attempt; it is written only while the delivery is still there.

    Attributes:
        again_at: when it is tried again; `None` ends the delivery.
        outcome_known: whether the channel certainly did not take it.
    """

    delivery: QueuedDelivery
    record: Delivery
    again_at: datetime | None = None
    outcome_known: bool = True


@dataclass(frozen=True, slots=True)
class Hold:
    """An officer is told of this case's alert only in a summary, not before `until`."""

    officer_id: str
    alert_id: UUID
    until: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """A changed case and what follows from it; a case that is `None` is left as it is."""

    case: Case | None
    events: tuple[AlertEvent | Verdict, ...] = ()
    deliveries: tuple[QueuedDelivery, ...] = ()
    settlement: Settlement | None = None
    hold: Hold | None = None
    records: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """What has been held back for an officer: alerts with the keys of their cases."""

    officer_id: str
    version: bytes
    alerts: Mapping[UUID, str]


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
        replicas: how many replicas `hold` waits for.
    """

    redis: "Redis"
    memory: timedelta = field(default=timedelta(days=30))
    replicas: int = 0

    async def hold(self) -> None:
        """Return when the replicas hold all that was written so far."""
        await answered(hold(self.redis, _HELD_BY_REPLICAS, self.replicas))

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
        found = await answered(self.redis.zrangebyscore(_DUE, "-inf", _ms(now), start=0, num=limit))
        return [key.decode() for key in found]

    async def untold(self) -> list[str]:
        """Keys of the cases of whose alert nobody could be told."""
        return sorted(key.decode() for key in await answered(self.redis.smembers(_UNTOLD)))

    async def alert_keys(self) -> dict[UUID, str]:
        """The case key of every alert, open or lately resolved."""
        found = await answered(self.redis.hgetall(_INDEX))
        return {UUID(id_.decode()): key.decode() for id_, key in found.items()}

    async def cases(self, keys: Sequence[str]) -> list[Case | None]:
        """The cases of these keys, in their order."""
        return [read.case for read in await self._read(keys)] if keys else []

    # Deliveries

    async def hosts(self) -> list[str]:
        """Hosts that deliveries are waiting for."""
        return sorted(host.decode() for host in await answered(self.redis.smembers(_HOSTS)))

    async def claim(self, room: Mapping[str, int], now: datetime, lease: timedelta) -> list[Claimed]:
        """Lease what is due, for each host at most as many as it has room for.

        The lease is the record of the intent to send: a delivery whose sender dies is handed out again when it ends.
        """
        hosts = [host for host, free in room.items() if free > 0]
        if not hosts:
            return []
        async with self.redis.pipeline(transaction=False) as pipe:
            for host in hosts:
                pipe.zrangebyscore(f"{_OUTBOX}{host}", "-inf", _ms(now), start=0, num=room[host])
            found = await answered(pipe.execute())
        due = [(host, id_.decode()) for host, ids in zip(hosts, found, strict=True) for id_ in ids]
        async with self.redis.pipeline(transaction=False) as pipe:
            for host, id_ in due:
                keys = (f"{_OUTBOX}{host}", f"{_DELIVERY}{id_}")
                pipe.eval(_CLAIM, 2, *keys, id_, str(_ms(now)), str(_ms(now + lease)))
            for host, ids in zip(hosts, found, strict=True):
                if not ids:
                    pipe.eval(_FORGET_EMPTY, 2, f"{_OUTBOX}{host}", _HOSTS, host)
            answers = await answered(pipe.execute())
        return [
            Claimed(_delivery_decoder.decode(answer[0]), int(answer[1]), unsure=bool(answer[2]))
            for answer in answers[: len(due)]
            if answer
        ]

    # Officers who are told later

    async def room_for(self, officer_id: str, notification: str, limit: int, now: datetime) -> datetime | None:
        """Count a notification of an officer among those of the hour; `None` when it may be sent.

        A notification counts once, over however many channels and attempts. Beyond `limit`: when there is room again.
        """
        words = (notification, str(_ms(now)), str(_ms(now - _HOUR)), str(limit), str(_ms_of(_HOUR)))
        answer = await answered(self.redis.eval(_COUNT, 1, f"{_TOLD}{officer_id}", *words))
        return _time(float(answer)) + _HOUR if answer else None

    async def held_due(self, now: datetime) -> list[str]:
        """Officers for whom something is held back that they may be told by now."""
        return [id_.decode() for id_ in await answered(self.redis.zrangebyscore(_HELD_DUE, "-inf", _ms(now)))]

    async def held(self, officer_id: str) -> Held:
        """What is held back for an officer."""
        fields = await answered(self.redis.hgetall(f"{_HELD}{officer_id}"))
        version = fields.pop(b"version", b"0")
        return Held(officer_id, version, {UUID(id_.decode()): key.decode() for id_, key in fields.items()})

    async def hold_until(self, officer_id: str, until: datetime) -> None:
        """Hold it back for longer."""
        await answered(self.redis.zadd(_HELD_DUE, {officer_id: _ms(until)}, xx=True))

    async def release(self, held: Held, deliveries: Sequence[QueuedDelivery]) -> bool:
        """Hand over a summary of what was held back; only while nothing else has been added to it (else `False`)."""
        key = f"{_HELD}{held.officer_id}"
        commands: list[Command] = [("DEL", key), ("ZREM", _HELD_DUE, held.officer_id)]
        for delivery in deliveries:
            commands += _queue_commands(delivery)
        async with self.redis.pipeline(transaction=False) as pipe:
            _queue_apply(pipe, key, held.version, commands)
            (answer,) = await answered(pipe.execute())
        return int(answer) == 1

    # Reading and writing

    async def _read(self, keys: Sequence[str]) -> list[_Read]:
        async with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(key, ["version", "document"])
            answers = await answered(pipe.execute())
        return [
            _Read(version or b"0", _case_decoder.decode(document) if document else None)
            for version, document in answers
        ]

    async def _apply(self, changes: Sequence[tuple[str, _Read, Change]]) -> list[int]:
        if not changes:
            return []
        async with self.redis.pipeline(transaction=False) as pipe:
            for key, read, change in changes:
                settled = change.settlement.delivery.delivery_id if change.settlement else None
                _queue_apply(pipe, key, read.version, self._commands(key, read, change), settled)
            answers = await answered(pipe.execute())
        for (_, _, change), answer in zip(changes, answers, strict=True):
            for event in change.events if int(answer) == 1 else ():
                if isinstance(event, AlertEvent):
                    metrics.alert_events.labels(event.event).inc()
        return [int(answer) for answer in answers]

    def _commands(self, key: str, read: _Read, change: Change) -> list[Command]:
        commands: list[Command] = []
        if change.case and change.case != read.case:
            commands += self._case_commands(key, read, change.case)
        for event in change.events:
            commands.append(("XADD", ALERT_EVENTS.name, "*", "body", event.model_dump_json()))
        for delivery in change.deliveries:
            commands += _queue_commands(delivery)
        if change.settlement:
            commands += _settle_commands(change.settlement)
        if change.hold:
            commands += _hold_commands(change.hold, key)
        for record in change.records:
            commands.append(("XADD", ALERT_EVENTS.name, "*", "body", record.model_dump_json()))
        return commands

    def _case_commands(self, key: str, read: _Read, case: Case) -> Iterable[Command]:
        alert = case.alert
        yield "HSET", key, "version", str(int(read.version) + 1), "document", _encoder.encode(case)
        if alert and alert.is_open:
            yield "PERSIST", key
        else:
            yield "PEXPIRE", key, str(int(self.memory.total_seconds() * 1000))
        if alert and alert.due_at:
            yield "ZADD", _DUE, str(_ms(alert.due_at)), key
        else:
            yield "ZREM", _DUE, key
        if case.tally and (read.case is None or read.case.tally != case.tally):
            yield "HSET", TALLIES, f"{case.region_code}:{case.risk_class}", _encoder.encode(case.tally)
        before = read.case.alert if read.case else None
        untold, was_untold = (bool(one and one.untold_since) for one in (alert, before))
        if untold is not was_untold:
            yield "SADD" if untold else "SREM", _UNTOLD, key
        if alert and (before is None or before.alert_id != alert.alert_id):
            if before:
                yield "HDEL", _INDEX, str(before.alert_id)
            yield "HSET", _INDEX, str(alert.alert_id), key


def case_key(region_code: str, risk_class: RiskClass, subject: str = "") -> str:
    """The Redis key of a region and class, or of something else that is said of it."""
    key = f"{_CASE}{region_code}:{risk_class}"
    return f"{key}:{subject}" if subject else key


def province_of(key: str) -> str:
    """The key of the province's case of the same class and subject, for a case inside a province; else empty."""
    region_code, rest = key.removeprefix(_CASE).split(":", 1)
    return f"{_CASE}{region_code[:2]}:{rest}" if len(region_code) > len("63") else ""


def _queue_commands(delivery: QueuedDelivery) -> Iterable[Command]:
    id_ = str(delivery.delivery_id)
    yield "HSET", f"{_DELIVERY}{id_}", "document", _encoder.encode(delivery), "attempt", "0"
    yield "ZADD", f"{_OUTBOX}{delivery.host}", "0", id_
    yield "SADD", _HOSTS, delivery.host


def _settle_commands(settlement: Settlement) -> Iterable[Command]:
    id_, queue = str(settlement.record.delivery_id), f"{_OUTBOX}{settlement.delivery.host}"
    if settlement.again_at is None:
        yield "DEL", f"{_DELIVERY}{id_}"
        yield "ZREM", queue, id_
    else:
        yield "ZADD", queue, "XX", str(_ms(settlement.again_at)), id_
        if settlement.outcome_known:
            yield "HSET", f"{_DELIVERY}{id_}", "known", str(settlement.record.attempt)
    yield "XADD", ALERT_EVENTS.name, "*", "body", settlement.record.model_dump_json()


def _hold_commands(hold: Hold, key: str) -> Iterable[Command]:
    yield "HSET", f"{_HELD}{hold.officer_id}", str(hold.alert_id), key
    yield "HINCRBY", f"{_HELD}{hold.officer_id}", "version", "1"
    yield "ZADD", _HELD_DUE, "LT", str(_ms(hold.until)), hold.officer_id


def _queue_apply(
    pipe: Pipeline, key: str, version: bytes, commands: Sequence[Command], waiting: UUID | None = None
) -> None:
    guard = [f"{_DELIVERY}{waiting}"] if waiting else []
    # The key of every command used here is its first argument.
    keys = list(dict.fromkeys([key, *guard, *(command[1] for command in commands)]))
    documents = [word for command in commands for word in command if isinstance(word, bytes)]
    places = iter(range(4, 4 + len(documents)))
    words = [[next(places) if isinstance(word, bytes) else word for word in command] for command in commands]
    pipe.eval(_APPLY, len(keys), *keys, version, "1" if waiting else "0", _encoder.encode(words), *documents)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _ms_of(length: timedelta) -> int:
    return int(length.total_seconds() * 1000)


def _time(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
