"""Who reported, as a keyed hash: it tells senders apart, and says nothing without the key."""

import hashlib
import hmac
from collections.abc import Sequence

from services.ingest.clean import clean_text


def sender_of(reporter: Sequence[str], key: bytes) -> str:
    """The hash of what identifies a reporter most steadily; empty without a reporter or without a key."""
    if not (reporter and key):
        return ""
    return hmac.digest(key, clean_text(reporter[0]).casefold().encode(), hashlib.sha256).hex()[:24]
