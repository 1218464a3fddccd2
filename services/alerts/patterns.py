"""The same act in several districts of a regency, or several regencies of a province: what no single case shows. Pure.

Of each act and place only the newest report is kept, so that a place counts once, however much is told of it. A report
of structured, systematic, massive violations (TSM) needs evidence in at least half of the districts (of a regency) or
regencies (of a province): Perbawaslu 9/2020 art. 15. The share is therefore always shown.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from services.alerts import decide
from services.alerts.case import Case, Cause, Sighting
from services.alerts.decide import Outcome
from services.alerts.flagging import Found
from services.alerts.places import Places
from services.alerts.rules import AlertingRules, Pattern
from services.alerts.text import clean
from shared.contracts import Assessment, RiskClass, Severity

SUBJECT = "pattern"
_PROVINCE = 2


class Hit(Struct, frozen=True, array_like=True):
    """An act told of one place; `place` is a district, or its regency where the text names no district."""

    risk_class: RiskClass
    code: str
    place: str
    at: datetime
    report_id: UUID
    incident_id: UUID
    sender: str
    name: str

    @property
    def key(self) -> str:
        """The same for reports of the same act in the same place."""
        return f"{self.risk_class}|{self.code}|{self.place}"


@dataclass(frozen=True, slots=True)
class Scheme:
    """An act in so many parts of a region that it is a pattern."""

    hits: tuple[Hit, ...]
    parts: frozenset[str]
    share: float


def hits_of(assessment: Assessment, rules: AlertingRules) -> list[Hit]:
    """What a violation report adds to the patterns; nothing when its regency is not known."""
    report = assessment.report
    region = report.region
    if region is None or not region.regency_code:
        return []
    place = region.district.code if region.district else region.regency_code
    return [
        Hit(
            finding.risk_class, finding.code, place, report.received_at, report.report_id, report.incident_id,
            report.sender, clean(finding.name or finding.code, 80),
        )
        for finding in assessment.judgement.findings
        if finding.severity.rank >= rules.flag.pattern.severity.rank and finding.risk_class is not RiskClass.NONE
    ]  # fmt: skip


def regions_of(hits: Iterable[Hit]) -> dict[tuple[str, RiskClass], list[Hit]]:
    """The regencies and provinces that hits may make a pattern of, each with its hits by class."""
    found: dict[tuple[str, RiskClass], list[Hit]] = defaultdict(list)
    for hit in hits:
        found[hit.place[:_PROVINCE], hit.risk_class].append(hit)
        if len(hit.place) > len("63.11"):
            found[hit.place[:5], hit.risk_class].append(hit)
    return found


def empty_case(region_code: str, risk_class: RiskClass, places: Places) -> Case:
    """The case of a region's patterns of one class."""
    return Case(region_code, places.names.get(region_code, region_code), risk_class, subject=SUBJECT)


def look(case: Case, hits: Sequence[Hit], places: Places, rules: AlertingRules, now: datetime) -> Outcome:
    """Open an alert for the region itself, or tell an open one of new parts; nothing else changes it."""
    closed_at = case.alert.history[-1].at if case.alert and not case.alert.is_open and case.alert.history else None
    total = places.parts.get(case.region_code, 0)
    schemes = _schemes(case.region_code, [hit for hit in hits if not closed_at or hit.at > closed_at], total, rules)
    if not schemes:
        return Outcome(case)
    parts = frozenset().union(*(scheme.parts for scheme in schemes))
    members = tuple(sorted(places.names.get(part, part) for part in parts))
    widest = max(scheme.share for scheme in schemes)
    massive = widest >= rules.flag.pattern.massive_share
    severity = Severity.CRITICAL if massive else Severity.HIGH
    grounds = _grounds(case.region_code, schemes, total, rules.flag.pattern)
    known = {sighting.report_id for sighting in case.sightings}
    newest = {hit.report_id: hit for scheme in schemes for hit in scheme.hits if hit.report_id not in known}
    fresh = [Sighting(hit.report_id, hit.incident_id, hit.sender, hit.at, severity) for hit in newest.values()]
    fresh.sort(key=lambda sighting: (sighting.at, sighting.report_id))
    if case.alert and case.alert.is_open:
        # More of the same in the places that are told already is no news of the pattern.
        if not set(members) - set(case.alert.details) and severity.rank <= case.alert.severity.rank:
            return Outcome(case)
        members = tuple(sorted({*case.alert.details, *members}))
        return decide.grown(case, fresh, rules, now, grounds=grounds, details=members)
    if not fresh:
        return Outcome(case)
    found = Found(fresh[-1], Cause.PATTERN, rules.flag.pattern.window, grounds, members)
    spent = [sighting for sighting in case.sightings if sighting.spent]
    sightings = tuple(sorted([*spent, *fresh], key=lambda sighting: (sighting.at, sighting.report_id)))
    return decide.opened(
        Case(case.region_code, case.region_name, case.risk_class, sightings, (), case.alert, None, case.subject),
        found, severity, rules, now,
    )  # fmt: skip


def _schemes(region_code: str, hits: Sequence[Hit], total: int, rules: AlertingRules) -> list[Scheme]:
    """The acts that are a pattern, the widest first."""
    pattern = rules.flag.pattern
    if not hits or not total:
        return []
    newest = max(hit.at for hit in hits)
    by_act: Mapping[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        if hit.at >= newest - pattern.window:
            by_act[hit.code].append(hit)
    found = []
    for same in by_act.values():
        length = 5 if len(region_code) == _PROVINCE else 8
        parts = frozenset(hit.place[:length] for hit in same if len(hit.place) >= length)
        voices = {hit.sender or hit.incident_id for hit in same}
        share = len(parts) / total
        if len(parts) >= pattern.places and share >= pattern.share and len(voices) >= pattern.senders:
            found.append(Scheme(tuple(same), parts, share))
    return sorted(found, key=lambda scheme: (-scheme.share, scheme.hits[0].code))


def _grounds(region_code: str, schemes: Sequence[Scheme], total: int, pattern: Pattern) -> str:
    kind = "kabupaten/kota" if len(region_code) == _PROVINCE else "kecamatan"
    each = "; ".join(
        f"{scheme.hits[0].name} di {len(scheme.parts)} dari {total} {kind} ({scheme.share * 100:.0f} %)"
        for scheme in schemes
    )
    words = f"pola yang sama dalam {pattern.within_days:g} hari: {each}"
    if schemes[0].share >= pattern.massive_share:
        words += (
            f"; ini mencapai {pattern.massive_share * 100:.0f} %, batas bukti laporan TSM (Perbawaslu 9/2020 Pasal 15)"
        )
    return words
