"""The normaliser: from a submission's bytes to a report that is cleaned, masked, placed and dated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID, uuid5

from services.ingest.adapters import ADAPTERS, Draft, Fields, NotUnderstoodError
from services.ingest.asking import names_time
from services.ingest.clean import clean_text, fingerprint_text
from services.ingest.conversations import Conversation, Conversations, Said, Turn, joined
from services.ingest.incidents import Incidents, SplitIncidents
from services.ingest.mask import mask
from services.ingest.placing import place
from services.ingest.sender import sender_of
from services.ingest.sources import Source
from services.ingest.submission import NAMESPACE, Submission
from shared.bus.errors import UnprocessableError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.streams import REPORTS
from shared.calendar import Calendar
from shared.contracts import Attachment, Part, ReceiptStage, Region, Report
from shared.regions import RegionResolver
from shared.vault.envelope import CannotOpenError, Opener

TITLE_LIMIT_CHARACTERS = 500
CHANNEL_FILES = {"whatsapp": "whatsapp-media:", "telegram": "telegram-file:"}


class Sent(NamedTuple):
    """A text as it came, and the region its sender names besides."""

    title: str
    text: str
    region: str = ""


class Placed(NamedTuple):
    """Title and text, cleaned and masked, and the region they tell of."""

    title: str
    text: str
    region: Region | None


@dataclass(frozen=True, slots=True)
class _Read:
    """A message, and the report that it is when it stands alone."""

    message: Message
    draft: Draft
    told: Region | None
    """The region that its words name."""
    report: Report


class Normaliser:
    """Turns submissions into reports; pure but for the calendar, which may be replaced, and the two memories.

    Args:
        resolver: finds the region a text tells of.
        calendar: gives the calendar that is valid now.
        opener: opens what the acceptor has sealed.
        sender_key: key of the hash that tells distinct senders apart; empty: they are not told apart.
        source: what `sources.yaml` says of a source now; `None` for one that is no longer there.
        incidents: joins reports that resemble earlier ones; without it only exact copies are one incident.
        conversations: joins the messages of one sender into one report; without it each is a report.
    """

    def __init__(
        self,
        resolver: RegionResolver,
        calendar: Callable[[], Calendar],
        *,
        opener: Opener,
        sender_key: bytes,
        source: Callable[[str], Source | None] = lambda _: None,
        incidents: Incidents | SplitIncidents | None = None,
        conversations: Conversations | None = None,
    ) -> None:
        self._resolver = resolver
        self._calendar = calendar
        self._opener = opener
        self._sender_key = sender_key
        self._source = source
        self._incidents = incidents
        self._conversations = conversations

    async def handle(self, batch: Sequence[Message], outbox: Outbox) -> None:
        """Normalise a batch of submissions; raises `UnprocessableError` at the first that cannot be read."""
        read = self._read(batch)
        reports = await self._joined(read) if self._conversations else [one.report for one in read]
        if self._incidents:
            reports = await self._incidents.join(reports)
        for report in reports:
            where = report.region.code if report.region else report.receipt
            outbox.publish(REPORTS, report.model_dump_json().encode(), by=where)
            outbox.move_receipts(report, ReceiptStage.NORMALISED)

    def normalise(self, submission: Submission) -> Report:
        """The report of a submission. Raises `UnprocessableError` when its adapter cannot read it."""
        return self._alone(submission, self._draft(submission))

    def _read(self, batch: Sequence[Message]) -> list[_Read]:
        submissions = [self._opened(message) for message in batch]
        drafts = [self._draft(submission) for submission in submissions]
        read = []
        for message, submission, draft, placed in zip(batch, submissions, drafts, self._place(drafts), strict=True):
            report = self._report(submission, draft, placed)
            if parts := message.joined:
                report = self._whole(submission, [self._opened(part) for part in parts])
            read.append(_Read(message, draft, placed.region, report))
        return read

    def _opened(self, message: Message) -> Submission:
        try:
            return Submission.read(message, self._opener)
        except (KeyError, ValueError) as error:
            raise UnprocessableError(f"not a submission: {type(error).__name__}") from None
        except CannotOpenError as error:
            raise UnprocessableError(str(error)) from None

    def _draft(self, submission: Submission) -> Draft:
        adapter, source = ADAPTERS.get(submission.adapter), self._source(submission.source)
        if adapter is None:
            raise UnprocessableError(f"no adapter is called {submission.adapter!r}")
        try:
            return adapter.draft(submission.body, source.fields if source else Fields())
        except NotUnderstoodError as error:
            where = ", ".join(f"{problem.pointer}: {problem.detail}" for problem in error.problems)
            raise adapter.at_fault(f"{error.title} ({where})" if where else error.title) from None

    # Conversations

    async def _joined(self, read: Sequence[_Read]) -> list[Report]:
        """The reports of a batch; the messages of one conversation give one, in the place of the last of them."""
        said = {number: message for number, one in enumerate(read) if (message := self._said(one))}
        if not (said and self._conversations):
            return [one.report for one in read]
        found = dict(zip(said, await self._conversations.take(list(said.values())), strict=True))
        last = {one.opener: number for number, one in found.items() if len(one.turns) > 1}
        reports = []
        for number, one in enumerate(read):
            conversation = found.get(number)
            if conversation is None:
                reports.append(one.report)
            elif len(conversation.turns) == 1:
                reports.append(one.report.model_copy(update={"parts": (_part(one.report),)}))
            elif last[conversation.opener] == number:
                reports.append(self._whole_of(conversation))
        return reports

    def _said(self, one: _Read) -> Said | None:
        """What a conversation needs of a message; `None` for what stands by itself."""
        source, report = self._source(one.report.source), one.report
        if not (source and source.joins_within_ms and report.sender) or one.message.joined:
            return None
        told = one.told
        turn = Turn(
            entry=one.message.fields,
            at_ms=int(one.message.fields[b"received_ms"]),
            characters=len(report.text),
            place=(told.district.code if told.district else told.code) if told else "",
            placed=report.region is not None,
            dated=report.occurred_at is not None or names_time(report.text),
        )
        return Said(report.source, report.sender, turn, source.joins_within_ms, report.replayed)

    def _whole_of(self, conversation: Conversation) -> Report:
        parts = [self._opened(Message(b"", turn.entry)) for turn in conversation.turns]
        opener = next(part for part in parts if part.receipt == conversation.opener)
        first = datetime.fromtimestamp(conversation.turns[0].at_ms / 1000, UTC)
        return self._whole(opener, parts).model_copy(update={"received_at": first})

    def _whole(self, opener: Submission, parts: Sequence[Submission]) -> Report:
        """The report that several submissions are together, under the id of the one that opened it."""
        report = self._alone(opener, joined([self._draft(part) for part in parts]))
        changes = {
            "parts": tuple(map(_part, parts)),
            "received_at": min(part.received_at for part in parts),
            "notes": (*report.notes, f"gabungan {len(parts)} pesan dari satu pengirim"),
        }
        return report.model_copy(update=changes)

    # The report

    def _place(self, drafts: Sequence[Draft]) -> list[Placed]:
        return place_texts([Sent(draft.title, draft.text, draft.region) for draft in drafts], self._resolver)

    def _alone(self, submission: Submission, draft: Draft) -> Report:
        return self._report(submission, draft, self._place([draft])[0])

    def _report(self, submission: Submission, draft: Draft, placed: Placed) -> Report:
        """The report that a draft makes under the ids of a submission."""
        source = self._source(submission.source)
        title, text, told = placed
        if not text:
            raise ADAPTERS[submission.adapter].at_fault("nothing is left of the text once it is cleaned")
        prior = source.prior(draft.receivers) if source else ""
        region, notes = place(told, self._resolver, coordinates=draft.coordinates, prior=prior)
        code = region.code if region else ""
        regime, stage = self._calendar().place(draft.occurred_at or draft.sent_at or submission.received_at, code)
        return Report(
            receipt=submission.receipt,
            report_id=submission.report_id,
            incident_id=incident_id(text, region),
            source=submission.source,
            received_at=submission.received_at,
            occurred_at=draft.occurred_at,
            title=title,
            text=text,
            region=region,
            regime=regime,
            stage=stage,
            url=mask(draft.url),
            attachments=tuple(_masked(one, CHANNEL_FILES.get(submission.adapter)) for one in draft.attachments),
            notes=notes,
            sender=sender_of(draft.reporter, self._sender_key),
            content_hash=submission.content_hash,
            replayed=submission.replayed,
        )


def _part(one: Submission | Report) -> Part:
    return Part(receipt=one.receipt, content_hash=one.content_hash, received_at=one.received_at)


def _masked(attachment: Attachment, own_files: str | None) -> Attachment:
    # The id of a file that lies with its channel may look like a number of a person, and is none.
    url = attachment.url if own_files and attachment.url.startswith(own_files) else mask(attachment.url)
    return Attachment(url=url, type=mask(attachment.type), sha256=attachment.sha256)


def place_texts(sent: Sequence[Sent], resolver: RegionResolver) -> list[Placed]:
    """What ingest makes of texts; they pass each step together, so that its code stays in the processor's caches."""
    titles = [mask(clean_text(one.title)[:TITLE_LIMIT_CHARACTERS]) if one.title else "" for one in sent]
    texts = [mask(text) for text in [clean_text(one.text) for one in sent]]
    return [
        Placed(title, text, resolver.resolve(text, title=title, hint=one.region))
        for title, text, one in zip(titles, texts, sent, strict=True)
    ]


def incident_id(text: str, region: Region | None) -> UUID:
    """One id for all copies of a message about one region, however they were forwarded, spaced or capitalised."""
    code = region.code if region else ""
    return uuid5(NAMESPACE, f"incident\x1f{code}\x1f{fingerprint_text(text)}")
