"""Trimming: a stream is cut behind what every one of its groups has acknowledged, and nowhere else."""

from redis.asyncio import Redis

from shared.bus.streams import Stream


async def trim(redis: Redis, stream: Stream, *, to_the_last: bool = False) -> int:
    """Remove what all groups have acknowledged; some of it may stay for cheapness, unless `to_the_last`.

    Returns:
        Entries removed. 0 while any group of the stream is missing: it has read nothing yet.
    """
    groups = {group["name"].decode(): group for group in await redis.xinfo_groups(stream.name)}
    if not stream.groups or any(name not in groups for name in stream.groups):
        return 0
    edges = []
    for name in stream.groups:
        pending = await redis.xpending(stream.name, name)
        edges.append(pending["min"] if pending["pending"] else _after(groups[name]["last-delivered-id"]))
    slowest = min(edges, key=_order)
    return int(await redis.xtrim(stream.name, minid=slowest.decode(), approximate=not to_the_last))


def _after(entry_id: bytes) -> bytes:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return b"%b-%d" % (milliseconds, int(sequence) + 1)


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)
