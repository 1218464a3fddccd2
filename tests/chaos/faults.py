"""The faults. Each is a function that does its damage while the load runs, and returns when its cause is gone."""

import contextlib
import os
import random
import resource
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.bus.streams import FLOWING, SUBMISSIONS
from tests.backends import wait_for
from tests.chaos.load import Load
from tests.chaos.world import CLAIM_IDLE_SECONDS, PARTS, World


@dataclass(frozen=True)
class Extent:
    """How much of a fault: how often, and for how long each time."""

    times: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Fault:
    """One kind of damage.

    Attributes:
        name: as the table shows it.
        inflict: does it; a string it returns is a complaint about the system's behaviour meanwhile.
        full, short: its extent in the full and in the short form; without the latter it is left out there.
        replicas: further processes of each service that run meanwhile.
        empties: it removes what Redis alone held.
        needs_small_disk: it is left out where the system does not lie on a disk that may be filled.
        needs_own_clock: it is left out where programs cannot be given a clock of their own.
    """

    name: str
    inflict: Callable[[World, Load, Extent], str | None]
    full: Extent
    short: Extent | None = None
    replicas: int = 0
    empties: bool = False
    needs_small_disk: bool = False
    needs_own_clock: bool = False


def kill_any(world: World, load: Load, extent: Extent) -> None:
    """`kill -9` parts in random order, each as often as the others, at random moments."""
    victims = [PARTS[number % len(PARTS)] for number in range(extent.times)]
    random.shuffle(victims)
    for victim in victims:
        time.sleep(random.uniform(0.1, 1.5))
        world.wait_until_back(victim)
        killed = world.kill(victim)
        world.wait_until_back(victim, besides=killed)


def kill_supervisor(world: World, load: Load, extent: Extent) -> None:
    """`kill -9` the supervisor, which takes everything with it, and start the system again in the same folder."""
    for _ in range(extent.times):
        time.sleep(random.uniform(0.5, 2))
        children = [world.pid(part) for part in PARTS]
        assert world.embedded.process
        world.embedded.process.kill()
        world.embedded.process.wait()
        wait_for(lambda children=children: not any(_exists(pid) for pid in children), seconds=60)  # type: ignore[misc]
        (world.embedded.data_dir / "runtime.json").unlink()
        world.embedded.start()


def redis_away(world: World, load: Load, extent: Extent) -> None:
    """Redis is killed, stays away, and is started again."""
    _away(world, "redis", extent)


def clickhouse_away(world: World, load: Load, extent: Extent) -> None:
    """ClickHouse is killed in the middle of the batches, stays away, and is started again."""
    _away(world, "clickhouse", extent)


def _away(world: World, part: str, extent: Extent) -> None:
    for _ in range(extent.times):
        with world.away(part):
            time.sleep(extent.seconds)


def redis_frozen(world: World, load: Load, extent: Extent) -> None:
    """Redis does not answer, though its connections stay open."""
    _frozen(world, "redis", extent)


def clickhouse_frozen(world: World, load: Load, extent: Extent) -> None:
    """ClickHouse does not answer, though its connections stay open."""
    _frozen(world, "clickhouse", extent)


def _frozen(world: World, part: str, extent: Extent) -> None:
    for _ in range(extent.times):
        with world.frozen(world.pid(part)):
            time.sleep(extent.seconds)
        time.sleep(1)


def slow_consumers(world: World, load: Load, extent: Extent) -> None:
    """One process after the other stands still for much longer than its messages wait to be taken over; it then
    carries on as if it still held them."""
    for _ in range(extent.times):
        for part in ("normaliser", "classify", "archive", "alerts"):
            with world.frozen(world.pid(part)):
                time.sleep(extent.seconds)


def redis_emptied(world: World, load: Load, extent: Extent) -> None:
    """Everything in Redis is removed: streams, groups, receipts, cases."""
    for _ in range(extent.times):
        time.sleep(random.uniform(1, 2))
        with world.redis() as client:
            client.flushall()


def groups_gone(world: World, load: Load, extent: Extent) -> None:
    """Every consumer group is destroyed; nothing that waits in a stream may be lost by it."""
    for _ in range(extent.times):
        time.sleep(random.uniform(1, 2))
        with world.redis() as client:
            for stream in FLOWING:
                for group in stream.groups:
                    client.xgroup_destroy(stream.name, group)


def kill_and_starve(world: World, load: Load, extent: Extent) -> None:
    """Processes of several replicas are killed while ClickHouse is away."""
    for _ in range(extent.times):
        with world.away("clickhouse"):
            # A replica that nobody starts again leaves messages behind, which the others take over.
            for process in world.replicas[:: max(1, len(world.replicas) // 5)]:
                process.kill()
                time.sleep(extent.seconds / 10)
            time.sleep(extent.seconds / 2)


def clock_jumps(world: World, load: Load, extent: Extent) -> str | None:
    """The machine's clock is an hour ahead, then right, then an hour behind. Each time somebody has read messages
    before the jump and died: they must be taken over soon, although they were read at a later hour."""
    complaint = None
    with world.own_clock() as set_clock:
        for ahead in (3_600.0, 0.0, -3_600.0):
            time.sleep(extent.seconds)
            with world.frozen(world.pid("normaliser")):
                wait_for(lambda: _read_by_the_dead(world))
            set_clock(ahead)
            load.clock_ahead_seconds = ahead  # a report signed at another hour is refused, as it must be
            try:
                wait_for(lambda: not _held_by_the_dead(world))
            except AssertionError:
                complaint = f"{_held_by_the_dead(world)} messages of a dead process are not taken over, {ahead:+.0f} s"
    load.clock_ahead_seconds = 0.0
    return complaint


def _read_by_the_dead(world: World) -> bool:
    with world.redis() as client:
        return bool(client.xreadgroup("normaliser", "dead", {SUBMISSIONS.name: ">"}, count=20))


def _held_by_the_dead(world: World) -> int:
    with world.redis() as client:
        return len(client.xpending_range(SUBMISSIONS.name, "normaliser", "-", "+", 100, consumername="dead"))  # type: ignore[arg-type]


def backlog(world: World, load: Load, extent: Extent) -> str | None:
    """Nobody reads while more is posted than may wait: new reports are refused with the time to come back."""
    usual, before = load.per_second, load.refusals[503]

    def full_and_refusing() -> bool:
        nonlocal before
        with world.redis() as client:
            if client.xlen(SUBMISSIONS.name) <= world.high_water:  # type: ignore[operator]
                before = load.refusals[503]
        return load.refusals[503] > before

    with world.frozen(world.pid("normaliser")):
        load.per_second = 100_000.0
        try:
            wait_for(full_and_refusing, seconds=extent.seconds)
        except AssertionError:
            return f"no 503 within {extent.seconds:.0f} s"
        finally:
            load.per_second = usual
    return f"{load.without_retry_after} answers 503 without Retry-After" if load.without_retry_after else None


def redis_disk_full(world: World, load: Load, extent: Extent) -> None:
    """No file that Redis writes can grow any more."""
    with _no_growth(world, "redis"):
        time.sleep(extent.seconds)


def disk_full(world: World, load: Load, extent: Extent) -> None:
    """The disk under Redis, ClickHouse and the logs is full to the last byte."""
    for _ in range(extent.times):
        with world.full_disk():
            time.sleep(extent.seconds)
        time.sleep(2)


@contextlib.contextmanager
def _no_growth(world: World, part: str) -> Iterator[None]:
    """A limit on the size of a process's files (RLIMIT_FSIZE), for every process that the part becomes meanwhile.

    The write fails for the part as on a full disk (EFBIG; Redis, which would end itself at a write error under
    `appendfsync always`, is ended by the signal that goes with it). No right of root is needed, and the disk of whoever
    runs this stays free.
    """
    over = threading.Event()

    def squeeze() -> None:
        while not over.is_set():
            _limit_files(world.pid(part), 0)
            time.sleep(0.02)

    squeezer = threading.Thread(target=squeeze, daemon=True)
    squeezer.start()
    try:
        yield
    finally:
        over.set()
        squeezer.join()
        world.wait_until_back(part)
        _limit_files(world.pid(part), resource.RLIM_INFINITY)


def _limit_files(pid: int, limit: int) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


FAULTS = (
    Fault("kill -9, any process", kill_any, Extent(100), Extent(7)),
    Fault("kill -9, the supervisor", kill_supervisor, Extent(3)),
    Fault("Redis away", redis_away, Extent(2, 15), Extent(1, 3)),
    Fault("Redis frozen", redis_frozen, Extent(1, 30)),
    Fault("consumer groups destroyed", groups_gone, Extent(5)),
    Fault("Redis emptied", redis_emptied, Extent(3), Extent(1), empties=True),
    Fault("ClickHouse away", clickhouse_away, Extent(1, 120), Extent(1, 4)),
    Fault("ClickHouse frozen", clickhouse_frozen, Extent(1, 75)),
    Fault("no file of Redis can grow", redis_disk_full, Extent(1, 15)),
    Fault("disk full", disk_full, Extent(3, 15), Extent(1, 3), needs_small_disk=True),
    Fault("clock jumps", clock_jumps, Extent(3, 10), Extent(3, 3), needs_own_clock=True),
    Fault("backlog above the high-water mark", backlog, Extent(1, 60)),
    Fault("slow consumers, 3 replicas", slow_consumers, Extent(1, 3 * CLAIM_IDLE_SECONDS), replicas=2),
    Fault("kill -9, any process, 3 replicas", kill_any, Extent(20), replicas=2),
    Fault("replicas killed, ClickHouse away", kill_and_starve, Extent(1, 60), replicas=2),
)


def extents(*, short: bool) -> list[tuple[Fault, Extent]]:
    """The faults of the full or the short form, with their extents."""
    return [(fault, extent) for fault in FAULTS if (extent := fault.short if short else fault.full)]
