"""What a report still lacks to be a complaint."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.calendar import Calendar
from shared.contracts import Kind, Regime
from shared.requirements import Answer, Need, Shown, Standing, standing_of
from shared.settings import DEPLOY_DIR

FULL = Shown(
    regime=Regime.PILKADA,
    received_at=datetime(2024, 11, 20, 3, tzinfo=UTC),
    occurred_at=datetime(2024, 11, 19, 12, tzinfo=UTC),
    reporter_known=True,
    region_code="63.11",
    district_code="63.11.05",
    text="Kades membagikan amplop kepada warga",
    kind=Kind.VIOLATION_REPORT,
    elements_seen=("pelaku", "perbuatan"),
    elements_missing=("waktu", "tempat", "saksi/bukti"),
    attachments=2,
)


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml")


def answers(standing: Standing) -> dict[Need, Answer]:
    return {one.need: one.answer for one in standing.requirements}


def test_even_the_fullest_message_is_a_lead_and_lacks_the_signature(calendar: Calendar) -> None:
    standing = standing_of(FULL, calendar)
    assert standing.form == "informasi awal"
    assert [one.need for one in standing.with_answer(Answer.MISSING)] == [Need.SIGNATURE]
    assert {one.need for one in standing.with_answer(Answer.MET)} == {
        Need.IN_TIME, Need.TIME, Need.PLACE, Need.DESCRIPTION,
    }  # fmt: skip


def test_a_bare_message_lacks_reporter_time_place_and_evidence(calendar: Calendar) -> None:
    bare = replace(FULL, elements_seen=(), reporter_known=False, occurred_at=None, attachments=0)
    bare = replace(bare, region_code="", district_code="")
    missing = {one.need for one in standing_of(bare, calendar).with_answer(Answer.MISSING)}
    assert missing == {
        Need.REPORTER, Need.REPORTED_PARTY, Need.SIGNATURE, Need.TIME, Need.PLACE, Need.EVIDENCE,
    }  # fmt: skip


def test_what_only_the_words_tell_is_for_an_officer_to_check(calendar: Calendar) -> None:
    told = replace(FULL, elements_seen=("waktu", "tempat", "saksi/bukti"), occurred_at=None, region_code="",
                   district_code="", attachments=0)  # fmt: skip
    found = answers(standing_of(told, calendar))
    assert {found[need] for need in (Need.TIME, Need.PLACE, Need.EVIDENCE)} == {Answer.TO_CHECK}


def test_a_report_long_after_the_event_is_to_be_checked_not_called_late(calendar: Calendar) -> None:
    old = replace(FULL, occurred_at=datetime(2024, 11, 1, tzinfo=UTC))
    standing = standing_of(old, calendar)
    assert answers(standing)[Need.IN_TIME] is Answer.TO_CHECK
    assert standing.earliest is not None
    assert standing.earliest.due_at.date().isoformat() == "2024-11-08"
    assert standing.clock.due_at.date().isoformat() == "2024-11-27"


def test_an_event_in_the_future_is_not_in_time(calendar: Calendar) -> None:
    future = replace(FULL, occurred_at=datetime(2025, 11, 1, tzinfo=UTC))
    assert answers(standing_of(future, calendar))[Need.IN_TIME] is Answer.TO_CHECK


def test_the_clock_follows_the_law_and_the_day_it_became_known(calendar: Calendar) -> None:
    pemilu = replace(FULL, regime=Regime.PEMILU, received_at=datetime(2024, 2, 14, 3, tzinfo=UTC))
    clock = standing_of(pemilu, calendar, known_at=datetime(2024, 2, 12, 3, tzinfo=UTC)).clock
    assert (clock.count, clock.citation) == ("working", "UU 7/2017 Pasal 454 ayat (6)")
    assert clock.due_at > standing_of(replace(pemilu, regime=Regime.PILKADA), calendar).clock.due_at.replace(day=13)


def test_days_begin_where_the_event_was(calendar: Calendar) -> None:
    late = datetime(2024, 11, 20, 16, 30, tzinfo=UTC)  # 23.30 WIB, and already the next day in WITA and WIT
    wib = standing_of(FULL, calendar, known_at=late).clock.due_at
    wit = standing_of(FULL, calendar, known_at=late, time_zone="Asia/Jayapura").clock.due_at
    assert (wib.day, wit.day) == (27, 28)


def test_elements_that_the_text_does_not_show_are_named(calendar: Calendar) -> None:
    standing = standing_of(replace(FULL, elements_missing=("penerima", "penerima", "ajakan memilih")), calendar)
    description = next(one for one in standing.requirements if one.need is Need.DESCRIPTION)
    assert description.answer is Answer.TO_CHECK
    assert description.why == "unsur yang belum tampak: ajakan memilih, penerima"


def test_a_question_reports_nobody(calendar: Calendar) -> None:
    found = answers(standing_of(replace(FULL, kind=Kind.QUESTION), calendar))
    assert found[Need.REPORTED_PARTY] is Answer.MISSING
    assert found[Need.DESCRIPTION] is Answer.TO_CHECK
