"""One statement at work: a handle of its own, its result piece by piece, and what is known of it for the headers."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from deploy.embedded.clickhouse import wire
from deploy.embedded.clickhouse.engine import HANDLE_SETTINGS, Answer, Counts, Engine, Handle
from deploy.embedded.clickhouse.errors import ClickHouseError, bad_argument, not_implemented, syntax
from deploy.embedded.clickhouse.guard import Guard, check_external, check_format
from deploy.embedded.clickhouse.request import Request, join
from deploy.embedded.clickhouse.statement import Statement, names_a_file

T = TypeVar("T")

REMEMBERED = frozenset({"set", "use"})
"""Statements that a session keeps, by their first word."""
MAX_SESSION_STATEMENTS = 100

_ONLY_WHOLE = re.compile(rb"\b(?:totals|extremes|max_result_\w+|result_overflow_mode)\b", re.IGNORECASE)


@dataclass(slots=True)
class Session:
    """What a client has SET and USEd under one session id; replayed on each handle, for a handle lives one request."""

    statements: list[bytes] = field(default_factory=list)
    expires_at: float = 0.0


class Work:
    """One statement, step by step, each step on a thread of its lane and never two at once."""

    def __init__(
        self,
        engine: Engine,
        guard: Guard,
        request: Request,
        statement: Statement,
        tables: list[wire.ExternalTable],
        more: Iterator[bytes],
        session: Session,
    ) -> None:
        self.request = request
        self._session = session
        self._alone = threading.Lock()
        self._engine = engine
        self._guard = guard
        self._statement = statement
        self._tables = tables
        self._more = more
        self._handle: Handle | None = None
        self._blocks: Iterator[Answer] = iter(())
        self._ready: Answer | None = None
        self._counts = Counts()
        self._format = ""
        self.encoding, self._compressor = wire.choose_compressor(
            request.headers.get("accept-encoding", ""), enabled=request.flag("enable_http_compression")
        )

    def step(self, work: Callable[[], T]) -> Callable[[], T]:
        """The work, made to wait for a step before it that still runs although its request has been given up."""

        def alone() -> T:
            with self._alone:
                return work()

        return alone

    def begin(self, hold_bytes: int) -> tuple[bytes, bool]:
        """Run the statement; the beginning of the answer's body, or all of it and True when that is not more than
        `hold_bytes`. Raises `ClickHouseError`."""
        self._start()
        return self._collect(hold_bytes)

    def proceed(self) -> tuple[bytes, bool]:
        """More of the body; True with the last of it. Raises `ClickHouseError`."""
        return self._collect(wire.PIECE_BYTES)

    def _collect(self, enough_bytes: int) -> tuple[bytes, bool]:
        body = bytearray()
        while len(body) <= enough_bytes:
            block = self._ready or next(self._blocks, None)
            self._ready = None
            if block is None:
                body += self._compressor.flush()
                self.close()
                return bytes(body), True
            self._counts += block.counts
            self._check_size()
            body += self._compressor.compress(block.data)
        return bytes(body), False

    def _start(self) -> None:
        request, statement = self.request, self._statement
        if request.analyst:
            check_external(self._tables)
        settings = request.settings({table.name for table in self._tables})
        readonly = {"readonly": settings.pop("readonly")} if self._tables and "readonly" in settings else {}
        handle = self._handle = self._engine.handle(request.account.access, request.database, request.label, settings)
        for earlier in self._session.statements:
            handle.query(earlier)
        if self._tables:
            handle.bring(self._tables)
            handle.set(readonly)
        if request.analyst:
            self._guard.check(handle, statement, request.database, request.query_params)
        if names_a_file(statement.text):
            raise not_implemented("INTO OUTFILE and FROM INFILE name the client's files; this is the server")
        if statement.takes_data:
            self._insert(handle)
        elif handle.count_statements(statement.text) > 1:
            raise syntax("Multi-statements are not allowed")
        else:
            self._query(handle)
            if statement.verb in REMEMBERED:
                if len(self._session.statements) >= MAX_SESSION_STATEMENTS:
                    raise bad_argument(f"A session keeps at most {MAX_SESSION_STATEMENTS} SET and USE statements")
                self._session.statements.append(statement.text)

    def _insert(self, handle: Handle) -> None:
        request, statement = self.request, self._statement
        if request.method == "GET":
            raise ClickHouseError(
                164, "READONLY", "Cannot insert in readonly mode: method GET implies readonly, use POST"
            )
        if statement.format.lower() == "values" and request.query_params:
            text = statement.text + b"VALUES " + join([statement.data], self._more)
            self._counts = handle.query(text, params=request.query_params).counts
            return

        def data() -> Iterator[bytes]:
            yield statement.data
            yield from self._more

        into, settings = statement.text[: statement.settings_at], statement.text[statement.settings_at :]
        self._counts = handle.insert(into, settings, statement.format, data())

    def _query(self, handle: Handle) -> None:
        request, statement = self.request, self._statement
        wanted = request.params.get("default_format") or request.headers.get("x-clickhouse-format") or "TabSeparated"
        if request.analyst:
            check_format(wanted)
        used = statement.format or wanted
        if self._may_stream(used) and self._stream(handle, wanted, used):
            return
        answer = handle.query(statement.text, wanted, request.query_params)
        self._counts = answer.counts
        self._format = used if statement.has_result or answer.data else ""
        self._blocks = (Answer(piece, Counts()) for piece in wire.pieces(answer.data))

    def _may_stream(self, used: str) -> bool:
        """The engine streams rows only: totals, extremes and limits of the result need it whole."""
        texts = (self._statement.text, *self._session.statements, " ".join(self.request.params).encode())
        return (
            self._statement.is_select
            and used.lower() in wire.STREAMABLE_FORMATS
            and not any(_ONLY_WHOLE.search(text) for text in texts)
        )

    def _stream(self, handle: Handle, wanted: str, used: str) -> bool:
        try:
            self._blocks = handle.stream(self._statement.text, wanted, self.request.query_params)
            self._ready = next(self._blocks, None)
        except ClickHouseError as error:
            # WITH may also begin an INSERT.
            if "Streaming query is not supported" in error.message:
                return False
            raise
        self._format = used
        return True

    def _check_size(self) -> None:
        """An analyst's limits, which the engine checks for a whole result but not for one that is streamed."""
        if not self.request.analyst:
            return
        limits = HANDLE_SETTINGS[self.request.account.access]
        rows, size = int(limits["max_result_rows"]), int(limits["max_result_bytes"])
        if self._counts.result_rows > rows or self._counts.result_bytes > size:
            raise ClickHouseError(
                396, "TOO_MANY_ROWS_OR_BYTES", f"Limit for result exceeded: at most {rows} rows and {size} bytes"
            )

    def last_words(self, tag: str, body: bytes) -> bytes:
        """An error as the end of a body that has begun."""
        return self._compressor.compress(wire.exception_block(tag, body)) + self._compressor.flush()

    def headers(self, elapsed_ns: int) -> list[tuple[bytes, bytes]]:
        """What is known of the result, as the answer's headers."""
        counts = self._counts
        summary = {
            "read_rows": counts.read_rows or counts.written_rows,
            "read_bytes": counts.read_bytes or counts.written_bytes,
            "written_rows": counts.written_rows,
            "written_bytes": counts.written_bytes,
            "total_rows_to_read": 0,
            "result_rows": counts.result_rows or counts.written_rows,
            "result_bytes": counts.result_bytes or counts.written_bytes,
            "elapsed_ns": elapsed_ns,
        }
        head = [(b"x-clickhouse-summary", json.dumps({name: str(count) for name, count in summary.items()}).encode())]
        if self._format:
            head.append((b"x-clickhouse-format", self._format.encode("latin-1", "replace")))
        head.append((b"content-type", wire.content_type(self._format).encode()))
        return head

    @property
    def closed(self) -> bool:
        """Whether its session has ended."""
        return self._handle is None

    def close(self) -> None:
        """End the statement, if it still runs, and its session."""
        close_blocks = getattr(self._blocks, "close", None)
        if close_blocks is not None:
            close_blocks()
        if self._handle is not None:
            self._handle.close()
            self._handle = None
