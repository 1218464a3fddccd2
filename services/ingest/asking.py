"""Asking back: what a reporter is told in the webhook's own answer, where the channel carries one."""

import re
import secrets
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.ingest.adapters import Draft
from services.ingest.sender import sender_of

log = structlog.get_logger()

CONVERSATIONS = "salingjaga:{conversations}:"
"""Begins every key about conversations; the hash tag keeps those of one sender together in a Redis Cluster."""
CONVERSATION_SECONDS = 12 * 3600
"""A reporter is answered once in this time, however many messages come."""
LOOKED_AT_CHARACTERS = 2_000

_TIME = re.compile(
    r"\b(?:kemarin|kmrn|kemaren|tadi|td|semalam|semlm|barusan|sekarang|skrg|pagi|siang|sore|malam|mlm"
    r"|subuh|fajar|senin|selasa|rabu|kamis|jum.?at|sabtu|minggu|jam|pukul|pkl|tanggal|tgl|besok|lusa|baru saja"
    r"|\d{1,2}[/.-]\d{1,2}(?:[/.-]\d{2,4})?|\d{1,2}\s?(?:jan|feb|mar|apr|mei|jun|jul|agu|ags|sep|okt|nov|des)\w*)\b",
    re.IGNORECASE,
)


class Asking:
    """Words for the reporter, once in a conversation.

    Args:
        redis: remembers who was answered, under a keyed hash, and about which report.
        names_region: whether a text names a region.
        sender_key: key of that hash; empty: one of this process.
    """

    def __init__(self, redis: Redis, names_region: Callable[[str], bool], sender_key: bytes) -> None:
        self._redis = redis
        self._names_region = names_region
        self._key = sender_key or secrets.token_bytes(32)

    async def reply(self, source: str, draft: Draft, receipt: str, *, prior: str) -> str:
        """What to tell the reporter; empty when nothing, or when that cannot be decided now. Never raises."""
        if not draft.reporter:
            return ""
        key = answered_key(source, sender_of(draft.reporter, self._key))
        try:
            if not await self._redis.set(key, "", nx=True, ex=CONVERSATION_SECONDS):
                return ""
            if questions := self.missing(draft, prior=prior):
                await self._redis.set(key, receipt, xx=True, keepttl=True)
        except (RedisError, OSError) as error:
            log.warning("reporter_not_answered", source=source, error=type(error).__name__)
            return ""
        return words_for(receipt, questions)

    def missing(self, draft: Draft, *, prior: str) -> list[str]:
        """The questions a report leaves open, in Indonesian."""
        text = f"{draft.title}\n{draft.text}"[:LOOKED_AT_CHARACTERS]
        questions = []
        if not (draft.coordinates or prior or draft.region or self._names_region(text)):
            questions.append("di mana kejadiannya (desa, kecamatan, kabupaten/kota)")
        if not (draft.occurred_at or names_time(text)):
            questions.append("kapan kejadiannya (hari, tanggal, jam)")
        return questions


def answered_key(source: str, sender: str) -> str:
    """The Redis key that remembers that a sender was answered: the receipt asked about, or nothing."""
    return f"{CONVERSATIONS}answered:{source}:{sender}"


def names_time(text: str) -> bool:
    """Whether a text has a time, a date or a word of time."""
    return _TIME.search(text[:LOOKED_AT_CHARACTERS]) is not None


def words_for(receipt: str, questions: list[str]) -> str:
    """Thanks, the receipt, and the questions."""
    thanks = f"Terima kasih, laporan Anda sudah kami terima. Tanda terima: {receipt}."
    if not questions:
        return thanks
    return f"{thanks} Bila berkenan dan aman bagi Anda, mohon balas: {' dan '.join(questions)}?"
