"""The few lines of ASGI that the services share."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
PAGE_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-robots-tag", b"noindex, nofollow, noarchive"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""Of every page: what it shows is for who asked, and for nobody's store or index."""


async def respond(
    send: Send, status: int, body: bytes, content_type: bytes = JSON, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Send one whole answer."""
    head = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


class BodyRefusedError(Exception):
    """The body of a request is not taken.

    Args:
        status: the HTTP status to answer with.
        title: what is wrong with it.
    """

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title


async def read_body(receive: Receive, limit_bytes: int, seconds: float) -> bytes:
    """A request's whole body. Raises `BodyRefusedError` when it is too large, too slow, or ends early."""
    pieces: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(seconds):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BodyRefusedError(400, "The body ended early")
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > limit_bytes:
                    raise BodyRefusedError(413, f"The body may have {limit_bytes:,} bytes at most")
                more = message.get("more_body", False)
    except TimeoutError:
        raise BodyRefusedError(408, "The body came too slowly") from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
