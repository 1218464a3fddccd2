"""How fast incidents are joined and how much memory they take: `python -m deploy.bench.incidents [REPORTS]`.

The worst case is measured: every text is new, so every one is looked for in vain and remembered. Buckets and
regions are fewer in proportion to the reports, so that each bucket holds as many fields, and each region as many texts,
as when ten million reports are remembered: memory and time depend on that.
"""

import asyncio
import math
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

from redis.asyncio import Redis

from deploy.bench.own_redis import own_redis
from deploy.bench.result import BenchError
from deploy.bench.texts import varied_texts
from services.ingest import likeness
from services.ingest.incidents import Incidents
from services.ingest.normaliser import incident_id
from shared.contracts import Region, Report
from shared.regions import RegionResolver

BATCH = 200
TEXT_CHARACTERS = 300
FORETOLD = 10_000_000


async def measure(reports: int) -> None:
    """Print reports a second for one core of the normaliser and of Redis, and bytes for a report.

    Raises:
        BenchError: there were too few reports to tell.
    """
    if reports < 10 * BATCH:
        raise BenchError(f"{reports} reports are too few; at least {10 * BATCH} are needed")
    async with own_redis() as redis:
        await _measure(redis, reports)


async def _measure(redis: Redis, reports: int) -> None:
    incidents = Incidents(redis, megabytes=4096)
    # Ten million are spread over two generations.
    halvings = max(round(math.log2(FORETOLD / 2 / reports)), 0)
    likeness.KEY_BITS -= halvings
    new, empty = _new_reports(reports + 4 * BATCH, halvings), await _memory(redis)
    for quarter in range(1, 5):
        server_before, ours, found, count = await _server_seconds(redis), 0.0, 0, 0
        while count < reports // 4:
            batch = [next(new) for _ in range(BATCH)]
            started = time.process_time()
            joined = await incidents.join(batch)
            ours += time.process_time() - started
            found += sum(one.incident_id != other.incident_id for one, other in zip(batch, joined, strict=True))
            count += BATCH
        server = await _server_seconds(redis) - server_before
        sys.stdout.write(
            f"quarter {quarter}: {count:,} new texts: {count / ours:,.0f} reports/s on one core of the normaliser, "
            f"{count / server:,.0f} on one core of Redis; {found:,} joined\n"
        )
    each = (await _memory(redis) - empty) / (4 * count)
    sys.stdout.write(f"{each:.0f} bytes a report: {each * FORETOLD / 1e9:.1f} GB for ten million\n")
    copy, count = next(_new_reports(1, halvings)), 0
    started = time.process_time()
    while count < reports // 4:
        await incidents.join([copy.model_copy(update={"report_id": uuid4()}) for _ in range(BATCH)])
        count += BATCH
    sys.stdout.write(f"copies of one text: {count / (time.process_time() - started):,.0f} reports/s\n")


def _new_reports(count: int, halvings: int) -> Iterator[Report]:
    chance = random.Random(1)
    codes = [code for code, _ in RegionResolver.load().regencies()]
    codes = codes[: max(len(codes) >> halvings, 1)]
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
        asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 156_250))
    except (BenchError, ValueError) as error:
        sys.exit(f"The benchmark has no result: {error}")
