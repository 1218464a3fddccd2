"""Durable acceptance: many requests share one write to Redis, and the same submission is kept once.

A write starts as soon as the one before it has returned and takes along all that waited meanwhile: no request waits for
a clock, and a thousand concurrent ones cost a few round trips.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from services.ingest.submission import Submission
from shared.bus.receipts import receipt_key, receipt_value
from shared.bus.streams import SUBMISSIONS
from shared.contracts import ReceiptStage

log = structlog.get_logger()

# A submission is written unless the same content lies under the same receipt already. Both in one step: a crash leaves
# either nothing or all, and two copies that arrive at once count once.
_ACCEPT = """
local ttl, at, new = ARGV[1], 2, {}
for i = 2, #KEYS do
    local hash = ARGV[at]
    local known = redis.call('GET', KEYS[i])
    if known and string.sub(known, -#hash) == hash then
        new[#new + 1] = 0
    else
        redis.call('XADD', KEYS[1], '*', 'receipt', ARGV[at + 1], 'report_id', ARGV[at + 2], 'source', ARGV[at + 3],
            'adapter', ARGV[at + 4], 'received_ms', ARGV[at + 5], 'content_hash', hash, 'body', ARGV[at + 6])
        redis.call('SET', KEYS[i], ARGV[at + 7], 'EX', ttl)
        new[#new + 1] = 1
    end
    at = at + 8
end
return new
"""
_PER_CALL = 200
_MOST_WAITING = 50_000


class OverloadedError(Exception):
    """Nothing can be kept right now; the sender must try again later."""


class Acceptor:
    """Writes submissions to their stream.

    Args:
        redis: connection to the server that keeps them.
        receipt_seconds: how long a receipt and its duplicate check are remembered.
    """

    def __init__(self, redis: Redis, *, receipt_seconds: int) -> None:
        self._redis = redis
        self._receipt_seconds = receipt_seconds
        self._waiting: list[tuple[Submission, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._script_sha = ""

    async def accept(self, submissions: Sequence[Submission]) -> list[bool]:
        """Keep submissions durably.

        Returns:
            For each whether it is new; a repetition of what is kept already is not written again.

        Raises:
            OverloadedError: Redis does not answer or refuses to write, or too much waits already.
        """
        if len(self._waiting) + len(submissions) > _MOST_WAITING:
            raise OverloadedError("too many submissions are waiting to be kept")
        loop = asyncio.get_running_loop()
        futures = []
        for submission in submissions:
            future: asyncio.Future[bool] = loop.create_future()
            self._waiting.append((submission, future))
            futures.append(future)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        # Several failures of one write are one failure for the caller; gather would leave the others unread.
        results = await asyncio.gather(*futures, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, bool)]

    async def _write_all(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, []
            try:
                answers = await self._write([submission for submission, _ in taken])
            except (RedisError, OSError) as error:
                log.warning("submissions_not_kept", count=len(taken), error=str(error))
                for _, future in taken:
                    if not future.done():
                        future.set_exception(OverloadedError("the store of submissions does not answer"))
            else:
                for (_, future), answer in zip(taken, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)

    async def _write(self, submissions: list[Submission]) -> list[bool]:
        if not self._script_sha:
            self._script_sha = await self._redis.script_load(_ACCEPT)
        try:
            return await self._run_script(submissions)
        except NoScriptError:  # Redis was restarted or emptied
            self._script_sha = await self._redis.script_load(_ACCEPT)
            return await self._run_script(submissions)

    async def _run_script(self, submissions: list[Submission]) -> list[bool]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for start in range(0, len(submissions), _PER_CALL):
                keys: list[str] = [SUBMISSIONS.name]
                arguments: list[Any] = [self._receipt_seconds]
                for one in submissions[start : start + _PER_CALL]:
                    keys.append(receipt_key(one.receipt))
                    arguments += (
                        one.content_hash,
                        one.receipt,
                        str(one.report_id),
                        one.source,
                        one.adapter,
                        one.received_ms,
                        one.body,
                        receipt_value(ReceiptStage.RECEIVED, one.content_hash),
                    )
                pipe.evalsha(self._script_sha, len(keys), *keys, *arguments)
            answers = await pipe.execute()
        return [bool(new) for answer in answers for new in answer]
