"""Measures the webhook: one worker process, 64 connections, every report another one and signed."""

import asyncio
import itertools
import sys
from collections.abc import Iterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.bench.load import Load, send_all, signed_posts
from deploy.bench.processes import SOURCE, Bench, Processes, Say, answers, cpu_seconds, processes
from deploy.bench.result import Figure, Outcome, median, percentile
from deploy.bench.texts import sized_json_reports
from deploy.embedded.redis_server import find_redis_server, write_config
from deploy.embedded.system import HOST, free_port

CONNECTIONS = 64
BODY_BYTES = 700
ROUNDS = 3
BASELINE_SHARE = 0.3
"""Requests of the baseline for each of ours, so that both take about as long."""
BATCH_LINES = 500
BATCH_CONNECTIONS = 4
PASSWORD = "bench"  # noqa: S105 - of a server that lives for a minute on the loopback address
AGAINST = "FastAPI, one XADD a request, no signature check"


async def measure_webhook(bench: Bench, requests: int, say: Say) -> Outcome:
    """Requests a second and latencies of our webhook and of the baseline, in turns.

    Args:
        bench: where it runs.
        requests: how many are sent to ours in all; the baseline gets fewer.
        say: told what is being done.

    Raises:
        BenchError: not every request was answered 202.
        EmbeddedError: a process does not start.
    """
    async with processes(bench) as running:
        say("webhook: starting Redis, our webhook and the FastAPI baseline")
        redis_url = await start_redis(bench, running)
        port, pid = await _start_ours(running, redis_url)
        plain_port, plain_pid = await _start_baseline(running, redis_url)

        say("webhook: signing the requests")
        per_round = max(CONNECTIONS, requests // ROUNDS)
        plain_per_round = max(CONNECTIONS, int(per_round * BASELINE_SHARE))
        bodies = sized_json_reports(ROUNDS * (2 * per_round + plain_per_round) + 4 * per_round, size_bytes=BODY_BYTES)

        def posts(count: int) -> list[bytes]:
            path = f"/v1/reports/{SOURCE}"
            return list(signed_posts(path, "application/json", itertools.islice(bodies, count), bench.key))

        await send_all(port, posts(per_round // 4), connections=CONNECTIONS)
        await send_all(plain_port, posts(plain_per_round // 4), connections=CONNECTIONS)
        ours: list[Load] = []
        plain: list[Load] = []
        batches: list[float] = []
        cores: list[float] = []
        plain_cores: list[float] = []
        for number in range(1, ROUNDS + 1):
            say(f"webhook: round {number} of {ROUNDS}")
            ours.append(await _timed(port, pid, posts(per_round), cores))
            plain.append(await _timed(plain_port, plain_pid, posts(plain_per_round), plain_cores))
            lines = max(1, per_round // BATCH_LINES) * BATCH_LINES
            batch_bodies = _joined(itertools.islice(bodies, lines))
            path = f"/v1/reports/{SOURCE}/batch"
            signed = list(signed_posts(path, "application/x-ndjson", batch_bodies, bench.key))
            load = await send_all(port, signed, connections=BATCH_CONNECTIONS)
            batches.append(lines / load.seconds)
        return _outcome(ours, plain, batches, cores, plain_cores)


def _outcome(
    ours: list[Load], plain: list[Load], batches: list[float], cores: list[float], plain_cores: list[float]
) -> Outcome:
    rate, plain_rate = median([load.per_second for load in ours]), median([load.per_second for load in plain])
    outcome = Outcome()
    outcome.figures.append(Figure("webhook", "requests/s", rate, plain_rate, AGAINST, least_ratio=4))
    for percent, most in ((50, None), (99, 10.0)):
        mine = median([percentile(load.latencies_ms, percent) for load in ours])
        theirs = median([percentile(load.latencies_ms, percent) for load in plain])
        outcome.figures.append(Figure("webhook", f"p{percent} in ms", mine, theirs, AGAINST, most=most))
    against = "the same, which takes no batches"
    outcome.figures.append(Figure("webhook", "reports/s in batches", median(batches), plain_rate, against))
    outcome.notes.append(
        f"webhook: medians of {ROUNDS} rounds in turns; one worker each, {CONNECTIONS} connections, {BODY_BYTES}-byte "
        f"bodies, batches of {BATCH_LINES} over {BATCH_CONNECTIONS} connections."
    )
    if cores and plain_cores:
        per_core, plain_per_core = rate / median(cores), plain_rate / median(plain_cores)
        outcome.figures.append(
            Figure("webhook", "requests per second of the worker's processor", per_core, plain_per_core, AGAINST)
        )
        outcome.notes.append(
            f"webhook: our worker used {median(cores):.0%} of a core, the baseline {median(plain_cores):.0%}; "
            "well below 100 % other programs, Redis or the generator were the limit."
        )
    return outcome


async def _timed(port: int, pid: int, requests: list[bytes], cores: list[float]) -> Load:
    before = cpu_seconds(pid)
    load = await send_all(port, requests, connections=CONNECTIONS)
    after = cpu_seconds(pid)
    if before is not None and after is not None:
        cores.append((after - before) / load.seconds)
    return load


def _joined(bodies: Iterator[bytes]) -> Iterator[bytes]:
    while batch := list(itertools.islice(bodies, BATCH_LINES)):
        yield b"\n".join(batch)


async def start_redis(bench: Bench, running: Processes) -> str:
    """Start a Redis for one measurement, and return its URL. Raises `EmbeddedError` when it does not start."""
    port, folder = free_port(besides=set()), bench.folder / "redis"
    folder.mkdir()
    config = bench.folder / "redis.conf"
    write_config(config, folder=folder, port=port, password=PASSWORD, fsync=bench.fsync)

    async def pings() -> bool:
        async with Redis(host=HOST, port=port, password=PASSWORD, socket_timeout=1) as client:
            try:
                return bool(await client.ping())
            except (RedisError, OSError):
                return False

    await running.start("redis", [await asyncio.to_thread(find_redis_server), str(config)], pings)
    return f"redis://:{PASSWORD}@{HOST}:{port}/0"


async def _start_ours(running: Processes, redis_url: str) -> tuple[int, int]:
    port = free_port(besides=set())
    command = [sys.executable, "-m", "deploy.cli", "serve", "ingest", "--only", "webhook"]
    ready = answers(f"http://{HOST}:{port}/readyz")
    pid = await running.start(
        "webhook", command, ready, SALINGJAGA_REDIS_URL=redis_url, SALINGJAGA_HOST=HOST, SALINGJAGA_PORT=str(port)
    )
    return port, pid


async def _start_baseline(running: Processes, redis_url: str) -> tuple[int, int]:
    port = free_port(besides=set())
    command = [sys.executable, "-m", "uvicorn", "deploy.bench.baselines.fastapi_webhook:app", "--host", HOST]
    command += ["--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    pid = await running.start("fastapi", command, answers(f"http://{HOST}:{port}/healthz"), BENCH_REDIS_URL=redis_url)
    return port, pid
