"""What an attacker sends to the webhook, through a real server: every answer is a refusal, none is a fault."""

import asyncio
import contextlib
import gzip
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from services.ingest import webhook as webhook_module
from services.ingest.signature import sign
from shared import server as server_module
from shared.server import BoundedHead
from shared.service import Service
from tests.integration.test_webhook import KEY, NDJSON, Door, is_problem, kept, webhook
from tests.running import running

REPORTS = "/v1/reports/lapangan"
BATCH = REPORTS + "/batch"


def signed(
    body: bytes, *, at: float | None = None, key: bytes = KEY, media_type: str = "application/json"
) -> list[str]:
    moment = int(time.time() if at is None else at)
    return [
        f"content-type: {media_type}",
        "webhook-id: msg_1",
        f"webhook-timestamp: {moment}",
        f"webhook-signature: {sign(key, 'msg_1', moment, body)}",
    ]


@dataclass
class Gate:
    """The webhook behind its real HTTP server."""

    port: int

    async def raw(self, request: bytes, *, seconds: float = 20) -> int:
        """The status that bytes on the wire are answered with; 0 when the connection is closed without an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            line = await asyncio.wait_for(reader.readline(), seconds)
        except ConnectionError:
            return 0
        finally:
            writer.close()
        return int(line.split()[1]) if line else 0

    async def send(self, body: bytes, headers: list[str], *, path: str = REPORTS, length: int | None = None) -> int:
        """The status of a POST written by hand."""
        declared = len(body) if length is None else length
        lines = [f"POST {path} HTTP/1.1", "host: ingest", f"content-length: {declared}", *headers, "", ""]
        return await self.raw("\r\n".join(lines).encode("utf-8", "surrogatepass") + body)


@contextlib.asynccontextmanager
async def served(service: Service) -> AsyncIterator[Gate]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            service,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            http=BoundedHead,
        )
    )
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield Gate(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def door(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    async with running(webhook(redis_url, tmp_path, monkeypatch)) as service:
        yield Door(service)


@pytest.fixture
async def gate(door: Door) -> AsyncIterator[Gate]:
    async with served(door.service) as gate:
        yield gate


async def test_a_request_recorded_and_sent_again_adds_nothing(gate: Gate, redis_url: str) -> None:
    body = b'{"text":"camat bagi amplop"}'
    headers = signed(body)
    assert [await gate.send(body, headers) for _ in range(5)] == [202] * 5
    assert await kept(redis_url) == 1


async def test_a_recorded_signature_opens_nothing_for_another_body(gate: Gate, redis_url: str) -> None:
    headers = signed(b'{"text":"asli"}')
    assert await gate.send(b'{"text":"lain"}', headers) == 401
    assert await kept(redis_url) == 0


@pytest.mark.parametrize("seconds", [-86_400, -301, 301, 86_400])
async def test_a_request_from_another_time_is_refused(gate: Gate, seconds: int) -> None:
    body = b'{"text":"a"}'
    assert await gate.send(body, signed(body, at=time.time() + seconds)) == 401


async def test_a_wrong_clock_is_refused_before_a_byte_of_the_body_is_read(gate: Gate) -> None:
    assert await gate.send(b"", signed(b"", at=0), length=100_000) == 401


async def test_a_body_cut_short_is_not_kept(gate: Gate, redis_url: str) -> None:
    body = b'{"text":"terpotong"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    head = "\r\n".join([f"POST {REPORTS} HTTP/1.1", "host: i", f"content-length: {len(body)}", *signed(body), "", ""])
    writer.write(head.encode() + body[:-4])
    writer.write_eof()
    assert b" 202 " not in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert await gate.send(body[:-4], signed(body)) == 401
    assert await kept(redis_url) == 0


@pytest.mark.parametrize("length", [12, 200_000])
async def test_a_body_that_never_ends_is_given_up_and_delays_nobody(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr(webhook_module, "BODY_SECONDS", 1)
    slow = [asyncio.create_task(gate.send(b"{", signed(b"{"), length=length)) for _ in range(50)]
    await asyncio.sleep(0)
    body = b'{"text":"yang jujur"}'
    assert await gate.send(body, signed(body)) == 202
    assert set(await asyncio.gather(*slow)) == {408}


async def test_headers_beyond_reason_are_refused(gate: Gate) -> None:
    body = b'{"text":"a"}'
    assert await gate.send(body, [*signed(body), "x-lampiran: " + "x" * 1_000_000]) in (0, 400, 431)
    assert await gate.send(body, signed(body)) == 202


@pytest.mark.parametrize("begun", [b"", b"POST /v1/reports/lapangan HTTP/1.1\r\nhost: i\r\nx-a: b"])
async def test_a_head_that_never_ends_is_given_up_and_delays_nobody(
    door: Door, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(server_module, "HEAD_SECONDS", 1)
    async with served(door.service) as gate:
        slow = [asyncio.create_task(gate.raw(begun)) for _ in range(50)]
        await asyncio.sleep(0)
        body = b'{"text":"yang jujur"}'
        assert await gate.send(body, signed(body)) == 202
        assert set(await asyncio.gather(*slow)) == {0}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP"])
async def test_a_compressed_body_is_refused_unopened(gate: Gate, redis_url: str, encoding: str) -> None:
    bomb = gzip.compress(b'{"text":"' + b"0" * 50_000_000 + b'"}')
    assert await gate.send(bomb, [*signed(bomb), f"content-encoding: {encoding}"]) == 415
    assert await kept(redis_url) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"text":"a","meta":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
        b'{"text":"a","meta":{"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
        b'{"text":"\\ud800"}',
        b'{"text":"\\udfff\\ud800"}',
        b'{"text":"\xed\xa0\x80"}',
        b'{"text":"\xff\xfe"}',
        b'{"text":"\\u0000\\u0000"}',
        b'{"text":"a\\u0000b"}',
        b'{"text":"a","text":"b","text":""}',
        b'{"text":"a","id":' + b"9" * 5_000 + b"}",
        b'{"text":"a","id":18446744073709551616}',
        b'{"text":"a","id":-1e400}',
        b'{"text":"a","meta":{"x":NaN,"y":Infinity,"z":-Infinity}}',
        b'{"text":"a","occurred_at":1e308}',
        b'{"text":"a","occurred_at":99999999999999999999}',
        b'{"text":"a","meta":{"x":1e999999}}',
        b'{"text":"a","reporter":{"name":"' + b"n" * 100_000 + b'"}}',
        b'{"text":"a","attachments":[' + b",".join([b'{"url":"x"}'] * 10_000) + b"]}",
        b'{"text":null}',
        b"null",
        b'"text"',
        b"\xef\xbb\xbf{}",
        b"",
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_no_json_however_twisted_is_a_fault(gate: Gate, body: bytes) -> None:
    assert await gate.send(body, signed(body)) in (202, 400, 422)
    assert await gate.send(body, signed(body, media_type=NDJSON), path=BATCH) in (202, 413, 422)
    good = b'{"text":"sesudah itu"}'
    assert await gate.send(good, signed(good)) == 202


@pytest.mark.parametrize(
    "path",
    [
        "/v1/reports/../../etc/passwd",
        "/v1/reports/%2e%2e%2fmetrics",
        "/v1/reports/lapangan%00",
        "/v1/reports/lapangan%2fbatch%2f..",
        "/v1/reports//lapangan",
        "//v1/reports/lapangan",
        "/v1/reports/" + "x" * 30_000,
        "/v1/reports/LAPANGAN",
        "/v1/reports/%ff%fe",
        "/v1/reports/__proto__",
        "/v1/reports/lapangan;x=1",
        "/v1/receipts/../reports/lapangan",
    ],
)
async def test_no_trick_with_the_path_reaches_anything(gate: Gate, redis_url: str, path: str) -> None:
    body = b'{"text":"a"}'
    assert await gate.send(body, signed(body), path=path) in (400, 404, 414, 431)
    assert await kept(redis_url) == 0


@pytest.mark.parametrize(
    "request_",
    [
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"POST /v1/reports/lapangan HTTP/1.1\r\nhost: i\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/reports/lapangan HTTP/1.1\r\nhost: i\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"POST /v1/reports/lapangan HTTP/1.1\r\nhost: i\r\ncontent-length: 5\r\n"
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/reports/lapangan HTTP/1.1\r\nhost: i\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /v1/reports/lapangan HTTP/1.1\r\nhost: i\r\nx: \x00\r\n\r\n",
    ],
)
async def test_what_is_no_proper_http_is_refused(gate: Gate, redis_url: str, request_: bytes) -> None:
    assert await gate.raw(request_ + b"\r\n\r\n") in (0, 400, 401)
    assert await kept(redis_url) == 0


async def test_thousands_of_names_of_sources_leave_no_trace(door: Door) -> None:
    for number in range(3_000):
        answer = await door.post(b"{}", path=f"/v1/reports/karangan-{number}")
        assert answer.status_code == 404
    assert "karangan" not in (await door.client.get("/metrics")).text


async def test_a_flood_of_strangers_from_one_address_does_not_bar_another(door: Door) -> None:
    flood = Door(door.service, address="203.0.113.9")
    statuses = [(await flood.post({"text": "a"}, key=os.urandom(32))).status_code for _ in range(70)]
    assert set(statuses) == {401, 429}
    is_problem(await Door(door.service, address="203.0.113.10").post({"text": "a"}, key=os.urandom(32)), 401)
    assert (await door.post({"text": "yang jujur"})).status_code == 202


async def test_an_address_cannot_be_changed_by_a_header(door: Door) -> None:
    flood = Door(door.service, address="203.0.113.11")
    for number in range(70):
        answer = await flood.post({"text": "a"}, key=b"wrong", **{"x-forwarded-for": f"10.0.0.{number}"})
    assert answer.status_code == 429


async def test_every_key_and_signature_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.ingest import signature

    compared: list[bytes] = []
    genuine = signature.hmac.compare_digest

    def counting(first: bytes, second: bytes) -> bool:
        compared.append(first)
        return genuine(first, second)

    monkeypatch.setattr(signature.hmac, "compare_digest", counting)
    right = sign(KEY, "m", 1, b"x").encode()
    claim = signature.Claim(b"m", b"1", right + b" v1,AAAA v1,BBBB")
    signature.verify(claim, b"x", [KEY, b"old"])
    assert len(compared) == 6, "the first that fits does not end the comparison"


async def test_openapi_s_own_generator_of_bad_requests_finds_no_fault(door: Door) -> None:
    import schemathesis

    document = (await door.client.get("/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    seen: set[int] = set()
    for operation in schema.get_all_operations():
        if operation.ok().path.endswith("/batch"):
            continue  # lines of JSON are a media type that the generator cannot write: see below
        strategy = operation.ok().as_strategy()
        for case in _examples(strategy, 60):
            body = case.body if isinstance(case.body, bytes) else json.dumps(case.body, default=str).encode()
            path = case.formatted_path
            if path.startswith("/v1/reports/"):
                path = REPORTS
            try:
                answer = await door.post(body, path=path)
            except httpx.InvalidURL:
                continue
            seen.add(answer.status_code)
    report = schema["/v1/reports/{source}"]["POST"].as_strategy()
    lines = [json.dumps(case.body, default=str).encode() for case in _examples(report, 60)]
    for start in range(0, len(lines), 7):
        answer = await door.post(b"\n".join(lines[start : start + 7]), path=BATCH, media_type=NDJSON)
        seen.add(answer.status_code)
    assert seen
    assert max(seen) < 500, seen


def _examples(strategy: object, count: int) -> list:  # type: ignore[type-arg]
    from hypothesis import HealthCheck, Phase, given, settings

    found: list = []  # type: ignore[type-arg]

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)  # type: ignore[arg-type]
    def collect(case: object) -> None:
        found.append(case)

    collect()
    return found
