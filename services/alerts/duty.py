"""Who is on duty: rotas that hand over from one officer to the next, by the clock of their place."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.alerts.zones import zone_info

_MONDAY = date(2024, 1, 1)
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock(value: Any) -> Any:
    """YAML reads an unquoted 22:00 as the number of its minutes."""
    return f"{value // 60:02}:{value % 60:02}" if isinstance(value, int) and 0 <= value < 24 * 60 else value


def _known_zone(name: str) -> str:
    if name:
        zone_info(name)
    return name


ClockTime = Annotated[time, BeforeValidator(_clock)]
ZoneName = Annotated[str, AfterValidator(_known_zone)]
"""`WIB`, `WITA`, `WIT`, a name such as `Asia/Jakarta`, or empty for the zone of the officer's region."""


class QuietHours(BaseModel):
    """When an officer is not disturbed, but for critical alerts."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    start: Annotated[ClockTime, Field(alias="from")]
    end: Annotated[ClockTime, Field(alias="to")]

    @model_validator(mode="after")
    def _not_all_day(self) -> Self:
        if self.start == self.end:
            raise ValueError("'from' and 'to' are the same; leave quiet_hours out where there are none")
        return self

    def until(self, now: datetime, zone: str) -> datetime | None:
        """When the quiet hours of now end, or `None` outside them. Over midnight when `to` lies before `from`."""
        there = now.astimezone(zone_info(zone))
        clock = there.time()
        over_midnight = self.start > self.end
        inside = clock >= self.start or clock < self.end if over_midnight else self.start <= clock < self.end
        if not inside:
            return None
        day = there.date() + timedelta(days=1 if over_midnight and clock >= self.start else 0)
        return datetime.combine(day, self.end, tzinfo=there.tzinfo).astimezone(now.tzinfo)


class Rota(BaseModel):
    """Officers who take turns; who is named in a rota is told only in their own turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    officers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Ids, in the order of their turns."""
    turn: Literal["day", "week"] = "day"
    hand_over: ClockTime = time(8)
    since: date = _MONDAY
    """The first day of the first officer's turn."""
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = _DAYS
    """Days that have duty; on the others nobody of this rota is on duty, and the parent region is told."""
    time_zone: ZoneName = ""

    def on_duty(self, now: datetime, zone: str) -> str | None:
        """The id of the officer whose turn it is, or `None` on a day without duty. A day begins at the hand-over."""
        there = now.astimezone(zone_info(self.time_zone or zone)).replace(tzinfo=None)
        day = (there - timedelta(hours=self.hand_over.hour, minutes=self.hand_over.minute)).date()
        duty = sorted(_DAYS.index(name) for name in set(self.days))
        if day.weekday() not in duty:
            return None
        weeks, rest = divmod((day - self.since).days, 7)
        if self.turn == "week":
            return self.officers[weeks % len(self.officers)]
        before = sum((self.since.weekday() + number) % 7 in duty for number in range(rest))
        return self.officers[(weeks * len(duty) + before) % len(self.officers)]
