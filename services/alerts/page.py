"""The door of officers: a page for the holder of a link, and the same acts over HTTP for programs.

Looking changes nothing, so a previewer of links (which fetches them with GET or HEAD) acknowledges nothing; only a form
that somebody sends does. Every act goes through the inbox, under the name of the link's officer.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
import structlog
from pydantic import ValidationError
from redis.asyncio import Redis

from services.alerts import inbox
from services.alerts.announce import NOBODY_CONFIGURED
from services.alerts.case import HistoryEntry
from services.alerts.inbox import AlertDetail, AlertSummary, NotPossibleError
from services.alerts.links import PATH, Link, LinkExpiredError, LinkRefusedError, Links
from services.alerts.officers import Officers
from services.alerts.openapi import OPENAPI
from services.alerts.order import ACTS, Act, Order
from services.alerts.render import CLASS_WORDS, SEVERITY_WORDS, clock_lines, counts_of, environment, local_time
from services.alerts.rules import AlertingRules
from services.alerts.text import clean
from services.alerts.zones import zone_of
from shared.bus.errors import DependencyAwayError
from shared.calendar import Calendar
from shared.contracts import AlertState, Opinion, RiskClass
from shared.http import PAGE_HEADERS, BodyRefusedError, Receive, Scope, Send, read_body, respond
from shared.limits import StrangerLimit

log = structlog.get_logger()

API = "/v1/alerts/"
BODY_BYTES = 16_384
BODY_SECONDS = 10.0
RETRY_SECONDS = 5
FORM = "application/x-www-form-urlencoded"

_CSS = files("services.alerts").joinpath("templates", "page.css").read_text(encoding="utf-8")
_CSS_HASH = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
_PAGE_HEADERS = [
    *PAGE_HEADERS,
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_CSS_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'".encode(),
    ),
]
_NO_STORE = [(b"cache-control", b"no-store")]

_EVENT_WORDS = {
    "opened": "dibuka",
    "evidence_added": "bukti bertambah",
    "severity_raised": "tingkat naik",
    "notification_sent": "pemberitahuan terkirim",
    "no_notification_sent": "pemberitahuan tidak sampai",
    "acknowledged": "ditangani",
    "escalated": "eskalasi",
    "deadline_near": "tenggat hukum mendekat",
    "silenced": "disenyapkan",
    "resolved": "ditutup",
    "verdict_given": "dinilai",
}
_OPINION_WORDS = {Opinion.CONFIRMED: "benar", Opinion.REJECTED: "keliru", Opinion.UNCLEAR: "belum jelas"}


class RefusedError(Exception):
    """A request that is refused.

    Args:
        status: the HTTP status.
        title: what is wrong, for a program.
        detail: what to change.
        words: the same for an officer, in Indonesian.
        retry_after_seconds: when to try again.
    """

    def __init__(
        self, status: int, title: str, detail: str = "", *, words: Sequence[str] = (), retry_after_seconds: int = 0
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.words = words
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers of the answer that belong to this refusal."""
        headers = []
        if self.retry_after_seconds:
            headers.append((b"retry-after", str(self.retry_after_seconds).encode()))
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        return headers


class Door:
    """An ASGI application.

    Args:
        redis: where alerts are kept.
        officers, rules, calendar: give what is configured now.
        links: reads links; `None` without a key, and then no link is any good.
        api_token: bearer token of programs; empty: none is accepted.
        clock: gives the time.
    """

    def __init__(
        self,
        redis: Redis,
        officers: Callable[[], Officers],
        rules: Callable[[], AlertingRules],
        calendar: Callable[[], Calendar],
        links: Callable[[], Links | None],
        api_token: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._redis = redis
        self._officers = officers
        self._rules = rules
        self._calendar = calendar
        self._links = links
        self._api_token = api_token.encode()
        self._clock = clock
        self._strangers = StrangerLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        try:
            if path.startswith(PATH):
                await self._page(path[len(PATH) :], scope, receive, send)
            elif path.startswith(API):
                await self._program(path[len(API) :], scope, receive, send)
            elif path == "/openapi.json" and scope["method"] in ("GET", "HEAD"):
                await respond(send, 200, OPENAPI)
            else:
                raise RefusedError(404, "Not found", "See /openapi.json for what there is.")
        except RefusedError as refusal:
            document = {"type": "about:blank", "title": refusal.title, "status": refusal.status}
            if refusal.detail:
                document["detail"] = refusal.detail
            body = json.dumps(document).encode()
            await respond(send, refusal.status, body, b"application/problem+json", [*_NO_STORE, *refusal.headers])

    # The page

    async def _page(self, token: str, scope: Scope, receive: Receive, send: Send) -> None:
        link: Link | None = None
        error = ""
        status = 200
        try:
            link = self._proven(token, scope)
            if scope["method"] == "POST":
                try:
                    act, order = await self._form(scope, receive)
                    await self._do(str(link.alert_id), act, order, link.officer_id)
                    # Relative, so that a prefix which a proxy puts before our paths stays; a reload then posts nothing.
                    return await respond(send, 303, b"", b"text/plain", [(b"location", token.encode()), *_PAGE_HEADERS])
                except RefusedError as refusal:
                    if refusal.status not in (409, 422):
                        raise
                    error, status = " ".join(refusal.words) or refusal.title, refusal.status
            elif scope["method"] not in ("GET", "HEAD"):
                raise RefusedError(405, "Method not allowed", words=["Halaman ini hanya dapat dibuka di peramban."])
            detail = await self._detail(str(link.alert_id))
            html = environment().get_template("page.html.j2").render(self._values(detail, link, error))
            await respond(send, status, html.encode(), b"text/html; charset=utf-8", _PAGE_HEADERS)
        except RefusedError as refusal:
            html = (
                environment()
                .get_template("page.html.j2")
                .render(css=_CSS, error=error, heading="Salingjaga", lines=refusal.words or [refusal.title])
            )
            headers = [*_PAGE_HEADERS, *refusal.headers]
            await respond(send, refusal.status, html.encode(), b"text/html; charset=utf-8", headers)

    def _values(self, detail: AlertDetail, link: Link, error: str) -> dict[str, Any]:
        alert, now = detail.summary, self._clock()
        zone = zone_of(alert.region_code)
        operator = alert.risk_class is RiskClass.NONE
        subject = "klasifikasi gagal" if operator else f"dugaan {CLASS_WORDS[alert.risk_class]}: {alert.region_name}"
        clock: list[str] = []
        if detail.exhibits and not operator:
            regime = detail.exhibits[0].regime
            clock = clock_lines(self._calendar(), regime, alert.region_code, alert.first_known_at, now)
        return {
            "css": _CSS,
            "event_words": _EVENT_WORDS,
            "opinion_words": _OPINION_WORDS,
            "error": error,
            "heading": "",
            "title": f"[{SEVERITY_WORDS[alert.severity]}] {subject[:1].upper()}{subject[1:]}",
            "state": self._state(detail, zone),
            "who": self._called(link.officer_id),
            "open": alert.state is not AlertState.RESOLVED,
            "operator": operator,
            "alert": alert,
            "zone": zone,
            "counts": counts_of(alert),
            "clock": clock,
            "exhibits": detail.exhibits,
            "verdicts": detail.verdicts,
            "history": detail.history[::-1],
            "longest": int(self._rules().silences.longest_hours),
            "expires_at": link.expires_at,
        }

    def _state(self, detail: AlertDetail, zone: str) -> str:
        alert = detail.summary

        def last(event: str) -> HistoryEntry | None:
            return next((entry for entry in reversed(detail.history) if entry.event == event), None)

        def by(entry: HistoryEntry | None) -> str:
            return f" oleh {self._called(entry.actor)} pada {local_time(entry.at, zone)}" if entry else ""

        if alert.state is AlertState.RESOLVED:
            closed = last("resolved")
            why = f", dengan alasan: {closed.reason}" if closed and closed.reason else ""
            return (
                f"Peringatan ini sudah ditutup{by(closed)}{why}. Tidak ada yang perlu Anda lakukan lagi; bila ada "
                "laporan baru, Anda menerima peringatan baru dengan tautan baru."
            )
        if alert.state is AlertState.ACKNOWLEDGED:
            return f"Peringatan ini sudah ditangani{by(last('acknowledged'))}."
        if alert.state is AlertState.SILENCED and alert.silenced_until:
            return f"Disenyapkan sampai {local_time(alert.silenced_until, zone)}{by(last('silenced'))}."
        return "Belum ada yang menyatakan menangani peringatan ini."

    def _called(self, officer_id: str) -> str:
        officer = self._officers().by_id(officer_id)
        if officer and officer.name:
            return f"{clean(officer.name, 80)} ({officer_id})"
        return officer_id

    async def _form(self, scope: Scope, receive: Receive) -> tuple[Act, Order]:
        if _media_type(scope) != FORM:
            raise RefusedError(415, f"Send Content-Type: {FORM}")
        body = await _body(receive)
        try:
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20))
        except ValueError:
            raise RefusedError(422, "The form cannot be read", words=["Isian tidak terbaca; coba lagi."]) from None
        act = next((known for known in ACTS if known == fields.get("act")), None)
        if act is None:
            raise RefusedError(422, "Unknown act", words=["Pilih salah satu tombol di bawah."])
        return act, _order({name: value for name, value in fields.items() if value and name not in ("act", "actor")})

    # Programs

    async def _program(self, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        id_, _, wanted = rest.partition("/")
        act = next((known for known in ACTS if known == wanted), None)
        try:
            alert_id = UUID(id_)
        except ValueError:
            act = None
        if act is None:
            raise RefusedError(404, "Not found", "Post to /v1/alerts/{id}/acknowledge, resolve, silence or verdict.")
        if scope["method"] != "POST":
            raise RefusedError(405, "Method not allowed", "Acts are posted.")
        actor = self._actor(alert_id, scope)
        body = await _body(receive)
        if body and _media_type(scope) != "application/json":
            raise RefusedError(415, "Wrong media type", "Send Content-Type: application/json.")
        try:
            content = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            raise RefusedError(400, "Not JSON", "Send one JSON object.") from None
        order = _order(content)
        if actor and order.actor not in ("", actor):
            raise RefusedError(403, "Not your name", "A link acts for its own officer only; leave out `actor`.")
        if not (actor or order.actor):
            raise RefusedError(422, "Who acts?", "Give `actor`, the id of the officer who acts.")
        summary = await self._do(str(alert_id), act, order, actor or order.actor)
        await respond(send, 200, msgspec.json.encode(asdict(summary)), headers=_NO_STORE)

    def _actor(self, alert_id: UUID, scope: Scope) -> str:
        """The officer whose link is presented; empty for a program. Raises `RefusedError`."""
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, token = given.partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer" or not token:
            raise self._stranger(scope, RefusedError(401, "Not authorised", "Send Authorization: Bearer <token>."))
        if self._api_token and hmac.compare_digest(token, self._api_token):
            return ""
        link = self._proven(token.decode("ascii", "replace"), scope)
        if link.alert_id != alert_id:
            raise RefusedError(403, "Another alert", "This link is for another alert.")
        return link.officer_id

    # Both

    def _proven(self, token: str, scope: Scope) -> Link:
        links = self._links()
        if links is None:
            raise RefusedError(
                404,
                "Links are not in use here",
                "Set SALINGJAGA_ALERT_LINK_KEY.",
                words=["Tautan tidak dipakai pada instalasi ini. Hubungi pengelola sistem."],
            )
        officers = self._officers().officers
        known = [officer.id for officer in officers] or [NOBODY_CONFIGURED]
        try:
            return links.read(token, known, self._clock())
        except LinkExpiredError as error:
            short = str(error.link.alert_id)[:8]
            raise RefusedError(
                410,
                "The link has expired",
                "Use the link of a newer notification.",
                words=[
                    "Tautan ini sudah kedaluwarsa, jadi tidak ada yang ditampilkan atau dicatat.",
                    "Buka tautan pada pemberitahuan terbaru untuk peringatan yang sama, atau jalankan "
                    f"“salingjaga alerts show {short}”, atau hubungi petugas piket.",
                ],
            ) from None
        except LinkRefusedError:
            raise self._stranger(
                scope,
                RefusedError(
                    401 if scope["path"].startswith(API) else 403,
                    "The token is refused",
                    "It was altered or cut off, or its officer is not configured any more.",
                    words=[
                        "Tautan ini tidak sah: terpotong, berubah, atau petugasnya tidak terdaftar lagi.",
                        "Buka kembali pemberitahuan aslinya dan tekan tautannya, atau salin tautan itu seluruhnya. "
                        "Bila tetap ditolak, hubungi pengelola sistem.",
                    ],
                ),
            ) from None

    def _stranger(self, scope: Scope, refusal: RefusedError) -> RefusedError:
        """Counts a failed proof; a proof that succeeds is never barred, whoever else is behind its address."""
        address = scope["client"][0] if scope.get("client") else ""
        now = time.monotonic()
        if barred := self._strangers.barred_for(address, now):
            words = ["Terlalu banyak percobaan dari alamat ini. Coba lagi sebentar lagi."]
            return RefusedError(
                429, "Too many failed tokens from this address", words=words, retry_after_seconds=barred
            )
        self._strangers.failed(address, now)
        return refusal

    async def _detail(self, alert_id: str) -> AlertDetail:
        try:
            return await inbox.find(self._redis, alert_id)
        except NotPossibleError as error:
            words = ["Peringatan ini sudah lama ditutup; riwayatnya tersimpan di arsip (ClickHouse)."]
            raise RefusedError(410, "The alert is gone", str(error), words=words) from None
        except DependencyAwayError:
            raise _away() from None

    async def _do(self, alert_id: str, act: Act, order: Order, actor: str) -> AlertSummary:
        """Do it, once: the same order again changes nothing. Raises `RefusedError`."""
        before = (await self._detail(alert_id)).summary
        now = self._clock()
        try:
            if act == "acknowledge":
                done = await inbox.acknowledge(
                    self._redis, alert_id, actor=actor, reason=order.reason, now=now, renew=False
                )
            elif act == "resolve":
                if before.state is AlertState.RESOLVED:
                    return before
                done = await inbox.resolve(self._redis, alert_id, actor=actor, reason=order.reason, now=now)
            elif act == "silence":
                until = order.until or (now + timedelta(hours=order.hours) if order.hours else None)
                if until is None:
                    raise RefusedError(422, "Until when?", "Give `until` or `hours`.", words=["Sebutkan lamanya."])
                if before.state is AlertState.SILENCED and before.silenced_until == until:
                    return before
                rules = self._rules()
                done = await inbox.silence(
                    self._redis, alert_id, until=until, actor=actor, reason=order.reason, rules=rules, now=now
                )
            else:
                if order.verdict is None or not order.code:
                    words = ["Pilih penilaian untuk salah satu temuan."]
                    raise RefusedError(422, "Which verdict?", "Give `code`, `verdict` and `report_id`.", words=words)
                done = await inbox.judge(
                    self._redis,
                    alert_id,
                    code=order.code,
                    opinion=order.verdict,
                    report=order.report_id,
                    note=order.note,
                    actor=actor,
                    now=now,
                )
        except NotPossibleError as error:
            raise RefusedError(
                409, "Not possible", str(error), words=[_in_indonesian(act, before, self._rules())]
            ) from None
        except DependencyAwayError:
            raise _away() from None
        log.info("alert_acted_on", alert=alert_id, act=act, actor=actor, state=done.state)
        return done


def _in_indonesian(act: Act, before: AlertSummary, rules: AlertingRules) -> str:
    if before.state is AlertState.RESOLVED and act != "verdict":
        return "Peringatan ini sudah ditutup."
    if act == "silence":
        longest = rules.silences.longest_hours
        return f"Penyenyapan perlu alasan dan akhir di masa depan, paling lama {longest:g} jam dari sekarang."
    return "Temuan itu tidak (lagi) ditampilkan pada peringatan ini."


def _order(content: object) -> Order:
    try:
        return Order.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        words = [f"Isian {place} tidak sesuai; periksa panjang dan bentuknya."]
        raise RefusedError(422, "Invalid", f"{place}: {first['msg']}", words=words) from None


async def _body(receive: Receive) -> bytes:
    try:
        return await read_body(receive, BODY_BYTES, BODY_SECONDS)
    except BodyRefusedError as error:
        words = ["Isian terlalu panjang atau terputus; coba lagi dengan isian yang lebih pendek."]
        raise RefusedError(error.status, error.title, words=words) from None


def _media_type(scope: Scope) -> str:
    given: bytes = dict(scope["headers"]).get(b"content-type", b"")
    return given.split(b";")[0].strip().lower().decode("latin-1")


def _away() -> RefusedError:
    words = ["Sistem sedang tidak dapat dijangkau; belum ada yang tercatat. Muat ulang halaman ini sebentar lagi."]
    return RefusedError(503, "Cannot look now", "Try again.", words=words, retry_after_seconds=RETRY_SECONDS)
