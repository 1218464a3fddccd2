"""The same act in several parts of a region; the clock is moved by hand."""

from datetime import datetime, timedelta

from services.alerts import decide, patterns
from services.alerts.case import Case, Cause
from services.alerts.decide import Outcome
from services.alerts.patterns import Hit, hits_of, look, regions_of
from services.alerts.places import Places
from services.alerts.rules import AlertingRules
from shared.contracts import District, Region, RiskClass, Severity
from tests.assessments import BALANGAN, PARINGIN, VOTING_DAY, an_assessment

RULES = AlertingRules()
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
PLACES = Places.of(
    {"63": "Provinsi Kalimantan Selatan", "64": "Provinsi Kalimantan Timur"}
    | {f"63.{n:02}": f"Kabupaten {n}" for n in range(1, 14)}
    | {f"63.11.{n:02}": f"Kecamatan {n}" for n in range(1, 9)}
)


def hit(place: str, at: datetime = VOTING_DAY, *, sender: str = "", severity: Severity = Severity.MEDIUM) -> Hit:
    """An act of handing out money told of a regency or district."""
    region = Region(code=place[:5], name=PLACES.names[place[:5]], level="regency", confidence=1)
    if len(place) > 5:
        region = region.model_copy(update={"district": District(code=place, name=PLACES.names[place])})
    (found,) = hits_of(an_assessment(region=region, at=at, sender=sender, severity=severity), RULES)
    return found


def looked(hits: list[Hit], *, case: Case | None = None, now: datetime = VOTING_DAY) -> dict[str, Outcome]:
    """What becomes of each region that the hits may make a pattern of."""
    return {
        code: look(case or patterns.empty_case(code, risk_class, PLACES), theirs, PLACES, RULES, now)
        for (code, risk_class), theirs in regions_of(hits).items()
    }


def districts(*numbers: int, at: datetime = VOTING_DAY) -> list[Hit]:
    """Hits in districts of Balangan, an hour apart, each of another sender."""
    return [hit(f"63.11.{n:02}", at + HOUR * n, sender=f"p{n}") for n in numbers]


def test_the_same_act_in_three_of_eight_districts_alerts_the_regency_and_names_them() -> None:
    assert looked(districts(1, 2))["63.11"].case.alert is None

    outcome = looked(districts(1, 2, 5))["63.11"]

    alert = outcome.case.alert
    assert alert is not None
    assert (alert.cause, alert.severity) == (Cause.PATTERN, Severity.HIGH)
    assert alert.details == ("Kecamatan 1", "Kecamatan 2", "Kecamatan 5")
    assert alert.grounds == ("pola yang sama dalam 7 hari: Pembagian uang tunai/amplop di 3 dari 8 kecamatan (38 %)")
    (event,) = outcome.events
    assert (event.event, event.region_code, event.incidents, event.senders) == ("opened", "63.11", 3, 3)
    assert "3 dari 8 kecamatan" in event.reason


def test_half_of_the_districts_is_critical_and_named_as_the_threshold_of_tsm() -> None:
    alert = looked(districts(1, 2, 3, 4))["63.11"].case.alert
    assert alert is not None
    assert alert.severity is Severity.CRITICAL
    assert "4 dari 8 kecamatan (50 %); ini mencapai 50 %, batas bukti laporan TSM" in alert.grounds


def test_several_regencies_alert_their_province_wherever_in_them_it_was_told() -> None:
    told = [hit("63.01", sender="a"), hit("63.02", sender="b"), hit("63.11", sender="c"), hit("63.11.03", sender="d")]
    outcome = looked(told)
    assert "63.11" not in outcome or outcome["63.11"].case.alert is None
    assert outcome["63"].case.alert is None, "three of thirteen are less than a quarter"

    alert = looked([*told, hit("63.05", sender="e")])["63"].case.alert
    assert alert is not None
    assert alert.details == ("Kabupaten 1", "Kabupaten 11", "Kabupaten 2", "Kabupaten 5")
    assert "4 dari 13 kabupaten/kota (31 %)" in alert.grounds


def test_one_sender_makes_no_pattern_however_many_places_he_names() -> None:
    told = [hit(f"63.11.{n:02}", sender="buzzer") for n in range(1, 9)]
    assert looked(told)["63.11"].case.alert is None


def test_places_further_apart_in_time_than_the_window_make_no_pattern() -> None:
    told = [*districts(1, 2), *districts(3, at=VOTING_DAY + 8 * DAY)]
    assert looked(told, now=VOTING_DAY + 8 * DAY)["63.11"].case.alert is None


def test_another_place_is_told_of_an_open_pattern_and_more_of_the_same_is_not() -> None:
    case = looked(districts(1, 2, 5))["63.11"].case
    more_of_the_same = districts(1, 2, 5, at=VOTING_DAY + DAY)
    assert looked(more_of_the_same, case=case)["63.11"].case is case

    another = looked([*more_of_the_same, *districts(7, at=VOTING_DAY + DAY)], case=case)["63.11"]
    assert [event.event for event in another.events] == ["evidence_added", "severity_raised"]
    assert another.case.alert is not None
    assert another.case.alert.details == ("Kecamatan 1", "Kecamatan 2", "Kecamatan 5", "Kecamatan 7")
    assert "4 dari 8" in another.case.alert.grounds


def test_a_resolved_pattern_stays_closed_until_it_comes_again_in_enough_places() -> None:
    case = looked(districts(1, 2, 5))["63.11"].case
    closed_at = VOTING_DAY + DAY
    closed = decide.resolve(case, actor="a", reason="satu pelaku", now=closed_at).case

    old = districts(1, 2, 5)
    assert looked(old, case=closed, now=closed_at)["63.11"].case is closed
    two_new = [*districts(1, 2, at=closed_at), *districts(5)]
    assert looked(two_new, case=closed, now=closed_at + DAY)["63.11"].case is closed
    again = looked(districts(1, 2, 6, at=closed_at), case=closed, now=closed_at + DAY)["63.11"]
    assert [event.event for event in again.events] == ["opened"]
    assert again.events[0].incidents == 3


def test_the_same_reports_open_the_same_alert_whatever_their_order() -> None:
    told = districts(1, 2, 5)
    one, other = looked(told)["63.11"].case.alert, looked(told[::-1])["63.11"].case.alert
    assert one is not None
    assert other is not None
    assert one.alert_id == other.alert_id


def test_reports_without_regency_or_of_low_severity_make_no_pattern() -> None:
    low = an_assessment(region=PARINGIN, severity=Severity.LOW)
    province = BALANGAN.model_copy(update={"code": "63", "level": "province"})
    assert hits_of(low, RULES) == []
    assert hits_of(an_assessment(region=None), RULES) == []
    assert hits_of(an_assessment(region=province), RULES) == []


def test_classes_are_patterns_of_their_own() -> None:
    assert {risk_class for _, risk_class in regions_of(districts(1, 2))} == {RiskClass.MONEY_POLITICS}
