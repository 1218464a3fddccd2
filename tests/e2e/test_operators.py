"""What officers and operators configure and do, on an own configuration folder."""

import json
import shutil
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
import redis

from tests.backends import wait_for
from tests.e2e.embedded import ROOT, Embedded, write_jsonl
from tests.receivers import HttpReceiver, SmtpReceiver

ACCUSATION = "Kades di Kec. Paringin Balangan membagikan amplop 50 ribu kepada warga agar memilih paslon nomor 2"


@pytest.fixture(scope="module")
def web() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def mail() -> Iterator[SmtpReceiver]:
    with SmtpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory, web: HttpReceiver, mail: SmtpReceiver) -> Iterator[Embedded]:
    """A system with officers of Balangan and of the province next to it, and a source of its own."""
    folder = tmp_path_factory.mktemp("config")
    shutil.copy(ROOT / "deploy" / "config" / "sources.yaml", folder)
    with (folder / "sources.yaml").open("a") as file:
        file.write(
            "  posko: {adapter: json, auth: {scheme: standard-webhooks, secret_env: SALINGJAGA_SECRET_POSKO}, "
            "rate_per_minute: 600}\n"
        )
    officers = [
        {
            "id": "balangan-1",
            "name": "Petugas Balangan",
            "role": "regency",
            "regions": ["63.11"],
            "channels": [f"json://127.0.0.1:{web.port}/alerts", mail.url],
        },
        {
            "id": "kaltim-1",
            "name": "Petugas Kaltim",
            "role": "province",
            "regions": ["64"],
            "channels": [f"json://127.0.0.1:{web.port}/kaltim"],
        },
    ]
    (folder / "officers.yaml").write_text(json.dumps({"officers": officers}))
    system = Embedded(
        tmp_path_factory.mktemp("e2e officers") / "data folder",
        environment={
            "SALINGJAGA_CONFIG_DIR": str(folder),
            "SALINGJAGA_SECRET_POSKO": "whsec_cmFoYXNpYS1wb3Nrby15YW5nLWN1a3VwLXBhbmphbmctMTIz",
        },
    )
    system.start()
    try:
        yield system
    finally:
        system.stop()


def test_officers_of_the_region_are_told_over_all_their_channels_and_others_are_not(
    configured: Embedded, web: HttpReceiver, mail: SmtpReceiver, tmp_path: Path
) -> None:
    reports = write_jsonl(tmp_path / "laporan.jsonl", [{"id": "1", "text": ACCUSATION}])
    configured.run("send", reports, "--source", "posko")
    wait_for(lambda: bool(web.received and mail.received), seconds=20)

    assert "Kabupaten Balangan" in web.received[0]["title"]
    assert "membagikan amplop" in web.received[0]["message"]
    message: EmailMessage = mail.received[0]
    assert "Kabupaten Balangan" in message["subject"]
    assert len(web.received) == 1, "the officer of another province hears nothing"
    wait_for(lambda: configured.count("SELECT count() FROM deliveries WHERE outcome = 'sent'") == 2, seconds=20)
    channels = {row["channel"] for row in configured.query("SELECT DISTINCT channel FROM deliveries")}
    assert not [channel for channel in channels if "@" in channel], "addresses of officers are not stored"


def test_the_configuration_is_checked_and_a_broken_line_is_named(configured: Embedded, tmp_path: Path) -> None:
    good = configured.run("check")
    assert "sources: lapangan, berita, posko" in good.out
    assert "rule pack and text model: versions" in good.out
    assert "2 officers" in good.out
    assert "regencies have nobody of their own or their province" in good.out
    assert "step 3 of the escalation reaches nobody: no officer has the role national" in good.out

    broken = Embedded(configured.data_dir, environment={"SALINGJAGA_CONFIG_DIR": str(tmp_path)})
    shutil.copy(ROOT / "deploy" / "config" / "sources.yaml", tmp_path)
    (tmp_path / "officers.yaml").write_text(
        'officers:\n  - {id: a, name: A, role: regency, regions: ["99.99"], channels: []}\n'
    )
    bad = broken.run("check", status=1)
    assert "officers.yaml, line 2" in bad.err
    assert "99.99" in bad.err


def test_what_cannot_be_processed_is_listed_shown_replayed_and_dropped(configured: Embedded) -> None:
    credentials = json.loads((configured.data_dir / "credentials.json").read_text())
    runtime = json.loads((configured.data_dir / "runtime.json").read_text())
    with redis.Redis(port=runtime["redis_port"], password=credentials["redis_password"]) as operator:
        for body in ("bukan laporan", "juga bukan"):
            operator.xadd("salingjaga:reports", {"body": body})

    def waiting() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(configured.run("quarantine", "list", "--json").out)
        return found

    wait_for(lambda: len(waiting()) == 2, seconds=20)
    first, second = waiting()
    assert first["group"] == "classify"
    assert "not a report" in first["error"]
    assert "bukan laporan" not in configured.run("quarantine", "show", first["id"]).out
    assert "bukan laporan" in configured.run("quarantine", "show", first["id"], "--reason", "memeriksa").out
    assert configured.run("quarantine", "drop", second["id"], "--yes").out.strip() == "1 dropped"
    assert configured.run("quarantine", "replay", "--all").out.strip() == "1 put back"
    wait_for(lambda: [one["id"] for one in waiting()] not in ([], [first["id"]]), seconds=20)
    configured.run("quarantine", "drop", "--all", "--yes")
    assert configured.run("quarantine", "list").out.strip() == "The quarantine is empty."
    configured.run("quarantine", "show", first["id"], status=1)


def test_a_sender_with_a_wrong_secret_or_an_unknown_source_is_told_so(configured: Embedded, tmp_path: Path) -> None:
    reports = write_jsonl(tmp_path / "laporan.jsonl", [{"text": "a"}])
    unknown = configured.run("send", reports, "--source", "entah", "--secret-env", "SALINGJAGA_SECRET_POSKO", status=1)
    assert "Unknown source" in unknown.err
    missing = configured.run("send", reports, "--source", "entah", status=1)
    assert "set the variable SALINGJAGA_SECRET_ENTAH" in missing.err
    wrong = configured.run("send", reports, "--source", "posko", "--secret-env", "SALINGJAGA_SECRET_BERITA", status=1)
    assert "Signature refused" in wrong.err


def test_bad_input_over_http_gets_a_problem_document_and_nothing_else_suffers(configured: Embedded) -> None:
    url = f"{configured.url}/v1/reports/posko"
    for body in (b"", b"x" * 10_000_000, b"\x00" * 100):
        answer = httpx.post(url, content=body, headers={"content-type": "application/json"}, trust_env=False)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.status_code in (401, 413)
    assert httpx.get(f"{configured.url}/readyz", trust_env=False).status_code == 200
