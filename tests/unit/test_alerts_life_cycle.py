"""How an alert climbs, rests and comes back: the clock is moved by hand, the officers are those of a small file."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from services.alerts import decide
from services.alerts.announce import Announcer
from services.alerts.case import Alert, Case, Progress, Reason, Target
from services.alerts.decide import Outcome
from services.alerts.escalation import Rung, acknowledgement_ends_at, deadline_times, next_rung
from services.alerts.intake import concerns, news_of
from services.alerts.officers import Officers
from services.alerts.render import Renderer
from services.alerts.rules import AlertingRules, Deadline, Escalation
from services.alerts.store import Change, QueuedDelivery
from services.alerts.summary import summary_text
from shared.calendar import Calendar
from shared.contracts import AlertState, Assessment, Regime, Severity
from tests.assessments import AMBON, VOTING_DAY, a_failure, an_assessment

CALENDAR = Calendar.load(Path(__file__).resolve().parents[2] / "deploy" / "config" / "calendar.yaml")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def an_officer(id_: str, role: str, region: str, **more: Any) -> dict[str, Any]:
    """An officer with one webhook."""
    channels = more.pop("channels", ["json://127.0.0.1:9000/alerts"])
    return {"id": id_, "role": role, "regions": [region], "channels": channels, **more}


LADDER = [
    an_officer("balangan-1", "regency", "63.11"),
    an_officer("balangan-2", "regency", "63.11"),
    an_officer("ketua", "head", "63.11"),
    an_officer("kalsel", "province", "63"),
    an_officer("nasional", "national", "*"),
    an_officer("operator", "operator", "*"),
]


class Desk:
    """One case at a time, with everything that was told of it."""

    def __init__(self, people: Sequence[dict[str, Any]] = LADDER, **rules: Any) -> None:
        self.officers = Officers.model_validate({"officers": list(people)})
        self.rules = AlertingRules.model_validate(rules)
        self.announcer = Announcer(
            lambda: self.officers, lambda: self.rules, lambda: CALENDAR, Renderer(lambda: CALENDAR), None
        )
        self.now = VOTING_DAY
        self.case: Case | None = None
        self.told: list[tuple[timedelta, set[str]]] = []
        self.deliveries: list[QueuedDelivery] = []
        self.events: list[str] = []
        self.numbered = 0
        self.province_tells = False

    def report(self, assessment: Assessment) -> None:
        """Take in an assessment now."""
        case = self.case or concerns(assessment, self.rules)
        assert case is not None
        self._take(self.announcer.change(decide.absorb(case, [news_of(assessment)], self.rules, self.now), self.now))

    def apply(self, outcome: Outcome) -> None:
        """What somebody decided."""
        self._take(Change(outcome.case, outcome.events))

    def look(self) -> None:
        """What the service does whenever it looks at what is due."""
        assert self.case is not None
        change = self.announcer.change(Outcome(self.case), self.now, province_tells=self.province_tells)
        self._take(change)

    def wait(self, length: timedelta) -> None:
        """Let time pass, looking whenever something is due, as the service does."""
        end = self.now + length
        while self.alert.due_at and self.alert.due_at <= end:
            self.now = max(self.now, self.alert.due_at)
            self.look()
        self.now = end

    @property
    def alert(self) -> Alert:
        """The alert of the case."""
        assert self.case is not None
        assert self.case.alert is not None
        return self.case.alert

    @property
    def state(self) -> str:
        """Where the alert stands."""
        return self.alert.state.value

    def reached(self, progress: Progress, *, number: int | None = None) -> None:
        """What has become of every channel of a notification (the last one)."""
        assert self.case is not None
        number = number or self.alert.notifications
        targets = [Target(one.officer_id, one.channel, progress) for one in self.deliveries if one.number == number]
        self.apply(decide.delivered(self.case, self.alert.alert_id, number, targets, now=self.now))

    def acknowledge(self, actor: str) -> None:
        """An officer acknowledges now."""
        assert self.case is not None
        self.apply(decide.acknowledge(self.case, actor=actor, reason="", now=self.now))

    def resolve(self, actor: str, reason: str = "") -> None:
        """An officer closes it now, and the service looks at what is due."""
        assert self.case is not None
        self.apply(decide.resolve(self.case, actor=actor, reason=reason, now=self.now))
        self.look()

    def _take(self, change: Change) -> None:
        self.case = change.case
        self.events += [event.event for event in change.events]
        if change.events:
            self.numbered = change.events[-1].sequence + 1
        if change.deliveries:
            self.told.append((self.now - VOTING_DAY, {one.officer_id for one in change.deliveries}))
            self.deliveries += change.deliveries


def a_grave_one(at: datetime = VOTING_DAY, severity: Severity = Severity.HIGH) -> Assessment:
    """A report that flags Balangan by itself."""
    return an_assessment(severity=severity, at=at)


def test_an_alert_that_nobody_takes_climbs_every_step_and_begins_anew_until_its_rounds_are_over() -> None:
    desk = Desk(escalation={"repeat": 1}, notify={"repeat_interval_hours": 100})
    desk.report(a_grave_one())
    desk.wait(timedelta(hours=50))
    first = {"balangan-1", "balangan-2"}
    climb = [(0, first), (15, {"ketua"}), (45, {"kalsel"}), (105, {"nasional"})]
    again = [(120, first), (135, {"ketua"}), (165, {"kalsel"}), (225, {"nasional"})]
    assert desk.told == [(MINUTE * minutes, people) for minutes, people in climb + again]
    assert desk.events.count("escalated") == 7
    assert desk.alert.is_open
    assert desk.alert.state is AlertState.ESCALATED
    assert desk.alert.escalate_at is None


def test_an_alert_whose_rounds_are_over_is_still_reminded_of_and_a_higher_severity_starts_it_anew() -> None:
    desk = Desk(escalation={"repeat": 0})
    desk.report(a_grave_one())
    desk.wait(timedelta(hours=7))
    assert desk.told[-1] == (timedelta(hours=6), {"balangan-1", "balangan-2", "ketua", "kalsel", "nasional"})
    assert desk.alert.escalate_at is None

    quiet = Desk(escalation={"repeat": 1, "steps": [{"after_minutes": 5, "roles": ["head"]}]})
    quiet.report(a_grave_one())
    quiet.wait(HOUR)
    assert quiet.alert.escalate_at is None
    quiet.report(a_grave_one(quiet.now, Severity.CRITICAL))
    assert quiet.alert.escalate_at == quiet.now + 5 * MINUTE


def test_an_acknowledged_alert_climbs_no_further() -> None:
    desk = Desk()
    desk.report(a_grave_one())
    desk.wait(20 * MINUTE)
    desk.acknowledge("ketua")
    desk.wait(timedelta(hours=12))
    assert desk.told == [(timedelta(0), {"balangan-1", "balangan-2"}), (15 * MINUTE, {"ketua"})]
    assert desk.alert.state is AlertState.ACKNOWLEDGED


def test_steps_where_nobody_stands_cost_no_time() -> None:
    desk = Desk([LADDER[0], LADDER[4]], escalation={"repeat": 0})
    desk.report(a_grave_one())
    desk.wait(16 * MINUTE)
    assert desk.told[-1] == (15 * MINUTE, {"nasional"})


def test_where_nobody_stands_above_an_alert_does_not_climb() -> None:
    desk = Desk([LADDER[0]])
    desk.report(a_grave_one())
    desk.wait(timedelta(hours=5))
    assert len(desk.told) == 1
    assert "escalated" not in desk.events


def test_an_acknowledgement_that_nothing_follows_goes_stale_and_the_next_step_is_told_as_well() -> None:
    desk = Desk(escalation={"acknowledgement_expires_hours": 10})
    desk.report(a_grave_one())
    desk.acknowledge("balangan-1")
    desk.wait(9 * HOUR)
    assert len(desk.told) == 1
    desk.wait(HOUR)
    assert desk.told[-1] == (10 * HOUR, {"balangan-1", "balangan-2", "ketua"})
    assert desk.alert.state is AlertState.ESCALATED
    assert desk.events[-2:] == ["escalated", "escalated"]
    desk.wait(31 * MINUTE)
    assert desk.told[-1][1] == {"kalsel"}


def test_acknowledging_again_renews_it() -> None:
    desk = Desk(escalation={"acknowledgement_expires_hours": 10})
    desk.report(a_grave_one())
    desk.acknowledge("balangan-1")
    desk.wait(9 * HOUR)
    desk.acknowledge("balangan-1")
    desk.wait(9 * HOUR)
    assert len(desk.told) == 1


@pytest.mark.parametrize(("left", "hours"), [(timedelta(days=7), 24), (10 * HOUR, 5), (HOUR, 1), (-HOUR, 24)])
def test_an_acknowledgement_goes_stale_sooner_when_the_law_leaves_little_time(left: timedelta, hours: float) -> None:
    ends = acknowledgement_ends_at(timedelta(hours=24), VOTING_DAY + left, VOTING_DAY)
    assert ends == VOTING_DAY + timedelta(hours=hours)


def test_the_term_of_law_is_counted_from_the_first_report() -> None:
    desk = Desk()
    desk.report(a_grave_one())
    assert desk.alert.report_until is not None
    assert timedelta(days=6) < desk.alert.report_until - VOTING_DAY < timedelta(days=8)


def test_a_new_trigger_ends_an_acknowledgement_and_the_climb_begins_at_the_bottom() -> None:
    desk = Desk()
    desk.report(a_grave_one())
    desk.wait(50 * MINUTE)
    desk.acknowledge("kalsel")
    desk.report(a_grave_one(desk.now, Severity.CRITICAL))
    assert desk.told[-1] == (50 * MINUTE, {"balangan-1", "balangan-2"})
    desk.wait(15 * MINUTE)
    assert desk.told[-1] == (65 * MINUTE, {"ketua"})


def test_where_everybody_must_acknowledge_it_climbs_until_the_last_one_has() -> None:
    desk = Desk(escalation={"acknowledge": "all"})
    desk.report(a_grave_one())
    desk.acknowledge("balangan-1")
    assert desk.state == "open"
    desk.acknowledge("balangan-2")
    assert desk.state == "acknowledged"

    other = Desk(escalation={"acknowledge": "all"})
    other.report(a_grave_one())
    other.acknowledge("balangan-1")
    other.wait(15 * MINUTE)
    assert other.told[-1][1] == {"ketua"}
    other.acknowledge("ketua")
    assert other.alert.state is AlertState.ACKNOWLEDGED, "of the step reached one acknowledgement is enough"


def test_who_has_acknowledged_already_is_not_reminded_while_others_are_asked() -> None:
    desk = Desk(escalation={"acknowledge": "all", "steps": []})
    desk.report(a_grave_one())
    desk.acknowledge("balangan-1")
    desk.wait(6 * HOUR)
    assert desk.told[-1] == (6 * HOUR, {"balangan-2"})


def test_a_grave_news_of_an_escalated_alert_is_told_to_everybody_it_has_climbed_to() -> None:
    desk = Desk()
    desk.report(a_grave_one())
    desk.wait(16 * MINUTE)
    desk.report(a_grave_one(desk.now, Severity.CRITICAL))
    assert desk.told[-1] == (16 * MINUTE, {"balangan-1", "balangan-2", "ketua"})


def test_when_every_channel_fails_the_parent_is_told_at_once_then_the_operators_then_it_is_given_up() -> None:
    desk = Desk(escalation={"steps": []})
    desk.report(a_grave_one())
    desk.reached(Progress.FAILING)
    desk.wait(timedelta(0))
    assert desk.told[-1] == (timedelta(0), {"kalsel"})
    desk.reached(Progress.GIVEN_UP)
    desk.wait(timedelta(0))
    desk.reached(Progress.FAILING)
    desk.wait(timedelta(0))
    desk.reached(Progress.FAILING)
    desk.wait(timedelta(0))
    assert [people for _, people in desk.told] == [{"balangan-1", "balangan-2"}, {"kalsel"}, {"nasional"}, {"operator"}]
    assert desk.events == ["opened", *["no_notification_sent"] * 4]
    assert desk.alert.retry_at == VOTING_DAY + 5 * MINUTE, "it is tried again"
    assert desk.alert.next_at == VOTING_DAY + 6 * HOUR, "it is reminded of"


def test_when_a_step_reaches_nobody_those_above_it_stand_in_and_not_those_who_know_already() -> None:
    desk = Desk([LADDER[0], *LADDER[3:]], escalation={"steps": [{"after_minutes": 5, "roles": ["province"]}]})
    desk.report(a_grave_one())
    desk.reached(Progress.SENT)
    desk.wait(5 * MINUTE)
    desk.reached(Progress.FAILING)
    desk.wait(timedelta(0))
    assert [people for _, people in desk.told] == [{"balangan-1"}, {"kalsel"}, {"nasional"}]


def test_an_alert_taken_before_it_was_told_is_told_when_something_grave_comes() -> None:
    desk = Desk()
    for number in range(3):
        desk.report(an_assessment(severity=Severity.MEDIUM, at=VOTING_DAY - number * HOUR))
    desk.acknowledge("balangan-1")
    desk.wait(HOUR)
    assert desk.told == []
    desk.report(a_grave_one(desk.now))
    assert desk.told == [(HOUR, {"balangan-1", "balangan-2"})]


def test_a_failing_channel_that_recovers_is_recorded_and_one_that_works_needs_no_stand_in() -> None:
    desk = Desk(escalation={"steps": []})
    desk.report(a_grave_one())
    desk.reached(Progress.FAILING)
    desk.reached(Progress.SENT)
    assert desk.events == ["opened", "no_notification_sent", "notification_sent"]
    assert desk.alert.state is AlertState.NOTIFIED

    half = Desk(escalation={"steps": []})
    half.report(a_grave_one())
    assert half.case is not None
    targets = [Target("balangan-1", 0, Progress.FAILING), Target("balangan-2", 0, Progress.SENT)]
    half.apply(decide.delivered(half.case, half.alert.alert_id, 1, targets, now=half.now))
    half.wait(HOUR)
    assert len(half.told) == 1


def test_where_nobody_is_configured_the_operators_are_told_and_it_is_recorded() -> None:
    desk = Desk([LADDER[0], LADDER[5]])
    desk.report(an_assessment(severity=Severity.HIGH, at=VOTING_DAY, region=AMBON))
    assert desk.told == [(timedelta(0), {"operator"})]
    assert desk.events == ["opened", "no_notification_sent"]


def test_what_nobody_could_be_told_is_tried_again_every_few_minutes_and_recorded_once() -> None:
    desk = Desk([an_officer("ambon", "regency", "81.71")], escalation={"steps": []})
    desk.report(a_grave_one())
    desk.wait(HOUR)
    assert desk.told == []
    assert desk.events == ["opened", "no_notification_sent"]
    assert desk.alert.untold_since == VOTING_DAY

    desk.officers = Officers.model_validate({"officers": LADDER[:1]})
    desk.wait(5 * MINUTE)
    assert desk.told == [(65 * MINUTE, {"balangan-1"})]
    assert desk.deliveries[-1].title.endswith("(sebelumnya tidak tersampaikan)")
    desk.reached(Progress.SENT)
    assert (desk.alert.untold_since, desk.alert.retry_at) == (None, None)
    desk.wait(HOUR)
    assert len(desk.told) == 1


def test_while_only_operators_know_of_an_alert_those_whom_it_concerns_are_still_to_be_told() -> None:
    desk = Desk([LADDER[5]], escalation={"steps": []})
    desk.report(a_grave_one())
    desk.reached(Progress.SENT)
    desk.wait(HOUR)
    assert desk.told == [(timedelta(0), {"operator"})]
    assert desk.alert.untold_since == VOTING_DAY
    desk.officers = Officers.model_validate({"officers": [LADDER[0], LADDER[5]]})
    desk.wait(5 * MINUTE)
    assert desk.told[1:] == [(65 * MINUTE, {"balangan-1"})]


def test_where_every_channel_is_dead_it_is_tried_anew_only_once_those_are_given_up() -> None:
    desk = Desk(LADDER[:1], escalation={"steps": []})
    desk.report(a_grave_one())
    desk.reached(Progress.FAILING)
    desk.wait(HOUR)
    assert len(desk.told) == 1
    assert desk.alert.untold_since == VOTING_DAY
    desk.reached(Progress.GIVEN_UP)
    desk.wait(5 * MINUTE)
    assert desk.told[1:] == [(65 * MINUTE, {"balangan-1"})]
    desk.acknowledge("balangan-1")
    assert desk.alert.untold_since is None


def test_failures_of_the_classifier_stay_with_the_operators() -> None:
    desk = Desk()
    desk.report(a_failure(at=VOTING_DAY))
    desk.wait(5 * HOUR)
    assert desk.told == [(timedelta(0), {"operator"})]


def test_a_silence_stops_the_climb_and_its_end_carries_on_where_it_stood() -> None:
    desk = Desk()
    desk.report(a_grave_one())
    desk.wait(20 * MINUTE)
    assert desk.case is not None
    until = desk.now + 8 * HOUR
    desk.apply(decide.silence(desk.case, until, actor="a", reason="rapat", rules=desk.rules, now=desk.now))
    desk.wait(8 * HOUR - MINUTE)
    assert len(desk.told) == 2
    desk.wait(MINUTE)
    assert desk.told[-1][1] == {"balangan-1", "balangan-2", "ketua"}
    assert desk.alert.state is AlertState.ESCALATED
    desk.wait(30 * MINUTE)
    assert desk.told[-1][1] == {"kalsel"}


def test_what_came_during_a_silence_is_told_as_news_at_its_end_also_when_the_province_has_an_alert() -> None:
    desk = Desk(escalation={"steps": []})
    desk.province_tells = True
    desk.report(a_grave_one())
    assert desk.case is not None
    until = desk.now + HOUR
    desk.apply(decide.silence(desk.case, until, actor="a", reason="rapat", rules=desk.rules, now=desk.now))
    desk.report(a_grave_one(severity=Severity.CRITICAL))
    desk.report(a_grave_one())
    desk.wait(HOUR)
    assert desk.told[-1][0] == HOUR
    assert desk.deliveries[-1].title.endswith("(tingkat naik)")


@pytest.mark.parametrize(
    ("channels", "order", "html", "short"),
    [
        (["json://a/"], "all", False, False),
        (["mailto://a:b@c.id"], "all", True, False),
        (["tgram://123456789:abcdefg_hijklmnop/1/"], "all", False, True),
        (["json://a/", "mailto://a:b@c.id"], "first", True, False),  # it may fail over to the second
    ],
)
def test_a_notification_is_written_in_the_forms_that_its_channels_carry(
    channels: list[str], order: str, html: bool, short: bool
) -> None:
    desk = Desk([an_officer("balangan", "regency", "63.11", channels=channels, channels_order=order)])
    desk.report(a_grave_one(severity=Severity.CRITICAL))
    [told, *_] = desk.deliveries
    assert told.body
    assert (bool(told.html), bool(told.short)) == (html, short)


def test_a_summary_names_every_alert_shows_forty_and_escapes_what_others_wrote() -> None:
    cases = []
    for number in range(45):
        desk = Desk()
        desk.report(a_grave_one(severity=Severity.CRITICAL if number < 2 else Severity.HIGH))
        assert desk.case is not None
        cases.append((replace(desk.case, region_name="Kabupaten <b>"), desk.alert))
    text = summary_text(cases)
    assert text.title == "45 peringatan belum ditindaklanjuti (2 KRITIS, 43 TINGGI)"
    assert text.plain.count("salingjaga alerts show") == 40
    assert "dan 5 peringatan lain" in text.plain
    assert "&lt;b&gt;" in text.html
    assert "<b>" not in text.html

    closed = [(case, replace(alert, state=AlertState.RESOLVED)) for case, alert in cases[:2]]
    assert summary_text([*closed, cases[2]]).title == "1 peringatan belum ditindaklanjuti (1 TINGGI); 2 sudah ditutup"
    assert summary_text(closed).title == "2 peringatan sudah ditutup"
    assert summary_text(closed).plain.count("(ditutup)") == 2


def test_an_alert_of_the_province_holds_back_reminders_but_neither_first_tellings_nor_graver_news() -> None:
    desk = Desk(escalation={"steps": []})
    desk.province_tells = True
    desk.report(a_grave_one())
    desk.wait(7 * HOUR)
    assert len(desk.told) == 1
    desk.report(a_grave_one(desk.now, Severity.CRITICAL))
    assert len(desk.told) == 2
    desk.province_tells = False
    desk.wait(6 * HOUR)
    assert len(desk.told) == 3


def test_those_who_were_told_of_an_alert_are_told_once_who_closed_it_and_why() -> None:
    desk = Desk()
    desk.report(a_grave_one())
    desk.reached(Progress.SENT)
    desk.wait(20 * MINUTE)
    desk.reached(Progress.SENT)
    desk.resolve("ketua", "tidak terbukti")
    desk.look()
    desk.wait(timedelta(days=3))
    assert desk.told[2:] == [(20 * MINUTE, {"balangan-1", "balangan-2", "ketua"})]
    word = desk.deliveries[-1]
    assert word.title == "[TINGGI] Dugaan politik uang: Kabupaten Balangan (ditutup)"
    assert "peringatan ini ditutup oleh ketua pada 27 Nov 2024 11.20 WITA: tidak terbukti." in word.body
    desk.reached(Progress.SENT)
    assert desk.events[-2:] == ["resolved", "notification_sent"]
    assert desk.alert.waiting == ()


def test_the_closing_of_an_alert_of_which_nobody_knows_or_that_is_switched_off_is_told_to_nobody() -> None:
    unknown = Desk()
    unknown.report(a_grave_one())
    unknown.resolve("a")
    assert len(unknown.told) == 1

    silent = Desk(notify={"tell_resolved": False})
    silent.report(a_grave_one())
    silent.reached(Progress.SENT)
    silent.resolve("a")
    silent.look()
    assert len(silent.told) == 1
    assert silent.alert.due_at is None


def test_a_closing_that_reaches_nobody_is_recorded_and_sent_to_nobody_else() -> None:
    desk = Desk()
    desk.report(a_grave_one())
    desk.reached(Progress.SENT)
    desk.resolve("a")
    desk.reached(Progress.GIVEN_UP)
    desk.look()
    assert len(desk.told) == 2
    assert desk.events[-1] == "no_notification_sent"


# The term of law: 4 December 2024, 23.59.59 in Balangan

FIRST_REMINDER = datetime(2024, 12, 2, 8, tzinfo=ZoneInfo("Asia/Makassar")) - VOTING_DAY
SECOND_REMINDER = FIRST_REMINDER + timedelta(days=1)
RARELY: dict[str, Any] = {
    "notify": {"repeat_interval_hours": 168},
    "escalation": {"repeat": 0, "acknowledgement_expires_hours": 240},
}


def taken(**rules: Any) -> Desk:
    """An alert that balangan-1 took, three days after it became known."""
    desk = Desk(**(RARELY | rules))
    desk.report(a_grave_one())
    desk.now += timedelta(days=3)
    desk.acknowledge("balangan-1")
    return desk


def test_the_term_of_law_is_told_first_to_whoever_took_the_alert_then_a_step_up_and_once_each() -> None:
    desk = taken()
    desk.wait(timedelta(days=2))
    desk.acknowledge("balangan-1")
    desk.wait(timedelta(days=1))
    desk.acknowledge("balangan-1")
    desk.look()
    assert desk.told[1:] == [(FIRST_REMINDER, {"balangan-1"}), (SECOND_REMINDER, {"balangan-1", "ketua"})]
    assert desk.state == "acknowledged"
    assert desk.events.count("deadline_near") == 2
    word = desk.deliveries[-1]
    assert word.title == "[TINGGI] Dugaan politik uang: Kabupaten Balangan (tenggat hukum mendekat)"
    assert "tenggat hukum mendekat, dan peringatan ini belum ditutup." in word.body
    assert "Batas menyampaikan laporan: 4 Des 2024 23.59 WITA, sisa 1 hari 15 jam" in word.body


def test_in_a_pemilu_the_earlier_term_of_a_finding_is_reminded_of() -> None:
    desk = Desk(**RARELY)
    desk.report(an_assessment(severity=Severity.HIGH, at=VOTING_DAY, regime=Regime.PEMILU))
    assert desk.alert.deadline_at == VOTING_DAY + FIRST_REMINDER


def test_the_term_of_an_alert_that_nobody_took_is_told_to_everybody_it_has_climbed_to() -> None:
    desk = Desk(**RARELY)
    desk.report(a_grave_one())
    desk.wait(timedelta(hours=6))
    climbed = len(desk.told)
    desk.wait(FIRST_REMINDER)
    assert desk.told[climbed:] == [(FIRST_REMINDER, {"balangan-1", "balangan-2", "ketua", "kalsel", "nasional"})]


def test_after_a_long_sleep_only_the_last_reminder_is_told_and_a_closed_alert_has_none() -> None:
    desk = taken(escalation={"acknowledgement_expires_hours": 240, "steps": [{"after_minutes": 5, "roles": ["head"]}]})
    desk.apply(decide.acknowledge(desk.case, actor="balangan-1", reason="", now=VOTING_DAY + timedelta(days=5)))  # type: ignore[arg-type]
    desk.now = VOTING_DAY + SECOND_REMINDER
    desk.look()
    desk.look()
    assert desk.told[1:] == [(SECOND_REMINDER, {"balangan-1", "ketua"})]
    assert desk.alert.deadline_at is None

    closed = taken()
    closed.resolve("balangan-1")
    closed.wait(timedelta(days=5))
    assert len(closed.told) == 1


def test_a_silence_puts_off_the_reminder_of_the_term_to_its_end() -> None:
    desk = taken()
    desk.now = VOTING_DAY + FIRST_REMINDER - HOUR
    assert desk.case is not None
    until = desk.now + 3 * HOUR
    desk.apply(decide.silence(desk.case, until, actor="a", reason="rapat", rules=desk.rules, now=desk.now))
    desk.wait(3 * HOUR - MINUTE)
    assert len(desk.told) == 1
    desk.wait(MINUTE)
    assert [one.reason for one in desk.deliveries[-4:]] == [Reason.REMINDER] * 2 + [Reason.DEADLINE] * 2


def test_a_reminder_of_the_term_that_reaches_nobody_is_recorded_and_others_are_told() -> None:
    desk = taken()
    desk.wait(timedelta(days=2))
    desk.reached(Progress.GIVEN_UP)
    desk.look()
    assert desk.events[-2:] == ["deadline_near", "no_notification_sent"]
    assert desk.told[-1][1] == {"balangan-2"}
    assert desk.state == "acknowledged"


def test_what_the_first_notification_came_too_late_for_is_not_reminded_of_and_the_system_has_no_term() -> None:
    late = Desk(**RARELY)
    late.now = VOTING_DAY + SECOND_REMINDER + HOUR
    late.report(a_grave_one())
    assert (late.alert.deadline_at, late.alert.deadline_stage) == (None, 2)

    failing = Desk()
    failing.report(a_failure(at=VOTING_DAY))
    assert failing.alert.deadline_at is None


def test_reminders_count_working_days_or_hours_back_from_the_last_day() -> None:
    zone = ZoneInfo("Asia/Jakarta")
    until = datetime(2024, 12, 27, 23, 59, 59, tzinfo=zone)  # a Friday; 25 is Christmas, 26 joint leave
    deadline = Deadline.model_validate(
        {"stages": [{"hours": 12}, {"working_days": 1}, {"working_days": 2}], "at": "09:30"}
    )
    assert [f"{at:%d %H:%M}" for at in deadline_times(until, deadline, zone)] == ["23 09:30", "24 09:30", "27 11:59"]
    for wrong in ({}, {"hours": 1, "working_days": 1}):
        with pytest.raises(ValidationError, match="either working_days or hours"):
            Deadline.model_validate({"stages": [wrong]})


def test_what_was_held_back_counts_as_told_when_its_summary_arrives() -> None:
    desk = Desk()
    desk.report(a_grave_one())
    desk.reached(Progress.HELD)
    assert desk.state == "open"
    assert desk.case is not None
    for officer in ("balangan-1", "balangan-2"):
        desk.apply(decide.summarised(desk.case, desk.alert.alert_id, officer, Progress.SENT, desk.now))
    assert desk.state == "notified"
    assert desk.events == ["opened", "notification_sent"]
    assert desk.alert.waiting == ()


def test_a_service_that_slept_tells_once_what_was_due_several_times() -> None:
    desk = Desk(notify={"repeat_interval_hours": 1}, escalation={"steps": []})
    desk.report(a_grave_one())
    desk.now += timedelta(hours=10)
    desk.look()
    desk.look()
    assert len(desk.told) == 2


def test_a_late_report_waits_from_our_first_sight_of_it() -> None:
    desk = Desk()
    for number in range(3):
        desk.report(an_assessment(severity=Severity.MEDIUM, at=VOTING_DAY - timedelta(hours=30 + number)))
    assert desk.told == []
    desk.wait(timedelta(seconds=30))
    assert desk.told == [(timedelta(seconds=30), {"balangan-1", "balangan-2"})]


def test_the_next_rung_passes_over_empty_steps_and_ends_after_the_last_round() -> None:
    rules = Escalation(repeat=1)
    assert next_rung(Rung(0, 0), rules, {2}) == Rung(2, 0)
    assert next_rung(Rung(2, 0), rules, {2}) == Rung(0, 1)
    assert next_rung(Rung(2, 1), rules, {2}) is None
    assert next_rung(Rung(0, 0), rules, ()) is None


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 600)),
        st.tuples(st.just("report"), st.sampled_from([Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL])),
        st.tuples(st.just("acknowledge"), st.sampled_from(["balangan-1", "balangan-2", "ketua"])),
        st.tuples(st.just("reached"), st.sampled_from(list(Progress))),
        st.tuples(st.just("silence"), st.integers(1, 300)),
        st.tuples(st.just("resolve"), st.none()),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=150)
@given(_STEPS, st.sampled_from(["any", "all"]))
def test_whatever_happens_an_open_alert_is_never_forgotten_and_a_resting_one_never_told(
    steps: Sequence[tuple[str, Any]], acknowledge: str
) -> None:
    desk = Desk(escalation={"acknowledge": acknowledge})
    desk.report(a_grave_one())
    for step, value in steps:
        assert desk.case is not None
        told_before, resting = len(desk.told), desk.alert.state in (AlertState.SILENCED, AlertState.RESOLVED)
        if step == "wait":
            until = desk.alert.due_at
            desk.wait(value * MINUTE)
            if resting and (until is None or until > desk.now):
                assert len(desk.told) == told_before
        elif step == "report":
            desk.report(an_assessment(severity=value, at=desk.now))
        elif step == "reached" and desk.alert.notifications:
            desk.reached(value)
        elif desk.alert.is_open and step == "acknowledge":
            desk.acknowledge(value)
        elif desk.alert.is_open and step == "silence":
            until = desk.now + value * MINUTE
            desk.apply(decide.silence(desk.case, until, actor="a", reason="r", rules=desk.rules, now=desk.now))
        elif desk.alert.is_open and step == "resolve":
            desk.resolve("a")
        assert (desk.alert.due_at is not None) is desk.alert.is_open, (
            "whatever is open has a time at which it is looked at"
        )
        assert desk.alert.events == desk.numbered, "every change is numbered"
