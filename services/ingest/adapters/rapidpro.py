"""The `rapidpro` format: the webhook of a RapidPro or TextIt flow. One run may call several times."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from services.ingest.adapters.answers import draft_of, first, flatten, gather
from services.ingest.adapters.base import Answer, Draft, NotUnderstoodError, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import at, decode, items, link, moment, words


def _answers(call: dict[str, object]) -> dict[str, str]:
    """What the flow collected, by its names; a call that somebody wrote by hand has its own."""
    if "run" not in call and "input" not in call and "results" not in call:
        return gather(flatten(call))
    results = call.get("results")
    pairs = [(key, words(at(one, "value"))) for key, one in results.items()] if isinstance(results, dict) else []
    return {key: text for key, text in gather(pairs).items() if text}


def _split(body: bytes, fields: Fields) -> list[tuple[str, bytes]]:
    call = decode(body)
    run = words(at(call, "run", "uuid"))
    own = f"{run}/{words(at(items(call.get('path')), -1, 'node_uuid'))}" if run else words(at(call, "input", "uuid"))
    return [(first(_answers(call), fields.id) or own, body)]


def _draft(body: bytes, fields: Fields) -> Draft:
    call = decode(body)
    answers = _answers(call)
    said = words(at(call, "input", "text"))
    # The last answer is what was just said; it would stand there twice.
    lead = "" if said in answers.values() else said
    files = items(at(call, "input", "attachments"))
    attachments = tuple(one for file in files for one in link(at(file, "url"), at(file, "content_type")))
    if not (answers or lead or attachments):
        raise NotUnderstoodError("The flow sent neither a message nor results")
    draft = draft_of(answers, fields, attachments=attachments, lead=lead)
    urn = words(at(call, "contact", "urn")) or words(at(call, "input", "urn", "path"))
    number = urn.partition(":")[2] or urn
    identity = (number, *draft.reporter, words(at(call, "contact", "name")))
    receivers = (at(call, "channel", "address"), at(call, "channel", "name"), at(call, "flow", "uuid"))
    return replace(
        draft,
        sent_at=moment(words(at(call, "input", "created_on"))),
        receivers=(*draft.receivers, *filter(None, map(words, receivers))),
        reporter=tuple(dict.fromkeys(filter(None, identity))),
    )


def _answer(receipts: Sequence[str], reply: str, _: Draft | None) -> Answer:
    answer = {"receipt": receipts[0] if receipts else ""}
    return Answer(200, msgspec.json.encode({**answer, "reply": reply} if reply else answer))


ADAPTER = lenient(_split, _draft, answer=_answer, messenger=True)
