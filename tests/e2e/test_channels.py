"""One report through each channel, from its sender's own request to ClickHouse and an alert."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.backends import wait_for
from tests.channels import FILES, SECRETS, SOURCE_OF, SOURCES, request
from tests.e2e.embedded import ROOT, Embedded

REGIONS = {
    "google-forms": "33.72",
    "kobo": "63.11",
    "odk": "32.05",
    "rapidpro": "35.27",
    "sms": "35.09",
    "telegram": "33.10",
    "twilio": "64.71",
    "typeform": "33.01",
    "ushahidi": "61.12",
    "whatsapp": "63.01",
}
FEED = """<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel><title>Berita</title>
<item><title>Bawaslu Garut Gelar Sosialisasi Pengawasan</title><guid>berita-1</guid>
<link>https://berita.example/1</link><pubDate>Mon, 04 Nov 2024 02:00:00 GMT</pubDate>
<description>&lt;p&gt;GARUT - Bawaslu Kabupaten Garut menggelar sosialisasi.&lt;/p&gt;</description></item>
<item><title>Bawaslu Sampang Gelar Rapat Koordinasi</title><guid>berita-2</guid>
<link>https://berita.example/2</link>
<description>SAMPANG - Bawaslu Kabupaten Sampang menggelar rapat koordinasi.</description></item>
</channel></rss>"""


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A system that knows every channel."""
    folder = tmp_path_factory.mktemp("config")
    for name in ("sources.yaml", "officers.yaml"):
        shutil.copy(ROOT / "deploy" / "config" / name, folder)
    with (folder / "sources.yaml").open("a") as file:
        file.write(SOURCES)
    environment = {"SALINGJAGA_CONFIG_DIR": str(folder), **SECRETS}
    system = Embedded(tmp_path_factory.mktemp("e2e channels") / "data", environment=environment)
    system.start()
    try:
        yield system
    finally:
        system.stop()


def test_a_report_of_every_channel_is_placed_stored_and_alerted(channels: Embedded) -> None:
    with httpx.Client(base_url=channels.url, trust_env=False) as sender:
        for adapter in FILES:
            for _ in range(2):
                assert sender.request(**request(adapter)).status_code in (200, 202), adapter
    expected = {(SOURCE_OF[adapter], code) for adapter, code in REGIONS.items()}
    sql = "SELECT source, region_code, kind FROM reports"
    wait_for(lambda: channels.count("SELECT count() FROM reports") >= len(FILES) + 3, seconds=40)
    rows = channels.query(sql)
    found = {(row["source"], row["region_code"]) for row in rows if row["kind"] == "violation_report"}
    assert expected <= found, rows
    assert len(rows) == len(FILES) + 3, "WhatsApp's call held four messages; nothing counts twice"

    def alerted() -> bool:
        return set(REGIONS.values()) <= {row["region_code"] for row in channels.query("SELECT region_code FROM alerts")}

    wait_for(alerted, seconds=40)
    for row in channels.query("SELECT text FROM reports"):
        for name in ("Contoh", "81234567"):
            assert name not in row["text"]


def test_exports_nobody_can_read_are_accepted_wait_in_quarantine_and_stop_nobody(channels: Embedded) -> None:
    url = f"{channels.url}/v1/reports/kobo"
    for number in range(120):  # more in a row than a service suffers of its own faults
        body = b"<?xml version='1.0'?><aKobo><kronologi>ada amplop %d</kronologi></aKobo>" % number
        answer = httpx.request(**{**request("kobo", body), "url": url}, trust_env=False)
        assert answer.status_code == 202
    wait_for(lambda: len(json.loads(channels.run("quarantine", "list", "--json").out)) == 120, seconds=30)
    waiting = json.loads(channels.run("quarantine", "list", "--json").out)
    assert {one["error"] for one in waiting} == {"The body is not JSON"}
    looked = channels.run("quarantine", "show", waiting[7]["id"], "--reason", "format baru dari KoboToolbox")
    assert "ada amplop 7<" in looked.out
    state = httpx.get(channels.url + answer.json()["status_url"], trust_env=False).json()
    assert state["stage"] == "quarantined"
    good = json.dumps(
        {"_uuid": "sesudah", "kronologi": "Kades di Kab. Balangan bagi amplop agar pilih nomor 2"}
    ).encode()
    httpx.request(**{**request("kobo", good), "url": url}, trust_env=False)
    wait_for(lambda: channels.count("SELECT count() FROM reports WHERE text LIKE '%Kab. Balangan%'") == 1, seconds=20)


def test_a_feed_gives_one_article_an_entry_and_a_second_run_nothing_new(channels: Embedded, tmp_path: Path) -> None:
    feed = tmp_path / "feed.xml"
    feed.write_text(FEED)
    first = channels.run("send", "--feed", feed)
    assert "2 accepted (0 of them known already)" in first.out
    count = "SELECT count() FROM reports WHERE source = 'berita'"
    wait_for(lambda: channels.count(count) == 2, seconds=20)
    again = channels.run("send", "--feed", feed)
    assert "2 accepted (2 of them known already)" in again.out
    assert channels.count(count) == 2
    rows = channels.query("SELECT region_name FROM reports WHERE source = 'berita' ORDER BY region_name")
    assert [row["region_name"] for row in rows] == ["Kabupaten Garut", "Kabupaten Sampang"]


def test_a_number_that_stands_for_no_region_is_named_by_the_check(channels: Embedded, tmp_path: Path) -> None:
    assert "whatsapp" in channels.run("check").out
    shutil.copy(ROOT / "deploy" / "config" / "officers.yaml", tmp_path)
    (tmp_path / "sources.yaml").write_text(f"sources:{SOURCES}".replace('"63.01"', '"99.01"'))
    broken = Embedded(channels.data_dir, environment={**SECRETS, "SALINGJAGA_CONFIG_DIR": str(tmp_path)})
    assert "source whatsapp: region_prior" in broken.run("check", status=1).err


def test_what_is_no_feed_is_said_in_one_sentence(channels: Embedded, tmp_path: Path) -> None:
    empty = tmp_path / "kosong.xml"
    empty.write_text("bukan feed")
    assert "is it an RSS or Atom feed?" in channels.run("send", "--feed", empty, status=1).err
    assert "No such file" in channels.run("send", "--feed", tmp_path / "tidak-ada.xml", status=1).err
