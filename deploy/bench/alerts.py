"""Measures the alert service: its pace and memory with every regency flagged, and how soon an officer is told.

Two measurements. The service alone gets assessments as fast as it takes them, spread over all 514 regencies, each of
which is flagged already. Then the whole system gets reports at the webhook at an even pace; among them, each in a
regency of its own, reports that are judged critical, and the time until their notification is handed over is taken.
"""

import asyncio
import itertools
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import yaml
from pydantic import SecretStr
from redis.asyncio import Redis

from deploy.bench.load import signed_posts
from deploy.bench.processes import MASTER_KEYS, SOURCE, Bench, Processes, Say, answers, cpu_seconds, processes
from deploy.bench.result import BenchError, Figure, Outcome, percentile
from deploy.bench.texts import json_reports
from deploy.bench.webhook import start_redis
from deploy.embedded.data_dir import DataDir
from deploy.embedded.system import HOST, EmbeddedSystem, free_port
from services.alerts.store import PREFIX
from services.classify.engine import Classifier
from services.classify.handler import Assessor
from services.ingest.adapters import ADAPTERS, Fields
from services.ingest.normaliser import Normaliser
from services.ingest.submission import Submission
from shared.bus.streams import ALERT_EVENTS, ASSESSMENTS
from shared.calendar import Calendar
from shared.contracts import Kind
from shared.regions import RegionResolver
from shared.settings import Settings
from shared.vault.envelope import Opener
from shared.vault.keys import KeyRing

WORDINGS = 1_500
"""Different assessments; each is sent many times, as another report of another incident in another regency."""
FEED_BATCH = 500
LONGEST_SECONDS = 600
NEEDED_PER_SECOND = 100_000 / 60
MOST_MEGABYTES = 300
REPORTS_PER_SECOND = 200
LATENCY_SECONDS = 30
CRITICAL_EVERY = 20
"""One report in so many is critical and opens an alert."""
SETTLE_SECONDS = 30
MOST_LATENCY_MS = 1_000
CRITICAL = (
    "Catatan {number}, barusan tim sukses paslon nomor 2 membagikan amplop isi uang Rp100 ribu kepada warga "
    "di {place}, disuruh coblos nomor 2 besok."
)
VOTING_EVE = "2024-11-26T20:00:00+07:00"


async def measure_alerts(bench: Bench, assessments: int, say: Say) -> Outcome:
    """Pace and memory of the alert service, and the time until an officer is told.

    Args:
        bench: where it runs.
        assessments: how many the service alone gets.
        say: told what is being done.

    Raises:
        BenchError: not everything was handled, or no critical notification was handed over.
        EmbeddedError: a process does not start.
    """
    outcome = Outcome()
    await _pace(bench, assessments, say, outcome)
    await _latency(bench, say, outcome)
    return outcome


# The service alone


async def _pace(bench: Bench, assessments: int, say: Say, outcome: Outcome) -> None:
    async with processes(bench) as running:
        say("alerts: starting Redis and the alert service")
        redis_url = await start_redis(bench, running)
        _tell_nobody_outside(bench)
        pid = await _start_alerts(running, redis_url, bench)
        say("alerts: preparing assessments")
        wordings = await asyncio.to_thread(_wordings, bench.folder)
        regencies = RegionResolver.load().regencies()
        share = sum(one["judgement"]["kind"] == Kind.VIOLATION_REPORT for one in wordings) / len(wordings)
        async with Redis.from_url(redis_url) as redis:
            say(f"alerts: flagging {len(regencies)} regencies")
            await _feed(redis, _flagging(wordings, regencies))
            await _until_handled(redis)
            idle = _megabytes(pid)
            say(f"alerts: {assessments:,} assessments")
            used = cpu_seconds(pid)
            started = time.perf_counter()
            await _feed(redis, _spread(wordings, regencies, assessments))
            await _until_handled(redis)
            seconds = time.perf_counter() - started
            used_after = cpu_seconds(pid)
            peak = _megabytes(pid, peak=True)
            flagged = await redis.hlen(f"{PREFIX}index")
    rate = assessments / seconds
    against = "100,000 assessments a minute"
    outcome.figures.append(Figure("alerts", "assessments/s", rate, NEEDED_PER_SECOND, against, least=NEEDED_PER_SECOND))
    if used is not None and used_after is not None:
        per_cpu = assessments / (used_after - used)
        outcome.figures.append(
            Figure("alerts", "assessments per second of the service's processor", per_cpu, NEEDED_PER_SECOND, against)
        )
    if peak is not None and idle is not None:
        outcome.figures.append(
            Figure("alerts", "peak memory in MB", peak, idle, "the same before the load", most=MOST_MEGABYTES)
        )
    outcome.notes.append(
        f"alerts: {assessments:,} assessments in {seconds:.1f} s, {share:.0%} of them violation reports, spread over "
        f"{len(regencies)} flagged regencies ({flagged} alerts open at the end); each another report and incident."
    )


async def _start_alerts(running: Processes, redis_url: str, bench: Bench) -> int:
    port = free_port(besides=set())
    command = [sys.executable, "-m", "deploy.cli", "serve", "alerts"]
    return await running.start(
        "alerts", command, answers(f"http://{HOST}:{port}/readyz"), SALINGJAGA_REDIS_URL=redis_url,
        SALINGJAGA_HOST=HOST, SALINGJAGA_PORT=str(port),
        SALINGJAGA_NOTIFICATION_FILE=str(bench.folder / "notifications.txt"),
    )  # fmt: skip


def _tell_nobody_outside(bench: Bench) -> None:
    (bench.folder / "config" / "officers.yaml").write_text("officers: []\n")


def _wordings(folder: Path) -> list[dict]:  # type: ignore[type-arg]
    """Assessments as our own services make them of real wordings."""
    calendar = Calendar.load(folder / "config" / "calendar.yaml")
    opener = Opener(KeyRing(Settings(master_keys=SecretStr(MASTER_KEYS))))
    normaliser = Normaliser(RegionResolver.load(), lambda: calendar, opener=opener, sender_key=b"bench")
    assessor = Assessor(Classifier.load())
    adapter = ADAPTERS["json"]
    found = []
    for body in json_reports(WORDINGS, characters=300, seed=77):
        [read] = adapter.read(body, Fields())
        submission = Submission.new(
            source=SOURCE, adapter="json", external_id=read.external_id, content=read.content, body=body,
            received_at=datetime.now(UTC),
        )  # fmt: skip
        assessment = assessor.assess(normaliser.normalise(submission))
        found.append(msgspec.json.decode(assessment.model_dump_json(by_alias=True)))
    return found


def _flagging(wordings: Sequence[dict], regencies: Sequence[tuple[str, str]]) -> Iterator[bytes]:  # type: ignore[type-arg]
    grave = [one for one in wordings if one["judgement"]["severity"] in ("high", "critical")]
    if not grave:
        raise BenchError("none of the wordings is judged grave, so that no regency can be flagged")
    for number, place in enumerate(regencies):
        yield _moved(grave[number % len(grave)], place)


def _spread(wordings: Sequence[dict], regencies: Sequence[tuple[str, str]], count: int) -> Iterator[bytes]:  # type: ignore[type-arg]
    chance = random.Random(7)
    for _ in range(count):
        yield _moved(chance.choice(wordings), chance.choice(regencies))


def _moved(wording: dict, place: tuple[str, str]) -> bytes:  # type: ignore[type-arg]
    """The same words as another report of another incident, now, in another regency."""
    code, name = place
    report = wording["report"] | {
        "report_id": str(uuid4()),
        "incident_id": str(uuid4()),
        "received_at": datetime.now(UTC).isoformat(),
        "region": {"code": code, "name": name, "level": "regency", "confidence": 1.0},
        "sender": uuid4().hex[:24],
    }
    return msgspec.json.encode(wording | {"report": report})


async def _feed(redis: "Redis", bodies: Iterator[bytes]) -> None:
    while batch := list(itertools.islice(bodies, FEED_BATCH)):
        async with redis.pipeline(transaction=False) as pipe:
            for body in batch:
                pipe.xadd(ASSESSMENTS.name, {"body": body})
            await pipe.execute()


async def _until_handled(redis: "Redis") -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        newest = (await redis.xinfo_stream(ASSESSMENTS.name))["last-generated-id"]
        group = next(one for one in await redis.xinfo_groups(ASSESSMENTS.name) if one["name"] == b"alerts")
        if group["last-delivered-id"] == newest and not group["pending"]:
            return
        if time.monotonic() > deadline:
            raise BenchError(f"the alert service did not finish within {LONGEST_SECONDS} s")
        await asyncio.sleep(0.05)


def _megabytes(pid: int, *, peak: bool = False) -> float | None:
    """Resident memory of a process, now or at its highest; `None` where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    name = "VmHWM:" if peak else "VmRSS:"
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), None)


# The whole way


async def _latency(bench: Bench, say: Say, outcome: Outcome) -> None:
    receiver = _Receiver()
    async with receiver.listening() as port:
        # One for each regency, as there are in reality: nobody is told so much that limits hold it back.
        channels = [f"json://{HOST}:{port}/alerts"]
        officers = [
            {"id": code, "role": "regency", "regions": [code], "channels": channels}
            for code, _ in RegionResolver.load().regencies()
        ]
        (bench.folder / "config" / "officers.yaml").write_text(yaml.safe_dump({"officers": officers}))
        system = EmbeddedSystem(
            DataDir(bench.folder / "latency"), port=free_port(besides=set()), environment=bench.environment
        )
        try:
            say("alerts: starting the whole system")
            runtime = await system.start()
            password = system.data.credentials().redis_password
            requests = _paced_requests(bench)
            say(f"alerts: {REPORTS_PER_SECOND} reports/s for {LATENCY_SECONDS} s")
            sent_at = await _send_evenly(system.port, requests)
            expected = len(requests) // CRITICAL_EVERY
            deadline = time.monotonic() + SETTLE_SECONDS
            while time.monotonic() < deadline and len(receiver.critical) < expected:  # noqa: ASYNC110 - it may not come
                await asyncio.sleep(0.1)
            peak = _megabytes(runtime.process_ids["alerts"], peak=True)
            async with Redis.from_url(f"redis://:{password}@{HOST}:{runtime.redis_port}/0") as redis:
                abandoned = await _not_sent(redis)
        finally:
            await system.stop()
    latencies = [
        (arrived - sent_at[number]) * 1000 for number, arrived in sorted(receiver.critical.items()) if number in sent_at
    ]
    if not latencies:
        raise BenchError("no critical notification was handed over")
    against = "one second, the aim"
    for percent in (50, 99):
        most = MOST_LATENCY_MS if percent == 99 else None
        figure = percentile(latencies, percent)
        measure = f"critical told, p{percent} in ms"
        outcome.figures.append(Figure("alerts", measure, figure, MOST_LATENCY_MS, against, most=most))
    outcome.notes.append(
        f"alerts: from the webhook's request to the arrival at the channel (HTTP), at {REPORTS_PER_SECOND} reports/s "
        f"for {LATENCY_SECONDS} s; {len(latencies)} of {expected} critical alerts told, {abandoned} attempts failed; "
        f"peak memory of the alert service {peak or 0:.0f} MB."
    )


class _Receiver:
    """An officer's channel: notes when the notification of each critical report arrives."""

    def __init__(self) -> None:
        self.critical: dict[int, float] = {}

    def listening(self) -> "_Listening":
        """A server within the block; gives its port."""
        return _Listening(self)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and answer it."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = [line.partition(b":") for line in head.lower().split(b"\r\n")]
            length = next((int(value) for name, _, value in fields if name == b"content-length"), 0)
            body = (await reader.readexactly(length)).decode("utf-8", "replace")
            arrived = time.perf_counter()
            writer.write(f"HTTP/1.1 {HTTPStatus.OK} OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        finally:
            writer.close()
        before, mark, after = body.partition("Catatan bench-")
        if mark and "[KRITIS]" in before:
            number = int(after[: next(i for i, char in enumerate(after) if not char.isdigit())])
            self.critical.setdefault(number, arrived)


class _Listening:
    def __init__(self, receiver: _Receiver) -> None:
        self._receiver = receiver
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._receiver.handle, HOST, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()


def _paced_requests(bench: Bench) -> list[bytes]:
    total = REPORTS_PER_SECOND * LATENCY_SECONDS
    places = [name for _, name in RegionResolver.load().regencies()]
    ordinary = json_reports(total, characters=300, seed=78)
    bodies = []
    for number in range(total):
        body = next(ordinary)
        if number % CRITICAL_EVERY == 0:
            place = places[number // CRITICAL_EVERY % len(places)]
            text = CRITICAL.format(place=place, number=f"bench-{number}")
            report = {"id": f"critical-{number}", "text": text, "occurred_at": VOTING_EVE}
            body = msgspec.json.encode(report | {"reporter": {"phone": f"0812{number:08d}"}})
        bodies.append(body)
    return list(signed_posts(f"/v1/reports/{SOURCE}", "application/json", bodies, bench.key))


async def _send_evenly(port: int, requests: Sequence[bytes]) -> dict[int, float]:
    """Send each request at its time, whatever became of those before; gives when each was sent."""
    sent_at: dict[int, float] = {}
    started = time.perf_counter()
    limit = asyncio.Semaphore(100)

    async def send(number: int, request: bytes) -> None:
        async with limit:
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                sent_at[number] = time.perf_counter()
                writer.write(request)
                status = await reader.readline()
                if b" 202 " not in status:
                    raise BenchError(f"the webhook answered {status.decode('ascii', 'replace').strip()}")
            finally:
                writer.close()

    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            await asyncio.sleep(max(0.0, started + number / REPORTS_PER_SECOND - time.perf_counter()))
            group.create_task(send(number, request))
    return sent_at


async def _not_sent(redis: "Redis") -> int:
    entries: Any = await redis.xrange(ALERT_EVENTS.name)
    return sum(b'"outcome":"failed"' in fields[b"body"] for _, fields in entries)
