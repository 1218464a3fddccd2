"""One entry of a stream, as it was read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

JOINED = b"joined"


class _Part(msgspec.Struct, frozen=True):
    receipt: str = ""


class _Report(msgspec.Struct, frozen=True):
    receipt: str = ""
    parts: tuple[_Part, ...] = ()


class _Nested(msgspec.Struct, frozen=True):
    report: _Report = _Report()
    receipt: str = ""
    parts: tuple[_Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A stream entry: its id and its fields; what the services send stands in the field `body`."""

    id: bytes
    fields: dict[bytes, bytes]

    @property
    def body(self) -> bytes:
        """The message itself (JSON, or a submission's own bytes); empty when the entry is foreign."""
        return self.fields.get(b"body", b"")

    @property
    def receipt(self) -> str:
        """The receipt this message belongs to, as far as that can be read from it; else empty."""
        return next(iter(self.receipts), "")

    @property
    def receipts(self) -> tuple[str, ...]:
        """Every receipt that asks for this message, that of the report first; several when submissions were joined."""
        if plain := self.fields.get(b"receipt"):
            others = [one.fields[b"receipt"] for one in self.joined]
            return tuple(dict.fromkeys(one.decode("utf-8", "replace") for one in (plain, *others)))
        try:
            found = msgspec.json.decode(self.body, type=_Nested)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ()
        report = found.report if found.report.receipt else found
        own = (report.receipt, *(part.receipt for part in report.parts))
        return tuple(dict.fromkeys(filter(None, own)))

    @property
    def joined(self) -> tuple["Message", ...]:
        """The submissions that a replayed submission was joined from, itself among them; empty: it stands alone."""
        if not (packed := self.fields.get(JOINED)):
            return ()
        try:
            return tuple(Message(b"", fields) for fields in _unpack(packed))
        except msgspec.DecodeError:
            return ()


def pack_joined(entries: Iterable[Mapping[bytes, bytes]]) -> bytes:
    """The field `JOINED` of a submission that is replayed with those it is joined with, each as its stream entry."""
    return msgspec.msgpack.encode([dict(entry) for entry in entries])


_unpack = msgspec.msgpack.Decoder(list[dict[bytes, bytes]]).decode
