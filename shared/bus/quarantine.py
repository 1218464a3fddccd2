"""What an operator does with messages put aside: look, replay after a cure, or drop."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from shared.bus.message import Message
from shared.bus.partitions import Partitions
from shared.bus.receipts import receipt_key, receipt_value
from shared.bus.streams import FLOWING, QUARANTINE, Stream
from shared.contracts import ReceiptStage

_FIELD = b"field:"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One message in quarantine."""

    id: str
    at: datetime
    stream: str
    group: str
    error: str
    attempts: int
    fields: dict[bytes, bytes]

    @property
    def receipt(self) -> str:
        """The receipt it belongs to; empty when the message does not tell."""
        return Message(b"", self.fields).receipt

    def is_of(self, stream: Stream) -> bool:
        """Whether it was read from some partition of `stream`."""
        return self.stream.rpartition(":")[2] == stream.name.rpartition(":")[2]

    @property
    def receipts(self) -> tuple[str, ...]:
        """Every receipt that asks for it; several when submissions were joined."""
        return Message(b"", self.fields).receipts

    @property
    def body(self) -> bytes:
        """The message's bytes. They may hold what a reporter wrote: only for an operator's eyes."""
        return self.fields.get(b"body", b"")


def read_quarantine(redis: Redis, *, group: str = "", containing: str = "") -> Iterator[Quarantined]:
    """Everything in quarantine, oldest first; only of one consumer group or with words in its error, when given."""
    last = "-"
    while True:
        page: Any = redis.xrange(QUARANTINE.name, min=last, count=_PAGE)
        for id_, raw in page:
            one = _read(id_, raw)
            if (not group or one.group == group) and containing.casefold() in one.error.casefold():
                yield one
        if len(page) < _PAGE:
            return
        last = "(" + page[-1][0].decode()


def find_quarantined(redis: Redis, id_: str) -> Quarantined | None:
    """The message with this id, if it is in quarantine."""
    found: Any = redis.xrange(QUARANTINE.name, min=id_, max=id_)
    return _read(*found[0]) if found else None


def replay(redis: Redis, message: Quarantined, partitions: Partitions) -> None:
    """Put a message back on its stream, then out of quarantine; it flows as if nothing had happened.

    Every group of the stream reads it again; those that had it already change nothing by it. Nor does it when this is
    interrupted in between and done again.
    """
    for receipt in message.receipts:
        key = receipt_key(receipt, partitions)
        redis.set(key, receipt_value(ReceiptStage.RECEIVED, ""), xx=True, keepttl=True)
    redis.xadd(_home(message, partitions), dict(message.fields))  # type: ignore[arg-type]
    redis.xdel(QUARANTINE.name, message.id)


def _home(message: Quarantined, partitions: Partitions) -> str:
    # Not the very stream it came from: since then, streams may have been split otherwise.
    for stream in FLOWING:
        if message.is_of(stream):
            return stream.part(partitions.of(message.receipt), partitions).name
    return message.stream


def drop(redis: Redis, message: Quarantined) -> None:
    """Remove a message from quarantine for good."""
    redis.xdel(QUARANTINE.name, message.id)


def _read(id_: bytes, raw: dict[bytes, bytes]) -> Quarantined:
    return Quarantined(
        id=id_.decode(),
        at=datetime.fromisoformat(raw[b"at"].decode()),
        stream=raw[b"stream"].decode(),
        group=raw[b"group"].decode(),
        error=raw[b"error"].decode("utf-8", "replace"),
        attempts=int(raw[b"attempts"]),
        fields={name.removeprefix(_FIELD): value for name, value in raw.items() if name.startswith(_FIELD)},
    )
