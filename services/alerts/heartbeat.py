"""A region or source that always reports and falls silent: nothing heard is not nothing happened. Pure functions.

How surprising a silence is follows from how often the region or source reports (a Poisson process with a Gamma rate);
only hours of the day count, by the place's own clock. What falls silent everywhere, as after voting day, surprises
nowhere; and when a source or everything is silent, no region is blamed for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from uuid import UUID, uuid5

from msgspec import Struct

from services.alerts import decide
from services.alerts.baseline import DAY, Rate, decayed_days
from services.alerts.case import Case, Cause, Sighting
from services.alerts.decide import Outcome
from services.alerts.flagging import Found
from services.alerts.places import Places
from services.alerts.rules import AlertingRules, Heartbeat
from services.alerts.zones import zone_of
from shared.contracts import RiskClass, Severity

SUBJECT = "silence:"
EVERYTHING = "all"
SOURCE = "source:"
REGION = "region:"
BRISK_HALF_LIFE = DAY
"""How quickly a change that concerns everybody is noticed."""

_SILENCES = UUID("0d2f1c1e-9a3b-5b5e-8f04-7c1d2e3f4a5b")
_HOURS_FROM_UTC = {"WIB": 7, "WITA": 8, "WIT": 9}


class Pulse(Struct, frozen=True, array_like=True):
    """How often somebody reports: counts in which each report weighs half after every half-life, as of `last`."""

    since: datetime
    last: datetime
    count: float
    brisk: float
    """The same with the half-life of a day."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A surprising one.

    Attributes:
        who: `all`, `source:<name>` or `region:<code>`.
        last: when anything was heard.
        grounds: how long, what is usual, and how probable it is; in Indonesian.
    """

    who: str
    last: datetime
    grounds: str


def heard(source: str, region_code: str) -> tuple[str, ...]:
    """Of whom a report is a sign of life."""
    who = (EVERYTHING, SOURCE + source)
    return (*who, REGION + region_code) if region_code else who


def beaten(pulse: Pulse | None, at: datetime, rules: Heartbeat) -> Pulse:
    """The pulse with one more report; one that is not later than the last changes nothing."""
    if pulse is None:
        return Pulse(at, at, 1.0, 1.0)
    if at <= pulse.last:
        return pulse
    age = at - pulse.last
    count = pulse.count * 0.5 ** (age / rules.half_life) + 1
    return Pulse(pulse.since, at, count, pulse.brisk * 0.5 ** (age / BRISK_HALF_LIFE) + 1)


def silences(pulses: Mapping[str, Pulse], rules: Heartbeat, now: datetime) -> list[Silence]:
    """The silences that are told: everything's alone, else those of sources, else those of regions."""
    everything = pulses.get(EVERYTHING)
    if everything is None:
        return []
    if found := _silence(EVERYTHING, everything, 1.0, rules, now):
        return [found]
    liveliness = _liveliness(everything, rules, now)
    for kind in (SOURCE, REGION):
        silent = [
            found
            for who, pulse in pulses.items()
            if who.startswith(kind) and (found := _silence(who, pulse, liveliness, rules, now))
        ]
        if silent:
            return silent
    return []


def case_of(who: str, places: Places) -> Case:
    """The (still empty) case of somebody's silence."""
    code = who.removeprefix(REGION) if who.startswith(REGION) else ""
    name = places.names.get(code, code) if code else "semua sumber"
    if who.startswith(SOURCE):
        name = f"sumber {who.removeprefix(SOURCE)}"
    return Case(code, name, RiskClass.NONE, subject=SUBJECT + who)


def fell_silent(case: Case, silence: Silence, rules: AlertingRules, now: datetime) -> Outcome:
    """Open an alert, once for each silence: one that an officer has closed stays closed until something is heard."""
    if case.alert and (case.alert.is_open or case.alert.opened_at > silence.last):
        return Outcome(case)
    opener = Sighting(
        uuid5(_SILENCES, f"{silence.who}/{silence.last.isoformat()}"), _SILENCES, "", silence.last, Severity.NONE
    )
    severity = Severity.MEDIUM if silence.who.startswith(REGION) else Severity.HIGH
    return decide.opened(case, Found(opener, Cause.SILENCE, timedelta(0), silence.grounds), severity, rules, now)


def heard_again(case: Case, pulse: Pulse, now: datetime) -> Outcome:
    """Close the alert when something has been heard since it was opened."""
    if case.alert is None or not case.alert.is_open or pulse.last <= case.alert.last_known_at:
        return Outcome(case)
    return decide.resolve(case, actor="system", reason="laporan masuk lagi", now=now)


def _silence(who: str, pulse: Pulse, liveliness: float, rules: Heartbeat, now: datetime) -> Silence | None:
    watched = decayed_days(pulse.last - pulse.since, rules.half_life)
    if pulse.last - pulse.since < timedelta(days=rules.least_days):
        return None
    rate = Rate(pulse.count * liveliness, watched)
    if rate.per_day < rules.least_per_day:
        return None
    code = who.removeprefix(REGION) if who.startswith(REGION) else ""
    offset = timedelta(hours=_HOURS_FROM_UTC[zone_of(code)])
    hours = _hours_of_day(now, offset, rules) - _hours_of_day(pulse.last, offset, rules)
    chance = rate.chance_of_none(timedelta(days=hours / (rules.day_to_hour - rules.day_from_hour)))
    if hours < rules.least_hours or chance > rules.most_probability:
        return None
    chance_words = f"{chance * 100:.2g}" if chance >= 1e-4 else "kurang dari 0,01"
    grounds = (
        f"tidak ada laporan selama {(now - pulse.last) / timedelta(hours=1):.0f} jam; biasanya "
        f"{_number(rate.per_day)} laporan sehari (peluang kebetulan {chance_words.replace('.', ',')} %)"
    )
    return Silence(who, pulse.last, grounds)


def _liveliness(everything: Pulse, rules: Heartbeat, now: datetime) -> float:
    """How lively it is everywhere of late against what is usual, 1 at most."""
    usual = everything.count / max(decayed_days(everything.last - everything.since, rules.half_life), 1e-9)
    since_last = now - everything.last
    brisk = everything.brisk * 0.5 ** (since_last / BRISK_HALF_LIFE)
    of_late = brisk / max(decayed_days(now - everything.since, BRISK_HALF_LIFE), 1e-9)
    return min(1.0, of_late / usual) if usual else 1.0


def _hours_of_day(at: datetime, offset: timedelta, rules: Heartbeat) -> float:
    """Hours of the day, by local clock, since a fixed point in the past."""
    local = at.astimezone(timezone(offset))
    hour = local.hour + local.minute / 60 + local.second / 3600
    today = min(max(hour - rules.day_from_hour, 0.0), rules.day_to_hour - rules.day_from_hour)
    return local.toordinal() * (rules.day_to_hour - rules.day_from_hour) + today


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".replace(".", ",")
