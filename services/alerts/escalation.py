"""How an alert climbs that nobody takes, or whose time in law runs out: from those it concerns first, step by step."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from services.alerts.rules import Deadline, Escalation
from shared.calendar import working_day_before

SHORTEST_ACKNOWLEDGEMENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Rung:
    """Where on the ladder: `step` 0 stands for those the alert concerns first; `rounds` were climbed before."""

    step: int
    rounds: int


def next_rung(rung: Rung, escalation: Escalation, tellable: Collection[int]) -> Rung | None:
    """Where an unacknowledged alert goes from here, or `None` when the last round is over.

    Steps that are not `tellable` (nobody stands there) are passed over at once, so none of them costs time; where none
    is, there is nowhere to go.
    """
    steps = len(escalation.steps)
    if not tellable:
        return None
    following = rung
    for _ in range(steps + 1):
        is_last = following.step >= steps
        following = Rung(0, following.rounds + 1) if is_last else Rung(following.step + 1, following.rounds)
        if following.rounds > escalation.repeat:
            return None
        if not following.step or following.step in tellable:
            return following
    return None


def escalates_at(rung: Rung, escalation: Escalation, now: datetime) -> datetime | None:
    """When the step after `rung` is due, told now; `None` when there is none left.

    After the last step a new round begins when the first step's time has passed once more.
    """
    if not escalation.steps:
        return None
    if rung.step < len(escalation.steps):
        return now + escalation.steps[rung.step].after
    return now + escalation.steps[0].after if rung.rounds < escalation.repeat else None


def acknowledgement_ends_at(lasts: timedelta, report_until: datetime | None, now: datetime) -> datetime:
    """When an acknowledgement of now goes stale.

    After `lasts`, or when half of the time is gone that the law leaves for a report, whichever comes first; but never
    within the first hour. Once the law's term has passed only `lasts` counts.
    """
    if report_until is not None and report_until > now:
        lasts = min(lasts, max(SHORTEST_ACKNOWLEDGEMENT, (report_until - now) / 2))
    return now + lasts


def deadline_times(until: datetime, deadline: Deadline, zone: tzinfo) -> list[datetime]:
    """When the reminders of a term that ends at `until` are due, the earliest first; `zone` is that of the place."""
    last_day = until.astimezone(zone).date()
    times = [
        until - timedelta(hours=stage.hours)
        if stage.hours is not None
        else datetime.combine(working_day_before(last_day, stage.working_days or 0), deadline.at, tzinfo=zone)
        for stage in deadline.stages
    ]
    return sorted(times)


def step_above(rung: Rung, tellable: Collection[int]) -> Rung:
    """The next `tellable` step above; where there is none, `rung` itself."""
    return Rung(min((step for step in tellable if step > rung.step), default=rung.step), rung.rounds)
