"""ClickHouse's HTTP interface as an ASGI application over the engine.

A request is authenticated, its SQL found, and run on a handle of its own in a thread. Reads, analysts' reads and
writes have lanes of their own, so that a slow query of one kind keeps no other waiting.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from deploy.embedded.clickhouse.accounts import Access, Accounts
from deploy.embedded.clickhouse.engine import TIMEZONE, Engine
from deploy.embedded.clickhouse.errors import ClickHouseError, not_implemented, too_busy
from deploy.embedded.clickhouse.guard import Guard
from deploy.embedded.clickhouse.request import Request, read_statement
from deploy.embedded.clickhouse.work import REMEMBERED, Session, Work
from shared.http import Receive, Scope, Send, respond

T = TypeVar("T")
Head = list[tuple[bytes, bytes]]

MIB = 1024**2
MAX_BODY_BYTES = 256 * MIB
"""One request's body as sent; a larger insert belongs in several batches."""
MAX_BODIES_BYTES = 512 * MIB
"""All bodies in memory at once; beyond it a request is told to come back."""
HELD_BYTES = MIB
"""An answer up to this size leaves whole: an error in it still has its own HTTP status."""
HELD_TO_THE_END_BYTES = 32 * MIB
"""The same for a client that says `wait_end_of_query`. What is larger is streamed all the same, to bound memory."""
GRACE_SECONDS = 0.7
"""Statements that run when the server is told to stop get so long to end."""
QUEUE_SECONDS = 60
"""So long a statement waits for a thread."""
BODY_SECONDS = 120
SEND_SECONDS = 120
"""A client that takes nothing for so long is given up, for it holds a lane."""
SESSION_SECONDS = 60
MAX_SESSION_SECONDS = 3600
MAX_SESSIONS = 1000

_TEXT = b"text/plain; charset=UTF-8"


class Lane:
    """Threads for one kind of work, and a bound on what may wait for them."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name
        self._slots = asyncio.Semaphore(threads)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._room = threads + waiting
        self._inside = 0

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the lane's threads. Raises `ClickHouseError` 202 when too many wait for one already."""
        if self._inside >= self._room:
            raise too_busy(f"{self._inside} statements run or wait already; try again")
        self._inside += 1
        try:
            try:
                async with asyncio.timeout(QUEUE_SECONDS):
                    await self._slots.acquire()
            except TimeoutError:
                raise too_busy(f"No thread was free for {QUEUE_SECONDS} seconds; try again") from None
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._inside -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Do blocking work on a thread of this lane, to its end even when the caller is cancelled."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._pool, work))

    def stop(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class ClickHouseApp:
    """The ASGI application.

    Args:
        engine: open, and closed by whoever opened it.
        accounts: who may connect.
    """

    def __init__(self, engine: Engine, accounts: Accounts) -> None:
        self._engine = engine
        self._accounts = accounts
        self._lanes = {
            "read": Lane("read", threads=4, waiting=64),
            "analyst": Lane("analyst", threads=2, waiting=16),
            "write": Lane("write", threads=4, waiting=64),
        }
        self._control = ThreadPoolExecutor(2, thread_name_prefix="control")
        self._sessions: dict[tuple[str, str], Session] = {}
        self._body_bytes = 0
        self._draining = False
        first = engine.handle(Access.READ_ONLY, "default", "start", {"readonly": "1"})
        try:
            self._guard = Guard(first)
        finally:
            first.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def drain(self) -> None:
        """Take no new statement; let those that run end within `GRACE_SECONDS`, then stop them."""
        self._draining = True
        await asyncio.sleep(GRACE_SECONDS)
        await asyncio.get_running_loop().run_in_executor(self._control, self._engine.kill_all)

    def stop(self) -> None:
        """Give the threads back; to be called when no request is being answered any more."""
        for lane in self._lanes.values():
            lane.stop()
        self._control.shutdown(wait=False, cancel_futures=True)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        params = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        method = scope["method"]
        path = scope["path"]
        if method in {"GET", "HEAD"} and (
            path in {"/ping", "/replicas_status"} or (path == "/" and "query" not in params)
        ):
            await respond(send, 200, b"Ok.\n" if method == "GET" else b"", _TEXT, self._head(""))
            return
        query_id = params.get("query_id") or headers.get("x-clickhouse-query-id") or secrets.token_hex(16)
        answer = _Reply(send, self._head(query_id))
        try:
            if path not in {"/", "/query"}:
                raise _NotFoundError(path)
            if method not in {"GET", "POST"}:
                raise _MethodError(method)
            account = self._accounts.authenticate(headers, params)
            async with self._body(headers, receive) as body:
                request = Request(account, method, headers, params, body, query_id, secrets.token_hex(12))
                await self._run(request, receive, answer)
        except ClickHouseError as error:
            await answer.fail(error, error.body(self._engine.version), error.status)
        except _NotFoundError:
            text = f"There is no handle {path}\n\nUse / or /ping for health checks, and / with a query for SQL.\n"
            await respond(send, 404, text.encode(), _TEXT, answer.head)
        except _MethodError:
            text = f"The method {method} is not supported; use GET or POST\n"
            await respond(send, 405, text.encode(), _TEXT, answer.head)
        except TimeoutError:
            slow = ClickHouseError(209, "SOCKET_TIMEOUT", "The client was too slow")
            await answer.fail(slow, slow.body(self._engine.version), slow.status)
        except _GoneError:
            return

    def _head(self, query_id: str) -> Head:
        head = [
            (b"x-clickhouse-server-display-name", self._engine.display_name.encode()),
            (b"x-clickhouse-timezone", TIMEZONE.encode()),
        ]
        if query_id:
            head.append((b"x-clickhouse-query-id", query_id.encode("latin-1", "replace")))
        return head

    @contextlib.asynccontextmanager
    async def _body(self, headers: Mapping[str, str], receive: Receive) -> AsyncIterator[bytes]:
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
            raise _too_large()
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    piece = message.get("body", b"")
                    size += len(piece)
                    self._body_bytes += len(piece)
                    if size > MAX_BODY_BYTES:
                        raise _too_large()
                    if self._body_bytes > MAX_BODIES_BYTES:
                        raise too_busy("Too much data is on its way already; try again")
                    pieces.append(piece)
                    if not message.get("more_body", False):
                        break
            body = b"".join(pieces)
            pieces.clear()
            yield body
        finally:
            self._body_bytes -= size

    async def _run(self, request: Request, receive: Receive, answer: "_Reply") -> None:
        if request.flag("decompress") or request.flag("compress"):
            raise not_implemented(
                "compress=1 and decompress=1 (ClickHouse's own framing) are not supported by the embedded server; "
                "use Content-Encoding, or Accept-Encoding with enable_http_compression=1"
            )
        if request.params.get("role"):
            raise not_implemented("The embedded server has no roles")
        request, statement, tables, more = read_statement(request)
        writes = not request.analyst and not statement.has_result
        lane = self._lanes["analyst" if request.analyst else "write" if writes else "read"]
        async with lane.slot():
            if self._draining:
                raise too_busy("The server is stopping")
            watch = asyncio.create_task(self._watch(request, receive, stop=not writes))
            try:
                session = self._session(request, statement.verb)
                work = Work(self._engine, self._guard, request, statement, tables, more, session)
                await self._execute(work, lane, answer)
            finally:
                watch.cancel()

    async def _watch(self, request: Request, receive: Receive, *, stop: bool) -> None:
        """Stop the query of a client that has gone. A write is finished: the client may have meant it."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if stop:
            await asyncio.get_running_loop().run_in_executor(self._control, self._engine.kill, request.label)

    async def _execute(self, work: Work, lane: Lane, answer: "_Reply") -> None:
        started = time.perf_counter_ns()
        hold = HELD_TO_THE_END_BYTES if work.request.flag("wait_end_of_query") else HELD_BYTES

        def head() -> Head:
            return work.headers(time.perf_counter_ns() - started)

        try:
            data, done = await lane.run(work.step(lambda: work.begin(hold)))
            while not done:
                await answer.begin(head(), work.encoding)
                await answer.write(data)
                data, done = await lane.run(work.step(work.proceed))
            await answer.end(head(), work.encoding, data)
        except ClickHouseError as error:
            if not answer.begun:
                raise
            ending = error.body(self._engine.version)
            await answer.write(await lane.run(work.step(lambda: work.last_words(answer.tag, ending))), more=False)
        finally:
            if not work.closed:
                await lane.run(work.step(work.close))

    def _session(self, request: Request, verb: str) -> Session:
        """What the client has SET and USEd under its session id; an empty one without id or before the first SET."""
        name = request.params.get("session_id")
        if not name:
            return Session()
        key = (request.account.user, name)
        now = time.monotonic()
        session = self._sessions.pop(key, None)
        if session is None or session.expires_at < now:
            session = Session()
            if verb not in REMEMBERED:
                return session
        asked = request.params.get("session_timeout", "")
        seconds = int(asked) if asked.isascii() and asked.isdigit() else SESSION_SECONDS
        session.expires_at = now + min(seconds, MAX_SESSION_SECONDS)
        self._sessions[key] = session
        while len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session


class _Reply:
    """An answer being written: its head once, then pieces."""

    def __init__(self, send: Send, head: Head) -> None:
        self._send = send
        self.head = head
        self.begun = False
        self.tag = secrets.token_hex(8)

    async def begin(self, headers: Head, encoding: str) -> None:
        """Send the head of an answer whose length is not known; from here on errors travel in the body."""
        if self.begun:
            return
        self.begun = True
        head = [*self.head, *headers, (b"x-clickhouse-exception-tag", self.tag.encode())]
        if encoding:
            head.append((b"content-encoding", encoding.encode()))
        await self._deliver({"type": "http.response.start", "status": 200, "headers": head})

    async def write(self, piece: bytes, *, more: bool = True) -> None:
        """Send some of the body."""
        if piece or not more:
            await self._deliver({"type": "http.response.body", "body": piece, "more_body": more})

    async def end(self, headers: Head, encoding: str, rest: bytes) -> None:
        """Send the rest, or the whole answer when nothing has been sent yet."""
        if not self.begun:
            self.begun = True
            head = [*self.head, *headers, (b"content-length", str(len(rest)).encode())]
            if encoding:
                head.append((b"content-encoding", encoding.encode()))
            await self._deliver({"type": "http.response.start", "status": 200, "headers": head})
        await self.write(rest, more=False)

    async def fail(self, error: ClickHouseError, body: bytes, status: int) -> None:
        """Answer with an error, unless the answer has begun."""
        if self.begun:
            return
        self.begun = True
        head = [*self.head, (b"x-clickhouse-exception-code", str(error.code).encode())]
        if status == 503:
            head.append((b"retry-after", b"1"))
        await respond(self._send, status, body, _TEXT, head)

    async def _deliver(self, message: MutableMapping[str, Any]) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self._send(message)


class _GoneError(Exception):
    """The client has left; nobody is there to be told."""


class _NotFoundError(Exception):
    """A path that this server does not have."""


class _MethodError(Exception):
    """A method that this server does not have."""


def _too_large() -> ClickHouseError:
    return ClickHouseError(229, "QUERY_IS_TOO_LARGE", f"A body may have {MAX_BODY_BYTES} bytes; send smaller batches")
