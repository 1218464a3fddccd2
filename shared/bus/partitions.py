"""How the streams are split, so that a Redis Cluster can spread them over its nodes.

All keys of a partition carry the same hash tag, so they lie in one slot and can be changed in one transaction. With a
single partition no key carries a tag.
"""

import itertools
from dataclasses import dataclass
from functools import cache
from zlib import crc32

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

PREFIX = "salingjaga:"
AGREED_KEY = f"{PREFIX}partitions"
"""Where Redis holds the number of partitions that it is used with."""


@dataclass(frozen=True, slots=True)
class Partitions:
    """A number of partitions, the same for all services of a system."""

    count: int = 1

    def of(self, word: str) -> int:
        """The partition, from 0, that a receipt or a region code belongs to."""
        return crc32(word.encode()) % self.count if self.count > 1 else 0

    def key(self, name: str, partition: int) -> str:
        """The Redis key of something in a partition; `name` is without the common prefix."""
        return f"{PREFIX}{{{hash_tag(partition, self.count)}}}:{name}" if self.count > 1 else f"{PREFIX}{name}"

    def disagree(self, agreed: bytes | str | None) -> str:
        """What is wrong when Redis is used with another number, by what lies under `AGREED_KEY`; else empty."""
        if agreed is None or int(agreed) == self.count:
            return ""
        return (
            f"SALINGJAGA_PARTITIONS is {self.count} here, and {int(agreed)} for those that used this Redis before; "
            "set all to the same (docs/cluster.md says how to change it)."
        )


UNDIVIDED = Partitions()
"""One partition: streams are not split."""


@cache
def hash_tag(partition: int, count: int) -> str:
    """A tag whose slot lies in the partition's share of all slots, taken in order.

    Nodes of a cluster hold equal ranges of slots when it is created, so as many partitions as masters, or a multiple,
    lie evenly on them; tags by chance would not.
    """
    tags = (f"{partition}.{number}" for number in itertools.count())
    return next(tag for tag in tags if key_slot(tag.encode()) * count // REDIS_CLUSTER_HASH_SLOTS == partition)
