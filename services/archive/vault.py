"""Keeps submissions as they came, sealed, in the vault's own database. The archive has no key and reads none of it."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.archive.token import token_of
from shared.bus.errors import UnprocessableError
from shared.bus.message import JOINED, Message
from shared.bus.outbox import Outbox
from shared.observability import metrics
from shared.settings import Settings
from shared.vault.envelope import CannotOpenError, Envelope
from shared.warehouse import Warehouse

_NOT_KEPT = (b"body", b"replayed", JOINED)


class VaultWriter:
    """Moves sealed submissions into the vault; the same one again, from whatever batch or replay, replaces itself."""

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        self._warehouse = warehouse
        self._database = settings.vault_database

    async def write(self, batch: Sequence[Message], outbox: Outbox) -> None:
        """Write a batch: data keys first, so that no body is ever stored without its key."""
        rows: list[dict[str, Any]] = []
        keys: dict[str, dict[str, Any]] = {}
        for message in batch:
            try:
                row, key = _rows(message)
            except CannotOpenError as error:
                raise UnprocessableError(str(error)) from None
            except (KeyError, ValueError, OverflowError) as error:
                raise UnprocessableError(f"not a submission: {type(error).__name__}") from None
            rows.append(row)
            keys[key["data_key_id"]] = key
        token = token_of(batch, outbox.source)
        await self._insert("data_keys", list(keys.values()), token)
        await self._insert("submissions", rows, token)

    async def _insert(self, table: str, rows: list[dict[str, Any]], token: str) -> None:
        lines = b"\n".join(map(msgspec.json.encode, rows))
        await self._warehouse.insert_json(f"{self._database}.{table}", lines, token=f"{table}-{token}")
        metrics.archived_rows.labels(table).inc(len(rows))


def _rows(message: Message) -> tuple[dict[str, Any], dict[str, Any]]:
    fields = {name.decode(): value.decode() for name, value in message.fields.items() if name not in _NOT_KEPT}
    envelope = Envelope.read(message.body)
    data_key_id = envelope.key.id.hex()
    received_at = datetime.fromtimestamp(int(fields["received_ms"]) / 1000, UTC)
    row = {
        "receipt": fields["receipt"],
        "content_hash": fields["content_hash"],
        "source": fields["source"],
        "received_at": received_at,
        "fields": fields,
        "data_key_id": data_key_id,
        "sealed": base64.b64encode(envelope.sealed).decode(),
    }
    key = {
        "data_key_id": data_key_id,
        "master_key_id": envelope.key.master_key_id,
        "wrapped": base64.b64encode(envelope.key.wrapped).decode(),
        "used_at": received_at,
        "version": 0,
    }
    return row, key
