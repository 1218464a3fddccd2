"""From reports to assessments."""

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from services.classify.engine import Classifier, Told
from shared.bus.errors import UnprocessableError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.streams import ASSESSMENTS
from shared.contracts import Assessment, Kind, ReceiptStage, Report
from shared.observability import metrics

log = structlog.get_logger()

GROUP = "classify"


class Assessor:
    """Assesses reports. Not classified is not clean: a report that fails is handed on as `classify_failed`."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    async def handle(self, batch: Sequence[Message], outbox: Outbox) -> None:
        """Assess a batch; raises `UnprocessableError` at the first message that is no report."""
        reports = []
        for message in batch:
            try:
                reports.append(Report.model_validate_json(message.body))
            except ValidationError as error:
                raise UnprocessableError(f"not a report: {error.error_count()} errors") from None
        for message, assessment in zip(batch, self.assess_all(reports), strict=True):
            outbox.publish(ASSESSMENTS, assessment.model_dump_json(by_alias=True).encode())
            if assessment.judgement.kind is Kind.CLASSIFY_FAILED:
                # Visible in every list as not classified, and kept to be classified again: `quarantine replay`.
                reason = f"classification failed: {assessment.judgement.reason}"
                outbox.quarantine(message, group=GROUP, error=reason, attempts=1)
            else:
                outbox.move_receipts(assessment.report, ReceiptStage.ASSESSED)

    def assess_all(self, reports: Sequence[Report]) -> list[Assessment]:
        """The assessments of reports, also of those whose classification fails."""
        try:
            judgements = self._classifier.judge_all([_told(report) for report in reports])
        except Exception:  # noqa: BLE001 - one of them cannot be judged, and must not cost the others their judgement
            return [self.assess(report) for report in reports]
        now = datetime.now(UTC)
        return [
            Assessment(report=report, judgement=judgement, classified_at=now)
            for report, judgement in zip(reports, judgements, strict=True)
        ]

    def assess(self, report: Report) -> Assessment:
        """The assessment of a report, also when classifying it fails."""
        now = datetime.now(UTC)
        try:
            [judgement] = self._classifier.judge_all([_told(report)])
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the report must show as not classified
            log.error("classification_failed", receipt=report.receipt, error=type(error).__name__)
            metrics.classify_failed.inc()
            return Assessment.failed(report, type(error).__name__, now, self._classifier.rule_pack_version)
        return Assessment(report=report, judgement=judgement, classified_at=now)


def _told(report: Report) -> Told:
    return Told(report.text, report.title, report.stage, report.regime)
