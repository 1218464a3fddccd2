"""Measures the pipeline: from signed batches at the webhook to rows that a query sees, all services running.

Two baselines move the very messages that our services made of these reports, into the same Redis and ClickHouse:
the floor (raw redis-py, no work) and a FastStream pipeline with a handler for each message (no work either).
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
from faststream.redis import BinaryMessageFormatV1
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from redis.asyncio import Redis

from deploy.bench.load import send_all, signed_posts
from deploy.bench.processes import MASTER_KEYS, SOURCE, Bench, Say, cpu_seconds, total_cpu_seconds, workers
from deploy.bench.result import BenchError, Figure, Outcome, Share, median
from deploy.bench.texts import json_reports
from deploy.embedded.data_dir import DataDir, Runtime
from deploy.embedded.system import HOST, EmbeddedSystem, free_port
from services.archive.rows import report_row
from services.classify.engine import Classifier
from services.classify.handler import Assessor
from services.ingest.adapters import ADAPTERS, Fields
from services.ingest.normaliser import Normaliser
from services.ingest.submission import Submission
from shared.calendar import Calendar
from shared.regions import RegionResolver
from shared.settings import Settings
from shared.vault.envelope import Opener
from shared.vault.keys import KeyRing

TEXT_CHARACTERS = 300
BATCH_LINES = 500
CONNECTIONS = 4
ROUNDS = 2
FASTSTREAM_SHARE = 0.1
"""Reports for the FastStream baseline for each of ours, so that it does not take much longer."""
LOOK_SECONDS = 0.1
LONGEST_SECONDS = 180
SEEDS = itertools.count(1_000)
FLOOR = "the floor: raw redis-py, same bytes, no work"
FASTSTREAM = "FastStream message by message, same bytes, no work"
HOPS = ("submissions", "reports", "assessments", "rows")
STAGES = {"normaliser": "normaliser", "classify": "classify", "archive": "archive", "alerts": "alerts"}
"""Which consumer group is whose."""


async def measure_pipeline(bench: Bench, reports: int, say: Say) -> Outcome:
    """Reports a second of our pipeline and of both baselines, in turns.

    Args:
        bench: where it runs.
        reports: how many are sent through ours in each of the rounds.
        say: told what is being done.

    Raises:
        BenchError: not every report arrived.
        EmbeddedError: the system does not start.
    """
    system = EmbeddedSystem(
        DataDir(bench.folder / "data"), port=free_port(besides=set()), environment=bench.environment
    )
    try:
        say("pipeline: starting the whole system")
        runtime = await system.start()
        stand = _Stand(bench, system, runtime)
        say(f"pipeline: preparing the baselines' messages from {reports:,} reports")
        sizes = await asyncio.to_thread(_prepare, bench.folder, reports)
        fewer = max(100, int(reports * FASTSTREAM_SHARE))
        await _ours(stand, max(BATCH_LINES, reports // 10))
        ours: list[_Pace] = []
        floor: list[_Pace] = []
        faststream: list[_Pace] = []
        shares: list[Share] = []
        for number in range(1, ROUNDS + 1):
            say(f"pipeline: round {number} of {ROUNDS}, all our services")
            before = await stand.spent()
            seconds = await _ours(stand, reports)
            shares = _shares(before, await stand.spent(), reports, seconds)
            ours.append(_Pace(reports / seconds, _together(shares)))
            say(f"pipeline: round {number} of {ROUNDS}, the floor")
            floor.append(await _baseline(stand, "floor_stage", reports, _plain))
            say(f"pipeline: round {number} of {ROUNDS}, FastStream message by message")
            faststream.append(await _baseline(stand, "faststream_stage", fewer, _enveloped))
        outcome = Outcome(shares=shares)
        outcome.figures += _figures(ours, floor, faststream)
        bytes_of = ", ".join(f"{hop} {size:,.0f}" for hop, size in sizes.items())
        outcome.notes.append(
            f"pipeline: medians of {ROUNDS} rounds in turns, {reports:,} reports each (FastStream {fewer:,}); "
            f"texts of about {TEXT_CHARACTERS} characters; mean bytes of a message: {bytes_of}."
        )
        return outcome
    finally:
        await system.stop()


class _Stand:
    """The running system, as the measurement sees it."""

    def __init__(self, bench: Bench, system: EmbeddedSystem, runtime: Runtime) -> None:
        credentials = system.data.credentials()
        self.bench = bench
        self.runtime = runtime
        self.port = system.port
        self.redis_url = f"redis://:{credentials.redis_password}@{HOST}:{runtime.redis_port}/0"
        user, password = credentials.clickhouse_user, credentials.clickhouse_password
        self.clickhouse_url = f"http://{user}:{password}@{HOST}:{runtime.clickhouse_port}/salingjaga"
        self._headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}

    async def sql(self, statement: str) -> str:
        """The answer of ClickHouse as text. Raises `BenchError` when it refuses."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            url = f"http://{HOST}:{self.runtime.clickhouse_port}/?database=salingjaga"
            answer = await client.post(url, content=statement, headers=self._headers)
        if answer.status_code != 200:
            raise BenchError(f"ClickHouse refused: {answer.text[:300]}")
        return answer.text.strip()

    async def until_rows(self, table: str, rows: int) -> None:
        """Return when a query counts `rows`. Raises `BenchError` when they do not come, or more than that."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while (seen := int(await self.sql(f"SELECT count() FROM {table}"))) < rows:  # noqa: S608 - names of ours
            if time.monotonic() > deadline:
                raise BenchError(f"only {seen:,} of {rows:,} rows arrived in {table} within {LONGEST_SECONDS} s")
            await asyncio.sleep(LOOK_SECONDS)
        if seen > rows:
            raise BenchError(f"{table} counts {seen:,} rows where {rows:,} were sent")

    async def spent(self) -> "_Spent":
        """What the processes have spent so far."""
        cpu = {name: cpu_seconds(pid) for name, pid in self.runtime.process_ids.items()}
        batches: dict[str, float] = {}
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            for name, port in self.runtime.service_ports.items():
                page = (await client.get(f"http://{HOST}:{port}/metrics")).text
                batches[name] = sum(
                    sample.value
                    for family in text_string_to_metric_families(page)
                    for sample in family.samples
                    if sample.name == "salingjaga_batch_seconds_sum" and sample.labels["group"] == STAGES.get(name)
                )
        return _Spent(cpu, batches)


@dataclass(frozen=True, slots=True)
class _Spent:
    cpu_seconds: dict[str, float | None]
    batch_seconds: dict[str, float]


def _shares(before: _Spent, after: _Spent, reports: int, seconds: float) -> list[Share]:
    shares = []
    for process, used in after.cpu_seconds.items():
        earlier = before.cpu_seconds[process]
        cpu = used - earlier if used is not None and earlier is not None else None
        batch = after.batch_seconds.get(process, 0.0) - before.batch_seconds.get(process, 0.0)
        shares.append(
            Share(
                process,
                cpu_us=cpu / reports * 1e6 if cpu is not None else None,
                busy=cpu / seconds if cpu is not None else None,
                batch_us=batch / reports * 1e6 if process in STAGES else None,
            )
        )
    return shares


@dataclass(frozen=True, slots=True)
class _Pace:
    """Reports a second, and the processor time of one in all processes but the sender's, in microseconds."""

    per_second: float
    cpu_us: float | None


def _figures(ours: Sequence[_Pace], floor: Sequence[_Pace], faststream: Sequence[_Pace]) -> Iterator[Figure]:
    for against, theirs, least in ((FLOOR, floor, 0.5), (FASTSTREAM, faststream, 3.0)):
        rate, other_rate = (median([pace.per_second for pace in paces]) for paces in (ours, theirs))
        yield Figure("pipeline", "reports/s", rate, other_rate, against, least_ratio=least)
        mine, others = _per_cpu_second(ours), _per_cpu_second(theirs)
        if mine and others:
            yield Figure("pipeline", "reports per second of processor time", mine, others, against)


def _per_cpu_second(paces: Sequence[_Pace]) -> float | None:
    known = [1e6 / pace.cpu_us for pace in paces if pace.cpu_us]
    return median(known) if known else None


def _together(shares: Sequence[Share]) -> float | None:
    each = [share.cpu_us for share in shares if share.cpu_us is not None]
    return sum(each) if len(each) == len(shares) else None


async def _ours(stand: _Stand, reports: int) -> float:
    """Seconds that our pipeline takes for reports that it has not seen."""
    bodies = json_reports(reports, characters=TEXT_CHARACTERS, seed=next(SEEDS))
    lines = (b"\n".join(batch) for batch in iter(lambda: list(itertools.islice(bodies, BATCH_LINES)), []))
    path = f"/v1/reports/{SOURCE}/batch"
    requests = list(signed_posts(path, "application/x-ndjson", lines, stand.bench.key))
    already = int(await stand.sql("SELECT count() FROM reports"))
    started = time.perf_counter()
    await send_all(stand.port, requests, connections=CONNECTIONS)
    await stand.until_rows("reports", already + reports)
    return time.perf_counter() - started


Feed = Callable[[bytes], Awaitable[dict[bytes | str, bytes]]]
"""Makes the stream entry of a submission, as a baseline expects it."""


async def _plain(body: bytes) -> dict[bytes | str, bytes]:
    return {"body": body}


async def _enveloped(body: bytes) -> dict[bytes | str, bytes]:
    envelope = await BinaryMessageFormatV1.encode(message=body, reply_to=None, headers=None, correlation_id="bench")
    return {"__data__": envelope}


async def _baseline(stand: _Stand, module: str, reports: int, entry: Feed) -> _Pace:
    """How fast reports go through the three processes of a baseline."""
    streams = [f"bench:{module}:{hop}" for hop in HOPS[:3]]
    table = f"bench_{module}"
    files = [str(stand.bench.folder / f"{hop}.jsonl") for hop in HOPS]
    await stand.sql(f"CREATE TABLE IF NOT EXISTS {table} AS report_rows")
    await stand.sql(f"TRUNCATE TABLE {table}")
    bodies = await asyncio.to_thread(lambda: Path(files[0]).read_bytes().splitlines())
    entries = [await entry(body) for body in bodies[:reports]]
    targets = [*streams[1:], f"table:{table}"]
    commands = [
        (f"deploy.bench.baselines.{module}", source, target, file)
        for source, target, file in zip(streams, targets, files[1:], strict=True)
    ]
    environment = stand.bench.environment | {
        "BENCH_REDIS_URL": stand.redis_url,
        "BENCH_CLICKHOUSE_URL": stand.clickhouse_url,
    }
    async with Redis.from_url(stand.redis_url) as redis:
        await redis.delete(*streams)
        for stream in streams:
            await redis.xgroup_create(stream, "bench", id="0", mkstream=True)
        servers = [stand.runtime.process_ids[name] for name in ("redis", "clickhouse")]
        async with workers(commands, environment) as pids:
            used = total_cpu_seconds([*pids, *servers])
            started = time.perf_counter()
            await _feed(redis, streams[0], entries)
            await stand.until_rows(f"{table} FINAL", reports)
            seconds = time.perf_counter() - started
            used_after = total_cpu_seconds([*pids, *servers])

    cpu = used_after - used if used is not None and used_after is not None else None
    return _Pace(reports / seconds, cpu / reports * 1e6 if cpu else None)


async def _feed(redis: Redis, stream: str, entries: Sequence[dict[bytes | str, bytes]]) -> None:
    for start in range(0, len(entries), BATCH_LINES):
        async with redis.pipeline(transaction=False) as pipe:
            for entry in entries[start : start + BATCH_LINES]:
                pipe.xadd(stream, entry)  # type: ignore[arg-type]
            await pipe.execute()


def _prepare(folder: Path, reports: int) -> dict[str, float]:
    """Write what our services make of reports, for the baselines to move; returns each hop's mean size in bytes."""
    calendar = Calendar.load(folder / "config" / "calendar.yaml")
    opener = Opener(KeyRing(Settings(master_keys=SecretStr(MASTER_KEYS))))
    normaliser = Normaliser(RegionResolver.load(), lambda: calendar, opener=opener, sender_key=b"bench")
    assessor = Assessor(Classifier.load())
    adapter = ADAPTERS["json"]
    now = datetime.now(UTC)
    hops: dict[str, list[bytes]] = {hop: [] for hop in HOPS}
    for body in json_reports(reports, characters=TEXT_CHARACTERS, seed=next(SEEDS)):
        [read] = adapter.read(body, Fields())
        submission = Submission.new(
            source=SOURCE, adapter="json", external_id=read.external_id, content=read.content, body=body,
            received_at=now,
        )  # fmt: skip
        report = normaliser.normalise(submission)
        assessment = assessor.assess(report)
        hops["submissions"].append(body)
        hops["reports"].append(report.model_dump_json().encode())
        hops["assessments"].append(assessment.model_dump_json(by_alias=True).encode())
        hops["rows"].append(msgspec.json.encode(report_row(assessment)))
    for hop, messages in hops.items():
        (folder / f"{hop}.jsonl").write_bytes(b"\n".join(messages))
    return {hop: sum(map(len, messages)) / len(messages) for hop, messages in hops.items()}
