"""Which streams exist and who reads each.

The list of groups is complete on purpose: a stream may be trimmed only behind the slowest of them, and a group that has
not started yet (or was flushed away) must hold the trimming back, not be overlooked by it.
"""

from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import ResponseError


@dataclass(frozen=True, slots=True)
class Stream:
    """A Redis stream and the consumer groups that read it."""

    name: str
    groups: tuple[str, ...]


SUBMISSIONS = Stream("salingjaga:submissions", ("normaliser", "vault"))
REPORTS = Stream("salingjaga:reports", ("classify",))
ASSESSMENTS = Stream("salingjaga:assessments", ("archive", "alerts"))
ALERT_EVENTS = Stream("salingjaga:{alerts}:events", ("archive",))
"""Written by scripts together with the alerts themselves: the hash tag puts both on one node of a Redis Cluster."""
QUARANTINE = Stream("salingjaga:quarantine", ())

ALL = (SUBMISSIONS, REPORTS, ASSESSMENTS, ALERT_EVENTS, QUARANTINE)
FLOWING = (SUBMISSIONS, REPORTS, ASSESSMENTS, ALERT_EVENTS)


async def ensure_groups(redis: Redis, stream: Stream) -> None:
    """Create the stream's groups at its very beginning, so that nothing published before the first start is missed."""
    for group in stream.groups:
        try:
            await redis.xgroup_create(stream.name, group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


async def ensure_all_groups(redis: Redis) -> None:
    """Create whatever group is missing, of all streams."""
    for stream in FLOWING:
        await ensure_groups(redis, stream)
