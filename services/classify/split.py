"""What the labelled texts are: how many of each register, language and class are trained on and held out.

python -m services.classify.split
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from services.classify.train import held_out_files, read_corpus, training_files


def traits(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The register, language and class of a text, as `notes` and labels give them."""
    notes = dict(part.strip().split("=", 1) for part in item["notes"].split(";") if "=" in part)
    return [
        ("register", notes["register"]), ("language", notes["language"]), ("class", str(item["primary"])), ("all", "")
    ]  # fmt: skip


def split_table(trained: Iterable[Mapping[str, Any]], held_out: Iterable[Mapping[str, Any]]) -> str:
    """A Markdown table: trait, value, texts trained on, texts held out; the commonest first."""
    left, right = (Counter(trait for item in items for trait in traits(item)) for items in (trained, held_out))
    order = ["all", "class", "register", "language"]
    rows = sorted(left | right, key=lambda trait: (order.index(trait[0]), -left[trait] - right[trait], trait))
    lines = ["| | | trained on | held out |", "|---|---|---|---|"]
    lines += [f"| {kind} | {value} | {left[kind, value]} | {right[kind, value]} |" for kind, value in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(split_table(read_corpus(training_files()), read_corpus(held_out_files())) + "\n")
