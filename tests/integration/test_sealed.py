"""Sealed submissions through the real normaliser, with and without their key; what is on its way is not forgotten."""

import base64
import json
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from deploy.cli.forget import _check_settled
from services.ingest.acceptor import Acceptor
from services.ingest.app import build
from services.ingest.submission import Submission
from shared.bus import quarantine
from shared.bus.connection import Connections
from shared.bus.partitions import UNDIVIDED
from shared.bus.streams import QUARANTINE, REPORTS, SUBMISSIONS, ensure_all_groups
from shared.settings import Settings
from shared.vault.envelope import Sealer
from tests.keys import MASTER_KEYS, a_ring
from tests.running import eventually, running

OTHER = "lain:" + base64.b64encode(bytes(32)).decode()


async def submit(redis_url: str, text: str) -> Submission:
    body = json.dumps({"text": text}).encode()
    one = Submission.new(
        source="lapangan", adapter="json", external_id="", content=body, body=body, received_at=datetime.now(UTC)
    )
    connections = Connections(redis_url)
    await Acceptor(connections, Sealer(a_ring()), receipt_seconds=100).accept([one])
    await connections.aclose()
    return one


def normaliser(redis_url: str, keys: str) -> Settings:
    return Settings(redis_url=redis_url, master_keys=SecretStr(keys))


async def test_without_its_key_a_submission_waits_sealed_in_quarantine_and_flows_on_when_the_key_is_back(
    redis_url: str,
) -> None:
    async with Redis.from_url(redis_url) as redis:
        one = await submit(redis_url, "saksi 0812 3456 7890 di Garut")

        async def holds(stream: str, count: int) -> bool:
            return int(await redis.xlen(stream)) == count

        async with running(build(normaliser(redis_url, OTHER), webhook=False)):
            await eventually(lambda: holds(QUARANTINE.name, 1))
        with SyncRedis.from_url(redis_url) as operator:
            [waiting] = quarantine.read_quarantine(operator)
            assert "master key uji, which is not in the key ring" in waiting.error
            assert waiting.receipt == one.receipt
            assert b"0812" not in waiting.body
            quarantine.replay(operator, waiting, UNDIVIDED)
        async with running(build(normaliser(redis_url, f"{OTHER} {MASTER_KEYS}"), webhook=False)):
            await eventually(lambda: holds(REPORTS.name, 1))
        assert await redis.xlen(QUARANTINE.name) == 0


async def test_what_some_group_has_not_finished_is_not_forgotten_yet(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await ensure_all_groups(lambda _: redis, UNDIVIDED)
        one = await submit(redis_url, "laporan")
        with SyncRedis.from_url(redis_url) as operator:
            for group in SUBMISSIONS.groups:
                with pytest.raises(SystemExit):  # not read
                    _check_settled(operator, {one.receipt}, UNDIVIDED)
                [[_, [(id_, _)]]] = await redis.xreadgroup(group, "uji", {SUBMISSIONS.name: ">"})
                with pytest.raises(SystemExit):  # read, not acknowledged
                    _check_settled(operator, {one.receipt}, UNDIVIDED)
                await redis.xack(SUBMISSIONS.name, group, id_)
            _check_settled(operator, {one.receipt}, UNDIVIDED)
            other = await submit(redis_url, "laporan lain")
            _check_settled(operator, {one.receipt}, UNDIVIDED)
            with pytest.raises(SystemExit):
                _check_settled(operator, {other.receipt}, UNDIVIDED)
