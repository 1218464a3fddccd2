"""What an adapter is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from shared.contracts import Attachment

TEXT_LIMIT_CHARACTERS = 100_000
"""Longest text of one report: some forty printed pages."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to change in a body: where (a JSON pointer, or empty) and what."""

    pointer: str
    detail: str


class NotUnderstoodError(Exception):
    """A body that its adapter cannot read.

    Attributes:
        title: what is wrong, in a few words.
        problems: what to change, one by one.
        broken: the bytes are not even of the format (400), rather than of the wrong content (422).
    """

    def __init__(self, title: str, problems: list[Problem] | None = None, *, broken: bool = False) -> None:
        super().__init__(title)
        self.title = title
        self.problems = problems or []
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Read:
    """What the door needs to know of a body: the sender's own id, and the canonical form that makes it this report."""

    external_id: str
    content: bytes
    region: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A submission's content, not yet cleaned, masked or placed."""

    text: str
    title: str = ""
    occurred_at: datetime | None = None
    region: str = ""
    reporter: tuple[str, ...] = field(default=(), repr=False)
    """What identifies the reporter; used for nothing but counting distinct senders, and never passed on."""
    url: str = ""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one format is read. Both functions raise `NotUnderstoodError` and nothing else."""

    media_types: tuple[str, ...]
    read: Callable[[bytes], Read]
    draft: Callable[[bytes], Draft]
    batch: bool
