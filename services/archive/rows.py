"""From messages to rows of the warehouse."""

from typing import Any

from shared.contracts import MOST_PARTS, AlertEvent, Assessment, Delivery, Verdict


def report_row(assessment: Assessment) -> dict[str, Any]:
    """The row of `report_rows` for an assessment; keys are its columns."""
    report, judgement = assessment.report, assessment.judgement
    region = report.region
    district = region.district if region else None
    findings = judgement.findings
    return {
        "report_id": report.report_id,
        "receipt": report.receipt,
        "parts": [part.receipt for part in report.parts],
        "incident_id": report.incident_id,
        "source": report.source,
        "received_at": report.received_at,
        "occurred_at": report.occurred_at,
        "title": report.title,
        "text": report.text,
        "region_code": region.code if region else "",
        "region_name": region.name if region else "",
        "region_confidence": region.confidence if region else 0.0,
        "province_code": region.province_code if region else "",
        "regency_code": region.regency_code if region else "",
        "district_code": district.code if district else "",
        "district_name": district.name if district else "",
        "regime": report.regime,
        "stage": report.stage,
        "kind": judgement.kind,
        "status": judgement.status,
        "primary_class": judgement.primary,
        "severity": judgement.severity,
        "neutrality_risk": judgement.neutrality_risk,
        "money_politics_risk": judgement.money_politics_risk,
        "other_risk": judgement.other_risk,
        "codes": judgement.labels,
        "findings.code": [finding.code for finding in findings],
        "findings.risk_class": [finding.risk_class for finding in findings],
        "findings.risk": [finding.risk for finding in findings],
        "findings.severity": [finding.severity for finding in findings],
        "findings.rule": [finding.rule for finding in findings],
        "findings.evidence": [[span.text for span in finding.evidence] for finding in findings],
        "findings.evidence_start": [[span.start for span in finding.evidence] for finding in findings],
        "findings.evidence_end": [[span.end for span in finding.evidence] for finding in findings],
        "findings.elements_seen": [finding.elements.seen for finding in findings],
        "findings.elements_missing": [finding.elements.missing for finding in findings],
        "findings.norms": [[norm.citation for norm in finding.norms] for finding in findings],
        "findings.norms_verified": [[norm.verified for norm in finding.norms] for finding in findings],
        "reason": judgement.reason,
        "sender": report.sender,
        "url": report.url,
        "attachments": [attachment.url for attachment in report.attachments],
        "attachment_hashes": [attachment.sha256 for attachment in report.attachments],
        "notes": report.notes,
        "rule_pack_version": judgement.rule_pack_version,
        "model_version": judgement.model_version,
        "classified_at": assessment.classified_at,
        "version": _version(assessment),
    }


def _version(assessment: Assessment) -> int:
    """Which of two rows of a report stays: what was received last; of that, the most messages; of that, the latest.

    From the top: 32 bits for the second of receipt of its newest submission, 4 for how many there are, 28 for the
    seconds from then to the classification. The count begins at 7, since rows from before reports were joined hold the
    second of classification in their lower 32 bits, which begins with 6.
    """
    newest, count = assessment.report.edition
    received = int(newest.timestamp())
    waited = int(assessment.classified_at.timestamp()) - received
    return received << 32 | (6 + min(count, MOST_PARTS)) << 28 | min(max(waited, 0), (1 << 28) - 1)


def alert_event_row(event: AlertEvent) -> dict[str, Any]:
    """The row of `alert_event_rows` for an event."""
    return event.model_dump(exclude={"type"})


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    """The row of `delivery_rows` for a delivery."""
    return delivery.model_dump(exclude={"type"})


def verdict_row(verdict: Verdict) -> dict[str, Any]:
    """The row of `verdict_rows` for a verdict."""
    return verdict.model_dump(exclude={"type", "alert_id"})
