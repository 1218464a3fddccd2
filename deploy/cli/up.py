"""`salingjaga up`: the whole system on this machine."""

import asyncio
import contextlib
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel

from deploy.cli.console import err, out
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption
from deploy.embedded.data_dir import DataDir, EmbeddedError, Runtime
from deploy.embedded.notices import follow_notifications
from deploy.embedded.system import EmbeddedSystem
from shared.observability.logs import configure_logs

FIRST_QUERY = "SELECT region_name, kind, primary_class, count() FROM reports GROUP BY ALL"


def up(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    port: Annotated[int, typer.Option(envvar="SALINGJAGA_PORT", help="Port of the webhook.", min=1, max=65535)] = 8080,
    demo: Annotated[bool, typer.Option(help="Send the example reports and show what becomes of them.")] = False,
) -> None:
    """Run everything on this machine until Ctrl-C: Redis, ClickHouse and all services. Nothing to install."""
    configure_logs(log_format="console", level="WARNING", service="up")
    asyncio.run(_up(DataDir(data_dir), port, demo))


async def _up(data: DataDir, port: int, demo: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    system = EmbeddedSystem(data, port=port)
    begun = asyncio.create_task(_begin(system, demo))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([begun, stopped], return_when=asyncio.FIRST_COMPLETED)
        if begun.done():
            _raise_first(begun)
        await stopped
        err.print("\nStopping: nothing more is taken in, what is under way arrives ...")
    finally:
        begun.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await begun
        await system.stop()
    err.print("Stopped. `salingjaga up` carries on from here.")


def _raise_first(begun: "asyncio.Task[None]") -> None:
    """What ended the start: of several processes that fail together, the first is said."""
    try:
        begun.result()
    except* EmbeddedError as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


async def _begin(system: EmbeddedSystem, demo: bool) -> None:
    with err.status("Starting Redis, ClickHouse and the services ..."):
        runtime = await system.start()
    if system.data.keys_were_missing:
        err.print(
            f"[bold yellow]The master keys were missing[/bold yellow] ({_short(system.data.keys)}): "
            "a new one was made. What was sealed before "
            "cannot be read: put the old keys back beside the new one, see docs/privacy.md.",
            soft_wrap=True,
        )
    out.print(_welcome(system.data, runtime))
    sys.stdout.flush()
    if demo:
        from deploy.cli.demo import show_demo

        await show_demo(system.data)
    await follow_notifications(system.data.notifications, out)


def _welcome(data: DataDir, runtime: Runtime) -> Panel:
    credentials = data.credentials()
    option = "" if data.path == DEFAULT_DATA_DIR.resolve() else f" --data-dir {shlex.quote(_short(data.path))}"
    started_as = Path(sys.argv[0])
    command = shlex.quote(_short(started_as.resolve())) if started_as.name == "salingjaga" else "salingjaga"
    lines = [
        f"Webhook      {runtime.webhook_url}/v1/reports/lapangan   (documents: {runtime.webhook_url}/openapi.json)",
        f"ClickHouse   http://127.0.0.1:{runtime.clickhouse_port}  database salingjaga, "
        f"user {credentials.analyst_user}, password {credentials.analyst_password}",
        f"Alerts       {_short(data.notifications)}",
        f"Logs         {_short(data.logs)}",
        f"Keys         {_short(data.keys)}   (back it up elsewhere: without it no original can be read)",
        "",
        "In a second terminal:",
        f"  {command} send{option} deploy/examples/reports.jsonl",
        f"  {command} query{option} '{FIRST_QUERY}'",
        f"  {command} alerts list{option}",
        f'  {command} classify "Pak camat bagi-bagi amplop di Kec. Paringin, disuruh pilih nomor 1"',
        "Ctrl-C stops.",
    ]
    return Panel("\n".join(lines), title="Salingjaga is running", expand=False, highlight=False)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
