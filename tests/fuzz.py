"""`python -m tests.fuzz --inputs 100000`: bad inputs through webhook, adapters and text handling; counts, memory.

Leaves with status 1 when an input made anything fail, or the webhook answer with 5xx.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.ingest.adapters import ADAPTERS, Fields, NotUnderstoodError
from services.ingest.clean import clean_text
from services.ingest.mask import mask
from tests.backends import start_redis
from tests.integration.test_webhook import NDJSON, Door, webhook
from tests.keys import MASTER_KEYS
from tests.running import running

SEEDS = (
    b'{"text":"Kades bagi uang Rp 50.000, hub 0812-3456-7890","region":"63.11","reporter":{"phone":"081234567890"}}',
    b'{"id":7,"text":"camat kampanye","occurred_at":"2024-11-24T10:00:00+07:00","attachments":[{"url":"x"}]}',
    b"Judul\n\nBawaslu mencegah politik uang di TPS 12. Surel budi at gmail dot com",
)
SHARP = (
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"1e999", b"NaN", b"-", b"[" * 500, b'{"a":' * 200),
    *(b"9" * 400, b"\xe2\x80\xae", b"\xf0\x9f\x98\x88", b'"', b"\\", b"\n", b"nol delapan ", b"@", b"0812", b"://"),
)
TURNS = (("/v1/reports/lapangan", "application/json"), ("/v1/reports/berita", "text/plain"))
EMPTIED_EVERY = 2_000
"""Inputs after which Redis is emptied, so that what is measured is the webhook and not the store."""


def bad_input(dice: random.Random) -> bytes:
    """A seed cut, doubled, and pierced at random places; or noise."""
    if dice.random() < 0.1:
        return dice.randbytes(dice.randrange(400))
    body = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(body) + 1)
        turn = dice.randrange(4)
        if turn == 0:
            body[at:at] = dice.choice(SHARP)
        elif turn == 1:
            del body[at : at + dice.randrange(1, 20)]
        elif turn == 2:
            body[at:at] = body[: dice.randrange(len(body) + 1)]
        else:
            body[at : at + 1] = dice.randbytes(1)
    return bytes(body[:20_000])


def parse(body: bytes) -> None:
    """Every parser that a body meets on its way."""
    for adapter in ADAPTERS.values():
        try:
            adapter.draft(body, Fields())
        except NotUnderstoodError:
            continue
    mask(clean_text(body.decode("utf-8", "replace")))


def memory_megabytes() -> float:
    """Peak resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1_048_576 if sys.platform == "darwin" else 1_024)


async def fuzz(url: str, folder: Path, inputs: int, seed: int) -> bool:
    """Run; print the figures; true when nothing failed."""
    dice = random.Random(seed)
    statuses: Counter[int] = Counter()
    failures: Counter[str] = Counter()
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALINGJAGA_MASTER_KEYS", MASTER_KEYS)
        async with running(webhook(url, folder, patch)) as service, Redis.from_url(url) as redis:
            door = Door(service)
            settled = 0.0
            for number in range(inputs):
                body = bad_input(dice)
                path, media_type = TURNS[number % 2]
                if number % 10 == 9:
                    path, media_type = TURNS[0][0] + "/batch", NDJSON
                try:
                    statuses[(await door.post(body, path=path, media_type=media_type)).status_code] += 1
                    parse(body)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
                    failures[type(error).__name__] += 1
                    sys.stderr.write(f"input {number}: {type(error).__name__}: {body[:200]!r}\n")
                if number % EMPTIED_EVERY == 0:
                    await redis.flushall()
                if number == inputs // 10:
                    settled = memory_megabytes()
    figures = {
        "inputs": inputs,
        "seed": seed,
        "statuses": dict(sorted(statuses.items())),
        "failures": dict(failures),
        "peak_memory_mb_after_a_tenth": round(settled, 1),
        "peak_memory_mb_at_the_end": round(memory_megabytes(), 1),
        "seconds": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return not failures and all(status < 500 for status in statuses)


def main() -> None:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--inputs", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    os.environ["SALINGJAGA_MASTER_KEYS"] = MASTER_KEYS
    with tempfile.TemporaryDirectory() as folder, start_redis(Path(folder)) as redis:
        sys.exit(0 if asyncio.run(fuzz(redis.url, Path(folder), chosen.inputs, chosen.seed)) else 1)


if __name__ == "__main__":
    main()
