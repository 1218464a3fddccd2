"""The command: open the engine, serve it on loopback until SIGTERM or SIGINT."""

import argparse
import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
import uvloop

from deploy.embedded.clickhouse.accounts import Accounts
from deploy.embedded.clickhouse.errors import StartError
from shared.observability.logs import configure_logs

if TYPE_CHECKING:
    from deploy.embedded.clickhouse.server import ClickHouseApp

HOST = "127.0.0.1"
GRACE_SECONDS = 2
"""Requests that are being answered get so long to end."""
HARD_STOP_SECONDS = 2.5
"""After the signal the process ends by then, whatever hangs: what was acknowledged is on disk since."""
BACKLOG = 256
MAX_CONNECTIONS = 1000


def main(arguments: list[str] | None = None) -> int:
    """Run the server. Returns the exit status: 0 after a stop, 1 when it cannot start, with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded.clickhouse", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of the database; must exist")
    parser.add_argument("--port", type=int, required=True, help=f"port on {HOST}")
    parser.add_argument("--credentials", type=Path, required=True, help="JSON file of the accounts, mode 0600")
    options = parser.parse_args(arguments)
    try:
        accounts = Accounts.read(options.credentials)
        listener = _listen(options.port)
        with contextlib.closing(listener):
            _serve(options.data_dir.resolve(), accounts, listener)
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        # Taken now, so that a second server on this port fails before it opens a folder.
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise StartError(f"Port {port} on {HOST} is in use; stop what uses it or choose another.") from error
        raise StartError(f"Port {port} on {HOST} cannot be opened: {error}.") from error
    return listener


def _serve(folder: Path, accounts: Accounts, listener: socket.socket) -> None:
    # Loading the engine takes a second and much memory: not before everything else is known to be right.
    from deploy.embedded.clickhouse.engine import Engine
    from deploy.embedded.clickhouse.server import ClickHouseApp

    port = listener.getsockname()[1]
    configure_logs(level="WARNING", service="clickhouse")
    engine = Engine(folder)
    try:
        app = ClickHouseApp(engine, accounts)
        config = uvicorn.Config(
            app,
            http="httptools",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=BACKLOG,
            limit_concurrency=MAX_CONNECTIONS,
        )
        ready = f"ready: ClickHouse {engine.version} (embedded) on http://{HOST}:{port}, data in {folder}"
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_Server(config, app, ready).serve(sockets=[listener]))
        app.stop()
    finally:
        engine.close()


class _Server(uvicorn.Server):
    """uvicorn, with a line when it is ready and an end that comes within a known time."""

    def __init__(self, config: uvicorn.Config, app: "ClickHouseApp", ready: str) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so on stderr."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        # These replace uvicorn's own handlers, which would raise the signal once more at the end.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        sys.stderr.write(f"{self._ready}\n")
        sys.stderr.flush()

    def _stop(self) -> None:
        timer = threading.Timer(HARD_STOP_SECONDS, os._exit, (0,))
        timer.daemon = True
        timer.start()
        self.should_exit = True
        self._draining = self._draining or asyncio.get_running_loop().create_task(self._app.drain())


if __name__ == "__main__":
    sys.exit(main())
