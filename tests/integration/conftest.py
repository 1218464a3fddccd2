"""What several integration tests start from."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from tests.backends import ClickHouseServer


@pytest.fixture
def warehouse(clickhouse: ClickHouseServer) -> Iterator[Client]:
    """A ClickHouse in which neither reports nor the vault stand."""
    client = clickhouse.client()
    for database in ("salingjaga", "salingjaga_vault"):
        client.command(f"DROP DATABASE IF EXISTS {database}")
    yield client
    client.close()
