"""The data folder of an embedded system: what lies where, the credentials, and where the running system listens."""

import base64
import fcntl
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from shared.vault.keys import rotate

LEAST_FREE_BYTES = 200 * 1024 * 1024


class EmbeddedError(Exception):
    """The embedded system cannot do what was asked; the message is one plain sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Generated once for a data folder and kept in a file that only its owner can read."""

    redis_password: str
    clickhouse_user: str
    clickhouse_password: str
    analyst_user: str
    analyst_password: str
    sender_key: str
    alert_link_key: str
    alerts_token: str = ""
    source_secrets: dict[str, str] = field(default_factory=dict)

    @classmethod
    def generate(cls) -> "Credentials":
        """Fresh ones."""

        def secret() -> str:
            return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()

        return cls(
            redis_password=secrets.token_urlsafe(24),
            clickhouse_user="salingjaga",
            clickhouse_password=secrets.token_urlsafe(24),
            analyst_user="analis",
            analyst_password=secrets.token_urlsafe(12),
            sender_key=secrets.token_urlsafe(32),
            alert_link_key=secrets.token_urlsafe(32),
            alerts_token=secrets.token_urlsafe(32),
            source_secrets={"SALINGJAGA_SECRET_LAPANGAN": secret(), "SALINGJAGA_SECRET_BERITA": secret()},
        )


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where a running embedded system listens, and its processes."""

    supervisor_pid: int
    webhook_url: str
    redis_port: int
    clickhouse_port: int
    process_ids: dict[str, int]
    service_ports: dict[str, int]


class DataDir:
    """An embedded system's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.redis = self.path / "redis"
        self.clickhouse = self.path / "clickhouse"
        self.logs = self.path / "logs"
        self.notifications = self.path / "notifications.txt"
        self.redis_config = self.path / "redis.conf"
        self.clickhouse_accounts = self.path / "clickhouse-accounts.json"
        self.keys = self.path / "keys.json"
        self.keys_were_missing = False
        """Whether `prepare` found a folder in use without its master keys, and had to begin with a new one."""
        self._credentials = self.path / "credentials.json"
        self._runtime = self.path / "runtime.json"
        self._ports = self.path / "ports.json"
        self._lock: IO[str] | None = None

    def prepare(self) -> Credentials:
        """Create the folder where it is missing and take it for this process alone.

        Returns:
            The folder's credentials, generated at the first time.

        Raises:
            EmbeddedError: it cannot be written, the disk is full, or another system runs in it.
        """
        try:
            for folder in (self.path, self.redis, self.clickhouse, self.logs):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._take()
            free = shutil.disk_usage(self.path).free
            if free < LEAST_FREE_BYTES:
                raise EmbeddedError(
                    f"The disk of {self.path} has {free // 2**20} MiB left; free some space (at least "
                    f"{LEAST_FREE_BYTES // 2**20} MiB) or choose another folder with --data-dir."
                )
            is_new = not self._credentials.exists()
            known = {} if is_new else self._read(self._credentials)
            # A folder of an older version lacks what has been added since.
            write_private(self._credentials, {**asdict(Credentials.generate()), **known})
            if not self.keys.exists():
                rotate(self.keys, datetime.now(UTC))
                self.keys_were_missing = not is_new
        except OSError as error:
            raise EmbeddedError(
                f"The data folder {self.path} cannot be used ({error.strerror}); choose another one with --data-dir."
            ) from None
        return self.credentials()

    def credentials(self) -> Credentials:
        """The folder's credentials. Raises `EmbeddedError` when there are none."""
        return Credentials(**self._read(self._credentials))

    def runtime(self) -> Runtime:
        """Where the system running in this folder listens. Raises `EmbeddedError` when none runs."""
        runtime = Runtime(**self._read(self._runtime))
        try:
            os.kill(runtime.supervisor_pid, 0)
        except (ProcessLookupError, PermissionError):
            raise self._nothing_runs() from None
        return runtime

    def write_runtime(self, runtime: Runtime) -> None:
        """Say where the system listens."""
        write_private(self._runtime, asdict(runtime))

    def remove_runtime(self) -> None:
        """Say that nothing runs any more; only the process that has taken the folder may say so."""
        if self._lock:
            self._runtime.unlink(missing_ok=True)

    def ports(self) -> dict[str, int]:
        """The ports of the last run, so that an analyst's connection settings stay right."""
        try:
            ports: dict[str, int] = json.loads(self._ports.read_text())
        except (OSError, ValueError):
            return {}
        return ports

    def write_ports(self, ports: dict[str, int]) -> None:
        """Remember the ports for the next run."""
        write_private(self._ports, ports)

    def _take(self) -> None:
        lock = (self.path / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise EmbeddedError(
                f"Another Salingjaga runs in {self.path}; stop it first or choose another folder with --data-dir."
            ) from None
        self._lock = lock

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            raise self._nothing_runs() from None
        except (OSError, ValueError) as error:
            raise EmbeddedError(f"{path} cannot be read: {error}") from None
        return content

    def _nothing_runs(self) -> EmbeddedError:
        return EmbeddedError(
            f"No Salingjaga runs in {self.path}; start one with `salingjaga up`, or name its --data-dir."
        )


def write_private(path: Path, content: object) -> None:
    """Replace a JSON file in one step; only its owner can read it."""
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    temporary.replace(path)
