"""Reports out of files: JSON, JSON lines, CSV, and texts of news articles."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARTICLE_ENDINGS = (".txt", ".html", ".htm")
ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", *ARTICLE_ENDINGS)
_REPORTER = "reporter_"


class UnreadableError(Exception):
    """A file that holds no reports; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One report on its way: where it stands, and its bytes."""

    origin: str
    body: bytes
    media_type: str = ""
    """Of an article, which is posted alone; empty: a line of JSON."""

    @property
    def is_article(self) -> bool:
        """Whether it is an article."""
        return bool(self.media_type)


def expand(paths: list[Path]) -> list[Path]:
    """The files to send: those named, and all readable ones in the folders named. Raises `UnreadableError`."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(entry for entry in path.rglob("*") if entry.suffix.lower() in ENDINGS)
            if not found:
                raise UnreadableError(f"{path}: the folder holds no {', '.join(ENDINGS)} file")
            files += found
        elif not path.exists():
            raise UnreadableError(f"{path}: there is no such file")
        elif path.suffix.lower() not in ENDINGS:
            raise UnreadableError(f"{path}: cannot tell the format; endings that are read: {', '.join(ENDINGS)}")
        else:
            files.append(path)
    return files


def read_reports(path: Path) -> Iterator[Outgoing]:
    """The reports of a file, one by one. Raises `UnreadableError` when the file as a whole cannot be read."""
    ending = path.suffix.lower()
    try:
        if ending in ARTICLE_ENDINGS:
            kind = "text/plain" if ending == ".txt" else "text/html"
            yield Outgoing(str(path), path.read_bytes(), f"{kind}; charset=utf-8")
        elif ending == ".csv":
            yield from _read_csv(path)
        elif ending == ".json":
            yield from _read_json(path)
        else:
            yield from _read_lines(path)
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from None


def _read_lines(path: Path) -> Iterator[Outgoing]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield Outgoing(f"{path}:{number}", line.rstrip(b"\r\n"))


def _read_json(path: Path) -> Iterator[Outgoing]:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{path}: not JSON: {error}") from None
    reports = content if isinstance(content, list) else [content]
    for number, report in enumerate(reports, 1):
        yield Outgoing(f"{path}: report {number}", json.dumps(report, ensure_ascii=False).encode())


def _read_csv(path: Path) -> Iterator[Outgoing]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_text(encoding="cp1252", errors="replace")
    head = text.split("\n", 1)[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    if "text" not in (rows.fieldnames or ()):
        raise UnreadableError(f"{path}: the first line must name the columns, and one must be `text`")
    try:
        for row in rows:
            yield Outgoing(f"{path}:{rows.line_num}", json.dumps(_report_of(row), ensure_ascii=False).encode())
    except csv.Error as error:
        raise UnreadableError(f"{path}:{rows.line_num}: {error}") from None


def _report_of(row: dict[str, str]) -> dict[str, Any]:
    """Columns become fields; `reporter_name`, `reporter_phone`, `reporter_email` become the reporter."""
    report: dict[str, Any] = {}
    reporter: dict[str, str] = {}
    for column, value in row.items():
        if not column or not isinstance(value, str) or (not value and column != "text"):
            continue
        if column.startswith(_REPORTER):
            reporter[column.removeprefix(_REPORTER)] = value
        else:
            report[column] = value
    if reporter:
        report["reporter"] = reporter
    return report
