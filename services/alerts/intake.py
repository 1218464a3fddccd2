"""From an assessment to the case it concerns: which region and class, and what an officer will be shown of it."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b

import msgspec
from pydantic import ValidationError

from services.alerts.case import Act, Case, CitedNorm, Exhibit, News, Sighting
from services.alerts.corroboration import map_of_words
from services.alerts.rules import AlertingRules
from services.alerts.text import QUOTE_CHARACTERS, clean, quote
from shared.bus.errors import UnprocessableError
from shared.contracts import Assessment, Finding, Kind, Report, RiskClass

UNKNOWN_REGION = "wilayah belum diketahui"

_ACTS = 4
_QUOTES = 3
_NORMS = 5
_MISSING = 6
_NOTES = 4
_WORDS = 160


@lru_cache(4096)
def _known(words: str) -> str:
    """Words of the rule pack, cleaned; the same few come with every report."""
    return clean(words, _WORDS)


class _JudgedAs(msgspec.Struct, frozen=True):
    kind: str


class _Placed(msgspec.Struct, frozen=True):
    code: str


class _Heard(msgspec.Struct, frozen=True):
    source: str
    received_at: datetime
    region: _Placed | None = None


class Glance(msgspec.Struct, frozen=True):
    """What a look at an assessment shows, without reading the rest: most texts raise nothing."""

    judgement: _JudgedAs
    report: _Heard

    @property
    def raises_something(self) -> bool:
        """Whether its kind may concern an alert; prevention, questions and other texts do not."""
        return self.judgement.kind in (Kind.VIOLATION_REPORT, Kind.CLASSIFY_FAILED)


_glances = msgspec.json.Decoder(Glance)


def glance(body: bytes) -> Glance:
    """A look at an assessment. Raises `UnprocessableError` for what is none."""
    try:
        return _glances.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnprocessableError(f"not an assessment: {error}") from None


def read(body: bytes) -> Assessment:
    """The whole assessment. Raises `UnprocessableError` for what is none."""
    try:
        return Assessment.model_validate_json(body)
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
    findings = sorted(judgement.findings, key=lambda finding: (finding.severity.rank, finding.risk), reverse=True)
    district = report.region.district if report.region else None
    return News(
        Sighting(
            report_id=report.report_id,
            incident_id=report.incident_id,
            sender=report.sender,
            at=report.received_at,
            severity=judgement.severity,
            text=hash_of_words(report.text),
            stage=report.stage,
            words=map_of_words(report.text),
        ),
        Exhibit(
            report_id=report.report_id,
            receipt=clean(report.receipt, _WORDS),
            source=clean(report.source, _WORDS),
            at=report.received_at,
            severity=judgement.severity,
            status=judgement.status,
            stage=report.stage,
            regime=report.regime,
            acts=_acts(assessment, findings[:_ACTS]),
            further=tuple(Act(one.code, _known(one.name or one.code), one.severity) for one in findings[_ACTS:]),
            occurred_at=report.occurred_at,
            district_code=district.code if district else "",
            district_name=clean(district.name, _WORDS) if district else "",
            notes=tuple(clean(note, _WORDS) for note in report.notes[:_NOTES]),
        ),
        replayed=report.replayed,
        grows=bool(report.parts),
    )


def hash_of_words(text: str) -> int:
    """The same for texts that differ only in case, spaces and signs; 0 for one without any word."""
    words = "".join(filter(str.isalnum, text.lower()))
    return int.from_bytes(blake2b(words.encode("utf-8", "replace"), digest_size=7).digest(), "big") if words else 0


def _acts(assessment: Assessment, findings: Sequence[Finding]) -> tuple[Act, ...]:
    report, judgement = assessment.report, assessment.judgement
    if judgement.kind is Kind.CLASSIFY_FAILED:
        return (Act("classify_failed", clean(judgement.reason, _WORDS), judgement.severity),)
    if not findings:
        return (Act("", "", judgement.severity, quotes=(clean(report.text, QUOTE_CHARACTERS),)),)
    shown: set[str] = set()
    return tuple(_act(report, finding, shown) for finding in findings)


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
        name=_known(finding.name or finding.code),
        severity=finding.severity,
        quotes=tuple(quotes)[:_QUOTES],
        norms=tuple(
            CitedNorm(norm.id, _known(norm.citation), norm.verified, _known(norm.sanction), norm.channel)
            for norm in finding.norms[:_NORMS]
        ),
        missing=tuple(_known(element) for element in finding.elements.missing[:_MISSING]),
    )
