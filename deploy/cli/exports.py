"""Exports of the places where people fill in forms, each submission as the body that its webhook would have posted."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

import httpx

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
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableExportError(f"{path}: {error.strerror}") from None
    document = _decoded(str(path), content)
    return list(_numbered(str(path), _submissions(str(path), document, adapter), _KINDS[adapter].read))


def fetch_export(client: httpx.Client, url: str, adapter: str, token: str) -> Iterator[list[Exported]]:
    """The same from the sender's API, page by page.

    Args:
        client: what fetches.
        url: KoboToolbox's `.../data.json` or ODK Central's `.../Submissions`.
        adapter: `kobo` or `odk`.
        token: KoboToolbox's API token, or a session token of ODK Central. It is sent to the host of `url` only.

    Raises:
        UnreadableExportError: a page cannot be had, is no export, or the next one lies on another host.
    """
    if adapter not in _KINDS:
        raise UnreadableExportError(f"exports are read of {' and '.join(_KINDS)} sources, not of {adapter}")
    kind, page, seen = _KINDS[adapter], url, set[str]()
    while page and page not in seen:
        seen.add(page)
        try:
            answer = client.get(page, headers={"authorization": f"{kind.token} {token}"})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreadableExportError(f"{page}: {type(error).__name__}: {error}") from None
        if answer.status_code != 200:
            raise UnreadableExportError(f"{page}: HTTP {answer.status_code}; check the address and the token")
        document = _decoded(page, answer.content)
        yield list(_numbered(page, _submissions(page, document, adapter), kind.read))
        following = words(document.get(kind.following)) if isinstance(document, dict) else ""
        page = urljoin(page, following) if following else ""
        if page and urlsplit(page)[:2] != urlsplit(url)[:2]:
            raise UnreadableExportError(f"the next page lies elsewhere ({page}); the token is not sent there")


def _decoded(origin: str, content: bytes) -> object:
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableExportError(f"{origin}: not JSON; choose the JSON export") from None
    return document


def _submissions(origin: str, document: object, adapter: str) -> list[dict[str, Any]]:
    key = _KINDS[adapter].key
    submissions = document.get(key) if isinstance(document, dict) else document
    if not isinstance(submissions, list) or not all(isinstance(one, dict) for one in submissions):
        raise UnreadableExportError(f"{origin}: a list of submissions is expected, or an object with it under `{key}`")
    return submissions


def _numbered(
    origin: str, submissions: list[dict[str, Any]], read: Callable[[dict[str, Any]], tuple[str, bytes]]
) -> Iterator[Exported]:
    for number, submission in enumerate(submissions, 1):
        try:
            submitted, body = read(submission)
        except (ValueError, RecursionError) as error:
            raise UnreadableExportError(f"{origin}, submission {number}: {error}") from None
        yield Exported(f"{origin}, submission {number}", moment(submitted, UTC), body)


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


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a sender's list is read: where the submissions stand, where the next page, and which word a token follows."""

    key: str
    following: str
    token: str
    read: Callable[[dict[str, Any]], tuple[str, bytes]]


_KINDS = {
    "kobo": _Kind("results", "next", "Token", _kobo),
    "odk": _Kind("value", "@odata.nextLink", "Bearer", _odk),
}
