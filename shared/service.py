"""The frame every service stands in: a broker and its consumers, background work, health pages, a clean stop.

A service process serves HTTP from its first moment, also while Redis is still away: it is alive (`/healthz`), not yet
ready (`/readyz`), and starts reading as soon as Redis answers.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import structlog
import uvicorn
from faststream import FastStream
from faststream.redis import RedisBroker
from faststream.specification import AsyncAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from redis.exceptions import RedisError

from shared.bus.connection import Connections, make_broker
from shared.bus.consumer import Handle, StreamConsumer
from shared.bus.errors import DependencyAwayError, ServiceBrokenError
from shared.bus.healing import heal_reads, until_redis_answers
from shared.bus.partitions import AGREED_KEY, PREFIX, Partitions
from shared.bus.streams import Stream, ensure_all_groups
from shared.config.errors import ConfigError
from shared.http import Receive, Scope, Send, respond
from shared.memory import settle_memory
from shared.observability.faults import describe_fault
from shared.server import BoundedHead
from shared.settings import Settings

log = structlog.get_logger()

Route = Callable[[Scope, Receive, Send], Awaitable[None]]
Check = Callable[[], Awaitable[None]]

PATIENCE = {"socket_timeout": 10, "socket_connect_timeout": 5, "health_check_interval": 30}
"""Longer than any blocking read; a Redis that is frozen, not gone, is noticed by it."""
CONNECTIONS = 2_000
"""More connections than that at once are answered 503."""
GRACE_SECONDS = 3
CLEAN_UP_SECONDS = 2.0


class Service:
    """One service process.

    Attributes:
        redis: where the service's own keys lie; in a Redis Cluster they must carry its name as their hash tag.
        connections: to wherever keys lie.
        partitions: how streams are split.

    Args:
        name: how the service is called in logs and documents.
        settings: addresses and limits.
        version: shown in the documents of the interfaces.
    """

    def __init__(self, name: str, settings: Settings, *, version: str = "1") -> None:
        self.name = name
        self.settings = settings
        self._url = settings.redis_url.get_secret_value()
        self.partitions = Partitions(settings.partitions)
        self.connections = Connections(self._url, **PATIENCE)
        if self.connections.is_cluster and settings.partitions == 1:
            raise ConfigError("A Redis Cluster needs SALINGJAGA_PARTITIONS: as many as it has masters, or a multiple.")
        self._document = FastStream(specification=AsyncAPI(title=f"Salingjaga {name}", version=version))
        self._brokers: dict[int, RedisBroker] = {}
        own = f"{PREFIX}{{{name}}}:"
        self.redis = self.connections.of(own)
        self._broker = self._broker_of(own)
        self._consumers: list[StreamConsumer] = []
        self._background: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._checks: list[Check] = []
        self._closers: list[Check] = []
        self._fallback: Route | None = None
        self._server: uvicorn.Server | None = None
        self._reading = False
        self.broken = ""

    def consume(
        self, stream: Stream, group: str, handle: Handle, *, batch_size: int, linger_seconds: float = 0.0
    ) -> None:
        """Read all partitions of `stream` in the name of `group` and give every batch to `handle`."""
        for part in stream.parts(self.partitions):
            consumer = StreamConsumer(
                self._broker_of(part.name),
                self.connections,
                self.partitions,
                part,
                group,
                handle,
                batch_size=batch_size,
                linger_seconds=linger_seconds,
                claim_idle_seconds=self.settings.claim_idle_seconds,
                max_deliveries=self.settings.max_deliveries,
                replicas=self.settings.redis_replicas,
                quarantine_limit=self.settings.quarantine_limit,
                quarantine_ratio=self.settings.quarantine_ratio,
                quarantine_window=self.settings.quarantine_window,
                stop=self.stop_broken,
            )
            self._consumers.append(consumer)

    def _broker_of(self, key: str) -> RedisBroker:
        place = self.connections.place(key)
        if place not in self._brokers:
            log_to = logging.getLogger("salingjaga.broker")
            self._brokers[place] = make_broker(
                self._url, key, logger=log_to, apply_types=False, graceful_timeout=GRACE_SECONDS, **PATIENCE
            )
            self._document.add_broker(self._brokers[place])
        return self._brokers[place]

    def publishes(self, stream: Stream, schema: type[BaseModel]) -> None:
        """Say in the AsyncAPI document what this service sends to `stream`."""
        for part in stream.parts(self.partitions):
            self._broker.publisher(stream=part.name, schema=schema, title=f"{part.name}:{schema.__name__}")

    def run_in_background(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` while the service lives; it is started when Redis answers and cancelled at the stop."""
        self._background.append(work)

    def ready_when(self, check: Check) -> None:
        """`/readyz` answers 200 only while `check` raises nothing; it raises `DependencyAwayError` otherwise."""
        self._checks.append(check)

    def close_at_the_end(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call `close` when the service has stopped working."""
        self._closers.append(close)

    def serve_rest(self, route: Route) -> None:
        """Everything over HTTP that is not a health page goes to `route`."""
        self._fallback = route

    def stop_broken(self, reason: str) -> None:
        """Stop because the service itself is at fault; the process ends with status 1."""
        self.broken = reason
        if self._server:
            self._server.should_exit = True

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises `SystemExit(1)` when the service had to stop itself."""
        config = uvicorn.Config(
            self,
            host=self.settings.host,
            port=self.settings.port,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=GRACE_SECONDS,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            http=BoundedHead,
        )
        settle_memory()
        self._server = uvicorn.Server(config)
        self._server.run()
        if self.broken:
            raise SystemExit(1)

    # ASGI

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: the life of the service, the health pages, and the rest."""
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if scope["type"] != "http":
            return None
        page = self._pages.get(scope["path"])
        if page and scope["method"] in ("GET", "HEAD"):
            return await page(self, send)
        if self._fallback:
            return await self._fallback(scope, receive, send)
        return await respond(send, 404, b'{"title":"Not found","status":404}', b"application/problem+json")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        work = asyncio.create_task(self._work(), name=f"{self.name} work")
        await send({"type": "lifespan.startup.complete"})
        log.info("service_started", service=self.name, host=self.settings.host, port=self.settings.port)
        await receive()
        await _end([work])
        log.info("service_stopped", service=self.name)
        await send({"type": "lifespan.shutdown.complete"})

    async def _work(self) -> None:
        try:
            await until_redis_answers(self._agree_on_partitions)
            await until_redis_answers(self._ensure_groups)
            for broker in self._brokers.values():
                heal_reads(await broker.connect(), self._ensure_groups)
                await until_redis_answers(broker.start)
            self._reading = True
            chores = [chore for one in self._consumers for chore in (one.look_after, one.keep_hold)]
            await _together(chores + self._background)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the process ends for it, and says where it happened
            fault = str(error) if isinstance(error, ServiceBrokenError) else describe_fault(error)
            log.critical("service_failed", service=self.name, error=fault)
            self.stop_broken(fault)
        finally:
            for broker in self._brokers.values():
                with contextlib.suppress(Exception):
                    await broker.stop()
            for close in (*self._closers, self.connections.aclose):
                await close()

    async def _agree_on_partitions(self) -> None:
        """Stop when the others split the streams otherwise: what one writes, the other would not read."""
        redis = self.connections.of(AGREED_KEY)
        await redis.setnx(AGREED_KEY, self.partitions.count)
        if words := self.partitions.disagree(await redis.get(AGREED_KEY)):
            raise ServiceBrokenError(words)

    async def _ensure_groups(self) -> None:
        await ensure_all_groups(self.connections.of, self.partitions)

    async def _healthz(self, send: Send) -> None:
        await respond(send, 200, b'{"status":"alive"}')

    async def _readyz(self, send: Send) -> None:
        problems = []
        try:
            await asyncio.wait_for(asyncio.gather(*(redis.ping() for redis in self.connections.all)), 2)
        except (RedisError, OSError, TimeoutError) as error:
            problems.append(f"Redis does not answer: {error}")
        if not self._reading and not problems:
            problems.append("still starting")
        for check in self._checks:
            try:
                await asyncio.wait_for(check(), 2)
            except (DependencyAwayError, TimeoutError) as error:
                problems.append(str(error) or "a dependency does not answer in time")
        body = json.dumps({"status": "not ready" if problems else "ready", "problems": problems}).encode()
        await respond(send, 503 if problems else 200, body)

    async def _metrics(self, send: Send) -> None:
        await respond(send, 200, generate_latest(), CONTENT_TYPE_LATEST.encode())

    async def _asyncapi(self, send: Send) -> None:
        document = self._document.schema.to_specification().to_jsonable()
        await respond(send, 200, json.dumps(document).encode())

    _pages: dict[str, Callable[["Service", Send], Awaitable[None]]] = {  # noqa: RUF012
        "/healthz": _healthz,
        "/readyz": _readyz,
        "/metrics": _metrics,
        "/asyncapi.json": _asyncapi,
    }


async def _together(works: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Run works side by side until all are done, one fails, or the caller is cancelled; then none runs on."""
    if not works:
        return
    tasks = [asyncio.create_task(work()) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        await _end(tasks)


async def _end(tasks: Sequence["asyncio.Task[None]"]) -> None:
    # Once, with time to clean up, and then again: a cancellation that meets the Redis client in an unlucky moment is
    # swallowed by it.
    patience = CLEAN_UP_SECONDS
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=patience)
        patience = 0.5
