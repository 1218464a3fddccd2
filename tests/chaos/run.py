"""Runs faults one after the other under continuous load, with an audit after each."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.audit import Audit, audit, memory_mb, wait_until_archived
from tests.chaos.faults import Extent, Fault
from tests.chaos.load import Load
from tests.chaos.world import World

WARM_UP_SECONDS = 2.0
MEMORY_GROWTH = 1.6
MEMORY_ROOM_MB = 150.0
"""What processes may hold more than at the beginning: caches fill, and stored rows grow."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        receipts: answered 202 during this fault.
        refused: requests that were not answered 202 meanwhile, each tried again until it was.
        recovery_seconds: from the end of the cause until a report posted after it stood in ClickHouse.
        memory_mb: of all processes together, when everything had drained.
    """

    fault: str
    times: int
    seconds: float
    receipts: int
    refused: int
    lost: int
    doubled: int
    excepted: int
    recovery_seconds: float
    memory_mb: int
    complaints: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether every promise held."""
        return not (self.lost or self.doubled or self.complaints)

    def document(self) -> dict[str, Any]:
        """The row as JSON knows it."""
        return asdict(self)


def run(
    world: World, faults: Iterable[tuple[Fault, Extent]], *, per_second: float, say: Callable[[str], None]
) -> Iterator[Row]:
    """Inflict faults, each with its extent, and give what each came to.

    Args:
        world: a running system.
        per_second: reports posted each second, all senders together.
        say: told what is being done.
    """
    load = Load(world.key, world.webhooks, world.redis, per_second)
    emptied: Counter[str] = Counter()
    emptied_at = 0.0
    _warm_up(world, load)
    memory_before = _memory(world)
    for fault, extent in faults:
        if fault.needs_small_disk and not world.has_small_disk:
            say(f"{fault.name}: left out, this user may not mount a small disk")
            continue
        if fault.needs_own_clock and not world.has_own_clock:
            say(f"{fault.name}: left out, programs cannot be given a clock of their own here")
            continue
        say(f"{fault.name}: {extent.times} times" + (f", {extent.seconds:.0f} s" if extent.seconds else ""))
        if fault.replicas:
            world.start_replicas(fault.replicas)
        kept, refused, excepted = len(load.kept), load.refusals.total(), len(emptied)
        began = time.monotonic()
        load.start()
        time.sleep(WARM_UP_SECONDS)
        complaint = fault.inflict(world, load, extent)
        undone = time.monotonic()
        recovery = _recovery(world, load, undone)
        load.finish()
        say(f"{fault.name}: counting")
        if fault.empties:
            emptied_at = undone
        found = audit(world, load, since=emptied_at, emptied=emptied)
        if fault.replicas:
            world.stop_replicas()
        memory = _memory(world)
        if memory > memory_before * MEMORY_GROWTH + MEMORY_ROOM_MB:
            found.complaints.append(f"memory has not returned: {memory:.0f} MB after {memory_before:.0f} MB")
        yield Row(
            fault=fault.name,
            times=extent.times,
            seconds=round(undone - began - WARM_UP_SECONDS, 1),
            receipts=found.receipts - kept,
            refused=load.refusals.total() - refused,
            lost=len(found.lost),
            doubled=len(found.doubled),
            excepted=found.excepted - excepted,
            recovery_seconds=round(recovery, 1),
            memory_mb=round(memory),
            complaints=tuple(_complaints(found, complaint)),
        )


def _complaints(found: Audit, complaint: str | None) -> list[str]:
    examples = [f"lost, for example {', '.join(found.lost[:3])}"] if found.lost else []
    return [*examples, *([complaint] if complaint else []), *found.complaints[:5]]


def _warm_up(world: World, load: Load) -> None:
    load.start()
    time.sleep(WARM_UP_SECONDS)
    load.finish()
    audit(world, load)


def _recovery(world: World, load: Load, since: float, *, seconds: float = 180) -> float:
    while time.monotonic() - since < seconds:
        load.check()
        if (first := load.newest_after(since)) and wait_until_archived(world, first.receipt):
            return time.monotonic() - since
        time.sleep(0.05)
    raise AssertionError(f"no report arrives any more, {seconds:.0f} s after the fault")


def _memory(world: World) -> float:
    return sum(memory_mb(pid) for pid in world.pids().values())
