"""The webhook: takes a request, checks who sent it and what it says, keeps it, and answers with a receipt."""

import asyncio
import os
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.ingest.acceptor import Acceptor, OverloadedError
from services.ingest.adapters import ADAPTERS, Adapter, NotUnderstoodError, Problem, Read
from services.ingest.asking import Asking
from services.ingest.auth import Head, HubSignatureAuth, SecretInUrlAuth, same_secret
from services.ingest.openapi import OPENAPI
from services.ingest.problem import Refusal, describe
from services.ingest.receipt_page import HEADERS, PAGE, STAGE_WORDS, receipt_page, refusal_page, wants_page
from services.ingest.signature import SignatureError
from services.ingest.sources import Source, Sources
from services.ingest.submission import Submission
from shared.bus.connection import Connections
from shared.bus.errors import DependencyAwayError
from shared.bus.partitions import Partitions
from shared.bus.receipts import parse_receipt, read_receipt_value, receipt_key
from shared.bus.streams import flowing_parts
from shared.config.errors import ConfigError
from shared.config.yaml_file import WatchedFile
from shared.contracts import ReceiptStage
from shared.http import BodyRefusedError, Receive, Scope, Send, read_body, respond
from shared.limits import RateLimit, StrangerLimit
from shared.observability import metrics
from shared.settings import Settings
from shared.vault.envelope import Sealer

log = structlog.get_logger()

BATCH_FACTOR = 8
"""A batch may be this many times as large as a single report."""
BATCH_LINES = 10_000
BODY_SECONDS = 30
WATCH_SECONDS = 0.5
CONFIG_SECONDS = 2.0
OVERLOAD_RETRY_SECONDS = 5
MEMORY_SHARE = 0.7
"""Share of Redis' memory above which nothing more is taken in."""
NDJSON = "application/x-ndjson"
PREFIX = "/v1/reports/"
RECEIPTS = "/v1/receipts/"
_RECEIPTS = RECEIPTS.encode()
_CHALLENGE = re.compile(r"[A-Za-z0-9_.-]{1,200}")

_encode = msgspec.json.encode


class Webhook:
    """The HTTP side of ingest, an ASGI application.

    Args:
        settings: limits.
        connections: to where submissions are kept.
        sealer: seals them.
        sources: who may send.
        knows_region: whether a region given by a sender exists.
        is_archived: whether the warehouse holds a receipt that Redis no longer remembers.
        asking: what reporters are told in the answer, where their channel carries one.
    """

    def __init__(
        self,
        settings: Settings,
        connections: Connections,
        sealer: Sealer,
        sources: WatchedFile[Sources],
        *,
        knows_region: Callable[[str], bool],
        is_archived: Callable[[str], Awaitable[bool]],
        asking: Asking,
    ) -> None:
        self._settings = settings
        self._connections = connections
        self._partitions = Partitions(settings.partitions)
        self._sources = sources
        self._knows_region = knows_region
        self._is_archived = is_archived
        self._asking = asking
        self._acceptor = Acceptor(
            connections,
            sealer,
            receipt_seconds=settings.receipt_days * 86_400,
            replicas=settings.redis_replicas,
            partitions=self._partitions,
        )
        self._keys: dict[str, tuple[bytes, ...]] = {}
        self._active: dict[str, Source] = {}
        self._counters: dict[str, tuple[Counter, Counter]] = {}
        self._rates: dict[str, RateLimit] = {}
        self._strangers = StrangerLimit()
        self._guessers = StrangerLimit()
        self._overload = ""
        self._take_over_sources()

    async def watch(self) -> None:
        """Follow the backlog and the configuration; runs as long as the service."""
        config_due = 0.0
        while True:
            await self._watch_backlog()
            if time.monotonic() >= config_due:
                if self._sources.refresh():
                    self._try_new_sources()
                config_due = time.monotonic() + CONFIG_SECONDS
            await asyncio.sleep(WATCH_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path, method = scope["path"], scope["method"]
        source = "-"
        try:
            if path.startswith(PREFIX):
                name, _, rest = path[len(PREFIX) :].partition("/")
                if name not in self._keys:
                    raise Refusal(404, "Unknown source", "No source of that name is configured in sources.yaml.")
                source = name
                await self._open(name, rest, scope, receive, send)
            elif path.startswith(RECEIPTS) and method in ("GET", "HEAD"):
                await self._tell(path[len(RECEIPTS) :], scope, send)
            elif path == "/openapi.json":
                await respond(send, 200, OPENAPI)
            else:
                raise Refusal(404, "Not found", "See /openapi.json for what there is.")
        except Refusal as refusal:
            await refusal.send(send, source)

    # Taking reports

    async def _open(self, name: str, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        source, method, batch = self._active[name], scope["method"], rest == "batch"
        if rest and not batch and not isinstance(source.auth, SecretInUrlAuth):
            raise Refusal(404, "Not found", "Post to /v1/reports/{source} or /v1/reports/{source}/batch.")
        head = Head(dict(scope["headers"]), scope.get("query_string", b""), "" if batch else rest)
        if method == "GET" and isinstance(source.auth, HubSignatureAuth) and source.auth.verify_token_env:
            await self._shake_hands(source.auth.verify_token_env, head.query, scope, send)
        elif method == "POST" or (method == "GET" and ADAPTERS[source.adapter].takes_query):
            await self._take(name, source, batch, head, scope, receive, send)
        else:
            raise Refusal(405, "Method not allowed", "Reports are posted.")

    async def _shake_hands(self, variable: str, query: bytes, scope: Scope, send: Send) -> None:
        """Meta asks once, by GET, whether this is the address that its owner meant."""
        given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
        tokens = [token.encode() for token in os.environ.get(variable, "").split()]
        challenge = given.get("hub.challenge", "")
        fits = same_secret(given.get("hub.verify_token", "").encode(), tokens)
        if not (fits and given.get("hub.mode") == "subscribe" and _CHALLENGE.fullmatch(challenge)):
            raise self._not_proven(_address(scope), f"hub.verify_token must be what {variable} holds.")
        await respond(send, 200, challenge.encode(), b"text/plain")

    async def _take(
        self, name: str, source: Source, batch: bool, head: Head, scope: Scope, receive: Receive, send: Send
    ) -> None:
        adapter = ADAPTERS[source.adapter]
        limit = self._settings.body_limit_bytes * (BATCH_FACTOR if batch else 1)
        address = _address(scope)
        try:
            if not source.allows(address):
                raise SignatureError("This address is not among those the source sends from.")
            # What the headers alone give away is refused before a byte of the body is read.
            prove = source.auth.begin(head, self._keys[name], time.time())
            if scope["method"] == "GET":
                body = _query(source, head)
            else:
                body = await _read_body(head.headers, receive, limit)
            prove(body)
        except SignatureError as error:
            raise self._not_proven(address, str(error)) from None
        if adapter.media_types or batch:
            _check_media_type(head.headers, adapter, batch)
        if self._overload:
            raise Refusal(503, "Overloaded", self._overload, retry_after_seconds=OVERLOAD_RETRY_SECONDS)
        if batch:
            await self._take_batch(name, adapter, source, body, send)
        else:
            await self._take_one(name, adapter, source, body, send)

    async def _take_one(self, name: str, adapter: Adapter, source: Source, body: bytes, send: Send) -> None:
        now = datetime.now(UTC)
        try:
            reads = adapter.read(body, source.fields)
            submissions = [self._submission(name, source, read, body, now) for read in reads]
        except NotUnderstoodError as error:
            raise Refusal(400 if error.broken else 422, error.title, problems=error.problems) from None
        self._check_rate(name, len(reads) or 1)
        repeated = await self._keep(name, submissions) if submissions else 0
        receipts = [one.receipt for one in submissions]
        if adapter.answer:
            draft = reads[0].draft if reads else None
            reply = ""
            if draft and source.reply and not repeated:
                reply = await self._asking.reply(name, draft, receipts[0], prior=source.prior(draft.receivers))
            answer = adapter.answer(receipts, reply, draft)
            await respond(send, answer.status, answer.body, answer.content_type)
        elif receipts:
            receipt, note = receipts[0].encode(), b',"repeated":true' if repeated else b""
            await respond(send, 202, b'{"receipt":"%b","status_url":"%b%b"%b}' % (receipt, _RECEIPTS, receipt, note))
        else:
            await respond(send, 200, b'{"ignored":true}')

    async def _take_batch(self, name: str, adapter: Adapter, source: Source, body: bytes, send: Send) -> None:
        lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line and not line.isspace()]
        if not lines:
            raise Refusal(422, "The batch is empty", "Send one report a line.")
        if len(lines) > BATCH_LINES:
            raise Refusal(413, "Too many lines", f"Send at most {BATCH_LINES:,} lines in one batch.")
        self._check_rate(name, len(lines))
        now = datetime.now(UTC)
        submissions: list[Submission] = []
        receipts: list[str | None] = []
        errors: list[dict[str, Any]] = []
        for number, line in lines:
            try:
                if len(line) > self._settings.body_limit_bytes:
                    raise NotUnderstoodError(f"The line is longer than {self._settings.body_limit_bytes:,} bytes")
                submission = self._submission(name, source, adapter.read(line, source.fields)[0], line, now)
            except NotUnderstoodError as error:
                receipts.append(None)
                errors.append({"line": number, "title": error.title, "errors": describe(error.problems)})
            else:
                receipts.append(submission.receipt)
                submissions.append(submission)
        repeated = await self._keep(name, submissions) if submissions else 0
        if errors:
            metrics.refused.labels(name, "line").inc(len(errors))
        answer = {
            "accepted": len(submissions),
            "repeated": repeated,
            "rejected": len(errors),
            "receipts": receipts,
            "errors": errors,
        }
        await respond(send, 202, _encode(answer))

    def _submission(self, name: str, source: Source, read: Read, body: bytes, now: datetime) -> Submission:
        if read.region and not self._knows_region(read.region):
            problem = Problem("/region", "no province, regency or city of that code or name; leave it out if unsure")
            raise NotUnderstoodError("Unknown region", [problem])
        return Submission.new(
            source=name,
            adapter=source.adapter,
            external_id=read.external_id,
            content=read.content,
            body=body if read.body is None else read.body,
            received_at=now,
        )

    async def _keep(self, name: str, submissions: list[Submission]) -> int:
        try:
            new = await self._acceptor.accept(submissions)
        except OverloadedError as error:
            raise Refusal(503, "Not kept", str(error), retry_after_seconds=OVERLOAD_RETRY_SECONDS) from None
        repeated = new.count(False)
        accepted, known = self._counters[name]
        accepted.inc(len(new) - repeated)
        known.inc(repeated)
        return repeated

    # Checks

    def _not_proven(self, address: str, words: str) -> Refusal:
        """The refusal of a failed proof; one that succeeds is never barred, whoever else is behind its address."""
        now = time.monotonic()
        if barred := self._strangers.barred_for(address, now):
            return Refusal(429, "Too many failed signatures from this address", retry_after_seconds=barred)
        self._strangers.failed(address, now)
        return Refusal(401, "Signature refused", words)

    def _check_rate(self, name: str, count: int) -> None:
        if (rate := self._rates.get(name)) and (wait := rate.take(count, time.monotonic())):
            raise Refusal(503, "Over the rate of this source", "Send later.", retry_after_seconds=wait)

    async def _watch_backlog(self) -> None:
        try:
            longest, fullest = await self._fill()
        except (RedisError, OSError):
            self._overload = "The store of submissions does not answer."
            return
        if longest > self._settings.backlog_high_water:
            self._overload = "Too many reports wait to be processed."
        elif fullest > MEMORY_SHARE:
            # What is under way needs room to flow on: a Redis that is full to the brim can acknowledge nothing.
            self._overload = "The store of submissions is nearly full."
        else:
            self._overload = ""

    async def _fill(self) -> tuple[int, float]:
        """How many entries the longest stream has, and which share of its memory the fullest server uses."""
        names: dict[Redis, list[str]] = defaultdict(list)
        for stream in flowing_parts(self._partitions):
            names[self._connections.of(stream.name)].append(stream.name)

        async def fill_of(redis: Redis, its: list[str]) -> tuple[int, float]:
            async with redis.pipeline(transaction=False) as pipe:
                for name in its:
                    pipe.xlen(name)
                pipe.info("memory")
                *lengths, memory = await pipe.execute()
            return max(lengths), memory["used_memory"] / memory["maxmemory"] if memory["maxmemory"] else 0.0

        found = await asyncio.gather(*(fill_of(redis, its) for redis, its in names.items()))
        return max(length for length, _ in found), max(share for _, share in found)

    def _try_new_sources(self) -> None:
        try:
            self._take_over_sources()
        except ConfigError as error:
            log.error("configuration_broken", problem=str(error), kept="the sources that were valid before")

    def _take_over_sources(self) -> None:
        sources = self._sources.content.sources
        self._keys = {name: source.auth.keys() for name, source in sources.items()}
        self._active = sources
        self._counters = {name: (metrics.accepted.labels(name), metrics.repeated.labels(name)) for name in sources}
        self._rates = {
            name: RateLimit(source.rate_per_minute) for name, source in sources.items() if source.rate_per_minute
        }

    # Telling how far a report has come

    async def _tell(self, text: str, scope: Scope, send: Send) -> None:
        page = wants_page(scope)
        try:
            receipt, stage = await self._look_up(text, _address(scope))
        except Refusal as refusal:
            if not page:
                raise
            metrics.refused.labels("-", str(refusal.status)).inc()
            await respond(send, refusal.status, refusal_page(refusal), PAGE, HEADERS)
            return
        if page:
            await respond(send, 200, receipt_page(receipt, stage), PAGE, HEADERS)
            return
        answer = {"receipt": receipt, "stage": stage.value, "message": STAGE_WORDS[stage]}
        await respond(send, 200, _encode(answer), headers=[(b"cache-control", b"no-store")])

    async def _look_up(self, text: str, address: str) -> tuple[str, ReceiptStage]:
        receipt = parse_receipt(text)
        if receipt is None:
            raise Refusal(404, "Not a receipt", "A receipt reads SJ-XXXX-XXXX-XXXX-XXXX; check each character.")
        try:
            key = receipt_key(receipt, self._partitions)
            value = await self._connections.of(key).get(key)
            if value:
                return receipt, read_receipt_value(value)
            now = time.monotonic()
            if barred := self._guessers.barred_for(address, now):
                raise Refusal(429, "Too many unknown receipts from this address", retry_after_seconds=barred)
            if await self._is_archived(receipt):
                return receipt, ReceiptStage.ARCHIVED
            self._guessers.failed(address, now)
        except (RedisError, OSError, DependencyAwayError):
            raise Refusal(503, "Cannot look now", retry_after_seconds=OVERLOAD_RETRY_SECONDS) from None
        raise Refusal(
            404,
            "Unknown receipt",
            "No report with this receipt is kept. If you were given it, the report went with a store that was "
            "emptied: send it again, the receipt stays the same.",
        )


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _query(source: Source, head: Head) -> bytes:
    """The query as a form, without the secret: what is kept must not hold it."""
    secret = source.auth.parameter if isinstance(source.auth, SecretInUrlAuth) else None
    pairs = parse_qsl(head.query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name != secret]).encode()


def _check_media_type(headers: Mapping[bytes, bytes], adapter: Adapter, batch: bool) -> None:
    if batch and not adapter.batch:
        raise Refusal(404, "No batches here", "This source takes one report a request.")
    expected = (NDJSON,) if batch else adapter.media_types
    given = headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
    if given not in expected:
        raise Refusal(415, "Wrong media type", f"Send Content-Type: {' or '.join(expected)}.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Refusal(415, "Wrong content encoding", "Send the body uncompressed.")


async def _read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    declared = headers.get(b"content-length", b"")
    size = int(declared) if declared.isdigit() and len(declared) < 20 else limit
    if size > limit:
        raise _too_large(limit)
    try:
        return await read_body(receive, limit, BODY_SECONDS)
    except BodyRefusedError as error:
        if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise _too_large(limit) from None
        detail = f"Send it within {BODY_SECONDS} seconds." if error.status == HTTPStatus.REQUEST_TIMEOUT else ""
        raise Refusal(error.status, error.title, detail) from None


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "Too large", f"The body may have {limit:,} bytes at most; split it.")
