"""What an adapter is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from services.ingest.adapters.fields import Fields
from shared.bus.errors import SenderAtFaultError, UnprocessableError
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
class Draft:
    """A submission's content, not yet cleaned, masked or placed."""

    text: str
    title: str = ""
    occurred_at: datetime | None = None
    sent_at: datetime | None = None
    """When the sender's own system took the report; it says nothing about when the thing happened."""
    region: str = ""
    coordinates: tuple[float, float] | None = None
    """Latitude and longitude in degrees, within Indonesia."""
    receivers: tuple[str, ...] = ()
    """The number that was written to, or the form that was filled in: keys of `region_prior`."""
    reporter: tuple[str, ...] = field(default=(), repr=False)
    """What identifies the reporter, the steadiest first; it never leaves ingest in the clear."""
    conversation: str = field(default="", repr=False)
    """Where an answer goes, for channels that need to be told."""
    url: str = ""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """What the door needs to know of one report: the sender's own id, and what makes it this report."""

    external_id: str
    content: bytes
    region: str = ""
    body: bytes | None = None
    """The report's own part of a request that held several; `None`: the body as it came."""
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sender expects to hear."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"


Answering = Callable[[Sequence[str], str, Draft | None], Answer]
"""From the receipts, the words for the reporter (or none) and the first report to the answer."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one format is read. `read` and `draft` raise `NotUnderstoodError` and nothing else."""

    read: Callable[[bytes, Fields], Sequence[Read]]
    draft: Callable[[bytes, Fields], Draft]
    media_types: tuple[str, ...] = ()
    """What is taken; empty: anything, and what is not understood is kept for the quarantine."""
    batch: bool = False
    answer: Answering | None = None
    """`None`: 202 with the receipt."""
    takes_query: bool = False
    """Whether a report may come as the query of a GET request."""
    messenger: bool = False
    """Whether people write there as they speak: one report in several short messages."""

    @property
    def at_fault(self) -> type[UnprocessableError]:
        """What it means when a kept body cannot be read: the door lets such bodies of lenient adapters in knowingly."""
        return UnprocessableError if self.media_types else SenderAtFaultError


def lenient(
    split: Callable[[bytes, Fields], Sequence[tuple[str, bytes]]],
    draft: Callable[[bytes, Fields], Draft],
    *,
    answer: Answering | None = None,
    takes_query: bool = False,
    messenger: bool = False,
) -> Adapter:
    """An adapter for a sender that nobody here can mend: what it does not understand is kept all the same.

    Such senders answer a refusal by blocking, looping or dropping the hook, so the bytes go to quarantine instead,
    where an operator sees them.

    Args:
        split: the reports of a request, each as the sender's id and its own bytes; none when there is nothing to keep.
        draft: the content of one of them; it must fail for what `split` cannot read.
        answer: what the sender expects to hear.
        takes_query: whether a report may come as the query of a GET request.
        messenger: whether people write there as they speak, one report in several short messages.
    """

    def read(body: bytes, fields: Fields) -> list[Read]:
        try:
            parts = split(body, fields)
        except NotUnderstoodError:
            return [Read("", body)]
        # The same message may occur twice in one request; the last one is the newest.
        own = {external_id or part: (external_id, part) for external_id, part in parts}
        return [_read(external_id, part, bounded, fields) for external_id, part in own.values()]

    def bounded(body: bytes, fields: Fields) -> Draft:
        content = draft(body, fields)
        if len(content.text) > TEXT_LIMIT_CHARACTERS:
            raise NotUnderstoodError(f"The text is longer than {TEXT_LIMIT_CHARACTERS:,} characters")
        return content

    return Adapter(read=read, draft=bounded, answer=answer, takes_query=takes_query, messenger=messenger)


def _read(external_id: str, part: bytes, draft: Callable[[bytes, Fields], Draft], fields: Fields) -> Read:
    try:
        content = draft(part, fields)
    except NotUnderstoodError:
        return Read(external_id, part, body=part)
    told = [
        content.text,
        content.title,
        content.occurred_at,
        content.coordinates,
        [one.url for one in content.attachments],
        # Without an id of their own, equal texts of two reporters are two reports.
        () if external_id else (content.reporter, content.sent_at),
    ]
    return Read(external_id, msgspec.json.encode(told), body=part, draft=content)
