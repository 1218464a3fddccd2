"""The services over a real Redis Cluster: each report once, whatever node or process dies."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import redis
from clickhouse_connect.driver.client import Client
from redis.exceptions import MovedError, RedisError

from deploy.embedded.system import free_port
from services.alerts import inbox
from services.alerts.app import build as alerts
from services.alerts.store import PREFIX
from services.archive.app import build as archive
from services.classify.app import build as classify
from services.ingest.acceptor import Acceptor
from services.ingest.app import build as ingest
from shared.bus.connection import Connections, connect, connect_blocking
from shared.bus.consumer import StreamConsumer
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.partitions import UNDIVIDED, Partitions
from shared.bus.quarantine import find_quarantined, read_quarantine, replay
from shared.bus.receipts import receipt_key
from shared.bus.streams import ALERT_EVENTS, ASSESSMENTS, REPORTS, SUBMISSIONS, Stream
from shared.config.errors import ConfigError
from shared.service import Service
from shared.settings import Settings
from shared.vault.envelope import Sealer
from tests.backends import ClickHouseServer
from tests.clusters import MASTERS, LocalCluster, Node, start_cluster
from tests.integration.test_sentinel import accept_while_a_master_dies, submissions
from tests.integration.test_webhook import NDJSON, SECRET, SOURCES, Door
from tests.keys import a_ring
from tests.running import eventually, running

THREE = Partitions(MASTERS)
PROJECT_CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "config"
PLACES = (
    "Garut",
    "Sampang",
    "Balangan",
    "Bantul",
    "Sidoarjo",
    "Bogor",
    "Kutai Barat",
    "Lombok Timur",
    "Pidie",
    "Kupang",
)
TEXT = "Camat ke-{} di Kabupaten {} membagikan amplop berisi uang agar warga memilih pasangan calon nomor 2"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with start_cluster(tmp_path / "cluster") as running_cluster:
        yield running_cluster


@pytest.fixture
def settings(
    cluster: LocalCluster, clickhouse: ClickHouseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setenv("SALINGJAGA_SECRET_UJI", SECRET)
    config = tmp_path / "config"
    config.mkdir()
    shutil.copy(PROJECT_CONFIG / "officers.yaml", config)
    (config / "sources.yaml").write_text(SOURCES)
    return Settings(
        redis_url=cluster.url,  # type: ignore[arg-type]
        partitions=THREE.count,
        clickhouse_host=clickhouse.host,
        clickhouse_port=clickhouse.port,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,  # type: ignore[arg-type]
        config_dir=config,
        notification_file=tmp_path / "notifications.txt",
        port=free_port(besides=set()),
        claim_idle_seconds=0.5,
        archive_linger_seconds=0.05,
    )


def reports() -> list[str]:
    """Lines of a batch: five reports from each place, and some that tell of no place."""
    texts = [TEXT.format(number, place) for place in PLACES for number in range(5)]
    texts += [
        f"Timses membagikan amplop berisi uang di pasar agar pilih nomor 2, pelaku ke-{number}" for number in range(5)
    ]
    return [json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts)]


async def post(webhook: Service, lines: Sequence[str]) -> list[str]:
    """Post a batch; the receipts."""
    answer = await Door(webhook).post("\n".join(lines), path="/v1/reports/lapangan/batch", media_type=NDJSON)
    assert answer.status_code == 202, answer.text
    assert answer.json()["accepted"] == len(lines)
    receipts: list[str] = answer.json()["receipts"]
    return receipts


@contextlib.asynccontextmanager
async def all_running(*services: Service) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(running(service))
        yield
        assert [service.broken for service in services] == [""] * len(services)


async def stage_of(webhook: Service, receipt: str) -> str:
    """How far it has come; empty while that cannot be told."""
    answer = await Door(webhook).client.get(f"/v1/receipts/{receipt}")
    return str(answer.json()["stage"]) if answer.status_code == 200 else ""


async def all_archived(webhook: Service, receipts: Sequence[str]) -> None:
    async def archived() -> bool:
        return {await stage_of(webhook, receipt) for receipt in receipts} == {"archived"}

    await eventually(archived, seconds=60)


async def all_settled(url: str) -> None:
    """Return when every group has read and acknowledged its streams."""

    async def settled() -> bool:
        with connect_blocking(url) as client:
            for stream in (*SUBMISSIONS.parts(THREE), *REPORTS.parts(THREE), *ASSESSMENTS.parts(THREE)):
                newest = client.xinfo_stream(stream.name)["last-generated-id"]  # type: ignore[index]
                for group in client.xinfo_groups(stream.name):  # type: ignore[union-attr]
                    if group["pending"] or group["last-delivered-id"] != newest:
                        return False
        return True

    await eventually(settled, seconds=60)


async def reports_in_alerts(url: str) -> int:
    async with connect(url, PREFIX) as client:
        return sum(alert.reports for alert in await inbox.list_alerts(client))


async def command(settings: Settings, *words: str, status: int = 0) -> str:
    """What an operator's command prints, with the system's addresses in its environment."""
    environment = {
        **os.environ,
        "SALINGJAGA_REDIS_URL": settings.redis_url.get_secret_value(),
        "SALINGJAGA_PARTITIONS": str(settings.partitions),
        "SALINGJAGA_CLICKHOUSE_HOST": settings.clickhouse_host,
        "SALINGJAGA_CLICKHOUSE_PORT": str(settings.clickhouse_port),
        "SALINGJAGA_CLICKHOUSE_USER": settings.clickhouse_user,
        "SALINGJAGA_CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
        "SALINGJAGA_DATA_DIR": str(settings.config_dir / "none"),
        "COLUMNS": "200",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.cli", *words, env=environment, stdout=PIPE, stderr=STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode == status, printed.decode()
    return printed.decode()


def owner(cluster: LocalCluster, stream: Stream) -> int:
    """The number of the master that a stream lies on; the others send away who asks them."""

    def holds(node: Node) -> bool:
        with node.client() as client:
            try:
                client.exists(stream.name)
            except MovedError:
                return False
        return True

    [number] = [number for number, node in enumerate(cluster.masters) if holds(node)]
    return number


async def test_reports_go_all_the_way_over_three_nodes_and_count_once(
    cluster: LocalCluster, settings: Settings, warehouse: Client
) -> None:
    webhook, lines = ingest(settings, normaliser=False), reports()
    normaliser = ingest(settings, webhook=False)
    async with all_running(webhook, normaliser, classify(settings), archive(settings), alerts(settings)):
        receipts = await post(webhook, lines)
        assert await post(webhook, lines) == receipts, "posted again, each keeps its receipt"
        await all_archived(webhook, receipts)
        await all_settled(cluster.url)
        assert await reports_in_alerts(cluster.url) == len(lines)

    counted = warehouse.query(
        "SELECT count(), uniqExact(report_id), uniqExact(region_code) FROM salingjaga.report_rows"
    )
    assert counted.result_rows == [(len(lines), len(lines), len(PLACES) + 1)]
    assert warehouse.command("SELECT count() FROM salingjaga_vault.submissions") == len(lines)
    for stream in (SUBMISSIONS, REPORTS, ASSESSMENTS):
        parts = stream.parts(THREE)
        assert sorted(owner(cluster, part) for part in parts) == [0, 1, 2], "each node holds a partition"
        with connect_blocking(cluster.url) as client:
            ends = [client.xinfo_stream(part.name)["last-generated-id"] for part in parts]  # type: ignore[index]
        assert b"0-0" not in ends, f"every partition of {stream.name} took part"


async def test_edited_copies_of_one_message_are_one_incident_whatever_partition_they_arrive_in(
    cluster: LocalCluster, settings: Settings, warehouse: Client
) -> None:
    words = (
        "Camat Paringin mengumpulkan kepala desa di pendopo Kabupaten Balangan lalu membagikan amplop berisi uang {}"
    )
    texts = [words.format(f"kepada semua yang hadir malam itu, mohon ditindaklanjuti {end}") for end in "abcdefghi"]
    webhook = ingest(settings, normaliser=False)
    async with all_running(webhook, ingest(settings, webhook=False), classify(settings), archive(settings)):
        receipts = await post(webhook, [json.dumps({"id": text, "text": text}) for text in texts])
        await all_archived(webhook, receipts)
    assert {THREE.of(receipt) for receipt in receipts} == {0, 1, 2}
    counted = warehouse.query("SELECT count(), uniqExact(incident_id) FROM salingjaga.reports")
    assert counted.result_rows == [(len(texts), 1)]


async def test_operators_work_over_three_nodes_as_over_one(
    cluster: LocalCluster, settings: Settings, warehouse: Client
) -> None:
    webhook, lines = ingest(settings, normaliser=False), reports()[:10]
    async with all_running(
        webhook, ingest(settings, webhook=False), classify(settings), archive(settings), alerts(settings)
    ):
        receipts = await post(webhook, lines)
        await all_archived(webhook, receipts)
        await all_settled(cluster.url)
        open_alerts = json.loads(await command(settings, "alerts", "list", "--json"))
        assert sum(alert["reports"] for alert in open_alerts) == len(lines)
        assert "quarantine is empty" in await command(settings, "quarantine", "list")
        assert "10 submissions put back" in await command(settings, "replay", "--since", "1d", "--reason", "uji")
        await all_settled(cluster.url)
        forgotten = await command(settings, "forget", receipts[0], "--reason", "uji", "--yes", "--only-this")
        assert "Nothing is left" in forgotten
        wrong = settings.model_copy(update={"partitions": 6})
        refused = await command(wrong, "forget", receipts[1], "--reason", "uji", "--yes", status=1)
        assert "SALINGJAGA_PARTITIONS is 6 here, and 3" in refused, "else it would find nothing, and say so"
    assert warehouse.command("SELECT count() FROM salingjaga.reports") == len(lines)
    assert warehouse.command("SELECT count() FROM salingjaga_vault.submissions FINAL") == len(lines) - 1


async def test_a_normaliser_killed_between_publishing_and_acknowledging_doubles_nothing(
    cluster: LocalCluster, settings: Settings, warehouse: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook, lines = ingest(settings, normaliser=False), reports()
    classifier = classify(settings)

    async def published(count: int) -> None:
        async def is_so() -> bool:
            with connect_blocking(cluster.url) as client:
                return sum(client.xlen(part.name) for part in REPORTS.parts(THREE)) >= count  # type: ignore[misc]

        await eventually(is_so)

    async def die_before_acknowledging(self: StreamConsumer, _batch: object, outbox: Outbox) -> None:
        await outbox.write(self._connections, lambda _: None)
        await asyncio.Event().wait()

    async with all_running(webhook):
        with monkeypatch.context() as sabotage:
            sabotage.setattr(StreamConsumer, "_settle", die_before_acknowledging)
            async with all_running(ingest(settings, webhook=False)):
                receipts = await post(webhook, lines)
                await published(len(lines))
        async with all_running(ingest(settings, webhook=False)):
            await published(2 * len(lines))
            async with all_running(classifier, archive(settings), alerts(settings)):
                await all_settled(cluster.url)
                await all_archived(webhook, receipts)
                assert await reports_in_alerts(cluster.url) == len(lines)

    counted = warehouse.query("SELECT count(), uniqExact(report_id), uniqExact(incident_id) FROM salingjaga.reports")
    [(count, distinct, _)] = counted.result_rows
    assert (count, distinct) == (len(lines), len(lines))


async def hand_on_receipts(batch: Sequence[Message], outbox: Outbox) -> None:
    for message in batch:
        receipt = message.fields[b"receipt"]
        outbox.publish(REPORTS, receipt, by=receipt.decode()[::-1])


async def all_handed_on(connections: Connections, count: int) -> bool:
    found: set[str] = set()
    try:
        for part in REPORTS.parts(THREE):
            entries = await connections.of(part.name).xrange(part.name)
            found |= {fields[b"body"].decode() for _, fields in entries}
    except RedisError:
        return False
    return found == {one.receipt for one in submissions(count, 0)}


async def test_a_master_that_dies_is_followed_by_its_replica_and_nothing_kept_is_lost(cluster: LocalCluster) -> None:
    connections = Connections(cluster.url, socket_timeout=5)
    settings = Settings(redis_url=cluster.url, partitions=THREE.count, claim_idle_seconds=0.5)  # type: ignore[arg-type]
    service = Service("test", settings)

    service.consume(SUBMISSIONS, "normaliser", hand_on_receipts, batch_size=20)
    async with running(service):
        refused = await accept_while_a_master_dies(connections, cluster.masters[1].kill, THREE)

        await eventually(lambda: all_handed_on(connections, 600), seconds=30)
        assert service.broken == ""
    await connections.aclose()
    assert refused > 0, "while a partition had no master nothing was accepted for it"
    with cluster.replicas[1].client() as new:
        assert new.role()[0] == b"master"  # type: ignore[index]


async def test_a_partition_that_is_moved_to_another_master_is_followed(
    cluster: LocalCluster, settings: Settings
) -> None:
    webhook, texts = ingest(settings, normaliser=False), [TEXT.format(number, "Garut") for number in range(600)]
    lines = [json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts)]
    garut = REPORTS.part(THREE.of("32.05"), THREE)
    source = owner(cluster, garut)
    target = (source + 1) % MASTERS
    receipts: list[str] = []

    async def take(start: int) -> None:
        while True:
            answer = await Door(webhook).post(
                "\n".join(lines[start : start + 20]), path="/v1/reports/lapangan/batch", media_type=NDJSON
            )
            if answer.status_code == 202:
                receipts.extend(answer.json()["receipts"])
                return
            assert answer.status_code == 503
            await asyncio.sleep(0.05)

    async def all_normalised() -> bool:
        return {await stage_of(webhook, receipt) for receipt in receipts} == {"normalised"}

    async with all_running(webhook, ingest(settings, webhook=False)):
        await take(0)
        slot, nodes = Connections(cluster.url).place(garut.name), cluster.masters
        moving = asyncio.create_task(asyncio.to_thread(cluster.move, slot, nodes[source], nodes[target]))
        for start in range(20, 400, 20):
            await take(start)
        await moving
        for start in range(400, 600, 20):
            await take(start)
        await eventually(all_normalised, seconds=60)
    assert owner(cluster, garut) == target
    with connect_blocking(cluster.url) as client:
        assert list(read_quarantine(client)) == []
        bodies = [json.loads(fields[b"body"]) for _, fields in client.xrange(garut.name)]  # type: ignore[union-attr]
    assert {body["receipt"] for body in bodies} == set(receipts)


async def test_alerts_miss_nothing_when_the_node_that_holds_them_dies_while_reports_arrive(
    cluster: LocalCluster, settings: Settings, warehouse: Client
) -> None:
    settings = settings.model_copy(update={"redis_replicas": 1})
    webhook, lines = ingest(settings, normaliser=False), reports()
    normaliser = ingest(settings, webhook=False)
    async with all_running(webhook, normaliser, classify(settings), archive(settings), alerts(settings)):
        holder = owner(cluster, ALERT_EVENTS)
        receipts = await post(webhook, lines)
        cluster.masters[holder].kill()

        async def replica_took_over() -> bool:
            with cluster.replicas[holder].client() as client:
                return bool(client.role()[0] == b"master")  # type: ignore[index]

        await eventually(replica_took_over)
        cluster.masters[holder].start_again()
        await all_archived(webhook, receipts)
        await all_settled(cluster.url)
        assert await reports_in_alerts(cluster.url) == len(lines)
    assert warehouse.command("SELECT uniqExact(report_id) FROM salingjaga.report_rows") == len(lines)


async def test_what_is_put_aside_is_seen_and_replayed_by_an_operator(cluster: LocalCluster) -> None:
    settings = Settings(redis_url=cluster.url, partitions=THREE.count, claim_idle_seconds=0.5)  # type: ignore[arg-type]
    connections = Connections(cluster.url)
    ones = submissions(6, 0)
    await Acceptor(connections, Sealer(a_ring()), receipt_seconds=3600, partitions=THREE).accept(ones)

    async def refuse(batch: Sequence[Message], _outbox: Outbox) -> None:
        raise ValueError(f"{len(batch)} of them")

    async def accept(batch: Sequence[Message], outbox: Outbox) -> None:
        for message in batch:
            outbox.publish(REPORTS, message.fields[b"receipt"])

    def waiting() -> list[str]:
        with connect_blocking(cluster.url) as operator:
            return sorted(one.receipt for one in read_quarantine(operator))

    async def are_waiting() -> bool:
        return waiting() == sorted(one.receipt for one in ones)

    refusing, accepting = Service("test", settings), Service("test", settings)
    refusing.consume(SUBMISSIONS, "normaliser", refuse, batch_size=20)
    accepting.consume(SUBMISSIONS, "normaliser", accept, batch_size=20)
    async with running(refusing):
        await eventually(are_waiting)
    async with running(accepting):
        with connect_blocking(cluster.url) as operator:
            for one in list(read_quarantine(operator)):
                assert find_quarantined(operator, one.id) == one
                replay(operator, one, THREE)

        async def handed_on() -> bool:
            lengths = [await connections.of(part.name).xlen(part.name) for part in REPORTS.parts(THREE)]
            return sum(lengths) == len(ones)

        await eventually(handed_on)
    assert waiting() == []
    for one in ones:
        key = receipt_key(one.receipt, THREE)
        value = await connections.of(key).get(key)
        assert value.startswith(b"received:"), "told again how far it has come"
    await connections.aclose()


def test_partitions_lie_evenly_in_the_slots_that_masters_get() -> None:
    for masters in (2, 3, 4, 6):
        for count in (masters, 2 * masters):
            slots = [redis.cluster.key_slot(Partitions(count).key("x", number).encode()) for number in range(count)]
            on_each = [
                sum(round(node * 16384 / masters) <= slot < round((node + 1) * 16384 / masters) for slot in slots)
                for node in range(masters)
            ]
            assert on_each == [count // masters] * masters
    assert UNDIVIDED.key("receipt:SJ", 0) == "salingjaga:receipt:SJ", "names of one partition carry no tag"


async def test_a_service_that_splits_streams_otherwise_stops_and_says_so(cluster: LocalCluster) -> None:
    url = cluster.url
    async with running(Service("first", Settings(redis_url=url, partitions=3))) as first:  # type: ignore[arg-type]

        async def ready() -> bool:
            return (await Door(first).client.get("/readyz")).status_code == 200

        await eventually(ready)
        async with running(Service("other", Settings(redis_url=url, partitions=6))) as other:  # type: ignore[arg-type]

            async def stopped() -> bool:
                return "SALINGJAGA_PARTITIONS is 6 here, and 3" in other.broken

            await eventually(stopped)
        assert first.broken == ""


def test_a_cluster_with_a_single_partition_is_refused_with_the_cure() -> None:
    settings = Settings(redis_url="redis+cluster://:x@127.0.0.1:1")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="SALINGJAGA_PARTITIONS"):
        Service("test", settings)


@pytest.mark.parametrize(
    "url", ["redis+cluster://", "redis+cluster://a:x", "redis+cluster://a:1/0", "redis+cluster://:b@"]
)
def test_a_url_that_cannot_be_read_is_named_with_its_cure(url: str) -> None:
    with pytest.raises(ConfigError, match="write redis\\+cluster://"):
        connect(url)
