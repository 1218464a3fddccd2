"""A chain of hashes: each entry names the hash of the one before, so that no entry can be altered, moved or left out.

The hash of an entry is the SHA-256 of its canonical JSON (UTF-8, keys sorted, no blanks) without the hash itself. The
chain alone proves that a document agrees with its last hash (the head); that the head is the one that was handed over,
its recipient proves with the copy on paper.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

START = "0" * 64
"""What the first entry names as the hash before it."""


def digest(content: object) -> str:
    """SHA-256 of the canonical JSON, as 64 hexadecimal digits. Raises `ValueError` for NaN and infinity."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def chained(entries: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The entries (kind and content) in their order, each with position, hash before it and its own hash."""
    chain: list[dict[str, Any]] = []
    for position, (kind, content) in enumerate(entries):
        previous = chain[-1]["hash"] if chain else START
        entry = {"position": position, "kind": kind, "content": dict(content), "previous": previous}
        chain.append({**entry, "hash": digest(entry)})
    return chain


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not hold, and why."""

    position: int
    reason: str


def first_break(chain: Sequence[object]) -> Break | None:
    """The first entry that does not agree with its hash or its place; `None` when the chain holds."""
    previous = START
    for position, entry in enumerate(chain):
        if not isinstance(entry, dict) or set(entry) != {"position", "kind", "content", "previous", "hash"}:
            return Break(position, "is not an entry of a chain")
        if entry["position"] != position:
            return Break(position, f"says that it is entry {entry['position']}: one was removed, added or moved")
        if entry["previous"] != previous:
            return Break(position, "does not follow the entry before it: one was removed, replaced or moved")
        try:
            own = digest({key: value for key, value in entry.items() if key != "hash"})
        except (ValueError, RecursionError):
            return Break(position, "holds what a packet never holds")
        if own != entry["hash"]:
            return Break(position, f"was altered ({entry['kind']})")
        previous = own
    return None
