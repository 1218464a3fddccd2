"""What an operator does with sealed submissions, with every look written down before it is taken."""

import base64
import contextlib
import getpass
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import clickhouse_connect
import typer
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from redis import Redis
from redis.exceptions import RedisClusterException, RedisError

from deploy.cli.console import fail
from deploy.cli.target import check_partitions
from deploy.embedded.data_dir import DataDir, EmbeddedError
from deploy.embedded.system import HOST, without_proxy
from shared.bus.connection import connect_blocking
from shared.bus.partitions import Partitions
from shared.bus.receipts import parse_receipt
from shared.settings import Settings, get_settings
from shared.vault.envelope import CannotOpenError, Envelope, Opener, WrappedKey, binding_of
from shared.vault.keys import KeyRing

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is written into the audit record.")]
ReceiptArgument = Annotated[str, typer.Argument(metavar="RECEIPT", help="SJ-XXXX-XXXX-XXXX-XXXX")]

_COLUMNS = "receipt, source, received_at, fields, data_key_id, sealed, content_hash, master_key_id, wrapped"


@dataclass(frozen=True, slots=True)
class Stored:
    """One submission in the vault, sealed."""

    receipt: str
    source: str
    received_at: datetime
    fields: Mapping[str, str]
    content_hash: str
    envelope: Envelope

    @property
    def adapter(self) -> str:
        """What reads its body."""
        return self.fields.get("adapter", "")

    def entry(self) -> dict[bytes, bytes]:
        """The stream entry that it was."""
        fields = {name.encode(): value.encode() for name, value in self.fields.items()}
        return {**fields, b"body": self.envelope.to_bytes()}


class Vault:
    """A system's vault, as an operator who has its credentials reaches it."""

    def __init__(self, settings: Settings, clickhouse: Client, redis: Redis) -> None:
        self.settings = settings
        self.clickhouse = clickhouse
        self.redis = redis
        self.partitions = Partitions(settings.partitions)
        self.database = settings.vault_database

    def opener(self) -> Opener:
        """Opens what is sealed. Raises `ConfigError` when there are no keys here."""
        return Opener(KeyRing(self.settings))

    def audit(self, action: str, *, receipt: str = "", reason: str, details: str = "") -> None:
        """Write down what is about to be done; nothing may be shown or changed when this does not return."""
        if not reason.strip():
            raise typer.BadParameter("say why with --reason; it is written into the audit record")
        row = [datetime.now(UTC), uuid4(), who(), action, receipt, reason.strip(), details]
        columns = ["at", "audit_id", "who", "action", "receipt", "reason", "details"]
        self.clickhouse.insert("audit", [row], columns, database=self.database)

    def versions(self, receipt: str) -> list[Stored]:
        """All that was submitted under a receipt and is still kept, oldest first."""
        return self.select("receipt = {receipt:String}", {"receipt": receipt})

    def select(self, where: str, parameters: Mapping[str, Any], limit: int = 0) -> list[Stored]:
        """Submissions that match, in the order of their receipt."""
        sql = (
            f"SELECT {_COLUMNS} FROM {self.database}.submissions AS s FINAL "  # noqa: S608 - names of ours
            f"ANY LEFT JOIN (SELECT * FROM {self.database}.data_keys FINAL) AS k USING (data_key_id) "
            f"WHERE {where} ORDER BY received_at, receipt, content_hash" + (f" LIMIT {limit}" if limit else "")
        )
        return [_stored(row) for row in self.rows(sql, parameters)]

    def joined_reports(self, receipts: Sequence[str]) -> dict[str, list[str]]:
        """The reports that were joined from submissions of which any is named: by their receipt all of theirs."""
        table = f"{self.settings.clickhouse_database}.report_rows"
        sql = (
            f"SELECT receipt, parts FROM {table} FINAL WHERE report_id IN "  # noqa: S608 - names of ours
            f"(SELECT report_id FROM {table} WHERE hasAny(parts, {{receipts:Array(String)}})) AND length(parts) > 1"
        )
        return {str(receipt): list(parts) for receipt, parts in self.rows(sql, {"receipts": list(receipts)})}

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """The rows of a query."""
        return self.clickhouse.query(sql, parameters=dict(parameters or {})).result_rows

    def count(self, table: str, where: str, parameters: Mapping[str, Any]) -> int:
        """How many rows of a table match, whatever a merge would leave of them."""
        return int(self.rows(f"SELECT count() FROM {table} WHERE {where}", parameters)[0][0])  # noqa: S608


def open_stored(opener: Opener, stored: Stored) -> bytes:
    """The bytes as they arrived; leaves the program with the cure when they cannot be opened."""
    try:
        return opener.open(stored.envelope, binding_of(stored.receipt, stored.source))
    except CannotOpenError as error:
        fail(f"{stored.receipt}: {error}.")


def who() -> str:
    """Who acts: `SALINGJAGA_OPERATOR` when it is set, and always the account and machine."""
    named = os.environ.get("SALINGJAGA_OPERATOR", "").strip()
    account = f"{getpass.getuser()}@{socket.gethostname()}"
    return f"{named} ({account})" if named else account


def checked_receipt(text: str) -> str:
    """A receipt in its proper form; leaves with wrong usage when it cannot be one."""
    receipt = parse_receipt(text)
    if receipt is None:
        raise typer.BadParameter("a receipt reads SJ-XXXX-XXXX-XXXX-XXXX; check each character")
    return receipt


@contextlib.contextmanager
def open_vault(data_dir: Path) -> Iterator[Vault]:
    """The vault of the embedded system in `data_dir`, else of the system in the environment."""
    settings = vault_settings(data_dir)
    if settings.clickhouse_host == HOST:
        os.environ.update(without_proxy(os.environ))
    try:
        clickhouse = clickhouse_connect.get_client(
            host=settings.clickhouse_host,
            port=settings.clickhouse_port,
            username=settings.clickhouse_user,
            password=settings.clickhouse_password.get_secret_value(),
            autogenerate_session_id=False,
        )
        url = settings.redis_url.get_secret_value()
        with connect_blocking(url, socket_timeout=30, socket_connect_timeout=5) as redis:
            check_partitions(redis, Partitions(settings.partitions))
            yield Vault(settings, clickhouse, redis)
    except ClickHouseError as error:
        fail(f"ClickHouse: {' '.join(str(error).split())[:300]}")
    except (RedisError, RedisClusterException) as error:
        fail(f"Redis: {error}")


def looked_up(vault: Vault, action: str, receipt: str, reason: str) -> tuple[Opener, list[Stored]]:
    """What opens a submission, and its versions, the first first; the look is recorded before anything is read.

    Leaves the program when the keys are missing, the look cannot be recorded, or nothing is there.
    """
    opener = vault.opener()
    vault.audit(action, receipt=receipt, reason=reason)
    versions = vault.versions(receipt)
    if not versions:
        fail(f"{receipt} is not in the vault: never received, forgotten, past its retention, or not there yet.")
    return opener, versions


def vault_settings(data_dir: Path) -> Settings:
    """Addresses, credentials and keys for an operator's command."""
    settings = get_settings()
    folder = DataDir(data_dir)
    try:
        runtime, credentials = folder.runtime(), folder.credentials()
    except EmbeddedError:
        if not any(os.environ.get(f"SALINGJAGA_{name}") for name in ("REDIS_URL", "CLICKHOUSE_HOST")):
            raise
        return settings
    own = {
        "redis_url": f"redis://:{credentials.redis_password}@{HOST}:{runtime.redis_port}/0",
        "partitions": 1,
        "clickhouse_host": HOST,
        "clickhouse_port": runtime.clickhouse_port,
        "clickhouse_user": credentials.clickhouse_user,
        "clickhouse_password": credentials.clickhouse_password,
        "key_file": folder.keys,
        "master_keys": "",
    }
    return Settings.model_validate({**settings.model_dump(), **own})


def _stored(row: Sequence[Any]) -> Stored:
    receipt, source, received_at, fields, data_key_id, sealed, content_hash, master_key_id, wrapped = row
    key = WrappedKey(bytes.fromhex(data_key_id), master_key_id, base64.b64decode(wrapped))
    at = received_at.replace(tzinfo=UTC) if received_at.tzinfo is None else received_at
    return Stored(receipt, source, at, fields, content_hash, Envelope(key, base64.b64decode(sealed)))
