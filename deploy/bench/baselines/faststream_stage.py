"""One hop of the pipeline one would write with FastStream: a message, a publish, an acknowledgement at a time.

It hands on messages that were prepared beforehand and does no other work; the last hop collects rows and inserts them
in batches. Each hop is a process of its own.

    python -m deploy.bench.baselines.faststream_stage FROM TO FILE      TO: a stream, or table:NAME for the last hop
"""

import asyncio
import logging
import os
import sys
from itertools import cycle
from pathlib import Path

import clickhouse_connect
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub

GROUP = "bench"
INSERT_BATCH = 1_000
FLUSH_SECONDS = 0.3

source, target, file = sys.argv[1:]
logging.disable(logging.INFO)
broker = RedisBroker(os.environ["BENCH_REDIS_URL"], log_level=logging.DEBUG)
app = FastStream(broker)
prepared = cycle(Path(file).read_bytes().splitlines())
rows: list[bytes] = []


async def hand_on(_: bytes) -> None:
    """Send the next message on."""
    await broker.publish(next(prepared), stream=target)


async def collect(_: bytes) -> None:
    """Keep the next row, and insert when enough are together."""
    rows.append(next(prepared))
    if len(rows) >= INSERT_BATCH:
        await insert()


async def insert() -> None:
    """Insert what has been collected."""
    batch, rows[:] = rows[:], []
    if batch:
        client = await clickhouse_connect.get_async_client(
            dsn=os.environ["BENCH_CLICKHOUSE_URL"], autogenerate_session_id=False
        )
        settings = {"date_time_input_format": "best_effort"}
        await client.raw_insert(
            target.removeprefix("table:"), insert_block=b"\n".join(batch), settings=settings, fmt="JSONEachRow"
        )
        await client.close()


@app.after_startup
async def ready() -> None:
    """Say so, and begin to insert what is too little for a batch."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if target.startswith("table:"):
        app.context.set_global("flushing", asyncio.create_task(flush()))


async def flush() -> None:
    """Insert the rest from time to time."""
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        await insert()


broker.subscriber(stream=StreamSub(source, group=GROUP, consumer="one"))(
    collect if target.startswith("table:") else hand_on
)

if __name__ == "__main__":
    asyncio.run(app.run())
