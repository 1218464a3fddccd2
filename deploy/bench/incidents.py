"""How fast incidents are joined and how much memory they take: `python -m deploy.bench.incidents [REPORTS]`.

The worst case is measured: every text is new, so every one is looked for in vain and remembered. What Redis allocates
for buckets that are not yet full is paid once; so memory is taken from the second half, and extrapolated from there.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from subprocess import DEVNULL, Popen
from uuid import uuid4

from redis.asyncio import Redis

from deploy.bench.result import BenchError
from deploy.bench.texts import varied_texts
from deploy.embedded.redis_server import find_redis_server, write_config
from deploy.embedded.system import free_port
from services.ingest.incidents import Incidents
from services.ingest.normaliser import incident_id
from shared.bus.healing import until_redis_answers
from shared.contracts import Region, Report
from shared.regions import RegionResolver

BATCH = 200
TEXT_CHARACTERS = 300
FORETOLD = 10_000_000
PASSWORD = "bench"  # noqa: S105 - of a server that lives as long as this measurement


async def measure(reports: int) -> None:
    """Print reports a second for one core of the normaliser and of Redis, and bytes for a report.

    Raises:
        BenchError: there were too few reports to tell.
    """
    if reports < 10 * BATCH:
        raise BenchError(f"{reports} reports are too few; at least {10 * BATCH} are needed")
    with tempfile.TemporaryDirectory(prefix="salingjaga-bench-") as folder:
        port, config = free_port(besides=set()), Path(folder) / "redis.conf"
        write_config(config, folder=Path(folder), port=port, password=PASSWORD, fsync="everysec")
        with Popen([find_redis_server(), str(config)], stdout=DEVNULL) as server:  # noqa: S603, ASYNC220 - ours
            try:
                async with Redis.from_url(f"redis://:{PASSWORD}@127.0.0.1:{port}/0") as redis:
                    await until_redis_answers(redis.ping)
                    await _measure(redis, reports)
            finally:
                server.kill()


async def _measure(redis: Redis, reports: int) -> None:
    incidents = Incidents(redis, megabytes=4096)
    new = _new_reports(reports)
    halves = []
    for _ in range(2):
        bytes_before, server_before, ours, found = await _memory(redis), await _server_seconds(redis), 0.0, 0
        for _ in range(reports // 2 // BATCH):
            batch = [next(new) for _ in range(BATCH)]
            started = time.process_time()
            joined = await incidents.join(batch)
            ours += time.process_time() - started
            found += sum(one.incident_id != other.incident_id for one, other in zip(batch, joined, strict=True))
        count = reports // 2 // BATCH * BATCH
        server = await _server_seconds(redis) - server_before
        halves.append((await _memory(redis) - bytes_before) / count)
        sys.stdout.write(
            f"{count:,} new texts: {count / ours:,.0f} reports/s on one core of the normaliser, {count / server:,.0f} "
            f"on one core of Redis; {halves[-1]:.0f} bytes a report; {found:,} joined\n"
        )
    fixed = max(halves[0] - halves[1], 0) * (reports // 2)
    foretold = (fixed + halves[1] * FORETOLD) / 1e9
    sys.stdout.write(f"ten million remembered: {foretold:.1f} GB, of which {fixed / 1e9:.2f} GB for empty buckets\n")
    copy, count = next(_new_reports(1)), 0
    started = time.process_time()
    while count < reports // 4:
        await incidents.join([copy.model_copy(update={"report_id": uuid4()}) for _ in range(BATCH)])
        count += BATCH
    sys.stdout.write(f"copies of one text: {count / (time.process_time() - started):,.0f} reports/s\n")


def _new_reports(count: int) -> Iterator[Report]:
    chance = random.Random(1)
    codes = [code for code, _ in RegionResolver.load().regencies()]
    now = datetime.now(UTC)
    for text in varied_texts(count, characters=TEXT_CHARACTERS):
        region = Region(code=chance.choice(codes), name="-", level="regency", confidence=1)
        yield Report(
            receipt="-", report_id=uuid4(), incident_id=incident_id(text, region), source="bench", received_at=now,
            text=text, region=region,
        )  # fmt: skip


async def _memory(redis: Redis) -> int:
    return int((await redis.info("memory"))["used_memory"])


async def _server_seconds(redis: Redis) -> float:
    used = await redis.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


if __name__ == "__main__":
    try:
        asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
    except (BenchError, ValueError) as error:
        sys.exit(f"The benchmark has no result: {error}")
