"""`salingjaga classify`: a text through normaliser and classifier, without any server."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from pydantic_core import PydanticSerializationError, to_json
from rich.table import Table
from rich.text import Text

from deploy.cli.console import fail, out, printable
from services.classify.engine import Classifier, Told
from services.ingest.adapters.values import WIB
from services.ingest.normaliser import Sent, place_texts
from shared.calendar import Calendar
from shared.contracts import Judgement, Region
from shared.memory import settle_memory
from shared.regions import RegionResolver
from shared.settings import get_settings


class Asked(NamedTuple):
    """A text to classify, and what is known besides."""

    text: str
    title: str = ""
    region: str = ""
    occurred_at: datetime | None = None


class Answer(NamedTuple):
    """What normaliser and classifier make of a text: the judgement, the region and the masked text."""

    judgement: Judgement
    region: Region | None
    text: str

    def document(self) -> dict[str, Any]:
        """The answer as `--json` prints it; its values are still records."""
        return {**dict(self.judgement), "region": self.region, "text": self.text}


class TextClassifier:
    """What the normaliser and the classifier make of texts, one after the other."""

    def __init__(self) -> None:
        self._resolver = RegionResolver.load()
        self._classifier = Classifier.load()
        self._calendar = Calendar.load(get_settings().config_file("calendar.yaml"))

    def answer(self, asked: Iterable[Asked]) -> Iterator[Answer]:
        """The answers to texts, in their order; as many are read ahead as the service reads at once."""
        now = datetime.now(UTC)
        remaining = iter(asked)
        while batch := list(islice(remaining, get_settings().classify_batch)):
            placed = place_texts([Sent(one.title, one.text, one.region) for one in batch], self._resolver)
            told = []
            for one, (title, text, region) in zip(batch, placed, strict=True):
                regime, stage = self._calendar.place(one.occurred_at or now, region.code if region else "")
                told.append(Told(text, title, stage, regime))
            for judgement, (_, text, region) in zip(self._classifier.judge_all(told), placed, strict=True):
                yield Answer(judgement, region, text)


def json_line(document: Mapping[str, Any]) -> str:
    """A document on one line, characters as they are."""
    return to_json(document, by_alias=True).decode()


def classify(
    text: Annotated[str | None, typer.Argument(help="The text, or - to read it from standard input.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    jsonl: Annotated[
        Path | None, typer.Option(help="A file of JSON lines with `text` (or -); prints JSON lines.")
    ] = None,
) -> None:
    """Classify a text and say why."""
    if (text is None) == (jsonl is None):
        raise typer.BadParameter("give a text (or -), or --jsonl FILE")
    classifier = TextClassifier()
    if jsonl is not None:
        settle_memory()
        items = list(read_jsonl(jsonl))
        asked = (_asked(item, f"{jsonl}, line {number}") for number, item in items)
        for (number, item), answer in zip(items, classifier.answer(asked), strict=True):
            try:
                sys.stdout.write(json_line({"id": item.get("id"), **answer.document()}) + "\n")
            except PydanticSerializationError as error:
                fail(f"{jsonl}, line {number}: its `id` cannot be written as JSON: {error}")
        return
    content = sys.stdin.buffer.read().decode("utf-8", "replace") if text == "-" else text or ""
    [answer] = classifier.answer([Asked(content)])
    if as_json:
        sys.stdout.write(json_line(answer.document()) + "\n")
    else:
        _explain(answer)


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines (- is standard input), each with a `text`, after the number of their line.

    Leaves the program with one sentence when a line is something else.
    """
    try:
        lines = sys.stdin.buffer.read().splitlines() if str(path) == "-" else path.read_bytes().split(b"\n")
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            fail(f"{path}, line {number}: not JSON: {error}")
        if not isinstance(item, dict) or not isinstance(item.get("text"), str):
            fail(f"{path}, line {number}: an object with a `text` is expected")
        yield number, item


def _asked(item: Mapping[str, Any], where: str) -> Asked:
    title, region = str(item.get("title") or ""), str(item.get("region") or "")
    return Asked(item["text"], title, region, _moment(item.get("occurred_at"), where))


def _moment(value: object, where: str) -> datetime | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        fail(f"{where}: occurred_at is not an ISO 8601 time")
    return moment if moment.tzinfo else moment.replace(tzinfo=WIB)


def _explain(answer: Answer) -> None:
    judgement, region, text = answer
    head = Table(show_header=False, box=None, pad_edge=False)
    place = f"{region.name} ({region.code})" if region else "not determined"
    if region and region.district:
        place += f", {region.district.name}"
    rows = {
        "kind": judgement.kind,
        "status": judgement.status,
        "primary": judgement.primary,
        "severity": judgement.severity,
        "region": place,
        "why": judgement.reason,
        "text": text,
    }
    for name, value in rows.items():
        head.add_row(f"[bold]{name}", Text(printable(str(value))))
    out.print(head)
    for finding in judgement.findings:
        out.print(f"\n[bold]{finding.code}[/bold]  {finding.name}  risk {finding.risk:.2f}  {finding.severity}")
        evidence = ", ".join(f"“{span.text}” ({span.start}-{span.end})" for span in finding.evidence)
        out.print(f"  evidence: {evidence}", markup=False, highlight=False)
        out.print(f"  seen: {', '.join(finding.elements.seen) or '-'}", highlight=False)
        out.print(f"  to establish: {', '.join(finding.elements.missing) or '-'}", highlight=False)
        for norm in finding.norms:
            mark = "" if norm.verified else " (unverified)"
            out.print(f"  norm: {norm.citation}{mark}: {norm.sanction}; {norm.channel}", markup=False, highlight=False)
