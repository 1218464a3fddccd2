"""The system under attack: an embedded runtime with a source of its own, and further replicas of its services."""

import base64
import contextlib
import importlib.metadata
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis

from deploy.embedded.system import SERVICES, free_port
from tests.backends import wait_for
from tests.e2e.embedded import ROOT, Embedded

SOURCE = "chaos"
SECRET_VARIABLE = "SALINGJAGA_SECRET_CHAOS"
PARTS = ("redis", "clickhouse", *SERVICES)
CLAIM_IDLE_SECONDS = 3.0
HIGH_WATER = 20_000
DISK_MB = 900
CLOCK_CACHE_SECONDS = 1


@dataclass
class World:
    """A running system and the handles by which it is broken and looked into.

    Attributes:
        embedded: the system, as a user runs it.
        key: the secret that reports of the source `chaos` are signed with.
        webhooks: where reports may be sent: the system's own webhook, and those of further replicas.
        high_water: how many messages may wait before new ones are refused.
    """

    embedded: Embedded
    key: bytes
    webhooks: list[str]
    high_water: int = HIGH_WATER
    replicas: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    # Looking into it

    def redis(self, seconds: float = 5) -> redis.Redis:
        """A connection to Redis as an operator has it."""
        port, password = self.runtime()["redis_port"], self._credentials()["redis_password"]
        return redis.Redis(port=port, password=password, socket_timeout=seconds)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of ClickHouse. Raises `httpx.HTTPError` while it is away."""
        credentials = self._credentials()
        answer = httpx.post(
            f"http://127.0.0.1:{self.runtime()['clickhouse_port']}/?database=salingjaga",
            content=f"{sql} FORMAT JSONEachRow",
            auth=(credentials["clickhouse_user"], credentials["clickhouse_password"]),
            timeout=60,
            trust_env=False,
        )
        answer.raise_for_status()
        return [json.loads(line) for line in answer.text.splitlines()]

    def runtime(self) -> dict[str, Any]:
        """Where everything listens now, and in which processes."""
        found: dict[str, Any] = json.loads((self.embedded.data_dir / "runtime.json").read_text())
        return found

    def pid(self, part: str) -> int:
        """The process of a part of the embedded system; 0 while it has none."""
        pid: int = self.runtime()["process_ids"].get(part, 0)
        return pid if pid and _lives(pid) else 0

    def pids(self) -> dict[str, int]:
        """All processes: `part` of the embedded system, `part/n` of a replica."""
        found = {part: pid for part in PARTS if (pid := self.pid(part))}
        for number, process in enumerate(self.replicas):
            if process.poll() is None:
                found[f"replica/{number}"] = process.pid
        return found

    # Breaking it

    def kill(self, part: str) -> int:
        """`kill -9` a part; returns its process id."""
        pid = self.pid(part)
        if pid:
            os.kill(pid, signal.SIGKILL)
        return pid

    @contextlib.contextmanager
    def frozen(self, *pids: int) -> Iterator[None]:
        """Processes that do nothing (SIGSTOP) until the end of the block."""
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @property
    def has_small_disk(self) -> bool:
        """Whether the system lies on a disk of its own, which may be filled."""
        return self.embedded.data_dir.parent.is_mount()

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """The disk of the system filled to the last byte, until the end of the block."""
        filler = self.embedded.data_dir.parent / "filler"
        full = threading.Event()

        def fill() -> None:
            with filler.open("ab", buffering=0) as file:
                while not full.is_set():
                    try:
                        file.write(bytes(1 << 16))
                    except OSError:
                        time.sleep(0.01)  # whatever becomes free is taken at once

        filling = threading.Thread(target=fill, daemon=True)
        filling.start()
        try:
            yield
        finally:
            full.set()
            filling.join()
            filler.unlink()

    @contextlib.contextmanager
    def away(self, part: str) -> Iterator[None]:
        """A part that is killed as often as it comes, until the end of the block."""
        try:
            with self.frozen(self.embedded.process.pid if self.embedded.process else 0):
                # The supervisor, which would start it again, stands still meanwhile.
                self.kill(part)
                yield
        finally:
            self.wait_until_back(part)

    def wait_until_back(self, part: str, *, besides: int = 0, seconds: float = 60) -> None:
        """Return when a part runs, in another process than `besides`."""
        wait_for(lambda: self.pid(part) not in (0, besides), seconds=seconds)

    @property
    def has_own_clock(self) -> bool:
        """Whether programs can be given a clock of their own on this machine."""
        told = subprocess.run(
            [sys.executable, "-c", "import time; print(time.time())"],
            env={**os.environ, **_faked_clock(), "FAKETIME": "-1000d"},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        return bool(told) and float(told) < time.time() - 86_400

    @contextlib.contextmanager
    def own_clock(self) -> Iterator[Callable[[float], None]]:
        """The whole system started anew with a clock that is set by calling what is yielded: seconds ahead of the true
        one. At the end of the block it is started once more, with the true one."""
        setting = self.embedded.data_dir.parent / "clock"

        def set_clock(ahead: float) -> None:
            fresh = setting.with_suffix(".new")
            fresh.write_text(f"{ahead:+.0f}\n")
            fresh.replace(setting)
            time.sleep(CLOCK_CACHE_SECONDS + 0.5)  # until every process has read it

        set_clock(0)
        faked = {**_faked_clock(), "FAKETIME_TIMESTAMP_FILE": str(setting)}
        self._restart({**self.embedded.environment, **faked})
        try:
            yield set_clock
        finally:
            self._restart({name: value for name, value in self.embedded.environment.items() if name not in faked})

    def _restart(self, environment: dict[str, str]) -> None:
        self.embedded.stop()
        self.embedded.environment = environment
        self.embedded.start()

    def start_replicas(self, each: int) -> None:
        """Start so many further processes of each service, as a container would run them."""
        taken: set[int] = set()
        for service, arguments in SERVICES.items():
            for _ in range(each):
                port = free_port(besides=taken)
                taken.add(port)
                environment = {**_environment_of(self.pid(service)), "SALINGJAGA_PORT": str(port)}
                log = (self.embedded.data_dir / "logs" / f"{service}-{port}.log").open("ab")
                command = [sys.executable, "-m", "deploy.cli", "serve", *arguments]
                process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
                log.close()
                self.replicas.append(process)
                if service == "webhook":
                    self.webhooks.append(f"http://127.0.0.1:{port}")
                wait_for(lambda port=port: _ready(port), seconds=60)  # type: ignore[misc]

    def stop_replicas(self) -> None:
        """End the further processes."""
        del self.webhooks[1:]
        for process in self.replicas:
            process.terminate()
        for process in self.replicas:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.replicas.clear()

    def _credentials(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.embedded.data_dir / "credentials.json").read_text())
        return found


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own in a folder, small enough to be filled, where this user may mount one (root may)."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "chaos", str(folder)]
    mounted = shutil.which("mount") and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if mounted:
            for logs in (folder.glob("*.log"), folder.glob("*/logs/*")):
                for log in logs:
                    shutil.copy(log, folder.parent)
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """A system in an empty folder, until the end of the block."""
    with small_disk(folder / "disk"):
        yield from _running_world(folder)


def _running_world(folder: Path) -> Iterator[World]:
    config = folder / "config"
    config.mkdir()
    key = secrets.token_bytes(32)
    (config / "sources.yaml").write_text(
        f"sources:\n  {SOURCE}: {{adapter: json, auth: {{scheme: standard-webhooks, secret_env: {SECRET_VARIABLE}}}, "
        "rate_per_minute: 100000000}\n"
    )
    (config / "officers.yaml").write_text((ROOT / "deploy" / "config" / "officers.yaml").read_text())
    embedded = Embedded(
        folder / "disk" / "data",
        environment={
            SECRET_VARIABLE: "whsec_" + base64.b64encode(key).decode(),
            "SALINGJAGA_CONFIG_DIR": str(config),
            "SALINGJAGA_CLAIM_IDLE_SECONDS": str(CLAIM_IDLE_SECONDS),
            "SALINGJAGA_BACKLOG_HIGH_WATER": str(HIGH_WATER),
        },
    )
    embedded.start()
    world = World(embedded, key, [embedded.url])
    try:
        yield world
    finally:
        world.stop_replicas()
        if embedded.process and embedded.process.poll() is None:
            embedded.process.send_signal(signal.SIGCONT)
            embedded.stop()


def _faked_clock() -> dict[str, str]:
    # The library stands between a program and the system's clock; elapsed time (the monotonic clock) stays true.
    package = Path(importlib.metadata.distribution("libfaketime").locate_file("libfaketime"))  # type: ignore[arg-type]
    return {
        "LD_PRELOAD": str(package / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"),
        "FAKETIME_CACHE_DURATION": str(CLOCK_CACHE_SECONDS),
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=3, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _environment_of(pid: int) -> dict[str, str]:
    variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(variable.split("=", 1) for variable in variables if "=" in variable)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
