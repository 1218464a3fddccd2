"""How long each kind of data is kept (`retention.yaml`), and that it is kept no longer."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, model_validator
from redis.asyncio import Redis

from shared.bus.healing import until_redis_answers
from shared.bus.partitions import Partitions
from shared.bus.streams import QUARANTINE, SUBMISSIONS
from shared.bus.trim import trim
from shared.settings import Settings
from shared.warehouse import Warehouse

log = structlog.get_logger()

FILE_NAME = "retention.yaml"
TRIM_SECONDS = 600.0

Days = Annotated[int, Field(ge=1, le=36_500)]


class Retention(BaseModel):
    """The content of `retention.yaml`; all periods in days from receipt (or from the event)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    submissions_days: Days = 180
    quarantine_days: Days = 90
    reports_days: Days = 1825
    alerts_days: Days = 1825
    audit_days: Days = 1825

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.quarantine_days > self.submissions_days:
            raise ValueError("quarantine_days must not exceed submissions_days: what is put aside holds the same bytes")
        if self.audit_days < self.submissions_days:
            raise ValueError("audit_days must be at least submissions_days: each look stays known while one can look")
        return self


def _periods(retention: Retention, settings: Settings) -> list[tuple[str, str, str, int]]:
    """Database, table, column that it counts from, days."""
    own, vault = settings.clickhouse_database, settings.vault_database
    return [
        (vault, "submissions", "received_at", retention.submissions_days),
        # A data key outlives the last of what it seals by a day, since it is used for an hour.
        (vault, "data_keys", "used_at", retention.submissions_days + 1),
        (vault, "audit", "at", retention.audit_days),
        (own, "report_rows", "received_at", retention.reports_days),
        (own, "verdict_rows", "at", retention.reports_days),
        (own, "alert_event_rows", "at", retention.alerts_days),
        (own, "delivery_rows", "at", retention.alerts_days),
    ]


async def apply_periods(warehouse: Warehouse, retention: Retention, settings: Settings) -> int:
    """Give every table its TTL; what is older already goes at once.

    Returns:
        How many tables were changed.

    Raises:
        DependencyAwayError: ClickHouse does not answer.
    """
    changed = 0
    for database, table, column, days in _periods(retention, settings):
        wanted = f"toDateTime({column}) + toIntervalDay({days})"
        query = "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}"
        found = await warehouse.rows(query, {"database": database, "table": table})
        if found and wanted not in found[0][0]:
            await warehouse.command(f"ALTER TABLE {database}.{table} MODIFY TTL {wanted}")
            log.info("retention_applied", table=f"{database}.{table}", days=days)
            changed += 1
    return changed


async def trim_redis(
    client_of: Callable[[str], Redis], partitions: Partitions, retention: Retention, now: datetime
) -> int:
    """Remove from Redis what has been kept long enough.

    Of the quarantine: what is older than its period. Of submissions: all that every group has acknowledged, to the last
    entry, which the trimming on the way leaves in part.

    Returns:
        Entries removed.
    """
    oldest = now - timedelta(days=retention.quarantine_days)
    minid = str(int(oldest.timestamp() * 1000))
    removed = int(await client_of(QUARANTINE.name).xtrim(QUARANTINE.name, minid=minid, approximate=False))
    if removed:
        log.warning("quarantine_expired", count=removed, days=retention.quarantine_days)
    for stream in SUBMISSIONS.parts(partitions):
        removed += await trim(client_of(stream.name), stream, to_the_last=True)
    return removed


async def keep_trimming(
    client_of: Callable[[str], Redis], partitions: Partitions, retention: Retention, now: Callable[[], datetime]
) -> None:
    """Trim again and again; until cancelled."""

    async def once() -> None:
        await trim_redis(client_of, partitions, retention, now())

    while True:
        await until_redis_answers(once)
        await asyncio.sleep(TRIM_SECONDS)
