"""A real Redis Cluster of local processes: masters that share the slots equally, each with a replica."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.exceptions import RedisError

from deploy.embedded.redis_server import find_redis_server, write_config
from deploy.embedded.system import HOST, free_port, port_is_free
from tests.backends import wait_for

PASSWORD = "rahasia"
SLOTS = 16_384
MASTERS = 3
BUS_OFFSET = 10_000
"""Nodes talk to each other on a port so much higher than the one for clients."""


@dataclass
class Node:
    """One node of a cluster."""

    port: int
    start: Callable[[], "subprocess.Popen[bytes]"]
    process: "subprocess.Popen[bytes]"

    def client(self) -> redis.Redis:
        """A new connection to this node, wherever keys lie."""
        return redis.Redis(host=HOST, port=self.port, password=PASSWORD, socket_timeout=2)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start it again on the same data; it follows whoever has taken its place."""
        self.process = self.start()


@dataclass
class LocalCluster:
    """A cluster; replica `n` follows master `n` at first."""

    masters: list[Node]
    replicas: list[Node]

    @property
    def url(self) -> str:
        """What `SALINGJAGA_REDIS_URL` holds."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.masters)
        return f"redis+cluster://:{PASSWORD}@{hosts}"

    def move(self, slot: int, source: Node, target: Node) -> None:
        """Move a slot with all its keys from one master to another, as an operator's resharding does."""
        with source.client() as old, target.client() as new:
            old_id, new_id = (client.execute_command("CLUSTER MYID") for client in (old, new))
            new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", old_id)
            old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", new_id)
            while keys := old.execute_command("CLUSTER GETKEYSINSLOT", slot, 10):
                old.execute_command("MIGRATE", HOST, target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys)
            for client in (new, old):
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", new_id)


@contextlib.contextmanager
def start_cluster(folder: Path) -> Iterator[LocalCluster]:
    """A cluster of three masters and three replicas, until the end of the block."""
    with contextlib.ExitStack() as stack:
        nodes: list[Node] = []
        for number in range(2 * MASTERS):
            node = _start(folder / f"node{number}", _port({one.port for one in nodes}))
            stack.callback(node.kill)
            nodes.append(node)
        cluster = LocalCluster(nodes[:MASTERS], nodes[MASTERS:])
        _join(cluster)
        yield cluster


def _start(folder: Path, port: int) -> Node:
    folder.mkdir(parents=True)
    config = folder / "redis.conf"
    write_config(config, folder=folder, port=port, password=PASSWORD)
    with config.open("a") as file:
        file.write(f"masterauth {PASSWORD}\nrepl-diskless-sync-delay 0\n")
        file.write("cluster-enabled yes\ncluster-node-timeout 1500\ncluster-replica-validity-factor 0\n")

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen([find_redis_server(), str(config)], stdout=subprocess.DEVNULL)

    return Node(port, start, start())


def _port(besides: set[int]) -> int:
    while True:
        port = free_port(besides=besides)
        if port + BUS_OFFSET < 65_536 and port_is_free(port + BUS_OFFSET):
            return port


def _join(cluster: LocalCluster) -> None:
    nodes = [*cluster.masters, *cluster.replicas]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(node.client()) for node in nodes]
        for client in clients:
            wait_for(lambda client=client: _answers(client))  # type: ignore[misc]
        for number, client in enumerate(clients[:MASTERS]):
            # The same ranges as `redis-cli --cluster create` gives; ADDSLOTSRANGE is younger than Redis 6.2.
            first, end = round(number * SLOTS / MASTERS), round((number + 1) * SLOTS / MASTERS)
            client.execute_command("CLUSTER ADDSLOTS", *range(first, end))
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            clients[0].execute_command("CLUSTER MEET", HOST, node.port)
        wait_for(lambda: all(_knows(client, len(nodes)) for client in clients))
        for master, replica in zip(clients, clients[MASTERS:], strict=False):
            replica.execute_command("CLUSTER REPLICATE", master.execute_command("CLUSTER MYID"))
        wait_for(lambda: all(_is_whole(client) for client in clients))


def _answers(client: redis.Redis) -> bool:
    with contextlib.suppress(RedisError):
        return bool(client.ping())
    return False


def _knows(client: redis.Redis, count: int) -> bool:
    return str(_state(client)["cluster_known_nodes"]) == str(count)


def _is_whole(client: redis.Redis) -> bool:
    """Whether the node sees all slots served, every master with its replica, and follows its own master."""
    if _state(client)["cluster_state"] != "ok":
        return False
    slots = client.execute_command("CLUSTER", "SLOTS")
    replication = client.info("replication")
    return all(len(one) == 4 for one in slots) and replication.get("master_link_status", "up") == "up"  # type: ignore[union-attr]


def _state(client: redis.Redis) -> dict[str, str]:
    state: dict[str, str] = client.execute_command("CLUSTER INFO")
    return state
