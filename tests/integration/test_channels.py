"""Each channel at the webhook: who is heard, what is kept, and what the sender gets to hear."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from services.ingest.app import build
from services.ingest.submission import Submission
from shared.bus.message import Message
from shared.bus.streams import SUBMISSIONS
from shared.service import Service
from shared.settings import Settings
from shared.vault.envelope import Opener
from tests.channels import FILES, SECRET, SECRETS, SOURCES, posted, request
from tests.keys import a_ring
from tests.running import eventually, running

ADAPTERS = sorted(FILES)
STATUS = {"kobo": 202, "odk": 202, "google-forms": 202}


def client(service: Service, address: str = "127.0.0.1") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(service, client=(address, 1)), base_url="http://ingest")


def webhook(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **limits: int) -> Service:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (folder / "sources.yaml").write_text(f"sources:{SOURCES}")
    settings = Settings(redis_url=url, config_dir=folder, clickhouse_port=1, **limits)
    return build(settings, normaliser=False)


@pytest.fixture
async def door(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    async with running(webhook(redis_url, tmp_path, monkeypatch)) as service:
        yield client(service)


async def kept(url: str) -> list[dict[bytes, bytes]]:
    async with Redis.from_url(url) as redis:
        return [fields for _, fields in await redis.xrange(SUBMISSIONS.name)]


def opened(entry: dict[bytes, bytes]) -> bytes:
    return Submission.read(Message(b"1-0", entry), Opener(a_ring())).body


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_report_is_kept_once_and_answered_as_its_sender_expects(
    door: httpx.AsyncClient, redis_url: str, adapter: str
) -> None:
    for _ in range(2):
        answer = await door.request(**request(adapter))
        assert answer.status_code == STATUS.get(adapter, 200), answer.text
    entries = await kept(redis_url)
    assert len(entries) == (4 if adapter == "whatsapp" else 1)
    assert entries[0][b"adapter"].decode() == adapter


async def test_a_wrong_secret_is_refused_and_nothing_kept(door: httpx.AsyncClient, redis_url: str) -> None:
    for adapter in ADAPTERS:
        wrong = request(adapter, secret="bukan-rahasia-yang-benar", basic="kobo:bukan-rahasianya")
        answer = await door.request(**wrong)
        assert answer.status_code == 401, adapter
        assert answer.headers["content-type"] == "application/problem+json"
    assert await kept(redis_url) == []


@pytest.mark.parametrize("body", [b"<?xml version='1.0'?><data/>", b"[" * 50_000, b"\x00\xff", b""])
async def test_what_an_authentic_sender_says_is_never_refused_for_what_it_says(
    door: httpx.AsyncClient, redis_url: str, body: bytes
) -> None:
    # Without parameters there is nothing that Twilio could have signed.
    heard = [adapter for adapter in ADAPTERS if adapter != "twilio" or body != b"\x00\xff"]
    for adapter in heard:
        answer = await door.request(**request(adapter, body))
        assert answer.status_code == STATUS.get(adapter, 200), adapter
    entries = await kept(redis_url)
    assert [entry[b"adapter"].decode() for entry in entries] == heard
    assert {opened(entry) for entry in entries} == {body}


async def test_whatsapp_shakes_hands_with_who_knows_the_token_only(door: httpx.AsyncClient) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "sandi-jabat-tangan"}
    answer = await door.get("/v1/reports/whatsapp", params=query)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    for wrong in ({"hub.verify_token": "lain"}, {"hub.mode": "x"}, {"hub.challenge": "<script>"}):
        assert (await door.get("/v1/reports/whatsapp", params={**query, **wrong})).status_code == 401
    assert (await door.get("/v1/reports/kobo", params=query)).status_code == 405


@pytest.mark.parametrize(
    ("adapter", "body"),
    [
        ("whatsapp", posted("whatsapp_status.json")),
        ("telegram", b'{"update_id": 5}'),
        ("odk", b'{"type":"submission.update","id":"uuid:1","data":{"reviewState":"approved"}}'),
        ("twilio", b"MessageStatus=delivered&MessageSid=SM1"),
    ],
)
async def test_what_holds_no_report_is_answered_and_not_kept(
    door: httpx.AsyncClient, redis_url: str, adapter: str, body: bytes
) -> None:
    assert (await door.request(**request(adapter, body))).status_code == 200
    assert await kept(redis_url) == []


async def test_a_gateway_may_send_a_query_and_its_secret_is_not_kept(door: httpx.AsyncClient, redis_url: str) -> None:
    query = {"from": "+62812", "text": "ada amplop & sembako", "kunci": SECRET}
    assert (await door.get("/v1/reports/sms-get", params=query)).status_code == 200
    [entry] = await kept(redis_url)
    assert opened(entry) == b"from=%2B62812&text=ada+amplop+%26+sembako"
    assert (await door.get("/v1/reports/sms-get", params={**query, "kunci": "lain"})).status_code == 401


async def test_a_signed_query_is_what_was_signed(door: httpx.AsyncClient, redis_url: str) -> None:
    def signature(content: bytes) -> dict[str, str]:
        return {"x-hub-signature-256": "sha256=" + hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()}

    query = "from=0812&text=ada+amplop"
    assert (await door.get(f"/v1/reports/sms-hmac?{query}", headers=signature(b""))).status_code == 401
    assert (await door.get(f"/v1/reports/sms-hmac?{query}", headers=signature(query.encode()))).status_code == 200
    assert len(await kept(redis_url)) == 1


async def test_a_sender_outside_its_addresses_is_not_heard(door: httpx.AsyncClient, redis_url: str) -> None:
    call = {**request("kobo"), "url": "/v1/reports/terbatas"}
    assert (await door.request(**call)).status_code == 401
    service = door._transport.app  # type: ignore[attr-defined]
    assert (await client(service, "10.1.2.3").request(**call)).status_code == 202
    assert len(await kept(redis_url)) == 1


async def test_who_reports_too_little_is_asked_once_with_the_receipt(door: httpx.AsyncClient) -> None:
    vague = {"message_id": 1, "from": {"id": 9}, "chat": {"id": 9, "type": "private"}, "text": "ada yang bagi amplop"}
    first = await door.request(**request("telegram", json.dumps({"update_id": 1, "message": vague}).encode()))
    assert first.json()["method"] == "sendMessage"
    assert first.json()["chat_id"] == "9"
    assert "SJ-" in first.json()["text"]
    assert "di mana" in first.json()["text"]
    more = {**vague, "message_id": 2, "text": "cepat ya"}
    second = await door.request(**request("telegram", json.dumps({"update_id": 2, "message": more}).encode()))
    assert second.json() == {}

    group = {**vague, "message_id": 3, "from": {"id": 10}, "chat": {"id": -5, "type": "group"}}
    third = await door.request(**request("telegram", json.dumps({"update_id": 3, "message": group}).encode()))
    assert third.json() == {}, "in a group everybody would read it"

    sms = await door.request(**request("twilio", b"Body=ada+amplop&From=%2B62813&MessageSid=SM7"))
    assert sms.headers["content-type"].startswith("text/xml")
    assert sms.text.startswith("<Response><Message>Terima kasih")
    flow = await door.request(**request("rapidpro"))
    assert "SJ-" in flow.json()["reply"]
    assert (await door.request(**request("ushahidi"))).json() == {"status": 200}


async def test_an_overloaded_store_answers_503_to_every_channel(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Redis.from_url(redis_url) as redis:
        for _ in range(3):
            await redis.xadd(SUBMISSIONS.name, {"body": "x"})
    async with running(webhook(redis_url, tmp_path, monkeypatch, backlog_high_water=1)) as service:
        door = client(service)

        async def all_are_told() -> bool:
            answers = [await door.request(**request(adapter)) for adapter in ADAPTERS]
            return all(answer.status_code == 503 and "retry-after" in answer.headers for answer in answers)

        await eventually(all_are_told)
