"""What a batch leads to: messages on other streams, receipts that move on, messages put aside.

It is collected while the batch is handled. What lies in one slot with the stream that was read, so everything on a
single server, is written in one Redis transaction together with the acknowledgement: it counts once even when the
process dies at any point. In a Redis Cluster the rest is written before; when the process dies in between, the batch
comes again and is written again, which changes no count because ids are deterministic.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from shared.bus.connection import Connections
from shared.bus.message import Message
from shared.bus.partitions import UNDIVIDED, Partitions
from shared.bus.receipts import receipt_key, receipt_value
from shared.bus.replicas import write_held
from shared.bus.streams import QUARANTINE, Stream
from shared.contracts import ReceiptStage, Report

_Word = bytes | str
_Write = tuple[str, tuple[_Word, ...]]
"""A key, and the command that changes it."""

_NOWHERE = Stream("", ())


@dataclass(slots=True)
class Outbox:
    """Collects the effects of one batch; nothing leaves before `write`.

    Args:
        source: the stream that is read, one partition of it.
        partitions: how streams are split.
    """

    source: Stream = _NOWHERE
    partitions: Partitions = UNDIVIDED
    _entries: list[_Write] = field(default_factory=list)
    _receipts: list[_Write] = field(default_factory=list)

    def publish(self, stream: Stream, body: bytes, *, by: str | None = None) -> None:
        """Hand a message on to `stream`: in the partition it came from, or in that of a region code or receipt."""
        partition = self.source.partition if by is None else self.partitions.of(by)
        self._add(stream.part(partition, self.partitions).name, (b"body", body))

    def move_receipt(self, receipt: str, stage: ReceiptStage, content_hash: str) -> None:
        """Record how far a submission has come; a receipt that has expired from Redis is left alone."""
        key = receipt_key(receipt, self.partitions)
        self._receipts.append((key, ("SET", key, receipt_value(stage, content_hash), "XX", "KEEPTTL")))

    def move_receipts(self, report: Report, stage: ReceiptStage) -> None:
        """The same for a report, under every receipt that asks for it."""
        for receipt, content_hash in report.receipts.items():
            self.move_receipt(receipt, stage, content_hash)

    def quarantine(self, message: Message, *, group: str, error: str, attempts: int) -> None:
        """Put one message aside with its bytes, its origin and what was wrong with it."""
        entry: dict[_Word, _Word] = {
            **{b"field:" + name: value for name, value in message.fields.items()},
            b"stream": self.source.name,
            b"group": group,
            b"error": error[:2000],
            b"attempts": str(attempts),
            b"at": datetime.now(UTC).isoformat(),
        }
        self._add(QUARANTINE.name, tuple(word for pair in entry.items() for word in pair))
        for receipt in message.receipts:
            self.move_receipt(receipt, ReceiptStage.QUARANTINED, "")

    def _add(self, stream_name: str, fields: tuple[_Word, ...]) -> None:
        # The client's own `xadd` and `set` spend several times as long on their many options.
        self._entries.append((stream_name, ("XADD", stream_name, "*", *fields)))

    def clear(self) -> None:
        """Forget everything: the batch is about to be handled anew."""
        self._entries.clear()
        self._receipts.clear()

    def merge(self, other: "Outbox") -> None:
        """Take over what another outbox has collected."""
        self._entries.extend(other._entries)
        self._receipts.extend(other._receipts)

    async def write(
        self, connections: Connections, acknowledge: Callable[[Pipeline], object], replicas: int = 0
    ) -> None:
        """Write everything, and `acknowledge` in the last transaction; what lies elsewhere is on `replicas` before.

        Raises what Redis raises.
        """
        here = connections.of(self.source.name)
        last, receipts = self._entries, self._receipts
        elsewhere = [write for write in self._entries if connections.of(write[0]) is not here]
        if elsewhere or any(connections.of(key) is not here for key, _ in receipts):
            # Receipts first: whoever reads what is handed on moves them further.
            await _write_all(receipts, connections, 0)
            await _write_all(elsewhere, connections, replicas)
            last, receipts = [write for write in self._entries if connections.of(write[0]) is here], []
        async with here.pipeline(transaction=True) as pipe:
            _queue(pipe, last)
            _queue(pipe, receipts)
            acknowledge(pipe)
            await pipe.execute()


async def _write_all(writes: Iterable[_Write], connections: Connections, replicas: int) -> None:
    by_client: dict[Redis, list[_Write]] = defaultdict(list)
    for write in writes:
        by_client[connections.of(write[0])].append(write)

    await asyncio.gather(
        *(write_held(client, partial(_queue, writes=theirs), replicas) for client, theirs in by_client.items())
    )


def _queue(pipe: Pipeline, writes: Iterable[_Write]) -> None:
    for _, command in writes:
        pipe.execute_command(*command)
