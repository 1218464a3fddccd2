"""The alert service against a real Redis, a real SMTP server and a real HTTP receiver."""

import asyncio
import json
import shutil
import signal
import stat
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
import yaml
from jinja2 import DictLoader, Environment
from redis.asyncio import Redis

from deploy.embedded.system import free_port
from services.alerts import inbox, render
from services.alerts.app import build
from services.alerts.inbox import NotPossibleError
from services.alerts.rules import AlertingRules
from shared.bus.streams import ALERT_EVENTS, ASSESSMENTS, QUARANTINE
from shared.contracts import AlertState, Assessment, Kind, RiskClass, Severity
from shared.settings import Settings
from tests.assessments import AMBON, PARINGIN, a_failure, an_assessment
from tests.backends import start_redis
from tests.receivers import HttpReceiver, SmtpReceiver
from tests.running import eventually, running

PROJECT_CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "config"
QUICK = {"sending": {"attempts": 3, "first_retry_seconds": 0.05, "longest_retry_seconds": 0.2}}


class Alerts:
    """An alert service's surroundings: its configuration, its streams, and what came out."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.client = redis.Redis.from_url(url)
        for name in ("calendar.yaml", "officers.yaml", "alerting.yaml"):
            shutil.copy(PROJECT_CONFIG / name, folder)

    def officers(self, *entries: tuple[str, str, str, Sequence[str]]) -> None:
        """Configure officers by (id, role, region, channels)."""
        people = [
            {"id": id_, "role": role, "regions": [region], "channels": list(channels)}
            for id_, role, region, channels in entries
        ]
        (self.folder / "officers.yaml").write_text(yaml.safe_dump({"officers": people}))

    def rules(self, **parts: Any) -> None:
        """Configure alerting.yaml."""
        (self.folder / "alerting.yaml").write_text(yaml.safe_dump(parts))

    @property
    def notification_file(self) -> Path:
        """Where notifications go while nobody is configured."""
        return self.folder / "notifications.txt"

    def settings(self) -> Settings:
        """Settings of a service here."""
        return Settings(
            redis_url=self.url,  # type: ignore[arg-type]
            config_dir=self.folder,
            notification_file=self.notification_file,
            port=free_port(besides=set()),
            claim_idle_seconds=1,
        )

    def send(self, *assessments: Assessment) -> None:
        """Put assessments on the stream, as classify does."""
        for assessment in assessments:
            self.client.xadd(ASSESSMENTS.name, {"body": assessment.model_dump_json(by_alias=True)})

    def happenings(self, type_: str) -> list[dict[str, Any]]:
        """What the service has recorded: `alert_event` or `delivery`, in order."""
        entries = [json.loads(fields[b"body"]) for _, fields in self.client.xrange(ALERT_EVENTS.name)]
        return [entry for entry in entries if entry["type"] == type_]

    def events(self) -> list[str]:
        """Names of the events, in order."""
        return [event["event"] for event in self.happenings("alert_event")]

    def outcomes(self, officer: str) -> list[str]:
        """Outcomes of an officer's deliveries, in order."""
        return [entry["outcome"] for entry in self.happenings("delivery") if entry["officer_id"] == officer]

    async def until_all_read(self) -> None:
        """Return when every assessment sent so far is handled and acknowledged."""

        async def read() -> bool:
            newest = self.client.xinfo_stream(ASSESSMENTS.name)["last-generated-id"]
            groups = {group["name"]: group for group in self.client.xinfo_groups(ASSESSMENTS.name)}
            group = groups.get(b"alerts")
            return group is not None and group["last-delivered-id"] == newest and group["pending"] == 0

        await eventually(read)


@pytest.fixture
def alerts(redis_url: str, tmp_path: Path) -> Alerts:
    """Surroundings with the committed configuration."""
    return Alerts(redis_url, tmp_path)


async def test_an_accusation_reaches_its_officer_by_webhook_and_e_mail(
    alerts: Alerts, http: HttpReceiver, smtp: SmtpReceiver
) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url, smtp.url]))
    text = "Camat <script>alert(1)</script> membagikan amplop, lihat https://jahat.id/a. Nomor pelapor [TELEPON]."
    accusation = an_assessment(region=PARINGIN, sender="a", text=text, evidence="membagikan amplop")

    async with running(build(alerts.settings())):
        alerts.send(accusation)
        await eventually(
            async_(lambda: bool(http.received and smtp.received and len(alerts.outcomes("balangan-1")) == 2))
        )

    (message,) = http.received
    assert message["title"] == "[KRITIS] Dugaan politik uang: Kabupaten Balangan"
    for part in (
        "peringatan pertama",
        "Diduga: Pembagian uang tunai/amplop [KRITIS]",
        '"Camat <script>alert(1)</script> membagikan amplop, lihat hxxps://jahat.id/a."',
        "Kecamatan Paringin",
        "1 pesan, 1 pengirim, 1 teks",
        "WITA",
        "UU 10/2016 Pasal 187A ayat (1); sanksi: penjara 36-72 bulan",
        "Perbawaslu 6/2018 (belum diverifikasi)",
        "7 hari kalender",
        "UU 1/2015 Pasal 134 ayat (4)",
        "ajakan memilih",
        "Sentra Gakkumdu",
        "informasi awal, bukan laporan",
        accusation.report.receipt,
    ):
        assert part in message["message"]

    (mail,) = smtp.received
    assert mail["subject"] == message["title"]
    html, plain = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert plain is not None
    assert "&lt;script&gt;" in html.get_content()
    assert "<script>" not in html.get_content()
    assert "belum diverifikasi" in plain.get_content()

    assert alerts.events() == ["opened", "notification_sent"]
    for delivery in alerts.happenings("delivery"):
        assert delivery["outcome"] == "sent"
        assert delivery["channel"] in (f"json://127.0.0.1:{http.port}", f"mailto://127.0.0.1:{smtp.port}")
        assert 0 <= delivery["latency_ms"] < 5000


async def test_prevention_questions_and_single_medium_reports_tell_nobody(alerts: Alerts, http: HttpReceiver) -> None:
    alerts.officers(("nasional", "national", "*", [http.url]))
    async with running(build(alerts.settings())):
        for kind in (Kind.PREVENTION, Kind.QUESTION, Kind.OTHER):
            alerts.send(an_assessment(kind=kind))
        alerts.send(an_assessment(severity=Severity.MEDIUM))
        await alerts.until_all_read()
        assert await inbox.list_alerts(Redis.from_url(alerts.url)) == []
    assert alerts.events() == []
    assert http.received == []


async def test_a_burst_is_told_once_after_its_wait_with_all_its_incidents(alerts: Alerts, http: HttpReceiver) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    alerts.rules(notify={"group_wait_seconds": 1.5})
    reports = [an_assessment(severity=Severity.MEDIUM, sender=f"pelapor-{number % 3}") for number in range(5)]
    async with running(build(alerts.settings())):
        alerts.send(*reports[:3])
        await eventually(async_(lambda: alerts.events() == ["opened"]))
        alerts.send(*reports[3:])
        await eventually(async_(lambda: "notification_sent" in alerts.events()))
    (message,) = http.received
    assert message["title"] == "[SEDANG] Dugaan politik uang: Kabupaten Balangan"
    assert "5 pesan, 3 pengirim, 5 teks" in message["message"]


async def test_what_is_delivered_or_sent_again_opens_and_tells_nothing_again(
    alerts: Alerts, http: HttpReceiver
) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    accusation = an_assessment()
    async with running(build(alerts.settings())):
        alerts.send(accusation, accusation)
        await eventually(async_(lambda: "notification_sent" in alerts.events()))
        alerts.client.xgroup_setid(ASSESSMENTS.name, "alerts", "0")
        alerts.send(accusation)
        await alerts.until_all_read()
    async with running(build(alerts.settings())):
        alerts.send(accusation)
        await alerts.until_all_read()
    assert alerts.events() == ["opened", "notification_sent"]
    assert len(http.received) == 1


async def test_a_rising_severity_is_told_as_such_and_more_evidence_is_only_recorded(
    alerts: Alerts, http: HttpReceiver
) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    async with running(build(alerts.settings())):
        alerts.send(an_assessment(severity=Severity.HIGH))
        await eventually(async_(lambda: len(http.received) == 1))
        alerts.send(an_assessment(severity=Severity.HIGH))
        await alerts.until_all_read()
        alerts.send(an_assessment(severity=Severity.CRITICAL))
        await eventually(async_(lambda: len(http.received) == 2))
    assert http.titles[1] == "[KRITIS] Dugaan politik uang: Kabupaten Balangan (tingkat naik)"
    assert "3 pesan" in http.received[1]["message"]
    assert "(baru)" in http.received[1]["message"]
    assert [event for event in alerts.events() if event != "notification_sent"] == [
        "opened",
        "evidence_added",
        "evidence_added",
        "severity_raised",
    ]


async def test_regions_and_classes_are_alerts_of_their_own_and_an_unknown_place_goes_to_the_national_officers(
    alerts: Alerts, http: HttpReceiver
) -> None:
    with HttpReceiver() as national:
        alerts.officers(("balangan-1", "regency", "63.11", [http.url]), ("nasional", "national", "*", [national.url]))
        async with running(build(alerts.settings())):
            alerts.send(
                an_assessment(),
                an_assessment(primary=RiskClass.NEUTRALITY),
                an_assessment(region=AMBON),
                an_assessment(region=None),
            )
            await eventually(async_(lambda: len(http.received) == 2 and len(national.received) == 2))
    assert sorted(http.titles) == [
        "[KRITIS] Dugaan pelanggaran netralitas: Kabupaten Balangan",
        "[KRITIS] Dugaan politik uang: Kabupaten Balangan",
    ]
    assert sorted(national.titles) == [
        "[KRITIS] Dugaan politik uang: Kota Ambon",
        "[KRITIS] Dugaan politik uang: wilayah belum diketahui",
    ]
    assert any("WIT\n" in message["message"] or " WIT," in message["message"] for message in national.received)


async def test_a_dead_channel_is_retried_and_recorded_and_delays_no_other(alerts: Alerts, http: HttpReceiver) -> None:
    refused = f"json://kunci:rahasia-sekali@127.0.0.1:{free_port(besides=set())}/jalan-rahasia"
    with HttpReceiver() as broken:
        broken.status = 500
        alerts.officers(
            ("mati", "regency", "63.11", [refused]),
            ("rusak", "regency", "63.11", [broken.url]),
            ("sehat", "regency", "63.11", [http.url]),
        )
        alerts.rules(**QUICK)
        async with running(build(alerts.settings())):
            alerts.send(an_assessment())
            await eventually(async_(lambda: alerts.outcomes("mati") == alerts.outcomes("rusak") == DEAD))
        assert len(broken.received) == 3
    assert alerts.outcomes("sehat") == ["sent"]
    assert alerts.events() == ["opened", "notification_sent"]
    first = next(entry for entry in alerts.happenings("delivery") if entry["officer_id"] == "rusak")
    assert "500" in first["error"]
    everything = b"".join(fields[b"body"] for _, fields in alerts.client.xrange(ALERT_EVENTS.name))
    assert b"rahasia" not in everything


DEAD = ["failed", "failed", "abandoned"]


async def test_a_channel_that_recovers_gets_its_notification(alerts: Alerts, http: HttpReceiver) -> None:
    http.status = 503
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    alerts.rules(sending={"first_retry_seconds": 0.2, "longest_retry_seconds": 0.3})
    async with running(build(alerts.settings())):
        alerts.send(an_assessment())
        await eventually(async_(lambda: "failed" in alerts.outcomes("balangan-1")))
        http.status = 200
        await eventually(async_(lambda: alerts.outcomes("balangan-1")[-1] == "sent"))
    assert alerts.events() == ["opened", "notification_sent"]


async def test_that_every_channel_failed_is_recorded(alerts: Alerts) -> None:
    alerts.officers(("mati", "regency", "63.11", [f"json://127.0.0.1:{free_port(besides=set())}"]))
    alerts.rules(**QUICK)
    async with running(build(alerts.settings())):
        alerts.send(an_assessment())
        await eventually(async_(lambda: alerts.events() == ["opened", "no_notification_sent"]))
    assert alerts.outcomes("mati") == DEAD


async def test_a_channel_that_hangs_delays_neither_the_others_nor_the_decisions(
    alerts: Alerts, http: HttpReceiver
) -> None:
    with HttpReceiver() as hanging:
        hanging.gate.clear()
        alerts.officers(
            *((f"lambat-{number}", "regency", "63.11", [hanging.url]) for number in range(100)),
            ("sehat", "regency", "63.11", [http.url]),
        )
        async with running(build(alerts.settings())):
            alerts.send(an_assessment())
            await eventually(async_(lambda: len(http.received) == 1), seconds=5)
            alerts.send(an_assessment(primary=RiskClass.NEUTRALITY))
            await eventually(async_(lambda: len(http.received) == 2), seconds=5)
            assert len(hanging.received) <= 8
            hanging.gate.set()


async def test_without_officers_notifications_go_to_a_file_that_only_its_owner_reads(alerts: Alerts) -> None:
    async with running(build(alerts.settings())):
        alerts.send(an_assessment())
        await eventually(async_(lambda: "notification_sent" in alerts.events()))
    written = alerts.notification_file.read_text()
    assert "[KRITIS] Dugaan politik uang: Kabupaten Balangan" in written
    assert "LANGKAH BERIKUTNYA" in written
    assert stat.S_IMODE(alerts.notification_file.stat().st_mode) == 0o600


async def test_that_nobody_covers_a_region_is_recorded_on_its_alert(alerts: Alerts, http: HttpReceiver) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    async with running(build(alerts.settings())):
        alerts.send(an_assessment(region=AMBON))
        await eventually(async_(lambda: alerts.events() == ["opened", "no_notification_sent"]))
        (alert,) = await inbox.list_alerts(Redis.from_url(alerts.url))
    assert alert.state is AlertState.OPEN
    assert alert.region_name == "Kota Ambon"


async def test_failures_of_the_classifier_are_told_to_the_operators(alerts: Alerts, http: HttpReceiver) -> None:
    with HttpReceiver() as officer:
        alerts.officers(("nasional", "national", "*", [officer.url]), ("op", "operator", "*", [http.url]))
        async with running(build(alerts.settings())):
            alerts.send(*(a_failure() for _ in range(5)))
            await eventually(async_(lambda: len(http.received) == 1))
        assert officer.received == []
    assert http.titles == ["[TINGGI] Klasifikasi gagal: 5 laporan belum diperiksa"]
    assert "tidak boleh dianggap bersih" in http.received[0]["message"]


async def test_a_message_that_is_no_assessment_is_put_aside_and_its_neighbours_are_heard(
    alerts: Alerts, http: HttpReceiver
) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    for body in (b"{", b"\xff", b"[]", b'{"judgement": {"kind": "violation_report"}}'):
        alerts.client.xadd(ASSESSMENTS.name, {"body": body})
    alerts.send(an_assessment())
    async with running(build(alerts.settings())):
        await eventually(async_(lambda: len(http.received) == 1))
        await alerts.until_all_read()
    assert alerts.client.xlen(QUARANTINE.name) == 4


async def test_two_replicas_and_five_hundred_reports_of_one_event_make_one_alert_told_once(
    alerts: Alerts, http: HttpReceiver
) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    incident = uuid4()
    reports = [an_assessment(incident_id=incident, sender=f"pelapor-{number}") for number in range(500)]
    settings = alerts.settings().model_copy(update={"alerts_batch": 20})
    async with running(build(settings)), running(build(settings)):
        alerts.send(*reports)
        await alerts.until_all_read()
        await eventually(async_(lambda: "notification_sent" in alerts.events()))
        (alert,) = await inbox.list_alerts(Redis.from_url(alerts.url))
    assert (alert.reports, alert.incidents, alert.senders) == (500, 1, 500)
    assert alerts.events().count("opened") == 1
    assert len(http.received) == 1
    told_of = {id_ for event in alerts.happenings("alert_event") for id_ in event["report_ids"]}
    assert told_of == {str(report.report.report_id) for report in reports}


async def test_a_service_killed_while_it_sends_is_replaced_and_tells_at_most_twice(
    alerts: Alerts, http: HttpReceiver
) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    alerts.rules(sending={"timeout_seconds": 1, "lease_seconds": 2})
    http.gate.clear()
    program = (
        "import sys; from services.alerts.app import build; from shared.settings import Settings; "
        "build(Settings()).run()"
    )
    settings = alerts.settings()
    environment = {
        "SALINGJAGA_REDIS_URL": alerts.url,
        "SALINGJAGA_CONFIG_DIR": str(alerts.folder),
        "SALINGJAGA_PORT": str(settings.port),
        "PATH": "/usr/bin:/bin",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment)
    try:
        alerts.send(an_assessment())
        await eventually(async_(lambda: len(http.received) == 1))
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    http.gate.set()

    async with running(build(settings)):
        await eventually(async_(lambda: alerts.outcomes("balangan-1")[-1:] == ["sent"]))
    assert len(http.received) == 2
    assert alerts.events() == ["opened", "notification_sent"]
    assert alerts.happenings("delivery")[-1]["attempt"] == 2


async def test_officers_are_read_again_and_a_broken_file_changes_nothing(alerts: Alerts, http: HttpReceiver) -> None:
    async with running(build(alerts.settings())):
        (alerts.folder / "officers.yaml").write_text("officers: [oops")
        alerts.send(an_assessment(region=AMBON))
        await eventually(async_(alerts.notification_file.exists))
        alerts.officers(("balangan-1", "regency", "63.11", [http.url]))

        async def told() -> bool:
            alerts.send(an_assessment(severity=Severity.CRITICAL, region=region(len(alerts.events()))))
            return bool(http.received)

        await eventually(told)
    assert http.received


def region(number: int) -> Any:
    """Some region inside 63.11, as far as routing goes."""
    return PARINGIN.model_copy(update={"code": f"63.11.{number % 90 + 10}"})


async def test_nothing_is_lost_when_redis_dies_while_notifications_wait(
    alerts: Alerts, http: HttpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    http.status = 500
    with start_redis(tmp_path_factory.mktemp("own-redis")) as server:
        own = Alerts(server.url, alerts.folder)
        own.officers(("balangan-1", "regency", "63.11", [http.url]), ("maluku", "province", "81", [http.url]))
        own.rules(sending={"first_retry_seconds": 0.2, "longest_retry_seconds": 0.5})
        async with running(build(own.settings())):
            own.send(an_assessment())
            await eventually(async_(lambda: own.outcomes("balangan-1")[:1] == ["failed"]))
            server.kill()
            http.status = 200
            await asyncio.to_thread(server.start_again)
            own.send(an_assessment(region=AMBON))
            await eventually(async_(lambda: own.events().count("notification_sent") == 2))
            await eventually(async_(lambda: own.outcomes("balangan-1")[-1] == own.outcomes("maluku")[-1] == "sent"))


async def test_a_broken_template_keeps_no_alert_from_its_officer(
    alerts: Alerts, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    monkeypatch.setattr(render, "environment", lambda: Environment(loader=DictLoader({"plain.txt.j2": "{% if"})))
    monkeypatch.setattr(render, "_words", render._words.__wrapped__)
    async with running(build(alerts.settings())):
        alerts.send(an_assessment())
        await eventually(async_(lambda: len(http.received) == 1))
    assert http.titles == ["[KRITIS] Dugaan politik uang: Kabupaten Balangan (first)"]
    assert "salingjaga alerts show" in http.received[0]["message"]


# The inbox


async def test_what_nobody_could_be_told_is_told_once_as_soon_as_officers_yaml_names_somebody(
    alerts: Alerts, http: HttpReceiver
) -> None:
    alerts.officers(("ambon", "regency", "81.71", [http.url]))
    async with running(build(alerts.settings())), running(build(alerts.settings())):
        alerts.send(an_assessment())
        await eventually(async_(lambda: "no_notification_sent" in alerts.events()))
        async with Redis.from_url(alerts.url) as connection:
            (alert,) = await inbox.list_alerts(connection)
        assert alert.untold_since is not None
        alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
        await eventually(async_(lambda: alerts.events()[-1] == "notification_sent"))
        async with Redis.from_url(alerts.url) as connection:
            (alert,) = await inbox.list_alerts(connection)
    assert alert.untold_since is None
    assert http.titles == ["[KRITIS] Dugaan politik uang: Kabupaten Balangan (sebelumnya tidak tersampaikan)"]
    assert alerts.events() == ["opened", "no_notification_sent", "notification_sent"]


async def test_an_officer_lists_shows_acknowledges_and_resolves_an_alert(alerts: Alerts, http: HttpReceiver) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    connection = Redis.from_url(alerts.url)
    now = datetime.now(UTC)
    async with running(build(alerts.settings())):
        alerts.send(an_assessment(severity=Severity.HIGH), an_assessment(region=AMBON))
        await eventually(async_(lambda: alerts.events().count("opened") == 2 and len(http.received) == 1))

        listed = await inbox.list_alerts(connection)
        assert [alert.region_name for alert in listed] == ["Kota Ambon", "Kabupaten Balangan"]
        id_ = str(listed[1].alert_id)

        await eventually(async_(lambda: "notification_sent" in alerts.events()))
        taken = await inbox.acknowledge(connection, id_[:8], actor="sari", reason="menuju lokasi", now=now)
        assert taken.state is AlertState.ACKNOWLEDGED
        detail = await inbox.find(connection, id_)
        assert [line.event for line in detail.history] == ["opened", "notification_sent", "acknowledged"]
        assert detail.exhibits[0].acts[0].quotes

        await inbox.resolve(connection, id_, actor="sari", reason="selesai", now=now)
        assert [alert.region_name for alert in await inbox.list_alerts(connection)] == ["Kota Ambon"]
        assert len(await inbox.list_alerts(connection, include_resolved=True)) == 2
        with pytest.raises(NotPossibleError, match="resolved already"):
            await inbox.acknowledge(connection, id_, actor="sari", reason="", now=now)
    last = alerts.happenings("alert_event")[-1]
    assert (last["event"], last["state"], last["actor"], last["reason"]) == ("resolved", "resolved", "sari", "selesai")
    await connection.aclose()


async def test_a_silence_is_refused_without_bounds_and_holds_back_what_rises(
    alerts: Alerts, http: HttpReceiver
) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    connection = Redis.from_url(alerts.url)
    now = datetime.now(UTC)
    rules = AlertingRules()
    async with running(build(alerts.settings())):
        alerts.send(an_assessment(severity=Severity.HIGH))
        await eventually(async_(lambda: "notification_sent" in alerts.events()))
        (alert,) = await inbox.list_alerts(connection)
        id_ = str(alert.alert_id)
        with pytest.raises(NotPossibleError, match="72 hours"):
            await inbox.silence(
                connection, id_, until=now + timedelta(days=9), actor="a", reason="r", rules=rules, now=now
            )
        until = now + timedelta(hours=1)
        quiet = await inbox.silence(connection, id_, until=until, actor="a", reason="r", rules=rules, now=now)
        assert quiet.silenced_until == until
        alerts.send(an_assessment(severity=Severity.CRITICAL))
        await eventually(async_(lambda: "severity_raised" in alerts.events()))
    assert len(http.received) == 1
    await connection.aclose()


async def test_what_waits_for_a_dead_channel_is_not_sent_after_its_alert_was_resolved(
    alerts: Alerts, http: HttpReceiver
) -> None:
    http.status = 500
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    alerts.rules(sending={"first_retry_seconds": 0.5})
    connection = Redis.from_url(alerts.url)
    async with running(build(alerts.settings())):
        alerts.send(an_assessment())
        await eventually(async_(lambda: alerts.outcomes("balangan-1") == ["failed"]))
        (alert,) = await inbox.list_alerts(connection)
        await inbox.resolve(connection, str(alert.alert_id), actor="a", reason="", now=datetime.now(UTC))
        sent_before = len(http.received)
        await eventually(async_(lambda: alerts.outcomes("balangan-1")[-1] == "abandoned"))
    assert len(http.received) == sent_before
    await connection.aclose()


async def test_an_alert_that_does_not_exist_or_is_not_told_apart_is_said_so(alerts: Alerts) -> None:
    connection = Redis.from_url(alerts.url)
    with pytest.raises(NotPossibleError, match="no alert"):
        await inbox.find(connection, str(UUID(int=1)))
    with pytest.raises(NotPossibleError, match="no alert"):
        await inbox.find(connection, "")
    await connection.aclose()


def async_(condition: Any) -> Any:
    """A condition as `eventually` wants it."""

    async def answer() -> bool:
        return bool(condition())

    return answer


async def test_an_incident_that_three_people_tell_in_their_own_words_is_told_with_the_reason(
    alerts: Alerts, http: HttpReceiver
) -> None:
    alerts.officers(("balangan-1", "regency", "63.11", [http.url]))
    incident = UUID(int=7)

    def told_by(sender: str, text: str) -> Assessment:
        return an_assessment(severity=Severity.MEDIUM, incident_id=incident, sender=sender, text=text, evidence="")

    first = told_by("a", "Semalam pak camat membagikan amplop isi seratus ribu di balai desa")
    forwards = [told_by(f"penerus-{n}", f"Diteruskan {n} kali: {first.report.text}") for n in range(10)]
    async with running(build(alerts.settings())):
        alerts.send(first, *forwards, told_by("b", "Amplop tadi diserahkan kepada tetangga saya, titipan paslon dua"))
        await alerts.until_all_read()
        assert alerts.events() == []
        alerts.send(told_by("c", "Petugas kecamatan keliling rumah membawa uang supaya orang memilih nomor 2"))
        await eventually(async_(lambda: len(http.received) == 1))
        alerts.send(told_by("d", first.report.text))
        await alerts.until_all_read()
    assert http.titles == ["[TINGGI] Dugaan politik uang: Kabupaten Balangan"]
    assert (
        "peringatan pertama; satu kejadian dilaporkan 3 pengirim yang berbeda, masing-masing dengan kata-kata sendiri, "
        "sehingga dinilai satu tingkat lebih berat."
    ) in http.received[0]["message"]
    assert [event for event in alerts.events() if event != "notification_sent"] == ["opened", "evidence_added"]
