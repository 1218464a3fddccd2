"""`salingjaga evaluate`: how good the classifier is on labelled texts."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic_core import to_jsonable_python
from rich.table import Table
from rich.text import Text

from deploy.cli.classify import Asked, TextClassifier, read_jsonl
from deploy.cli.console import err, fail, out, printable
from services.classify.evaluate import Evaluation, Mistake, Sheet
from services.classify.evaluate import evaluate as measure
from services.classify.pack import RulePack
from shared.contracts import RiskClass

_MISTAKE_COLUMNS = ("id", "labelled", "said", "risk", "text", "rule and reason")


def evaluate(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE.jsonl...", help="Labelled texts, one JSON a line.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="OUT.html", help="Write the same as one page.")] = None,
) -> None:
    """Precision, recall, F1 per class and code, false alarms and misses with their evidence, against labelled files."""
    items = [item for path in paths for item in _labelled(path, len(paths) > 1)]
    if not items:
        fail(f"{', '.join(map(str, paths))}: no labelled text in it")
    evaluation = _measured(items)
    if html is not None:
        try:
            html.write_text(page(evaluation), encoding="utf-8")
        except OSError as error:
            fail(f"{html}: {error.strerror}")
        err.print(Text(f"Written: {html}"), soft_wrap=True)
    if as_json:
        sys.stdout.write(evaluation.to_json() + "\n")
        return
    for sheet in evaluation.sheets():
        out.print(_table(sheet))
    for title, mistakes in _mistakes(evaluation):
        out.print(_mistake_table(title, mistakes))


def page(evaluation: Evaluation) -> str:
    """The evaluation as one self-contained page: no script, nothing loaded, every text escaped."""
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["printable"] = printable
    template = environment.get_template("evaluation.html.j2")
    return template.render(
        evaluation=evaluation, columns=_MISTAKE_COLUMNS, mistakes=[*_mistakes(evaluation)], said=_said, why=_why
    )


def _measured(items: Sequence[dict[str, Any]]) -> Evaluation:
    with err.status(f"Classifying {len(items)} texts ..."):
        answers = TextClassifier().answer(Asked(item["text"]) for item in items)
        return measure(items, [to_jsonable_python(answer.document(), by_alias=True) for answer in answers])


def _labelled(path: Path, name_file: bool) -> Iterator[dict[str, Any]]:
    """The labelled texts of a file; leaves with the file and line of the first that cannot be measured against."""
    codes = {rule.code for rule in RulePack.load().codes.codes}
    classes = [c.value for c in RiskClass]
    for number, item in read_jsonl(path):
        where = f"{path}, line {number}"
        labels = item.get("labels")
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            fail(f"{where}: `labels` must be a list of codes")
        if unknown := [label for label in labels if label not in codes]:
            fail(f"{where}: unknown code {unknown[0]!r}; the rule pack has {', '.join(sorted(codes))}")
        if item.get("primary") not in classes:
            fail(f"{where}: `primary` must be one of {', '.join(classes)}, not {item.get('primary')!r}")
        if not isinstance(item.get("is_violation_report"), bool):
            fail(f"{where}: `is_violation_report` must be true or false")
        yield {**item, "file": str(path)} if name_file else item


def _mistakes(evaluation: Evaluation) -> Iterator[tuple[str, Sequence[Mistake]]]:
    for title, mistakes in (
        ("false alarms", evaluation.false_alarms),
        ("misses and wrong classes", evaluation.misses),
    ):
        if mistakes:
            yield title, mistakes


def _table(sheet: Sheet) -> Table:
    table = Table(*sheet.columns, title=sheet.title)
    for row in sheet.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _mistake_table(title: str, mistakes: Sequence[Mistake]) -> Table:
    table = Table(*_MISTAKE_COLUMNS, title=f"{title}, the highest risk first", show_lines=True)
    for mistake in mistakes:
        text = Text.assemble(
            *((printable(piece), "bold reverse" if evidence else "") for piece, evidence in mistake.pieces)
        )
        cells = (mistake.id, mistake.expected, _said(mistake), f"{mistake.risk:.2f}")
        table.add_row(*(Text(printable(cell)) for cell in cells), text, Text(printable(_why(mistake))))
    return table


def _said(mistake: Mistake) -> str:
    return f"{mistake.predicted}: {', '.join(mistake.labels)}" if mistake.labels else mistake.predicted


def _why(mistake: Mistake) -> str:
    return f"{', '.join(mistake.rules)}: {mistake.reason}" if mistake.rules else mistake.reason
