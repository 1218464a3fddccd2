"""What is remembered beside the cases, over all of them: what is usual, where each act was told, who reports how often.

All of it is small (a few fields for each region) and written so that a batch which is handled again changes nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from services.alerts.baseline import Tally
from services.alerts.heartbeat import BRISK_HALF_LIFE, Pulse
from services.alerts.patterns import Hit
from services.alerts.rules import AlertingRules
from services.alerts.store import PREFIX, TALLIES
from shared.bus.healing import answered
from shared.contracts import RiskClass

_PATTERNS = f"{PREFIX}patterns:"
_PULSES = f"{PREFIX}pulses"
_STANDS = f"{PREFIX}stands:"
_STANDS_SECONDS = 72 * 3600
"""Longer than a conversation can still grow or be edited."""

# For each field: its name, how many times follow, and the times in ms, in rising order. A time that is not later than
# the last one counted was counted already.
_BEAT = """
local slow, brisk = tonumber(ARGV[1]), tonumber(ARGV[2])
local at = 3
while ARGV[at] do
  local field, times = ARGV[at], tonumber(ARGV[at + 1])
  local since, last, count, day
  local known = redis.call('HGET', KEYS[1], field)
  if known then since, last, count, day = known:match('^(%S+) (%S+) (%S+) (%S+)$') end
  since, last, count, day = tonumber(since), tonumber(last), tonumber(count) or 0, tonumber(day) or 0
  local changed = false
  for i = at + 2, at + 1 + times do
    local ms = tonumber(ARGV[i])
    if not last or ms > last then
      if last then
        count = count * 0.5 ^ ((ms - last) / slow)
        day = day * 0.5 ^ ((ms - last) / brisk)
      end
      count, day, last, since, changed = count + 1, day + 1, ms, since or ms, true
    end
  end
  if changed then
    redis.call('HSET', KEYS[1], field, string.format('%.0f %.0f %.6g %.6g', since, last, count, day))
  end
  at = at + 2 + times
end
"""


class Standing(msgspec.Struct, frozen=True):
    """The case that a report stands in, and which edition of the report."""

    case_key: str
    edition: tuple[datetime, int]


_encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
_hits = msgspec.msgpack.Decoder(Hit)
_tallies = msgspec.msgpack.Decoder(Tally)
_standings = msgspec.msgpack.Decoder(Standing)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every method raises `DependencyAwayError` while Redis does not answer."""

    redis: "Redis"

    async def note(self, heard: Mapping[str, Sequence[datetime]], hits: Sequence[Hit], rules: AlertingRules) -> None:
        """Note who was heard of when, and which acts were told of which places; all in one round trip."""
        by_province: dict[str, dict[Any, Any]] = defaultdict(dict)
        for hit in sorted(hits, key=lambda hit: hit.at):
            by_province[hit.place[:2]][hit.key] = _encoder.encode(hit)
        words: list[str | int] = []
        for who, times in heard.items():
            words += [who, len(times), *sorted(_ms(at) for at in times)]
        async with self.redis.pipeline(transaction=False) as pipe:
            if words:
                half_lives = (rules.flag.heartbeat.half_life, BRISK_HALF_LIFE)
                pipe.eval(_BEAT, 1, _PULSES, *(int(one.total_seconds() * 1000) for one in half_lives), *words)
            for province, fields in by_province.items():
                pipe.hset(f"{_PATTERNS}{province}", mapping=fields)
                pipe.expire(f"{_PATTERNS}{province}", rules.flag.pattern.window)
            await answered(pipe.execute())

    async def hits(self, province: str, since: datetime) -> list[Hit]:
        """The newest hit of every act and place in a province; older ones than `since` are forgotten."""
        found = await answered(self.redis.hgetall(f"{_PATTERNS}{province}"))
        hits = {field: _hits.decode(value) for field, value in found.items()}
        if past := [field for field, hit in hits.items() if hit.at < since]:
            await answered(self.redis.hdel(f"{_PATTERNS}{province}", *past))
        return [hit for hit in hits.values() if hit.at >= since]

    async def stands(self, report_ids: Collection[UUID]) -> dict[UUID, Standing]:
        """Where reports that may grow stand as they were last taken in."""
        found = await answered(self.redis.mget([f"{_STANDS}{id_}" for id_ in report_ids])) if report_ids else []
        return {id_: _standings.decode(value) for id_, value in zip(report_ids, found, strict=True) if value}

    async def note_stands(self, stands: Mapping[UUID, Standing]) -> None:
        """Note where they stand now, once they have been taken in there."""
        if not stands:
            return
        async with self.redis.pipeline(transaction=False) as pipe:
            for id_, standing in stands.items():
                pipe.set(f"{_STANDS}{id_}", _encoder.encode(standing), ex=_STANDS_SECONDS)
            await answered(pipe.execute())

    async def forget_senders(self, senders: Collection[str], *, remove: bool) -> int:
        """How many hits hold the hash of one of these senders, once it is taken from them if so asked; hits stay."""
        left = 0
        for key in [key async for key in self.redis.scan_iter(match=f"{_PATTERNS}*", count=500)]:

            async def without(pipe: Pipeline, key: bytes = key) -> None:
                found: dict[Any, Any] = await pipe.hgetall(key)
                pipe.multi()  # type: ignore[no-untyped-call]
                for field, hit in ((field, _hits.decode(value)) for field, value in found.items()):
                    if remove and hit.sender in senders:
                        pipe.hset(key, field, _encoder.encode(replace(hit, sender="")))

            await self.redis.transaction(without, key)
            after: dict[Any, Any] = await self.redis.hgetall(key)
            left += sum(_hits.decode(value).sender in senders for value in after.values())
        return left

    async def pulses(self) -> dict[str, Pulse]:
        """How often everything, each source and each region reports."""
        found = await answered(self.redis.hgetall(_PULSES))
        return {who.decode(): _pulse(value) for who, value in found.items()}

    async def tallies(self) -> dict[tuple[str, RiskClass], Tally]:
        """What every region and class usually has."""
        found = await answered(self.redis.hgetall(TALLIES))
        return {_region_and_class(field): _tallies.decode(value) for field, value in found.items()}


def _region_and_class(field: bytes) -> tuple[str, RiskClass]:
    region_code, _, risk_class = field.decode().partition(":")
    return region_code, RiskClass(risk_class)


def _pulse(value: bytes) -> Pulse:
    since, last, count, brisk = (float(part) for part in value.split())
    return Pulse(_time(since), _time(last), count, brisk)


def _time(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
