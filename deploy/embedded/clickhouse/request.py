"""One request: who asks, with which parameters and settings, for which statement."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from deploy.embedded.clickhouse import wire
from deploy.embedded.clickhouse.accounts import Access, Account
from deploy.embedded.clickhouse.errors import ClickHouseError, denied, syntax
from deploy.embedded.clickhouse.guard import allowed_settings
from deploy.embedded.clickhouse.statement import Statement, parse

MIB = 1024**2
MAX_DATA_BYTES = 2048 * MIB
"""One insert's rows when decompressed."""
MAX_SQL_BYTES = 16 * MIB
MAX_FORM_BYTES = 64 * MIB
PEEK_BYTES = 64 * 1024
"""Within so many bytes an INSERT must come to its FORMAT or VALUES."""

_REQUEST_PARAMETERS = frozenset(
    {"query", "user", "password", "database", "default_format", "session_id", "session_timeout", "session_check",
     "query_id", "quota_key", "compress", "decompress", "buffer_size", "wait_end_of_query", "client_protocol_version",
     "role", "stacktrace", "enable_http_compression", "log_comment", "add_http_cors_header", "close_session"}
)  # fmt: skip
"""URL parameters of the interface itself; every other one is a setting, a query parameter or an external table."""
_EXTERNAL_ENDINGS = ("_format", "_structure", "_types")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read to its end."""

    account: Account
    method: str
    headers: Mapping[str, str]
    params: Mapping[str, str]
    body: bytes
    query_id: str
    label: str

    @property
    def analyst(self) -> bool:
        """Whether the account may only read."""
        return self.account.access is Access.READ_ONLY

    @property
    def database(self) -> str:
        """Where the statement runs when it names no database."""
        asked = self.params.get("database") or self.headers.get("x-clickhouse-database") or ""
        if self.analyst:
            # The current database decides what a name without one means, so it is not the client's to choose.
            if asked not in {"", "default", self.account.database}:
                raise denied(f"This account sees the database {self.account.database} only")
            return self.account.database
        return asked or "default"

    def flag(self, name: str) -> bool:
        """Whether a parameter is switched on."""
        return self.params.get(name, "0").lower() in {"1", "true"}

    @property
    def query_params(self) -> dict[str, str]:
        """Values for `{name:Type}`, escaped as the client sent them: the engine takes the escapes off."""
        return {name.removeprefix("param_"): value for name, value in self.params.items() if name.startswith("param_")}

    def settings(self, external: set[str]) -> dict[str, str]:
        """The ClickHouse settings among the parameters."""
        chosen = {
            name: value
            for name, value in self.params.items()
            if name not in _REQUEST_PARAMETERS and not name.startswith("param_") and not _is_external(name, external)
        }
        if self.analyst:
            return {**allowed_settings(chosen), "readonly": "1"}
        if self.method == "GET":
            chosen["readonly"] = "1" if chosen.get("readonly") == "1" else "2"
        return chosen


def _is_external(name: str, external: set[str]) -> bool:
    return any(name == table + ending for table in external for ending in _EXTERNAL_ENDINGS)


def read_statement(request: Request) -> tuple[Request, Statement, list[wire.ExternalTable], Iterator[bytes]]:
    """The statement of a request, the tables it brings along, and the data of an INSERT as far as it is not read yet.

    SQL may stand in the URL, in the body, in both one after the other, or in a form. Parameters of a form are added to
    those of the URL.
    """
    media_type = request.headers.get("content-type", "")
    body = wire.decompress(request.headers.get("content-encoding", "").lower(), request.body, MAX_DATA_BYTES)
    tables: list[wire.ExternalTable] = []
    if media_type.startswith("multipart/form-data"):
        form = wire.read_form(media_type, join([], body, MAX_FORM_BYTES))
        request = replace(request, params={**request.params, **form.fields})
        tables = wire.external_tables(form.files, request.params)
        body = iter(())
    start = request.params.get("query", "").encode()
    if start and not start.endswith(b"\n"):
        start += b"\n"
    pieces = [start]
    size = 0
    for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size >= PEEK_BYTES:
            break
    statement = parse(b"".join(pieces))
    if not statement.takes_data and size >= PEEK_BYTES:
        statement = parse(join(pieces, body))
    if not statement.verb:
        raise syntax("Empty query")
    return replace(request, body=b""), statement, tables, body


def join(pieces: list[bytes], more: Iterator[bytes], limit_bytes: int = MAX_SQL_BYTES) -> bytes:
    """All of them in one. Raises `ClickHouseError` 229 beyond the limit."""
    size = sum(map(len, pieces))
    for piece in more:
        size += len(piece)
        if size > limit_bytes:
            raise ClickHouseError(229, "QUERY_IS_TOO_LARGE", f"A statement or form may have {limit_bytes} bytes")
        pieces.append(piece)
    return b"".join(pieces)
