"""What other rules would have raised: the same decisions, moved by the data's own clock."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy.cli.moment import moment
from services.alerts.announce import Announcer
from services.alerts.officers import Officers
from services.alerts.places import Places
from services.alerts.render import Renderer
from services.alerts.replay import Raised, Replay, compare, spans
from services.alerts.rules import AlertingRules
from shared.calendar import Calendar
from shared.contracts import Assessment, District, Kind, RiskClass, Severity
from shared.settings import DEPLOY_DIR
from tests.assessments import AMBON, BALANGAN, VOTING_DAY, an_assessment

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PLACES = Places.of(
    {"63": "Provinsi Kalimantan Selatan", "63.11": "Kabupaten Balangan", "81": "Provinsi Maluku", "81.71": "Kota Ambon"}
    | {f"63.11.{n:02}": f"Kecamatan {n}" for n in range(1, 9)}
)


def replayed(
    assessments: Iterable[Assessment], *, until: datetime = VOTING_DAY + 3 * DAY, **rules: Any
) -> list[Raised]:
    """What these rules raise from the assessments, in the order of their receipt."""
    tried = AlertingRules.model_validate(rules)
    calendar = Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml")
    announcer = Announcer(Officers, lambda: tried, lambda: calendar, Renderer(lambda: calendar), Path("unused"))
    replay = Replay(tried, PLACES, announcer.change)
    for one in sorted(assessments, key=lambda one: one.report.received_at):
        replay.take(one)
    replay.move_to(until)
    return replay.raised(datetime.min.replace(tzinfo=UTC))


def shown(raised: Iterable[Raised]) -> list[tuple[str, str, str, int]]:
    """Region, cause, severity and number of notifications of each."""
    return [(one.region_code, one.cause, one.severity.value, one.notifications) for one in raised]


def test_a_grave_report_is_raised_and_told_once_and_its_copies_once_more() -> None:
    first = an_assessment(at=VOTING_DAY)
    copies = [an_assessment(at=VOTING_DAY + HOUR * n, incident_id=first.report.incident_id) for n in range(1, 9)]
    assert shown(replayed([first])) == [("63.11", "single", "critical", 1)]
    # Acknowledged, so that copies are no news.
    assert shown(replayed([first, *copies])) == [("63.11", "single", "critical", 1)]
    another = an_assessment(at=VOTING_DAY + 50 * HOUR)
    assert shown(replayed([first, *copies, another])) == [("63.11", "single", "critical", 2)]


def test_a_burst_waits_as_it_does_in_the_service_and_is_told_then() -> None:
    reports = [an_assessment(severity=Severity.MEDIUM, at=VOTING_DAY + HOUR * n, sender=f"p{n}") for n in range(3)]
    assert shown(replayed(reports, until=VOTING_DAY + 2 * HOUR)) == [("63.11", "burst", "medium", 0)]
    (raised,) = replayed(reports)
    assert (raised.notifications, raised.opened_at) == (1, VOTING_DAY + 2 * HOUR)
    assert raised.why.startswith("3 kejadian dalam 48 jam")


def test_an_alert_of_which_a_week_brings_nothing_new_is_closed_and_the_next_report_opens_another() -> None:
    reports = [an_assessment(at=VOTING_DAY), an_assessment(at=VOTING_DAY + 9 * DAY)]
    first, second = replayed(reports, until=VOTING_DAY + 10 * DAY)
    assert first.closed_at is not None
    assert VOTING_DAY + 7 * DAY < first.closed_at < VOTING_DAY + 8 * DAY
    assert (second.opened_at, second.closed_at) == (VOTING_DAY + 9 * DAY, None)


def test_patterns_and_silences_are_replayed_too() -> None:
    reports = [
        an_assessment(
            severity=Severity.MEDIUM,
            at=VOTING_DAY + HOUR * n,
            sender=f"p{n}",
            region=BALANGAN.model_copy(update={"district": District(code=f"63.11.{n:02}", name=f"Kecamatan {n}")}),
        )
        for n in (1, 2, 3)
    ]
    lively = [
        an_assessment(kind=Kind.PREVENTION, region=region, at=VOTING_DAY - HOUR * n)
        for n in range(30 * 24)
        for region in ((AMBON, BALANGAN) if n % 3 == 0 and n > 72 else (BALANGAN,))
    ]
    raised = replayed([*reports, *lively], until=VOTING_DAY + HOUR * 4)
    assert sorted((one.region_code, one.cause) for one in raised) == [
        ("63.11", "burst"),
        ("63.11", "pattern"),
        ("81.71", "silence"),
    ]


def test_other_rules_are_compared_by_what_they_add_and_what_is_gone() -> None:
    reports = [
        an_assessment(severity=Severity.HIGH, at=VOTING_DAY),
        an_assessment(severity=Severity.MEDIUM, at=VOTING_DAY + HOUR, region=AMBON),
        an_assessment(severity=Severity.CRITICAL, at=VOTING_DAY + HOUR, primary=RiskClass.NEUTRALITY),
    ]
    present = replayed(reports)
    instead = {"severity": "medium", "levels": ["regency"], "classes": ["money_politics"]}
    tried = replayed(reports, flag={"single_report_severity": "critical", "alone_instead": [instead]})
    added, gone = compare(present, tried)
    assert shown(added) == [("81.71", "single", "medium", 1)]
    assert gone == []
    added, gone = compare(present, replayed(reports, flag={"single_report_severity": "critical"}))
    assert added == []
    assert shown(gone) == [("63.11", "single", "high", 1)]
    assert compare(present, present) == ([], [])


def test_days_are_read_one_after_another_without_gap_or_overlap() -> None:
    parts = list(spans(VOTING_DAY, VOTING_DAY + 50 * HOUR))
    assert [part["since"] for part in parts] == [VOTING_DAY, VOTING_DAY + DAY, VOTING_DAY + 2 * DAY]
    assert [part["until"] for part in parts] == [VOTING_DAY + DAY, VOTING_DAY + 2 * DAY, VOTING_DAY + 50 * HOUR]


@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("7d", VOTING_DAY - 7 * DAY),
        ("36h", VOTING_DAY - 36 * HOUR),
        ("2024-11-20", datetime(2024, 11, 20, tzinfo=UTC)),
        ("2024-11-20T06:00+07:00", datetime(2024, 11, 19, 23, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_span_back_or_a_date(words: str, at: datetime) -> None:
    assert moment(words, VOTING_DAY) == at


def test_what_is_no_time_is_refused_with_the_forms_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        moment("kemarin", VOTING_DAY)
    assert "2024-11-20" in capsys.readouterr().err


def test_the_same_alerts_have_the_same_ids_as_in_the_service() -> None:
    report = an_assessment(at=VOTING_DAY, report_id=UUID(int=5))
    assert replayed([report])[0].alert_id == replayed([report, an_assessment(at=VOTING_DAY + HOUR)])[0].alert_id


def test_the_replay_sees_an_incident_that_is_corroborated_and_what_turning_that_off_would_miss() -> None:
    texts = (
        "Semalam pak camat membagikan amplop isi seratus ribu di balai desa",
        "Amplop tadi diserahkan kepada tetangga saya, titipan paslon dua",
        "Petugas kecamatan keliling rumah membawa uang supaya orang memilih nomor 2",
    )
    told = [
        an_assessment(
            severity=Severity.MEDIUM, at=VOTING_DAY + HOUR * number, incident_id=UUID(int=7), sender=f"warga-{number}",
            text=text, evidence="",
        )
        for number, text in enumerate(texts)
    ]  # fmt: skip
    (raised,) = replayed(told)
    assert (raised.cause, raised.severity, raised.opened_at) == ("single", Severity.HIGH, VOTING_DAY + 2 * HOUR)
    assert raised.why.startswith("satu kejadian dilaporkan 3 pengirim yang berbeda")
    assert compare([raised], replayed(told, flag={"corroboration": {"senders": 0}})) == ([], [raised])
