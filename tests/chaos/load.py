"""The load: senders that post signed reports all the time, try again what was refused, and remember every receipt."""

import itertools
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import httpx
import redis
from redis.exceptions import RedisError

from services.ingest.signature import sign
from shared.bus.partitions import UNDIVIDED
from shared.bus.receipts import receipt_key, receipt_of, receipt_value
from shared.bus.streams import SUBMISSIONS
from shared.contracts import ReceiptStage
from tests.chaos.world import SOURCE

REGIONS = ("Kabupaten Balangan", "Kabupaten Garut", "Kota Balikpapan", "Kabupaten Sampang", "Kota Jakarta Timur")
SENDERS = 3
BATCH = 15
BAD_EVERY_SECONDS = 0.5
"""So often a submission that nobody can read is put among the others, as a wrong release of a webhook would."""
RETRY_SECONDS = 0.3


@dataclass(slots=True)
class Kept:
    """A report that was answered 202."""

    receipt: str
    bad: bool
    at: float
    """When, on the monotonic clock."""


@dataclass
class Load:
    """Senders at work from `start` to `finish`.

    Attributes:
        kept: what was answered 202, by the sender's id of the report.
        refusals: answers other than 202, by status; `0` counts lost connections and answers that never came.
        without_retry_after: answers 503 that did not say when to come back.
    """

    key: bytes
    urls: Sequence[str]
    redis: Callable[[], "redis.Redis"]
    per_second: float
    kept: dict[str, Kept] = field(default_factory=dict)
    refusals: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0
    clock_ahead_seconds: float = 0.0
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _enough: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _problems: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Begin to post."""
        self._enough.clear()
        works = [partial(self._send, number) for number in range(SENDERS)] + [self._put_bad_ones_among]
        self._threads = [threading.Thread(target=self._watched, args=(work,), daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float = 120) -> None:
        """Post nothing new; return when all that was begun has been answered 202."""
        self._enough.set()
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), f"reports are still refused after {seconds:.0f} s: {dict(self.refusals)}"
        self.check()

    def check(self) -> None:
        """Fail when a sender has met what must not be."""
        assert not self._problems, self._problems[0]

    def newest_after(self, moment: float) -> Kept | None:
        """A good report that was answered after `moment` (monotonic), if there is one."""
        for kept in reversed(list(self.kept.values())):
            if not kept.bad:
                return kept if kept.at >= moment else None
        return None

    def _watched(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._problems.append(f"a sender stopped: {error!r}")
            raise

    def _put_bad_ones_among(self) -> None:
        while not self._enough.wait(BAD_EVERY_SECONDS):
            report_id = uuid.uuid4()
            receipt = receipt_of(report_id)
            entry = {"receipt": receipt, "report_id": str(report_id), "source": SOURCE, "adapter": "none"}
            entry |= {"received_ms": str(int(time.time() * 1000)), "content_hash": "0", "body": "not a report"}
            while True:
                try:
                    with self.redis() as client, client.pipeline() as pipe:
                        pipe.set(receipt_key(receipt, UNDIVIDED), receipt_value(ReceiptStage.RECEIVED, "0"))
                        pipe.xadd(SUBMISSIONS.name, entry)  # type: ignore[arg-type]
                        pipe.execute()
                    break
                except (RedisError, OSError):
                    time.sleep(RETRY_SECONDS)
            self.kept[f"bad-{report_id}"] = Kept(receipt, True, time.monotonic())

    def _send(self, sender: int) -> None:
        turn = 0
        with httpx.Client(timeout=30, trust_env=False) as client:
            while not self._enough.is_set():
                began = time.monotonic()
                single = turn % 3 == 0
                reports = [self._report() for _ in range(1 if single else BATCH)]
                while not self._post(client, self.urls[(sender + turn) % len(self.urls)], reports, single):
                    turn += 1  # another replica may answer
                    time.sleep(RETRY_SECONDS)
                turn += 1
                self._enough.wait(max(0.0, len(reports) * SENDERS / self.per_second - (time.monotonic() - began)))

    def _report(self) -> dict[str, str]:
        with self._lock:
            number = next(self._numbers)
        where = REGIONS[number % len(REGIONS)]
        if number % 11 == 0:
            text = f"Kades di {where} membagikan amplop {number % 90 + 10} ribu kepada warga agar memilih paslon 2"
        else:
            text = f"Sosialisasi tolak politik uang di TPS {number} {where} dihadiri {number % 80 + 10} warga."
        return {"id": str(number), "text": text}

    def _post(self, client: httpx.Client, url: str, reports: list[dict[str, str]], single: bool) -> bool:
        body = b"\n".join(json.dumps(report, ensure_ascii=False).encode() for report in reports)
        message_id, now = f"msg_{uuid.uuid4().hex}", int(time.time() + self.clock_ahead_seconds)
        headers = {
            "content-type": "application/json" if single else "application/x-ndjson",
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(self.key, message_id, now, body),
        }
        path = f"/v1/reports/{SOURCE}" + ("" if single else "/batch")
        try:
            answer = client.post(url + path, content=body, headers=headers)
        except httpx.HTTPError:
            self._refused(0)
            return False
        if answer.status_code != 202:
            self._refused(answer.status_code)
            if answer.status_code == 503 and "retry-after" not in answer.headers:
                self.without_retry_after += 1
            return False
        receipts = [answer.json()["receipt"]] if single else answer.json()["receipts"]
        at = time.monotonic()
        for report, receipt in zip(reports, receipts, strict=True):
            assert receipt, f"a line of a batch was refused: {answer.text[:300]}"
            self.kept[report["id"]] = Kept(receipt, False, at)
        return True

    def _refused(self, status: int) -> None:
        with self._lock:
            self.refusals[status] += 1
