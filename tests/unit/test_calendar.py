from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from shared.calendar import Calendar
from shared.config.errors import ConfigError
from shared.contracts import Regime, Stage

CONFIG_DIR = Path(__file__).resolve().parents[2] / "deploy" / "config"
BARITO_UTARA = "62.05"

TWO_REGIMES = """\
{precedence}
elections:
  - id: nasional
    regime: pemilu
    name: Nasional
    stages:
      - {{stage: rekapitulasi, from: 2031-01-01, to: 2031-02-10, verified: false}}
  - id: daerah
    regime: pilkada
    name: Daerah
    stages:
      - {{stage: pra_pencalonan, from: 2031-02-01, to: {end}, verified: false}}
deadlines:
  - {{regime: pilkada, days: 7, count: calendar, citation: UU, verified: true}}
  - {{regime: pemilu, days: 7, count: working, citation: UU, verified: true}}
"""


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar.load(CONFIG_DIR / "calendar.yaml")


def _load(folder: Path, text: str) -> Calendar:
    path = folder / "calendar.yaml"
    path.write_text(text, encoding="utf-8")
    return Calendar.load(path)


@pytest.mark.parametrize(
    ("first", "last", "stage"),
    [
        ("2024-03-22", "2024-08-26", Stage.PRA_PENCALONAN),
        ("2024-08-27", "2024-09-24", Stage.PENCALONAN),
        ("2024-09-25", "2024-11-23", Stage.KAMPANYE),
        ("2024-11-24", "2024-11-26", Stage.MASA_TENANG),
        ("2024-11-27", "2024-11-27", Stage.PUNGUT_HITUNG),
        ("2024-11-28", "2024-12-16", Stage.REKAPITULASI),
    ],
)
def test_pilkada_2024_stands_in_the_calendar_day_by_day(
    calendar: Calendar, first: str, last: str, stage: Stage
) -> None:
    for day in (first, last):
        assert calendar.place(date.fromisoformat(day)) == (Regime.PILKADA, stage)


@pytest.mark.parametrize(
    ("first", "last", "stage"),
    [
        ("2023-11-28", "2024-02-10", Stage.KAMPANYE),
        ("2024-02-11", "2024-02-13", Stage.MASA_TENANG),
        ("2024-02-14", "2024-02-14", Stage.PUNGUT_HITUNG),
        ("2024-02-15", "2024-03-20", Stage.REKAPITULASI),
    ],
)
def test_pemilu_2024_stands_in_the_calendar_unverified(calendar: Calendar, first: str, last: str, stage: Stage) -> None:
    for day in map(date.fromisoformat, (first, last)):
        assert calendar.place(day) == (Regime.PEMILU, stage)
        period = calendar.period(day)
        assert period is not None
        assert not period.verified


def test_a_day_begins_at_midnight_in_jakarta(calendar: Calendar) -> None:
    assert calendar.place(datetime(2024, 11, 23, 16, 59, tzinfo=UTC))[1] == Stage.KAMPANYE
    assert calendar.place(datetime(2024, 11, 23, 17, 0, tzinfo=UTC))[1] == Stage.MASA_TENANG


def test_a_time_without_zone_is_refused(calendar: Calendar) -> None:
    with pytest.raises(ValueError, match="time zone"):
        calendar.place(datetime(2024, 11, 27, 8, 0))  # noqa: DTZ001


def test_outside_all_stages_the_nearest_election_gives_the_regime(calendar: Calendar) -> None:
    assert calendar.place(date(2022, 1, 1)) == (Regime.PEMILU, Stage.LUAR_TAHAPAN)
    assert calendar.place(date(2025, 1, 10)) == (Regime.PILKADA, Stage.LUAR_TAHAPAN)
    assert calendar.period(date(2025, 1, 10)) is None


def test_a_repeated_vote_concerns_only_its_region_and_takes_the_risks_of_the_quiet_days(calendar: Calendar) -> None:
    day = date(2025, 3, 22)
    assert calendar.place(day) == (Regime.PILKADA, Stage.LUAR_TAHAPAN)
    assert calendar.place(day, "62.01")[1] == Stage.LUAR_TAHAPAN
    assert calendar.place(day, BARITO_UTARA) == (Regime.PILKADA, Stage.PSU)
    assert calendar.place(day, f"{BARITO_UTARA}.03")[1] == Stage.PSU
    period = calendar.period(day, BARITO_UTARA)
    assert period is not None
    assert period.profile == Stage.MASA_TENANG


def test_the_ban_on_replacing_officials_begins_on_22_march_2024(calendar: Calendar) -> None:
    def banned(day: date) -> bool:
        return "larangan_mutasi" in [milestone.id for milestone in calendar.milestones_on(day, Regime.PILKADA)]

    assert not banned(date(2024, 3, 21))
    assert banned(date(2024, 3, 22))
    assert not calendar.milestones_on(date(2024, 3, 22), Regime.PEMILU)


def test_a_pilkada_report_is_in_time_for_seven_calendar_days(calendar: Calendar) -> None:
    deadline = calendar.legal_clock(Regime.PILKADA, datetime(2024, 11, 27, 3, 0, tzinfo=UTC))
    assert deadline.due_at.isoformat() == "2024-12-04T23:59:59+07:00"
    assert "134" in deadline.citation
    assert deadline.verified


def test_a_pemilu_report_is_in_time_for_seven_working_days(calendar: Calendar) -> None:
    # 8 Feb Isra Mi'raj, 9 Feb joint leave, 10-11 and 17-18 weekends, 14 Feb voting day
    deadline = calendar.legal_clock(Regime.PEMILU, date(2024, 2, 7))
    assert deadline.due_at.isoformat() == "2024-02-21T23:59:59+07:00"
    assert "454" in deadline.citation


def test_a_pemilu_finding_has_seven_days_whose_count_is_our_reading_and_a_pilkada_one_none(calendar: Calendar) -> None:
    finding = calendar.finding_clock(Regime.PEMILU, date(2024, 2, 7))
    assert finding is not None
    assert finding.due_at.isoformat() == "2024-02-14T23:59:59+07:00"
    assert (finding.verified, finding.count_verified) == (True, False)
    assert calendar.finding_clock(Regime.PILKADA, date(2024, 11, 27)) is None


def test_knowledge_late_in_the_evening_in_jakarta_counts_for_that_day(calendar: Calendar) -> None:
    late = datetime(2024, 11, 27, 16, 59, tzinfo=UTC)
    later = datetime(2024, 11, 27, 17, 1, tzinfo=UTC)
    days = [calendar.legal_clock(Regime.PILKADA, moment).due_at.day for moment in (late, later)]
    assert days == [4, 5]


def test_regimes_may_not_overlap_in_silence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="precedence: "):
        _load(tmp_path, TWO_REGIMES.format(precedence="", end="2031-06-01"))


def test_a_declared_precedence_decides_where_regimes_overlap(tmp_path: Path) -> None:
    for first, second in (("pemilu", "pilkada"), ("pilkada", "pemilu")):
        calendar = _load(tmp_path, TWO_REGIMES.format(precedence=f"precedence: [{first}, {second}]", end="2031-06-01"))
        assert calendar.place(date(2031, 2, 5))[0] == first


@pytest.mark.parametrize(
    ("mistake", "line", "cure"),
    [
        ("2030-01-01", 12, "swap them"),
        ("2031-13-01", 12, "mend the date"),
        ("2031-06-01, regions: ['6205']", 12, "pattern"),
        ("2031-06-01, tahapan: psu", 12, "not permitted"),
    ],
)
def test_a_bad_line_is_named_with_its_cure(tmp_path: Path, mistake: str, line: int, cure: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, TWO_REGIMES.format(precedence="timezone: Asia/Jakarta", end=mistake))
    assert f"calendar.yaml, line {line}" in str(caught.value)
    assert cure in str(caught.value)


def test_stages_of_one_election_may_not_share_a_day(tmp_path: Path) -> None:
    stages = "      - {stage: kampanye, from: 2031-01-05, to: 2031-01-09, verified: false}\n  - id: daerah"
    text = TWO_REGIMES.format(precedence="precedence: [pemilu, pilkada]", end="2031-06-01").replace(
        "  - id: daerah", stages
    )
    with pytest.raises(ConfigError, match="claim the same day"):
        _load(tmp_path, text)


def test_an_unknown_time_zone_and_a_missing_deadline_are_named(tmp_path: Path) -> None:
    text = TWO_REGIMES.format(precedence="timezone: Asia/Banjarmasin", end="2031-06-01")
    with pytest.raises(ConfigError, match="Asia/Makassar"):
        _load(tmp_path, text)
    with pytest.raises(ConfigError, match="exactly one"):
        _load(tmp_path, text[: text.rindex("  - {regime: pemilu")].replace("Banjarmasin", "Makassar"))


@pytest.mark.parametrize(
    ("regime", "known", "due", "why"),
    [
        (Regime.PEMILU, "2024-04-05", "2024-04-24", "Lebaran: leave 8-9 and 12 and 15 April, holidays 10-11, weekends"),
        (Regime.PEMILU, "2023-12-22", "2024-01-05", "Christmas 25, leave 26 December, New Year, weekends"),
        (Regime.PEMILU, "2024-03-04", "2024-03-15", "Nyepi 11 March and its leave on 12 March, a weekend"),
        (Regime.PILKADA, "2024-04-05", "2024-04-12", "calendar days leave out nothing, not even Lebaran"),
        (Regime.PILKADA, "2024-12-20", "2024-12-27", "nor Christmas"),
    ],
)
def test_the_term_for_reporting_over_holidays(
    calendar: Calendar, regime: Regime, known: str, due: str, why: str
) -> None:
    assert calendar.legal_clock(regime, date.fromisoformat(known)).due_at.date().isoformat() == due, why


def test_days_begin_and_end_in_the_time_of_the_place(calendar: Calendar) -> None:
    late = datetime(2024, 11, 27, 15, 30, tzinfo=UTC)  # 22.30 in Jakarta, 00.30 of the next day in Jayapura
    there = calendar.legal_clock(Regime.PILKADA, late, "Asia/Jayapura")
    assert there.due_at.isoformat() == "2024-12-05T23:59:59+09:00"
    assert calendar.legal_clock(Regime.PILKADA, late).due_at.isoformat() == "2024-12-04T23:59:59+07:00"


def test_handling_takes_three_and_two_days_or_seven_and_at_most_fourteen_working_days(calendar: Calendar) -> None:
    pilkada = calendar.handling_clock(Regime.PILKADA, date(2024, 11, 28))
    assert pilkada is not None
    assert (pilkada.first_until.date(), pilkada.longest_until.date()) == (date(2024, 12, 1), date(2024, 12, 3))
    pemilu = calendar.handling_clock(Regime.PEMILU, date(2024, 1, 15))
    assert pemilu is not None
    assert (pemilu.first_until.date(), pemilu.longest_until.date()) == (date(2024, 1, 22), date(2024, 2, 2))
    assert (pilkada.term.count_verified, pemilu.term.count_verified) == (True, False)
