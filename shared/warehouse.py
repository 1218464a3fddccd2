"""ClickHouse as the services use it: rows out, batches in, errors sorted into wait and bad data."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError

from shared.bus.errors import DependencyAwayError, UnprocessableError
from shared.settings import Settings

# ClickHouse's codes for a row that can never be stored; every other refusal may pass (memory, parts, space, a server
# that starts, a table that a migration is about to create), so it is waited for and nothing is lost.
_BAD_DATA = frozenset({6, 25, 26, 27, 28, 29, 32, 33, 38, 41, 53, 69, 70, 72, 117, 131, 190, 349, 376, 441, 675})

CONNECT_SECONDS = 5
ANSWER_SECONDS = 60


class Warehouse:
    """A lazily connected client of ClickHouse's HTTP interface; safe for concurrent use within one event loop.

    Every method raises `DependencyAwayError` when ClickHouse does not answer or cannot do it now.
    """

    def __init__(self, settings: Settings, *, database: str = "") -> None:
        self._settings = settings
        self._database = database or settings.clickhouse_database
        self._client: AsyncClient | None = None
        self._one_connects = asyncio.Lock()

    async def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """The rows of a query; `{name:Type}` in it is bound from `parameters`."""
        client = await self._connected()
        try:
            result = await client.query(sql, parameters=dict(parameters or {}))
        except (ClickHouseError, OSError) as error:
            raise self._sorted(error) from error
        return result.result_rows

    async def insert_json(self, table: str, rows: bytes, *, token: str) -> None:
        """Insert rows given as JSON lines; the same `token` twice within the table's window counts once.

        Raises:
            UnprocessableError: a row does not fit the table.
        """
        client = await self._connected()
        settings = {"insert_deduplication_token": token, "date_time_input_format": "best_effort"}
        try:
            await client.raw_insert(table, insert_block=rows, settings=settings, fmt="JSONEachRow")
        except (ClickHouseError, OSError) as error:
            raise self._sorted(error) from error

    async def command(self, sql: str) -> None:
        """Run one statement that returns nothing."""
        client = await self._connected()
        try:
            await client.command(sql)
        except (ClickHouseError, OSError) as error:
            raise self._sorted(error) from error

    async def ping(self) -> None:
        """Return when ClickHouse answers."""
        await self.rows("SELECT 1")

    async def close(self) -> None:
        """Give the connections back."""
        if self._client:
            await self._client.close()
            self._client = None

    async def _connected(self) -> AsyncClient:
        if self._client:
            return self._client
        async with self._one_connects:
            return await self._connect()

    async def _connect(self) -> AsyncClient:
        if self._client is None:
            settings = self._settings
            try:
                self._client = await clickhouse_connect.get_async_client(
                    host=settings.clickhouse_host,
                    port=settings.clickhouse_port,
                    username=settings.clickhouse_user,
                    password=settings.clickhouse_password.get_secret_value(),
                    database=self._database,
                    connect_timeout=CONNECT_SECONDS,
                    send_receive_timeout=ANSWER_SECONDS,
                    autogenerate_session_id=False,
                )
            except (ClickHouseError, OSError) as error:
                raise self._sorted(error) from error
        return self._client

    @staticmethod
    def _sorted(error: Exception) -> Exception:
        code, name = getattr(error, "code", None), getattr(error, "name", None)
        if code in _BAD_DATA:  # the words of such an error quote the row; they stay here
            return UnprocessableError(f"ClickHouse refuses the row: {name or 'bad data'} (code {code})")
        return DependencyAwayError(f"ClickHouse: {' '.join(str(error).split())[:300]}")
