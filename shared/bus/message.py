"""One entry of a stream, as it was read."""

from dataclasses import dataclass

import msgspec


class _Receipted(msgspec.Struct, frozen=True):
    receipt: str = ""


class _Nested(msgspec.Struct, frozen=True):
    report: _Receipted = _Receipted()
    receipt: str = ""


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
        if plain := self.fields.get(b"receipt"):
            return plain.decode("utf-8", "replace")
        try:
            found = msgspec.json.decode(self.body, type=_Nested)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        return found.receipt or found.report.receipt
