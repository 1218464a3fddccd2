"""What a form's webhook lost is found in its export and posted after all, once."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends import wait_for
from tests.e2e.embedded import ROOT, Embedded

TEXT = "Kades di Kec. Paringin Balangan membagikan amplop 50 ribu kepada warga agar memilih paslon nomor"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("config")
    for name in ("sources.yaml", "officers.yaml"):
        shutil.copy(ROOT / "deploy" / "config" / name, folder)
    with (folder / "sources.yaml").open("a") as file:
        file.write("  kobo-uji: {adapter: kobo, auth: {scheme: basic, secret_env: SALINGJAGA_SECRET_KOBO_UJI}}\n")
    environment = {"SALINGJAGA_CONFIG_DIR": str(folder), "SALINGJAGA_SECRET_KOBO_UJI": "kobo:rahasia-untuk-uji-coba"}
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


def test_an_unknown_source_is_told_in_one_sentence(system: Embedded, tmp_path: Path) -> None:
    refused = system.run("reconcile", "tidak-ada", "--export", export(tmp_path / "x.json", range(1)), status=1)
    assert "names no source" in refused.err
    assert "Traceback" not in refused.err
