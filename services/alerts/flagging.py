"""What flags a region: one grave incident, or more incidents than usual. Pure; the time is that of the reports.

Incidents are counted, never messages: a copy of a text, or another report of an incident that is known, adds nothing to
a burst, whoever sends it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.alerts.baseline import Background, Tally, weight_in
from services.alerts.case import Case, Cause, Sighting
from services.alerts.corroboration import corroborated
from services.alerts.rules import AlertingRules, Burst, Flag
from shared.contracts import RiskClass, Severity


@dataclass(frozen=True, slots=True)
class Found:
    """What flags a region.

    Attributes:
        opener: the report that made it so.
        cause: why.
        window: reports so long before the opener belong to it.
        grounds: why in figures, in Indonesian; empty where the cause says it all.
        details: what else an officer must know, a line each.
    """

    opener: Sighting
    cause: Cause
    window: timedelta
    grounds: str = ""
    details: tuple[str, ...] = ()


def what_flags(case: Case, rules: AlertingRules, background: Background) -> Found | None:
    """The first report that flags, by the order of receipt, and why; `None` when nothing does."""
    if case.risk_class is RiskClass.NONE:
        return _failures(case.sightings, rules)
    for sighting in case.sightings:
        if not sighting.spent and flags_alone(case, sighting, rules.flag):
            return Found(sighting, Cause.SINGLE, rules.flag.burst.window)
    return _corroborated(case, rules) or _burst(case, rules, background)


def flags_alone(case: Case, sighting: Sighting, flag: Flag) -> bool:
    """Whether one such report is enough in this region, class and stage."""
    needed = flag.alone(case.region_code, case.risk_class, sighting.stage)
    return sighting.severity.rank >= needed.rank


def counted(case: Case, fresh: Iterable[Sighting], rules: AlertingRules, now: datetime) -> Tally | None:
    """The case's tally with the incidents that these new reports bring; what is known or copied counts once.

    What is too old to be remembered is not counted at all: nobody would know it when it comes again.
    """
    tally = case.tally
    if case.risk_class is RiskClass.NONE:
        return tally
    rank = rules.flag.burst.severity.rank
    incidents = {old.incident_id for old in case.sightings if old.severity.rank >= rank}
    texts = {old.text for old in case.sightings if old.text and old.severity.rank >= rank}
    for sighting in sorted(fresh, key=lambda sighting: (sighting.at, sighting.report_id)):
        if sighting.severity.rank < rank or sighting.at <= now - rules.memory.length:
            continue
        if sighting.incident_id not in incidents and sighting.text not in texts:
            start = tally or Tally(sighting.at, sighting.at)
            tally = start.with_one(sighting.at, rules.flag.usual.half_life)
        incidents.add(sighting.incident_id)
        if sighting.text:
            texts.add(sighting.text)
    return tally


def _corroborated(case: Case, rules: AlertingRules) -> Found | None:
    """The incident that flags as one grave report would, since several senders tell of it independently."""
    told = corroborated(case.sightings, rules.flag.corroboration.needed)
    grave = [one for one in told if flags_alone(case, one.sighting, rules.flag)]
    if not grave:
        return None
    first = min(grave, key=lambda one: (one.sighting.at, one.sighting.report_id))
    window = max(rules.flag.burst.window, first.sighting.at - first.first.at)
    return Found(first.sighting, Cause.SINGLE, window, first.grounds)


def _failures(sightings: Sequence[Sighting], rules: AlertingRules) -> Found | None:
    """The failure that makes enough of them within any window, whenever they came to us."""
    window = rules.classify_failed.window
    inside: deque[Sighting] = deque()
    for sighting in sightings:
        if sighting.spent:
            continue
        inside.append(sighting)
        while inside[0].at < sighting.at - window:
            inside.popleft()
        if len(inside) >= rules.classify_failed.reports:
            return Found(sighting, Cause.CLASSIFY_FAILED, window)
    return None


def _burst(case: Case, rules: AlertingRules, background: Background) -> Found | None:
    burst = rules.flag.burst
    told = _by_incident(case.sightings, burst)
    firsts = {incident: sighting for sighting, incident in reversed(told)}
    inside: deque[tuple[Sighting, UUID]] = deque()
    incidents: set[UUID] = set()
    for sighting, incident in told:
        first = firsts[incident]
        if first.spent or sighting.spent:
            continue
        # An incident counts when it becomes known; what is told of it later corroborates it and makes no other.
        inside.append((sighting, incident))
        if sighting is first:
            incidents.add(incident)
        while inside[0][0].at < sighting.at - burst.window:
            gone, its = inside.popleft()
            if gone is firsts[its]:
                incidents.discard(its)
        if len(incidents) >= burst.incidents:
            within = [(one, its) for one, its in inside if its in incidents]
            found = _surprising(case, sighting, within, firsts, rules, background)
            if found:
                return found
    return None


def _by_incident(sightings: Sequence[Sighting], burst: Burst) -> list[tuple[Sighting, UUID]]:
    """Each grave enough report with its incident; the incident of a copied text is that of the first who told it."""
    owners: dict[int, UUID] = {}
    found = []
    for sighting in sightings:
        if sighting.severity.rank >= burst.severity.rank:
            known = owners.setdefault(sighting.text, sighting.incident_id) if sighting.text else sighting.incident_id
            found.append((sighting, known))
    return found


def _voices(within: Iterable[tuple[Sighting, UUID]]) -> int:
    """Distinct senders. Of senders that nobody knows each incident is one: they may be as many, and must not vanish."""
    return len({sighting.sender or incident for sighting, incident in within})


def _surprising(
    case: Case,
    last: Sighting,
    within: Sequence[tuple[Sighting, UUID]],
    firsts: dict[UUID, Sighting],
    rules: AlertingRules,
    background: Background,
) -> Found | None:
    burst, usual = rules.flag.burst, rules.flag.usual
    if _voices(within) < burst.senders:
        return None
    counted_incidents = {incident for _, incident in within}
    incidents = len(counted_incidents)
    # What is usual is asked for when the newest incident became known: a later copy must not make it look rarer.
    edge = max(firsts[incident].at for incident in counted_incidents) - burst.window
    tally = case.tally
    later = 0.0
    if tally:
        later = sum(weight_in(tally, first.at, usual.half_life) for first in firsts.values() if first.at >= edge)
    rate = background.rate(case.region_code, case.risk_class, tally, later, usual, edge)
    chance = rate.chance_of_at_least(incidents, burst.window)
    if chance > burst.most_probability:
        return None
    known = {sighting.sender for sighting, _ in within if sighting.sender}
    texts = len({sighting.text or sighting.report_id for sighting, _ in within})
    grounds = (
        f"{incidents} kejadian dalam {_number(burst.within_hours)} jam; "
        f"biasanya {_number(rate.expected(burst.window))} "
        f"(peluang kebetulan {_chance(chance)}); {len(within)} pesan, "
        f"{f'{len(known)} pengirim' if known else 'pengirim tidak diketahui'}, {texts} teks"
    )
    return Found(last, Cause.BURST, burst.window, grounds)


def gravest(sightings: Iterable[Sighting]) -> Severity:
    """The highest severity among the reports; `none` without any."""
    return max((sighting.severity for sighting in sightings), key=lambda severity: severity.rank, default=Severity.NONE)


def _number(value: float) -> str:
    """`0,8`, `48`: as an Indonesian reader expects it."""
    if 0 < value < 0.095:
        return "kurang dari 0,1"
    if value == int(value):
        return str(int(value))
    return f"{value:.2g}".replace(".", ",") if value < 10 else f"{value:.0f}"


def _chance(value: float) -> str:
    return "kurang dari 0,01 %" if value < 1e-4 else f"{value * 100:.2g} %".replace(".", ",")
