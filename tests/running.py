"""Runs a service inside a test, through the same ASGI door as its server does."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from shared.service import Service


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[Service]:
    """The service at work until the end of the block."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    started = asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            started.set()

    inbox.put_nowait({"type": "lifespan.startup"})
    life = asyncio.create_task(service({"type": "lifespan"}, inbox.get, send))
    await started.wait()
    try:
        yield service
    finally:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await life


async def eventually(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20) -> None:
    """Return as soon as `condition` holds; fail the test when it does not in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        await asyncio.sleep(0.02)
