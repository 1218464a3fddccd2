"""`kill -9` of any part while five thousand reports are sent: none is lost, none is counted twice."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.backends import wait_for
from tests.e2e.embedded import Embedded, write_jsonl

REPORTS = 5_000
PARTS = ("redis", "clickhouse", "webhook", "normaliser", "classify", "archive", "alerts")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("part", PARTS)
def test_killing_a_part_while_reports_are_sent_loses_none_and_doubles_none(
    system: Embedded, tmp_path: Path, part: str
) -> None:
    reports = [
        {
            "id": f"{part}-{number}",
            "text": f"TPS {number} di Kec. Paringin: sosialisasi tolak politik uang kepada {number % 90 + 10} warga.",
        }
        for number in range(REPORTS)
    ]
    path = write_jsonl(tmp_path / "laporan.jsonl", reports)
    before = system.count("SELECT count() FROM reports")
    killed = system.pid_of(part)
    # The kill falls into the sending: `send` needs longer than this for five thousand.
    killer = threading.Timer(0.9, lambda: system.kill(part))
    killer.start()
    ran = system.run("send", path)
    killer.join()

    assert ran.out.startswith(f"{REPORTS} accepted"), ran.out + ran.err
    wait_for(lambda: settled(system, before + REPORTS), seconds=120)
    assert system.count("SELECT count() FROM reports") == before + REPORTS
    assert system.count("SELECT uniqExact(report_id) FROM reports") == before + REPORTS
    assert system.run("quarantine", "list", "--json").out.strip() == "[]"
    assert system.pid_of(part) != killed, "the supervisor has started it again"


def settled(system: Embedded, expected: int) -> bool:
    """Whether ClickHouse answers (it may be the one that was killed) and holds at least so many."""
    ran = system.run("query", "SELECT count() FROM reports", "--format", "csv", status=None)
    return ran.status == 0 and int(ran.out.split()[-1]) >= expected


@pytest.mark.timeout(180)
def test_ctrl_c_stops_everything_within_ten_seconds_and_a_second_start_carries_on(tmp_path: Path) -> None:
    system = Embedded(tmp_path / "data")
    system.start()
    reports = [{"id": str(number), "text": f"Laporan kegiatan nomor {number} di Garut"} for number in range(300)]
    system.run("send", write_jsonl(tmp_path / "laporan.jsonl", reports))
    pids = [system.pid_of(part) for part in PARTS]
    assert system.stop() < 10
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]

    system.start()
    try:
        wait_for(lambda: settled(system, 300), seconds=60)
        assert system.count("SELECT count() FROM reports") == 300
        assert "300 of them known already" in system.run("send", tmp_path / "laporan.jsonl").out
    finally:
        system.stop()


def test_a_port_in_use_and_a_folder_in_use_are_said_in_one_sentence(system: Embedded, tmp_path: Path) -> None:
    def up(folder: Path, port: int) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "deploy.cli", "up", "--data-dir", str(folder), "--port", str(port)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    port_taken = up(tmp_path / "other", system.port)
    assert port_taken.returncode == 1
    assert f"Port {system.port} is in use" in port_taken.stderr
    folder_taken = up(system.data_dir, system.port + 1)
    assert folder_taken.returncode == 1
    assert "Another Salingjaga runs in" in folder_taken.stderr
    nowhere = up(Path("/proc/nowhere"), system.port + 1)
    assert nowhere.returncode == 1
    assert "cannot be used" in nowhere.stderr
    assert system.count("SELECT count() FROM reports") >= 0, "the first system is still found and answers"
    for ran in (port_taken, folder_taken, nowhere):
        assert "Traceback" not in ran.stderr
