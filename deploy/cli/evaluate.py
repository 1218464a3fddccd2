"""`salingjaga evaluate`: how good the classifier is on labelled texts."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.classify import TextClassifier, document, read_jsonl
from deploy.cli.console import err, out


def evaluate(
    path: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Labelled texts, one JSON object a line.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Precision, recall, F1 per class and code, false alarms and region accuracy against a labelled file."""
    from services.classify.evaluate import evaluate as measure

    items = list(read_jsonl(path))
    classifier = TextClassifier()
    predictions = []
    with err.status(f"Classifying {len(items)} texts ..."):
        for item in items:
            judgement, region, text = classifier.judge(item["text"], source=str(item.get("source") or ""))
            predictions.append(document(judgement, region, text))
    evaluation = measure(items, predictions)
    if as_json:
        sys.stdout.write(evaluation.to_json() + "\n")
    else:
        for table in evaluation.tables():
            out.print(table)
