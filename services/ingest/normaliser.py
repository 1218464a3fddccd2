"""The normaliser: from a submission's bytes to a report that is cleaned, masked, placed and dated."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from uuid import UUID, uuid5

from services.ingest.adapters import ADAPTERS, Draft, Fields, NotUnderstoodError
from services.ingest.clean import clean_text, fingerprint_text
from services.ingest.incidents import Incidents
from services.ingest.mask import mask
from services.ingest.placing import place
from services.ingest.sources import Source
from services.ingest.submission import NAMESPACE, Submission
from shared.bus.errors import UnprocessableError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.streams import REPORTS
from shared.calendar import Calendar
from shared.contracts import Attachment, ReceiptStage, Region, Report
from shared.regions import RegionResolver
from shared.vault.envelope import CannotOpenError, Opener

TITLE_LIMIT_CHARACTERS = 500
CHANNEL_FILES = {"whatsapp": "whatsapp-media:", "telegram": "telegram-file:"}


class Normaliser:
    """Turns submissions into reports; pure but for the calendar, which may be replaced, and the memory of incidents.

    Args:
        resolver: finds the region a text tells of.
        calendar: gives the calendar that is valid now.
        opener: opens what the acceptor has sealed.
        sender_key: key of the hash that tells distinct senders apart; empty: they are not told apart.
        source: what `sources.yaml` says of a source now; `None` for one that is no longer there.
        incidents: joins reports that resemble earlier ones; without it only exact copies are one incident.
    """

    def __init__(
        self,
        resolver: RegionResolver,
        calendar: Callable[[], Calendar],
        *,
        opener: Opener,
        sender_key: bytes,
        source: Callable[[str], Source | None] = lambda _: None,
        incidents: Incidents | None = None,
    ) -> None:
        self._resolver = resolver
        self._calendar = calendar
        self._opener = opener
        self._sender_key = sender_key
        self._source = source
        self._incidents = incidents

    async def handle(self, batch: Sequence[Message], outbox: Outbox) -> None:
        """Normalise a batch of submissions; raises `UnprocessableError` at the first that cannot be read."""
        reports = []
        for message in batch:
            try:
                submission = Submission.read(message, self._opener)
            except (KeyError, ValueError) as error:
                raise UnprocessableError(f"not a submission: {type(error).__name__}") from None
            except CannotOpenError as error:
                raise UnprocessableError(str(error)) from None
            reports.append(self.normalise(submission))
        if self._incidents:
            reports = await self._incidents.join(reports)
        for report in reports:
            outbox.publish(REPORTS, report.model_dump_json().encode())
            outbox.move_receipt(report.receipt, ReceiptStage.NORMALISED, report.content_hash)

    def normalise(self, submission: Submission) -> Report:
        """The report of a submission. Raises `UnprocessableError` when its adapter cannot read it."""
        adapter, source = ADAPTERS.get(submission.adapter), self._source(submission.source)
        if adapter is None:
            raise UnprocessableError(f"no adapter is called {submission.adapter!r}")
        try:
            draft = adapter.draft(submission.body, source.fields if source else Fields())
        except NotUnderstoodError as error:
            where = ", ".join(f"{problem.pointer}: {problem.detail}" for problem in error.problems)
            raise adapter.at_fault(f"{error.title} ({where})" if where else error.title) from None
        title, text, region = place_text(draft.title, draft.text, self._resolver, hint=draft.region)
        if not text:
            raise adapter.at_fault("nothing is left of the text once it is cleaned")
        prior = source.prior(draft.receivers) if source else ""
        region, notes = place(region, self._resolver, coordinates=draft.coordinates, prior=prior)
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
            sender=self._sender(draft),
            content_hash=submission.content_hash,
            replayed=submission.replayed,
        )

    def _sender(self, draft: Draft) -> str:
        if not (draft.reporter and self._sender_key):
            return ""
        identity = clean_text(draft.reporter[0]).casefold().encode()
        return hmac.digest(self._sender_key, identity, hashlib.sha256).hex()[:24]


def _masked(attachment: Attachment, own_files: str | None) -> Attachment:
    # The id of a file that lies with its channel may look like a number of a person, and is none.
    url = attachment.url if own_files and attachment.url.startswith(own_files) else mask(attachment.url)
    return Attachment(url=url, type=mask(attachment.type), sha256=attachment.sha256)


def place_text(title: str, text: str, resolver: RegionResolver, *, hint: str = "") -> tuple[str, str, Region | None]:
    """What ingest makes of a text: title and text, cleaned and masked, and the region they tell of."""
    title = mask(clean_text(title)[:TITLE_LIMIT_CHARACTERS])
    text = mask(clean_text(text))
    return title, text, resolver.resolve(text, title=title, hint=hint)


def incident_id(text: str, region: Region | None) -> UUID:
    """One id for all copies of a message about one region, however they were forwarded, spaced or capitalised."""
    code = region.code if region else ""
    return uuid5(NAMESPACE, f"incident\x1f{code}\x1f{fingerprint_text(text)}")
