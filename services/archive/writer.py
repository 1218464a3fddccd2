"""Writes batches: one insert for each table, acknowledged only when ClickHouse has it."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from pydantic import Field, TypeAdapter, ValidationError

from services.archive.rows import alert_event_row, delivery_row, report_row, verdict_row
from services.archive.token import token_of
from shared.bus.errors import UnprocessableError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.contracts import AlertEvent, Assessment, Delivery, Kind, ReceiptStage, Verdict
from shared.observability import metrics
from shared.warehouse import Warehouse

_happening: TypeAdapter[AlertEvent | Delivery | Verdict] = TypeAdapter(
    Annotated[AlertEvent | Delivery | Verdict, Field(discriminator="type")]
)


class Writer:
    """Moves messages into the warehouse.

    Batches are written under a token made of their messages' ids, so the same batch tried twice counts once; a message
    that comes again in another batch (its consumer died) replaces its own row.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    async def write_assessments(self, batch: Sequence[Message], outbox: Outbox) -> None:
        """Write assessments to `report_rows` and move their receipts on."""
        rows = []
        for message in batch:
            try:
                assessment = Assessment.model_validate_json(message.body)
            except ValidationError as error:
                raise UnprocessableError(f"not an assessment: {error.error_count()} errors") from None
            rows.append(report_row(assessment))
            if assessment.judgement.kind is not Kind.CLASSIFY_FAILED:
                outbox.move_receipts(assessment.report, ReceiptStage.ARCHIVED)
        await self._insert("report_rows", rows, token_of(batch, outbox.source))

    async def write_happenings(self, batch: Sequence[Message], outbox: Outbox) -> None:
        """Write alert events, deliveries and verdicts, each to its table."""
        events, deliveries, verdicts = [], [], []
        for message in batch:
            try:
                happening = _happening.validate_json(message.body)
            except ValidationError as error:
                raise UnprocessableError(f"no alert event, delivery or verdict: {error.error_count()} errors") from None
            if isinstance(happening, AlertEvent):
                events.append(alert_event_row(happening))
            elif isinstance(happening, Verdict):
                verdicts.append(verdict_row(happening))
            else:
                deliveries.append(delivery_row(happening))
        token = token_of(batch, outbox.source)
        if events:
            await self._insert("alert_event_rows", events, token)
        if deliveries:
            await self._insert("delivery_rows", deliveries, token)
        if verdicts:
            await self._insert("verdict_rows", verdicts, token)

    async def _insert(self, table: str, rows: list[dict[str, Any]], token: str) -> None:
        lines = b"\n".join(map(msgspec.json.encode, rows))
        await self._warehouse.insert_json(table, lines, token=f"{table}-{token}")
        metrics.archived_rows.labels(table).inc(len(rows))
