"""Exports of the places where people fill in forms, each submission as the body that its webhook would have posted."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from services.ingest.adapters.values import at, moment, words


class UnreadableExportError(Exception):
    """A file that is no export of that kind; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One submission of an export.

    Attributes:
        origin: file and place in it, for messages.
        submitted_at: when the sender took it in; `None` when it does not say.
        body: what is posted to the webhook.
    """

    origin: str
    submitted_at: datetime | None
    body: bytes


def read_export(path: Path, adapter: str) -> list[Exported]:
    """The submissions of an export, in its order.

    Args:
        path: KoboToolbox's JSON (`/api/v2/assets/UID/data.json`) or ODK Central's OData (`.../FORM.svc/Submissions`).
        adapter: `kobo` or `odk`.

    Raises:
        UnreadableExportError: it is neither, or another adapter is named.
    """
    if adapter not in _KINDS:
        raise UnreadableExportError(f"exports are read of {' and '.join(_KINDS)} sources, not of {adapter}")
    key, read = _KINDS[adapter]
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UnreadableExportError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UnreadableExportError(f"{path}: not JSON; choose the JSON export") from None
    submissions = document.get(key) if isinstance(document, dict) else document
    if not isinstance(submissions, list) or not all(isinstance(one, dict) for one in submissions):
        raise UnreadableExportError(f"{path}: a list of submissions is expected, or an object with it under `{key}`")
    return list(_numbered(path, submissions, read))


def _numbered(
    path: Path, submissions: list[dict[str, Any]], read: Callable[[dict[str, Any]], tuple[str, bytes]]
) -> Iterator[Exported]:
    for number, submission in enumerate(submissions, 1):
        try:
            submitted, body = read(submission)
        except (ValueError, RecursionError) as error:
            raise UnreadableExportError(f"{path}, submission {number}: {error}") from None
        yield Exported(f"{path}, submission {number}", moment(submitted, UTC), body)


def _kobo(submission: dict[str, Any]) -> tuple[str, bytes]:
    return words(submission.get("_submission_time")), json.dumps(submission, ensure_ascii=False).encode()


def _odk(submission: dict[str, Any]) -> tuple[str, bytes]:
    id_, system = words(submission.get("__id")), submission.get("__system")
    if not id_:
        raise ValueError("it has no `__id`; export the table `Submissions` of the OData service")
    form = Element("data")
    _fill(form, submission)
    event = {"type": "submission.create", "id": id_, "data": {"xml": tostring(form, encoding="unicode")}}
    submitted = words(system.get("submissionDate")) if isinstance(system, dict) else ""
    return submitted, json.dumps(event, ensure_ascii=False).encode()


def _fill(parent: Element, answers: dict[str, Any]) -> None:
    for name, answer in answers.items():
        if name.startswith("__") or "@" in name or answer is None:
            continue
        for one in answer if isinstance(answer, list) else [answer]:
            child = SubElement(parent, name)
            if isinstance(one, dict) and one.get("type") == "Point":
                child.text = f"{words(at(one, 'coordinates', 1))} {words(at(one, 'coordinates', 0))} 0 0"
            elif isinstance(one, dict):
                _fill(child, one)
            else:
                child.text = words(one)


_KINDS: dict[str, tuple[str, Callable[[dict[str, Any]], tuple[str, bytes]]]] = {
    "kobo": ("results", _kobo),
    "odk": ("value", _odk),
}
