"""The archive against a real Redis and a real ClickHouse: every report once, whatever comes twice."""

import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from redis.asyncio import Redis

from services.archive.app import build
from services.archive.migrate import Migration, migrate, read_migrations
from shared.bus.partitions import UNDIVIDED, Partitions
from shared.bus.receipts import receipt_key, receipt_value
from shared.bus.streams import ALERT_EVENTS, ASSESSMENTS, QUARANTINE, SUBMISSIONS
from shared.config.errors import ConfigError
from shared.contracts import (
    AlertEvent,
    AlertState,
    Assessment,
    Attachment,
    Delivery,
    Part,
    ReceiptStage,
    RiskClass,
    Severity,
)
from shared.service import Service
from shared.settings import Settings
from shared.vault.envelope import Sealer
from tests.assessments import an_assessment
from tests.backends import ClickHouseServer
from tests.keys import a_ring
from tests.running import eventually, running

NOW = datetime(2024, 11, 25, 13, tzinfo=UTC)


@pytest.fixture
def settings(redis_url: str, clickhouse: ClickHouseServer) -> Settings:
    return Settings(
        redis_url=redis_url,
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        claim_idle_seconds=0.5,
        archive_linger_seconds=0.05,
    )


@pytest.fixture
async def archive(settings: Settings, warehouse: Client) -> AsyncIterator[Service]:
    async with running(build(settings)) as service:
        await eventually(lambda: answers(warehouse))
        yield service


async def answers(warehouse: Client) -> bool:
    try:
        warehouse.command("SELECT count() FROM salingjaga.alert_response")
    except Exception:  # noqa: BLE001 - the schema is not there yet
        return False
    return True


async def publish(redis_url: str, *messages: Assessment | AlertEvent | Delivery) -> None:
    async with Redis.from_url(redis_url) as redis:
        for message in messages:
            stream = ASSESSMENTS if isinstance(message, Assessment) else ALERT_EVENTS
            await redis.xadd(stream.name, {b"body": message.model_dump_json(by_alias=True)})


async def archived(redis_url: str) -> None:
    async def all_acknowledged() -> bool:
        async with Redis.from_url(redis_url) as redis:
            for stream, group in ((ASSESSMENTS, "archive"), (ALERT_EVENTS, "archive")):
                [found] = [one for one in await redis.xinfo_groups(stream.name) if one["name"].decode() == group]
                info = await redis.xinfo_stream(stream.name)
                if found["pending"] or found["last-delivered-id"] != info["last-generated-id"]:
                    return False
        return True

    await eventually(all_acknowledged)


async def test_a_report_that_comes_again_in_any_batch_counts_once(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    assessments = [an_assessment() for number in range(300)]
    await publish(redis_url, *assessments)
    await archived(redis_url)
    await publish(redis_url, *assessments[:50])
    await publish(redis_url, *assessments[25:120], *assessments[:10])
    await archived(redis_url)
    assert warehouse.query("SELECT count(), uniqExact(report_id) FROM salingjaga.reports").result_rows == [(300, 300)]


async def test_the_newest_assessment_of_a_report_is_the_one_that_counts(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    old = an_assessment()
    new = old.model_copy(update={"classified_at": old.classified_at + timedelta(days=1)})
    new = new.model_copy(update={"judgement": new.judgement.model_copy(update={"rule_pack_version": "lebih baru"})})
    await publish(redis_url, new)
    await archived(redis_url)
    await publish(redis_url, old)
    await archived(redis_url)
    rows = warehouse.query("SELECT rule_pack_version FROM salingjaga.reports").result_rows
    assert rows == [("lebih baru",)]


async def test_what_was_found_can_be_read_back_with_its_evidence_and_norms(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    one = an_assessment()
    await publish(redis_url, one)
    await archived(redis_url)
    columns = (
        "text, codes, findings.code, findings.risk, findings.evidence, findings.norms, findings.norms_verified, "
        "region_name, primary_class, severity, received_at, corroborations"
    )
    [row] = warehouse.query(f"SELECT {columns} FROM salingjaga.reports").result_rows
    findings = one.judgement.findings
    assert row[0] == one.report.text
    assert row[1] == list(one.judgement.labels)
    assert row[2] == [finding.code for finding in findings]
    assert row[3] == pytest.approx([finding.risk for finding in findings])
    assert row[4] == [[span.text for span in finding.evidence] for finding in findings]
    assert row[5] == [[norm.citation for norm in finding.norms] for finding in findings]
    assert row[6] == [[norm.verified for norm in finding.norms] for finding in findings]
    assert one.report.region is not None
    assert row[7] == one.report.region.name
    assert (row[8], row[9]) == (one.judgement.primary, one.judgement.severity)
    assert abs(row[10].replace(tzinfo=UTC) - one.report.received_at) < timedelta(milliseconds=1)
    assert row[11] == 0


async def test_what_was_noticed_and_the_hashes_of_attachments_are_stored(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    one = an_assessment()
    files = (
        Attachment(url="whatsapp-media:1", type="image/jpeg", sha256="q83vEjRWeJA="),
        Attachment(url="https://x.id/2"),
    )
    changes = {"notes": ("wilayah dari koordinat, perlu dipastikan",), "attachments": files}
    await publish(redis_url, one.model_copy(update={"report": one.report.model_copy(update=changes)}))
    await archived(redis_url)
    [row] = warehouse.query("SELECT notes, attachments, attachment_hashes FROM salingjaga.reports").result_rows
    assert row == (
        ["wilayah dari koordinat, perlu dipastikan"],
        ["whatsapp-media:1", "https://x.id/2"],
        ["q83vEjRWeJA=", ""],
    )


async def test_a_receipt_is_archived_only_when_clickhouse_has_its_report(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    one = an_assessment()
    key = receipt_key(one.report.receipt, UNDIVIDED)
    async with Redis.from_url(redis_url) as redis:
        await redis.set(key, receipt_value(ReceiptStage.ASSESSED, "x"), ex=100)
        await publish(redis_url, one)
        await archived(redis_url)
        assert (await redis.get(key)).startswith(b"archived:")
        assert 0 < await redis.ttl(key) <= 100
    assert warehouse.command("SELECT count() FROM salingjaga.reports") == 1


async def test_messages_of_two_partitions_are_kept_though_their_ids_are_the_same(
    settings: Settings, redis_url: str, warehouse: Client
) -> None:
    two = Partitions(2)
    submission = a_submission()
    async with Redis.from_url(redis_url) as redis:
        for part in (*ASSESSMENTS.parts(two), *SUBMISSIONS.parts(two)):
            for number in range(5):
                fields = (
                    {b"body": an_assessment().model_dump_json(by_alias=True).encode()}
                    if part.groups == ASSESSMENTS.groups
                    else {**submission, b"receipt": f"SJ-UJI-{part.partition}-{number}".encode()}
                )
                await redis.xadd(part.name, fields, id=f"1-{number + 1}")  # type: ignore[arg-type]
        async with running(build(settings.model_copy(update={"partitions": 2}))):

            async def all_acknowledged() -> bool:
                for part, group in [(part, "archive") for part in ASSESSMENTS.parts(two)] + [
                    (part, "vault") for part in SUBMISSIONS.parts(two)
                ]:
                    groups = {one["name"]: one for one in await redis.xinfo_groups(part.name)}
                    found = groups.get(group.encode(), {"pending": 1, "last-delivered-id": b""})
                    if found["pending"] or found["last-delivered-id"] != b"1-5":
                        return False
                return True

            await eventually(all_acknowledged)
    assert warehouse.command("SELECT uniqExact(report_id) FROM salingjaga.report_rows") == 10
    kept = "SELECT uniqExact(receipt) FROM salingjaga_vault.submissions WHERE startsWith(receipt, 'SJ-UJI')"
    assert warehouse.command(kept) == 10


def a_submission() -> dict[bytes, bytes]:
    """The fields of a submission's stream entry, but its receipt."""
    sealed = Sealer(a_ring()).seal(b"{}", b"")
    return {
        b"report_id": str(uuid.uuid4()).encode(),
        b"source": b"lapangan",
        b"adapter": b"json",
        b"received_ms": str(int(time.time() * 1000)).encode(),
        b"content_hash": b"x",
        b"body": sealed,
    }


async def test_a_message_that_is_no_assessment_goes_to_quarantine_alone(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.xadd(ASSESSMENTS.name, {b"body": b"{}"})
        await publish(redis_url, *[an_assessment() for number in range(20)])
        await archived(redis_url)
        assert await redis.xlen(QUARANTINE.name) == 1
    assert warehouse.command("SELECT count() FROM salingjaga.reports") == 20


def event(alert_id: uuid.UUID, state: AlertState, minute: int, *, event: str = "opened") -> AlertEvent:
    return AlertEvent(
        event_id=uuid.uuid5(alert_id, f"{state}{minute}"),
        alert_id=alert_id,
        at=NOW + timedelta(minutes=minute),
        event=event,  # type: ignore[arg-type]
        state=state,
        region_code="63.11",
        region_name="Kabupaten Balangan",
        risk_class=RiskClass.MONEY_POLITICS,
        severity=Severity.HIGH,
        opened_at=NOW,
        sequence=minute,
        reports=3,
        incidents=2,
        senders=2,
    )


async def test_alerts_show_their_current_state_and_each_delivery_attempt_once(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    alert_id = uuid.uuid4()
    events = [
        event(alert_id, AlertState.OPEN, 0),
        event(alert_id, AlertState.NOTIFIED, 1, event="notification_sent"),
        event(alert_id, AlertState.ACKNOWLEDGED, 2, event="acknowledged"),
    ]
    delivery = Delivery(
        delivery_id=uuid.uuid4(), alert_id=alert_id, at=NOW, officer_id="balangan-1", channel="mailto://mail",
        outcome="failed", attempt=1, error="refused",
    )  # fmt: skip
    later = delivery.model_copy(update={"attempt": 2, "outcome": "sent", "error": ""})
    await publish(redis_url, events[0], events[2], events[1], events[0], delivery, later, delivery)
    await archived(redis_url)
    assert warehouse.query("SELECT state, reports FROM salingjaga.alerts").result_rows == [("acknowledged", 3)]
    assert warehouse.command("SELECT count() FROM salingjaga.alert_events") == 3
    rows = warehouse.query("SELECT attempt, outcome FROM salingjaga.deliveries ORDER BY attempt").result_rows
    assert rows == [(1, "failed"), (2, "sent")]


async def test_an_analyst_sees_how_fast_an_alert_was_answered_and_how_far_it_had_to_climb(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    taken, ignored = uuid.uuid4(), uuid.uuid4()
    await publish(
        redis_url,
        event(taken, AlertState.OPEN, 0),
        event(taken, AlertState.NOTIFIED, 1, event="notification_sent"),
        event(taken, AlertState.ESCALATED, 16, event="escalated"),
        event(taken, AlertState.ACKNOWLEDGED, 20, event="acknowledged"),
        event(ignored, AlertState.OPEN, 0),
        event(ignored, AlertState.OPEN, 2, event="no_notification_sent"),
    )
    await archived(redis_url)
    rows = warehouse.query(
        "SELECT alert_id, state, escalations, unreached, seconds_to_told, seconds_to_acknowledged, resolved_at "
        "FROM salingjaga.alert_response ORDER BY state"
    ).result_rows
    assert rows == [
        (taken, "acknowledged", 1, 0, 60, 1200, None),
        (ignored, "open", 0, 1, None, None, None),
    ]


async def test_an_analyst_sees_where_risk_is_high_and_prevention_low(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    await publish(
        redis_url,
        *[an_assessment() for number in range(4)],
        event(uuid.uuid4(), AlertState.OPEN, 0),
    )
    await archived(redis_url)
    rows = warehouse.query(
        "SELECT region_code, sum(reports), sum(incidents), any(open_alerts) FROM salingjaga.region_risk GROUP BY 1"
    ).result_rows
    assert rows == [("63.11", 4, 4, 1)]
    [(name, incidents, activities)] = warehouse.query(
        "SELECT region_name, incidents, prevention_activities FROM salingjaga.prevention_coverage"
    ).result_rows
    assert (name, incidents, activities) == ("Kabupaten Balangan", 4, 0)


async def test_a_clickhouse_that_comes_back_empty_gets_its_schema_again_and_nothing_waits_forever(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    warehouse.command("DROP DATABASE salingjaga")
    await publish(redis_url, *[an_assessment() for number in range(10)])
    await archived(redis_url)
    assert warehouse.command("SELECT count() FROM salingjaga.reports") == 10


async def test_migrations_are_applied_once_and_a_changed_one_is_refused(settings: Settings, warehouse: Client) -> None:
    migrations = read_migrations(settings.migrations_dir)
    assert await migrate(settings, migrations) == len(migrations)
    assert await migrate(settings, migrations) == 0
    changed = Migration(migrations[0].number, migrations[0].name, migrations[0].statements, "another")
    with pytest.raises(ConfigError, match="changed after it was applied"):
        await migrate(settings, [changed])


def test_an_installation_without_migrations_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no migrations found"):
        read_migrations(tmp_path)


async def test_a_joined_report_is_one_row_of_most_messages_whatever_order_they_are_archived_in(
    archive: Service, redis_url: str, warehouse: Client
) -> None:
    one = an_assessment()
    at = one.report.received_at

    def told(messages: int, *, classified_after: int) -> Assessment:
        receipts = [one.report.receipt, "SJ-KEDUA", "SJ-KETIGA"][:messages]
        parts = tuple(Part(receipt=receipt, content_hash="", received_at=at) for receipt in receipts)
        report = one.report.model_copy(update={"parts": parts, "text": f"{messages} pesan"})
        return one.model_copy(update={"report": report, "classified_at": at + timedelta(seconds=classified_after)})

    async with Redis.from_url(redis_url) as redis:
        for receipt in (one.report.receipt, "SJ-KEDUA", "SJ-KETIGA"):
            await redis.set(receipt_key(receipt, UNDIVIDED), receipt_value(ReceiptStage.RECEIVED, "x"), ex=100)
        # All messages came in one second; what is classified last holds fewer of them.
        for state in (told(3, classified_after=1), told(1, classified_after=5), told(2, classified_after=60)):
            await publish(redis_url, state)
            await archived(redis_url)
        for receipt in (one.report.receipt, "SJ-KEDUA", "SJ-KETIGA"):
            assert (await redis.get(receipt_key(receipt, UNDIVIDED))).startswith(b"archived:")
    columns = "text, parts, corroborations"
    [row] = warehouse.query(f"SELECT {columns} FROM salingjaga.reports").result_rows
    assert row == ("3 pesan", [one.report.receipt, "SJ-KEDUA", "SJ-KETIGA"], 0)
    await publish(redis_url, told(3, classified_after=7200))
    await archived(redis_url)
    assert warehouse.command("SELECT max(classified_at) > min(classified_at) FROM salingjaga.report_rows") == 1
    [again] = warehouse.query(
        "SELECT classified_at - received_at FROM salingjaga.report_rows FINAL WHERE has(parts, 'SJ-KEDUA')"
    ).result_rows
    assert again[0] == pytest.approx(7200, abs=1)
