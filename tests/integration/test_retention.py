"""Every kind of data goes when its time is over, in ClickHouse and in Redis, and nothing before."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from redis.asyncio import Redis

from services.archive.app import build
from services.archive.migrate import migrate, read_migrations
from services.archive.retention import Retention, apply_periods, trim_redis
from shared.bus.partitions import UNDIVIDED
from shared.bus.streams import QUARANTINE, SUBMISSIONS, ensure_all_groups
from shared.config.errors import ConfigError
from shared.config.yaml_file import load_yaml
from shared.settings import DEPLOY_DIR, Settings
from shared.vault.envelope import Envelope, Opener, Sealer, binding_of
from shared.warehouse import Warehouse
from tests.backends import ClickHouseServer
from tests.keys import a_ring
from tests.running import eventually, running

NOW = datetime.now(UTC)


@pytest.fixture
def settings(redis_url: str, clickhouse: ClickHouseServer) -> Settings:
    return Settings(
        redis_url=redis_url,
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        archive_linger_seconds=0.05,
    )


async def with_schema(settings: Settings) -> None:
    await migrate(settings, read_migrations(settings.migrations_dir))


def insert_audit(warehouse: Client, *days_ago: float) -> None:
    rows = [[NOW - timedelta(days=days), f"{days}"] for days in days_ago]
    warehouse.insert("audit", rows, ["at", "who"], database="salingjaga_vault")


async def test_rows_past_their_period_go_when_it_is_applied_and_the_others_stay(
    settings: Settings, warehouse: Client
) -> None:
    await with_schema(settings)
    insert_audit(warehouse, 1, 399, 401, 4000)
    warehouse.insert(
        "submissions",
        [["a", "x", NOW - timedelta(days=29)], ["b", "x", NOW - timedelta(days=31)]],
        ["receipt", "content_hash", "received_at"],
        database="salingjaga_vault",
    )
    own = Warehouse(settings)
    retention = Retention(submissions_days=30, quarantine_days=30, audit_days=400)
    try:
        assert await apply_periods(own, retention, settings) == 7
        assert await apply_periods(own, retention, settings) == 0, "a second start changes nothing"

        async def gone() -> bool:
            who = warehouse.query("SELECT who FROM salingjaga_vault.audit ORDER BY at").result_rows
            kept = warehouse.query("SELECT receipt FROM salingjaga_vault.submissions").result_rows
            return who == [("399",), ("1",)] and kept == [("a",)]

        await eventually(gone)
        assert await apply_periods(own, retention.model_copy(update={"audit_days": 300}), settings) == 1

        async def shorter() -> bool:
            return warehouse.query("SELECT who FROM salingjaga_vault.audit").result_rows == [("1",)]

        await eventually(shorter)
    finally:
        await own.close()


async def test_redis_keeps_nothing_that_all_have_read_and_no_quarantine_past_its_period(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await ensure_all_groups(lambda _: redis, UNDIVIDED)
        for number in range(5):
            await redis.xadd(SUBMISSIONS.name, {b"body": b"%d" % number})
        old, young = (int((NOW - timedelta(days=days)).timestamp() * 1000) for days in (91, 89))
        for at in (old, young):
            await redis.xadd(QUARANTINE.name, {b"body": b"x"}, id=f"{at}-0")

        async def read_all(group: str, *, leave: int = 0) -> None:
            [[_, entries]] = await redis.xreadgroup(group, "uji", {SUBMISSIONS.name: ">"})
            done = entries[: len(entries) - leave]
            await redis.xack(SUBMISSIONS.name, group, *(id_ for id_, _ in done))

        await read_all("normaliser")
        await trim_redis(lambda _: redis, UNDIVIDED, Retention(), NOW)
        assert await redis.xlen(SUBMISSIONS.name) == 5, "the vault has read nothing yet"
        assert [id_ for id_, _ in await redis.xrange(QUARANTINE.name)] == [b"%d-0" % young]
        await read_all("vault", leave=1)
        await trim_redis(lambda _: redis, UNDIVIDED, Retention(), NOW)
        assert await redis.xlen(SUBMISSIONS.name) == 1, "what is not acknowledged stays"
        [pending] = await redis.xpending_range(SUBMISSIONS.name, "vault", "-", "+", 1)
        await redis.xack(SUBMISSIONS.name, "vault", pending["message_id"])
        await trim_redis(lambda _: redis, UNDIVIDED, Retention(), NOW)
        assert await redis.xlen(SUBMISSIONS.name) == 0
        await redis.xadd(SUBMISSIONS.name, {b"body": b"next"})
        assert await redis.xreadgroup("vault", "uji", {SUBMISSIONS.name: ">"}), "reading goes on behind the cut"


async def test_the_archive_stores_a_submission_once_sealed_whatever_comes_twice(
    settings: Settings, redis_url: str, warehouse: Client
) -> None:
    sealer = Sealer(a_ring())

    def entry(receipt: str, content_hash: str, body: bytes) -> dict[bytes, bytes]:
        fields = {"receipt": receipt, "source": "lapangan", "adapter": "json", "content_hash": content_hash}
        fields["received_ms"] = str(int(NOW.timestamp() * 1000))
        sealed = sealer.seal(body, binding_of(receipt, "lapangan"))
        return {**{name.encode(): value.encode() for name, value in fields.items()}, b"body": sealed}

    first, edited, other = entry("A", "1", b"satu"), entry("A", "2", b"satu, diubah"), entry("B", "3", b"dua")
    async with running(build(settings)), Redis.from_url(redis_url) as redis:
        for one in (first, edited, other, first, {b"body": b"terang"}, other):
            await redis.xadd(SUBMISSIONS.name, one)

        async def stored() -> bool:
            try:
                count = warehouse.command("SELECT count() FROM salingjaga_vault.submissions FINAL")
            except Exception:  # noqa: BLE001 - the schema is not there yet
                return False
            return count == 3 and await redis.xlen(QUARANTINE.name) == 1

        await eventually(stored)
    keys = warehouse.query("SELECT data_key_id, master_key_id FROM salingjaga_vault.data_keys FINAL").result_rows
    assert keys == [(Envelope.read(first[b"body"]).key.id.hex(), "uji")]
    assert Opener(a_ring()).open(Envelope.read(first[b"body"]), binding_of("A", "lapangan")) == b"satu"


def test_the_shipped_periods_are_valid_and_ones_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    shipped = load_yaml(DEPLOY_DIR / "config" / "retention.yaml", Retention)
    assert shipped == Retention()
    path = tmp_path / "retention.yaml"
    for text, words in (
        ("submissions_days: 30\nquarantine_days: 31\n", "quarantine_days must not exceed"),
        ("submissions_days: 400\naudit_days: 399\nquarantine_days: 1\n", "audit_days must be at least"),
        ("submissions_days: 0\n", "line 1"),
        ("identity_days: 3\n", "identity_days"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            load_yaml(path, Retention)
