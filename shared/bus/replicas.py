"""Waiting for replicas: what only a master holds is gone when it dies, and in a cluster others may rest on it already.

On one server a replica that takes over lacks the end of what happened, acknowledgements included, and what they
acknowledged is done again. Between two nodes of a cluster the acknowledgement may survive what it rests on; so that has
to be on a replica before.
"""

from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError

MOST_MILLISECONDS = 2_000
_LOOK_MILLISECONDS = 100
_MARK_SECONDS = 60


class NotReplicatedError(ConnectionError):
    """Too few replicas hold, or follow at all; like a server that is away, it passes."""


async def write_held(redis: Redis, queue: Callable[[Pipeline], object], replicas: int) -> None:
    """Execute what `queue` puts on a pipeline, and return when so many replicas hold it; 0 waits for none.

    Raises:
        NotReplicatedError: there are not enough replicas (nothing was written), or they do not follow (it was).
    """
    if replicas and await redis.wait(replicas, _LOOK_MILLISECONDS) < replicas:
        raise NotReplicatedError(f"fewer than {replicas} replicas follow the master")
    async with redis.pipeline(transaction=False) as pipe:
        queue(pipe)
        if replicas:
            pipe.wait(replicas, MOST_MILLISECONDS)
        answers = await pipe.execute()
    if replicas and answers[-1] < replicas:
        raise NotReplicatedError(f"{answers[-1]} of {replicas} replicas hold what was written")


async def hold(redis: Redis, key: str, replicas: int) -> None:
    """Return when so many replicas hold all that was written so far beside `key`; raises `NotReplicatedError`."""
    if replicas:
        # Replicas follow in order: whoever holds the mark holds what came before it.
        await write_held(redis, lambda pipe: pipe.set(key, 1, ex=_MARK_SECONDS), replicas)
