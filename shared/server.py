"""The HTTP server's protocol, with a bound that uvicorn's own does not have."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT_BYTES = 65_536


class BoundedHead(HttpToolsProtocol):
    """HTTP/1.1 whose request line and headers may not grow without end; a longer head is answered 400 and closed.

    What is counted are bytes that have come while a head was unfinished, so that it takes at most one read of the
    socket more than `HEAD_LIMIT_BYTES`.
    """

    _in_head = False
    _head_bytes = 0

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
        super().on_message_begin(*args)

    def on_headers_complete(self, *args: Any) -> None:
        """Its head is complete."""
        self._in_head = False
        super().on_headers_complete(*args)
