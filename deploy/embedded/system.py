"""The embedded system: which processes it is made of, how they start, how they stop."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping

import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.embedded.data_dir import Credentials, DataDir, EmbeddedError, Runtime, write_private
from deploy.embedded.redis_server import find_redis_server, write_config
from deploy.embedded.supervisor import Program, Supervisor, wait_until_ready
from shared.bus.streams import FLOWING

HOST = "127.0.0.1"
START_SECONDS = 60.0
DRAIN_SECONDS = 4.0
STOP_SECONDS = 3.0
SERVICES: dict[str, tuple[str, ...]] = {
    "webhook": ("ingest", "--only", "webhook"),
    "normaliser": ("ingest", "--only", "normaliser"),
    "classify": ("classify",),
    "archive": ("archive",),
    "alerts": ("alerts",),
}
SEALING = ("webhook", "normaliser")
MASTER_KEYS = ("SALINGJAGA_MASTER_KEYS", "SALINGJAGA_KEY_FILE")
"""Only these are given the master keys: what the others keep is masked, or stays sealed."""
PREFERRED_PORTS = {"redis": 6390, "clickhouse": 8123}


class EmbeddedSystem:
    """Redis, ClickHouse and the services, under one supervisor.

    Args:
        data: the data folder; taken by this process when it starts.
        port: where the webhook listens.
        environment: variables for the services, beside those that the system sets itself.
    """

    def __init__(self, data: DataDir, *, port: int, environment: dict[str, str] | None = None) -> None:
        self.data = data
        self.port = port
        self._given = dict(os.environ if environment is None else environment)
        self._supervisor = Supervisor()
        self._ports: dict[str, int] = {}
        self._chores: list[asyncio.Task[None]] = []

    async def start(self) -> Runtime:
        """Start everything and return when all of it is ready.

        Raises:
            EmbeddedError: in one sentence, what prevents it and the cure.
        """
        credentials = self.data.prepare()
        if not port_is_free(self.port):
            raise EmbeddedError(f"Port {self.port} is in use; stop what listens there or choose another with --port.")
        self._ports = self._choose_ports()
        self.data.write_ports(self._ports)
        environment = self._environment(credentials)
        self._chores.append(asyncio.create_task(self._supervisor.tend_logs()))

        write_config(
            self.data.redis_config,
            folder=self.data.redis,
            port=self._ports["redis"],
            password=credentials.redis_password,
            fsync=self._given.get("SALINGJAGA_FSYNC", "always"),
            memory=self._given.get("SALINGJAGA_REDIS_MEMORY", "2gb"),
        )
        redis = [find_redis_server(), str(self.data.redis_config)]
        write_private(self.data.clickhouse_accounts, _accounts(credentials))
        clickhouse = [sys.executable, "-m", "deploy.embedded.clickhouse", "--data-dir", str(self.data.clickhouse)]
        clickhouse += ["--port", str(self._ports["clickhouse"]), "--credentials", str(self.data.clickhouse_accounts)]
        # All at once: a service waits for what it needs by itself, as it does whenever that goes away.
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run("redis", redis, environment, self._redis_answers))
            answers = self._answers(self._ports["clickhouse"], "/ping")
            group.create_task(self._run("clickhouse", clickhouse, environment, answers))
            for name in SERVICES:
                group.create_task(self._run_service(name, environment))
        self._supervisor.on_change = self._write_runtime
        return self._write_runtime()

    async def stop(self) -> None:
        """Take nothing more in, let what is under way arrive, stop everything; within ten seconds."""
        await self._supervisor.stop(["webhook"], within_seconds=STOP_SECONDS)
        if self._supervisor.programs:
            with contextlib.suppress(TimeoutError, RedisError, OSError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._drained()
        await self._supervisor.stop(list(SERVICES), within_seconds=STOP_SECONDS)
        await self._supervisor.stop(["redis", "clickhouse"], within_seconds=STOP_SECONDS)
        for chore in self._chores:
            chore.cancel()
        self.data.remove_runtime()

    def _environment(self, credentials: Credentials) -> dict[str, str]:
        own = {
            "SALINGJAGA_REDIS_URL": f"redis://:{credentials.redis_password}@{HOST}:{self._ports['redis']}/0",
            "SALINGJAGA_PARTITIONS": "1",
            "SALINGJAGA_CLICKHOUSE_HOST": HOST,
            "SALINGJAGA_CLICKHOUSE_PORT": str(self._ports["clickhouse"]),
            "SALINGJAGA_CLICKHOUSE_USER": credentials.clickhouse_user,
            "SALINGJAGA_CLICKHOUSE_PASSWORD": credentials.clickhouse_password,
            "SALINGJAGA_SENDER_KEY": credentials.sender_key,
            "SALINGJAGA_ALERT_LINK_KEY": credentials.alert_link_key,
            "SALINGJAGA_ALERTS_TOKEN": credentials.alerts_token,
            "SALINGJAGA_NOTIFICATION_FILE": str(self.data.notifications),
            "SALINGJAGA_HOST": HOST,
            **without_proxy(self._given),
        }
        # What the operator set for a source or a limit wins; the system's own addresses do not change under it.
        given = {name: value for name, value in self._given.items() if name not in MASTER_KEYS}
        return {**credentials.source_secrets, **given, **own}

    async def _run_service(self, name: str, environment: dict[str, str]) -> None:
        port = self.port if name == "webhook" else self._ports[name]
        command = [sys.executable, "-m", "deploy.cli", "serve", *SERVICES[name]]
        own = {"SALINGJAGA_PORT": str(port)}
        if name in SEALING:
            own["SALINGJAGA_KEY_FILE"] = str(self.data.keys)
        await self._run(name, command, {**environment, **own}, self._answers(port, "/readyz"))

    async def _run(
        self, name: str, command: list[str], environment: dict[str, str], ready: Callable[[], Awaitable[bool]]
    ) -> None:
        log_file = self.data.logs / f"{name}.log"
        program = Program(name=name, command=command, environment=environment, log=log_file)
        await self._supervisor.start(program)
        await wait_until_ready(program, asyncio.create_task(_until(ready)), seconds=START_SECONDS)

    def _write_runtime(self) -> Runtime:
        runtime = Runtime(
            supervisor_pid=os.getpid(),
            webhook_url=f"http://{HOST}:{self.port}",
            redis_port=self._ports["redis"],
            clickhouse_port=self._ports["clickhouse"],
            process_ids={name: program.pid for name, program in self._supervisor.programs.items()},
            service_ports={name: self._ports[name] for name in SERVICES if name != "webhook"},
        )
        self.data.write_runtime(runtime)
        return runtime

    def _choose_ports(self) -> dict[str, int]:
        wanted = {**PREFERRED_PORTS, **self.data.ports()}
        chosen: dict[str, int] = {}
        for name in ("redis", "clickhouse", *(service for service in SERVICES if service != "webhook")):
            port = wanted.get(name, 0)
            if not port or port in (self.port, *chosen.values()) or not port_is_free(port):
                port = free_port(besides={self.port, *chosen.values()})
            chosen[name] = port
        return chosen

    # Readiness

    async def _redis_answers(self) -> bool:
        redis = self._redis()
        try:
            return bool(await redis.ping())
        except (RedisError, OSError):
            return False
        finally:
            await redis.aclose()

    def _answers(self, port: int, path: str) -> Callable[[], Awaitable[bool]]:
        async def answers() -> bool:
            async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
                try:
                    return (await client.get(f"http://{HOST}:{port}{path}")).status_code == 200
                except httpx.HTTPError:
                    return False

        return answers

    async def _drained(self) -> None:
        """Return when every group has read and acknowledged all of its stream."""
        redis = self._redis()
        try:
            while True:
                waiting = 0
                for stream in FLOWING:
                    newest = (await redis.xinfo_stream(stream.name))["last-generated-id"]
                    for group in await redis.xinfo_groups(stream.name):
                        waiting += int(group["pending"]) + (group["last-delivered-id"] != newest)
                if not waiting:
                    return
                await asyncio.sleep(0.1)
        finally:
            await redis.aclose()

    def _redis(self) -> Redis:
        password = self.data.credentials().redis_password
        return Redis(host=HOST, port=self._ports["redis"], password=password, socket_timeout=2)


def _accounts(credentials: Credentials) -> dict[str, object]:
    return {
        "accounts": [
            {"user": credentials.clickhouse_user, "password": credentials.clickhouse_password, "access": "full"},
            {"user": credentials.analyst_user, "password": credentials.analyst_password, "access": "read_only"},
        ]
    }


async def _until(probe: Callable[[], Awaitable[bool]]) -> bool:
    while True:
        if await probe():
            return True
        await asyncio.sleep(0.1)


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep loopback addresses away from a proxy, whatever else the environment says of proxies."""
    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY", "")
    names = ",".join(part for part in (exceptions, HOST, "localhost") if part)
    return {"no_proxy": names, "NO_PROXY": names}


def port_is_free(port: int) -> bool:
    """Whether a server could listen on the port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(*, besides: set[int]) -> int:
    """A port nobody listens on."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in besides:
            return port
