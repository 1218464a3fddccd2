"""By what ClickHouse knows a batch that comes again."""

import hashlib
from collections.abc import Sequence

from shared.bus.message import Message
from shared.bus.streams import Stream


def token_of(batch: Sequence[Message], source: Stream) -> str:
    """The same for the same messages of the same stream; ids alone are given by every partition for itself."""
    return hashlib.blake2b(
        b" ".join([source.name.encode(), *(message.id for message in batch)]), digest_size=16
    ).hexdigest()
