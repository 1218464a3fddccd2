"""Climbing, resting and failing over against a real Redis and real channels; also killed at every moment."""

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
import yaml
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from deploy.embedded.redis_server import find_redis_server
from deploy.embedded.system import free_port
from services.alerts import inbox
from services.alerts.announce import Announcer
from services.alerts.app import build
from services.alerts.ledger import Ledger
from services.alerts.officers import Officers
from services.alerts.places import Places
from services.alerts.render import Renderer
from services.alerts.rules import AlertingRules
from services.alerts.sending import Sender
from services.alerts.store import CaseStore
from services.alerts.summary import Summaries
from services.alerts.watch import Watch
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.calendar import Calendar
from shared.contracts import AlertState, Assessment, Region, Severity
from tests.assessments import AMBON, BALANGAN, an_assessment
from tests.integration.test_alerts_service import PROJECT_CONFIG, Alerts
from tests.receivers import HttpReceiver, SmtpReceiver
from tests.running import eventually, running

NIGHT = datetime(2024, 11, 26, 15, 0, tzinfo=UTC)
"""23.00 in Balangan (WITA), 22.00 in Jakarta."""
HOUR = timedelta(hours=1)
KALSEL = Region(code="63", name="Provinsi Kalimantan Selatan", level="province", confidence=1)
QUICK = {"attempts": 4, "first_retry_seconds": 0.05, "longest_retry_seconds": 0.1, "failover_after_attempts": 2}


@pytest.fixture
def alerts(redis_url: str, tmp_path: Path) -> Alerts:
    """Surroundings with the committed configuration."""
    return Alerts(redis_url, tmp_path)


def an_officer(id_: str, channels: list[str], *, role: str = "regency", region: str = "63.11", **more: Any) -> Any:
    """An officer as officers.yaml has them."""
    return {"id": id_, "role": role, "regions": [region], "channels": channels, **more}


def at(condition: Callable[[], bool]) -> Any:
    """A condition as `eventually` wants it."""

    async def answer() -> bool:
        return condition()

    return answer


class Clockwork:
    """The parts of the service around a real Redis, run step by step under a clock moved by hand."""

    def __init__(self, alerts: Alerts, people: list[Any], rules: dict[str, Any], now: datetime = NIGHT) -> None:
        self.alerts = alerts
        self.now = now
        self.rules = AlertingRules.model_validate({"sending": QUICK, **rules})
        self.officers = Officers.model_validate({"officers": people})
        calendar = Calendar.load(PROJECT_CONFIG / "calendar.yaml")
        self.redis = Redis.from_url(alerts.url)
        self.store = CaseStore(self.redis)
        self.announcer = announcer = Announcer(
            lambda: self.officers, lambda: self.rules, lambda: calendar, Renderer(lambda: calendar), None
        )

        def clock() -> datetime:
            return self.now

        self.sender = Sender(self.store, lambda: self.officers, lambda: self.rules, None, clock)
        self.watch = Watch(
            self.store, Ledger(self.redis), Places({}), announcer, lambda: self.rules, clock, self.sender.wake
        )
        self.summaries = Summaries(
            self.store, announcer, lambda: self.officers, lambda: self.rules, clock, self.sender.wake
        )

    async def report(self, *assessments: Assessment) -> None:
        """Take in assessments and do what follows now."""
        bodies = [assessment.model_dump_json(by_alias=True).encode() for assessment in assessments]
        messages = [Message(id=str(n).encode(), fields={b"body": body}) for n, body in enumerate(bodies)]
        await self.watch.handle(messages, Outbox())
        await self.work()

    async def pass_time(self, length: timedelta) -> None:
        """Move the clock and do what is due then."""
        self.now += length
        await self.work()

    async def work(self) -> None:
        """Do everything that is due now."""
        while True:
            looked = await self.watch.look_at_due()
            await self.summaries.release_due()
            sent = await self.sender.send_due()
            await eventually(at(lambda: not self.sender.under_way))
            if not looked and not sent:
                return


@contextlib.asynccontextmanager
async def clockwork(*arguments: Any, **more: Any) -> AsyncIterator[Clockwork]:
    """A clockwork whose connection is closed at the end."""
    parts = Clockwork(*arguments, **more)
    try:
        yield parts
    finally:
        await parts.redis.aclose()


RARE = {"escalation": {"steps": []}, "notify": {"repeat_interval_hours": 24}}
SLEEPS: dict[str, Any] = {"quiet_hours": {"from": "22:00", "to": "06:00"}}


# Quiet hours and limits


async def test_in_quiet_hours_only_critical_alerts_come_through_and_the_rest_in_the_morning(
    alerts: Alerts, http: HttpReceiver
) -> None:
    people = [an_officer("balangan-1", [http.url], **SLEEPS)]
    async with clockwork(alerts, people, RARE) as parts:
        await parts.report(an_assessment(severity=Severity.HIGH, at=NIGHT))
        assert http.received == []
        assert alerts.outcomes("balangan-1") == ["held"]
        await parts.report(an_assessment(severity=Severity.CRITICAL, at=NIGHT, region=AMBON.model_copy(
            update={"code": "63.11.05", "name": "Paringin"})))  # fmt: skip
        assert http.titles == ["[KRITIS] Dugaan politik uang: Paringin"]

        await parts.pass_time(7 * HOUR - timedelta(minutes=1))
        assert len(http.received) == 1
        await parts.pass_time(timedelta(minutes=1))
    assert http.titles[1] == "[TINGGI] Dugaan politik uang: Kabupaten Balangan"
    assert alerts.events().count("notification_sent") == 2


async def test_a_closing_in_the_night_is_told_in_the_morning_once_also_by_two_replicas(
    alerts: Alerts, http: HttpReceiver
) -> None:
    people = [an_officer("balangan-1", [http.url], **SLEEPS)]
    async with (
        clockwork(alerts, people, RARE, now=NIGHT - 2 * HOUR) as parts,
        clockwork(alerts, people, RARE, now=NIGHT) as other,
    ):
        await parts.report(an_assessment(severity=Severity.HIGH, at=parts.now))
        parts.now = NIGHT
        (alert,) = await inbox.list_alerts(parts.redis)
        await inbox.resolve(parts.redis, str(alert.alert_id), actor="sari", reason="selesai", now=NIGHT)
        await asyncio.gather(parts.work(), other.work())
        assert alerts.outcomes("balangan-1") == ["sent", "held"]
        parts.now = other.now = NIGHT + 7 * HOUR
        await asyncio.gather(parts.work(), other.work())
    assert http.titles[1:] == ["[TINGGI] Dugaan politik uang: Kabupaten Balangan (ditutup)"]
    assert "ditutup oleh sari pada 26 Nov 2024 23.00 WITA: selesai." in http.received[1]["message"]
    assert alerts.events()[-2:] == ["resolved", "notification_sent"]


async def test_the_term_of_law_is_told_once_after_a_restart_by_two_replicas_and_not_at_night(
    alerts: Alerts, http: HttpReceiver
) -> None:
    people = [an_officer("balangan-1", [http.url], **SLEEPS)]
    rules = {
        "escalation": {"steps": [], "acknowledgement_expires_hours": 240},
        "notify": {"repeat_interval_hours": 168},
        "deadline": {"stages": [{"hours": 24}]},  # 3 December, 23.59 in Balangan
    }
    known = NIGHT + 12 * HOUR
    async with clockwork(alerts, people, rules, now=known) as before:
        await before.report(an_assessment(severity=Severity.HIGH, at=known))
        (alert,) = await inbox.list_alerts(before.redis)
        taken = known + timedelta(days=6, hours=3)
        await inbox.acknowledge(before.redis, str(alert.alert_id), actor="balangan-1", reason="", now=taken)
    midnight = datetime(2024, 12, 3, 16, 0, tzinfo=UTC)
    async with (
        clockwork(alerts, people, rules, now=midnight) as parts,
        clockwork(alerts, people, rules, now=midnight) as other,
    ):
        await asyncio.gather(parts.work(), other.work())
        assert alerts.outcomes("balangan-1") == ["sent", "held"]
        parts.now = other.now = midnight + 6 * HOUR
        await asyncio.gather(parts.work(), other.work())
    assert http.titles[1:] == ["[TINGGI] Dugaan politik uang: Kabupaten Balangan (tenggat hukum mendekat)"]
    assert alerts.events()[-2:] == ["deadline_near", "notification_sent"]


async def test_a_pattern_that_was_held_back_for_the_night_is_told_in_the_morning(
    alerts: Alerts, http: HttpReceiver
) -> None:
    places = Places.load()
    people = [an_officer("kalsel", [http.url], role="province", region="63", **SLEEPS)]
    rules = {**RARE, "flag": {"pattern": {"places": 2, "share": 0.1}, "single_report_severity": "critical"}}
    async with clockwork(alerts, people, rules) as parts:
        parts.watch = Watch(
            parts.store, Ledger(parts.redis), places, parts.announcer, lambda: parts.rules,
            lambda: parts.now, parts.sender.wake,
        )  # fmt: skip
        for number, code in enumerate(("63.11", "63.01")):
            region = BALANGAN.model_copy(update={"code": code, "name": places.names[code]})
            await parts.report(
                an_assessment(severity=Severity.HIGH, at=NIGHT, region=region, sender=f"pengirim-{number}")
            )
        await parts.watch.look_around()
        await parts.pass_time(timedelta(minutes=1))
        assert http.received == []
        await parts.pass_time(8 * HOUR)
    assert [title.partition(",")[0] for title in http.titles] == [
        "[TINGGI] Pola politik uang: Provinsi Kalimantan Selatan"
    ]


async def test_quiet_hours_follow_the_zone_of_the_officer(alerts: Alerts, http: HttpReceiver) -> None:
    with HttpReceiver() as in_jakarta:
        later: dict[str, Any] = {"quiet_hours": {"from": "23:30", "to": "06:00"}}
        people = [
            an_officer("wita", [http.url], **later),
            an_officer("wib", [in_jakarta.url], time_zone="WIB", **later),
        ]
        async with clockwork(alerts, people, {}, now=NIGHT + timedelta(minutes=45)) as parts:
            await parts.report(an_assessment(severity=Severity.HIGH, at=NIGHT))
        assert (len(http.received), len(in_jakarta.received)) == (0, 1)


async def test_what_somebody_took_during_the_night_is_not_told_in_the_morning(
    alerts: Alerts, http: HttpReceiver
) -> None:
    async with clockwork(alerts, [an_officer("balangan-1", [http.url], **SLEEPS)], {}) as parts:
        await parts.report(an_assessment(severity=Severity.HIGH, at=NIGHT))
        (alert,) = await inbox.list_alerts(parts.redis)
        await inbox.acknowledge(parts.redis, str(alert.alert_id), actor="kalsel", reason="", now=parts.now)
        await parts.pass_time(8 * HOUR)
        assert await parts.store.held_due(parts.now + 9 * HOUR) == []
    assert http.received == []


async def test_beyond_so_many_an_hour_comes_one_summary_and_critical_alerts_pass_up_to_their_own_limit(
    alerts: Alerts, http: HttpReceiver
) -> None:
    people = [an_officer("nasional", [http.url], role="national", region="*")]
    rules = {"limits": {"per_hour": 3, "critical_per_hour": 5}, "escalation": {"steps": []}}
    regions = [BALANGAN.model_copy(update={"code": f"63.{n:02}", "name": f"Kabupaten {n}"}) for n in range(1, 13)]
    async with clockwork(alerts, people, rules) as parts:
        for region in regions[:7]:
            await parts.report(an_assessment(severity=Severity.HIGH, at=parts.now, region=region))
        assert len(http.received) == 3
        for region in regions[7:]:
            await parts.report(an_assessment(severity=Severity.CRITICAL, at=parts.now, region=region))
        assert [title.split("]")[0] for title in http.titles[3:]] == ["[KRITIS", "[KRITIS"]
        assert Counter(alerts.outcomes("nasional")) == {"sent": 5, "held": 7}

        await parts.pass_time(HOUR + timedelta(seconds=1))
    assert http.titles[5:] == ["7 peringatan belum ditindaklanjuti (3 KRITIS, 4 TINGGI)"]
    assert http.received[5]["message"].count("salingjaga alerts show") == 7
    assert alerts.events().count("notification_sent") == 12
    sent = {entry["alert_id"] for entry in alerts.happenings("delivery") if entry["outcome"] == "sent"}
    assert len(sent) == 12


async def test_an_officer_who_left_while_messages_were_held_is_stood_in_for(alerts: Alerts, http: HttpReceiver) -> None:
    people = [an_officer("balangan-1", ["json://127.0.0.1:1/x"], **SLEEPS)]
    async with clockwork(alerts, people, RARE) as parts:
        await parts.report(an_assessment(severity=Severity.HIGH, at=NIGHT))
        parts.officers = Officers.model_validate(
            {"officers": [an_officer("kalsel", [http.url], role="province", region="63")]}
        )
        await parts.pass_time(8 * HOUR)
        await parts.work()
    assert len(http.received) == 1
    assert "tidak terjangkau" in http.titles[0]


async def test_the_metrics_count_alerts_that_reached_nobody_until_somebody_is_reached(
    alerts: Alerts, http: HttpReceiver
) -> None:
    async with clockwork(alerts, [an_officer("ambon", [http.url], region="81.71")], RARE) as parts:
        await parts.report(an_assessment(at=NIGHT))
        await parts.watch.look_around()
        assert REGISTRY.get_sample_value("salingjaga_untold_alerts") == 1
        parts.officers = Officers.model_validate({"officers": [an_officer("balangan-1", [http.url])]})
        parts.watch.officers_changed()
        await parts.work()
        await parts.watch.look_around()
    assert REGISTRY.get_sample_value("salingjaga_untold_alerts") == 0
    assert len(http.received) == 1


async def test_the_inbox_says_how_far_an_alert_has_climbed(alerts: Alerts, http: HttpReceiver) -> None:
    people = [an_officer("balangan-1", [http.url]), an_officer("ketua", [http.url], role="head")]
    rules = {"escalation": {"steps": [{"after_minutes": 15, "roles": ["head"]}], "repeat": 1}}
    climbed = []
    async with clockwork(alerts, people, rules) as parts:
        await parts.report(an_assessment(at=NIGHT))
        for _ in range(3):
            (alert,) = await inbox.list_alerts(parts.redis)
            climbed.append((alert.step, alert.rounds))
            await parts.pass_time(timedelta(minutes=15))
    assert climbed == [(0, 0), (1, 0), (0, 1)]


# Failing channels


async def test_a_dead_first_channel_fails_over_to_the_next_and_is_then_left_alone(
    alerts: Alerts, http: HttpReceiver, smtp: SmtpReceiver
) -> None:
    http.status = 500
    people = [an_officer("balangan-1", [http.url, smtp.url], channels_order="first")]
    (alerts.folder / "officers.yaml").write_text(yaml.safe_dump({"officers": people}))
    alerts.rules(sending={**QUICK, "attempts": 20})
    async with running(build(alerts.settings())):
        alerts.send(an_assessment())
        await eventually(at(lambda: alerts.outcomes("balangan-1")[-1:] == ["abandoned"]))
    assert len(smtp.received) == 1
    assert 2 <= len(http.received) <= 4
    assert alerts.events() == ["opened", "notification_sent"]
    assert alerts.happenings("delivery")[-1]["error"] == "the officer was told over the next channel"


async def test_while_the_first_channel_works_the_second_is_not_used(
    alerts: Alerts, http: HttpReceiver, smtp: SmtpReceiver
) -> None:
    people = [an_officer("balangan-1", [http.url, smtp.url], channels_order="first")]
    async with clockwork(alerts, people, {}) as parts:
        await parts.report(an_assessment(at=NIGHT))
    assert (len(http.received), len(smtp.received)) == (1, 0)


async def test_when_an_officers_channels_all_fail_the_province_is_told_within_seconds(
    alerts: Alerts, http: HttpReceiver
) -> None:
    dead = f"json://127.0.0.1:{free_port(besides=set())}/x"
    people = [an_officer("balangan-1", [dead]), an_officer("kalsel", [http.url], role="province", region="63")]
    (alerts.folder / "officers.yaml").write_text(yaml.safe_dump({"officers": people}))
    alerts.rules(sending={"first_retry_seconds": 0.05, "failover_after_attempts": 2})
    async with running(build(alerts.settings())):
        alerts.send(an_assessment())
        await eventually(at(lambda: len(http.received) == 1))
        await eventually(at(lambda: alerts.events() == ["opened", "no_notification_sent", "notification_sent"]))
    assert http.titles == ["[KRITIS] Dugaan politik uang: Kabupaten Balangan (petugas tidak terjangkau)"]


async def test_a_retry_after_an_answer_that_never_came_says_that_it_may_be_known(
    alerts: Alerts, http: HttpReceiver, smtp: SmtpReceiver
) -> None:
    http.gate.clear()
    people = [an_officer("balangan-1", [http.url])]
    (alerts.folder / "officers.yaml").write_text(yaml.safe_dump({"officers": people}))
    alerts.rules(sending={"timeout_seconds": 0.5, "first_retry_seconds": 0.1, "longest_retry_seconds": 0.1})
    async with running(build(alerts.settings())):
        alerts.send(an_assessment())
        await eventually(at(lambda: alerts.outcomes("balangan-1") == ["failed"]))
        http.gate.set()
        await eventually(at(lambda: "sent" in alerts.outcomes("balangan-1")))
    assert "mungkin sudah Anda terima" not in http.received[0]["message"]
    assert "mungkin sudah Anda terima" in http.received[1]["message"]


async def test_a_retry_after_a_refusal_says_no_such_thing(alerts: Alerts, http: HttpReceiver) -> None:
    http.status = 500
    async with clockwork(alerts, [an_officer("balangan-1", [http.url])], {}) as parts:
        await parts.report(an_assessment(at=NIGHT))
        http.status = 200
        await parts.pass_time(timedelta(seconds=1))
    assert len(http.received) == 2
    assert "mungkin sudah Anda terima" not in http.received[1]["message"]


# Provinces


async def test_an_open_alert_of_the_province_speaks_for_its_regencies_when_it_comes_to_reminders(
    alerts: Alerts, http: HttpReceiver
) -> None:
    people = [an_officer("kalsel", [http.url], role="province", region="63")]
    async with clockwork(alerts, people, {"escalation": {"steps": []}}) as parts:
        await parts.report(an_assessment(at=NIGHT), an_assessment(at=NIGHT, region=KALSEL))
        assert len(http.received) == 2
        await parts.pass_time(6 * HOUR)
        assert http.titles[2:] == ["[KRITIS] Dugaan politik uang: Provinsi Kalimantan Selatan (belum ditangani)"]


# Replicas and the store


async def test_timers_run_once_however_many_replicas_look_at_them(alerts: Alerts, http: HttpReceiver) -> None:
    people = [an_officer("balangan-1", [http.url]), an_officer("ketua", [http.url], role="head")]
    async with clockwork(alerts, people, {"escalation": {"repeat": 0}}) as parts:
        await parts.report(an_assessment(at=NIGHT))
        parts.now += timedelta(minutes=15)
        await asyncio.gather(*(parts.watch.look_at_due() for _ in range(8)))
        await parts.work()
    assert alerts.events().count("escalated") == 1
    assert len(http.received) == 2


async def test_every_key_of_the_scripts_shares_one_hash_tag(alerts: Alerts, http: HttpReceiver) -> None:
    people = [an_officer("balangan-1", [http.url], **SLEEPS), an_officer("b", ["json://127.0.0.1:1/x"])]
    async with clockwork(alerts, people, {}) as parts:
        await parts.report(an_assessment(severity=Severity.HIGH, at=NIGHT))
    keys = {key.decode() for key in alerts.client.keys("*")}
    assert len(keys) >= 8
    assert all(key.startswith("salingjaga:{alerts}:") for key in keys), keys


async def test_a_redis_cluster_runs_every_script(tmp_path: Path, http: HttpReceiver) -> None:
    # The nodes of a cluster talk to each other ten thousand ports higher.
    port = next(port for port in iter(lambda: free_port(besides=set()), 0) if port < 55_000)
    words = ["--port", str(port), "--dir", str(tmp_path), "--cluster-enabled", "yes", "--bind", "127.0.0.1"]
    node = await asyncio.create_subprocess_exec(find_redis_server(), *words, stdout=asyncio.subprocess.DEVNULL)
    try:
        alerts = Alerts(f"redis://127.0.0.1:{port}/0", tmp_path)
        await eventually(at(lambda: answers(alerts)))
        alerts.client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        await eventually(at(lambda: b"cluster_state:ok" in raw_cluster_info(alerts)))
        people = [
            an_officer("a", [http.url]),
            an_officer("b", [http.url], **SLEEPS),
            an_officer("k", ["json://127.0.0.1:1/x"]),
        ]
        async with clockwork(alerts, people, {}) as parts:
            await parts.report(an_assessment(severity=Severity.HIGH, at=NIGHT))
            await parts.pass_time(timedelta(seconds=1))
            await parts.pass_time(8 * HOUR)
        assert {"sent", "held"} <= set(alerts.outcomes("b"))
        assert "failed" in alerts.outcomes("k")
    finally:
        node.kill()
        await node.wait()


def answers(alerts: Alerts) -> bool:
    """Whether Redis is there."""
    try:
        return bool(alerts.client.ping())
    except redis.RedisError:
        return False


def raw_cluster_info(alerts: Alerts) -> bytes:
    """What a node says of its cluster."""
    info = alerts.client.execute_command("CLUSTER INFO")
    return info if isinstance(info, bytes) else "\r\n".join(f"{k}:{v}" for k, v in info.items()).encode()


async def test_a_notification_counts_once_over_all_its_attempts(alerts: Alerts) -> None:
    async with clockwork(alerts, [], {}) as parts:
        assert [await parts.store.room_for("a", "x/1", 2, parts.now) for _ in range(5)] == [None] * 5
        assert await parts.store.room_for("a", "x/2", 2, parts.now + timedelta(minutes=10)) is None
        assert await parts.store.room_for("a", "x/3", 2, parts.now + timedelta(minutes=20)) == parts.now + HOUR
        assert await parts.store.room_for("a", "x/3", 2, parts.now + HOUR) is None


async def test_what_is_added_to_the_held_while_they_are_released_is_not_lost(alerts: Alerts) -> None:
    async with clockwork(alerts, [an_officer("balangan-1", ["json://127.0.0.1:1/x"], **SLEEPS)], {}) as parts:
        await parts.report(an_assessment(severity=Severity.HIGH, at=NIGHT))
        before = await parts.store.held("balangan-1")
        await parts.report(an_assessment(severity=Severity.HIGH, at=NIGHT, region=KALSEL.model_copy(
            update={"code": "63.11.05"})))  # fmt: skip
        assert not await parts.store.release(before, ())
        assert len((await parts.store.held("balangan-1")).alerts) == 2


# The whole service


async def test_five_hundred_reports_of_one_event_make_one_alert_that_climbs_until_it_is_taken(
    alerts: Alerts, http: HttpReceiver, smtp: SmtpReceiver
) -> None:
    with HttpReceiver() as head, HttpReceiver() as province:
        people = [
            an_officer("balangan-1", [http.url]),
            an_officer("ketua", [head.url], role="head"),
            an_officer("kalsel", [province.url], role="province", region="63"),
            an_officer("nasional", [smtp.url], role="national", region="*"),
        ]
        (alerts.folder / "officers.yaml").write_text(yaml.safe_dump({"officers": people}))
        steps = [{"after_minutes": 0.02, "roles": [role]} for role in ("head", "province", "national")]
        alerts.rules(escalation={"steps": steps, "repeat": 5})
        incident = uuid4()
        connection = Redis.from_url(alerts.url)
        async with running(build(alerts.settings())):
            alerts.send(*(an_assessment(incident_id=incident, sender=f"p-{number}") for number in range(500)))
            await alerts.until_all_read()
            await eventually(at(lambda: len(smtp.received) == 1))
            assert [len(one.received) for one in (head, province)] == [1, 1]
            assert head.titles == ["[KRITIS] Dugaan politik uang: Kabupaten Balangan (eskalasi)"]

            (alert,) = await inbox.list_alerts(connection)
            assert (alert.reports, alert.incidents, alert.senders) == (500, 1, 500)
            taken = await inbox.acknowledge(
                connection, str(alert.alert_id), actor="nasional", reason="", now=datetime.now(UTC)
            )
            assert taken.state is AlertState.ACKNOWLEDGED
            climbed = alerts.events().count("escalated")
            case = await CaseStore(connection).case(next(iter((await CaseStore(connection).alert_keys()).values())))
            assert case is not None
            assert case.alert is not None
            assert case.alert.escalate_at is None
        assert alerts.events().count("opened") == 1
        assert alerts.events().count("escalated") == climbed
        assert 3 <= climbed <= 4
        await connection.aclose()


# Killed

PROGRAM = (
    "import sys; from services.alerts.app import build; from shared.settings import Settings; build(Settings()).run()"
)

MOMENTS: dict[str, Callable[[Alerts, HttpReceiver, HttpReceiver], bool]] = {
    "the alert is opened": lambda alerts, _, __: "opened" in alerts.events(),
    "the intent is noted": lambda alerts, _, __: leased(alerts) > 0,
    "the channel is about to answer": lambda _, first, __: bool(first.received),
    "a refusal waits to be tried again": lambda alerts, _, __: "failed" in alerts.outcomes("balangan-1"),
    "the outcome is noted": lambda alerts, _, __: "notification_sent" in alerts.events(),
    "it has climbed": lambda alerts, _, __: "escalated" in alerts.events(),
    "the next step's channel is about to answer": lambda _, __, second: bool(second.received),
    "everything is told": lambda alerts, _, __: alerts.events().count("notification_sent") == 2,
}


def leased(alerts: Alerts) -> int:
    """How many deliveries some process means to send."""
    keys = list(alerts.client.scan_iter("salingjaga:{alerts}:delivery:*"))
    return sum(int(alerts.client.hget(key, "attempt") or 0) > 0 for key in keys)  # type: ignore[arg-type]


@pytest.mark.timeout(90)
@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_at_any_moment_nothing_is_lost_or_forgotten_and_told_at_most_twice(
    alerts: Alerts, http: HttpReceiver, moment: str
) -> None:
    with HttpReceiver() as second:
        people = [an_officer("balangan-1", [http.url]), an_officer("ketua", [second.url], role="head")]
        (alerts.folder / "officers.yaml").write_text(yaml.safe_dump({"officers": people}))
        alerts.rules(
            sending={"timeout_seconds": 1, "lease_seconds": 1.5},
            notify={"group_wait_seconds": 0.5},
            escalation={"steps": [{"after_minutes": 0.05, "roles": ["head"]}], "repeat": 0},
        )
        if "about to answer" in moment or "intent" in moment:
            # A channel that is slow to answer: otherwise the moment is over before it can be seen.
            (second if "next step" in moment else http).gate.clear()
        http.status = 500 if "refusal" in moment else 200
        settings = alerts.settings()
        environment = {
            "SALINGJAGA_REDIS_URL": alerts.url,
            "SALINGJAGA_CONFIG_DIR": str(alerts.folder),
            "SALINGJAGA_PORT": str(settings.port),
            "PATH": "/usr/bin:/bin",
        }
        reports = [an_assessment(severity=Severity.MEDIUM) for _ in range(3)]
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, env=environment)
        try:
            alerts.send(*reports)
            await eventually(at(lambda: MOMENTS[moment](alerts, http, second)), seconds=40)
        finally:
            process.kill()
            await process.wait()
        http.gate.set()
        second.gate.set()
        refused, http.status = len(http.received) * (http.status == 500), 200
        del http.received[:refused]

        async with running(build(settings)):
            alerts.send(*reports)
            await alerts.until_all_read()
            await eventually(at(lambda: alerts.outcomes("ketua")[-1:] == ["sent"]))
            await eventually(at(lambda: alerts.outcomes("balangan-1")[-1:] == ["sent"]))
            assert leased(alerts) == 0
    assert Counter(alerts.events()) == {"opened": 1, "notification_sent": 2, "escalated": 1}
    for receiver in (http, second):
        assert 1 <= len(receiver.received) <= 2
        for again in receiver.received[1:]:
            assert "mungkin sudah Anda terima" in again["message"]
    if "about to answer" not in moment and "intent" not in moment:
        assert len(http.received) == 1


async def test_a_taken_alert_stays_taken_when_the_service_is_killed(alerts: Alerts, http: HttpReceiver) -> None:
    async with clockwork(
        alerts, [an_officer("balangan-1", [http.url]), an_officer("k", [http.url], role="head")], {}
    ) as parts:
        await parts.report(an_assessment(at=NIGHT))
        (alert,) = await inbox.list_alerts(parts.redis)
        await inbox.acknowledge(parts.redis, str(alert.alert_id), actor="balangan-1", reason="", now=parts.now)
    people = [an_officer("balangan-1", [http.url]), an_officer("k", [http.url], role="head")]
    async with clockwork(alerts, people, {}, now=NIGHT + 12 * HOUR) as again:
        await again.work()
        assert len(http.received) == 1
        await again.pass_time(12 * HOUR)
    assert [title.rpartition("(")[2] for title in http.titles[1:]] == ["belum ada tindak lanjut)"] * 2
