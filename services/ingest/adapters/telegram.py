"""The `telegram` format: an update of a Telegram bot; an edited message replaces the one it edits."""

from collections.abc import Sequence

import msgspec

from services.ingest.adapters.base import Answer, Draft, NotUnderstoodError, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import at, coordinates, decode, items, since_1970, stored, without_caption, words
from shared.contracts import Attachment

_MESSAGES = ("message", "edited_message", "channel_post", "edited_channel_post", "business_message")
_FILES = {
    "audio": "audio",
    "voice": "audio",
    "video": "video",
    "video_note": "video",
    "document": "",
    "animation": "video",
}
_SAYS_SOMETHING = frozenset({"text", "caption", "location", "venue", "photo", *_FILES})
_COMMANDS = ("/start", "/help", "/stop")


def _message(body: bytes) -> dict[str, object] | None:
    update = decode(body)
    if "update_id" not in update:
        raise NotUnderstoodError("There is no `update_id`")
    message = next((update[key] for key in _MESSAGES if key in update), None)
    if message is not None and not isinstance(message, dict):
        raise NotUnderstoodError("The message is not an object")
    return message


def _split(body: bytes, _: Fields) -> list[tuple[str, bytes]]:
    message = _message(body)
    if message is None or not _SAYS_SOMETHING & message.keys() or words(message.get("text")).startswith(_COMMANDS):
        return []
    chat, number = words(at(message, "chat", "id")), words(message.get("message_id"))
    return [(f"{chat}/{number}" if chat and number else "", body)]


def _draft(body: bytes, _: Fields) -> Draft:
    message = _message(body)
    place = at(message, "venue", "location") or at(message, "location")
    spot = coordinates(at(place, "latitude"), at(place, "longitude"))
    attachments = _attachments(message)
    text = words(at(message, "text")) or words(at(message, "caption"))
    if place and not text:
        named = filter(None, (words(at(message, "venue", "title")), words(at(message, "venue", "address"))))
        text = "Lokasi: " + (", ".join(named) or "titik pada peta")
    text = text or without_caption(attachments)
    if not text:
        raise NotUnderstoodError("The message holds no text, place or file")
    sender, chat = at(message, "from") or at(message, "sender_chat"), words(at(message, "chat", "id"))
    name = " ".join(filter(None, (words(at(sender, "first_name")), words(at(sender, "last_name")))))
    identity = (words(at(sender, "id")) or chat, words(at(sender, "username")), name)
    return Draft(
        text=text,
        sent_at=since_1970(at(message, "date")),
        coordinates=spot,
        receivers=(chat,) if chat else (),
        reporter=tuple(filter(None, identity)),
        # In a group everybody would read who reported what.
        conversation=chat if at(message, "chat", "type") == "private" else "",
        attachments=attachments,
    )


def _attachments(message: object) -> tuple[Attachment, ...]:
    files = [(at(items(at(message, "photo")), -1), "image")]  # the last size is the largest
    files += [(at(message, key), kind) for key, kind in _FILES.items()]
    return tuple(
        one
        for file, kind in files
        for one in stored("telegram-file", at(file, "file_id"), words(at(file, "mime_type")) or kind)
    )


def _answer(_: Sequence[str], reply: str, draft: Draft | None) -> Answer:
    if reply and draft and draft.conversation:
        return Answer(200, msgspec.json.encode({"method": "sendMessage", "chat_id": draft.conversation, "text": reply}))
    return Answer(200, b"{}")


ADAPTER = lenient(_split, _draft, answer=_answer, messenger=True)
