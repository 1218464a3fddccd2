"""Servers for the tests: in containers when a Docker engine answers, from the embedded runtime otherwise."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends import ClickHouseServer, RedisServer, docker_answers, start_clickhouse, start_redis
from tests.keys import MASTER_KEYS
from tests.receivers import HttpReceiver, SmtpReceiver

os.environ["SALINGJAGA_MASTER_KEYS"] = MASTER_KEYS  # ingest refuses to start without a key


@pytest.fixture(scope="session")
def in_docker() -> bool:
    """Whether servers run in containers."""
    return docker_answers()


@pytest.fixture(scope="session")
def redis_server(in_docker: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the whole run."""
    with start_redis(tmp_path_factory.mktemp("redis"), in_docker=in_docker) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> Iterator[str]:
    """The URL of an empty Redis."""
    redis_server.empty()
    yield redis_server.url
    redis_server.empty()


@pytest.fixture(scope="session")
def clickhouse(in_docker: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """One ClickHouse for the whole run."""
    with start_clickhouse(tmp_path_factory.mktemp("clickhouse"), in_docker=in_docker) as server:
        yield server


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real samples beside the project; tests that read it are skipped where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "samples"
    if not folder.is_dir():
        pytest.skip("the samples are not beside the project")
    return folder


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    """An HTTP receiver."""
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def smtp() -> Iterator[SmtpReceiver]:
    """An SMTP receiver."""
    with SmtpReceiver() as receiver:
        yield receiver
