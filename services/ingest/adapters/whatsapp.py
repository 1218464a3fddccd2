"""The `whatsapp` format: Meta's WhatsApp Cloud API.

One call may carry several messages, the same one twice, or only states of delivery. Since 2026 a sender may have a user
name and no phone number.
"""

from collections.abc import Sequence

import msgspec

from services.ingest.adapters.base import Answer, Draft, NotUnderstoodError, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import at, coordinates, decode, items, since_1970, stored, without_caption, words
from shared.contracts import Attachment

_MEDIA = ("image", "audio", "voice", "video", "document", "sticker")
_NO_REPORTS = ("reaction", "system", "ephemeral", "request_welcome")


def _split(body: bytes, _: Fields) -> list[tuple[str, bytes]]:
    call = decode(body)
    if not isinstance(call.get("entry"), list):
        raise NotUnderstoodError("There is no `entry`")
    parts = []
    for change in (change for entry in items(call["entry"]) for change in items(at(entry, "changes"))):
        value = at(change, "value")
        for message in items(at(value, "messages")):
            if words(at(message, "type")) in _NO_REPORTS:
                continue
            part = {"message": message, "contact": _contact(value, message), "metadata": at(value, "metadata")}
            parts.append((words(at(message, "id")), msgspec.json.encode(part)))
    return parts


def _contact(value: object, message: object) -> object:
    ids = {words(at(message, key)) for key in ("from", "from_user_id")} - {""}
    for contact in items(at(value, "contacts")):
        if ids & {words(at(contact, "wa_id")), words(at(contact, "user_id"))}:
            return contact
    return None


def _draft(body: bytes, _: Fields) -> Draft:
    part = decode(body)
    message = part.get("message")
    if not isinstance(message, dict):
        raise NotUnderstoodError("There is no message")
    kind = words(message.get("type"))
    content = message.get(kind)
    text, spot = "", None
    attachments: tuple[Attachment, ...] = ()
    if kind == "text":
        text = words(at(content, "body"))
    elif kind == "button":
        text = words(at(content, "text"))
    elif kind == "interactive":
        text = words(at(content, "button_reply", "title")) or words(at(content, "list_reply", "title"))
    elif kind == "location":
        spot = coordinates(at(content, "latitude"), at(content, "longitude"))
        named = filter(None, (words(at(content, "name")), words(at(content, "address"))))
        text = "Lokasi: " + (", ".join(named) or "titik pada peta")
    elif kind in _MEDIA:
        attachments = stored("whatsapp-media", at(content, "id"), at(content, "mime_type"), at(content, "sha256"))
        text = words(at(content, "caption")) or without_caption(attachments)
    if not text:
        raise NotUnderstoodError(f"A message of the kind {kind[:40] if kind.isidentifier() else 'unknown'} is not read")
    contact = part.get("contact")
    reporter = (message.get("from"), message.get("from_user_id"), at(contact, "wa_id"), at(contact, "user_id"))
    names = (at(contact, "profile", "username"), at(contact, "profile", "name"))
    numbers = (at(part, "metadata", "display_phone_number"), at(part, "metadata", "phone_number_id"))
    return Draft(
        text=text,
        sent_at=since_1970(message.get("timestamp")),
        coordinates=spot,
        receivers=tuple(filter(None, map(words, numbers))),
        reporter=tuple(dict.fromkeys(filter(None, map(words, (*reporter, *names))))),
        attachments=attachments,
    )


def _answer(receipts: Sequence[str], _: str, __: Draft | None) -> Answer:
    return Answer(200, msgspec.json.encode({"receipts": receipts}))


ADAPTER = lenient(_split, _draft, answer=_answer, messenger=True)
