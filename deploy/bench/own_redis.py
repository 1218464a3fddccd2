"""A Redis of a measurement's own."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import DEVNULL, Popen

from redis.asyncio import Redis

from deploy.embedded.redis_server import find_redis_server, write_config
from deploy.embedded.system import free_port
from shared.bus.healing import until_redis_answers

PASSWORD = "bench"  # noqa: S105 - of a server that lives as long as one measurement


@contextlib.asynccontextmanager
async def own_redis() -> AsyncIterator[Redis]:
    """A connection to an empty server in a temporary folder, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="salingjaga-bench-") as folder:
        port, config = free_port(besides=set()), Path(folder) / "redis.conf"
        write_config(config, folder=Path(folder), port=port, password=PASSWORD, fsync="everysec")
        with Popen([find_redis_server(), str(config)], stdout=DEVNULL) as server:  # noqa: S603, ASYNC220 - ours
            try:
                async with Redis.from_url(f"redis://:{PASSWORD}@127.0.0.1:{port}/0") as redis:
                    await until_redis_answers(redis.ping)
                    yield redis
            finally:
                server.kill()
