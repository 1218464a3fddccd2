"""One hop of the floor: reads a stream in batches and hands on messages that were prepared beforehand.

It does no work at all, keeps no receipts, and each hop is a process of its own, as our services are. What it costs, no
pipeline over Redis streams into ClickHouse can avoid.

    python -m deploy.bench.baselines.floor_stage FROM TO FILE      TO: a stream, or table:NAME for the last hop
"""

import os
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import clickhouse_connect
from redis import Redis

GROUP = "bench"
BATCH = 500
INSERT_BATCH = 5_000
BLOCK_MS = 1_000


def main() -> None:
    """Move messages until this process is ended."""
    source, target, file = sys.argv[1:]
    redis = Redis.from_url(os.environ["BENCH_REDIS_URL"])
    prepared = cycle(Path(file).read_bytes().splitlines())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if target.startswith("table:"):
        _insert(redis, source, target.removeprefix("table:"), prepared)
    else:
        _hand_on(redis, source, target, prepared)


def _hand_on(redis: Redis, source: str, target: str, prepared: Iterator[bytes]) -> None:
    while True:
        ids = _read(redis, source, BATCH)
        pipe = redis.pipeline(transaction=False)
        for body in islice(prepared, len(ids)):
            pipe.xadd(target, {"body": body})
        if ids:
            pipe.xack(source, GROUP, *ids)
        pipe.execute()


def _insert(redis: Redis, source: str, table: str, prepared: Iterator[bytes]) -> None:
    client = clickhouse_connect.get_client(dsn=os.environ["BENCH_CLICKHOUSE_URL"], autogenerate_session_id=False)
    settings = {"date_time_input_format": "best_effort"}
    while True:
        ids = _read(redis, source, INSERT_BATCH)
        if ids:
            rows = b"\n".join(islice(prepared, len(ids)))
            client.raw_insert(table, insert_block=rows, settings=settings, fmt="JSONEachRow")
            redis.xack(source, GROUP, *ids)


def _read(redis: Redis, source: str, count: int) -> list[Any]:
    answer: Any = redis.xreadgroup(GROUP, "floor", {source: ">"}, count=count, block=BLOCK_MS)
    return [entry_id for _, entries in answer or () for entry_id, _ in entries]


if __name__ == "__main__":
    main()
