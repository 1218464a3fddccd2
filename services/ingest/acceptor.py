"""Durable acceptance: many requests share one write to Redis, and the same submission is kept once.

A write starts as soon as the one before it has returned and takes along all that waited meanwhile: no request waits for
a clock, and a thousand concurrent ones cost a few round trips.
"""

import asyncio
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import cast

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from services.ingest.submission import Submission
from shared.bus.connection import Connections
from shared.bus.partitions import UNDIVIDED, Partitions
from shared.bus.receipts import receipt_prefix, receipt_value
from shared.bus.streams import SUBMISSIONS, Stream
from shared.contracts import ReceiptStage
from shared.vault.envelope import Sealer, binding_of

log = structlog.get_logger()

# A submission is written unless the same content lies under the same receipt already. Both in one step: a crash leaves
# either nothing or all, and two copies that arrive at once count once. All but the bodies comes packed in one argument:
# the client spends more on each argument than Redis on taking them out of it.
_ACCEPT = """
local new = {}
for i, one in ipairs(cmsgpack.unpack(ARGV[2])) do
    local hash, receipt, report_id, source, adapter, received_ms, value = unpack(one)
    local known = redis.call('GET', KEYS[i + 1])
    if known and string.sub(known, -#hash) == hash then
        redis.call('EXPIRE', KEYS[i + 1], ARGV[1])
        new[i] = 0
    else
        redis.call('XADD', KEYS[1], '*', 'receipt', receipt, 'report_id', report_id, 'source', source,
            'adapter', adapter, 'received_ms', received_ms, 'content_hash', hash, 'body', ARGV[i + 2])
        redis.call('SET', KEYS[i + 1], value, 'EX', ARGV[1])
        new[i] = 1
    end
end
return new
"""
_SHA = hashlib.sha1(_ACCEPT.encode(), usedforsecurity=False).hexdigest()
"""What Redis knows the script by."""
_pack = msgspec.msgpack.encode
_PER_CALL = 200
_MOST_WAITING = 50_000
_REPLICA_MILLISECONDS = 2_000


class OverloadedError(Exception):
    """Nothing can be kept right now; the sender must try again later."""


class Acceptor:
    """Writes submissions to their stream, each to the partition of its receipt.

    Args:
        connections: to the servers that keep them.
        sealer: seals each body before it leaves this process, so that nothing lies in clear in Redis or its files.
        receipt_seconds: how long a receipt and its duplicate check are remembered.
        replicas: how many replicas of that server must hold a submission as well before it counts as kept.
        partitions: how the stream is split.
    """

    def __init__(
        self,
        connections: Connections,
        sealer: Sealer,
        *,
        receipt_seconds: int,
        replicas: int = 0,
        partitions: Partitions = UNDIVIDED,
    ) -> None:
        self._connections = connections
        self._partitions = partitions
        self._sealer = sealer
        self._replicas = replicas
        self._receipt_seconds = receipt_seconds
        self._waiting: list[tuple[Sequence[Submission], asyncio.Future[list[bool]]]] = []
        self._waiting_submissions = 0
        self._writer: asyncio.Task[None] | None = None

    async def accept(self, submissions: Sequence[Submission]) -> list[bool]:
        """Keep submissions durably.

        Returns:
            For each whether it is new; a repetition of what is kept already is not written again.

        Raises:
            OverloadedError: Redis does not answer or refuses to write, or too much waits already.
        """
        if self._waiting_submissions + len(submissions) > _MOST_WAITING:
            raise OverloadedError("too many submissions are waiting to be kept")
        kept: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._waiting.append((submissions, kept))
        self._waiting_submissions += len(submissions)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return await kept

    async def _write_all(self) -> None:
        while self._waiting:
            taken, self._waiting, self._waiting_submissions = self._waiting, [], 0
            together = [submission for submissions, _ in taken for submission in submissions]
            answers = iter(await self._write_apart(together))
            for submissions, kept in taken:
                theirs = list(itertools.islice(answers, len(submissions)))
                if kept.done():
                    continue
                if None in theirs:
                    kept.set_exception(OverloadedError("the store of submissions does not answer"))
                else:
                    kept.set_result(cast(list[bool], theirs))

    async def _write_apart(self, submissions: Sequence[Submission]) -> Sequence[bool | None]:
        """Write each to its partition; for each whether it is new, or `None` when it could not be kept."""
        if self._partitions.count == 1:
            return await self._write_if_possible(0, submissions)
        places: dict[int, list[int]] = defaultdict(list)
        for place, one in enumerate(submissions):
            places[self._partitions.of(one.receipt)].append(place)
        found: list[bool | None] = [None] * len(submissions)

        async def one_partition(partition: int, theirs: list[int]) -> None:
            answers = await self._write_if_possible(partition, [submissions[place] for place in theirs])
            for place, answer in zip(theirs, answers, strict=True):
                found[place] = answer

        await asyncio.gather(*(one_partition(partition, theirs) for partition, theirs in places.items()))
        return found

    async def _write_if_possible(self, partition: int, submissions: Sequence[Submission]) -> Sequence[bool | None]:
        try:
            return await self._write(partition, submissions)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for an answer for ever
            log.warning("submissions_not_kept", count=len(submissions), error=str(error))
            return [None] * len(submissions)

    async def _write(self, partition: int, submissions: Sequence[Submission]) -> list[bool]:
        stream = SUBMISSIONS.part(partition, self._partitions)
        redis = self._connections.of(stream.name)
        try:
            return await self._run_script(redis, stream, submissions)
        except NoScriptError:  # it is new to this server, or the server was restarted or emptied
            await redis.script_load(_ACCEPT)
            return await self._run_script(redis, stream, submissions)

    async def _run_script(self, redis: Redis, stream: Stream, submissions: Sequence[Submission]) -> list[bool]:
        prefix = receipt_prefix(stream.partition, self._partitions)
        async with redis.pipeline(transaction=False) as pipe:
            for start in range(0, len(submissions), _PER_CALL):
                part = submissions[start : start + _PER_CALL]
                keys = [stream.name, *(prefix + one.receipt for one in part)]
                entries = _pack([_entry(one) for one in part])
                bodies = [self._sealer.seal(one.body, binding_of(one.receipt, one.source)) for one in part]
                pipe.evalsha(_SHA, len(keys), *keys, self._receipt_seconds, entries, *bodies)
            if self._replicas:
                pipe.wait(self._replicas, _REPLICA_MILLISECONDS)
            answers = await pipe.execute()
        if self._replicas and (held := answers.pop()) < self._replicas:
            raise OverloadedError(f"{held} of {self._replicas} replicas hold what was written")
        return [bool(new) for answer in answers for new in answer]


def _entry(one: Submission) -> tuple[str, ...]:
    """What the script unpacks, in its order."""
    return (
        one.content_hash,
        one.receipt,
        str(one.report_id),
        one.source,
        one.adapter,
        str(one.received_ms),
        receipt_value(ReceiptStage.RECEIVED, one.content_hash),
    )
