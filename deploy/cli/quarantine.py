"""`salingjaga quarantine`: what could not be processed."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from redis import Redis
from redis.exceptions import RedisClusterException, RedisError
from rich.table import Table
from rich.text import Text

from deploy.cli.console import err, fail, out, printable
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption, check_partitions, find_target
from deploy.cli.vault import open_vault
from shared.bus import quarantine as store
from shared.bus.connection import connect_blocking
from shared.bus.streams import SUBMISSIONS
from shared.vault.envelope import CannotOpenError, Envelope, binding_of

app = typer.Typer(
    help="Messages that could not be processed: look, replay after a cure, or drop.", no_args_is_help=True
)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids as `list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All that `list` shows with the same filters.")]
Group = Annotated[str, typer.Option(help="Only what this consumer group put aside.")]
Containing = Annotated[str, typer.Option(help="Only errors with these words.")]


@app.command("list")
def list_(
    group: Group = "",
    containing: Containing = "",
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """List what is in quarantine, oldest first."""
    with _redis(data_dir) as redis:
        found = list(store.read_quarantine(redis, group=group, containing=containing))
    if as_json:
        documents = [
            {"id": one.id, "at": one.at.isoformat(), "group": one.group, "error": one.error, "receipt": one.receipt}
            for one in found
        ]
        sys.stdout.write(json.dumps(documents, ensure_ascii=False) + "\n")
        return
    if not found:
        out.print("The quarantine is empty.")
        return
    table = Table("id", "at", "group", "receipt", "error")
    for one in found[:limit]:
        at = one.at.isoformat(sep=" ", timespec="seconds")
        table.add_row(one.id, at, one.group, one.receipt, Text(printable(one.error)))
    out.print(table)
    if len(found) > limit:
        err.print(f"... and {len(found) - limit} more")


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Why its bytes are looked at; written into the audit record.")] = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Show what is known of one message; with --reason also its bytes, which may hold what a reporter wrote."""
    with _redis(data_dir) as redis:
        one = store.find_quarantined(redis, id_)
    if one is None:
        fail(f"{id_} is not in quarantine.")
    details = {"id": one.id, "at": one.at, "stream": one.stream, "group": one.group, "attempts": one.attempts}
    for name, value in {**details, "receipt": one.receipt, "error": one.error}.items():
        out.print(f"{name:10}{printable(str(value))}", highlight=False, markup=False, soft_wrap=True)
    if not reason:
        err.print("Its bytes are shown with --reason WHY, and the look is written into the audit.")
        return
    body = _body(one, reason, data_dir)
    out.print(printable(body.decode("utf-8", "replace")), highlight=False, markup=False, soft_wrap=True)


def _body(one: store.Quarantined, reason: str, data_dir: Path) -> bytes:
    """The bytes of a message, opened when they are sealed; the look is in the audit before."""
    with open_vault(data_dir) as vault:
        vault.audit("quarantine show", receipt=one.receipt, reason=reason, details=one.id)
        if not one.is_of(SUBMISSIONS):
            return one.body
        try:
            source = one.fields.get(b"source", b"").decode("utf-8", "replace")
            return vault.opener().open(Envelope.read(one.body), binding_of(one.receipt, source))
        except CannotOpenError as error:
            fail(f"Its bytes cannot be opened: {error}.")


@app.command()
def replay(
    ids: Ids = None,
    all_: All = False,
    group: Group = "",
    containing: Containing = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Put messages back on their streams."""
    with _redis(data_dir) as redis:
        chosen = _chosen(redis, ids, all_, group, containing)
        partitions = find_target(data_dir).partitions
        for one in chosen:
            store.replay(redis, one, partitions)
    out.print(f"{len(chosen)} put back")


@app.command()
def drop(
    ids: Ids = None,
    all_: All = False,
    group: Group = "",
    containing: Containing = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Remove messages for good."""
    with _redis(data_dir) as redis:
        chosen = _chosen(redis, ids, all_, group, containing)
        if chosen and not yes:
            typer.confirm(f"Remove {len(chosen)} messages for good?", abort=True, err=True)
        for one in chosen:
            store.drop(redis, one)
    out.print(f"{len(chosen)} dropped")


def _chosen(redis: Redis, ids: list[str] | None, all_: bool, group: str, containing: str) -> list[store.Quarantined]:
    if all_:
        return list(store.read_quarantine(redis, group=group, containing=containing))
    if not ids:
        raise typer.BadParameter("name ids, or say --all")
    found = [(id_, store.find_quarantined(redis, id_)) for id_ in ids]
    if missing := [id_ for id_, one in found if one is None]:
        fail(f"Not in quarantine: {', '.join(missing)}")
    return [one for _, one in found if one]


@contextlib.contextmanager
def _redis(data_dir: Path) -> Iterator[Redis]:
    try:
        target = find_target(data_dir)
        with connect_blocking(target.redis_url, socket_timeout=10, socket_connect_timeout=5) as redis:
            check_partitions(redis, target.partitions)
            yield redis
    except (RedisError, RedisClusterException) as error:
        fail(f"Redis: {error}")
