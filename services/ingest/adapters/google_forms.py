"""The `google-forms` format: what `deploy/google-forms/salingjaga.gs` sends for each response."""

from dataclasses import replace

from services.ingest.adapters.answers import draft_of, first, flatten, gather
from services.ingest.adapters.base import Draft, NotUnderstoodError, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import decode, moment, words

_STAMPS = frozenset({"timestamp", "stempel waktu", "cap waktu"})


def _answers(response: dict[str, object]) -> dict[str, str]:
    given = response.get("named_values")
    if not isinstance(given, dict):
        raise NotUnderstoodError("There is no `named_values`")
    # A question may hold a slash, which is no path here.
    return gather(
        (question.replace("/", " ").strip(), text)
        for question, answers in given.items()
        if question.strip().lower() not in _STAMPS
        for _, text in flatten(answers)
    )


def _split(body: bytes, fields: Fields) -> list[tuple[str, bytes]]:
    response = decode(body)
    return [(first(_answers(response), fields.id) or words(response.get("response_id")), body)]


def _draft(body: bytes, fields: Fields) -> Draft:
    response = decode(body)
    draft = draft_of(_answers(response), fields)
    form = words(response.get("form_id"))
    return replace(
        draft,
        sent_at=moment(words(response.get("submitted_at"))),
        receivers=(*draft.receivers, *filter(None, [form])),
    )


ADAPTER = lenient(_split, _draft)
