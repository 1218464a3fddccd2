"""The `twilio` format: SMS and WhatsApp through Twilio, form-encoded."""

from collections.abc import Sequence
from html import escape

from services.ingest.adapters.base import Answer, Draft, NotUnderstoodError, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import MOST_ATTACHMENTS, coordinates, link, parameters, without_caption


def _split(body: bytes, _: Fields) -> list[tuple[str, bytes]]:
    given = parameters(body)
    if "MessageStatus" in given and "Body" not in given:  # how far one of our own messages has come
        return []
    return [(given.get("MessageSid") or given.get("SmsMessageSid", ""), body)]


def _draft(body: bytes, _: Fields) -> Draft:
    given = parameters(body)
    spot = coordinates(given.get("Latitude"), given.get("Longitude"))
    media = [(given.get(f"MediaUrl{n}"), given.get(f"MediaContentType{n}")) for n in range(MOST_ATTACHMENTS)]
    attachments = tuple(one for url, kind in media for one in link(url, kind))
    lines = [given.get("Body", "").strip()]
    if spot:
        named = filter(None, (given.get("Label", "").strip(), given.get("Address", "").strip()))
        lines.append("Lokasi: " + (", ".join(named) or "titik pada peta"))
    text = "\n".join(filter(None, lines)) or without_caption(attachments)
    if not text:
        raise NotUnderstoodError("The message holds no text, place or file")
    sender = given.get("From") or given.get("ExternalUserId", "")
    identity = (sender.removeprefix("whatsapp:"), given.get("ProfileName", ""))
    to = given.get("To", "").removeprefix("whatsapp:")
    return Draft(
        text=text,
        coordinates=spot,
        receivers=(to,) if to else (),
        reporter=tuple(filter(None, identity)),
        attachments=attachments,
    )


def _answer(_: Sequence[str], reply: str, __: Draft | None) -> Answer:
    content = f"<Response><Message>{escape(reply, quote=False)}</Message></Response>" if reply else "<Response/>"
    return Answer(200, content.encode(), b"text/xml; charset=utf-8")


ADAPTER = lenient(_split, _draft, answer=_answer, messenger=True)
