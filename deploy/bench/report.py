"""How a benchmark is shown: a table for a person, a document for a program."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from deploy.bench.result import Figure, Outcome


def figures_table(outcomes: Mapping[str, Outcome]) -> Table:
    """Every figure beside its baseline, the ratio and the aim."""
    table = Table(title="Salingjaga beside what one would write otherwise")
    for name in ("part", "measure", "ours", "baseline", "ratio", "aim", "met", "baseline is"):
        table.add_column(name, justify="right" if name in ("ours", "baseline", "ratio") else "left")
    for outcome in outcomes.values():
        for figure in outcome.figures:
            table.add_row(
                figure.part,
                figure.measure,
                _number(figure.ours),
                _number(figure.baseline),
                f"{figure.ratio:.2f} x",
                figure.aim,
                {True: "yes", False: "no", None: ""}[figure.met],
                figure.against,
            )
        table.add_section()
    return table


def shares_table(outcomes: Mapping[str, Outcome]) -> Table | None:
    """Where the time of the pipeline goes, process by process; `None` when that was not measured."""
    shares = [share for outcome in outcomes.values() for share in outcome.shares]
    if not shares:
        return None
    table = Table(title="Where the pipeline's time goes (last round)")
    table.add_column("process")
    for name in ("processor µs/report", "of one core", "in batches µs/report"):
        table.add_column(name, justify="right")
    for share in shares:
        busy = "" if share.busy is None else f"{share.busy:.0%}"
        table.add_row(share.process, _number(share.cpu_us), busy, _number(share.batch_us))
    return table


def document(outcomes: Mapping[str, Outcome], machine: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Everything, as `--json` prints it."""
    return {
        "machine": dict(machine),
        "command": command,
        "figures": [_figure(figure) for outcome in outcomes.values() for figure in outcome.figures],
        "processes": [asdict(share) for outcome in outcomes.values() for share in outcome.shares],
        "notes": [note for outcome in outcomes.values() for note in outcome.notes],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "part": figure.part,
        "measure": figure.measure,
        "ours": figure.ours,
        "baseline": figure.baseline,
        "baseline_is": figure.against,
        "ratio": figure.ratio,
        "aim": figure.aim,
        "met": figure.met,
    }


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
