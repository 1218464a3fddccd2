"""Wiring of the archive."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from services.archive.migrate import migrate, read_migrations
from services.archive.retention import FILE_NAME, Retention, apply_periods, keep_trimming
from services.archive.vault import VaultWriter
from services.archive.writer import Writer
from shared.bus.consumer import Handle
from shared.bus.errors import DependencyAwayError, ServiceBrokenError, UnprocessableError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.streams import ALERT_EVENTS, ASSESSMENTS, SUBMISSIONS
from shared.config.errors import ConfigError
from shared.config.yaml_file import load_yaml
from shared.service import Service
from shared.settings import Settings
from shared.warehouse import Warehouse

log = structlog.get_logger()

RETRY_SECONDS = 1.0


def build(settings: Settings) -> Service:
    """The service. Raises `ConfigError` when migrations or retention cannot be read."""
    service = Service("archive", settings)
    warehouse = Warehouse(settings)
    writer, vault = Writer(warehouse), VaultWriter(warehouse, settings)
    retention = load_yaml(settings.config_file(FILE_NAME), Retention)
    migrations = read_migrations(settings.migrations_dir)
    up_to_date = False

    async def bring_up_to_date() -> None:
        nonlocal up_to_date
        if not up_to_date:
            try:
                await migrate(settings, migrations)
                await apply_periods(warehouse, retention, settings)
            except (ConfigError, UnprocessableError) as error:
                raise ServiceBrokenError(f"the schema cannot be made: {error}") from error
            up_to_date = True

    async def prepare() -> None:
        """Make the schema at the start, so that an analyst finds its tables before the first report."""
        while True:
            try:
                return await bring_up_to_date()
            except DependencyAwayError as error:
                log.warning("dependency_away", error=str(error), retry_in_seconds=RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)

    def writing(write: Handle) -> Handle:
        async def write_into_schema(batch: Sequence[Message], outbox: Outbox) -> None:
            nonlocal up_to_date
            try:
                await bring_up_to_date()
                await write(batch, outbox)
            except DependencyAwayError:
                up_to_date = False  # a ClickHouse that comes back empty gets its schema again
                raise

        return write_into_schema

    for stream, group, write in (
        (ASSESSMENTS, "archive", writer.write_assessments),
        (ALERT_EVENTS, "archive", writer.write_happenings),
        (SUBMISSIONS, "vault", vault.write),
    ):
        service.consume(
            stream,
            group,
            writing(write),
            batch_size=settings.archive_batch,
            linger_seconds=settings.archive_linger_seconds,
        )
    service.run_in_background(prepare)
    service.run_in_background(
        lambda: keep_trimming(service.connections.of, service.partitions, retention, lambda: datetime.now(UTC))
    )
    service.ready_when(warehouse.ping)
    service.close_at_the_end(warehouse.close)
    return service
