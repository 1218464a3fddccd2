"""Quiet hours and rotas, in the times of Indonesia."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from services.alerts.duty import QuietHours, Rota
from services.alerts.officers import Officer, Officers, gaps, without_own
from services.alerts.zones import zone_info

NIGHT = QuietHours.model_validate({"from": "22:00", "to": "06:00"})


def in_zone(zone: str, day: int, hour: int, minute: int = 0) -> datetime:
    """A time of November 2024, as it is written on the wall there."""
    return datetime(2024, 11, day, hour, minute, tzinfo=zone_info(zone)).astimezone(UTC)


@pytest.mark.parametrize("zone", ["WIB", "WITA", "WIT"])
def test_quiet_hours_over_midnight_end_in_the_morning_of_the_officers_own_zone(zone: str) -> None:
    assert NIGHT.until(in_zone(zone, 26, 21, 59), zone) is None
    assert NIGHT.until(in_zone(zone, 26, 22), zone) == in_zone(zone, 27, 6)
    assert NIGHT.until(in_zone(zone, 27, 5, 59), zone) == in_zone(zone, 27, 6)
    assert NIGHT.until(in_zone(zone, 27, 6), zone) is None


def test_quiet_hours_within_a_day() -> None:
    noon = QuietHours.model_validate({"from": "12:00", "to": "13:00"})
    assert noon.until(in_zone("WIB", 27, 12, 30), "WIB") == in_zone("WIB", 27, 13)
    assert noon.until(in_zone("WIB", 27, 13), "WIB") is None


def test_a_clock_time_that_yaml_read_as_a_number_means_the_same() -> None:
    assert QuietHours.model_validate({"from": 22 * 60, "to": "06:00"}) == NIGHT


@pytest.mark.parametrize("wrong", [{"from": "22:00", "to": "22:00"}, {"from": "25:00", "to": "06:00"}])
def test_impossible_quiet_hours_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        QuietHours.model_validate(wrong)


def an_officer(id_: str, region: str, **more: object) -> Officer:
    """An officer with one webhook."""
    entry = {"id": id_, "role": "regency", "regions": [region], "channels": ["json://h/x"], **more}
    return Officer.model_validate(entry)


def test_an_officers_zone_is_that_of_the_region_unless_another_is_given() -> None:
    assert an_officer("a", "63.11").zone == "WITA"
    assert an_officer("a", "81.71").zone == "WIT"
    assert an_officer("a", "63.11", time_zone="WIB").zone == "WIB"
    with pytest.raises(ValidationError, match="use WIB, WITA or WIT"):
        an_officer("a", "63.11", time_zone="Mars")


def test_a_daily_rota_hands_over_at_its_hour() -> None:
    rota = Rota(id="piket", officers=("a", "b", "c"))
    turns = [rota.on_duty(in_zone("WITA", day, 8), "WITA") for day in range(25, 29)]
    assert turns[:3] in (["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"])
    assert turns[3] == turns[0]
    assert rota.on_duty(in_zone("WITA", 26, 7, 59), "WITA") == turns[0]


def test_a_weekly_rota_changes_once_a_week_and_since_says_who_begins() -> None:
    rota = Rota.model_validate({"id": "p", "officers": ["a", "b"], "turn": "week", "since": "2024-11-25"})
    turns = [rota.on_duty(in_zone("WIB", 25, 9) + timedelta(days=number), "WIB") for number in range(14)]
    assert turns == ["a"] * 7 + ["b"] * 7


def test_turns_are_counted_in_duty_days_only() -> None:
    rota = Rota.model_validate(
        {"id": "p", "officers": ["a", "b"], "since": "2024-11-25", "days": ["mon", "tue", "wed", "thu", "fri"]}
    )
    turns = [rota.on_duty(in_zone("WIB", 25, 9) + timedelta(days=number), "WIB") for number in range(9)]
    assert turns == ["a", "b", "a", "b", "a", None, None, "b", "a"]


def with_rota(**rota: object) -> Officers:
    """Two officers of Balangan who take turns, one of the province, one operator."""
    people = [an_officer("a", "63.11"), an_officer("b", "63.11"), an_officer("kalsel", "63", role="province")]
    entries = [officer.model_dump(mode="json") for officer in people]
    return Officers.model_validate(
        {"officers": entries, "rotas": [{"id": "p", "officers": ["a", "b"], "since": "2024-11-25", **rota}]}
    )


def test_only_the_officer_on_duty_is_told_and_without_one_the_parent() -> None:
    officers = with_rota(days=["mon", "tue"])
    assert [one.id for one in officers.for_place("63.11", at=in_zone("WITA", 25, 9))] == ["a"]
    assert [one.id for one in officers.for_place("63.11", at=in_zone("WITA", 26, 9))] == ["b"]
    assert [one.id for one in officers.for_place("63.11", at=in_zone("WITA", 27, 9))] == ["kalsel"]


def test_check_can_name_regions_without_duty_and_regions_without_officers_of_their_own() -> None:
    start = in_zone("WITA", 25, 9)
    assert gaps(with_rota(), start) == {}
    assert gaps(with_rota(days=["mon", "tue"]), start) == {"63.11": in_zone("WITA", 27, 8)}
    assert without_own(with_rota(), ["63.11", "63.01", "81.71"]) == ["63.01"]


def test_a_rota_of_a_stranger_is_refused() -> None:
    with pytest.raises(ValidationError, match="names 'x'"):
        with_rota(officers=["a", "x"])
