"""`salingjaga submission`: what arrived, byte for byte."""

import sys
from typing import Annotated

import typer

from deploy.cli.console import err, fail
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption
from deploy.cli.vault import ReasonOption, ReceiptArgument, checked_receipt, looked_up, open_stored, open_vault

app = typer.Typer(help="Submissions as they arrived; every look is written into the audit.", no_args_is_help=True)


@app.callback()
def _submission() -> None:
    """Submissions as they arrived; every look is written into the audit."""


@app.command()
def show(
    receipt: ReceiptArgument,
    reason: ReasonOption,
    version: Annotated[int, typer.Option(min=0, help="1 is what came first; 0 what came last.")] = 0,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Write a submission to standard output, byte for byte. It may name who reported it."""
    receipt = checked_receipt(receipt)
    with open_vault(data_dir) as vault:
        opener, versions = looked_up(vault, "submission show", receipt, reason)
        if version > len(versions):
            fail(f"{receipt} has {len(versions)} version(s).")
        stored = versions[version - 1]
        number = version or len(versions)
        err.print(
            f"source {stored.source}, adapter {stored.adapter}, received {stored.received_at.isoformat()}, "
            f"version {number} of {len(versions)}",
            highlight=False,
            soft_wrap=True,
        )
        body = open_stored(opener, stored)
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()
