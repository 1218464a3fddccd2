"""Baseline, patterns and silences against a real Redis; the replay against a real ClickHouse."""

import json
import shutil
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from deploy.cli.alerts import app as cli
from services.alerts import app as service_app
from services.alerts.announce import Announcer
from services.alerts.baseline import Tally
from services.alerts.heartbeat import EVERYTHING, beaten
from services.alerts.ledger import Ledger
from services.alerts.officers import Officers
from services.alerts.patterns import hits_of
from services.alerts.places import Places
from services.alerts.render import Renderer
from services.alerts.rules import AlertingRules
from services.alerts.store import PREFIX, CaseStore, case_key
from services.alerts.watch import Watch
from services.archive.migrate import migrate, read_migrations
from services.archive.rows import report_row
from services.ingest.incidents import Incidents
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.streams import ALERT_EVENTS
from shared.calendar import Calendar
from shared.contracts import Assessment, District, Kind, RiskClass, Severity
from shared.settings import DEPLOY_DIR, Settings, get_settings
from shared.warehouse import Warehouse
from tests.assessments import AMBON, BALANGAN, VOTING_DAY, an_assessment
from tests.backends import ClickHouseServer
from tests.integration.test_incidents import edits, joined

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KEY = ("63.11", RiskClass.MONEY_POLITICS)


class Desk:
    """A watch with a clock that is moved by hand, on a real Redis."""

    def __init__(self, redis: Redis, **rules: Any) -> None:
        self.redis = redis
        self.now = VOTING_DAY
        self.rules = AlertingRules.model_validate(rules)
        self.places = Places.load()
        calendar = Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml")
        renderer = Renderer(lambda: calendar)
        self.store = CaseStore(redis, self.rules.memory.length)
        self.ledger = Ledger(redis)
        announcer = Announcer(Officers, lambda: self.rules, lambda: calendar, renderer, Path("unused"))
        self.watch = Watch(
            self.store, self.ledger, self.places, announcer, lambda: self.rules, lambda: self.now, lambda: None
        )

    async def take(self, *assessments: Assessment) -> None:
        """Handle these as one batch, at the time of the newest."""
        self.now = max(self.now, *(one.report.received_at for one in assessments))
        batch = [Message(b"1-1", {b"body": one.model_dump_json(by_alias=True).encode()}) for one in assessments]
        await self.watch.handle(batch, Outbox())

    async def events(self) -> list[dict[str, Any]]:
        """What has been recorded of alerts."""
        return [json.loads(fields[b"body"]) for _, fields in await self.redis.xrange(ALERT_EVENTS.name)]


@pytest.fixture
async def redis(redis_url: str) -> Any:
    """A connection to an empty Redis."""
    async with Redis.from_url(redis_url) as connection:
        yield connection


def mediums(count: int, *, until: datetime = VOTING_DAY, step: timedelta = HOUR) -> list[Assessment]:
    """Distinct incidents of distinct senders."""
    return [
        an_assessment(severity=Severity.MEDIUM, at=until - step * n, sender=f"p{n}") for n in reversed(range(count))
    ]


async def test_what_is_usual_survives_a_restart_and_counts_a_redelivered_report_once(redis: Redis) -> None:
    desk = Desk(redis)
    reports = mediums(2)
    await desk.take(*reports)
    await desk.take(*reports)
    await Desk(redis).take(reports[0])

    tally = (await Desk(redis).ledger.tallies())[KEY]

    assert tally.since == reports[0].report.received_at
    assert tally.count == pytest.approx(2, abs=0.01)
    case = await desk.store.case(case_key(*KEY))
    assert case is not None
    assert case.tally == tally


async def test_a_case_that_was_forgotten_still_knows_what_is_usual_there(redis: Redis) -> None:
    async def flagged(desk: Desk) -> bool:
        await desk.watch.look_around()
        await desk.take(*mediums(3))
        return any(event["event"] == "opened" for event in await desk.events())

    busy = Tally(VOTING_DAY - 90 * DAY, VOTING_DAY - 3 * DAY, 150.0)
    field = f"{KEY[0]}:{KEY[1]}"
    await redis.hset(f"{PREFIX}tallies", field, msgspec.msgpack.encode(busy))
    assert not await flagged(Desk(redis))

    await redis.flushall()
    assert await flagged(Desk(redis))


async def test_what_other_regencies_of_the_province_have_is_learnt_from_redis(redis: Redis) -> None:
    busy = msgspec.msgpack.encode(Tally(VOTING_DAY - 90 * DAY, VOTING_DAY - 3 * DAY, 150.0))
    for number in (*range(1, 11), 71, 72):
        await redis.hset(f"{PREFIX}tallies", f"63.{number:02}:money_politics", busy)
    await redis.hdel(f"{PREFIX}tallies", "63.11:money_politics")
    desk = Desk(redis)
    await desk.watch.look_around()
    await desk.take(*mediums(3))
    assert await desk.events() == []


async def test_the_pulse_in_redis_is_the_one_that_is_reckoned_with(redis: Redis) -> None:
    desk = Desk(redis)
    times = [VOTING_DAY + timedelta(minutes=7 * n * n) for n in range(40)]
    expected = None
    for at in times:
        expected = beaten(expected, at, desk.rules.flag.heartbeat)
    for start in range(0, 40, 9):
        part = {EVERYTHING: times[start : start + 9]}
        await desk.ledger.note(part, [], desk.rules)
        await desk.ledger.note(part, [], desk.rules)

    pulse = (await desk.ledger.pulses())[EVERYTHING]

    assert expected is not None
    assert (pulse.since, pulse.last) == (expected.since, expected.last)
    assert pulse.count == pytest.approx(expected.count, rel=1e-4)
    assert pulse.brisk == pytest.approx(expected.brisk, rel=1e-4)


def in_district(number: int, at: datetime) -> Assessment:
    """A medium report from one of Balangan's districts."""
    code = f"63.11.{number:02}"
    region = BALANGAN.model_copy(update={"district": District(code=code, name=code)})
    return an_assessment(severity=Severity.MEDIUM, at=at, region=region, sender=f"p{number}")


async def test_a_pattern_alerts_the_regency_itself_once_and_names_its_districts(redis: Redis) -> None:
    desk = Desk(redis)
    reports = [in_district(number, VOTING_DAY + HOUR * number) for number in (1, 2, 3)]
    for report in reports:
        await desk.take(report)
        await desk.watch.look_around()
    await desk.take(*reports)
    await desk.watch.look_around()
    await Desk(redis).watch.look_around()

    opened = [event for event in await desk.events() if event["event"] == "opened"]
    assert [(event["region_code"], event["reason"].partition(":")[0]) for event in opened] == [
        ("63.11", "burst"),
        ("63.11", "pattern"),
    ]
    assert len({event["alert_id"] for event in opened}) == 2
    assert "di 3 dari 8 kecamatan (38 %)" in opened[1]["reason"]
    deliveries = await redis.zrange(f"{PREFIX}outbox:file://", 0, -1)
    bodies = [await redis.hget(f"{PREFIX}delivery:{id_.decode()}", "document") for id_ in deliveries]
    told = next(body.decode("utf-8", "replace") for body in bodies if b"Pola politik uang" in body)
    assert "WILAYAH YANG TERKENA" in told
    assert "Kecamatan Paringin" in told or "Kecamatan Juai" in told


async def test_old_hits_are_forgotten_and_so_is_a_province_of_which_nothing_more_is_told(redis: Redis) -> None:
    desk = Desk(redis)
    old, new = in_district(1, VOTING_DAY - 8 * DAY), in_district(2, VOTING_DAY)
    await desk.ledger.note({}, [*hits_of(old, desk.rules), *hits_of(new, desk.rules)], desk.rules)
    hits = await desk.ledger.hits("63", VOTING_DAY - 7 * DAY)
    assert [hit.place for hit in hits] == ["63.11.02"]
    assert await redis.hlen(f"{PREFIX}patterns:63") == 1
    assert 0 < await redis.ttl(f"{PREFIX}patterns:63") <= 7 * 24 * 3600


async def test_a_region_that_falls_silent_is_told_and_resolved_by_itself(redis: Redis) -> None:
    desk = Desk(redis)
    for hour in range(24 * 20):
        at = VOTING_DAY + HOUR * hour
        heard = {EVERYTHING: [at], "source:lapangan": [at], "region:81.71": [at]}
        await desk.ledger.note(heard | ({"region:63.11": [at]} if hour < 24 * 17 else {}), [], desk.rules)
    desk.now = VOTING_DAY + 20 * DAY
    await desk.watch.look_around()
    await desk.watch.look_around()

    opened = [event for event in await desk.events() if event["event"] == "opened"]
    assert [(event["region_code"], event["region_name"], event["risk_class"]) for event in opened] == [
        ("63.11", "Kabupaten Balangan", "none")
    ]
    assert opened[0]["reason"].startswith("silence: tidak ada laporan selama 73 jam")

    await desk.take(an_assessment(kind=Kind.PREVENTION, at=desk.now + HOUR))
    await desk.watch.look_around()
    last = (await desk.events())[-1]
    assert (last["event"], last["actor"], last["reason"]) == ("resolved", "system", "laporan masuk lagi")


async def test_the_service_starts_with_all_of_it(redis_url: str, tmp_path: Path) -> None:
    for name in ("calendar.yaml", "officers.yaml", "alerting.yaml"):
        shutil.copy(DEPLOY_DIR / "config" / name, tmp_path)
    service = service_app.build(Settings(redis_url=redis_url, config_dir=tmp_path))  # type: ignore[arg-type]
    assert service.name == "alerts"


async def test_what_hundreds_pass_on_flags_nothing_and_three_who_tell_of_one_event_themselves_do(redis: Redis) -> None:
    desk, incidents = Desk(redis), Incidents(redis, clock=VOTING_DAY.timestamp)

    async def take(*texts: str) -> set[UUID]:
        """Take in each text from a sender of its own, under the incident that ingest finds for it; gives those."""
        found = await joined(incidents, *texts)
        for text, incident in zip(texts, found, strict=True):
            sender = sha256(text.encode()).hexdigest()[:24]
            await desk.take(
                an_assessment(
                    severity=Severity.MEDIUM, at=VOTING_DAY, incident_id=incident, sender=sender, text=text, evidence=""
                )
            )
        return set(found)

    passed_on = await take(*edits(200))
    told = await take(
        "Kepala Desa Lingsir mengumpulkan ketua RT di balai desa, minta warga diarahkan pilih nomor urut 1.",
        "Pak kades Lingsir kumpulkan semua RT di balai desa supaya warganya memilih paslon 1",
    )
    assert await desk.events() == []
    told |= await take("Ketua RT se-Lingsir dikumpulkan kades, disuruh arahkan pilihan ke nomor 1")

    assert (len(passed_on), len(told)) == (1, 1)
    (opened,) = [event for event in await desk.events() if event["event"] == "opened"]
    assert opened["severity"] == "high"
    assert opened["reason"].startswith("single: satu kejadian dilaporkan 3 pengirim yang berbeda")


# The replay


@pytest.fixture
async def stored(clickhouse: ClickHouseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ClickHouse with some days of reports, which the command line finds; gives the folder of configuration."""
    with clickhouse.client() as client:
        client.command("DROP DATABASE IF EXISTS salingjaga")
    user, password = clickhouse.analyst
    writer = Settings(
        clickhouse_host=clickhouse.host, clickhouse_port=clickhouse.port, clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,  # type: ignore[arg-type]
    )  # fmt: skip
    warehouse = Warehouse(writer)
    await migrate(writer, read_migrations(writer.migrations_dir))
    reports = [
        *mediums(3),
        an_assessment(at=VOTING_DAY, region=AMBON),
        *[in_district(number, VOTING_DAY + HOUR * number) for number in (1, 2, 3)],
        an_assessment(kind=Kind.PREVENTION, at=VOTING_DAY),
    ]
    rows = b"\n".join(msgspec.json.encode(report_row(one)) for one in reports)
    await warehouse.insert_json("report_rows", rows, token="replay")
    await warehouse.close()
    for name in ("calendar.yaml", "officers.yaml", "alerting.yaml"):
        shutil.copy(DEPLOY_DIR / "config" / name, tmp_path)
    for name, value in {
        "CONFIG_DIR": str(tmp_path), "CLICKHOUSE_HOST": clickhouse.host, "CLICKHOUSE_PORT": str(clickhouse.port),
        "CLICKHOUSE_USER": user, "CLICKHOUSE_PASSWORD": password,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"SALINGJAGA_{name}", value)
    get_settings.cache_clear()
    return tmp_path


def run(*words: str, data_dir: Path) -> Any:
    """The answer of `salingjaga alerts replay`."""
    return CliRunner().invoke(cli, ["replay", "--data-dir", str(data_dir / "none"), *words])


async def test_the_replay_shows_what_the_present_rules_raise_from_what_is_stored(stored: Path) -> None:
    answer = run("--since", "2024-11-26", "--until", "2024-11-28", "--json", data_dir=stored)
    get_settings.cache_clear()
    assert answer.exit_code == 0, answer.output
    raised = json.loads(answer.stdout)["present"]
    assert sorted((one["region_code"], one["cause"]) for one in raised) == [
        ("63.11", "burst"),
        ("63.11", "pattern"),
        ("81.71", "single"),
    ]
    burst = next(one for one in raised if one["cause"] == "burst")
    assert burst["why"].startswith("3 kejadian dalam 48 jam; biasanya kurang dari 0,1 ")
    assert burst["notifications"] == 1


async def test_the_replay_compares_other_rules_with_the_present_ones(stored: Path) -> None:
    other = stored / "lain.yaml"
    other.write_text("flag: {burst: {incidents: 30}, pattern: {places: 5}, single_report_severity: medium}\n")
    answer = run("--since", "2024-11-26", "--until", "2024-11-28", "--rules", str(other), data_dir=stored)
    get_settings.cache_clear()
    assert answer.exit_code == 0, answer.output
    for part in ("Added by", "Gone with", "Alerts 3 -> 2"):
        assert part in answer.stdout.replace("\n", " "), answer.stdout


async def test_the_replay_of_a_span_that_ends_before_it_begins_is_refused(stored: Path) -> None:
    answer = run("--since", "2024-11-28", "--until", "2024-11-26", data_dir=stored)
    get_settings.cache_clear()
    assert answer.exit_code == 1
    assert "must be before" in answer.output
