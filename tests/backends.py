"""Real servers for tests: in containers, or as local processes of the embedded runtime."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import httpx
import redis
from testcontainers.core.container import DockerContainer

from deploy.embedded.redis_server import find_redis_server, write_config
from deploy.embedded.system import free_port

START_SECONDS = 60
REDIS_IMAGE = "redis:7.2-alpine"
CLICKHOUSE_IMAGE = "clickhouse/clickhouse-server:26.3-alpine"


def docker_answers() -> bool:
    """Whether a Docker engine runs here."""
    try:
        import docker

        client = docker.from_env(timeout=3)
        client.ping()
        client.close()
    except Exception:  # noqa: BLE001 - whatever the reason, there is no engine to use
        return False
    return True


@dataclass
class RedisServer:
    """A Redis under test. As a local process it can be killed and started again; in a container it is only used."""

    url: str
    start: Callable[[], "subprocess.Popen[bytes]"] | None = None
    process: "subprocess.Popen[bytes] | None" = None

    def client(self) -> redis.Redis:
        """A new connection."""
        return redis.Redis.from_url(self.url)

    def empty(self) -> None:
        """Remove everything."""
        with self.client() as client:
            client.flushall()

    def kill(self) -> None:
        """End the process as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start it again on the same data."""
        assert self.start is not None
        self.process = self.start()
        wait_for(lambda: _pings(self.url))


@contextlib.contextmanager
def start_redis(folder: Path, *, in_docker: bool = False) -> Iterator[RedisServer]:
    """A Redis with its append-only file on, until the end of the block."""
    if in_docker:
        container = DockerContainer(REDIS_IMAGE).with_exposed_ports(6379).with_command("redis-server --appendonly yes")
        with container:
            url = f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
            wait_for(lambda: _pings(url))
            yield RedisServer(url)
        return
    port = free_port(besides=set())
    config = folder / "redis.conf"
    write_config(config, folder=folder, port=port, password="rahasia")

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen([find_redis_server(), str(config)], stdout=subprocess.DEVNULL)

    server = RedisServer(f"redis://:rahasia@127.0.0.1:{port}/0", start)
    server.start_again()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class ClickHouseServer:
    """A ClickHouse under test."""

    host: str
    port: int
    user: str
    password: str
    analyst: tuple[str, str]

    def client(self, database: str = "default") -> clickhouse_connect.driver.client.Client:
        """A new connection with all rights."""
        return clickhouse_connect.get_client(
            host=self.host, port=self.port, username=self.user, password=self.password, database=database
        )


@contextlib.contextmanager
def start_clickhouse(folder: Path, *, in_docker: bool = False) -> Iterator[ClickHouseServer]:
    """A ClickHouse, until the end of the block."""
    if in_docker:
        container = (
            DockerContainer(CLICKHOUSE_IMAGE)
            .with_exposed_ports(8123)
            .with_env("CLICKHOUSE_USER", "uji")
            .with_env("CLICKHOUSE_PASSWORD", "rahasia")
            .with_env("CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT", "1")
        )
        with container:
            host, port = container.get_container_host_ip(), int(container.get_exposed_port(8123))
            wait_for(lambda: _answers(f"http://{host}:{port}/ping"))
            yield ClickHouseServer(host, port, "uji", "rahasia", ("uji", "rahasia"))
        return
    port = free_port(besides=set())
    accounts = folder / "accounts.json"
    accounts.write_text(
        json.dumps(
            {
                "accounts": [
                    {"user": "uji", "password": "rahasia", "access": "full"},
                    {"user": "analis", "password": "baca", "access": "read_only"},
                ]
            }
        )
    )
    accounts.chmod(0o600)
    command = [sys.executable, "-m", "deploy.embedded.clickhouse", "--data-dir", str(folder / "data")]
    command += ["--port", str(port), "--credentials", str(accounts)]
    (folder / "data").mkdir()
    process = subprocess.Popen(command)
    try:
        wait_for(lambda: _answers(f"http://127.0.0.1:{port}/ping"))
        yield ClickHouseServer("127.0.0.1", port, "uji", "rahasia", ("analis", "baca"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def wait_for(condition: Callable[[], bool], *, seconds: float = START_SECONDS) -> None:
    """Return as soon as `condition` holds; fail the test when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds} s")
        time.sleep(0.05)


def _pings(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
