"""`salingjaga classify`: a text through normaliser and classifier, without any server."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.console import fail, out, printable
from services.classify.engine import Classifier
from services.ingest.adapters.values import WIB
from services.ingest.normaliser import place_text
from shared.calendar import Calendar
from shared.contracts import Judgement, Region
from shared.regions import RegionResolver
from shared.settings import get_settings


class TextClassifier:
    """What the normaliser and the classifier make of a text, one after the other."""

    def __init__(self) -> None:
        self._resolver = RegionResolver.load()
        self._classifier = Classifier.load()
        self._calendar = Calendar.load(get_settings().config_file("calendar.yaml"))

    def judge(
        self, text: str, *, title: str = "", source: str = "", region: str = "", occurred_at: datetime | None = None
    ) -> tuple[Judgement, Region | None, str]:
        """The judgement, the region and the masked text."""
        title, text, place = place_text(title, text, self._resolver, hint=region)
        regime, stage = self._calendar.place(occurred_at or datetime.now(UTC), place.code if place else "")
        return self._classifier.judge(text, title=title, source=source, stage=stage, regime=regime), place, text


def document(judgement: Judgement, region: Region | None, text: str) -> dict[str, Any]:
    """The judgement as `--json` prints it."""
    content = judgement.model_dump(mode="json", by_alias=True)
    content["region"] = region.model_dump(mode="json") if region else None
    content["text"] = text
    return content


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
        for line in _classified_lines(classifier, jsonl):
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        return
    content = sys.stdin.buffer.read().decode("utf-8", "replace") if text == "-" else text or ""
    judgement, region, masked = classifier.judge(content)
    if as_json:
        sys.stdout.write(json.dumps(document(judgement, region, masked), ensure_ascii=False) + "\n")
    else:
        _explain(judgement, region, masked)


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


def _classified_lines(classifier: TextClassifier, path: Path) -> Iterator[dict[str, Any]]:
    for number, item in read_jsonl(path):
        judgement, region, masked = classifier.judge(
            item["text"],
            title=str(item.get("title") or ""),
            source=str(item.get("source") or ""),
            region=str(item.get("region") or ""),
            occurred_at=_moment(item.get("occurred_at"), f"{path}, line {number}"),
        )
        yield {"id": item.get("id"), **document(judgement, region, masked)}


def _moment(value: object, where: str) -> datetime | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        fail(f"{where}: occurred_at is not an ISO 8601 time")
    return moment if moment.tzinfo else moment.replace(tzinfo=WIB)


def _explain(judgement: Judgement, region: Region | None, text: str) -> None:
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
