"""The memory of incidents: which reports tell of one event, across batches, replicas and restarts.

Everything happens in one Lua script, which looks for what a report resembles and remembers the report in the same
step: two normalisers that meet one flood at the same moment take turns, and neither opens a second incident. A text
that is known keeps its incident, so a batch that is delivered again finds itself.

Layout, in two generations of a week each (a report is remembered for one to two weeks):
- `...:{incidents}:GENERATION:BUCKET` is a small hash from a band key to an address; few fields each, so that Redis
  packs them (`hash-max-listpack-entries`), which costs a twentieth of a key of its own. BUCKET is three bytes.
- `...:{incidents}:GENERATION:page:NUMBER` is a string of records one after the other; an address is a place in it.
- `...:{incidents}:GENERATION:end` is the next free address.
All of them share one hash tag and so live on one node of a Redis Cluster; that is why the script may build their names.
Where streams are split, each partition has such a memory of its own, for the regions whose reports it holds.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from services.ingest.likeness import bands, exact_key, likeness
from shared.bus.connection import Connections
from shared.bus.healing import answered
from shared.bus.partitions import Partitions
from shared.contracts import Report
from shared.observability import metrics

KEY = "salingjaga:{incidents}"
GENERATION_SECONDS = 7 * 86_400
LEAST_LIFE_SECONDS = 86_400
"""A report that arrives long after it was received (a replay) is still remembered that long, for its copies."""
REPORTS_PER_CALL = 20
"""Reports in one run of the script, some three milliseconds in which Redis serves nobody else."""
BYTES_OF_A_REPORT = 300
"""What a remembered text takes in Redis, rounded up (`python -m deploy.bench.incidents`)."""
BYTES_OF_A_RECORD = 100
"""The part of it that is counted."""

_SCRIPT = """
local PAGE = 1048576
local RECORD_MOST = 256
local FACTS_MOST = 40
local VERIFIED_MOST = 8
local SINGLES_MOST = 4
local PLACE_FIRST, PLACE_LAST = 9, 16
local NUMBER, NAME = 21, 26
local KIND_FULL = 3
local SHORT = 13
local base, full = KEYS[1], tonumber(ARGV[1])
local call, byte, sub = redis.call, string.byte, string.sub
local answer, refused = {}, 0

local function record_at(prefix, address)
  address = tonumber(address)
  local offset = address % PAGE
  return call('GETRANGE', prefix .. 'page:' .. math.floor(address / PAGE), offset, offset + RECORD_MOST - 1)
end

-- A record: 16 bytes incident, 16 bytes id of the text, then what is compared (see likeness.py).
local function read_compared(text, at)
  local head = byte(text, at)
  local count = head % 128
  local octets = {byte(text, at + 1, at + count * 2)}
  local words = {}
  for index = 1, count do words[index] = octets[index * 2 - 1] * 256 + octets[index * 2] end
  at = at + 1 + count * 2
  local facts, told = {}, {byte(text, at + 1, at + byte(text, at) * 3)}
  for index = 1, #told, 3 do
    local of_kind = facts[told[index]]
    if not of_kind then of_kind = {}; facts[told[index]] = of_kind end
    of_kind[told[index + 1] * 256 + told[index + 2]] = true
  end
  return {words = words, cut = head >= 128, facts = facts, facts_at = at}
end

-- What is compared, with the facts it is silent on as its incident tells them: or "100 ribu" and "200 ribu" would meet
-- in one incident by way of a copy that names no sum.
local function with_facts_of(compared, own, other)
  local count, added = byte(compared, own.facts_at), {}
  for kind, values in pairs(other.facts) do
    if not own.facts[kind] then
      for value in pairs(values) do
        if count < FACTS_MOST then
          count = count + 1
          added[#added + 1] = string.char(kind, math.floor(value / 256), value % 256)
        end
      end
    end
  end
  local before, after = sub(compared, 1, own.facts_at - 1), sub(compared, own.facts_at + 1)
  return before .. string.char(count) .. after .. table.concat(added)
end

local function tells_more(own, other)
  for kind, values in pairs(own.facts) do
    for value in pairs(values) do
      if not (other.facts[kind] and other.facts[kind][value]) then return true end
    end
  end
  return false
end

local function weight(word) return 1 + word % 2 end

-- Weights of the shared words, of the smaller text and of both; of long texts only the range both samples cover.
local function overlap(one, other)
  local a, b, limit = one.words, other.words, 65536
  if one.cut then limit = a[#a] end
  if other.cut and b[#b] < limit then limit = b[#b] end
  local i, j, shared, of_a, of_b = 1, 1, 0, 0, 0
  while true do
    local x, y = a[i] or 65536, b[j] or 65536
    if x > limit then x = 65536 end
    if y > limit then y = 65536 end
    if x == 65536 and y == 65536 then break end
    if x == y then shared = shared + weight(x) end
    if x <= y then of_a = of_a + weight(x); i = i + 1 end
    if y <= x then of_b = of_b + weight(y); j = j + 1 end
  end
  return shared, math.min(of_a, of_b), of_a + of_b - shared
end

-- Of the kinds of facts on which both speak: how many agree, whether any contradicts, and whether both name places
-- without naming one in common.
local function compare_facts(one, other)
  local agree, here, there, together = 0, false, false, false
  for kind in pairs(other.facts) do there = there or (kind >= PLACE_FIRST and kind <= PLACE_LAST) end
  for kind, values in pairs(one.facts) do
    local place = kind >= PLACE_FIRST and kind <= PLACE_LAST
    local others = other.facts[kind]
    here = here or place
    if others then
      local of_one, of_other, common = 0, 0, 0
      for value in pairs(values) do
        of_one = of_one + 1
        if others[value] then common = common + 1 end
      end
      for _ in pairs(others) do of_other = of_other + 1 end
      -- Where both say something of their own, too, they differ; long lists were cut and cannot tell, and numbers
      -- that say not of what prove little.
      local both_differ = common < of_one and common < of_other and math.max(of_one, of_other) < KIND_FULL
        and kind ~= NUMBER
      local unsure = kind == NAME and math.max(of_one, of_other) >= KIND_FULL
      if (common == 0 or both_differ) and not unsure then return 0, true, false end
      together = together or place
      if kind ~= NAME then agree = agree + 1 end
    end
  end
  return agree, false, here and there and not together
end

local function likeness(one, other)
  local shared, smaller, all = overlap(one, other)
  if shared < 5 then return 0, false end
  local agree, contradict, apart = compare_facts(one, other)
  local jaccard, contained, ease = shared / all, shared / smaller, 0.05 * math.min(agree, 4)
  local alike
  if apart then
    alike = jaccard >= 0.6
  elseif smaller < SHORT and agree < 3 then
    -- One word replaced in a short text is another event more often than another spelling.
    alike = contained >= 0.85 and (jaccard >= 0.53 - ease or shared >= 8)
  else
    alike = jaccard >= 0.53 - ease or (contained >= 0.8 - ease and shared >= 8)
  end
  return alike and jaccard + 0.1 * agree or 0, contradict
end

-- A key of five bytes: three of the bucket, two of the field in it.
local function lookup(prefix, keys, start)
  return call('HGET', prefix .. sub(keys, start, start + 2), sub(keys, start + 3, start + 4))
end

local function remember(prefix, expiry, incident, id, compared, keys, known)
  local address = tonumber(call('GET', prefix .. 'end') or '0')
  if address >= full then
    refused = refused + 1
    return
  end
  local record = incident .. id .. compared
  if address % PAGE + #record > PAGE then address = (math.floor(address / PAGE) + 1) * PAGE end
  local page = prefix .. 'page:' .. math.floor(address / PAGE)
  call('SETRANGE', page, address % PAGE, record)
  if address % PAGE == 0 then call('EXPIRE', page, expiry) end
  call('SET', prefix .. 'end', string.format('%d', address + #record), 'EX', expiry)
  address = string.format('%d', address)
  for start = 1, #keys, 5 do
    if not known[start] then
      local bucket = prefix .. sub(keys, start, start + 2)
      if call('HSET', bucket, sub(keys, start + 3, start + 4), address) == 1 and call('HLEN', bucket) == 1 then
        call('EXPIRE', bucket, expiry)
      end
    end
  end
end

local lives = {}
local function alive(prefix)
  if lives[prefix] == nil then lives[prefix] = call('EXISTS', prefix .. 'end') == 1 end
  return lives[prefix]
end

local function find_copy(prefixes, id, keys)
  for index, prefix in ipairs(prefixes) do
    local address = lookup(prefix, keys, 1)
    if address then
      local record = record_at(prefix, address)
      if sub(record, 17, 32) == id then return sub(record, 1, 16), index end
    end
  end
end

-- The remembered text most like this one, and the keys by which it was found in the newest generation.
local function find_like(prefixes, compared, keys)
  local found, order = {}, {}
  for index, prefix in ipairs(prefixes) do
    for start = 6, #keys, 5 do
      local address = lookup(prefix, keys, start)
      if address then
        local name = index .. address
        local one = found[name]
        if not one then
          one = {prefix = prefix, address = address, votes = 0, name = name, keys = {}}
          found[name] = one
          order[#order + 1] = one
        end
        one.votes = one.votes + 1
        if index == 1 then one.keys[start] = true end
      end
    end
  end
  if #order == 0 then return end
  table.sort(order, function(a, b)
    if a.votes ~= b.votes then return a.votes > b.votes end
    return a.name > b.name
  end)
  local own, barred, passed = read_compared(compared, 1), {}, {}
  for index = 1, math.min(#order, VERIFIED_MOST) do
    local one = order[index]
    if index > SINGLES_MOST and one.votes == 1 then break end
    local record = record_at(one.prefix, one.address)
    if #record > 33 then
      one.incident, one.text = sub(record, 1, 16), read_compared(record, 33)
      local score, contradicts = likeness(own, one.text)
      if score > 0 then
        one.score = score
        if contradicts then barred[one.incident] = true else passed[#passed + 1] = one end
      end
    end
  end
  local best
  for _, one in ipairs(passed) do
    -- What contradicts one report of an incident does not join it by way of another.
    if not barred[one.incident] and (not best or one.score > best.score) then best = one end
  end
  if best then return best, with_facts_of(compared, own, best.text), tells_more(own, best.text) end
end

for at = 2, #ARGV, 5 do
  local generation, expiry, id, keys, compared = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local prefix = base .. ':' .. generation .. ':'
  local older = base .. ':' .. string.format('%d', generation - 1) .. ':'
  local prefixes = alive(older) and {prefix, older} or {prefix}
  local incident, index = find_copy(prefixes, id, keys)
  if index ~= 1 then
    local known = {}
    if not incident then
      local best, told, more = find_like(prefixes, compared, keys)
      if best then incident, compared = best.incident, told end
      -- A copy with nothing to add need not take the place of the text it was found by.
      if best and not more then known = best.keys end
    end
    incident = incident or id
    remember(prefix, expiry, incident, id, compared, keys, known)
  end
  answer[#answer + 1] = incident
end
return {answer, refused}
"""


class Incidents:
    """Finds the incident of each report, and remembers the report.

    Args:
        redis: where it is remembered.
        megabytes: how much of Redis may be used, about. When it is used up, new texts stand alone until the next week
            begins; what is known goes on joining.
        clock: seconds since 1970; only says how long something is kept.
        key: what its keys in Redis begin with; it holds the hash tag.
    """

    def __init__(
        self, redis: Redis, *, megabytes: int = 1024, clock: Callable[[], float] = time.time, key: str = KEY
    ) -> None:
        self._redis = redis
        self._key = key
        self._full_bytes = (megabytes << 20) // 2 * BYTES_OF_A_RECORD // BYTES_OF_A_REPORT
        self._clock = clock
        self._sha = ""

    async def join(self, reports: Sequence[Report]) -> list[Report]:
        """The reports with the incident each belongs to, in their order; asked again, the same reports get the same.

        A report comes with the incident of its exact copies, and leaves with that of the earliest report it resembles.

        Raises:
            DependencyAwayError: Redis does not answer; nothing may pass on unjoined.
        """
        if not reports:
            return []
        calls = self._calls(reports)
        answers = await answered(self._run(calls), "Redis, which remembers incidents,")
        found = [UUID(bytes=incident) for incidents, _ in answers for incident in incidents]
        if refused := sum(count for _, count in answers):
            metrics.incidents_not_remembered.inc(refused)
        joined = [
            report if report.incident_id == incident else report.model_copy(update={"incident_id": incident})
            for report, incident in zip(reports, found, strict=True)
        ]
        metrics.joined.inc(sum(one is not other for one, other in zip(reports, joined, strict=True)))
        return joined

    def _calls(self, reports: Sequence[Report]) -> list[list[bytes | str | int]]:
        regions = [report.region for report in reports]
        texts = [
            likeness(report.title, report.text, district=region.district.code if region and region.district else "")
            for report, region in zip(reports, regions, strict=True)
        ]
        keys = bands(texts, [region.code if region else "" for region in regions])
        now = self._clock()
        arguments: list[list[bytes | str | int]] = []
        for report, text, key in zip(reports, texts, keys, strict=True):
            generation = int(report.received_at.timestamp()) // GENERATION_SECONDS
            left = (generation + 2) * GENERATION_SECONDS - now
            life = max(int(left), LEAST_LIFE_SECONDS)
            arguments.append(
                [
                    generation,
                    life,
                    report.incident_id.bytes,
                    exact_key(report.incident_id) + (key if text.comparable else b""),
                    text.packed(),
                ]
            )
        return [
            [
                self._key,
                self._full_bytes,
                *(value for one in arguments[start : start + REPORTS_PER_CALL] for value in one),
            ]
            for start in range(0, len(arguments), REPORTS_PER_CALL)
        ]

    async def _run(self, calls: Sequence[Sequence[bytes | str | int]]) -> list[tuple[list[bytes], int]]:
        for attempt in (1, 2):
            self._sha = self._sha or await self._redis.script_load(_SCRIPT)
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    for arguments in calls:
                        pipe.evalsha(self._sha, 1, *arguments)
                    answers: list[tuple[list[bytes], int]] = await pipe.execute()
                    return answers
            except NoScriptError:
                # Redis was started anew; what ran before the refusal is known by now and answers the same.
                self._sha = ""
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")


class SplitIncidents:
    """The same over several memories, one for each partition: reports of one region meet in one of them.

    Args:
        connections: to where each is remembered.
        partitions: how regions are split.
        megabytes: how much all together may use.
    """

    def __init__(self, connections: Connections, partitions: Partitions, *, megabytes: int) -> None:
        self._partitions = partitions
        keys = [partitions.key("incidents", number) for number in range(partitions.count)]
        self._memories = [
            Incidents(connections.of(key), megabytes=megabytes // partitions.count, key=key) for key in keys
        ]

    async def join(self, reports: Sequence[Report]) -> list[Report]:
        """As `Incidents.join`."""
        places: dict[int, list[int]] = defaultdict(list)
        for place, report in enumerate(reports):
            places[self._partitions.of(report.region.code if report.region else "")].append(place)
        joined = list(reports)

        async def join_theirs(partition: int, theirs: list[int]) -> None:
            found = await self._memories[partition].join([reports[place] for place in theirs])
            for place, report in zip(theirs, found, strict=True):
                joined[place] = report

        await asyncio.gather(*(join_theirs(partition, theirs) for partition, theirs in places.items()))
        return joined
