"""The HTTP server's protocol, with two bounds that uvicorn's own does not have."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT_BYTES = 65_536
HEAD_SECONDS = 30.0


class BoundedHead(HttpToolsProtocol):
    """HTTP/1.1 whose request line and headers may neither grow nor take time without end.

    A head that is too long is answered 400. One that is not complete in `HEAD_SECONDS`, from the connection's beginning
    or the request's own, is not answered: the connection is closed. What is counted are bytes that have come while a
    head was unfinished, so that it takes at most one read of the socket more than `HEAD_LIMIT_BYTES`.
    """

    _in_head = False
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Somebody connects."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._head_is_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
                self.send_400_response("The headers are too large.")

    def on_message_begin(self, *args: Any) -> None:
        """A request begins."""
        self._in_head, self._head_bytes = True, 0
        self._expect_head()
        super().on_message_begin(*args)

    def on_headers_complete(self, *args: Any) -> None:
        """Its head is complete."""
        self._in_head = False
        self._head_is_complete()
        super().on_headers_complete(*args)

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_is_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
