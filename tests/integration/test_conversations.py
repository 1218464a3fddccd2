"""Messages of one sender through webhook and normaliser: one report, whatever is delivered again, killed or asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from services.ingest.app import build
from services.ingest.conversations import Conversations, Said, Turn, pack, unpack
from shared.bus.partitions import UNDIVIDED
from shared.bus.receipts import receipt_key
from shared.bus.streams import REPORTS, SUBMISSIONS
from shared.contracts import Report
from shared.service import Service
from shared.settings import Settings
from tests.channels import SECRETS, SOURCES, request
from tests.running import eventually, running

SENDER_KEY = "kunci-pengirim-uji"
PHONE = "6281234500007"
WHOLE = "ada bagi2 uang\ndi desa X paringin\ntadi malam"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def settings(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "sources.yaml").write_text(f"sources:{SOURCES}")
    calendar = Path(__file__).parents[2] / "deploy" / "config" / "calendar.yaml"
    (tmp_path / "calendar.yaml").write_bytes(calendar.read_bytes())
    return Settings(
        redis_url=redis_url, config_dir=tmp_path, clickhouse_port=1, sender_key=SENDER_KEY, claim_idle_seconds=0.5
    )


@pytest.fixture
async def ingest(settings: Settings) -> AsyncIterator[Service]:
    async with running(build(settings)) as service:
        yield service


def client(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://ingest")


def telegram(number: int, text: str, *, sender: int = 9, edited: bool = False) -> dict[str, Any]:
    message = {"message_id": number, "from": {"id": sender}, "chat": {"id": sender, "type": "private"}, "text": text}
    update = {"update_id": number + 100 * edited, "edited_message" if edited else "message": message}
    return request("telegram", json.dumps(update).encode())


def whatsapp(*texts: str, sender: str = PHONE) -> dict[str, Any]:
    messages = [
        {"from": sender, "id": f"wamid.{sender}.{number}.{text[:4]}", "type": "text", "text": {"body": text}}
        for number, text in enumerate(texts)
    ]
    value = {"messaging_product": "whatsapp", "metadata": {}, "messages": messages}
    return request("whatsapp", json.dumps({"entry": [{"changes": [{"value": value}]}]}).encode())


async def normalised(redis: Redis, count: int) -> list[Report]:
    """The reports that stand once so many submissions were normalised: of each id the last."""

    async def done() -> bool:
        [group] = [one for one in await redis.xinfo_groups(SUBMISSIONS.name) if one["name"] == b"normaliser"]
        stream = await redis.xinfo_stream(SUBMISSIONS.name)
        read = group["last-delivered-id"] == stream["last-generated-id"] and not group["pending"]
        return bool(read and stream["length"] == count)

    await eventually(done)
    entries = await redis.xrange(REPORTS.name)
    reports = [Report.model_validate_json(fields[b"body"]) for _, fields in entries]
    return list({report.report_id: report for report in reports}.values())


async def test_three_messages_of_one_sender_are_one_report_and_keep_a_receipt_each(
    ingest: Service, redis: Redis
) -> None:
    door = client(ingest)
    receipts = []
    for number, text in enumerate(WHOLE.splitlines(), 1):
        answer = await door.request(**whatsapp(text))
        receipts += answer.json()["receipts"]
        [report] = await normalised(redis, number)
    assert report.text == WHOLE
    assert report.region is not None
    assert report.region.code == "63.11"
    assert report.receipt == receipts[0]
    assert report.notes == ("gabungan 3 pesan dari satu pengirim",)
    assert [part.receipt for part in report.parts] == receipts
    for receipt in receipts:
        answer = await door.get(f"/v1/receipts/{receipt}")
        assert answer.json()["stage"] == "normalised"


async def test_one_call_with_several_messages_is_one_report_too(ingest: Service, redis: Redis) -> None:
    answer = await client(ingest).request(**whatsapp(*WHOLE.splitlines()))
    [report] = await normalised(redis, 3)
    assert report.text == WHOLE
    assert list(report.receipts) == answer.json()["receipts"]


async def test_others_and_other_channels_and_forms_are_not_mixed_in(ingest: Service, redis: Redis) -> None:
    door = client(ingest)
    await door.request(**whatsapp("ada bagi2 uang"))
    await door.request(**whatsapp("tadi malam", sender="6281234500008"))
    await door.request(**telegram(1, "di desa X paringin"))
    for number in range(2):
        body = {"_uuid": f"k{number}", "kronologi": "ada amplop", "no_hp": PHONE}
        await door.request(**request("kobo", json.dumps(body).encode()))
    assert len(await normalised(redis, 5)) == 5


async def test_an_edited_message_is_corrected_in_its_place(ingest: Service, redis: Redis) -> None:
    door = client(ingest)
    for call in (telegram(1, "ada bagi2 uang"), telegram(2, "di desa X"), telegram(3, "tadi malam")):
        await door.request(**call)
    await normalised(redis, 3)
    await door.request(**telegram(2, "di desa X paringin", edited=True))
    [report] = await normalised(redis, 4)
    assert report.text == WHOLE
    assert len(report.parts) == 3


async def test_what_is_delivered_again_changes_nothing(ingest: Service, redis: Redis) -> None:
    await client(ingest).request(**whatsapp(*WHOLE.splitlines()))
    before = await normalised(redis, 3)
    entries = await redis.xrange(SUBMISSIONS.name)
    for _, fields in (*reversed(entries), *entries):
        await redis.xadd(SUBMISSIONS.name, fields)
    assert await normalised(redis, 9) == before


async def test_a_normaliser_that_dies_before_it_has_handed_on_costs_nothing(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(build(settings, normaliser=False)) as door:
        await client(door).request(**whatsapp(*WHOLE.splitlines()))
    whole = Conversations.take

    async def remembered_and_then_dead(self: Conversations, messages: list[Said]) -> Any:
        await whole(self, messages)
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(Conversations, "take", remembered_and_then_dead)
        async with running(build(settings, webhook=False)):
            await eventually(lambda: exists(redis, "salingjaga:{conversations}:messages:*"))
    assert await redis.xlen(REPORTS.name) == 0
    async with running(build(settings, webhook=False)):
        [report] = await normalised(redis, 3)
    assert report.text == WHOLE


async def test_normalisers_that_meet_one_conversation_at_once_lose_no_message_of_it(redis: Redis) -> None:
    def a_turn(number: int) -> Said:
        entry = {b"receipt": b"%d" % number, b"received_ms": b"%d" % number}
        turn = Turn(entry, number, characters=10, place="", placed=False, dated=False)
        return Said("wa", "s", turn, window_ms=60_000)

    taken = await asyncio.gather(*(Conversations(redis).take([a_turn(number)]) for number in range(8)))
    openers = {conversation.opener for [conversation] in taken}
    assert len(openers) == 1
    [[final]] = [await Conversations(redis).take([a_turn(0)])]
    assert [turn.at_ms for turn in final.turns] == list(range(8))


async def test_nothing_of_a_sender_is_remembered_in_clear_and_it_expires(ingest: Service, redis: Redis) -> None:
    await client(ingest).request(**whatsapp("saya Zulkifli 081234500007", "ada amplop"))
    await normalised(redis, 2)
    [key] = [key async for key in redis.scan_iter(match="salingjaga:{conversations}:messages:*")]
    value = await redis.get(key)
    for clear in (b"Zulkifli", PHONE.encode(), b"amplop"):
        assert clear not in value
        assert clear not in key
    assert 0 < await redis.ttl(key) <= 48 * 3600


async def test_the_answer_to_our_question_joins_the_report_asked_about(ingest: Service, redis: Redis) -> None:
    door = client(ingest)
    asked = await door.request(**telegram(1, "tim paslon bagi2 uang suruh pilih nomor 2"))
    assert "di mana" in asked.json()["text"]
    await normalised(redis, 1)
    await an_hour_ago(redis)
    told = await door.request(**telegram(2, "di desa X paringin"))
    assert told.json() == {}, "asked once"
    [report] = await normalised(redis, 2)
    assert report.text.endswith("nomor 2\ndi desa X paringin")
    assert report.region is not None
    assert report.receipt in asked.json()["text"]


async def test_without_a_question_an_hour_later_is_another_report(ingest: Service, redis: Redis) -> None:
    door = client(ingest)
    await door.request(**whatsapp("tim paslon bagi2 uang suruh pilih nomor 2"))
    await normalised(redis, 1)
    await an_hour_ago(redis)
    await door.request(**whatsapp("di desa X paringin"))
    assert len(await normalised(redis, 2)) == 2


async def test_without_a_sender_key_nothing_is_joined(settings: Settings, redis: Redis) -> None:
    keyless = settings.model_copy(update={"sender_key": Settings().sender_key})
    async with running(build(keyless)) as service:
        await client(service).request(**whatsapp(*WHOLE.splitlines()))
        assert len(await normalised(redis, 3)) == 3


async def an_hour_ago(redis: Redis) -> None:
    """Let all that is remembered of conversations have happened an hour earlier."""
    async for key in redis.scan_iter(match="salingjaga:{conversations}:messages:*"):
        known = unpack(await redis.get(key))
        earlier = [
            replace(one, turns=tuple(replace(turn, at_ms=turn.at_ms - 3_600_000) for turn in one.turns))
            for one in known
        ]
        await redis.set(key, pack(earlier), keepttl=True)


async def exists(redis: Redis, pattern: str) -> bool:
    return bool([key async for key in redis.scan_iter(match=pattern)])


async def test_a_receipt_follows_its_report_until_it_expires(ingest: Service, redis: Redis) -> None:
    answer = await client(ingest).request(**whatsapp("ada amplop", "di paringin"))
    await normalised(redis, 2)
    for receipt in answer.json()["receipts"]:
        assert await redis.ttl(receipt_key(receipt, UNDIVIDED)) > 0
