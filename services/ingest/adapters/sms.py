"""The `sms` format: any SMS gateway that sends parameters, as a query, a form or flat JSON; `fields` names them."""

from collections.abc import Sequence

import msgspec

from services.ingest.adapters.answers import first, flatten, gather
from services.ingest.adapters.base import Answer, Draft, NotUnderstoodError, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import decode, moment, parameters, since_1970

_ID = ("id", "message_id", "messageid", "msgid", "sms_id", "smsid")
_TEXT = ("text", "message", "msg", "content", "body", "sms", "pesan", "isi")
_SENDER = ("from", "from_number", "sender", "msisdn", "phone", "number", "pengirim", "nomor")
_RECEIVER = ("to", "to_number", "receiver", "recipient", "shortcode", "device", "tujuan")
_TIME = ("time_created", "timestamp", "date", "time", "sent_at", "received_at", "waktu")


def _given(body: bytes) -> dict[str, str]:
    if body.lstrip().startswith(b"{"):
        return gather(flatten(decode(body)))
    return {key: value.strip() for key, value in parameters(body).items() if value.strip()}


def _split(body: bytes, fields: Fields) -> list[tuple[str, bytes]]:
    return [(first(_given(body), fields.id or _ID), body)]


def _draft(body: bytes, fields: Fields) -> Draft:
    given = _given(body)
    text = first(given, tuple(fields.text) or _TEXT)
    if not text:
        raise NotUnderstoodError("No parameter holds the text; name it in sources.yaml: `fields: {text: ...}`")
    sent, sender = first(given, fields.time or _TIME), first(given, fields.reporter or _SENDER)
    receiver = first(given, fields.receiver or _RECEIVER)
    return Draft(
        text=text,
        sent_at=since_1970(sent) or moment(sent),
        receivers=(receiver,) if receiver else (),
        reporter=(sender,) if sender else (),
    )


def _answer(_: Sequence[str], reply: str, __: Draft | None) -> Answer:
    return Answer(200, msgspec.json.encode({"messages": [{"content": reply}] if reply else []}))


ADAPTER = lenient(_split, _draft, answer=_answer, takes_query=True, messenger=True)
