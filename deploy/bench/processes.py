"""The processes a measurement needs: started for it, isolated from what is configured here, ended with it."""

import asyncio
import base64
import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import yaml

from deploy.bench.result import BenchError
from deploy.embedded.supervisor import Program, Supervisor, wait_until_ready
from shared.settings import DEPLOY_DIR

Say = Callable[[str], None]
"""Told in a few words what is being done."""

START_SECONDS = 60.0
STOP_SECONDS = 3.0
SOURCE = "bench"
SECRET_VARIABLE = "SALINGJAGA_SECRET_BENCH"  # noqa: S105 - its name, not the secret
MASTER_KEYS = "bench:" + base64.b64encode(secrets.token_bytes(32)).decode()
"""Seals what a measurement sends."""
UNREACHED = 2_000_000_000
"""A rate and a backlog that no benchmark reaches: their checks run, and refuse nothing."""


class Bench:
    """A folder, a source with its key, and an environment for one measurement.

    Args:
        folder: everything that is written goes there.
        fsync: when Redis writes to disk, `always` or `everysec`.
    """

    def __init__(self, folder: Path, fsync: str) -> None:
        self.folder = folder
        self.fsync = fsync
        self.key = secrets.token_bytes(32)
        config = folder / "config"
        shutil.copytree(DEPLOY_DIR / "config", config)
        auth = {"scheme": "standard-webhooks", "secret_env": SECRET_VARIABLE}
        source = {"adapter": "json", "auth": auth, "rate_per_minute": UNREACHED}
        (config / "sources.yaml").write_text(yaml.safe_dump({"sources": {SOURCE: source}}))
        # Nothing that is set for the system of this machine reaches the one that is measured.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SALINGJAGA_")}
        self.environment |= {
            SECRET_VARIABLE: "whsec_" + base64.b64encode(self.key).decode(),
            "SALINGJAGA_MASTER_KEYS": MASTER_KEYS,
            "SALINGJAGA_CONFIG_DIR": str(config),
            "SALINGJAGA_BACKLOG_HIGH_WATER": str(UNREACHED),
            "SALINGJAGA_FSYNC": fsync,
            "SALINGJAGA_LOG_LEVEL": "WARNING",
        }


@contextlib.contextmanager
def bench_folder(fsync: str) -> Iterator[Bench]:
    """A `Bench` in a temporary folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="salingjaga-bench-", ignore_cleanup_errors=True) as folder:
        yield Bench(Path(folder), fsync)


class Processes:
    """Processes that are kept running until the end of the measurement."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._supervisor = Supervisor()

    async def start(
        self, name: str, command: Sequence[str], ready: Callable[[], Awaitable[bool]], **environment: str
    ) -> int:
        """Start a process, wait until it is ready, and return its id. Raises `EmbeddedError` when it does not start."""
        program = Program(
            name=name,
            command=command,
            environment={**self._bench.environment, **environment},
            log=self._bench.folder / f"{name}.log",
        )
        await self._supervisor.start(program)
        await wait_until_ready(program, asyncio.create_task(_until(ready)), seconds=START_SECONDS)
        return program.pid

    async def stop(self) -> None:
        """End all, those that serve others last."""
        for name in reversed(self._supervisor.programs):
            await self._supervisor.stop([name], within_seconds=STOP_SECONDS)


@contextlib.asynccontextmanager
async def processes(bench: Bench) -> AsyncIterator[Processes]:
    """Processes that end with the block."""
    started = Processes(bench)
    try:
        yield started
    finally:
        await started.stop()


@contextlib.asynccontextmanager
async def workers(modules: Sequence[Sequence[str]], environment: Mapping[str, str]) -> AsyncIterator[list[int]]:
    """Python modules, each with its arguments, running as processes within the block; gives their ids.

    Each says that it is ready by a line on its standard output, and is ended with the block. Raises `BenchError` when
    one ends before.
    """
    running: list[asyncio.subprocess.Process] = []
    try:
        for module in modules:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *module,
                env=dict(environment),
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            running.append(process)
        for process, module in zip(running, modules, strict=True):
            said = await asyncio.wait_for(process.stdout.readline(), START_SECONDS) if process.stdout else b""
            if not said:
                raise BenchError(f"{module[0]} ended before it was ready")
        yield [process.pid for process in running]
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in running:
            await process.wait()


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """A probe: whether `url` answers 200."""

    async def probe() -> bool:
        async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
            try:
                return (await client.get(url)).status_code == 200
            except httpx.HTTPError:
                return False

    return probe


def cpu_seconds(pid: int) -> float | None:
    """Processor time a process has used so far, user and system; `None` where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def total_cpu_seconds(pids: Iterable[int]) -> float | None:
    """Processor time of several processes together; `None` where the system does not tell."""
    each = [cpu_seconds(pid) for pid in pids]
    return None if None in each else sum(seconds for seconds in each if seconds is not None)


async def _until(probe: Callable[[], Awaitable[bool]]) -> bool:
    while True:
        if await probe():
            return True
        await asyncio.sleep(0.1)
