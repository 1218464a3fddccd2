"""Which streams exist and who reads each.

The list of groups is complete on purpose: a stream may be trimmed only behind the slowest of them, and a group that has
not started yet (or was flushed away) must hold the trimming back, not be overlooked by it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.bus.partitions import PREFIX, Partitions


@dataclass(frozen=True, slots=True)
class Stream:
    """A Redis stream and the consumer groups that read it; `part` names the stream of one partition."""

    name: str
    groups: tuple[str, ...]
    is_split: bool = True
    """Whether it is split into partitions when there are several."""
    partition: int = 0

    def part(self, partition: int, partitions: Partitions) -> "Stream":
        """The stream of one partition; itself when it is not split."""
        if not self.is_split:
            return self
        return replace(self, name=partitions.key(self.name.removeprefix(PREFIX), partition), partition=partition)

    def parts(self, partitions: Partitions) -> tuple["Stream", ...]:
        """The streams of all partitions."""
        return tuple(self.part(number, partitions) for number in range(partitions.count if self.is_split else 1))


SUBMISSIONS = Stream(f"{PREFIX}submissions", ("normaliser", "vault"))
"""Split by receipt: where it happened is not known yet."""
REPORTS = Stream(f"{PREFIX}reports", ("classify",))
"""Split by region code; by receipt where a report tells of no region."""
ASSESSMENTS = Stream(f"{PREFIX}assessments", ("archive", "alerts"))
"""Split as reports are."""
ALERT_EVENTS = Stream(f"{PREFIX}{{alerts}}:events", ("archive",), is_split=False)
"""Written by scripts together with the alerts themselves: the hash tag puts both on one node of a Redis Cluster."""
QUARANTINE = Stream(f"{PREFIX}quarantine", (), is_split=False)

ALL = (SUBMISSIONS, REPORTS, ASSESSMENTS, ALERT_EVENTS, QUARANTINE)
FLOWING = (SUBMISSIONS, REPORTS, ASSESSMENTS, ALERT_EVENTS)


def flowing_parts(partitions: Partitions) -> tuple[Stream, ...]:
    """All streams that messages flow through, each partition by itself."""
    return tuple(part for stream in FLOWING for part in stream.parts(partitions))


async def ensure_groups(redis: Redis, stream: Stream) -> None:
    """Create the stream's groups at its very beginning, so that nothing published before the first start is missed."""
    for group in stream.groups:
        try:
            await redis.xgroup_create(stream.name, group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


async def ensure_all_groups(client_of: Callable[[str], Redis], partitions: Partitions) -> None:
    """Create whatever group is missing, of all streams; `client_of` gives the client for a key."""
    for stream in flowing_parts(partitions):
        await ensure_groups(client_of(stream.name), stream)
