"""The page and the API of an alert, against a real Redis, over real HTTP."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import redis as sync_redis
import schemathesis
import uvicorn
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import SecretStr
from redis.asyncio import Redis

from deploy.embedded.system import free_port
from services.alerts import decide, inbox
from services.alerts.app import build
from services.alerts.intake import concerns, news_of
from services.alerts.links import Links
from services.alerts.officers import Officers
from services.alerts.order import ACTS
from services.alerts.page import Door
from services.alerts.rules import AlertingRules
from services.alerts.store import CaseStore, Change, case_key
from shared.bus.streams import ALERT_EVENTS
from shared.calendar import Calendar
from shared.contracts import AlertState, Opinion
from shared.settings import Settings
from tests.assessments import an_assessment
from tests.running import eventually

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "config"
KEY = "kunci-uji"
TOKEN = "token-program"
FURTHER = ("mp_goods", "mp_promise", "mp_transport_meal", "mp_data_collection")
HOSTILE = "Camat <script>alert(1)</script> membagikan amplop [TELEPON] kepada warga."
NOTE = "koordinat menunjuk Kabupaten Tabalong, teks menyebut Kabupaten Balangan"
LINKS = Links(KEY.encode(), "http://x.id", timedelta(days=1))


class Alerted:
    """A running service with one open alert."""

    def __init__(self, url: str, port: int, alert_id: UUID, report_id: UUID, receipt: str) -> None:
        self.receipt = receipt
        self.redis = sync_redis.Redis.from_url(url)
        self.url = url
        self.alert_id = alert_id
        self.report_id = report_id
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20)
        self.path = self.path_for("balangan-1")
        self.api = f"/v1/alerts/{alert_id}"
        self.program = {"authorization": f"Bearer {TOKEN}"}

    def path_for(self, officer_id: str, *, at: datetime | None = None) -> str:
        return f"/a/{LINKS.token(self.alert_id, officer_id, at or datetime.now(UTC))}"

    def happened(self) -> list[dict[str, Any]]:
        return [json.loads(fields[b"body"]) for _, fields in self.redis.xrange(ALERT_EVENTS.name)]

    def events(self) -> list[str]:
        return [entry["event"] for entry in self.happened() if entry["type"] == "alert_event"][1:]

    async def state(self) -> AlertState:
        async with Redis.from_url(self.url) as client:
            return (await inbox.find(client, str(self.alert_id))).summary.state

    async def page(self) -> str:
        return (await self.client.get(self.path)).text


@pytest.fixture
async def alerted(redis_url: str, tmp_path: Path) -> AsyncIterator[Alerted]:
    for name in ("calendar.yaml", "alerting.yaml"):
        shutil.copy(CONFIG / name, tmp_path)
    officers = [
        {"id": id_, "name": name, "role": "regency", "regions": ["63.11"], "channels": ["json://127.0.0.1:9/x"]}
        for id_, name in (("balangan-1", "Petugas <Balangan>"), ("balangan-2", "Petugas Dua"))
    ]
    (tmp_path / "officers.yaml").write_text(yaml.safe_dump({"officers": officers}))
    port = free_port(besides=set())
    configured = Settings(
        redis_url=SecretStr(redis_url),
        config_dir=tmp_path,
        port=port,
        alert_link_key=SecretStr(KEY),
        alerts_token=SecretStr(TOKEN),
    )
    accusation = an_assessment(text=HOSTILE, evidence="membagikan amplop", further_codes=FURTHER)
    accusation = accusation.model_copy(update={"report": accusation.report.model_copy(update={"notes": (NOTE,)})})
    rules = AlertingRules()
    case = concerns(accusation, rules)
    assert case is not None
    opened = decide.absorb(case, [news_of(accusation)], rules, datetime.now(UTC))
    assert opened.case.alert is not None
    quiet = opened.case  # told to nobody: the test is about the door
    async with Redis.from_url(redis_url) as client:
        key = case_key(case.region_code, case.risk_class)
        await CaseStore(client).update({key: lambda _case: Change(quiet, opened.events)})
        await client.delete("salingjaga:{alerts}:due")
    server = uvicorn.Server(uvicorn.Config(build(configured), host="127.0.0.1", port=port, log_config=None))
    serving = asyncio.create_task(server.serve())
    it = Alerted(redis_url, port, opened.case.alert.alert_id, accusation.report.report_id, accusation.report.receipt)
    try:

        async def started() -> bool:
            return server.started

        await eventually(started)
        yield it
    finally:
        await it.client.aclose()
        server.should_exit = True
        await serving


async def test_a_previewer_that_gets_or_heads_the_link_changes_nothing(alerted: Alerted) -> None:
    for method in ("GET", "HEAD", "GET", "OPTIONS", "PUT"):
        answer = await alerted.client.request(method, alerted.path, headers={"user-agent": "WhatsApp/2.0"})
        assert answer.status_code == (200 if method in ("GET", "HEAD") else 405)
    assert await alerted.state() is AlertState.OPEN
    assert alerted.events() == []


async def test_the_page_shows_the_alert_masked_and_escaped_and_may_be_kept_by_nobody(alerted: Alerted) -> None:
    answer = await alerted.client.get(alerted.path)
    for part in ("[KRITIS] Dugaan politik uang: Kabupaten Balangan", "&lt;script&gt;", "[TELEPON]", "Pasal 134", "sisa",
                 "Petugas &lt;Balangan&gt;", f"Catatan: {NOTE}",
                 "Belum ada yang menyatakan", "belum diverifikasi"):  # fmt: skip
        assert part in answer.text
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert not re.findall(r"(?:src|href)=", answer.text), "nothing leads away, so nothing learns the address"


async def test_a_form_sent_twice_acknowledges_once_and_the_page_says_who_and_when(alerted: Alerted) -> None:
    for _ in range(2):
        answer = await alerted.client.post(alerted.path, data={"act": "acknowledge", "reason": "Saya ke lokasi"})
        assert answer.status_code == 303
        assert httpx.URL(alerted.path).join(answer.headers["location"]).path == alerted.path
    assert alerted.events() == ["acknowledged"]
    [event] = [entry for entry in alerted.happened() if entry.get("event") == "acknowledged"]
    assert (event["actor"], event["reason"]) == ("balangan-1", "Saya ke lokasi")
    other = (await alerted.client.get(alerted.path_for("balangan-2"))).text
    assert "sudah ditangani oleh Petugas &lt;Balangan&gt; (balangan-1) pada" in other
    assert "WITA" in other


async def test_a_resolved_alert_explains_itself_to_whoever_still_holds_a_link(alerted: Alerted) -> None:
    await alerted.client.post(alerted.path, data={"act": "resolve", "reason": "Tidak terbukti"})
    page = await alerted.page()
    assert "sudah ditutup oleh" in page
    assert "Tidak terbukti" in page
    assert 'value="resolve"' not in page
    late = await alerted.client.post(alerted.path, data={"act": "acknowledge"})
    assert late.status_code == 409
    assert "sudah ditutup" in late.text
    assert alerted.events() == ["resolved"]


async def test_a_silence_needs_a_reason_and_an_end_within_the_limit(alerted: Alerted) -> None:
    for hours, reason in (("73", "rapat"), ("4", ""), ("-1", "rapat"), ("", "rapat"), ("abc", "rapat")):
        answer = await alerted.client.post(alerted.path, data={"act": "silence", "hours": hours, "reason": reason})
        assert answer.status_code in (409, 422), (hours, reason)
        assert "Belum tercatat" in answer.text
    assert alerted.events() == []
    await alerted.client.post(alerted.path, data={"act": "silence", "hours": "4", "reason": "rapat"})
    assert await alerted.state() is AlertState.SILENCED
    assert "Disenyapkan sampai" in await alerted.page()


async def test_a_verdict_is_recorded_once_and_a_changed_mind_replaces_it(alerted: Alerted) -> None:
    form = {"act": "verdict", "report_id": str(alerted.report_id), "code": "mp_cash", "verdict": "confirmed"}
    for verdict in ("confirmed", "confirmed", "rejected"):
        answer = await alerted.client.post(alerted.path, data={**form, "verdict": verdict, "note": "ada <b>foto</b>"})
        assert answer.status_code == 303
    verdicts = [entry for entry in alerted.happened() if entry["type"] == "verdict"]
    assert [(one["verdict"], one["officer_id"], one["code"]) for one in verdicts] == [
        ("confirmed", "balangan-1", "mp_cash"),
        ("rejected", "balangan-1", "mp_cash"),
    ]
    assert verdicts[0]["report_id"] == str(alerted.report_id)
    assert alerted.events() == ["verdict_given", "verdict_given"]
    page = await alerted.page()
    assert "<strong>keliru</strong>: ada &lt;b&gt;foto" in page
    unknown = await alerted.client.post(alerted.path, data={**form, "code": "tidak_ada"})
    assert unknown.status_code == 409


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_expired_an_altered_and_an_unknown_link_say_so_and_do_nothing(alerted: Alerted, method: str) -> None:
    form = {"data": {"act": "acknowledge"}} if method == "POST" else {}
    old = alerted.path_for("balangan-1", at=datetime.now(UTC) - timedelta(days=2))
    expired = await alerted.client.request(method, old, **form)
    assert expired.status_code == 410
    assert "kedaluwarsa" in expired.text
    assert "pemberitahuan terbaru" in expired.text
    altered = alerted.path[:-1] + ("a" if alerted.path[-1] != "a" else "b")
    for path in (altered, alerted.path[:-5], "/a/", "/a/%00", alerted.path_for("orang-lain")):
        refused = await alerted.client.request(method, path, **form)
        assert refused.status_code == 403
        assert "tidak sah" in refused.text
        assert "Balangan" not in refused.text
    assert alerted.events() == []


async def test_an_alert_that_is_long_gone_is_said_to_be_gone(alerted: Alerted) -> None:
    token = LINKS.token(uuid4(), "balangan-1", datetime.now(UTC))
    answer = await alerted.client.get(f"/a/{token}")
    assert answer.status_code == 410
    assert "sudah lama ditutup" in answer.text


async def test_a_huge_or_strange_body_is_refused_and_the_service_lives_on(alerted: Alerted) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for content, headers, status in (
        (b"act=acknowledge&reason=" + b"x" * 1_000_000, form, 413),
        (b"&".join(b"a=%d" % number for number in range(1000)), form, 422),
        (b"\xff\xfe=1", form, 422),
        (b"act=acknowledge&reason=" + b"x" * 600, form, 422),
        (b"act=entah", form, 422),
        (b'{"act":"acknowledge"}', {"content-type": "application/json"}, 415),
    ):
        answer = await alerted.client.post(alerted.path, content=content, headers=headers)
        assert answer.status_code == status
    huge = await alerted.client.post(alerted.api + "/resolve", content=b"x" * 100_000, headers=alerted.program)
    assert huge.status_code == 413
    assert alerted.events() == []
    assert (await alerted.client.get(alerted.path)).status_code == 200


async def test_every_finding_is_judged_by_its_code_over_page_api_and_terminal_alike(alerted: Alerted) -> None:
    codes = ("mp_cash", *FURTHER)
    page = await alerted.page()
    for code in codes:
        assert page.count(f'name="code" value="{code}"') == 1
    assert f"Temuan lain dalam laporan {alerted.receipt}" in page
    report, id_ = str(alerted.report_id), str(alerted.alert_id)
    for code in codes:
        said_of_it = {"code": code, "verdict": "confirmed", "note": "catatan\nsatu"}
        form = {"act": "verdict", "report_id": report, **said_of_it}
        assert (await alerted.client.post(alerted.path, data=form)).status_code == 303
        order = {"actor": "kalsel", "report_id": alerted.receipt, **said_of_it}
        answer = await alerted.client.post(f"{alerted.api}/verdict", json=order, headers=alerted.program)
        assert answer.status_code == 200, answer.text
        async with Redis.from_url(alerted.url) as client:
            await inbox.judge(
                client, id_, code=code, opinion=Opinion.CONFIRMED, report=report.upper(), note="catatan\nsatu",
                actor="nasional", now=datetime.now(UTC),
            )  # fmt: skip
    given = [entry for entry in alerted.happened() if entry["type"] == "verdict"]
    said = {(one["officer_id"], one["code"], one["report_id"], one["verdict"], one["note"]) for one in given}
    officers = ("balangan-1", "kalsel", "nasional")
    assert said == {(who, code, report, "confirmed", "catatan satu") for who in officers for code in codes}
    assert len(given) == 15

    unknown = {"actor": "kalsel", "code": "hoax", "verdict": "confirmed"}
    refused = await alerted.client.post(f"{alerted.api}/verdict", json=unknown, headers=alerted.program)
    assert refused.status_code == 409
    assert "it shows mp_cash, mp_data_collection" in refused.json()["detail"]


async def test_a_program_acts_with_its_token_and_the_same_order_again_changes_nothing(alerted: Alerted) -> None:
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="seconds")
    orders: list[tuple[str, dict[str, str]]] = [
        ("acknowledge", {"actor": "balangan-1", "reason": "ke lokasi"}),
        ("silence", {"actor": "balangan-1", "until": until, "reason": "rapat"}),
        ("verdict", {"actor": "balangan-1", "code": "mp_cash", "verdict": "unclear", "note": "?"}),
        ("resolve", {"actor": "balangan-1", "reason": "selesai"}),
    ]
    for act, order in orders:
        for _ in range(2):
            answer = await alerted.client.post(f"{alerted.api}/{act}", json=order, headers=alerted.program)
            assert answer.status_code == 200, answer.text
            assert answer.json()["alert_id"] == str(alerted.alert_id)
    assert alerted.events() == ["acknowledged", "silenced", "verdict_given", "resolved"]
    late = await alerted.client.post(
        f"{alerted.api}/acknowledge", json={"actor": "balangan-1"}, headers=alerted.program
    )
    assert late.status_code == 409
    assert late.headers["content-type"] == "application/problem+json"
    assert "resolved" in late.json()["detail"]


# The OpenAPI document


def a_door(url: str, links: Links | None = LINKS) -> Door:
    """The door alone, before some Redis."""
    people = [{"id": "balangan-1", "role": "regency", "regions": ["63.11"], "channels": ["json://127.0.0.1:9/x"]}]
    officers = Officers.model_validate({"officers": people})
    calendar = Calendar.load(CONFIG / "calendar.yaml")
    redis = Redis.from_url(url, socket_connect_timeout=1)
    now = partial(datetime.now, UTC)
    return Door(redis, lambda: officers, AlertingRules, lambda: calendar, lambda: links, TOKEN, now)


def straight_to(door: Door) -> httpx.AsyncClient:
    """A client without a server in between."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://x.id")


async def never_ending() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


VALID: dict[str, dict[str, Any]] = {
    "acknowledge": {"reason": "ke lokasi"},
    "silence": {"reason": "rapat", "hours": 1},
    "verdict": {"code": "mp_cash", "verdict": "confirmed", "note": "ada foto"},
    "resolve": {"reason": "selesai"},
}
IMPOSSIBLE = {"silence": {"reason": "rapat", "hours": 700}, "verdict": {"code": "hoax", "verdict": "unclear"}}
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_the_documented_acts_and_their_codes_are_the_real_ones(
    alerted: Alerted, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = (await alerted.client.get("/openapi.json")).json()
    acts = {path: rest["post"] for path, rest in document["paths"].items() if path.startswith("/v1/")}
    assert set(acts) == {f"/v1/alerts/{{id}}/{act}" for act in ACTS}

    async def taken_meanwhile(*_: Any, **__: Any) -> None:
        raise inbox.NotPossibleError("this alert is resolved already")

    mine = {"authorization": f"Bearer {alerted.path.removeprefix('/a/')}"}
    away = straight_to(a_door("redis://127.0.0.1:1"))
    direct = straight_to(a_door(alerted.url))
    for act, particulars in VALID.items():
        path, order = f"{alerted.api}/{act}", {"actor": "balangan-1", **particulars}
        program: dict[str, Any] = {"headers": alerted.program}
        post = direct.post
        with monkeypatch.context() as patch:
            if act not in IMPOSSIBLE:
                patch.setattr(inbox, act, taken_meanwhile)
            conflict = await post(path, json={**order, **IMPOSSIBLE.get(act, {})}, **program)
        answers = [
            conflict,
            done := await post(path, json=order, **program),
            await post(path, content=b"{", headers={**alerted.program, "content-type": "application/json"}),
            await post(path, json=order),
            await post(path, json={**order, "actor": "lain"}, headers=mine),
            await post(path.replace(str(alerted.alert_id), "bukan-id"), json=order, **program),
            await direct.get(path, **program),
            await post(path.replace(str(alerted.alert_id), str(uuid4())), json=order, **program),
            await post(path, content=b"x" * 100_000, **program),
            await post(path, content=b"{}", headers={**alerted.program, "content-type": "text/plain"}),
            await post(path, json={**order, "semua": 1}, **program),
            await away.post(path, json=order, **program),
        ]
        with monkeypatch.context() as patch:
            patch.setattr("services.alerts.page.BODY_SECONDS", 0.01)
            answers.append(await post(path, content=never_ending(), **program))
        for _ in range(80):
            stranger = await post(path, json=order, headers={"authorization": "Bearer salah"})
        answers.append(stranger)
        direct = straight_to(a_door(alerted.url))

        documented = acts[f"/v1/alerts/{{id}}/{act}"]["responses"]
        assert {str(answer.status_code) for answer in answers} == set(documented)
        for answer in answers:
            (media_type,) = documented[str(answer.status_code)]["content"]
            assert answer.headers["content-type"] == media_type
            assert ("retry-after" in answer.headers) is ("headers" in documented[str(answer.status_code)])
        schema = document["components"]["schemas"]["Alert"]
        assert set(done.json()) == set(schema["properties"]) == set(schema["required"])


async def test_the_documented_codes_of_the_page_are_the_real_ones(
    alerted: Alerted, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (await alerted.client.get("/openapi.json")).json()["paths"]["/a/{token}"]
    away = straight_to(a_door("redis://127.0.0.1:1"))
    closed = straight_to(a_door(alerted.url, links=None))
    old = alerted.path_for("balangan-1", at=datetime.now(UTC) - timedelta(days=2))
    altered = alerted.path[:-5] + "aaaaa"
    form = {"data": {"act": "acknowledge"}}
    direct = straight_to(a_door(alerted.url))
    get, post = direct.get, direct.post
    seen = {
        "get": [await get(alerted.path), await get(old), await get(altered), await away.get(alerted.path),
                await closed.get(alerted.path)],
        "post": [
            await post(alerted.path, **form), await post(old, **form), await post(altered, **form),
            await away.post(alerted.path, **form), await closed.post(alerted.path, **form),
            await post(alerted.path, content=b"x" * 100_000, headers=FORM),
            await post(alerted.path, json={}), await post(alerted.path, data={"act": "entah"}),
            await post(alerted.path, data={"act": "silence", "reason": "a", "hours": "700"}),
        ],
    }  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr("services.alerts.page.BODY_SECONDS", 0.01)
        seen["post"].append(await post(alerted.path, content=never_ending(), headers=FORM))
    for _ in range(80):
        answer = await get(altered)
    seen["get"].append(answer)
    seen["post"].append(await post(altered, **form))
    for method, answers in seen.items():
        # 400: the body ended early, which a client that still waits for the answer cannot show.
        assert {str(answer.status_code) for answer in answers} == set(page[method]["responses"]) - {"400"}


async def test_openapi_s_own_generator_of_orders_finds_no_fault(alerted: Alerted) -> None:
    schema = schemathesis.openapi.from_dict((await alerted.client.get("/openapi.json")).json())
    seen: set[int] = set()
    for operation in schema.get_all_operations():
        if not operation.ok().path.startswith("/v1/"):
            continue
        documented = set(operation.ok().definition.raw["responses"])
        for case in examples(operation.ok().as_strategy(), 25):
            body = json.dumps(case.body, default=str).encode() if isinstance(case.body, dict) else b""
            path = f"{alerted.api}/{case.path.rpartition('/')[2]}"
            headers = {**alerted.program, "content-type": "application/json"}
            answer = await alerted.client.post(path, content=body, headers=headers)
            assert str(answer.status_code) in documented
            seen.add(answer.status_code)
    assert max(seen) < 500


def examples(strategy: Any, count: int) -> list[Any]:
    """So many examples of a strategy."""
    found: list[Any] = []

    @settings(max_examples=count, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    return found


async def test_a_link_s_token_acts_over_http_for_its_officer_and_its_alert_only(alerted: Alerted) -> None:
    bearer = {"authorization": f"Bearer {alerted.path.removeprefix('/a/')}"}
    pretending = await alerted.client.post(f"{alerted.api}/acknowledge", json={"actor": "lain"}, headers=bearer)
    assert pretending.status_code == 403
    elsewhere = await alerted.client.post(f"/v1/alerts/{uuid4()}/acknowledge", headers=bearer)
    assert elsewhere.status_code == 403
    assert alerted.events() == []
    assert (await alerted.client.post(f"{alerted.api}/acknowledge", headers=bearer)).status_code == 200
    assert alerted.events() == ["acknowledged"]


async def test_wrong_tokens_and_orders_get_a_problem_document_and_floods_are_barred(alerted: Alerted) -> None:
    for order, status in (({}, 422), ({"actor": "a b"}, 422), ({"actor": "a", "semua": 1}, 422), ([], 422)):
        answer = await alerted.client.post(f"{alerted.api}/acknowledge", json=order, headers=alerted.program)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await alerted.client.post("/v1/alerts/bukan-id/acknowledge", headers=alerted.program)).status_code == 404
    assert (await alerted.client.get(f"{alerted.api}/acknowledge", headers=alerted.program)).status_code == 405
    assert (await alerted.client.post(f"{alerted.api}/acknowledge")).status_code == 401
    statuses = [
        (await alerted.client.post(f"{alerted.api}/acknowledge", headers={"authorization": "Bearer salah"})).status_code
        for _ in range(80)
    ]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    genuine = await alerted.client.post(
        f"{alerted.api}/acknowledge", json={"actor": "balangan-1"}, headers=alerted.program
    )
    assert genuine.status_code == 200, "who proves himself is never barred"
