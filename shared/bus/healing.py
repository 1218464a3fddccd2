"""Waiting for Redis, and bringing reads back to life when Redis or a consumer group had gone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from shared.bus.errors import DependencyAwayError

log = structlog.get_logger()

AWAY = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OSError)
"""Redis cannot be reached, is loading its data, or has just lost its rank as master: it will pass."""

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 3.0

_PASSING_REFUSALS = ("NOGROUP", "OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS", "LOADING")
"""Anywhere in the words: the client puts its own in front when the refusal comes out of a pipeline."""


def _passes(error: ResponseError) -> bool:
    """Whether a refusal of Redis will pass: no memory, no disk, no master or no group at the moment."""
    words = f"{error} {error.__context__ or ''}"
    return isinstance(error, OutOfMemoryError) or any(refusal in words for refusal in _PASSING_REFUSALS)


async def answered(act: Awaitable[Any], who: str = "Redis") -> Any:
    """What Redis answers; `DependencyAwayError`, in the name of `who`, when it does not, or refuses for now."""
    try:
        return await act
    except AWAY as error:
        raise DependencyAwayError(f"{who} does not answer: {error}") from error
    except ResponseError as error:
        if not _passes(error):
            raise
        raise DependencyAwayError(f"{who} refuses for now: {error}") from error


async def until_redis_answers(act: Callable[[], Awaitable[Any]]) -> None:
    """Run `act` until Redis lets it through, however long that takes; other errors pass to the caller."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            await act()
        except AWAY as error:
            log.warning("redis_away", error=str(error), retry_in_seconds=round(pause, 1))
        except ResponseError as error:
            # MULTI may have been carried out in part when only the group was missing; ids are deterministic, so writing
            # twice changes no count, while giving up would lose the batch.
            if not _passes(error):
                raise
            log.warning("redis_refuses", error=str(error), retry_in_seconds=round(pause, 1))
        else:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def heal_reads(reader: Any, ensure_groups: Callable[[], Awaitable[None]]) -> None:
    """Let the broker's own connection survive what would end or stall its subscribers.

    FastStream asks the application to exit when a consumer group has vanished, and pauses five seconds, with a
    traceback, whenever Redis is away. Here both are healed before FastStream sees them: the group is created again at
    its stream's beginning by `ensure_groups`, and the read is tried again shortly.
    """
    read = reader.xreadgroup
    pause = FIRST_PAUSE_SECONDS

    async def read_or_heal(*args: Any, **kwargs: Any) -> Any:
        nonlocal pause
        try:
            answer = await read(*args, **kwargs)
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            log.warning("consumer_group_vanished", cure="created again")
            await until_redis_answers(ensure_groups)
            return []
        except AWAY as error:
            log.warning("redis_away", error=str(error), retry_in_seconds=round(pause, 1))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            return []
        pause = FIRST_PAUSE_SECONDS
        return answer or []

    reader.xreadgroup = read_or_heal
