"""Every connection to Redis is made here: to a single server, or to whichever one the sentinels call master.

`redis://:password@host:6379/0` (or `rediss://`) names a server. `redis+sentinel://:password@host:26379,host:26379/name/0`
names sentinels and the master they watch; after a failover the next connection goes to the new master.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from faststream.redis import RedisBroker, RedisSentinelBroker
from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.sentinel import Sentinel as BlockingSentinel

from shared.config.errors import ConfigError

SCHEME = "redis+sentinel"
SENTINEL_PORT = 26379
SENTINEL_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Watched:
    """A master, and the sentinels that know where it is."""

    sentinels: tuple[tuple[str, int], ...]
    name: str
    login: dict[str, Any]
    """User, password and database of the master, as far as they are given."""

    @classmethod
    def read(cls, url: str) -> "Watched | None":
        """What a URL names; `None` when it names a single server. Raises `ConfigError` when it cannot be read."""
        if not url.startswith(f"{SCHEME}://"):
            return None
        parts = urlsplit(url)
        who, _, hosts = parts.netloc.rpartition("@")
        user, _, password = who.partition(":")
        name, _, database = parts.path.strip("/").partition("/")
        try:
            sentinels = tuple(_address(one) for one in hosts.split(","))
            login: dict[str, Any] = {"db": int(database or 0)}
        except ValueError:
            raise _unreadable() from None
        if not name or not all(host for host, _ in sentinels):
            raise _unreadable()
        if user:
            login["username"] = unquote(user)
        if password:
            login["password"] = unquote(password)
        return cls(sentinels, name, login)


def connect(url: str, **options: Any) -> Redis:
    """A client for asynchronous code; it connects when it is first used. `options` are redis-py's own."""
    if not (watched := Watched.read(url)):
        return Redis.from_url(url, **options)
    options |= watched.login
    sentinel = Sentinel(watched.sentinels, sentinel_kwargs=_short_wait(), **options)  # type: ignore[no-untyped-call]
    client: Redis = sentinel.master_for(watched.name)
    return client


def connect_blocking(url: str, **options: Any) -> redis.Redis:
    """A client for a command line."""
    if not (watched := Watched.read(url)):
        return redis.Redis.from_url(url, **options)
    options |= watched.login
    sentinel = BlockingSentinel(  # type: ignore[no-untyped-call]
        watched.sentinels, sentinel_kwargs=_short_wait(), **options
    )
    client: redis.Redis = sentinel.master_for(watched.name)  # type: ignore[no-untyped-call]
    return client


def make_broker(url: str, **options: Any) -> RedisBroker:
    """FastStream's broker."""
    if not (watched := Watched.read(url)):
        return RedisBroker(url, **options)
    return RedisSentinelBroker(
        sentinels=list(watched.sentinels),
        sentinel_master_name=watched.name,
        sentinel_kwargs=_short_wait(),
        **watched.login,
        **options,
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return host, int(port or SENTINEL_PORT)


def _short_wait() -> dict[str, Any]:
    # One sentinel may have died with its machine: the next is asked soon.
    return {"socket_timeout": SENTINEL_SECONDS, "socket_connect_timeout": SENTINEL_SECONDS}


def _unreadable() -> ConfigError:
    return ConfigError(
        f"SALINGJAGA_REDIS_URL cannot be read; write {SCHEME}://:password@host:{SENTINEL_PORT},host:{SENTINEL_PORT}/name/0"
    )
