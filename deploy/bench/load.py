"""The load generator: bytes prepared beforehand, sent over kept-alive connections, each answer timed.

It writes and reads the sockets itself: any HTTP client would cost more than the servers that are measured.
"""

import asyncio
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from deploy.bench.result import BenchError
from services.ingest.signature import sign

_LONGEST_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Load:
    """What became of a load.

    Attributes:
        seconds: from the first request to the last answer.
        latencies_ms: of every request, in the order of the answers.
    """

    seconds: float
    latencies_ms: list[float]

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return len(self.latencies_ms) / self.seconds


def signed_posts(path: str, media_type: str, bodies: Iterable[bytes], key: bytes) -> Iterator[bytes]:
    """Whole HTTP requests, signed after the Standard Webhooks specification with the time of now."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {media_type}\r\n"
    for body in bodies:
        message_id, now = f"msg_{uuid.uuid4().hex}", int(time.time())
        signature = sign(key, message_id, now, body)
        yield (
            f"{head}content-length: {len(body)}\r\nwebhook-id: {message_id}\r\nwebhook-timestamp: {now}\r\n"
            f"webhook-signature: {signature}\r\n\r\n"
        ).encode() + body


async def send_all(port: int, requests: Sequence[bytes], *, connections: int) -> Load:
    """Send all requests to a server on the loopback address, at most `connections` at a time.

    Raises:
        BenchError: an answer is not 202, a connection was lost, or it takes minutes.
    """
    run = _Run(requests)
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port) for _ in range(connections)]
    started = time.perf_counter()
    try:
        for _, connection in opened:
            connection.send_next()
        await asyncio.wait_for(run.finished, _LONGEST_SECONDS)
        return Load(time.perf_counter() - started, run.latencies_ms)
    except TimeoutError:
        raise BenchError(f"{len(run.latencies_ms)} of {len(requests)} requests were answered in time") from None
    finally:
        for transport, _ in opened:
            transport.abort()


def answer_bytes(received: bytes) -> int:
    """Length of the HTTP answer at the start of `received`, head and body; 0 while its head is not complete."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = received[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return end + 4
    return end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])


class _Run:
    """What the connections of one load share: the requests that wait, and the times of the answers."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.waiting = iter(requests)
        self.expected = len(requests)
        self.latencies_ms: list[float] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, answer: bytes, seconds: float) -> None:
        """Note an answer; any but 202 ends the load."""
        if answer[9:12] != b"202":
            return self.fail(f"the server answered: {answer[:300].decode('utf-8', 'replace')}")
        self.latencies_ms.append(seconds * 1000)
        if len(self.latencies_ms) == self.expected and not self.finished.done():
            self.finished.set_result(None)
        return None

    def fail(self, reason: str) -> None:
        """End the load."""
        if not self.finished.done():
            self.finished.set_exception(BenchError(reason))


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass of it

    def send_next(self) -> None:
        request = next(self._run.waiting, None)
        if request is not None and self._transport:
            self._sent_at = time.perf_counter()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        length = answer_bytes(self._received)
        if length and len(self._received) >= length:
            self._run.answered(self._received[:length], time.perf_counter() - self._sent_at)
            self._received = self._received[length:]
            self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.fail(f"a connection was lost: {exc or 'the server closed it'}")
