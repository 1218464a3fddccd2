"""`python -m tests.chaos`: the suite, with its progress and its table."""

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.chaos.faults import extents
from tests.chaos.run import Row, run
from tests.chaos.world import running_world

err = Console(stderr=True)


def main(
    short: Annotated[bool, typer.Option("--short", help="Each fault once and briefly.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Only faults whose name has these words.")] = None,
    per_second: Annotated[float, typer.Option(help="Reports posted each second.", min=1)] = 150.0,
    seed: Annotated[int | None, typer.Option(help="Makes the random moments those of another run.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where to work; kept at the end.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows there too.")] = None,
) -> None:
    """Break an embedded system in every way that is foreseen and count every receipt. Status 1 when a promise broke."""
    seed = random.randrange(10**6) if seed is None else seed
    random.seed(seed)
    err.print(f"seed {seed}")
    chosen = [
        (fault, extent)
        for fault, extent in extents(short=short)
        if not only or any(words.casefold() in fault.name.casefold() for words in only)
    ]
    if not chosen:
        raise typer.BadParameter("no fault has these words in its name")
    began = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="salingjaga-chaos-", ignore_cleanup_errors=True) as temporary:
        where = folder or Path(temporary)
        where.mkdir(parents=True, exist_ok=True)
        with running_world(where) as world:
            for row in run(world, chosen, per_second=per_second, say=_say(began)):
                rows.append(row)
                err.print(f"  {'kept' if row.good else 'BROKEN'}: {row.document()}", highlight=False)
                if json_file:
                    json_file.write_text(json.dumps([one.document() for one in rows], indent=2))
    Console(width=None if sys.stdout.isatty() else 160).print(_table(rows))
    raise typer.Exit(0 if all(row.good for row in rows) else 1)


def _say(began: float) -> Callable[[str], None]:
    def say(words: str) -> None:
        err.print(f"[{time.monotonic() - began:6.0f} s] {words}", highlight=False, markup=False)

    return say


def _table(rows: list[Row]) -> Table:
    columns = (
        "fault",
        "times",
        "seconds",
        "receipts",
        "refused",
        "lost",
        "doubled",
        "excepted",
        "recovered in",
        "memory",
    )
    table = Table(*columns)
    for row in rows:
        figures = (row.times, row.seconds, row.receipts, row.refused, row.lost, row.doubled, row.excepted)
        table.add_row(row.fault, *map(str, figures), f"{row.recovery_seconds} s", f"{row.memory_mb} MB")
        for complaint in row.complaints:
            table.add_row(f"  [red]{complaint}[/red]")
    table.add_section()
    sums = (sum(row.receipts for row in rows), sum(row.refused for row in rows), sum(row.lost for row in rows))
    more = (sum(row.doubled for row in rows), sum(row.excepted for row in rows))
    table.add_row("all", str(sum(row.times for row in rows)), "", *map(str, (*sums, *more)))
    return table


if __name__ == "__main__":
    typer.run(main)
