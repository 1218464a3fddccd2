"""Assessments for tests, as the classifier would send them."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from shared.bus.receipts import receipt_of
from shared.contracts import (
    Assessment,
    District,
    Elements,
    Evidence,
    Finding,
    Judgement,
    Kind,
    Norm,
    Regime,
    Region,
    Report,
    RiskClass,
    Severity,
    Stage,
    Status,
)

TEXT = "Semalam pak camat membagikan amplop kepada warga di balai desa. Isinya seratus ribu."
VOTING_DAY = datetime(2024, 11, 27, 3, 0, tzinfo=UTC)

BALANGAN = Region(code="63.11", name="Kabupaten Balangan", level="regency", confidence=1)
PARINGIN = BALANGAN.model_copy(update={"district": District(code="63.11.05", name="Kecamatan Paringin")})
AMBON = Region(code="81.71", name="Kota Ambon", level="regency", confidence=1)

GIVING = Norm(
    id="uu10-2016-187a-1",
    citation="UU 10/2016 Pasal 187A ayat (1)",
    verified=True,
    sanction="penjara 36-72 bulan",
    channel="Gakkumdu",
)
UNREAD = Norm(id="perbawaslu-6-2018", citation="Perbawaslu 6/2018", verified=False)


def an_assessment(
    *,
    severity: Severity = Severity.CRITICAL,
    kind: Kind = Kind.VIOLATION_REPORT,
    status: Status = Status.ALLEGED,
    primary: RiskClass = RiskClass.MONEY_POLITICS,
    region: Region | None = BALANGAN,
    at: datetime | None = None,
    report_id: UUID | None = None,
    incident_id: UUID | None = None,
    sender: str = "",
    stage: Stage = Stage.LUAR_TAHAPAN,
    text: str = "",
    evidence: str = "amplop",
    norms: tuple[Norm, ...] = (GIVING, UNREAD),
    further_codes: tuple[str, ...] = (),
    regime: Regime = Regime.PILKADA,
) -> Assessment:
    """An assessment of a report from Balangan that accuses a camat of handing out money, but for what is given.

    No two have the same words unless `text` is given: copies of one text count once.
    """
    report_id = report_id or uuid4()
    text = text or f"{TEXT} Catatan {report_id.hex}."
    start = text.index(evidence)
    finding = Finding(
        code="mp_cash",
        name="Pembagian uang tunai/amplop",
        risk_class=primary,
        risk=0.9,
        severity=severity,
        evidence=(Evidence(start=start, end=start + len(evidence), text=evidence),),
        elements=Elements(seen=("pemberian uang",), missing=("ajakan memilih",)),
        norms=norms,
    )
    return Assessment(
        report=Report(
            receipt=receipt_of(report_id),
            report_id=report_id,
            incident_id=incident_id or uuid4(),
            source="lapangan",
            received_at=at or datetime.now(UTC),
            text=text,
            region=region,
            sender=sender,
            stage=stage,
            regime=regime,
        ),
        judgement=Judgement(
            kind=kind,
            status=status,
            primary=primary,
            is_violation_report=kind is Kind.VIOLATION_REPORT,
            severity=severity,
            findings=(
                finding,
                *(finding.model_copy(update={"code": code, "name": code, "risk": 0.5}) for code in further_codes),
            ),
        ),
        classified_at=at or datetime.now(UTC),
    )


def a_failure(*, at: datetime | None = None) -> Assessment:
    """An assessment that says that the classifier failed."""
    whole = an_assessment(at=at)
    return Assessment.failed(whole.report, "TimeoutError", whole.classified_at, "1")
