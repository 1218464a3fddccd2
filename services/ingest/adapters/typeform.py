"""The `typeform` format: one response of a Typeform form."""

from dataclasses import replace

from services.ingest.adapters.answers import draft_of, first, gather
from services.ingest.adapters.base import Answer, Draft, NotUnderstoodError, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import at, decode, items, link, moment, words
from shared.contracts import Attachment

_IDENTITY = ("phone_number", "email")


def _response(body: bytes) -> dict[str, object]:
    response = decode(body).get("form_response")
    if not isinstance(response, dict):
        raise NotUnderstoodError("There is no `form_response`")
    return response


def _split(body: bytes, fields: Fields) -> list[tuple[str, bytes]]:
    response = _response(body)
    return [(first(_answers(response)[0], fields.id) or words(response.get("token")), body)]


def _answers(response: dict[str, object]) -> tuple[dict[str, str], list[str], tuple[Attachment, ...]]:
    """Answers by their question, what identifies the reporter, and files."""
    questions = {words(at(one, "id")): words(at(one, "title")) for one in items(at(response, "definition", "fields"))}
    pairs: list[tuple[str, str]] = []
    reporter: list[str] = []
    files: tuple[Attachment, ...] = ()
    for one in items(response.get("answers")):
        kind = words(at(one, "type"))
        value = at(one, kind)
        name = questions.get(words(at(one, "field", "id"))) or words(at(one, "field", "ref"))
        labels = [words(at(value, "label")), *map(words, items(at(value, "labels")))]
        text = words(value) or ", ".join(filter(None, labels))
        if kind == "file_url":
            files += link(value)
        elif text and kind in _IDENTITY:
            reporter.append(text)
        elif text:
            pairs.append((name.replace("/", " "), text))
    return gather(pairs), reporter, files


def _draft(body: bytes, fields: Fields) -> Draft:
    response = _response(body)
    answers, reporter, files = _answers(response)
    draft = draft_of(answers, fields, attachments=files)
    form = words(response.get("form_id"))
    return replace(
        draft,
        sent_at=moment(words(response.get("submitted_at"))),
        receivers=(*draft.receivers, *filter(None, [form])),
        reporter=(*reporter, *draft.reporter),
    )


ADAPTER = lenient(_split, _draft, answer=lambda *_: Answer(200, b"{}"))
