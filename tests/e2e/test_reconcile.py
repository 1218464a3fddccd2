"""What a form's webhook lost is found in its export and posted after all, once."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cli.vault import open_vault
from shared.bus.receipts import receipt_key
from tests.backends import wait_for
from tests.e2e.embedded import ROOT, Embedded
from tests.form_server import ODK_PATH, TOKEN, FormServer

TEXT = "Kades di Kec. Paringin Balangan membagikan amplop 50 ribu kepada warga agar memilih paslon nomor"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("config")
    for name in ("sources.yaml", "officers.yaml"):
        shutil.copy(ROOT / "deploy" / "config" / name, folder)
    with (folder / "sources.yaml").open("a") as file:
        file.write("  kobo-uji: {adapter: kobo, auth: {scheme: basic, secret_env: SALINGJAGA_SECRET_KOBO_UJI}}\n")
        file.write("  odk-uji: {adapter: odk, auth: {scheme: static-header, header: X-API-Key, ")
        file.write("secret_env: SALINGJAGA_SECRET_ODK_UJI}}\n")
    environment = {
        "SALINGJAGA_CONFIG_DIR": str(folder),
        "SALINGJAGA_SECRET_KOBO_UJI": "kobo:rahasia-untuk-uji-coba",
        "SALINGJAGA_SECRET_ODK_UJI": "rahasia-untuk-uji-coba",
        "SALINGJAGA_EXPORT_TOKEN": TOKEN,
    }
    system = Embedded(tmp_path_factory.mktemp("reconcile") / "data", environment=environment)
    system.start()
    try:
        yield system
    finally:
        system.stop()


def export(path: Path, numbers: range) -> Path:
    submissions = [
        {"_uuid": f"kobo-{one}", "_submission_time": f"2024-11-{one + 10}T03:00:00", "kronologi": f"{TEXT} {one}"}
        for one in numbers
    ]
    path.write_text(json.dumps({"count": len(submissions), "results": submissions}))
    return path


def test_missing_submissions_are_listed_then_posted_and_count_once(system: Embedded, tmp_path: Path) -> None:
    file = tmp_path / "kobo.json"
    command = ("reconcile", "kobo-uji", "--export", file)
    assert "3 posted, 0 rejected" in system.run(*command[:3], export(file, range(3))).out
    wait_for(lambda: system.count("SELECT count() FROM reports") == 3, seconds=30)

    export(file, range(5))
    listed = system.run(*command, "--dry-run").out
    assert "5 compared, 3 had arrived, 2 missing" in listed
    assert listed.count("missing: SJ-") == 2
    assert "1 compared, 0 had arrived, 1 missing" in system.run(*command, "--since", "2024-11-14", "--dry-run").out

    assert "2 missing; 2 posted, 0 rejected, 0 not accepted" in system.run(*command).out
    assert "5 had arrived, 0 missing" in system.run(*command).out
    wait_for(lambda: system.count("SELECT count() FROM reports") == 5, seconds=30)
    assert system.count("SELECT uniqExact(receipt) FROM reports") == 5


def test_a_list_that_breaks_off_is_compared_as_far_as_it_was_read_and_the_rest_later(system: Embedded) -> None:
    rows = [
        {
            "__id": f"uuid:lewat-{one}",
            "__system": {"submissionDate": f"2024-11-{one + 10}T03:00:00.000Z"},
            "kronologi": f"{TEXT} 7{one}",
        }
        for one in range(5)
    ]
    with FormServer(rows) as server:
        command = ("reconcile", "odk-uji", "--url", server.url + ODK_PATH)
        server.breaks_at = 2
        broken = system.run(*command, status=1)
        assert "4 compared, 0 had arrived, 4 missing; 4 posted, 0 rejected, 0 not accepted" in broken.out
        assert "in part only" in broken.err
        assert "HTTP 502" in broken.err
        assert "Traceback" not in broken.err
        server.breaks_at = None
        assert "5 compared, 4 had arrived, 1 missing; 1 posted" in system.run(*command).out
        assert "5 compared, 5 had arrived, 0 missing" in system.run(*command).out
        wrong = system.run(*command, "--token-env", "SALINGJAGA_SECRET_ODK_UJI", status=1)
        assert "HTTP 401; check the address and the token" in wrong.err
        assert "rahasia-untuk-uji-coba" not in wrong.err
    sql = "SELECT count() FROM reports WHERE source = 'odk-uji'"
    wait_for(lambda: system.count(sql) == 5, seconds=30)


def test_what_waits_in_quarantine_is_not_missing_though_its_receipt_is_forgotten(
    system: Embedded, tmp_path: Path
) -> None:
    file = tmp_path / "kobo.json"
    file.write_text(json.dumps({"results": [{"_uuid": "tanpa-jawaban", "_submission_time": "2024-11-20T03:00:00"}]}))
    command = ("reconcile", "kobo-uji", "--export", file)
    assert "1 posted" in system.run(*command).out
    wait_for(lambda: len(json.loads(system.run("quarantine", "list", "--json").out)) == 1, seconds=20)
    with open_vault(system.data_dir) as vault:
        [receipt] = [one["receipt"] for one in json.loads(system.run("quarantine", "list", "--json").out)]
        wait_for(lambda: vault.count(f"{vault.database}.submissions", f"receipt = '{receipt}'", {}) == 1, seconds=20)
        assert vault.redis.delete(receipt_key(receipt, vault.partitions)) == 1  # as it is when it has expired
    assert "1 compared, 1 had arrived, 0 missing" in system.run(*command).out


def test_an_unknown_source_is_told_in_one_sentence(system: Embedded, tmp_path: Path) -> None:
    refused = system.run("reconcile", "tidak-ada", "--export", export(tmp_path / "x.json", range(1)), status=1)
    assert "names no source" in refused.err
    assert "Traceback" not in refused.err
