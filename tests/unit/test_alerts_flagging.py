"""What flags a region by itself, and when so many incidents are more than usual; the clock is moved by hand."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts import decide
from services.alerts.baseline import DAY, Background, Rate, Tally, decayed_days
from services.alerts.case import Case, Cause, News, Reason
from services.alerts.corroboration import is_copy, map_of_words
from services.alerts.intake import concerns, hash_of_words, news_of
from services.alerts.render import Renderer
from services.alerts.rules import AlertingRules, Level, Usual
from shared.calendar import Calendar
from shared.contracts import AlertEvent, AlertState, Assessment, Region, RiskClass, Severity, Stage
from shared.settings import DEPLOY_DIR
from tests.assessments import BALANGAN, VOTING_DAY, an_assessment

RULES = AlertingRules()
CALENDAR = Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml")
DATA = Path(__file__).parents[1] / "data"
HOUR = timedelta(hours=1)
SOUTH_KALIMANTAN = Region(code="63", name="Provinsi Kalimantan Selatan", level="province", confidence=1)


def take_in(
    assessments: Iterable[Assessment],
    *,
    rules: AlertingRules = RULES,
    background: Background | None = None,
    case: Case | None = None,
) -> Case:
    """The case after these, each in its own batch at the time of its receipt."""
    for one in assessments:
        case = case or concerns(one, rules)
        assert case is not None
        case = decide.absorb(case, [news_of(one)], rules, one.report.received_at, background or Background()).case
    assert case is not None
    return case


def medium(at: datetime = VOTING_DAY, **parts: object) -> Assessment:
    """A report that flags nothing by itself."""
    return an_assessment(severity=Severity.MEDIUM, at=at, **parts)  # type: ignore[arg-type]


def every_day(days: int, *, per_day: int, until: datetime = VOTING_DAY) -> list[Assessment]:
    """Distinct incidents, the same number every day up to a time."""
    step = DAY / per_day
    return [medium(until - step * number, sender=f"p{number}") for number in reversed(range(1, days * per_day + 1))]


# One report


@pytest.mark.parametrize("stage", [Stage.MASA_TENANG, Stage.PUNGUT_HITUNG, Stage.PSU])
def test_a_medium_report_of_money_politics_flags_by_itself_around_voting_day(stage: Stage) -> None:
    alert = take_in([medium(stage=stage)]).alert
    assert alert is not None
    assert (alert.cause, alert.severity) == (Cause.SINGLE, Severity.MEDIUM)


@pytest.mark.parametrize(
    ("stage", "risk_class"),
    [(Stage.KAMPANYE, RiskClass.MONEY_POLITICS), (Stage.MASA_TENANG, RiskClass.NEUTRALITY)],
)
def test_a_medium_report_of_another_stage_or_class_does_not(stage: Stage, risk_class: RiskClass) -> None:
    assert take_in([medium(stage=stage, primary=risk_class)]).alert is None


def test_the_severity_that_flags_alone_may_depend_on_how_exactly_the_place_is_known() -> None:
    rules = AlertingRules.model_validate(
        {"flag": {"alone_instead": [{"severity": "critical", "levels": ["province", "unknown"]}]}}
    )
    grave = {"severity": Severity.HIGH, "at": VOTING_DAY}
    assert take_in([an_assessment(region=BALANGAN, **grave)], rules=rules).alert is not None  # type: ignore[arg-type]
    for place in (SOUTH_KALIMANTAN, None):
        assert take_in([an_assessment(region=place, **grave)], rules=rules).alert is None  # type: ignore[arg-type]
        assert take_in([an_assessment(region=place, at=VOTING_DAY)], rules=rules).alert is not None
    assert [Level.of(code) for code in ("63.11", "63", "")] == [Level.REGENCY, Level.PROVINCE, Level.UNKNOWN]


def test_the_first_exception_that_fits_holds() -> None:
    rules = AlertingRules.model_validate(
        {"flag": {"alone_instead": [{"severity": "critical", "stages": ["kampanye"]}, {"severity": "low"}]}}
    )
    assert rules.flag.alone("63.11", RiskClass.NEUTRALITY, Stage.KAMPANYE) is Severity.CRITICAL
    assert rules.flag.alone("63.11", RiskClass.NEUTRALITY, Stage.PSU) is Severity.LOW


# Bursts


def test_three_incidents_flag_a_quiet_region_and_say_why_in_figures() -> None:
    case = take_in([medium(VOTING_DAY + HOUR * n, sender=f"p{n}") for n in range(3)])
    alert = case.alert
    assert alert is not None
    assert alert.cause is Cause.BURST
    assert alert.grounds == (
        "3 kejadian dalam 48 jam; biasanya 0,1 (peluang kebetulan 0,23 %); 3 pesan, 3 pengirim, 3 teks"
    )


def test_three_incidents_are_nothing_new_where_two_a_day_are_usual_but_nine_are() -> None:
    usual = every_day(40, per_day=2, until=VOTING_DAY - 3 * DAY)
    rules = AlertingRules.model_validate({"memory": {"days": 60}})
    # What flagged the region when it began is long over.
    case = take_in(usual, rules=rules)
    assert case.alert is not None
    case = decide.resolve(case, actor="a", reason="", now=VOTING_DAY - 3 * DAY).case

    three = [medium(VOTING_DAY + HOUR * n, sender=f"p{n}") for n in range(3)]
    assert not open_(take_in(three, case=case, rules=rules))

    many = take_in([medium(VOTING_DAY + HOUR * n, sender=f"p{n}") for n in range(14)], case=case, rules=rules)
    assert open_(many)
    assert many.alert is not None
    assert "9 kejadian dalam 48 jam; biasanya 3 (peluang" in many.alert.grounds


def test_what_is_usual_in_the_province_is_expected_of_a_region_that_has_reported_nothing_yet() -> None:
    usual = Usual()
    busy = Tally(VOTING_DAY - 60 * DAY, VOTING_DAY, 400.0)
    lively = Background.of(
        {(f"63.0{n}", RiskClass.MONEY_POLITICS): busy for n in range(1, 7)}, {"63": 13, "64": 10}, usual, VOTING_DAY
    )
    three = [medium(VOTING_DAY + HOUR * n, sender=f"p{n}") for n in range(3)]
    assert not open_(take_in(three, background=lively))
    assert open_(take_in(three, background=Background()))

    quiet = Background.of({("64.01", RiskClass.MONEY_POLITICS): busy}, {"63": 13, "64": 10}, usual, VOTING_DAY)
    assert open_(take_in(three, background=quiet))


def test_a_region_that_has_been_quiet_while_others_reported_is_known_to_be_quiet() -> None:
    others = {(f"63.0{n}", RiskClass.NEUTRALITY): Tally(VOTING_DAY - 60 * DAY, VOTING_DAY, 20.0) for n in range(1, 7)}
    seen = Background.of(others, {"63": 13}, Usual(), VOTING_DAY)
    early = seen.rate("63.11", RiskClass.NEUTRALITY, None, 0, Usual(), VOTING_DAY - 59 * DAY)
    now = seen.rate("63.11", RiskClass.NEUTRALITY, None, 0, Usual(), VOTING_DAY)
    assert now.per_day < early.per_day / 3


def test_what_a_region_had_itself_is_no_part_of_what_others_have() -> None:
    busy = Tally(VOTING_DAY - 60 * DAY, VOTING_DAY, 400.0)
    alone = Background.of({("63.11", RiskClass.NEUTRALITY): busy}, {"63": 13}, Usual(), VOTING_DAY)
    before = VOTING_DAY - 61 * DAY
    own = alone.rate("63.11", RiskClass.NEUTRALITY, None, 0, Usual(), before)
    neighbour = alone.rate("63.10", RiskClass.NEUTRALITY, None, 0, Usual(), before)
    assert own.per_day < Usual().incidents_per_day
    assert neighbour.per_day > 10 * own.per_day


def test_the_incidents_of_the_burst_are_no_part_of_what_it_is_measured_against() -> None:
    rules = AlertingRules.model_validate({"flag": {"burst": {"incidents": 30}}})
    case = take_in([medium(VOTING_DAY + HOUR * n, sender=f"p{n}") for n in range(30)], rules=rules)
    assert case.alert is not None
    assert "biasanya 0,1 " in case.alert.grounds


def test_many_incidents_of_one_sender_are_no_burst_and_a_second_sender_makes_them_one() -> None:
    alone = [medium(VOTING_DAY + HOUR * n, sender="buzzer") for n in range(12)]
    case = take_in(alone)
    assert case.alert is None
    assert open_(take_in([medium(VOTING_DAY + 13 * HOUR, sender="warga")], case=case))


def test_incidents_whose_senders_nobody_knows_are_not_taken_for_those_of_one() -> None:
    assert open_(take_in([medium(VOTING_DAY + HOUR * n) for n in range(3)]))


def test_one_text_under_many_incidents_and_senders_is_one() -> None:
    copies = [medium(VOTING_DAY + HOUR * n, sender=f"p{n}", text="Bagi amplop di balai desa!") for n in range(12)]
    assert take_in(copies).alert is None


def test_texts_that_differ_in_case_spaces_and_signs_are_one() -> None:
    assert hash_of_words("Bagi  AMPLOP, di balai!") == hash_of_words("bagi amplop di balai")
    assert hash_of_words("bagi amplop") != hash_of_words("bagi sembako")
    assert hash_of_words("...") == 0


def test_an_incident_counts_when_it_becomes_known_and_not_again_when_it_is_forwarded_later() -> None:
    old = [medium(VOTING_DAY - 10 * DAY, sender="a"), medium(VOTING_DAY - 6 * DAY, sender="b")]
    forwarded = [
        medium(VOTING_DAY + HOUR * n, incident_id=one.report.incident_id, sender=f"p{n}") for n, one in enumerate(old)
    ]
    assert take_in([*old, *forwarded, medium(VOTING_DAY + 3 * HOUR, sender="c")]).alert is None


# What holds whatever comes

_incidents = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 6)), min_size=1, max_size=20)
_senders = st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=20, max_size=20)


def _reports(places: Sequence[tuple[int, int]], senders: Sequence[str]) -> list[Assessment]:
    return [
        medium(
            VOTING_DAY + HOUR * hours,
            report_id=UUID(int=number + 1),
            incident_id=UUID(int=1000 + incident),
            sender=sender,
        )
        for number, ((hours, incident), sender) in enumerate(zip(sorted(places), senders, strict=False))
    ]


def test_a_later_copy_does_not_make_three_incidents_look_rarer_than_they_were() -> None:
    reports = _reports([(0, 0), (0, 0), (73, 4), (92, 5), (86, 6)], ["", "", "b", "", "", "a"])
    last = reports[-1].report
    for hours in range(1, 48):
        copy = medium(
            last.received_at + HOUR * hours, report_id=UUID(int=5000), incident_id=last.incident_id,
            sender=last.sender, text=last.text,
        )  # fmt: skip
        assert open_(take_in([*reports, copy])) == open_(take_in(reports))


@given(_incidents, _senders, st.integers(1, 30), st.randoms(use_true_random=False))
def test_adding_copies_never_flags(
    places: list[tuple[int, int]], senders: list[str], copies: int, chance: Random
) -> None:
    reports = _reports(places, senders)
    flagged = open_(take_in(reports))
    added = []
    for number in range(copies):
        original = chance.choice(reports).report
        later = medium(
            original.received_at + HOUR * chance.randint(0, 400),
            report_id=UUID(int=5000 + number),
            incident_id=chance.choice([original.incident_id, uuid4()]),
            sender=original.sender,
            text=original.text,
        )
        added.append(later)
    together = sorted([*reports, *added], key=lambda one: (one.report.received_at, one.report.report_id))
    assert open_(take_in(together)) <= flagged


@given(_incidents, _senders, st.randoms(use_true_random=False))
def test_redelivery_and_the_order_within_a_batch_change_neither_case_nor_tally(
    places: list[tuple[int, int]], senders: list[str], chance: Random
) -> None:
    reports = _reports(places, senders)
    news: list[News] = [news_of(one) for one in reports]
    empty = concerns(reports[0], RULES)
    assert empty is not None
    now = VOTING_DAY + 14 * DAY
    case = decide.absorb(empty, news, RULES, now).case

    mixed = [*news, *news[: len(news) // 2]]
    chance.shuffle(mixed)
    other = decide.absorb(empty, mixed, RULES, now).case
    assert (other.alert and other.alert.alert_id) == (case.alert and case.alert.alert_id)
    assert (other.alert and other.alert.grounds) == (case.alert and case.alert.grounds)
    assert other.tally == case.tally

    assert decide.absorb(case, mixed, RULES, now).case is case


# The arithmetic


def test_the_chance_is_the_poisson_tail_when_the_rate_is_known_exactly() -> None:
    known = Rate(incidents=0.4 * 1e7, days=1e7)
    expected = 0.8
    tail = 1 - sum(math.exp(-expected) * expected**n / math.factorial(n) for n in range(6))
    assert known.expected(2 * DAY) == pytest.approx(expected)
    assert known.chance_of_at_least(6, 2 * DAY) == pytest.approx(tail, rel=1e-3)
    assert known.chance_of_none(2 * DAY) == pytest.approx(math.exp(-expected), rel=1e-3)


def test_little_knowledge_makes_careful() -> None:
    vague, sure = Rate(0.4 * 3, 3), Rate(0.4 * 300, 300)
    assert vague.chance_of_at_least(6, 2 * DAY) > 3 * sure.chance_of_at_least(6, 2 * DAY)


@given(st.floats(0.01, 50), st.floats(0.5, 200), st.integers(1, 60), st.floats(0.1, 10))
def test_more_incidents_are_never_more_probable(incidents: float, days: float, number: int, window: float) -> None:
    rate = Rate(incidents, days)
    here, more = (rate.chance_of_at_least(n, DAY * window) for n in (number, number + 1))
    assert 0 <= more <= here <= 1


@given(st.lists(st.integers(0, 90 * 24), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_a_tally_is_the_same_in_whatever_order_it_was_counted(hours: list[int], chance: Random) -> None:
    times = [VOTING_DAY - HOUR * hour for hour in hours]
    half_life = 28 * DAY

    def counted(order: Sequence[datetime]) -> Tally:
        tally = Tally(order[0], order[0])
        for at in order:
            tally = tally.with_one(at, half_life)
        return tally

    shuffled = list(times)
    chance.shuffle(shuffled)
    one, other = counted(times), counted(shuffled)
    assert (one.since, one.at) == (other.since, other.at) == (min(times), max(times))
    assert one.count == pytest.approx(other.count)
    assert one.count == pytest.approx(sum(0.5 ** ((max(times) - at) / half_life) for at in times))


def test_days_that_count_half_after_a_half_life_never_come_to_more_than_they_can() -> None:
    assert decayed_days(timedelta(0), 28 * DAY) == 0
    assert decayed_days(HOUR, 28 * DAY) == pytest.approx(1 / 24, rel=1e-3)
    assert decayed_days(3650 * DAY, 28 * DAY) == pytest.approx(28 / math.log(2))


def open_(case: Case) -> bool:
    """Whether the region is flagged."""
    return case.alert is not None and case.alert.is_open


def test_the_worked_example_of_the_documentation_is_right() -> None:
    usual = Usual()
    assert (usual.incidents_per_day * usual.prior_days, usual.prior_days) == (pytest.approx(0.35), 7)
    start = VOTING_DAY - 37 * DAY
    tally = Tally(start, start)
    for number in range(74):
        tally = tally.with_one(VOTING_DAY - DAY * number / 2, usual.half_life)
    alone = Background.of({("63.11", RiskClass.NEUTRALITY): tally}, {"63": 13, "81": 500}, usual, VOTING_DAY)
    balangan = alone.rate("63.11", RiskClass.NEUTRALITY, tally, 0, usual, VOTING_DAY)
    unknown = Background().rate("63.11", RiskClass.NEUTRALITY, None, 0, usual, VOTING_DAY)

    assert (round(balangan.incidents, 1), round(balangan.days, 1)) == (48.8, 31.2)
    assert (round(unknown.expected(2 * DAY), 2), round(balangan.expected(2 * DAY), 1)) == (0.1, 3.1)
    assert [round(balangan.chance_of_at_least(n, 2 * DAY), 4) for n in (3, 8, 9)] == [0.5963, 0.018, 0.0065]
    assert round(unknown.chance_of_at_least(3, 2 * DAY), 4) == 0.0023


# Corroboration

WORDS = (
    "Semalam pak camat membagikan amplop isi seratus ribu di balai desa",
    "Amplop tadi diserahkan camat kepada tetangga saya, katanya titipan paslon dua",
    "Ada petugas kecamatan keliling rumah membawa uang supaya orang memilih nomor 2",
    "Ibu-ibu pengajian dapat lembaran merah dari pejabat, disuruh coblos petahana besok",
    "Saya lihat sendiri mobil dinas parkir lalu warga antre menerima sesuatu dalam sampul",
    "Anak buahnya mencatat KTP sambil menyerahkan duit, kejadian sekitar jam sembilan",
)
"""One event, told by people who have not read one another."""
RAISED = (
    "satu kejadian dilaporkan 3 pengirim yang berbeda, masing-masing dengan kata-kata sendiri, "
    "sehingga dinilai satu tingkat lebih berat"
)


def tellings(count: int, *, incident: int = 77, since: datetime = VOTING_DAY, **parts: Any) -> list[Assessment]:
    """Reports of one incident, each by another sender and in other words, an hour apart, but for what is given."""
    return [
        an_assessment(**{
            "severity": Severity.MEDIUM, "at": since + HOUR * number, "incident_id": UUID(int=incident),
            "sender": f"warga-{incident}-{number}", "text": WORDS[number], "evidence": "",
            **parts,
        })
        for number in range(count)
    ]  # fmt: skip


def later(one: Assessment, delay: timedelta, **parts: Any) -> Assessment:
    """The same telling, received so much later, as a report of its own."""
    changes = {"report_id": uuid4(), "received_at": one.report.received_at + delay, **parts}
    return one.model_copy(update={"report": one.report.model_copy(update=changes)})


def state_of(case: Case) -> AlertState | None:
    """The state of its alert."""
    return case.alert.state if case.alert else None


def test_a_medium_incident_flags_when_the_third_sender_tells_of_it_in_words_of_their_own() -> None:
    assert not open_(take_in(tellings(2)))
    alert = take_in(tellings(3)).alert
    assert alert is not None
    assert (alert.cause, alert.severity, alert.reports, alert.grounds) == (Cause.SINGLE, Severity.HIGH, 3, RAISED)


def test_tellings_that_are_days_apart_belong_to_the_alert_they_raise() -> None:
    alert = take_in(later(one, DAY * 3 * number) for number, one in enumerate(tellings(3))).alert
    assert alert is not None
    assert (alert.severity, alert.reports, alert.first_known_at) == (Severity.HIGH, 3, VOTING_DAY)


def test_a_low_incident_becomes_medium_and_flags_only_where_a_medium_one_would() -> None:
    assert not open_(take_in(tellings(5, severity=Severity.LOW)))
    alert = take_in(tellings(3, severity=Severity.LOW, stage=Stage.MASA_TENANG)).alert
    assert alert is not None
    assert (alert.severity, alert.grounds) == (Severity.MEDIUM, RAISED)


def test_what_two_of_three_call_graver_is_not_raised_beyond_what_they_say() -> None:
    mixed = [*tellings(2), tellings(3, severity=Severity.LOW)[2]]
    assert not open_(take_in(mixed))


def test_one_who_makes_less_of_it_takes_nothing_from_three_who_agree() -> None:
    alert = take_in([tellings(1, severity=Severity.LOW)[0], *tellings(4)[1:]]).alert
    assert alert is not None
    assert alert.severity is Severity.HIGH


def test_a_report_without_words_counts_for_nothing_and_hides_nothing() -> None:
    wordless = tellings(1, sender="foto", text="...", since=VOTING_DAY - HOUR)
    assert not open_(take_in([*wordless, *tellings(3)[1:]]))
    assert open_(take_in([*wordless, *tellings(3)]))


@pytest.mark.parametrize("severity", [Severity.HIGH, Severity.CRITICAL, Severity.NONE])
def test_nothing_is_raised_to_critical_nor_out_of_nothing(severity: Severity) -> None:
    alert = take_in(tellings(5, severity=severity)).alert
    assert (alert.severity if alert else Severity.NONE) is severity


@pytest.mark.parametrize("senders", [["", "", "", "", ""], ["a", "a", "a", "a", "b"], ["a", "b", "", "", ""]])
def test_senders_that_are_unknown_or_the_same_raise_nothing(senders: list[str]) -> None:
    told = [tellings(5, sender=sender)[number] for number, sender in enumerate(senders)]
    assert not open_(take_in(told))


def test_one_message_that_many_pass_on_raises_nothing_whatever_they_write_around_it() -> None:
    edits = ("", "Diteruskan: ", "Info grup sebelah, tolong viralkan! ", "🙏🙏 ", "Pak tolong ditindak ya. ")
    forwarded = [one for n, edit in enumerate(edits) for one in tellings(1, sender=f"p{n}", text=edit + WORDS[0])]
    assert not open_(take_in(forwarded))


def test_who_writes_three_texts_and_has_them_passed_on_is_still_one_sender() -> None:
    written = tellings(5, sender="penulis")
    passed_on = [tellings(5, sender=f"teman-{number}", since=VOTING_DAY + DAY)[number] for number in range(5)]
    assert not open_(take_in([*written, *passed_on]))


def test_different_incidents_do_not_corroborate_one_another() -> None:
    apart = [tellings(3, incident=number)[number] for number in range(3)]
    no_bursts = AlertingRules.model_validate({"flag": {"burst": {"incidents": 100}}})
    assert not open_(take_in(apart, rules=no_bursts))


@pytest.mark.parametrize("off", [0, None])
def test_corroboration_can_be_turned_off(off: int | None) -> None:
    rules = AlertingRules.model_validate({"flag": {"corroboration": {"senders": off}}})
    assert not open_(take_in(tellings(5), rules=rules))
    five = AlertingRules.model_validate({"flag": {"corroboration": {"senders": 5}}})
    assert not open_(take_in(tellings(4), rules=five))
    assert open_(take_in(tellings(5), rules=five))


def test_an_open_alert_whose_incident_is_corroborated_rises_and_says_why() -> None:
    burst = take_in([medium(VOTING_DAY + HOUR * n, sender=f"p{n}") for n in range(3)])
    assert burst.alert is not None
    told = decide.told(burst, [], RULES, VOTING_DAY + 3 * HOUR).case
    first, second, third = tellings(3, since=VOTING_DAY + 4 * HOUR)
    before = take_in([first, second], case=told)
    outcome = decide.absorb(before, [news_of(third)], RULES, third.report.received_at)
    assert [(event.event, event.reason) for event in outcome.events if isinstance(event, AlertEvent)] == [
        ("evidence_added", ""),
        ("severity_raised", f"high: {RAISED}"),
    ]
    due = decide.ring(outcome.case, third.report.received_at)
    assert due.notify is Reason.SEVERITY
    assert due.case.alert is not None
    text = Renderer(lambda: CALENDAR).render(due.case, due.notify, RULES, third.report.received_at)
    assert f"tingkatnya naik menjadi TINGGI; {RAISED}." in text.plain
    assert f"Tingkatnya naik menjadi TINGGI; {RAISED}." in text.short
    after = decide.told(due.case, [], RULES, third.report.received_at, reason=due.notify).case
    assert after.alert is not None
    assert after.alert.news == ""


def test_an_alert_that_rises_before_it_is_first_told_says_both_reasons() -> None:
    burst = take_in([medium(VOTING_DAY, sender=f"p{n}") for n in range(3)])
    case = take_in(tellings(3, since=VOTING_DAY + HOUR), case=burst)
    due = decide.ring(case, VOTING_DAY + 3 * HOUR)
    assert due.notify is Reason.FIRST
    plain = Renderer(lambda: CALENDAR).render(due.case, due.notify, RULES, VOTING_DAY + 3 * HOUR).plain
    assert "peringatan pertama; 3 kejadian dalam 48 jam" in plain
    assert f"3 teks; {RAISED}." in plain


def test_another_incident_that_is_corroborated_takes_an_acknowledged_alert_up_again_once() -> None:
    grave = take_in([an_assessment(severity=Severity.HIGH, at=VOTING_DAY)])
    taken = decide.acknowledge(grave, actor="a", reason="", now=VOTING_DAY).case
    known = take_in(tellings(2), case=taken)
    assert state_of(known) is AlertState.ACKNOWLEDGED
    told = take_in(tellings(3), case=known)
    assert state_of(told) is AlertState.NOTIFIED
    again = decide.acknowledge(told, actor="a", reason="", now=VOTING_DAY + 3 * HOUR).case
    assert state_of(take_in(tellings(5)[3:], case=again)) is AlertState.ACKNOWLEDGED


def test_an_incident_that_an_officer_has_closed_needs_three_more_who_have_not_told_before() -> None:
    case = decide.resolve(take_in(tellings(3)), actor="a", reason="", now=VOTING_DAY + 3 * HOUR).case
    again = take_in(tellings(5, since=VOTING_DAY + DAY), case=case)
    assert not open_(again)
    assert open_(take_in(tellings(6, since=VOTING_DAY + 2 * DAY)[5:], case=again))


def test_forwards_beyond_what_is_remembered_do_not_push_out_who_tells_in_words_of_their_own() -> None:
    rules = AlertingRules.model_validate({"memory": {"reports": 10}})
    first, second, third = tellings(3)
    flood = [
        one
        for number in range(40)
        for one in tellings(1, sender=f"p{number}", since=VOTING_DAY + HOUR + timedelta(minutes=number + 1))
    ]
    assert open_(take_in([first, second, *flood, later(third, HOUR)], rules=rules))


def words_of(text: str) -> int:
    return int.from_bytes(map_of_words(text), "big")


def test_texts_that_were_passed_on_are_known_for_copies_by_their_words() -> None:
    known_for_copy: dict[str, list[bool]] = defaultdict(list)
    forwarded_unchanged = 0
    for name in ("incident_pairs", "incident_pairs_second"):
        for line in (DATA / f"{name}.jsonl").read_text().splitlines():
            pair = json.loads(line)
            if pair["same"]:
                same_words = hash_of_words(pair["first"]) == hash_of_words(pair["second"])
                forwarded_unchanged += same_words and pair["kind"] == "forwarded"
                first, second = words_of(pair["first"]), words_of(pair["second"])
                known_for_copy[pair["kind"]].append(is_copy(second, [first]))
    missed = {kind: found.count(False) for kind, found in known_for_copy.items()}
    assert missed == {"forwarded": 0, "amount": 0, "news": 0, "shortened": 1, "retyped": 32, "translated": 9}
    assert (forwarded_unchanged, len(known_for_copy["forwarded"])) == (1, 64)
    assert is_copy(words_of("..."), [words_of(WORDS[0])])
    assert not any(is_copy(words_of(one), [words_of(other)]) for one, other in combinations(WORDS, 2))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.integers(1, 30)), max_size=12),
)
def test_who_passes_on_what_was_told_never_raises_it(
    told: list[tuple[int, int]], passed: list[tuple[int, int]]
) -> None:
    reports = [
        later(tellings(6, sender=f"warga-{sender}")[text], DAY * number) for number, (text, sender) in enumerate(told)
    ]
    copies = [
        later(reports[which % len(reports)], HOUR * hours, sender=f"penerus-{number}")
        for number, (which, hours) in enumerate(passed)
    ]
    together = sorted([*reports, *copies], key=lambda one: one.report.received_at)
    assert open_(take_in(together)) == open_(take_in(reports))
