"""The whole main job as a user meets it."""

import csv
import io
import json
from pathlib import Path

import clickhouse_connect
import httpx
import pytest

from tests.backends import wait_for
from tests.e2e.embedded import ROOT, Embedded, write_jsonl

ARTICLES = ROOT / "tests" / "data" / "articles"
EXAMPLES = ROOT / "deploy" / "examples" / "reports.jsonl"
COUNTED = "SELECT region_name, kind, primary_class, count() AS reports FROM reports GROUP BY ALL"


def arrived(system: Embedded, reports: int) -> None:
    wait_for(lambda: system.count("SELECT count() FROM reports") >= reports, seconds=30)


def test_prevention_news_is_counted_as_prevention_in_its_office_s_region_and_alerts_nobody(system: Embedded) -> None:
    system.run("send", ARTICLES)
    arrived(system, 2)
    rows = system.query("SELECT region_name, kind, severity FROM reports WHERE source = 'berita' ORDER BY region_name")
    assert [(row["region_name"], row["kind"], row["severity"]) for row in rows] == [
        ("Kabupaten Sampang", "prevention", "none"),
        ("Kabupaten Tanah Bumbu", "prevention", "none"),
    ]
    assert json.loads(system.run("alerts", "list", "--json").out) == []
    assert "Baca juga" not in system.query("SELECT text FROM reports WHERE region_code = '63.10'")[0]["text"]


def test_a_concrete_accusation_raises_an_alert_in_its_region_and_the_notification_is_there_to_read(
    system: Embedded, tmp_path: Path
) -> None:
    report = {
        "id": "tuduhan-1",
        "text": "Tadi malam camat bagi-bagi amplop isi 100 ribu ke warga di Kec. Paringin, Kab. Balangan, "
        "disuruh pilih paslon nomor 1. Hubungi saya 0812-3456-7890",
        "occurred_at": "2024-11-25T20:00:00+08:00",
        "reporter": {"name": "Warga Contoh", "phone": "081234567890"},
    }
    system.run("send", write_jsonl(tmp_path / "tuduhan.jsonl", [report]))
    wait_for(lambda: "Kabupaten Balangan" in system.notifications(), seconds=20)
    wait_for(lambda: system.count("SELECT count() FROM alerts WHERE region_code = '63.11'") == 1, seconds=20)

    notification = system.notifications()
    assert "[KRITIS] Dugaan politik uang: Kabupaten Balangan" in notification
    assert "camat bagi-bagi amplop" in notification
    assert "187A" in notification
    assert "0812" not in notification
    assert "Warga Contoh" not in notification
    [row] = system.query("SELECT text, stage, severity, kind FROM reports WHERE region_code = '63.11'")
    assert "[telepon]" in row["text"]
    assert (row["stage"], row["severity"], row["kind"]) == ("masa_tenang", "critical", "violation_report")

    [alert] = json.loads(system.run("alerts", "list", "--json").out)
    system.run("alerts", "ack", alert["alert_id"][:8], "--reason", "sedang ditelusuri", "--actor", "balangan-1")
    wait_for(lambda: system.count("SELECT count() FROM alerts WHERE state = 'acknowledged'") == 1, seconds=20)


def test_sending_everything_again_changes_no_count(system: Embedded) -> None:
    sent = system.count("SELECT count() FROM reports")
    first = system.run("send", EXAMPLES).out
    assert first.startswith("32 accepted (0 of them known already), 0 rejected")
    arrived(system, sent + 32)
    before = system.query(COUNTED + " ORDER BY ALL")

    again = system.run("send", EXAMPLES, ARTICLES).out
    assert again.startswith("34 accepted (3")
    receipts_settled(system)
    assert system.query(COUNTED + " ORDER BY ALL") == before


def receipts_settled(system: Embedded) -> None:
    receipts = [row["receipt"] for row in system.query("SELECT receipt FROM reports")]
    with httpx.Client(base_url=system.url, trust_env=False) as client:
        for receipt in receipts:
            answer = client.get(f"/v1/receipts/{receipt}").json()
            assert answer["stage"] == "archived", answer


def test_a_receipt_tells_how_far_a_report_has_come_and_nothing_of_its_content(system: Embedded) -> None:
    [row] = system.query("SELECT receipt FROM reports WHERE region_code = '63.11' AND severity = 'critical' LIMIT 1")
    typed = row["receipt"].lower().replace("-", " ")
    answer = httpx.get(f"{system.url}/v1/receipts/{typed}", trust_env=False)
    assert answer.json() == {
        "receipt": row["receipt"],
        "stage": "archived",
        "message": "Laporan Anda sudah tercatat.",
    }
    unknown = httpx.get(f"{system.url}/v1/receipts/SJ-0000-0000-0000-0000", trust_env=False)
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "application/problem+json"


def test_reports_in_csv_and_json_arrive_and_bad_ones_are_named_with_their_line(
    system: Embedded, tmp_path: Path
) -> None:
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(["id", "text", "region", "reporter_phone"])
    writer.writerow(
        ["csv-1", "Kades menyuruh RT mendukung paslon 2,\nsambil membagikan kaos", "Kabupaten Garut", "0811"]
    )
    writer.writerow(["csv-2", "   ", "", ""])
    writer.writerow(["csv-3", "rapat sudah selesai", "Kabupaten Atlantis", ""])
    path = tmp_path / "laporan.csv"
    path.write_text(sheet.getvalue(), encoding="utf-8")
    before = system.count("SELECT count() FROM reports")

    ran = system.run("send", path, status=1)

    assert ran.out.startswith("1 accepted (0 of them known already), 2 rejected")
    assert f"{path}:4: The report does not fit: /text" in ran.err
    assert f"{path}:5: Unknown region: /region" in ran.err
    arrived(system, before + 1)
    [row] = system.query("SELECT region_name FROM reports WHERE text LIKE 'Kades menyuruh RT%'")
    assert row["region_name"] == "Kabupaten Garut"


def test_an_analyst_connects_with_an_own_client_and_can_only_read(system: Embedded) -> None:
    credentials = json.loads((system.data_dir / "credentials.json").read_text())
    runtime = json.loads((system.data_dir / "runtime.json").read_text())
    client = clickhouse_connect.get_client(
        host="127.0.0.1",
        port=runtime["clickhouse_port"],
        username=credentials["analyst_user"],
        password=credentials["analyst_password"],
        database="salingjaga",
    )
    result = client.query("SELECT count() FROM reports WHERE region_code = {code:String}", parameters={"code": "63.11"})
    assert result.result_rows[0][0] > 0
    for forbidden in (
        "INSERT INTO report_rows (receipt) VALUES ('x')",
        "DROP VIEW reports",
        "SELECT * FROM file('/etc/passwd')",
    ):
        with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError):
            client.command(forbidden)


def test_secrets_lie_in_files_that_only_their_owner_can_read(system: Embedded) -> None:
    for name in ("credentials.json", "runtime.json", "redis.conf", "clickhouse-accounts.json", "notifications.txt"):
        assert (system.data_dir / name).stat().st_mode & 0o077 == 0, name


def test_a_command_says_in_one_sentence_that_nothing_runs_in_its_folder(system: Embedded, tmp_path: Path) -> None:
    ran = system.run("query", "SELECT 1", "--data-dir", tmp_path / "elsewhere", status=1)
    assert ran.err.strip().startswith("Error: No Salingjaga runs in")
    assert "Traceback" not in ran.err


def test_a_bad_query_is_answered_with_the_engine_s_words_not_a_traceback(system: Embedded) -> None:
    ran = system.run("query", "SELECT nothing FROM reports", status=1)
    assert "nothing" in ran.err
    assert "Traceback" not in ran.err


def test_the_five_real_articles_are_prevention_in_their_offices_regions(system: Embedded, samples: Path) -> None:
    alerts = len(json.loads(system.run("alerts", "list", "--json").out))
    before = system.count("SELECT count() FROM reports")
    system.run("send", samples / "articles")
    arrived(system, before + 5)
    rows = system.query(
        "SELECT region_name, kind FROM reports WHERE source = 'berita' ORDER BY received_at DESC, region_name LIMIT 5"
    )
    assert sorted((row["region_name"], row["kind"]) for row in rows) == [
        ("Kabupaten Balangan", "prevention"),
        ("Kabupaten Banggai Kepulauan", "prevention"),
        ("Kabupaten Kubu Raya", "prevention"),
        ("Kabupaten Tanah Laut", "prevention"),
        ("Kota Balikpapan", "prevention"),
    ]
    assert len(json.loads(system.run("alerts", "list", "--json").out)) == alerts


def test_the_sixty_labelled_texts_arrive_exactly_once(system: Embedded, samples: Path) -> None:
    before = system.count("SELECT count() FROM reports")
    system.run("send", samples / "labelled_examples.jsonl")
    arrived(system, before + 60)
    system.run("send", samples / "labelled_examples.jsonl")
    assert system.count("SELECT count() FROM reports") == before + 60
