"""What joining messages costs the normaliser, and Redis in memory: `python -m deploy.bench.conversations [MESSAGES]`.

The same WhatsApp messages through the same normaliser: of a source that joins nothing, of one where every message is
by another sender, and of one where each sender sends three. Incidents are left out; they cost the same in each.
"""

import asyncio
import base64
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from pydantic import SecretStr
from redis.asyncio import Redis

from deploy.bench.own_redis import own_redis
from deploy.bench.result import BenchError
from deploy.bench.texts import varied_texts
from services.ingest.conversations import Conversations, conversation_key
from services.ingest.normaliser import Normaliser
from services.ingest.sources import Source
from services.ingest.submission import Submission
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.calendar import Calendar
from shared.regions import RegionResolver
from shared.settings import DEPLOY_DIR, Settings
from shared.vault.envelope import Opener, Sealer, binding_of
from shared.vault.keys import KEY_BYTES, KeyRing

BATCH = 200
TEXT_CHARACTERS = 120
ROUNDS = 3
"""Each source in turn, so often; the best of each counts, since others may use the machine too."""


async def measure(messages: int) -> None:
    """Print microseconds a message for each source, and the bytes that are remembered.

    Raises:
        BenchError: there were too few messages to tell.
    """
    if messages < 10 * BATCH:
        raise BenchError(f"{messages} messages are too few; at least {10 * BATCH} are needed")
    async with own_redis() as redis:
        await _measure(redis, messages)


async def _measure(redis: Redis, messages: int) -> None:
    key = base64.b64encode(os.urandom(KEY_BYTES)).decode()
    ring = KeyRing(Settings(master_keys=SecretStr(f"bench:{key}")))
    calendar, resolver = Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml"), RegionResolver.load()
    kinds = {"joins nothing": (0, 1), "one message a sender": (5, 1), "three messages a sender": (5, 3)}
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(ROUNDS):
        for kind, (minutes, each) in kinds.items():
            await redis.flushall()
            source = Source.model_validate({
                "adapter": "whatsapp", "join_minutes": minutes,
                "auth": {"scheme": "static-header", "header": "X-Bench", "secret_env": "SALINGJAGA_SECRET_BENCH"},
            })  # fmt: skip
            normaliser = Normaliser(
                resolver,
                lambda: calendar,
                opener=Opener(ring),
                sender_key=b"bench",
                source={"bench": source}.get,
                conversations=Conversations(redis),
            )
            batches = _batches(messages, each, Sealer(ring))
            started = time.process_time()
            for batch in batches:
                await normaliser.handle(batch, Outbox())
            best[kind] = min(best[kind], (time.process_time() - started) / messages * 1e6)
            remembered = [key async for key in redis.scan_iter(match=conversation_key("bench", "*"), count=1000)]
            size = sum([await redis.memory_usage(key) or 0 for key in remembered[:200]]) / max(len(remembered[:200]), 1)
            sys.stdout.write(f"{kind}: {len(remembered):,} senders remembered, {size:.0f} bytes each\n")
    for kind, microseconds in best.items():
        sys.stdout.write(f"{kind}: {microseconds:.1f} microseconds a message\n")


def _batches(messages: int, each: int, sealer: Sealer) -> Sequence[list[Message]]:
    now = datetime.now(UTC)
    entries = []
    for number, text in enumerate(varied_texts(messages, characters=TEXT_CHARACTERS)):
        text = text if number % each == 0 else f"lanjutan pesan {number}: tadi malam"
        message = {"from": f"62812{number // each:08}", "id": f"wamid.{number}", "type": "text", "text": {"body": text}}
        body = msgspec.json.encode({"message": message})
        one = Submission.new(
            source="bench", adapter="whatsapp", external_id=f"wamid.{number}", content=body, body=body, received_at=now
        )
        fields = {
            "receipt": one.receipt, "report_id": str(one.report_id), "source": one.source, "adapter": one.adapter,
            "received_ms": str(one.received_ms), "content_hash": one.content_hash,
        }  # fmt: skip
        entry = {name.encode(): value.encode() for name, value in fields.items()}
        entries.append(Message(b"1-0", {**entry, b"body": sealer.seal(body, binding_of(one.receipt, one.source))}))
    return [entries[start : start + BATCH] for start in range(0, messages, BATCH)]


if __name__ == "__main__":
    try:
        asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 12_000))
    except (BenchError, ValueError) as error:
        sys.exit(f"The benchmark has no result: {error}")
