"""A report becomes a packet for Bawaslu, out of what an analyst can read."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends import wait_for
from tests.e2e.embedded import Embedded, write_jsonl

TEXT = "Kades di Kec. Paringin Balangan membagikan amplop 50 ribu kepada warga agar memilih paslon nomor 2"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    system = Embedded(tmp_path_factory.mktemp("packet") / "data")
    system.start()
    try:
        yield system
    finally:
        system.stop()


def test_a_report_is_handed_over_and_the_packet_verified(system: Embedded, tmp_path: Path) -> None:
    reports = [
        {"id": f"p{number}", "text": TEXT, "occurred_at": "2024-11-20T03:00:00Z",
         "reporter": {"name": "Siti Pelapor", "phone": f"08120000000{number}"}}
        for number in (1, 2)
    ]  # fmt: skip
    system.run("send", write_jsonl(tmp_path / "dua.jsonl", reports))
    wait_for(lambda: system.count("SELECT count() FROM reports") == 2, seconds=30)
    wait_for(lambda: system.count("SELECT count() FROM alert_events") >= 1, seconds=30)
    [first, _] = system.query("SELECT report_id, receipt, incident_id FROM reports ORDER BY received_at, report_id")

    page, file = tmp_path / "berkas.html", tmp_path / "berkas.json"
    made = system.run("packet", first["receipt"].lower(), "--officer", "Balangan 1", "--html", page, "--json").out
    packet = json.loads(made)
    assert packet["case"]["report_id"] == first["report_id"]
    assert packet["case"]["corroborations"] == 1
    assert [entry["kind"] for entry in packet["chain"]].count("alert_event") >= 1
    assert "Pembagian uang tunai" in page.read_text()
    for secret in ("Siti Pelapor", "0812000", first["receipt"]):
        assert secret not in made + page.read_text()

    file.write_text(made)
    assert "entries hold" in system.run("packet", "verify", file, "--head", packet["head"]).out
    file.write_text(made.replace("50 ribu", "5 ribu"))
    assert "was altered" in " ".join(system.run("packet", "verify", file, status=1).err.split())

    by_id = system.run("packet", first["report_id"]).out
    assert "informasi awal" in by_id
    by_incident = json.loads(system.run("packet", "--incident", first["incident_id"], "--json").out)
    assert by_incident["case"]["incident_id"] == packet["case"]["incident_id"]


def test_an_unknown_report_is_told_in_one_sentence(system: Embedded) -> None:
    unknown = system.run("packet", "00000000-0000-0000-0000-000000000001", status=1)
    assert "No stored report" in unknown.err
    assert "Traceback" not in system.run("packet", "bukan-resi", status=1).err
    system.run("packet", status=2)
