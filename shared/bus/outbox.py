"""What a batch leads to: messages on other streams, receipts that move on, messages put aside.

It is collected while the batch is handled and written in one Redis transaction together with the acknowledgement, so
between two streams a message counts once even when the process dies at any point.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from redis.asyncio.client import Pipeline

from shared.bus.message import Message
from shared.bus.receipts import receipt_key, receipt_value
from shared.bus.streams import QUARANTINE, Stream
from shared.contracts import ReceiptStage, Report


@dataclass(slots=True)
class Outbox:
    """Collects the effects of one batch; nothing leaves before `write`."""

    _entries: list[tuple[str, Mapping[bytes | str, bytes | str]]] = field(default_factory=list)
    _receipts: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, stream: Stream, body: bytes) -> None:
        """Hand a message on to `stream`."""
        self._entries.append((stream.name, {b"body": body}))

    def move_receipt(self, receipt: str, stage: ReceiptStage, content_hash: str) -> None:
        """Record how far a submission has come; a receipt that has expired from Redis is left alone."""
        self._receipts.append((receipt_key(receipt), receipt_value(stage, content_hash)))

    def move_receipts(self, report: Report, stage: ReceiptStage) -> None:
        """The same for a report, under every receipt that asks for it."""
        for receipt, content_hash in report.receipts.items():
            self.move_receipt(receipt, stage, content_hash)

    def quarantine(self, message: Message, *, stream: Stream, group: str, error: str, attempts: int) -> None:
        """Put one message aside with its bytes, its origin and what was wrong with it."""
        entry: dict[bytes | str, bytes | str] = {
            **{b"field:" + name: value for name, value in message.fields.items()},
            b"stream": stream.name,
            b"group": group,
            b"error": error[:2000],
            b"attempts": str(attempts),
            b"at": datetime.now(UTC).isoformat(),
        }
        self._entries.append((QUARANTINE.name, entry))
        for receipt in message.receipts:
            self.move_receipt(receipt, ReceiptStage.QUARANTINED, "")

    def clear(self) -> None:
        """Forget everything: the batch is about to be handled anew."""
        self._entries.clear()
        self._receipts.clear()

    def write(self, pipe: Pipeline) -> None:
        """Queue everything on a transaction of the caller's."""
        for name, fields in self._entries:
            pipe.xadd(name, dict(fields))  # type: ignore[arg-type]
        for key, value in self._receipts:
            # The client's own `set` spends nine times as long on its many options.
            pipe.execute_command("SET", key, value, "XX", "KEEPTTL")

    def merge(self, other: "Outbox") -> None:
        """Take over what another outbox has collected."""
        self._entries.extend(other._entries)
        self._receipts.extend(other._receipts)
