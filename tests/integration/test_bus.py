"""The consumer layer against a real Redis: what happens when messages, consumers, groups or Redis itself fail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.asyncio import Redis

from shared.bus import quarantine
from shared.bus.consumer import Handle
from shared.bus.errors import DependencyAwayError, SenderAtFaultError, UnprocessableError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.partitions import UNDIVIDED
from shared.bus.streams import ASSESSMENTS, QUARANTINE, REPORTS, SUBMISSIONS, ensure_all_groups
from shared.bus.trim import trim
from shared.service import Service
from shared.settings import Settings
from tests.backends import start_redis
from tests.running import eventually, running


async def hand_on(batch: Sequence[Message], outbox: Outbox) -> None:
    """Copies every submission to the stream of reports; `bad` cannot be processed."""
    for message in batch:
        if message.body == b"bad":
            raise UnprocessableError("it says bad")
        outbox.publish(REPORTS, message.body)


def copying(url: str, handle: Handle = hand_on, *, batch_size: int = 50, **settings: float) -> Service:
    service = Service("test", Settings(redis_url=url, claim_idle_seconds=0.3, **settings))
    service.consume(SUBMISSIONS, "normaliser", handle, batch_size=batch_size)
    return service


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as connection:
        yield connection


async def submit(client: Redis, *bodies: bytes) -> None:
    async with client.pipeline(transaction=False) as pipe:
        for body in bodies:
            pipe.xadd(SUBMISSIONS.name, {b"body": body})
        await pipe.execute()


async def handed_on(client: Redis) -> list[bytes]:
    return sorted(fields[b"body"] for _, fields in await client.xrange(REPORTS.name))


def numbers(count: int, start: int = 0) -> list[bytes]:
    return [b"%06d" % number for number in range(start, start + count)]


async def test_what_was_sent_before_the_first_start_is_read(client: Redis, redis_url: str) -> None:
    await submit(client, *numbers(120))
    async with running(copying(redis_url)):
        await eventually(lambda: has(client, numbers(120)))


async def has(client: Redis, expected: list[bytes]) -> bool:
    return await handed_on(client) == expected


async def test_a_bad_message_goes_to_quarantine_alone_and_its_neighbours_flow_on(client: Redis, redis_url: str) -> None:
    await submit(client, *numbers(30), b"bad", *numbers(30, 30))
    async with running(copying(redis_url)):
        await eventually(lambda: has(client, numbers(60)))
        [(_, entry)] = await client.xrange(QUARANTINE.name)
    assert entry[b"field:body"] == b"bad"
    assert entry[b"error"] == b"it says bad"
    assert entry[b"group"] == b"normaliser"


async def test_what_a_killed_consumer_had_read_is_taken_over(client: Redis, redis_url: str) -> None:
    await ensure_all_groups(lambda _: client, UNDIVIDED)
    await submit(client, *numbers(40))
    await client.xreadgroup("normaliser", "killed", {SUBMISSIONS.name: ">"}, count=40)
    async with running(copying(redis_url)):
        await eventually(lambda: has(client, numbers(40)))
    assert (await client.xpending(SUBMISSIONS.name, "normaliser"))["pending"] == 0


async def test_a_message_that_ends_every_process_is_put_aside_and_the_others_flow_on(
    client: Redis, redis_url: str
) -> None:
    reached = asyncio.Event()

    async def dying(batch: Sequence[Message], outbox: Outbox) -> None:
        if any(message.body == b"deadly" for message in batch):
            reached.set()
            await asyncio.sleep(3_600)  # until the process is ended from outside
        await hand_on(batch, outbox)

    await ensure_all_groups(lambda _: client, UNDIVIDED)
    await submit(client, *numbers(5), b"deadly", *numbers(5, 5))
    lives = 0
    while await client.xlen(QUARANTINE.name) == 0:
        lives += 1
        assert lives < 12
        reached.clear()
        async with running(copying(redis_url, dying, max_deliveries=2)):

            async def ended() -> bool:
                return reached.is_set() or await client.xlen(QUARANTINE.name) == 1

            await eventually(ended)
    async with running(copying(redis_url, dying)):
        await eventually(lambda: has(client, numbers(10)))
    [(_, aside)] = await client.xrange(QUARANTINE.name)
    assert aside[b"field:body"] == b"deadly"
    assert b"handled this message alone" in aside[b"error"]


async def test_messages_whose_processes_ended_for_other_reasons_are_handled_however_often_that_was(
    client: Redis, redis_url: str
) -> None:
    await ensure_all_groups(lambda _: client, UNDIVIDED)
    await submit(client, *numbers(120))
    for _ in range(25):
        ids = [id_ for id_, _ in await client.xrange(SUBMISSIONS.name)]
        await client.xreadgroup("normaliser", "killed", {SUBMISSIONS.name: ">"})
        await client.xclaim(SUBMISSIONS.name, "normaliser", "killed", 0, ids)
    async with running(copying(redis_url)):
        await eventually(lambda: has(client, numbers(120)))
    assert await client.xlen(QUARANTINE.name) == 0
    assert not await client.exists(f"{SUBMISSIONS.name}:normaliser:alone")


async def length(client: Redis, stream: str, count: int) -> bool:
    return await client.xlen(stream) == count


async def test_a_vanished_group_comes_back_and_reading_goes_on(client: Redis, redis_url: str) -> None:
    async with running(copying(redis_url)):
        await submit(client, *numbers(5))
        await eventually(lambda: has(client, numbers(5)))
        await client.flushall()
        await submit(client, *numbers(5, 100))
        await eventually(lambda: has(client, numbers(5, 100)))


async def test_a_redis_that_is_killed_and_started_again_costs_nothing(tmp_path: Path) -> None:
    with start_redis(tmp_path) as server:
        async with running(copying(server.url)):
            async with Redis.from_url(server.url) as before:
                await submit(before, *numbers(300))
            server.kill()
            server.start_again()
            async with Redis.from_url(server.url) as after:
                await submit(after, *numbers(300, 300))
                await eventually(lambda: covers(after, set(numbers(600))))


async def covers(client: Redis, expected: set[bytes]) -> bool:
    return set(await handed_on(client)) == expected


async def test_while_a_dependency_is_away_the_batch_is_kept_and_tried_again(client: Redis, redis_url: str) -> None:
    refusals = 3

    async def away_at_first(batch: Sequence[Message], outbox: Outbox) -> None:
        nonlocal refusals
        await hand_on(batch[:2], outbox)
        if refusals:
            refusals -= 1
            raise DependencyAwayError("away")
        await hand_on(batch[2:], outbox)

    await submit(client, *numbers(20))
    async with running(copying(redis_url, away_at_first)):
        await eventually(lambda: has(client, numbers(20)))
    assert await client.xlen(QUARANTINE.name) == 0


async def test_a_batch_that_takes_long_is_neither_taken_over_nor_counted_as_delivered_again(
    client: Redis, redis_url: str
) -> None:
    handled = 0

    async def slowly(batch: Sequence[Message], outbox: Outbox) -> None:
        nonlocal handled
        handled += len(batch)
        for _ in range(12):  # four times the idle time after which an abandoned batch is taken over
            await client.ping()
            await asyncio.sleep(0.1)
        await hand_on(batch, outbox)

    await submit(client, *numbers(5))
    async with running(copying(redis_url, slowly)), running(copying(redis_url, slowly)):

        async def being_handled() -> bool:
            return handled > 0

        await eventually(being_handled)
        [pending] = await client.xpending_range(SUBMISSIONS.name, "normaliser", "-", "+", 1)
        assert pending["times_delivered"] == 1
        await eventually(lambda: has(client, numbers(5)))
    assert handled == 5


async def test_while_a_dependency_is_away_replicas_do_not_wear_out_what_they_took_over_from_a_dead_one(
    client: Redis, redis_url: str
) -> None:
    back = asyncio.Event()

    async def away(batch: Sequence[Message], outbox: Outbox) -> None:
        if not back.is_set():
            raise DependencyAwayError("away")
        await hand_on(batch, outbox)

    async def pending() -> list[dict[str, Any]]:
        return await client.xpending_range(SUBMISSIONS.name, "normaliser", "-", "+", 100)

    await ensure_all_groups(lambda _: client, UNDIVIDED)
    await submit(client, b"000000")
    await client.xreadgroup("normaliser", "killed", {SUBMISSIONS.name: ">"})
    async with contextlib.AsyncExitStack() as replicas:
        for _ in range(4):
            await replicas.enter_async_context(running(copying(redis_url, away)))
        await submit(client, *numbers(5, 1))

        async def taken_over() -> bool:
            return b"killed" not in [entry["consumer"] for entry in await pending()]

        await eventually(taken_over)
        for _ in range(15):  # five times the idle time after which an abandoned batch is taken over
            assert max(entry["times_delivered"] for entry in await pending()) <= 2
            await asyncio.sleep(0.1)
        back.set()
        await eventually(lambda: covers(client, set(numbers(6))))
    assert await client.xlen(QUARANTINE.name) == 0


async def test_a_redis_without_memory_is_waited_for_and_costs_nothing(client: Redis, redis_url: str) -> None:
    full = asyncio.Event()

    async def fill_first(batch: Sequence[Message], outbox: Outbox) -> None:
        if not full.is_set():
            await client.config_set("maxmemory", "1mb")
            full.set()
        await hand_on(batch, outbox)

    await submit(client, *numbers(30))
    async with running(copying(redis_url, fill_first)):
        await full.wait()
        assert await client.xlen(REPORTS.name) == 0
        await client.config_set("maxmemory", "0")
        await eventually(lambda: has(client, numbers(30)))
    assert await client.xlen(QUARANTINE.name) == 0
    assert (await client.xpending(SUBMISSIONS.name, "normaliser"))["pending"] == 0


async def test_when_everything_fails_the_service_stops_and_keeps_the_rest_pending(
    client: Redis, redis_url: str
) -> None:
    async def broken(_batch: Sequence[Message], _outbox: Outbox) -> None:
        raise RuntimeError("a bug of ours")

    await submit(client, *numbers(500))
    service = copying(redis_url, broken, quarantine_limit=20)
    async with running(service):
        await eventually(lambda: stopped(service))
    assert "RuntimeError at " in service.broken
    assert "test_bus.py" in service.broken
    assert "a bug of ours" not in service.broken, "an unexpected error's words may quote a text"
    assert await client.xlen(QUARANTINE.name) <= 20
    assert (await client.xpending(SUBMISSIONS.name, "normaliser"))["pending"] > 0


async def test_any_number_of_messages_that_are_their_sender_s_fault_stop_nobody(client: Redis, redis_url: str) -> None:
    async def particular(batch: Sequence[Message], outbox: Outbox) -> None:
        for message in batch:
            if message.body != b"good":
                raise SenderAtFaultError("it was let in knowingly")
            outbox.publish(REPORTS, message.body)

    await submit(client, *numbers(100), b"good")
    service = copying(redis_url, particular, quarantine_limit=20)
    async with running(service):
        await eventually(lambda: length(client, QUARANTINE.name, 100))
        await eventually(lambda: length(client, REPORTS.name, 1))
    assert service.broken == ""


async def test_when_most_fails_among_some_that_succeed_the_service_stops_too(client: Redis, redis_url: str) -> None:
    third_good = [body for number in range(200) for body in (b"bad", b"%06d" % number, b"bad")]
    await submit(client, *third_good)
    service = copying(redis_url, quarantine_window=100, batch_size=30)
    async with running(service):
        await eventually(lambda: stopped(service))
    assert "of the last 100 messages" in service.broken
    assert await client.xlen(QUARANTINE.name) < 100
    assert (await client.xpending(SUBMISSIONS.name, "normaliser"))["pending"] > 0


async def stopped(service: Service) -> bool:
    return bool(service.broken)


async def test_a_replayed_message_flows_on_as_if_nothing_had_happened(client: Redis, redis_url: str) -> None:
    await submit(client, b"bad")
    async with running(copying(redis_url)):
        await eventually(lambda: length(client, QUARANTINE.name, 1))

    async def cured(batch: Sequence[Message], outbox: Outbox) -> None:
        for message in batch:
            outbox.publish(REPORTS, message.body)

    with redis.Redis.from_url(redis_url) as operator:
        [one] = quarantine.read_quarantine(operator)
        quarantine.replay(operator, one, UNDIVIDED)
        assert list(quarantine.read_quarantine(operator)) == []
    async with running(copying(redis_url, cured)):
        await eventually(lambda: has(client, [b"bad"]))


async def test_a_stream_is_trimmed_only_behind_its_slowest_group(client: Redis) -> None:
    await ensure_all_groups(lambda _: client, UNDIVIDED)
    async with client.pipeline(transaction=False) as pipe:
        for body in numbers(20_000):
            pipe.xadd(ASSESSMENTS.name, {b"body": body})
        await pipe.execute()
    await client.xreadgroup("alerts", "fast", {ASSESSMENTS.name: ">"}, count=20_000, noack=True)
    assert await trim(client, ASSESSMENTS) == 0, "the archive has read nothing yet"

    [[_, entries]] = await client.xreadgroup("archive", "slow", {ASSESSMENTS.name: ">"}, count=15_000)
    ids = [id_ for id_, _ in entries]
    await client.xack(ASSESSMENTS.name, "archive", *ids[:9_000], *ids[10_000:])
    removed = await trim(client, ASSESSMENTS)
    [(oldest, _)] = await client.xrange(ASSESSMENTS.name, count=1)
    assert 0 < removed <= 9_000
    assert oldest <= ids[9_000], "what the archive still holds is kept"


async def test_a_group_that_is_missing_holds_the_trimming_back(client: Redis) -> None:
    for body in numbers(2_000):
        await client.xadd(ASSESSMENTS.name, {b"body": body})
    await client.xgroup_create(ASSESSMENTS.name, "alerts", id="$")
    assert await trim(client, ASSESSMENTS) == 0


async def test_after_a_clock_that_was_an_hour_ahead_messages_flow_on_in_their_order_and_are_trimmed(
    client: Redis, redis_url: str
) -> None:
    await submit(client, *numbers(500))
    newest = (await client.xinfo_stream(SUBMISSIONS.name))["last-generated-id"]
    ahead = int(newest.partition(b"-")[0]) + 3_600_000
    await client.xadd(SUBMISSIONS.name, {b"body": b"000500"}, id=f"{ahead}-0")
    await submit(client, *numbers(500, 501))  # the clock is right again, the stream's ids stay ahead
    async with running(copying(redis_url, batch_size=100)):
        await eventually(lambda: has(client, numbers(1_001)))
        assert [fields[b"body"] for _, fields in await client.xrange(REPORTS.name)] == numbers(1_001)
        await client.xreadgroup("vault", "reader", {SUBMISSIONS.name: ">"}, count=2_000, noack=True)
        await eventually(lambda: at_most(client, SUBMISSIONS.name, 200))


async def at_most(client: Redis, stream: str, count: int) -> bool:
    return await client.xlen(stream) <= count


async def test_two_consumers_share_a_stream_and_each_message_is_handled_once(client: Redis, redis_url: str) -> None:
    await submit(client, *numbers(2_000))
    async with running(copying(redis_url)), running(copying(redis_url)):
        await eventually(lambda: length(client, REPORTS.name, 2_000))
        await asyncio.wait_for(client.ping(), 1)
    assert await handed_on(client) == numbers(2_000)
