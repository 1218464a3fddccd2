"""The supervisor: starts processes, starts them again with back-off when they die, stops them in order."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from deploy.embedded.data_dir import EmbeddedError

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 20.0
LOG_LIMIT_BYTES = 20 * 1024 * 1024
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Program:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    wanted: bool = False
    keeper: "asyncio.Task[None] | None" = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The running process's id, 0 while there is none."""
        return self.process.pid if self.process and self.process.returncode is None else 0

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


class Supervisor:
    """Keeps programs running until `stop`."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.on_change: Callable[[], object] = _nothing

    async def start(self, program: Program) -> None:
        """Start a program and keep it running."""
        self.programs[program.name] = program
        program.wanted = True
        started = asyncio.Event()
        program.keeper = asyncio.create_task(self._keep(program, started), name=f"keeper of {program.name}")
        await started.wait()

    async def stop(self, names: Sequence[str], *, within_seconds: float) -> None:
        """Stop programs together: politely first, by force when the time is up."""
        programs = [self.programs[name] for name in names if name in self.programs]
        for program in programs:
            program.wanted = False
            self._signal(program, signal.SIGTERM)
            if not program.pid and program.keeper:
                program.keeper.cancel()  # it only waits to start the program again
        keepers = [program.keeper for program in programs if program.keeper]
        if not keepers:
            return
        _, running = await asyncio.wait(keepers, timeout=within_seconds)
        if running:
            for program in programs:
                self._signal(program, signal.SIGKILL)
            await asyncio.wait(running, timeout=2)

    @staticmethod
    def _signal(program: Program, number: int) -> None:
        if program.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(program.pid, number)

    async def _keep(self, program: Program, started: asyncio.Event) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                program.process = await self._launch(program)
                program.starts += 1
                self.on_change()
            except OSError as error:  # no process to be had, or a full disk: that passes too
                log.error("process_not_started", process=program.name, error=str(error))
            started.set()
            status = await program.process.wait() if program.process else None
            if not program.wanted:
                return
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.warning("process_died", process=program.name, status=status, restart_in_seconds=round(pause, 1))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    @staticmethod
    async def _launch(program: Program) -> asyncio.subprocess.Process:
        with program.log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(program.environment),
                # An own session: Ctrl-C reaches only the supervisor, which stops the others in order.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    async def tend_logs(self) -> None:
        """Keep each log below its limit, the newest part and one older; until cancelled."""
        while True:
            await asyncio.sleep(30)
            for program in self.programs.values():
                with contextlib.suppress(OSError):
                    if program.log.stat().st_size > LOG_LIMIT_BYTES:
                        program.log.with_suffix(".log.1").write_bytes(program.log.read_bytes())
                        os.truncate(program.log, 0)


def _nothing() -> None:
    pass


def _die_with_parent() -> None:
    # When the supervisor itself is killed outright, its children must not live on and hold the data folder.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def wait_until_ready(program: Program, ready: "asyncio.Task[bool]", *, seconds: float) -> None:
    """Wait for a program's readiness probe.

    Raises:
        EmbeddedError: it died again and again, or is not ready in time; with the last line of its log.
    """
    deadline = time.monotonic() + seconds
    try:
        while not ready.done():
            if program.starts >= 3:
                raise EmbeddedError(f"{program.name} does not start: {program.last_words() or 'see its log'}")
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{program.name} is not ready after {seconds:.0f} s: {program.last_words()} (log: {program.log})"
                )
            await asyncio.wait([ready], timeout=0.1)
    finally:
        ready.cancel()
