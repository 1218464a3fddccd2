"""`salingjaga audit`: who looked at what, and why."""

import json
import sys
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.console import out, printable
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption
from deploy.cli.vault import checked_receipt, open_vault

app = typer.Typer(help="Who looked at, replayed or removed what, and why.", no_args_is_help=True)

_NAMES = ("at", "who", "action", "receipt", "reason", "details")


@app.callback()
def _audit() -> None:
    """Who looked at, replayed or removed what, and why."""


@app.command("list")
def list_(
    receipt: Annotated[str, typer.Option(help="Only of this receipt.")] = "",
    limit: Annotated[int, typer.Option(min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """List audit records, newest first."""
    wanted = checked_receipt(receipt) if receipt else ""
    with open_vault(data_dir) as vault:
        rows = vault.rows(
            f"SELECT toString(at), who, action, receipt, reason, details FROM {vault.database}.audit "  # noqa: S608
            "WHERE {receipt:String} IN ('', receipt) ORDER BY at DESC LIMIT {limit:UInt32}",
            {"receipt": wanted, "limit": limit},
        )
    if as_json:
        documents = [dict(zip(_NAMES, row, strict=True)) for row in rows]
        sys.stdout.write(json.dumps(documents, ensure_ascii=False) + "\n")
        return
    table = Table(*_NAMES)
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row))
    out.print(table if rows else "No audit records.")
