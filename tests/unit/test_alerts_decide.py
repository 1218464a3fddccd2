"""What flags a region, and when its officers are told; the clock is moved by hand."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts import decide
from services.alerts.case import Case, Cause, Progress, Reason, Target
from services.alerts.decide import NotPossibleError, Outcome
from services.alerts.intake import UNKNOWN_REGION, concerns, news_of
from services.alerts.rules import AlertingRules, ClassifyFailed
from shared.contracts import AlertState, Assessment, Kind, RiskClass, Severity, Status
from tests.assessments import VOTING_DAY, a_failure, an_assessment

RULES = AlertingRules()
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
CHANNELS = (Target("balangan-1", 0), Target("balangan-1", 1))
SENT, ALSO_SENT = (Target("balangan-1", place, Progress.SENT) for place in (0, 1))
GIVEN_UP, ALSO_GIVEN_UP = (Target("balangan-1", place, Progress.GIVEN_UP) for place in (0, 1))


def absorb(
    assessments: Iterable[Assessment],
    *,
    case: Case | None = None,
    now: datetime = VOTING_DAY,
    rules: AlertingRules = RULES,
) -> Outcome:
    """Take in assessments that all concern one case."""
    known = list(assessments)
    found = case or concerns(known[0], rules)
    assert found is not None
    return decide.absorb(found, [news_of(assessment) for assessment in known], rules, now)


def told(outcome: Outcome, now: datetime = VOTING_DAY) -> Case:
    """The case after its notification went to two channels."""
    return decide.told(decide.ring(outcome.case, now).case, CHANNELS, RULES, now).case


def mediums(count: int, *, step: timedelta = HOUR, incident: int | None = None) -> list[Assessment]:
    """Medium reports, `step` apart, the last at VOTING_DAY; of one incident when it is given."""
    return [
        an_assessment(
            severity=Severity.MEDIUM,
            at=VOTING_DAY - step * number,
            report_id=UUID(int=number + 1),
            incident_id=UUID(int=incident if incident is not None else 100 + number),
            sender=f"pelapor-{number % 2}",
        )
        for number in reversed(range(count))
    ]


@pytest.mark.parametrize("severity", [Severity.HIGH, Severity.CRITICAL])
def test_one_grave_report_flags_its_region_and_is_told_at_once(severity: Severity) -> None:
    outcome = absorb([an_assessment(severity=severity, at=VOTING_DAY)])

    alert = outcome.case.alert
    assert alert is not None
    assert (alert.severity, alert.cause, alert.state) == (severity, Cause.SINGLE, AlertState.OPEN)
    assert [event.event for event in outcome.events] == ["opened"]
    assert outcome.events[0].region_code == "63.11"
    assert decide.ring(outcome.case, VOTING_DAY).notify is Reason.FIRST


def test_three_incidents_of_medium_severity_flag_a_region_after_a_short_wait() -> None:
    assert absorb(mediums(2)).case.alert is None

    outcome = absorb(mediums(3))

    alert = outcome.case.alert
    assert alert is not None
    assert (alert.cause, alert.severity) == (Cause.BURST, Severity.MEDIUM)
    assert (alert.reports, alert.incidents, alert.senders) == (3, 3, 2)
    assert decide.ring(outcome.case, VOTING_DAY).notify is None
    assert decide.ring(outcome.case, VOTING_DAY + timedelta(seconds=30)).notify is Reason.FIRST


def test_many_reports_of_one_incident_are_no_burst() -> None:
    assert absorb(mediums(50, step=MINUTE, incident=7)).case.alert is None


def test_low_reports_never_make_a_burst() -> None:
    low = [an_assessment(severity=Severity.LOW, at=VOTING_DAY) for _ in range(20)]
    assert absorb(low).case.alert is None


def test_incidents_too_far_apart_are_no_burst() -> None:
    assert absorb(mediums(3, step=timedelta(hours=25))).case.alert is None
    assert absorb(mediums(3, step=timedelta(hours=24))).case.alert is not None


def test_a_burst_is_seen_when_it_is_read_only_days_after_it_was_received() -> None:
    assert absorb(mediums(3), now=VOTING_DAY + timedelta(days=6)).case.alert is not None


@pytest.mark.parametrize("kind", [Kind.PREVENTION, Kind.QUESTION, Kind.OTHER])
def test_prevention_questions_and_other_texts_concern_no_alert(kind: Kind) -> None:
    assert concerns(an_assessment(kind=kind), RULES) is None


def test_a_cleared_accusation_concerns_no_alert() -> None:
    assert concerns(an_assessment(status=Status.CLEARED), RULES) is None


def test_a_report_without_region_is_flagged_under_the_empty_region() -> None:
    case = concerns(an_assessment(region=None), RULES)
    assert case == Case("", UNKNOWN_REGION, RiskClass.MONEY_POLITICS)


def test_a_violation_whose_class_is_open_counts_as_other_risk() -> None:
    case = concerns(an_assessment(primary=RiskClass.NONE), RULES)
    assert case is not None
    assert case.risk_class is RiskClass.OTHER_RISK


def test_a_failure_of_the_classifier_alerts_the_operators_as_often_as_the_rules_say() -> None:
    failures = [a_failure(at=VOTING_DAY + MINUTE * number) for number in range(5)]
    assert absorb(failures[:1]).case.alert is not None

    patient = AlertingRules(classify_failed=ClassifyFailed(reports=5))
    assert absorb(failures[:4], rules=patient).case.alert is None
    alert = absorb(failures, rules=patient).case.alert
    assert alert is not None
    assert (alert.cause, alert.severity, alert.reports) == (Cause.CLASSIFY_FAILED, Severity.HIGH, 5)


def test_a_report_that_comes_again_changes_nothing() -> None:
    report = an_assessment(at=VOTING_DAY)
    first = absorb([report, report])

    again = absorb([report], case=first.case, now=VOTING_DAY + HOUR)

    assert again.case is first.case
    assert not again.events
    assert first.case.alert is not None
    assert first.case.alert.reports == 1


def test_new_evidence_updates_the_open_alert_and_is_told_at_the_group_interval() -> None:
    case = told(absorb([an_assessment(at=VOTING_DAY, sender="a")]))

    later = VOTING_DAY + MINUTE
    outcome = absorb([an_assessment(severity=Severity.MEDIUM, at=later, sender="b")], case=case, now=later)

    assert [event.event for event in outcome.events] == ["evidence_added"]
    alert = outcome.case.alert
    assert alert is not None
    assert (alert.reports, alert.incidents, alert.senders) == (2, 2, 2)
    assert decide.ring(outcome.case, later).notify is None
    assert decide.ring(outcome.case, VOTING_DAY + 14 * MINUTE).notify is None
    assert decide.ring(outcome.case, VOTING_DAY + 15 * MINUTE).notify is Reason.EVIDENCE


def test_another_grave_incident_is_told_within_seconds_and_a_flood_of_them_ever_more_rarely() -> None:
    case = told(absorb([an_assessment(at=VOTING_DAY)]))
    waits = []
    now = VOTING_DAY
    for _ in range(12):
        case = absorb([an_assessment(at=now)], case=case, now=now).case
        assert case.alert is not None
        assert case.alert.next_at is not None
        waits.append((case.alert.next_at - now).total_seconds())
        now = case.alert.next_at
        case = decide.told(decide.ring(case, now).case, CHANNELS, RULES, now).case
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900, 900]


def test_copies_of_a_grave_message_wait_for_the_group_interval() -> None:
    first = an_assessment(at=VOTING_DAY)
    case = told(absorb([first]))
    copy = an_assessment(at=VOTING_DAY + MINUTE, incident_id=first.report.incident_id)
    outcome = absorb([copy], case=case, now=VOTING_DAY + MINUTE)
    assert decide.ring(outcome.case, VOTING_DAY + 14 * MINUTE).notify is None
    assert decide.ring(outcome.case, VOTING_DAY + 15 * MINUTE).notify is Reason.EVIDENCE


def test_a_rising_severity_is_told_at_once() -> None:
    case = told(absorb(mediums(3)), VOTING_DAY + MINUTE)

    later = VOTING_DAY + 2 * MINUTE
    outcome = absorb([an_assessment(severity=Severity.CRITICAL, at=later)], case=case, now=later)

    assert [event.event for event in outcome.events] == ["evidence_added", "severity_raised"]
    assert outcome.events[-1].severity is Severity.CRITICAL
    assert decide.ring(outcome.case, later).notify is Reason.SEVERITY


def test_a_grave_report_ends_the_wait_of_an_alert_that_collects() -> None:
    collecting = absorb(mediums(3)).case
    outcome = absorb([an_assessment(at=VOTING_DAY)], case=collecting)
    assert decide.ring(outcome.case, VOTING_DAY).notify is Reason.FIRST


def test_an_alert_that_nobody_takes_is_told_again_and_an_acknowledged_one_is_not() -> None:
    case = told(absorb([an_assessment(at=VOTING_DAY)]))
    much_later = VOTING_DAY + timedelta(hours=6)
    assert decide.ring(case, much_later - MINUTE).notify is Reason.ESCALATION
    assert decide.ring(case, much_later).notify is Reason.REMINDER

    taken = decide.acknowledge(case, actor="balangan-1", reason="menuju lokasi", now=VOTING_DAY + HOUR)

    assert taken.events[0].actor == "balangan-1"
    assert decide.ring(taken.case, much_later).notify is None


def test_another_grave_incident_or_a_higher_severity_resets_an_acknowledgement() -> None:
    case = told(absorb([an_assessment(severity=Severity.HIGH, at=VOTING_DAY, incident_id=UUID(int=1))]))
    taken = decide.acknowledge(case, actor="a", reason="", now=VOTING_DAY).case
    later = VOTING_DAY + HOUR

    same = absorb([an_assessment(severity=Severity.HIGH, at=later, incident_id=UUID(int=1))], case=taken, now=later)
    assert decide.ring(same.case, later).notify is None

    other = absorb([an_assessment(severity=Severity.HIGH, at=later, incident_id=UUID(int=2))], case=taken, now=later)
    assert decide.ring(other.case, later).notify is Reason.EVIDENCE

    worse = absorb([an_assessment(severity=Severity.CRITICAL, at=later)], case=taken, now=later)
    assert worse.case.alert is not None
    assert worse.case.alert.state is AlertState.NOTIFIED
    assert decide.ring(worse.case, later).notify is Reason.SEVERITY


def test_a_silence_holds_everything_back_until_its_end_and_then_tells_again() -> None:
    case = told(absorb([an_assessment(severity=Severity.HIGH, at=VOTING_DAY)]))
    until = VOTING_DAY + timedelta(hours=8)
    quiet = decide.silence(case, until, actor="a", reason="rapat", rules=RULES, now=VOTING_DAY).case

    later = VOTING_DAY + HOUR
    outcome = absorb([an_assessment(severity=Severity.CRITICAL, at=later)], case=quiet, now=later)

    assert [event.event for event in outcome.events] == ["evidence_added", "severity_raised"]
    assert decide.ring(outcome.case, until - MINUTE).notify is None
    ended = decide.ring(outcome.case, until)
    assert ended.notify is not None
    assert ended.case.alert is not None
    assert ended.case.alert.state is AlertState.NOTIFIED


@pytest.mark.parametrize(
    ("until", "reason"),
    [(VOTING_DAY - HOUR, "rapat"), (VOTING_DAY + timedelta(hours=73), "rapat"), (VOTING_DAY + HOUR, " ")],
)
def test_a_silence_needs_an_end_within_bounds_and_a_reason(until: datetime, reason: str) -> None:
    case = told(absorb([an_assessment(at=VOTING_DAY)]))
    with pytest.raises(NotPossibleError):
        decide.silence(case, until, actor="a", reason=reason, rules=RULES, now=VOTING_DAY)


def test_a_resolved_alert_stays_closed_until_something_new_is_reported() -> None:
    report = an_assessment(at=VOTING_DAY)
    case = decide.resolve(told(absorb([report])), actor="a", reason="selesai", now=VOTING_DAY).case

    assert not absorb([report], case=case).events
    outcome = absorb([an_assessment(at=VOTING_DAY + HOUR)], case=case, now=VOTING_DAY + HOUR)

    assert [event.event for event in outcome.events] == ["opened"]
    assert case.alert is not None
    assert outcome.events[0].alert_id != case.alert.alert_id
    assert outcome.events[0].reports == 1
    with pytest.raises(NotPossibleError):
        decide.acknowledge(case, actor="a", reason="", now=VOTING_DAY)


def test_incidents_of_a_resolved_burst_do_not_help_to_open_the_next() -> None:
    case = decide.resolve(told(absorb(mediums(3))), actor="a", reason="", now=VOTING_DAY).case
    one_more = an_assessment(severity=Severity.MEDIUM, at=VOTING_DAY + HOUR)
    assert not absorb([one_more], case=case, now=VOTING_DAY + HOUR).events


def test_the_first_channel_reached_makes_the_alert_notified_and_the_second_changes_nothing() -> None:
    case = told(absorb([an_assessment(at=VOTING_DAY)]))
    assert case.alert is not None
    first = decide.delivered(case, case.alert.alert_id, 1, [SENT], now=VOTING_DAY)
    second = decide.delivered(first.case, case.alert.alert_id, 1, [ALSO_SENT], now=VOTING_DAY)

    assert [event.event for event in first.events] == ["notification_sent"]
    assert first.events[0].state is AlertState.NOTIFIED
    assert not second.events


def test_that_nobody_could_be_told_is_recorded() -> None:
    opened = absorb([an_assessment(at=VOTING_DAY)]).case
    without_officers = decide.told(opened, (), RULES, VOTING_DAY)
    assert [event.event for event in without_officers.events] == ["no_notification_sent"]

    case = decide.told(opened, CHANNELS, RULES, VOTING_DAY).case
    assert case.alert is not None
    one_given_up = decide.delivered(case, case.alert.alert_id, 1, [GIVEN_UP], now=VOTING_DAY)
    assert not one_given_up.events
    both_given_up = decide.delivered(one_given_up.case, case.alert.alert_id, 1, [ALSO_GIVEN_UP], now=VOTING_DAY)
    assert [event.event for event in both_given_up.events] == ["no_notification_sent"]


def test_a_flood_of_copies_does_not_push_other_incidents_out_of_memory() -> None:
    rules = AlertingRules.model_validate({"memory": {"reports": 10}})
    others = mediums(2)
    copies = [
        an_assessment(severity=Severity.MEDIUM, at=VOTING_DAY + MINUTE * n, incident_id=others[0].report.incident_id)
        for n in range(40)
    ]
    case = concerns(others[0], rules)
    assert case is not None
    for report in [*others, *copies]:
        case = decide.absorb(case, [news_of(report)], rules, VOTING_DAY + HOUR).case
    assert len(case.sightings) == 10

    third = an_assessment(severity=Severity.MEDIUM, at=VOTING_DAY + HOUR)
    assert decide.absorb(case, [news_of(third)], rules, VOTING_DAY + HOUR).case.alert is not None


def test_a_report_now_judged_graver_raises_its_alert() -> None:
    report_id = UUID(int=9)
    before = absorb([an_assessment(severity=Severity.MEDIUM, at=VOTING_DAY, report_id=report_id)]).case
    outcome = absorb([an_assessment(severity=Severity.HIGH, at=VOTING_DAY, report_id=report_id)], case=before)
    assert [event.event for event in outcome.events] == ["opened"]


def test_every_event_of_an_alert_has_an_id_of_its_own() -> None:
    first = absorb(mediums(3))
    case = told(first)
    second = absorb([an_assessment(at=VOTING_DAY)], case=case)
    ids = [event.event_id for event in (*first.events, *second.events)]
    assert len(set(ids)) == len(ids) == 3


_reports = st.lists(
    st.builds(
        lambda hours, number, incident, severity: an_assessment(
            severity=severity,
            at=VOTING_DAY + timedelta(hours=hours),
            report_id=UUID(int=number),
            incident_id=UUID(int=incident),
        ),
        st.integers(0, 200),
        st.integers(0, 10_000),
        st.integers(0, 5),
        st.sampled_from([Severity.LOW, Severity.MEDIUM, Severity.MEDIUM, Severity.MEDIUM, Severity.HIGH]),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda assessment: assessment.report.report_id,
)


NUMBERS_ALONE = AlertingRules.model_validate({"flag": {"burst": {"most_probability": 1, "senders": 1}}})


def _is_flagged(batches: Iterable[Sequence[Assessment]], rules: AlertingRules) -> bool:
    case: Case | None = None
    for batch in batches:
        case = absorb(batch, case=case, now=VOTING_DAY + timedelta(days=10), rules=rules).case
    return case is not None and case.alert is not None


@given(_reports, st.randoms(use_true_random=False), st.integers(1, 5))
def test_neither_order_nor_batches_nor_redelivery_change_whether_a_region_is_flagged(
    reports: list[Assessment], random: object, size: int
) -> None:
    in_order = sorted(reports, key=lambda assessment: assessment.report.received_at)
    expected = _is_flagged([in_order], NUMBERS_ALONE)
    batches = []
    for start in range(0, len(in_order), size):
        batch = [*in_order[start : start + size], *in_order[: start + 1]]
        random.shuffle(batch)  # type: ignore[attr-defined]
        batches.append(batch)
    assert _is_flagged(batches, NUMBERS_ALONE) is expected


@given(_reports)
def test_a_region_is_flagged_exactly_when_a_grave_report_or_three_incidents_within_the_window_say_so(
    reports: list[Assessment],
) -> None:
    grave = any(report.judgement.severity.rank >= Severity.HIGH.rank for report in reports)
    medium = [report.report for report in reports if report.judgement.severity.rank >= Severity.MEDIUM.rank]
    begun: dict[UUID, datetime] = {}
    for report in sorted(medium, key=lambda report: (report.received_at, report.report_id)):
        begun.setdefault(report.incident_id, report.received_at)
    burst = any(
        sum(timedelta(0) <= last - first <= timedelta(hours=48) for first in begun.values()) >= 3
        for last in begun.values()
    )
    assert _is_flagged([reports], NUMBERS_ALONE) is (grave or burst)


def test_a_replayed_report_that_is_no_longer_remembered_is_not_counted_again() -> None:
    rules = AlertingRules.model_validate({"memory": {"reports": 10}})
    came_first = mediums(30, step=MINUTE)
    case = absorb(came_first[:10], rules=rules).case
    for one in came_first[10:]:
        case = absorb([one], case=case, rules=rules).case
    assert case.alert is not None
    assert (case.alert.reports, len(case.sightings)) == (30, 10)
    replayed = [
        one.model_copy(update={"report": one.report.model_copy(update={"replayed": True})}) for one in came_first
    ]
    assert absorb(replayed, case=case, rules=rules) == Outcome(case)
    # What no alert has counted yet is news all the same.
    assert absorb(replayed, rules=rules).case.alert is not None
