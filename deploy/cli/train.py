"""`salingjaga train`: fit the text model to the labelled corpus again."""

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.console import err, fail, out
from services.classify.model import DEFAULT_MODEL
from services.classify.pack import RulePack
from services.classify.train import certainty_of, judged_unseen, read_corpus, training_files, version_of
from services.classify.train import train as fit


def train(
    to: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the model goes.")] = DEFAULT_MODEL,
) -> None:
    """Fit the text model to the shipped corpus and rule pack; the same input gives the same file.

    (On one kind of processor: others may add up in another order.)
    """
    started = time.monotonic()
    if not to.parent.is_dir():
        fail(f"{to}: there is no folder {to.parent}")
    try:
        items = read_corpus(training_files())
    except (OSError, ValueError) as error:
        fail(str(error))
    pack = RulePack.load()
    with err.status(f"Training on {len(items)} texts, some twenty minutes ..."):
        judged = judged_unseen(training_files(), pack)
        certainty = certainty_of(pair for pairs in judged.values() for pair in pairs)
        _, arrays = fit(items, pack, version_of(items, pack), certainty)
    unfinished = to.with_name(to.name + ".part")
    try:
        with unfinished.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        unfinished.replace(to)  # whoever loads meanwhile sees the old model or the new one, never half of one
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        fail(f"{to}: {error.strerror}")
    summary = Table(show_header=False, box=None, pad_edge=False)
    classes = Counter(str(item["primary"]) for item in items)
    for name, value in {
        "model": str(to),
        "version": str(arrays["version"]),
        "texts": str(len(items)),
        "classes": ", ".join(f"{name} {count}" for name, count in sorted(classes.items())),
        "codes": str(len(arrays["codes"])),
        "features": str(len(arrays["rows"])),
        "seconds": f"{time.monotonic() - started:.1f}",
    }.items():
        summary.add_row(f"[bold]{name}", Text(value))
    out.print(summary)
