"""An embedded system under test, driven as a user drives it: the command line and HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.embedded.system import free_port
from tests.backends import wait_for

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@dataclass
class Ran:
    """What a command printed and how it ended."""

    status: int
    out: str
    err: str


@dataclass
class Embedded:
    """One data folder, and the system running in it."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_port(besides=set()))
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """`salingjaga up`, until it is ready."""
        with (self.data_dir.parent / f"{self.data_dir.name}.up.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", "up", "--data-dir", str(self.data_dir), "--port", str(self.port)],
                cwd=ROOT,
                env=self._environment(),
                stdout=log,
                stderr=log,
                text=True,
            )
        runtime = self.data_dir / "runtime.json"
        wait_for(lambda: runtime.exists() or self._ended(), seconds=START_SECONDS)
        assert not self._ended(), self.words()

    def stop(self) -> float:
        """Ctrl-C; returns the seconds until everything had stopped."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        return time.monotonic() - began

    def words(self) -> str:
        """What `up` has printed."""
        return (self.data_dir.parent / f"{self.data_dir.name}.up.log").read_text()

    def run(self, *arguments: str | Path, status: int | None = 0, stdin: str = "") -> Ran:
        """A `salingjaga` command against this system; fails the test when it ends with another status."""
        result = subprocess.run(
            [sys.executable, "-m", "deploy.cli", *map(str, arguments)],
            cwd=ROOT,
            env={**self._environment(), "SALINGJAGA_DATA_DIR": str(self.data_dir)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if status is not None:
            assert result.returncode == status, f"{arguments}: {result.stdout}\n{result.stderr}"
        return Ran(result.returncode, result.stdout, result.stderr)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query, asked as an analyst would."""
        rows: list[dict[str, Any]] = json.loads(self.run("query", sql, "--format", "json").out)
        return rows

    def count(self, sql: str) -> int:
        """The single number a query gives."""
        [row] = self.query(sql)
        [number] = row.values()
        return int(number)

    def pid_of(self, name: str) -> int:
        """The process id of one part of the system."""
        runtime = json.loads((self.data_dir / "runtime.json").read_text())
        pid: int = runtime["process_ids"][name]
        return pid

    def kill(self, name: str) -> None:
        """`kill -9` one part; the supervisor is expected to bring it back."""
        os.kill(self.pid_of(name), signal.SIGKILL)

    @property
    def url(self) -> str:
        """Where the webhook listens."""
        return f"http://127.0.0.1:{self.port}"

    def notifications(self) -> str:
        """Everything the embedded default has notified."""
        path = self.data_dir / "notifications.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SALINGJAGA_")}
        return {**inherited, "PYTHONUNBUFFERED": "1", **self.environment}


def write_jsonl(path: Path, reports: Sequence[dict[str, Any]]) -> Path:
    """A file of reports."""
    path.write_text("".join(json.dumps(report, ensure_ascii=False) + "\n" for report in reports), encoding="utf-8")
    return path
