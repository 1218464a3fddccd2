"""The load that the benchmark sends: bodies, signatures, and how answers are read."""

import asyncio
import json
import time
from collections.abc import Callable

import pytest

from deploy.bench.load import answer_bytes, send_all, signed_posts
from deploy.bench.result import BenchError
from deploy.bench.texts import json_reports, sized_json_reports, varied_texts
from services.ingest.adapters import ADAPTERS, Fields
from services.ingest.clean import fingerprint_text
from services.ingest.signature import read_claim, verify

ANSWER = b'HTTP/1.1 202 Accepted\r\nContent-Length: 7\r\n\r\n{"a":1}'


def test_no_two_texts_of_a_run_would_count_as_copies_of_one_another() -> None:
    texts = [*varied_texts(400, characters=300, seed=1), *varied_texts(400, characters=300, seed=2)]

    assert len({fingerprint_text(text) for text in texts}) == 800
    assert 250 < sum(map(len, texts)) / len(texts) < 350


def test_the_same_seed_gives_the_same_load() -> None:
    assert list(json_reports(20, characters=300, seed=7)) == list(json_reports(20, characters=300, seed=7))


def test_sized_bodies_have_exactly_that_size_and_are_reports() -> None:
    for body in sized_json_reports(200, size_bytes=700):
        assert len(body) == 700
        assert ADAPTERS["json"].read(body, Fields())[0].external_id == json.loads(body)["id"]


def test_a_request_is_whole_and_its_signature_fits() -> None:
    key = b"k" * 32
    [request] = signed_posts("/v1/reports/bench", "application/json", [b'{"text":"x"}'], key)

    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    assert first == b"POST /v1/reports/bench HTTP/1.1"
    assert int(headers[b"content-length"]) == len(body)
    verify(read_claim(headers, now=time.time(), tolerance_seconds=60), body, [key])


@pytest.mark.parametrize(
    ("received", "length"),
    [
        (b"", 0),
        (ANSWER[:20], 0),
        (ANSWER[:-3], len(ANSWER)),
        (ANSWER, len(ANSWER)),
        (ANSWER + b"HTTP/1.1 202", len(ANSWER)),
        (b"HTTP/1.1 202 Accepted\r\nserver: x\r\n\r\n", 36),
    ],
)
def test_the_length_of_an_answer_is_known_from_its_head(received: bytes, length: int) -> None:
    assert answer_bytes(received) == length


async def test_every_request_is_answered_once_also_when_answers_come_in_pieces() -> None:
    served: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            served.append(line)
            for piece in (ANSWER[:10], ANSWER[10:50], ANSWER[50:]):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    load = await _send([b"%d\n" % number for number in range(50)], answer, connections=4)

    assert sorted(served) == sorted(b"%d\n" % number for number in range(50))
    assert len(load.latencies_ms) == 50
    assert load.per_second > 0


async def test_an_answer_that_is_no_receipt_ends_the_measurement() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")

    with pytest.raises(BenchError, match="503"):
        await _send([b"a\n", b"b\n"], refuse, connections=2)


async def test_a_server_that_hangs_up_ends_the_measurement() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    with pytest.raises(BenchError, match="connection was lost"):
        await _send([b"a\n"], hang_up, connections=1)


async def _send(requests: list[bytes], serve: Callable[..., object], *, connections: int):  # type: ignore[no-untyped-def]
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:  # type: ignore[arg-type]
        return await send_all(server.sockets[0].getsockname()[1], requests, connections=connections)
