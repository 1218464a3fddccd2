"""From an assessment to the case it concerns: which region and class, and what an officer will be shown of it."""

import msgspec
from pydantic import ValidationError

from services.alerts.case import Act, Case, CitedNorm, Exhibit, News, Sighting
from services.alerts.rules import AlertingRules
from services.alerts.text import QUOTE_CHARACTERS, clean, quote
from shared.bus.errors import UnprocessableError
from shared.contracts import Assessment, Finding, Kind, Report, RiskClass

UNKNOWN_REGION = "wilayah belum diketahui"

_ACTS = 4
_QUOTES = 3
_NORMS = 5
_MISSING = 6
_WORDS = 160


class _JudgedAs(msgspec.Struct, frozen=True):
    kind: str


class _Peek(msgspec.Struct, frozen=True):
    judgement: _JudgedAs


def read(body: bytes) -> Assessment | None:
    """The assessment, or `None` when its kind (prevention, question, other) raises nothing.

    Raises `UnprocessableError` for what is no assessment.
    """
    try:
        # Most texts raise nothing: a look at their kind saves reading the rest.
        kind = msgspec.json.decode(body, type=_Peek).judgement.kind
        if kind not in (Kind.VIOLATION_REPORT, Kind.CLASSIFY_FAILED):
            return None
        return Assessment.model_validate_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnprocessableError(f"not an assessment: {error}") from None
    except ValidationError as error:
        raise UnprocessableError(
            f"not an assessment: {error.error_count()} errors, first {error.errors()[0]['loc']}"
        ) from None


def concerns(assessment: Assessment, rules: AlertingRules) -> Case | None:
    """The (still empty) case that an assessment belongs to, or `None` when it raises nothing.

    Failures of the classifier form one case of their own, without region. A violation whose class the classifier left
    open counts as `other_risk`: it must not vanish.
    """
    if assessment.judgement.kind is Kind.CLASSIFY_FAILED:
        return Case("", "", RiskClass.NONE)
    if assessment.judgement.kind is not Kind.VIOLATION_REPORT or assessment.judgement.status not in rules.flag.statuses:
        return None
    region = assessment.report.region
    primary = assessment.judgement.primary
    risk_class = RiskClass.OTHER_RISK if primary is RiskClass.NONE else primary
    return Case(region.code if region else "", clean(region.name, _WORDS) if region else UNKNOWN_REGION, risk_class)


def news_of(assessment: Assessment) -> News:
    """What counting and an officer need of an assessment; every text cleaned and bounded."""
    report, judgement = assessment.report, assessment.judgement
    district = report.region.district if report.region else None
    return News(
        Sighting(report.report_id, report.incident_id, report.sender, report.received_at, judgement.severity),
        Exhibit(
            report_id=report.report_id,
            receipt=clean(report.receipt, _WORDS),
            source=clean(report.source, _WORDS),
            at=report.received_at,
            severity=judgement.severity,
            status=judgement.status,
            stage=report.stage,
            regime=report.regime,
            acts=_acts(assessment),
            occurred_at=report.occurred_at,
            district_code=district.code if district else "",
            district_name=clean(district.name, _WORDS) if district else "",
        ),
    )


def _acts(assessment: Assessment) -> tuple[Act, ...]:
    report, judgement = assessment.report, assessment.judgement
    if judgement.kind is Kind.CLASSIFY_FAILED:
        return (Act("classify_failed", clean(judgement.reason, _WORDS), judgement.severity),)
    findings = sorted(judgement.findings, key=lambda finding: (finding.severity.rank, finding.risk), reverse=True)
    if not findings:
        return (Act("", "", judgement.severity, quotes=(clean(report.text, QUOTE_CHARACTERS),)),)
    shown: set[str] = set()
    return tuple(_act(report, finding, shown) for finding in findings[:_ACTS])


def _act(report: Report, finding: Finding, shown: set[str]) -> Act:
    """The act of a finding; sentences in `shown` were quoted for another act already and are not repeated."""
    quotes: dict[str, None] = {}
    for span in finding.evidence:
        fits = report.text[span.start : span.end] == span.text
        words = quote(report.text, span.start, span.end) if fits else clean(span.text, QUOTE_CHARACTERS)
        if words and not any(words in other for other in (*quotes, *shown)):
            quotes[words] = None
    shown.update(quotes)
    return Act(
        code=finding.code,
        name=clean(finding.name or finding.code, _WORDS),
        severity=finding.severity,
        quotes=tuple(quotes)[:_QUOTES],
        norms=tuple(
            CitedNorm(norm.id, clean(norm.citation, _WORDS), norm.verified, clean(norm.sanction, _WORDS), norm.channel)
            for norm in finding.norms[:_NORMS]
        ),
        missing=tuple(clean(element, _WORDS) for element in finding.elements.missing[:_MISSING]),
    )
