"""A Redis master under sentinels that dies: its replica takes over, and nothing that was answered as kept is lost."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.embedded.redis_server import find_redis_server, write_config
from deploy.embedded.system import free_port
from services.ingest.acceptor import Acceptor, OverloadedError
from services.ingest.submission import Submission
from shared.bus.connection import Connections, connect, connect_blocking
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.partitions import UNDIVIDED, Partitions
from shared.bus.streams import REPORTS, SUBMISSIONS
from shared.config.errors import ConfigError
from shared.service import Service
from shared.settings import Settings
from shared.vault.envelope import Sealer
from tests.backends import wait_for
from tests.keys import a_ring
from tests.running import eventually, running

PASSWORD = "rahasia"
MASTER = "salingjaga"
SENTINELS = 3


@dataclass
class Watched:
    """A master, its replica, and sentinels."""

    url: str
    master: "subprocess.Popen[bytes]"
    replica_port: int


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    ports = [free_port(besides=set()) for _ in range(2 + SENTINELS)]
    with contextlib.ExitStack() as stack:

        def start(name: str, port: int, more: list[str], *arguments: str) -> "subprocess.Popen[bytes]":
            folder = tmp_path / name
            folder.mkdir()
            config = folder / "redis.conf"
            if name.startswith("sentinel"):
                config.write_text(f'bind 127.0.0.1\nport {port}\ndir "{folder}"\n' + "\n".join(more) + "\n")
            else:
                write_config(config, folder=folder, port=port, password=PASSWORD)
                with config.open("a") as file:
                    file.write(f"masterauth {PASSWORD}\nrepl-diskless-sync-delay 0\n" + "\n".join(more) + "\n")
            process = subprocess.Popen([find_redis_server(), str(config), *arguments], stdout=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        master = start("master", ports[0], [])
        start("replica", ports[1], [f"replicaof 127.0.0.1 {ports[0]}"])
        for number, port in enumerate(ports[2:]):
            watch = [
                f"sentinel monitor {MASTER} 127.0.0.1 {ports[0]} 2",
                f"sentinel auth-pass {MASTER} {PASSWORD}",
                f"sentinel down-after-milliseconds {MASTER} 1000",
                f"sentinel failover-timeout {MASTER} 5000",
            ]
            start(f"sentinel{number}", port, watch, "--sentinel")
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports[2:])
        found = Watched(f"redis+sentinel://:{PASSWORD}@{hosts}/{MASTER}/0", master, ports[1])
        wait_for(lambda: _complete(found, ports[2:]), seconds=30)
        yield found


def _complete(watched: Watched, sentinel_ports: list[int]) -> bool:
    """Whether the replica follows and every sentinel knows it and the other sentinels."""
    try:
        with connect_blocking(watched.url) as master:
            [replica] = [value for name, value in master.info("replication").items() if name == "slave0"] or [{}]  # type: ignore[union-attr]
        known = []
        for port in sentinel_ports:
            with redis.Redis(port=port) as sentinel:
                state = sentinel.sentinel_master(MASTER)
                known.append((state["num-slaves"], state["num-other-sentinels"]))
    except RedisError:
        return False
    return replica.get("state") == "online" and known == [(1, SENTINELS - 1)] * SENTINELS


@pytest.fixture
async def client(watched: Watched) -> AsyncIterator[Redis]:
    async with connect(watched.url, socket_timeout=5) as connection:
        yield connection


def submissions(count: int, start: int) -> list[Submission]:
    return [
        Submission.new(
            source="uji",
            adapter="json",
            external_id=str(number),
            content=b"%06d" % number,
            body=b"%06d" % number,
            received_at=datetime.now(UTC),
        )
        for number in range(start, start + count)
    ]


async def hand_on_receipts(batch: Sequence[Message], outbox: Outbox) -> None:
    for message in batch:
        outbox.publish(REPORTS, message.fields[b"receipt"])


async def accept_while_a_master_dies(
    connections: Connections, kill: Callable[[], object], partitions: Partitions = UNDIVIDED
) -> int:
    """Have 600 submissions kept on a replica too, half of them after `kill`. Returns how often they were refused."""
    acceptor = Acceptor(connections, Sealer(a_ring()), receipt_seconds=3600, replicas=1, partitions=partitions)
    refused = 0
    for start in range(0, 600, 20):
        if start == 300:
            kill()
        while True:
            try:
                await acceptor.accept(submissions(20, start))
                break
            except OverloadedError:
                refused += 1
                if refused == 1:
                    # The new master has no replica of its own until somebody gives it one: say that none is needed.
                    acceptor = Acceptor(connections, Sealer(a_ring()), receipt_seconds=3600, partitions=partitions)
                await asyncio.sleep(0.2)
    return refused


async def test_a_master_that_dies_is_followed_by_its_replica_and_nothing_kept_is_lost(
    watched: Watched, client: Redis
) -> None:
    connections = Connections(watched.url, socket_timeout=5)
    service = Service("test", Settings(redis_url=watched.url, claim_idle_seconds=0.5))
    service.consume(SUBMISSIONS, "normaliser", hand_on_receipts, batch_size=20)

    async with running(service):
        refused = await accept_while_a_master_dies(connections, watched.master.kill)

        async def all_handed_on() -> bool:
            try:
                found = {fields[b"body"].decode() for _, fields in await client.xrange(REPORTS.name)}
            except RedisError:
                return False
            return found == {one.receipt for one in submissions(600, 0)}

        await eventually(all_handed_on, seconds=30)
        assert service.broken == ""
    await connections.aclose()
    assert refused > 0, "while nobody was master nothing was accepted"
    with redis.Redis(port=watched.replica_port, password=PASSWORD) as new:
        assert new.role()[0] == b"master"  # type: ignore[index]


async def test_what_no_replica_holds_is_not_answered_as_kept(redis_url: str) -> None:
    alone = Connections(redis_url)
    with pytest.raises(OverloadedError):
        await Acceptor(alone, Sealer(a_ring()), receipt_seconds=3600, replicas=1).accept(submissions(1, 0))
    await alone.aclose()


@pytest.mark.parametrize(
    "url", ["redis+sentinel://", "redis+sentinel://a:x/m", "redis+sentinel://a:1", "redis+sentinel://a/m/x"]
)
def test_a_url_that_cannot_be_read_is_named_with_its_cure(url: str) -> None:
    with pytest.raises(ConfigError, match="write redis\\+sentinel://"):
        connect(url)
