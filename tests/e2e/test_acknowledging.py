"""The link out of a real e-mail acknowledges; a verdict measures the classifier."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.backends import wait_for
from tests.e2e.embedded import ROOT, Embedded, write_jsonl
from tests.receivers import SmtpReceiver

ACCUSATION = "Kades di Kec. Paringin Balangan membagikan amplop 50 ribu kepada warga agar memilih paslon nomor 2"


@pytest.fixture(scope="module")
def mail() -> Iterator[SmtpReceiver]:
    with SmtpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def officered(tmp_path_factory: pytest.TempPathFactory, mail: SmtpReceiver) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("config")
    shutil.copy(ROOT / "deploy" / "config" / "sources.yaml", folder)
    officer = {"id": "balangan-1", "name": "Petugas Balangan", "role": "regency", "regions": ["63.11"]}
    (folder / "officers.yaml").write_text(json.dumps({"officers": [{**officer, "channels": [mail.url]}]}))
    system = Embedded(tmp_path_factory.mktemp("ack") / "data", environment={"SALINGJAGA_CONFIG_DIR": str(folder)})
    system.start()
    try:
        yield system
    finally:
        system.stop()


def test_the_link_of_a_mail_acknowledges_and_a_verdict_reaches_the_quality_of_the_classifier(
    officered: Embedded, mail: SmtpReceiver, tmp_path: Path
) -> None:
    officered.run("send", write_jsonl(tmp_path / "laporan.jsonl", [{"id": "1", "text": ACCUSATION}]))
    wait_for(lambda: bool(mail.received), seconds=30)
    body = mail.received[0].get_body(("html",))
    assert body is not None
    links = re.findall(r'href="([^"]+)"', body.get_content())
    assert len(links) == 1
    link = links[0]

    with httpx.Client(trust_env=False, follow_redirects=True, timeout=20) as browser:
        assert browser.head(link).status_code == 200
        page = browser.get(link).text
        assert "Belum ada yang menyatakan menangani" in page
        [alert] = json.loads(officered.run("alerts", "list", "--json").out)
        assert alert["state"] in ("open", "notified")

        assert "sudah ditangani oleh Petugas Balangan" in browser.post(link, data={"act": "acknowledge"}).text
        [alert] = json.loads(officered.run("alerts", "list", "--json").out)
        assert alert["state"] == "acknowledged"

        found = re.search(r'name="report_id" value="([^"]+)"><input type="hidden" name="code" value="([^"]+)"', page)
        assert found is not None
        report_id, code = found.groups()
        form = {"act": "verdict", "report_id": report_id, "code": code, "verdict": "confirmed", "note": "ada foto"}
        assert "ada foto" in browser.post(link, data=form).text

    officered.run("alerts", "verdict", alert["alert_id"][:8], code, "rejected", "--actor", "kalsel-piket")
    shown = officered.run("alerts", "show", alert["alert_id"][:8]).out
    assert "confirmed by balangan-1: ada foto" in shown
    assert "rejected by kalsel-piket" in shown
    assert "step" in officered.run("alerts", "list").out
    wait_for(lambda: officered.count("SELECT count() FROM verdicts") == 2, seconds=30)
    rows = officered.query("SELECT officer_id, code, verdict, note FROM verdicts ORDER BY officer_id")
    assert [(row["officer_id"], row["verdict"], row["note"]) for row in rows] == [
        ("balangan-1", "confirmed", "ada foto"),
        ("kalsel-piket", "rejected", ""),
    ]
    [quality] = officered.query(f"SELECT verdicts, confirmed, rejected FROM classifier_quality WHERE code = '{code}'")
    assert {name: int(number) for name, number in quality.items()} == {"verdicts": 2, "confirmed": 1, "rejected": 1}
    events = officered.query("SELECT event, actor FROM alert_events WHERE event IN ('acknowledged', 'verdict_given')")
    assert {(row["event"], row["actor"]) for row in events} == {
        ("acknowledged", "balangan-1"),
        ("verdict_given", "balangan-1"),
        ("verdict_given", "kalsel-piket"),
    }
