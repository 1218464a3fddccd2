"""How many incidents a region usually has, and how surprising a number is against that.

Every region and class has an own tally: incidents, the older the less they count. Since the numbers are small, its rate
is a Gamma distribution that starts from what the province, and behind it the nation, usually has (empirical Bayes), and
moves to the region's own figures as days pass. A number of incidents is then judged by the distribution that follows
from it (a Poisson number with a Gamma rate, which is the negative binomial), so that little knowledge makes careful.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from msgspec import Struct

from services.alerts.rules import Usual
from shared.contracts import RiskClass

DAY = timedelta(days=1)


class Tally(Struct, frozen=True, array_like=True):
    """Incidents counted so far, each with half its weight after every half-life."""

    since: datetime
    """When counting began."""
    at: datetime
    """The moment for which `count` holds."""
    count: float = 0.0

    def with_one(self, at: datetime, half_life: timedelta) -> "Tally":
        """The tally with one more incident, whenever it was: the order of adding changes nothing but rounding."""
        newest = max(self.at, at)
        count = self.count * _weight(newest - self.at, half_life) + _weight(newest - at, half_life)
        return Tally(min(self.since, at), newest, count)

    def count_at(self, at: datetime, half_life: timedelta) -> float:
        """The count as it weighs at another moment."""
        return self.count * _weight(at - self.at, half_life)


@dataclass(frozen=True, slots=True)
class Rate:
    """What is known of a rate per day: a Gamma distribution of `incidents` seen in `days`."""

    incidents: float
    days: float

    @property
    def per_day(self) -> float:
        """The mean of the rate."""
        return self.incidents / self.days

    def expected(self, window: timedelta) -> float:
        """How many incidents are usual in a window."""
        return self.per_day * (window / DAY)

    def chance_of_at_least(self, number: int, window: timedelta) -> float:
        """The probability (0 to 1) that a window brings so many incidents or more by chance alone."""
        if number <= 0:
            return 1.0
        share = (window / DAY) / (self.days + window / DAY)
        term = math.exp(self.incidents * math.log1p(-share))
        fewer = 0.0
        for seen in range(number):
            fewer += term
            term *= (self.incidents + seen) / (seen + 1) * share
        return min(1.0, max(0.0, 1.0 - fewer))

    def chance_of_none(self, window: timedelta) -> float:
        """The probability (0 to 1) that a window brings nothing by chance alone."""
        return math.exp(-self.incidents * math.log1p((window / DAY) / self.days))


@dataclass(frozen=True, slots=True)
class Background:
    """What the other regencies of a province, and of the nation, usually have: the prior of each.

    Attributes:
        at: when it was put together.
        since: when counting began anywhere: a region that has reported nothing since then is known to be quiet.
        tallies: of all regions, by code and class.
        counts: incidents of all regencies of a province (empty: of the nation) and class, as they weigh at `at`.
        regencies: how many each province has (empty: the nation), also those that have never reported.
    """

    at: datetime | None = None
    since: datetime | None = None
    tallies: Mapping[tuple[str, RiskClass], Tally] = field(default_factory=dict)
    counts: Mapping[tuple[str, RiskClass], float] = field(default_factory=dict)
    regencies: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        tallies: Mapping[tuple[str, RiskClass], Tally],
        regencies: Mapping[str, int],
        usual: Usual,
        now: datetime,
    ) -> "Background":
        """What the tallies of all regions say, and the number of regencies of each province."""
        if not tallies:
            return cls()
        counts: dict[tuple[str, RiskClass], float] = defaultdict(float)
        for (region_code, risk_class), tally in tallies.items():
            if "." in region_code:  # what is known of no regency says nothing about regencies
                count = tally.count_at(now, usual.half_life)
                counts["", risk_class] += count
                counts[region_code[:2], risk_class] += count
        since = min(tally.since for tally in tallies.values())
        return cls(now, since, dict(tallies), dict(counts), {"": sum(regencies.values()), **regencies})

    def rate(
        self,
        region_code: str,
        risk_class: RiskClass,
        tally: Tally | None,
        inside: float,
        usual: Usual,
        until: datetime,
    ) -> Rate:
        """A region's rate as it was known at `until`.

        Args:
            region_code, risk_class: whose.
            tally: the region's own; `None` when it has none yet.
            inside: the weight that incidents later than `until` have in the tally; they are not part of the usual.
            usual: the settings.
            until: the moment, normally the beginning of the window that is judged.
        """
        incidents, days = self._prior(region_code, risk_class, usual) * usual.prior_days, usual.prior_days
        starts = [at for at in (tally.since if tally else None, self.since) if at]
        if starts and until > min(starts):
            days += decayed_days(until - min(starts), usual.half_life)
            if tally:
                incidents += max(0.0, tally.count - inside) * _weight(until - tally.at, usual.half_life)
        return Rate(max(incidents, 1e-9), days)

    def _prior(self, region_code: str, risk_class: RiskClass, usual: Usual) -> float:
        """Incidents per day in the other regencies of its province, as far as known like those of the nation."""
        rate = usual.incidents_per_day
        if self.at is None or self.since is None:
            return rate
        watched = decayed_days(self.at - self.since, usual.half_life)
        own = self.tallies.get((region_code, risk_class))
        own_count = own.count_at(self.at, usual.half_life) if own and "." in region_code else 0.0
        for area in ("", region_code[:2]) if region_code else ("",):
            count = max(0.0, self.counts.get((area, risk_class), 0.0) - own_count)
            others = max(0, self.regencies.get(area, 1) - 1)
            rate = (rate * usual.prior_days + count) / (usual.prior_days + watched * others)
        return rate


def weight_in(tally: Tally, at: datetime, half_life: timedelta) -> float:
    """The weight of an incident of that time in the tally."""
    return _weight(tally.at - at, half_life)


def decayed_days(span: timedelta, half_life: timedelta) -> float:
    """How many days a span counts, when each day counts half after every half-life."""
    if span <= timedelta(0):
        return 0.0
    length = half_life / DAY / math.log(2)
    return length * -math.expm1(-(span / DAY) / length)


def _weight(age: timedelta, half_life: timedelta) -> float:
    return float(0.5 ** (age / half_life))
