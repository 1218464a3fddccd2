"""The webhook against a real Redis: what senders get, good ones and bad ones."""

import base64
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from services.ingest.app import build
from services.ingest.asking import Asking
from services.ingest.signature import sign
from services.ingest.sources import Sources
from services.ingest.submission import Submission
from services.ingest.webhook import Webhook
from shared.bus.connection import Connections
from shared.bus.message import Message
from shared.bus.partitions import UNDIVIDED
from shared.bus.receipts import receipt_key, receipt_value
from shared.bus.streams import SUBMISSIONS
from shared.config.yaml_file import WatchedFile
from shared.contracts import ReceiptStage
from shared.service import Service
from shared.settings import Settings
from shared.vault.envelope import Opener, Sealer
from tests.backends import start_redis
from tests.keys import a_ring
from tests.running import eventually, running

KEY = os.urandom(32)
SECRET = "whsec_" + base64.b64encode(KEY).decode()
SOURCES = """sources:
  lapangan: {adapter: json, auth: {scheme: standard-webhooks, secret_env: SALINGJAGA_SECRET_UJI}}
  lambat: {adapter: json, auth: {scheme: standard-webhooks, secret_env: SALINGJAGA_SECRET_UJI}, rate_per_minute: 6}
  berita: {adapter: article, auth: {scheme: standard-webhooks, secret_env: SALINGJAGA_SECRET_UJI}}
"""
NDJSON = "application/x-ndjson"


class Door:
    """A sender's view of the webhook."""

    def __init__(self, service: Service, address: str = "127.0.0.1") -> None:
        self.service = service
        transport = httpx.ASGITransport(service, client=(address, 1))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://ingest")

    async def post(
        self,
        body: bytes | str | dict[str, Any],
        *,
        path: str = "/v1/reports/lapangan",
        media_type: str = "application/json",
        key: bytes = KEY,
        **headers: str,
    ) -> httpx.Response:
        content = (
            json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
        )
        now = int(time.time())
        signed = {
            "content-type": media_type,
            "webhook-id": "msg_1",
            "webhook-timestamp": str(now),
            "webhook-signature": sign(key, "msg_1", now, content),
        }
        return await self.client.post(path, content=content, headers={**signed, **headers})


def webhook(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> Service:
    monkeypatch.setenv("SALINGJAGA_SECRET_UJI", SECRET)
    (folder / "sources.yaml").write_text(SOURCES)
    return build(Settings(redis_url=url, config_dir=folder, clickhouse_port=1, **limits), normaliser=False)


@pytest.fixture
async def door(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    async with running(webhook(redis_url, tmp_path, monkeypatch)) as service:
        yield Door(service)


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["title"]
    return document


async def kept(url: str) -> int:
    async with Redis.from_url(url) as redis:
        return int(await redis.xlen(SUBMISSIONS.name))


async def test_a_report_is_kept_before_its_receipt_is_given(door: Door, redis_url: str) -> None:
    answer = await door.post({"text": "camat bagi amplop"})
    assert answer.status_code == 202
    receipt = answer.json()["receipt"]
    async with Redis.from_url(redis_url) as redis:
        [(_, entry)] = await redis.xrange(SUBMISSIONS.name)
    assert entry[b"receipt"].decode() == receipt
    assert b"camat" not in entry[b"body"], "nothing lies in clear in Redis"
    assert Submission.read(Message(b"1-0", entry), Opener(a_ring())).body == b'{"text": "camat bagi amplop"}'
    state = await door.client.get(answer.json()["status_url"])
    assert state.json()["stage"] == "received"


async def test_the_same_report_sent_twice_has_the_same_receipt_and_is_kept_once(door: Door, redis_url: str) -> None:
    report = {"text": "kades kampanye", "region": "63.11"}
    receipts = {(await door.post(report)).json()["receipt"] for _ in range(3)}
    reordered = await door.post('{"region" : "63.11",  "text": "kades kampanye"}')
    assert receipts == {reordered.json()["receipt"]}
    assert await kept(redis_url) == 1


async def test_an_edited_report_of_the_same_id_keeps_its_receipt_and_is_kept_again(door: Door, redis_url: str) -> None:
    first = await door.post({"id": 7, "text": "kades kampanye"})
    second = await door.post({"id": "7", "text": "kades kampanye di balai desa"})
    assert first.json()["receipt"] == second.json()["receipt"]
    assert await kept(redis_url) == 2


async def test_good_lines_of_a_batch_are_kept_and_bad_ones_are_named(door: Door, redis_url: str) -> None:
    lines = [
        b'{"text":"satu"}',
        b"",
        b"{broken",
        b'{"text":""}',
        b'{"text":5}',
        b"\xff\xfe\x00",
        b'{"text":"dua","region":"Kabupaten Atlantis"}',
        b'{"text":"satu"}',
        b'{"text":"' + b"x" * 1_100_000 + b'"}',
        b'{"text":"tiga"}',
    ]
    answer = await door.post(b"\n".join(lines), path="/v1/reports/lapangan/batch", media_type=NDJSON)
    assert answer.status_code == 202
    result = answer.json()
    assert (result["accepted"], result["repeated"], result["rejected"]) == (3, 1, 6)
    assert [error["line"] for error in result["errors"]] == [3, 4, 5, 6, 7, 9]
    assert result["errors"][4]["title"] == "Unknown region"
    assert [bool(receipt) for receipt in result["receipts"]] == [True] + [False] * 5 + [True, False, True]
    assert await kept(redis_url) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\x00\x01\x02\xff", 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"text":null}', 422),
        (b'{"text":["a"]}', 422),
        (b'{"text":" \\u200b \\n "}', 422),
        (b'{"text":"a","occurred_at":"kemarin"}', 422),
        (b'{"text":"a","occurred_at":"0001-01-01T00:00:00Z"}', 422),
        (b'{"text":"a","occurred_at":"9999-12-31T23:59:59Z"}', 422),
        (b'{"text":"a","reporter":"Budi"}', 422),
        (b'{"text":"a","attachments":[{"type":"image"}]}', 422),
        (b'{"text":"a","region":"Negeri Antah"}', 422),
        (b'{"text":"' + b"y" * 100_001 + b'"}', 422),
        (b'{"text":"\\ud800"}', 400),
    ],
)
async def test_a_bad_report_gets_a_problem_document_that_says_what_to_change(
    door: Door, redis_url: str, body: bytes, status: int
) -> None:
    is_problem(await door.post(body), status)
    assert await kept(redis_url) == 0


async def test_nothing_a_sender_wrote_is_echoed_in_a_refusal(door: Door) -> None:
    answer = await door.post({"text": 5, "reporter": {"phone": ["081234567890"]}})
    assert "081234567890" not in answer.text


async def test_a_body_of_ten_megabytes_is_refused_and_nothing_else_suffers(door: Door) -> None:
    is_problem(await door.post(b"x" * 10_000_000), 413)
    is_problem(await door.post(b"x" * 10_000_000, path="/v1/reports/lapangan/batch", media_type=NDJSON), 413)
    assert (await door.post({"text": "masih hidup"})).status_code == 202


async def test_who_does_not_prove_who_it_is_gets_401_and_a_flood_of_that_429(door: Door, redis_url: str) -> None:
    stranger = Door(door.service, address="10.0.0.66")
    is_problem(await stranger.post({"text": "a"}, key=os.urandom(32)), 401)
    is_problem(await stranger.client.post("/v1/reports/lapangan", json={"text": "a"}), 401)
    answers = [await stranger.post({"text": "a"}, key=b"wrong") for _ in range(80)]
    document = is_problem(answers[-1], 429)
    assert int(answers[-1].headers["retry-after"]) > 0
    assert document["title"]
    assert (await stranger.post({"text": "b"})).status_code == 202, "who proves it is not barred with its neighbours"
    assert await kept(redis_url) == 1


async def test_a_source_over_its_rate_gets_503_with_a_time_to_come_back(door: Door) -> None:
    answers = [await door.post({"text": f"laporan {n}"}, path="/v1/reports/lambat") for n in range(4)]
    assert [answer.status_code for answer in answers[:1]] == [202]
    is_problem(answers[-1], 503)
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("path", "media_type", "status"),
    [
        ("/v1/reports/tidak-ada", "application/json", 404),
        ("/v1/reports/lapangan/", "application/json", 202),
        ("/v1/reports/lapangan/lain", "application/json", 404),
        ("/v1/reports/lapangan", "text/plain", 415),
        ("/v1/reports/lapangan/batch", "application/json", 415),
        ("/v1/reports/berita/batch", "application/x-ndjson", 404),
        ("/lain", "application/json", 404),
    ],
)
async def test_wrong_addresses_and_media_types_are_told_apart(
    door: Door, path: str, media_type: str, status: int
) -> None:
    answer = await door.post({"text": "a"}, path=path, media_type=media_type)
    assert answer.status_code == status, answer.text
    if status != 202:
        is_problem(answer, status)


async def test_only_post_hands_in_and_a_compressed_body_is_refused(door: Door) -> None:
    is_problem(await door.client.get("/v1/reports/lapangan"), 405)
    is_problem(await door.post({"text": "a"}, **{"content-encoding": "gzip"}), 415)


async def test_an_article_is_kept_once_though_its_furniture_changes(door: Door, redis_url: str) -> None:
    page = "Bawaslu Garut Gelar Sosialisasi\n\nGARUT - Bawaslu Kabupaten Garut menggelar sosialisasi pengawasan.\n\n"
    path, media_type = "/v1/reports/berita", "text/plain"
    first = await door.post(page + "Baca juga: Hujan di Garut\n", path=path, media_type=media_type)
    second = await door.post(page + "Baca juga: Jalan Rusak di Garut\nShare:\n", path=path, media_type=media_type)
    assert first.status_code == second.status_code == 202
    assert first.json()["receipt"] == second.json()["receipt"]
    assert await kept(redis_url) == 1
    for nothing in (b"", b"  \n ", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00"):
        answer = await door.post(nothing, path=path, media_type=media_type)
        assert answer.status_code in (400, 422)


async def test_without_redis_nothing_is_accepted_and_with_it_again_everything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_redis(tmp_path) as server:
        async with running(webhook(server.url, tmp_path, monkeypatch)) as service:
            door = Door(service)
            assert (await door.post({"text": "sebelum"})).status_code == 202
            server.kill()
            refused = await door.post({"text": "saat mati"})
            is_problem(refused, 503)
            assert int(refused.headers["retry-after"]) > 0
            assert (await door.client.get("/healthz")).status_code == 200
            assert (await door.client.get("/readyz")).status_code == 503
            server.start_again()
            await eventually(lambda: accepts(door))
        assert await kept(server.url) == 2


async def accepts(door: Door) -> bool:
    return (await door.post({"text": "saat mati"})).status_code == 202


async def test_a_backlog_above_the_mark_answers_503_and_recovers(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(webhook(redis_url, tmp_path, monkeypatch, backlog_high_water=5)) as service:
        door = Door(service)
        for number in range(10):
            await door.post({"text": f"laporan {number}"})

        async def refuses() -> bool:
            return (await door.post({"text": "satu lagi"})).status_code == 503

        await eventually(refuses)
        async with Redis.from_url(redis_url) as redis:
            await redis.xtrim(SUBMISSIONS.name, maxlen=0)
        await eventually(lambda: accepts(door))


async def test_a_new_source_without_its_secret_leaves_the_others_as_they_were(
    door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = SOURCES + "  posko: {adapter: json, auth: {scheme: standard-webhooks, secret_env: SALINGJAGA_SECRET_LAIN}}\n"
    (tmp_path / "sources.yaml").write_text(more)
    await eventually(lambda: logged(capsys, "SALINGJAGA_SECRET_LAIN"))
    is_problem(await door.post({"text": "a"}, path="/v1/reports/posko"), 404)
    assert (await door.post({"text": "a"})).status_code == 202
    assert door.service.broken == ""


async def logged(capsys: pytest.CaptureFixture[str], words: str) -> bool:
    captured = capsys.readouterr()
    return words in captured.out + captured.err


async def test_the_documents_describe_what_is_there(door: Door) -> None:
    openapi = (await door.client.get("/openapi.json")).json()
    assert set(openapi["paths"]) == {
        "/v1/reports/{source}",
        "/v1/reports/{source}/{secret}",
        "/v1/reports/{source}/batch",
        "/v1/receipts/{receipt}",
    }
    assert (await door.client.get("/asyncapi.json")).json()["asyncapi"].startswith("3.")
    await door.post({"text": "dihitung"})
    metrics = (await door.client.get("/metrics")).text
    assert 'salingjaga_submissions_accepted_total{source="lapangan"}' in metrics


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
async def test_no_body_whatever_breaks_the_webhook(door: Door, body: bytes) -> None:
    for path, media_type in (
        ("/v1/reports/lapangan", "application/json"),
        ("/v1/reports/lapangan/batch", NDJSON),
        ("/v1/reports/berita", "text/plain"),
    ):
        answer = await door.post(body, path=path, media_type=media_type)
        assert answer.status_code in (202, 400, 422), answer.text


async def test_a_browser_gets_a_page_that_tells_how_far_a_report_is_and_nothing_of_it(door: Door) -> None:
    receipt = (await door.post({"text": "camat bagi amplop di Paringin"})).json()["receipt"]
    answer = await door.client.get(f"/v1/receipts/{receipt.lower()}", headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert receipt in answer.text
    assert "Laporan Anda sudah kami terima." in answer.text
    assert "amplop" not in answer.text
    assert "<script" not in answer.text


@pytest.fixture
async def forgotten(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """The webhook beside a warehouse that holds no report."""

    async def is_archived(_receipt: str) -> bool:
        return False

    monkeypatch.setenv("SALINGJAGA_SECRET_UJI", SECRET)
    (tmp_path / "sources.yaml").write_text(SOURCES)
    async with Redis.from_url(redis_url) as redis:
        app = Webhook(
            Settings(redis_url=redis_url),
            Connections(redis_url),
            Sealer(a_ring()),
            WatchedFile(tmp_path / "sources.yaml", Sources),
            knows_region=lambda _: True,
            is_archived=is_archived,
            asking=Asking(redis, lambda _: True, b""),
        )
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            yield client


@pytest.mark.parametrize(
    ("receipt", "words"),
    [("SJ-0000-0000-0000-0001", "Kode tidak dikenali"), ("SJ-0000-0000-0000-0000", "Laporan tidak ditemukan")],
)
async def test_a_mistyped_or_unknown_receipt_explains_itself_to_a_citizen(
    forgotten: httpx.AsyncClient, receipt: str, words: str
) -> None:
    answer = await forgotten.get(f"/v1/receipts/{receipt}", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert words in answer.text
    is_problem(await forgotten.get(f"/v1/receipts/{receipt}"), 404)


async def test_who_guesses_receipts_is_stopped_and_a_known_one_is_still_told(
    forgotten: httpx.AsyncClient, redis_url: str
) -> None:
    known = "SJ-0000-0000-0000-0000"
    answers = [(await forgotten.get(f"/v1/receipts/{known}")).status_code for _ in range(62)]
    assert answers == [404] * 60 + [429] * 2
    async with Redis.from_url(redis_url) as redis:
        await redis.set(receipt_key(known, UNDIVIDED), receipt_value(ReceiptStage.RECEIVED, "x"))
    assert (await forgotten.get(f"/v1/receipts/{known}")).json()["stage"] == "received"
