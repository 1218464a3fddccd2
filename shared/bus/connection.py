"""Every connection to Redis is made here: to a server, to whichever one the sentinels call master, or to a cluster.

`redis://:password@host:6379/0` (or `rediss://`) names a server. `redis+sentinel://:password@host:26379,host:26379/name/0`
names sentinels and the master they watch; after a failover the next connection goes to the new master.
`redis+cluster://:password@host:6379,host:6379` names nodes of a Redis Cluster; what lies in one slot is reached by a
client of its own, which follows the slot's master as a sentinel's client follows its.
"""

import random
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

import redis
from faststream.redis import RedisBroker, RedisSentinelBroker
from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    TryAgainError,
)
from redis.sentinel import Sentinel as BlockingSentinel

from shared.config.errors import ConfigError

SENTINEL_SCHEME = "redis+sentinel"
SENTINEL_PORT = 26379
CLUSTER_SCHEME = "redis+cluster"
CLUSTER_PORT = 6379
ASKING_SECONDS = 2
"""One node may have died with its machine: the next is asked where the master is after so long."""
_ONCE = Retry(NoBackoff(), 0)


@dataclass(frozen=True, slots=True)
class Watched:
    """A master, and the sentinels that know where it is."""

    sentinels: tuple[tuple[str, int], ...]
    name: str
    login: dict[str, Any]
    """User, password and database of the master, as far as they are given."""

    @classmethod
    def read(cls, url: str) -> "Watched | None":
        """What a URL names; `None` when it names no sentinels. Raises `ConfigError` when it cannot be read."""
        if not url.startswith(f"{SENTINEL_SCHEME}://"):
            return None
        parts = urlsplit(url)
        name, _, database = parts.path.strip("/").partition("/")
        try:
            sentinels = _addresses(parts, SENTINEL_PORT)
            login = _login(parts) | {"db": int(database or 0)}
        except ValueError:
            sentinels, login = (), {}
        if not name or not sentinels:
            hosts = f"host:{SENTINEL_PORT},host:{SENTINEL_PORT}"
            raise _unreadable(f"{SENTINEL_SCHEME}://:password@{hosts}/name/0")
        return cls(sentinels, name, login)


@dataclass(slots=True)
class Cluster:
    """A Redis Cluster, by some of its nodes."""

    nodes: tuple[tuple[str, int], ...]
    login: dict[str, Any]
    _known: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def read(cls, url: str) -> "Cluster | None":
        """What a URL names; `None` when it names no cluster. Raises `ConfigError` when it cannot be read."""
        if not url.startswith(f"{CLUSTER_SCHEME}://"):
            return None
        parts = urlsplit(url)
        try:
            nodes = _addresses(parts, CLUSTER_PORT)
        except ValueError:
            nodes = ()
        if not nodes or parts.path.strip("/"):
            raise _unreadable(f"{CLUSTER_SCHEME}://:password@host:{CLUSTER_PORT},host:{CLUSTER_PORT}")
        return cls(nodes, _login(parts))

    async def master_of(self, slot: int) -> tuple[str, int]:
        """Where the master of a slot is, as the first node says that answers.

        Raises:
            ConnectionError: no node answers, or the slot has no master now.
        """
        why: Exception | None = None
        nodes = list({*self.nodes, *self._known})
        random.shuffle(nodes)  # a node that is cut off from the others must not be asked again and again
        for host, port in nodes:
            try:
                async with Redis(host=host, port=port, retry=_ONCE, **_short_wait(), **self.login) as node:
                    # By its parts, so that the answer comes as it is and not in a form that differs between protocols.
                    answer = await node.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as error:
                why = error
                continue
            masters = {(first, last): (_text(master[0]) or host, int(master[1])) for first, last, master, *_ in answer}
            self._known = set(masters.values())
            for (first, last), address in masters.items():
                if first <= slot <= last:
                    return address
        words = f"no node of the Redis Cluster says where the master of slot {slot} is"
        raise ConnectionError(f"{words}; one of them: {why}" if why else words)

    def connection_to(self, slot: int) -> type[Connection]:
        """Connections that go to the slot's master, wherever it is when they are made."""
        cluster = self

        class SlotConnection(Connection):
            async def connect(self) -> None:
                if not self.is_connected:
                    self.host, self.port = await cluster.master_of(slot)
                await super().connect()  # type: ignore[no-untyped-call]

            async def read_response(self, *args: Any, **options: Any) -> Any:
                try:
                    return await super().read_response(*args, **options)
                except (AskError, ClusterDownError, ReadOnlyError, TryAgainError) as error:  # AskError: MOVED, too
                    # The slot has, or gets, another master: whoever asked tries again, on a new connection.
                    await self.disconnect()
                    raise ConnectionError(f"slot {slot} is not served here now: {error}") from None

        return SlotConnection


class Connections:
    """Clients for asynchronous code, made when they are first asked for; they connect when they are first used.

    Args:
        url: a server, sentinels or a cluster.
        options: redis-py's own.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options
        self.is_cluster = Cluster.read(url) is not None
        self._clients: dict[int, Redis] = {}

    def place(self, key: str) -> int:
        """What keys have in common that are reached by the same client: their slot in a cluster, else everything."""
        return key_slot(key.encode()) if self.is_cluster else 0

    def of(self, key: str) -> Redis:
        """The client for a key, and for all that carries the same hash tag."""
        place = self.place(key)
        client = self._clients.get(place)
        if client is None:
            client = self._clients[place] = connect(self._url, key, **self._options)
        return client

    @property
    def all(self) -> tuple[Redis, ...]:
        """The clients asked for so far."""
        return tuple(self._clients.values())

    async def aclose(self) -> None:
        """Close what is open."""
        for client in self.all:
            await client.aclose()


def connect(url: str, key: str = "", **options: Any) -> Redis:
    """A client for asynchronous code; in a cluster, for the slot of `key`. `options` are redis-py's own."""
    if cluster := Cluster.read(url):
        options |= cluster.login
        to_master = cluster.connection_to(key_slot(key.encode()))
        return Redis.from_pool(ConnectionPool(connection_class=to_master, **options))
    if not (watched := Watched.read(url)):
        return Redis.from_url(url, **options)
    options |= watched.login
    sentinel = Sentinel(watched.sentinels, sentinel_kwargs=_short_wait(), **options)  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(watched.name)
    return client


def connect_blocking(url: str, **options: Any) -> redis.Redis:
    """A client for a command line; for all keys, also in a cluster, where what it does must lie in one slot at a time.

    Raises:
        ConnectionError: no node of a cluster answers.
    """
    if cluster := Cluster.read(url):
        nodes = [ClusterNode(host, port) for host, port in cluster.nodes]  # type: ignore[no-untyped-call]
        try:
            # It has the commands of a client for one server, and finds the node by the key.
            return cast(redis.Redis, RedisCluster(startup_nodes=nodes, **cluster.login, **options))
        except RedisClusterException as error:
            raise ConnectionError(str(error)) from None
    if not (watched := Watched.read(url)):
        return redis.Redis.from_url(url, **options)
    options |= watched.login
    sentinel = BlockingSentinel(  # type: ignore[no-untyped-call]
        watched.sentinels, sentinel_kwargs=_short_wait(), **options
    )
    client: redis.Redis = sentinel.master_for(watched.name)  # type: ignore[no-untyped-call]
    return client


def nodes_of(client: redis.Redis) -> list[redis.Redis]:
    """A client for each server behind one for a command line: of a cluster, masters and replicas."""
    cluster: object = client
    if isinstance(cluster, RedisCluster):
        return [cluster.get_redis_connection(node) for node in cluster.get_nodes()]  # type: ignore[no-untyped-call]
    return [client]


def make_broker(url: str, key: str = "", **options: Any) -> RedisBroker:
    """FastStream's broker; in a cluster, for what lies in the slot of `key`."""
    if cluster := Cluster.read(url):
        to_master = cluster.connection_to(key_slot(key.encode()))
        return RedisBroker(connection_class=to_master, **cluster.login, **options)
    if not (watched := Watched.read(url)):
        return RedisBroker(url, **options)
    return RedisSentinelBroker(
        sentinels=list(watched.sentinels),
        sentinel_master_name=watched.name,
        sentinel_kwargs=_short_wait(),
        **watched.login,
        **options,
    )


def _addresses(parts: SplitResult, default_port: int) -> tuple[tuple[str, int], ...]:
    """Hosts and ports; none when one is without host. Raises `ValueError` for a port that is no number."""
    found = []
    for one in parts.netloc.rpartition("@")[2].split(","):
        host, _, port = one.partition(":")
        found.append((host, int(port or default_port)))
    return tuple(found) if all(host for host, _ in found) else ()


def _login(parts: SplitResult) -> dict[str, Any]:
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    given = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}


def _short_wait() -> dict[str, Any]:
    return {"socket_timeout": ASKING_SECONDS, "socket_connect_timeout": ASKING_SECONDS}


def _text(host: bytes | str) -> str:
    return host.decode() if isinstance(host, bytes) else host


def _unreadable(example: str) -> ConfigError:
    return ConfigError(f"SALINGJAGA_REDIS_URL cannot be read; write {example}")
