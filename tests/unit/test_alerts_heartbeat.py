"""Who always reports and falls silent; the clock is moved by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from services.alerts import decide, heartbeat
from services.alerts.case import Cause
from services.alerts.heartbeat import EVERYTHING, Pulse, beaten, case_of, fell_silent, heard_again, silences
from services.alerts.places import Places
from services.alerts.rules import AlertingRules, Heartbeat
from shared.contracts import AlertState, RiskClass

RULES = AlertingRules()
HEARTBEAT = Heartbeat()
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EVENING = datetime(2024, 11, 20, 14, 0, tzinfo=UTC)
"""21.00 WIB, 22.00 WITA."""
PLACES = Places.of({"63": "Provinsi Kalimantan Selatan", "63.11": "Kabupaten Balangan"})
BALANGAN, WEBHOOK, NEWS = "region:63.11", "source:lapangan", "source:berita"


def pulse(*, days: int = 30, per_day: float = 20, until: datetime = EVENING) -> Pulse:
    """Somebody who has reported evenly, day and night."""
    found = None
    step = DAY / per_day
    for number in reversed(range(int(days * per_day) + 1)):
        found = beaten(found, until - step * number, HEARTBEAT)
    assert found is not None
    return found


def silent(now: datetime, **pulses: Pulse) -> list[str]:
    """Whose silence is told."""
    names = {"all_": EVERYTHING, "balangan": BALANGAN, "webhook": WEBHOOK, "news": NEWS}
    return [found.who for found in silences({names[name]: one for name, one in pulses.items()}, HEARTBEAT, now)]


def test_a_region_that_always_reports_and_falls_silent_is_told_and_one_that_rarely_does_is_not() -> None:
    now = EVENING + 3 * DAY
    everything = pulse(per_day=200, until=now)
    assert silent(now, all_=everything, balangan=pulse(until=EVENING)) == [BALANGAN]
    assert silent(now, all_=everything, balangan=pulse(until=EVENING, per_day=0.5)) == []
    assert silent(now, all_=everything, balangan=pulse(until=EVENING, days=3)) == []
    assert silent(now, all_=everything, balangan=pulse(until=now - HOUR)) == []


def test_the_longer_silence_is_told_of_who_reports_more_rarely() -> None:
    def hours_until_told(per_day: float) -> int:
        one = pulse(per_day=per_day)
        return next(
            hours
            for hours in range(1, 24 * 40)
            if silent(EVENING + HOUR * hours, all_=pulse(per_day=300, until=EVENING + HOUR * hours), balangan=one)
        )

    assert 12 < hours_until_told(100) < hours_until_told(3) < hours_until_told(1.2)


def test_the_hours_of_the_night_are_no_silence() -> None:
    one = pulse(per_day=400)
    # Sixteen hours later it is eight hours into the day in Balangan (WITA): less than the least that is told.
    early = EVENING + 16 * HOUR
    assert silent(early, all_=pulse(per_day=4000, until=early), balangan=one) == []
    later = EVENING + 21 * HOUR
    assert silent(later, all_=pulse(per_day=4000, until=later), balangan=one) == [BALANGAN]


def test_when_everything_is_silent_no_source_is_blamed_and_when_a_source_is_no_region_is() -> None:
    now = EVENING + 3 * DAY
    assert silent(now, all_=pulse(per_day=200), webhook=pulse(), balangan=pulse()) == [EVERYTHING]
    assert silent(now, all_=pulse(per_day=200, until=now), webhook=pulse(), balangan=pulse()) == [WEBHOOK]


def test_what_ebbs_away_everywhere_after_voting_day_surprises_nowhere() -> None:
    everything = pulse(per_day=500)
    now = EVENING
    for _ in range(6 * 4):  # six days with four reports each in the whole country
        now += 6 * HOUR
        everything = beaten(everything, now, HEARTBEAT)
    assert silent(now, all_=everything, balangan=pulse(per_day=3)) == []
    assert silent(now, all_=pulse(per_day=500, until=now), balangan=pulse(per_day=3)) == [BALANGAN]


def test_a_report_that_comes_again_beats_no_second_time() -> None:
    one = pulse()
    assert beaten(one, one.last, HEARTBEAT) is one
    assert beaten(one, one.last - HOUR, HEARTBEAT) is one
    assert beaten(one, one.last + HOUR, HEARTBEAT).count > one.count


def test_a_silence_is_one_alert_that_is_resolved_by_itself_when_something_is_heard() -> None:
    now = EVENING + 3 * DAY
    pulses = {EVERYTHING: pulse(per_day=200, until=now), BALANGAN: pulse()}
    (silence,) = silences(pulses, HEARTBEAT, now)
    outcome = fell_silent(case_of(BALANGAN, PLACES), silence, RULES, now)

    alert = outcome.case.alert
    assert alert is not None
    assert (alert.cause, outcome.case.region_code, outcome.case.risk_class) == (
        Cause.SILENCE, "63.11", RiskClass.NONE,
    )  # fmt: skip
    assert alert.grounds.startswith("tidak ada laporan selama 72 jam; biasanya 20 laporan sehari (peluang kebetulan ")
    assert fell_silent(outcome.case, silence, RULES, now + HOUR).case is outcome.case
    assert heard_again(outcome.case, pulses[BALANGAN], now).case is outcome.case

    heard = heard_again(outcome.case, beaten(pulses[BALANGAN], now, HEARTBEAT), now + HOUR)
    assert [(event.event, event.actor, event.reason) for event in heard.events] == [
        ("resolved", "system", "laporan masuk lagi")
    ]
    assert heard.case.alert is not None
    assert heard.case.alert.state is AlertState.RESOLVED


def test_a_silence_that_an_officer_has_closed_is_not_told_again_while_it_lasts() -> None:
    now = EVENING + 3 * DAY
    pulses = {EVERYTHING: pulse(per_day=200, until=now), BALANGAN: pulse()}
    (silence,) = silences(pulses, HEARTBEAT, now)
    case = fell_silent(case_of(BALANGAN, PLACES), silence, RULES, now).case
    closed = decide.resolve(case, actor="a", reason="pengawas cuti", now=now).case
    assert fell_silent(closed, silence, RULES, now + DAY).case is closed

    back = beaten(pulses[BALANGAN], now + DAY, HEARTBEAT)
    again = silences({EVERYTHING: pulse(per_day=200, until=now + 5 * DAY), BALANGAN: back}, HEARTBEAT, now + 5 * DAY)
    assert [event.event for event in fell_silent(closed, again[0], RULES, now + 5 * DAY).events] == ["opened"]


@pytest.mark.parametrize(
    ("who", "name"),
    [(BALANGAN, "Kabupaten Balangan"), (WEBHOOK, "sumber lapangan"), (heartbeat.EVERYTHING, "semua sumber")],
)
def test_whose_silence_it_is_is_said_in_words(who: str, name: str) -> None:
    assert case_of(who, PLACES).region_name == name
