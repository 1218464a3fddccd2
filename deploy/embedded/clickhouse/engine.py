"""The engine and its handles.

One process may open one folder, once. A handle is a session inside it and costs 0.3 ms to open, so every request gets
its own: a setting, a `USE` or a `readonly` can stick to nothing, and requests run in parallel.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

from deploy.embedded.clickhouse.accounts import Access
from deploy.embedded.clickhouse.errors import ClickHouseError, StartError, syntax
from deploy.embedded.clickhouse.wire import ExternalTable

TIMEZONE = "UTC"
GIB = 1024**3
MIB = 1024**2
KEPT_FREE_BYTES = 100 * MIB
"""Below that nothing more is inserted."""

SERVER_SETTINGS: Mapping[str, int] = {
    "max_server_memory_usage": 2 * GIB,
    "mark_cache_size": 64 * MIB,
    "index_mark_cache_size": 16 * MIB,
    "index_uncompressed_cache_size": 0,
    "uncompressed_cache_size": 0,
    "primary_index_cache_size": 32 * MIB,
    "mmap_cache_size": 256,
    "compiled_expression_cache_size": 16 * MIB,
    "background_pool_size": 2,
    "background_move_pool_size": 1,
    "background_fetches_pool_size": 1,
    "background_common_pool_size": 2,
    "background_schedule_pool_size": 4,
    "background_buffer_flush_schedule_pool_size": 1,
    "background_distributed_schedule_pool_size": 1,
    "background_message_broker_schedule_pool_size": 1,
    "max_thread_pool_size": 1000,
}
"""The engine on a laptop: two cores, 8 GB, and a browser beside it."""

MERGE_SETTINGS: Mapping[str, int] = {
    # Each must stay below the size of the small merge pool, else no table can be created.
    "number_of_free_entries_in_pool_to_lower_max_size_of_merge": 1,
    "number_of_free_entries_in_pool_to_execute_mutation": 1,
    "number_of_free_entries_in_pool_to_execute_optimize_entire_partition": 1,
}

_COMMON = {
    "implicit_select": "0",
    "allow_introspection_functions": "0",
    "use_query_cache": "0",
}
HANDLE_SETTINGS: Mapping[Access, Mapping[str, str]] = {
    Access.FULL: _COMMON
    | {
        "max_threads": str(min(4, os.cpu_count() or 1)),
        "max_memory_usage": str(int(1.5 * GIB)),
        "max_execution_time": "300",
        # Only a result that cannot be streamed is held whole, and only there the engine looks at this.
        "max_result_bytes": str(512 * MIB),
        "result_overflow_mode": "throw",
    },
    Access.READ_ONLY: _COMMON
    | {
        "max_threads": "1",
        "max_memory_usage": str(512 * MIB),
        "max_execution_time": "30",
        "max_result_rows": "1000000",
        "max_result_bytes": str(256 * MIB),
        "result_overflow_mode": "throw",
        "max_temporary_data_on_disk_size_for_query": str(GIB),
        "max_ast_elements": "20000",
        "max_expanded_ast_elements": "100000",
    },
}
"""What every handle starts with. An analyst cannot change any of it: `readonly=1` is set last."""

_SETTING_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.]*$")
_HELD = re.compile(r"Code: 36\b.*EmbeddedServer|Cannot lock file|Another server instance", re.DOTALL)
_HELD_MESSAGE = "The folder {folder} is in use by another process; only one may open it. Stop that one first."
_FULL = re.compile(r"No space left on device|NOT_ENOUGH_SPACE|Disk quota exceeded", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a statement read, wrote and returned, as the engine counted it."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, or a block of one, and what it took."""

    data: bytes
    counts: Counts


class Engine:
    """The engine, opened on a folder until `close`. Its methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self._store = str(folder / "store")
        self._connect = _load()
        self._root = _open(self._connect, self._store, folder / "engine.xml")
        row = Handle(self._root, self._store).query("SELECT version(), displayName()").data.decode()
        self.version, _, self.display_name = row.rstrip("\n").partition("\t")

    def handle(self, access: Access, database: str, label: str, settings: Mapping[str, str]) -> "Handle":
        """A fresh session in `database`, with the limits of `access` and then `settings`.

        Args:
            label: marks the statement, so that `kill` finds it.
            settings: what the client asks for. Refused by name and value as the engine does.

        Raises:
            ClickHouseError: 81 when there is no such database, 115 for an unknown setting.
        """
        start = {**HANDLE_SETTINGS[access], "log_comment": label, "database": database}
        with _clickhouse_errors():
            connection = self._connect(f"{self._store}?{urlencode(start)}")
        handle = Handle(connection, self._store)
        try:
            handle.set(settings)
        except ClickHouseError:
            handle.close()
            raise
        return handle

    def kill(self, label: str) -> None:
        """Ask the engine to stop the statement with that label; nothing happens when it has ended."""
        self._kill(f"Settings['log_comment'] = '{label}'")

    def kill_all(self) -> None:
        """Ask the engine to stop every running statement."""
        self._kill("1")

    def _kill(self, condition: str) -> None:
        with contextlib.suppress(Exception):
            connection = self._connect(self._store)
            try:
                connection.query(f"KILL QUERY WHERE {condition} ASYNC")
            finally:
                connection.close()

    def close(self) -> None:
        """Shut the engine down. It stops once every other handle is closed too."""
        self._root.close()


class Handle:
    """One session. Not for two threads at once."""

    def __init__(self, connection: Any, store: str | Path) -> None:
        self._connection = connection
        self._store = store

    def set(self, settings: Mapping[str, str]) -> None:
        """Change settings of this session. Raises `ClickHouseError` when the engine refuses one."""
        if not settings:
            return
        for name in settings:
            if not _SETTING_NAME.match(name):
                raise ClickHouseError(115, "UNKNOWN_SETTING", f"{name} is not a setting")
        self.query("SET " + ", ".join(f"{name} = {quote(value)}" for name, value in settings.items()))

    def count_statements(self, text: bytes) -> int:
        """How many statements the engine's own parser sees in `text`; 0 when it cannot read it."""
        classify = self._connection._conn.classify_query
        return int(classify(_as_text(text))["statement_count"])

    def query(
        self, text: bytes | str, output_format: str = "TabSeparated", params: Mapping[str, str] | None = None
    ) -> Answer:
        """Run a statement to its end and return its whole result."""
        with _clickhouse_errors():
            return _answer(self._connection.query(text, output_format, params=dict(params or {})))

    def stream(self, text: bytes | str, output_format: str, params: Mapping[str, str]) -> Iterator[Answer]:
        """Run a query and yield its result block by block. Closing the iterator early stops the query.

        Only for formats without head or foot (`wire.STREAMABLE_FORMATS`), and for SELECT.
        """
        result = None
        try:
            with _clickhouse_errors():
                result = self._connection.send_query(text, output_format, params=dict(params))
                while (block := result.fetch()) is not None:
                    yield _answer(block)
        finally:
            if result is not None:
                with contextlib.suppress(Exception):
                    result.cancel()

    def insert(self, into: bytes, settings: bytes, input_format: str, data: Iterable[bytes]) -> Counts:
        """Insert rows and return once they are committed; an error commits nothing of the last block.

        Rows up to a million arrive as one block, hence all or none.

        Args:
            into: the statement as far as it names table and columns.
            settings: its SETTINGS, or nothing.
            input_format: the format of the rows.
            data: the rows, in pieces.

        Raises:
            ClickHouseError: a row does not fit, the disk is nearly full, or what was written could not be kept.
        """
        refuse_when_nearly_full(shutil.disk_usage(self._store).free)
        # Not by the engine's `send_insert`: it says that rows are written when the disk is full or a constraint refuses
        # them. A statement that reads them from a file reports both.
        with _file_of_rows() as (file, name):
            try:
                for piece in data:
                    file.write(piece)
                file.flush()
            except OSError as error:
                raise ClickHouseError(75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", f"Rows not taken: {error}") from error
            source = b"\nFROM INFILE " + quote(name).encode() + b" COMPRESSION 'none'\n"
            answer = self.query(into + source + settings + b" FORMAT " + input_format.encode())
        return Counts(written_rows=answer.counts.written_rows, written_bytes=answer.counts.written_bytes)

    def bring(self, tables: Iterable[ExternalTable]) -> None:
        """Create the tables that a query brings along, for this session only."""
        for table in tables:
            self.query(f"CREATE TEMPORARY TABLE {table.name} ({table.structure})")
            if table.data:
                self.insert(f"INSERT INTO {table.name}".encode(), b"", table.format, [table.data])

    def close(self) -> None:
        """End the session; what still runs in it is stopped."""
        self._connection.close()


def refuse_when_nearly_full(free_bytes: int) -> None:
    """Raise `ClickHouseError` when the disk has too little room left for an insert to end well.

    The engine looks for room before it writes a part; a write that fails after that leaves a part that cannot be read,
    and the engine does not say so.
    """
    if free_bytes < KEPT_FREE_BYTES:
        raise ClickHouseError(
            243,
            "NOT_ENOUGH_SPACE",
            f"The disk has {free_bytes // MIB} MiB left; free some space, at least {KEPT_FREE_BYTES // MIB} MiB",
        )


@contextlib.contextmanager
def _file_of_rows() -> Iterator[tuple[IO[bytes], str]]:
    """A file that lives in memory where the system can do so, and the name by which this process may open it."""
    with os.fdopen(os.memfd_create("rows"), "wb") if sys.platform == "linux" else tempfile.TemporaryFile() as file:
        yield file, f"/dev/fd/{file.fileno()}"


def _answer(result: Any) -> Answer:
    data = result.bytes() or b""
    counts = Counts(
        read_rows=int(result.storage_rows_read() or 0),
        read_bytes=int(result.storage_bytes_read() or 0),
        written_rows=int(result.rows_written() or 0),
        written_bytes=int(result.bytes_written() or 0),
        result_rows=int(result.rows_read() or 0),
        result_bytes=len(data),
    )
    return Answer(data, counts)


def quote(text: str) -> str:
    """The text as a string literal of ClickHouse."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _as_text(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise syntax("The statement is not UTF-8") from error


@contextlib.contextmanager
def _clickhouse_errors() -> Iterator[None]:
    """The engine raises several kinds of errors with ClickHouse's words in them; outside there is one kind."""
    try:
        yield
    except (ClickHouseError, GeneratorExit):
        raise
    except Exception as error:
        raise ClickHouseError.from_engine(str(error)) from error


def _load() -> Callable[[str], Any]:
    """What opens a handle. Loading the engine costs a second, and it takes its time zone from the environment then."""
    os.environ["TZ"] = TIMEZONE
    time.tzset()
    from chdb.state import connect

    return connect


def _open(connect: Callable[[str], Any], store: str, config: Path) -> Any:
    folder = config.parent
    if not folder.is_dir():
        raise StartError(f"The folder {folder} does not exist; create it or name another with --data-dir.")
    try:
        config.write_text(_config_xml(), encoding="utf-8")
        Path(store).mkdir(mode=0o700, exist_ok=True)
        if not os.access(store, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _start_error(folder, str(error)) from error
    _check_free(folder, Path(store) / "status")
    try:
        return connect(f"{store}?{urlencode({'config-file': str(config)})}")
    except RuntimeError as error:
        raise _start_error(folder, str(error)) from error


def _check_free(folder: Path, lock: Path) -> None:
    """The engine holds a lock on this file while it is open, and gives no reason when it cannot get it."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        raise StartError(_HELD_MESSAGE.format(folder=folder)) from None
    except OSError as error:
        raise _start_error(folder, str(error)) from error


def _start_error(folder: Path, reason: str) -> StartError:
    if _FULL.search(reason):
        return StartError(f"The disk that holds {folder} is full; free some space and start again.")
    if "Permission denied" in reason or "Read-only file system" in reason:
        return StartError(f"The folder {folder} cannot be written by this user; change its owner or name another.")
    if _HELD.search(reason):
        return StartError(_HELD_MESSAGE.format(folder=folder))
    first_line = reason.strip().splitlines()[0] if reason.strip() else "no reason given"
    return StartError(f"The database in {folder} cannot be opened: {first_line[:300]}")


def _config_xml() -> str:
    server = "".join(f"  <{name}>{value}</{name}>\n" for name, value in SERVER_SETTINGS.items())
    merges = "".join(f"    <{name}>{value}</{name}>\n" for name, value in MERGE_SETTINGS.items())
    note = "  <!-- Written at every start; changes here are lost. -->\n"
    return f"<clickhouse>\n{note}{server}  <merge_tree>\n{merges}  </merge_tree>\n</clickhouse>\n"
