"""Who reported is sealed wherever it rests, readable with a reason only, replayable, and can be forgotten."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
import pytest
import redis
from clickhouse_connect.driver.client import Client

from deploy.cli.vault import open_vault
from tests.backends import wait_for
from tests.e2e.embedded import Embedded, write_jsonl

REPORTER = {"name": "Zulkifli Wirapradana", "phone": "0857-1122-3344", "email": "zulkifli.w@contoh.id"}
PLANTED = ("Wirapradana", "0857-1122-3344", "085711223344", "zulkifli.w@contoh.id", "6311054501900007", "7712345608")
ACCUSATION = (
    "Kades di Kec. Paringin Balangan membagikan amplop 50 ribu kepada warga agar memilih paslon nomor 2. Saksi: "
    "NIK 6311054501900007, WA 085711223344, email zulkifli.w@contoh.id, rekening BCA 7712345608."
)
OTHERS = [
    {"id": f"lain-{number}", "text": f"Warga {number} bertanya jadwal pencoblosan di Banjarbaru"}
    for number in range(20)
]


@pytest.fixture(scope="module")
def vaulted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A system that has taken in reports with identities, and one submission that nobody could process."""
    folder = tmp_path_factory.mktemp("vault")
    system = Embedded(folder / "data")
    system.start()
    try:
        reports = [
            {"id": "satu", "text": ACCUSATION, "reporter": REPORTER},
            {"id": "dua", "text": "Camat di Balangan mengajak memilih paslon 1 di grup WA", "reporter": REPORTER},
            *OTHERS,
        ]
        system.run("send", write_jsonl(folder / "laporan.jsonl", reports))
        wait_for(lambda: system.count("SELECT count() FROM reports") == len(reports), seconds=30)
        with full(system) as clickhouse:
            sql = "SELECT count() FROM salingjaga_vault.submissions FINAL"
            wait_for(lambda: clickhouse.command(sql) == len(reports), seconds=20)
        wait_for(lambda: "KRITIS" in system.notifications() or "Balangan" in system.notifications(), seconds=30)
        yield system
    finally:
        system.stop()


def full(system: Embedded) -> Client:
    """A connection with all rights."""
    credentials, runtime = private(system)
    return clickhouse_connect.get_client(
        host="127.0.0.1",
        port=runtime["clickhouse_port"],
        username=credentials["clickhouse_user"],
        password=credentials["clickhouse_password"],
    )


def private(system: Embedded) -> tuple[dict[str, Any], dict[str, Any]]:
    return tuple(json.loads((system.data_dir / name).read_text()) for name in ("credentials.json", "runtime.json"))  # type: ignore[return-value]


def in_redis(system: Embedded) -> redis.Redis:
    credentials, runtime = private(system)
    return redis.Redis(port=runtime["redis_port"], password=credentials["redis_password"])


def receipt_of(system: Embedded, text: str) -> str:
    [row] = system.query(f"SELECT receipt FROM reports WHERE position(text, '{text}') > 0")
    return str(row["receipt"])


def everything_written(system: Embedded) -> Iterator[tuple[str, bytes]]:
    """All that the system keeps or says, piece by piece, each with where it stands."""
    for path in sorted(system.data_dir.rglob("*")):
        if path.is_file() and path.suffix != ".sock":
            yield str(path.relative_to(system.data_dir)), path.read_bytes()
    with full(system) as clickhouse:
        tables = clickhouse.query(
            "SELECT database, name FROM system.tables "
            "WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')"
        ).result_rows
        assert ("salingjaga_vault", "submissions") in tables
        for database, name in tables:
            yield (
                f"table {database}.{name}",
                clickhouse.raw_query(f"SELECT * FROM {database}.{name} FORMAT JSONEachRow"),
            )
    with in_redis(system) as client:
        for key in client.scan_iter():
            yield f"key {key.decode('latin-1')}", client.dump(key)
        for stream in ("submissions", "reports", "assessments", "{alerts}:events", "quarantine"):
            yield f"stream {stream}", repr(client.xrange(f"salingjaga:{stream}")).encode()
    _, runtime = private(system)
    for name, port in runtime["service_ports"].items():
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
        yield f"metrics of {name}", page.content
    yield "metrics of webhook", httpx.get(f"{system.url}/metrics", trust_env=False).content
    yield "quarantine", system.run("quarantine", "list", "--json").out.encode()
    yield "audit", system.run("audit", "list", "--json").out.encode()
    yield "what up printed", system.words().encode()


def test_no_identity_lies_in_clear_anywhere_the_system_writes(vaulted: Embedded) -> None:
    pieces = dict(everything_written(vaulted))
    assert any(name.startswith("redis/") for name in pieces)
    assert any(name.startswith("logs/") for name in pieces)
    assert b"membagikan amplop" in pieces["table salingjaga.report_rows"], "the search would find what is in clear"
    assert "notifications.txt" in pieces
    found = [(name, planted) for name, piece in pieces.items() for planted in PLANTED if planted.encode() in piece]
    assert found == []


def test_a_reporter_is_shown_with_a_reason_only_and_the_look_is_recorded_first(vaulted: Embedded) -> None:
    receipt = receipt_of(vaulted, "membagikan amplop")
    assert vaulted.run("reporter", "show", receipt, status=2).out == ""
    assert vaulted.run("reporter", "show", receipt, "--reason", "  ", status=2).out == ""
    shown = vaulted.run("reporter", "show", receipt.lower(), "--reason", "klarifikasi kasus 12").out
    for part in REPORTER.values():
        assert part in shown
    [record] = json.loads(vaulted.run("audit", "list", "--json", "--receipt", receipt).out)
    assert (record["action"], record["receipt"], record["reason"]) == ("reporter show", receipt, "klarifikasi kasus 12")
    assert record["who"]


def test_nothing_is_shown_when_the_look_cannot_be_recorded(vaulted: Embedded) -> None:
    receipt = receipt_of(vaulted, "membagikan amplop")
    with full(vaulted) as clickhouse:
        clickhouse.command("RENAME TABLE salingjaga_vault.audit TO salingjaga_vault.audit_away")
        try:
            ran = vaulted.run("reporter", "show", receipt, "--reason", "diam-diam", status=1)
        finally:
            clickhouse.command("RENAME TABLE salingjaga_vault.audit_away TO salingjaga_vault.audit")
    assert not [part for part in PLANTED if part in ran.out + ran.err]


def test_a_submission_is_read_back_byte_for_byte(vaulted: Embedded, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "asli.jsonl", [{"id": "asli", "text": "Asli Δ  spasi\tganda di Rantau Kelimantan"}])
    vaulted.run("send", path)
    wait_for(lambda: vaulted.count("SELECT count() FROM reports WHERE text LIKE 'Asli%'") == 1, seconds=20)
    receipt = receipt_of(vaulted, "Asli")
    wait_for(lambda: vaulted.run("submission", "show", receipt, "--reason", "uji", status=None).status == 0, seconds=20)
    shown = vaulted.run("submission", "show", receipt, "--reason", "uji").out
    assert json.loads(shown) == json.loads(path.read_text())
    assert shown.strip() == path.read_text().strip()


def test_an_analyst_cannot_read_the_vault(vaulted: Embedded) -> None:
    for table in ("submissions", "data_keys", "audit"):
        refused = vaulted.run("query", f"SELECT * FROM salingjaga_vault.{table}", status=1)
        assert "salingjaga_vault" in refused.err
        vaulted.run("query", f"SELECT 1 WHERE 'a' IN (SELECT who FROM salingjaga_vault.{table})", status=1)
        vaulted.run("query", f"SELECT * FROM merge('salingjaga_vault', '{table}')", status=1)


def test_a_rotation_takes_effect_while_the_system_runs_and_what_was_sealed_before_still_opens(
    vaulted: Embedded, tmp_path: Path
) -> None:
    receipt = receipt_of(vaulted, "membagikan amplop")
    before = json.loads((vaulted.data_dir / "keys.json").read_text())["active"]
    ran = vaulted.run("keys", "rotate", "--reason", "jadwal")
    after = json.loads((vaulted.data_dir / "keys.json").read_text())["active"]
    assert after != before
    assert f"{after} is active now" in ran.out
    with full(vaulted) as clickhouse:
        sql = "SELECT DISTINCT master_key_id FROM salingjaga_vault.data_keys FINAL"
        assert clickhouse.query(sql).result_rows == [(after,)], "what is stored is wrapped anew"
        count = 0

        def sealed_under_the_new_one() -> bool:
            nonlocal count
            count += 1
            report = {"id": f"rotasi-{count}", "text": f"Laporan {count} sesudah kunci diganti di Balangan"}
            vaulted.run("send", write_jsonl(tmp_path / "r.jsonl", [report]))
            raw = clickhouse.command("SELECT count() FROM salingjaga_vault.data_keys FINAL")
            return int(raw) > 1

        wait_for(sealed_under_the_new_one, seconds=30)
        assert clickhouse.query(sql).result_rows == [(after,)]
    assert "Zulkifli" in vaulted.run("reporter", "show", receipt, "--reason", "uji").out
    listed = vaulted.run("keys", "list").out
    assert before in listed
    assert "kept for reading" in listed
    assert json.loads((vaulted.data_dir / "keys.json").read_text())["keys"][after] not in listed
    wait_for(
        lambda: vaulted.count("SELECT count() FROM reports WHERE text LIKE 'Laporan % sesudah kunci%'") == count,
        seconds=20,
    )
    assert vaulted.run("quarantine", "list").out.strip() == "The quarantine is empty."


def test_a_replay_changes_no_id_no_count_and_raises_no_alert_twice(vaulted: Embedded) -> None:
    ids = "SELECT report_id, incident_id, text, region_code FROM reports ORDER BY report_id"
    alerts = "SELECT alert_id, reports, incidents, state FROM alerts ORDER BY alert_id"
    reports_before, alerts_before = vaulted.query(ids), vaulted.query(alerts)
    assert alerts_before
    last = vaulted.query("SELECT toString(max(classified_at)) AS at FROM reports")[0]["at"]
    notified = vaulted.notifications()
    ran = vaulted.run("replay", "--since", "2020-01-01", "--reason", "penyamar diperbaiki")
    assert f"{len(reports_before)} submissions put back" in ran.out
    wait_for(
        lambda: vaulted.count(f"SELECT count() FROM reports WHERE classified_at > '{last}'") == len(reports_before),
        seconds=30,
    )
    settled(vaulted)
    assert vaulted.query(ids) == reports_before
    assert vaulted.query(alerts) == alerts_before
    assert vaulted.notifications() == notified
    with full(vaulted) as clickhouse:
        assert clickhouse.command("SELECT count() FROM salingjaga_vault.submissions FINAL") == len(reports_before)
    assert vaulted.run("replay", "--since", "2099-01-01", "--reason", "x").out.startswith("No submission")


def settled(system: Embedded) -> None:
    """Return when every consumer group has read and acknowledged its whole stream."""

    def done() -> bool:
        with in_redis(system) as client:
            for stream in ("submissions", "reports", "assessments", "{alerts}:events"):
                newest = client.xinfo_stream(f"salingjaga:{stream}")["last-generated-id"]
                for group in client.xinfo_groups(f"salingjaga:{stream}"):
                    if group["pending"] or group["last-delivered-id"] != newest:
                        return False
        return True

    wait_for(done, seconds=20)


def test_what_cannot_be_processed_stays_sealed_in_quarantine_and_is_shown_with_a_reason(vaulted: Embedded) -> None:
    receipt = receipt_of(vaulted, "membagikan amplop")
    # As if its adapter had gone: the same entry, which nobody can read.
    with open_vault(vaulted.data_dir) as vault:
        entry = vault.versions(receipt)[-1].entry()
        vault.redis.xadd("salingjaga:submissions", {**entry, b"adapter": b"faks"})

    def waiting() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(vaulted.run("quarantine", "list", "--json").out)
        return found

    wait_for(lambda: bool(waiting()), seconds=20)
    [one] = waiting()
    assert "no adapter" in one["error"]
    plain = vaulted.run("quarantine", "show", one["id"]).out
    assert not [part for part in PLANTED if part in plain]
    shown = vaulted.run("quarantine", "show", one["id"], "--reason", "memeriksa pengirim").out
    assert REPORTER["phone"] in shown
    records = json.loads(vaulted.run("audit", "list", "--json", "--receipt", receipt).out)
    assert "quarantine show" in [record["action"] for record in records]


def test_a_reporter_is_forgotten_everywhere_and_the_masked_reports_stay(vaulted: Embedded) -> None:
    settled(vaulted)
    receipt = receipt_of(vaulted, "membagikan amplop")
    reports = vaulted.count("SELECT count() FROM reports")
    [row] = vaulted.query(f"SELECT sender FROM reports WHERE receipt = '{receipt}'")
    sender = row["sender"]
    with full(vaulted) as clickhouse:
        sealed = clickhouse.query(
            f"SELECT sealed FROM salingjaga_vault.submissions WHERE receipt = '{receipt}'"
        ).result_rows[0][0]
    assert sender
    raw = base64.b64decode(sealed)
    assert any(raw in piece for _, piece in everything_written(vaulted)), "the search would find it"
    ran = vaulted.run("forget", receipt, "--reason", "permintaan pelapor", "--yes")
    assert "Nothing is left" in ran.out

    vaulted.run("reporter", "show", receipt, "--reason", "uji", status=1)
    vaulted.run("submission", "show", receipt, "--reason", "uji", status=1)
    assert vaulted.count("SELECT count() FROM reports") == reports
    assert vaulted.count(f"SELECT count() FROM reports WHERE sender = '{sender}'") == 0
    with full(vaulted) as clickhouse:
        left = clickhouse.command("SELECT count() FROM salingjaga_vault.submissions FINAL")
        assert left == reports - 2, "both reports of this reporter are gone, the others are there"
    pieces = dict(everything_written(vaulted))
    live = {name: piece for name, piece in pieces.items() if not name.startswith("clickhouse/")}
    assert [name for name, piece in live.items() if sender.encode() in piece] == []
    assert [name for name, piece in live.items() if sealed.encode() in piece or raw in piece] == []
    records = json.loads(vaulted.run("audit", "list", "--json").out)
    assert [record["action"] for record in records].count("forget") == 2
    assert not [record for record in records if sender in json.dumps(record)]
    assert "not in the vault" in vaulted.run("reporter", "show", receipt, "--reason", "uji", status=1).err
