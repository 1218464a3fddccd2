"""One report through each channel, from its sender's own request to ClickHouse and an alert."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.cli.vault import open_vault
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
    wait_for(lambda: channels.count("SELECT count() FROM reports") >= len(FILES) + 2, seconds=40)
    rows = channels.query(sql)
    found = {(row["source"], row["region_code"]) for row in rows if row["kind"] == "violation_report"}
    assert expected <= found, rows
    assert len(rows) == len(FILES) + 2, "WhatsApp's call held four messages, of which two are one; nothing counts twice"

    def alerted() -> bool:
        return set(REGIONS.values()) <= {row["region_code"] for row in channels.query("SELECT region_code FROM alerts")}

    wait_for(alerted, seconds=40)
    for row in channels.query("SELECT text FROM reports"):
        for name in ("Contoh", "81234567"):
            assert name not in row["text"]


def whatsapp(channels: Embedded, text: str, *, sender: str, id_: str) -> str:
    """Send one message; returns its receipt."""
    message = {"from": sender, "id": id_, "timestamp": "1732530000", "type": "text", "text": {"body": text}}
    value = {"messaging_product": "whatsapp", "metadata": {}, "messages": [message]}
    call = request("whatsapp", json.dumps({"entry": [{"changes": [{"value": value}]}]}).encode())
    answer = httpx.request(**{**call, "url": channels.url + call["url"]}, trust_env=False)
    assert answer.status_code == 200
    [receipt] = answer.json()["receipts"]
    return str(receipt)


def all_archived(channels: Embedded, receipts: list[str]) -> bool:
    stages = [httpx.get(f"{channels.url}/v1/receipts/{one}", trust_env=False).json()["stage"] for one in receipts]
    return stages == ["archived"] * len(receipts)


def of_report(column: str, receipt: str) -> str:
    return f"SELECT {column} FROM reports WHERE receipt = '{receipt}' OR has(parts, '{receipt}')"


def test_three_messages_of_one_sender_are_one_row_one_alert_and_three_receipts(channels: Embedded) -> None:
    sender, alerts = (
        "6281234500071",
        "SELECT region_code FROM alerts WHERE state != 'resolved' AND region_code IN ('', '62.71')",
    )
    receipts = [whatsapp(channels, "tim paslon bagi2 uang suruh pilih nomor 2", sender=sender, id_="wamid.P1")]
    # Without a place it alerts as it is; what follows tells where.
    wait_for(lambda: [row["region_code"] for row in channels.query(alerts)] == [""], seconds=40)
    receipts.append(whatsapp(channels, "di kota palangkaraya", sender=sender, id_="wamid.P2"))
    receipts.append(whatsapp(channels, "tadi malam", sender=sender, id_="wamid.P3"))
    wait_for(lambda: channels.count(of_report("length(parts)", receipts[0])) == 3, seconds=40)
    wait_for(lambda: all_archived(channels, receipts), seconds=20)

    rows = channels.query(
        "SELECT receipt, parts, text, region_code, corroborations FROM reports WHERE text LIKE 'tim paslon bagi2%'"
    )
    assert rows == [
        {
            "receipt": receipts[0],
            "parts": receipts,
            "text": "tim paslon bagi2 uang suruh pilih nomor 2\ndi kota palangkaraya\ntadi malam",
            "region_code": "62.71",
            "corroborations": 0,
        }
    ]
    wait_for(lambda: [row["region_code"] for row in channels.query(alerts)] == ["62.71"], seconds=40)
    assert channels.query("SELECT reports, incidents FROM alerts WHERE region_code = '62.71'") == [
        {"reports": 1, "incidents": 1}
    ]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("part", ["normaliser", "classify", "archive"])
def test_killing_a_part_while_people_write_loses_no_message_and_splits_no_report(channels: Embedded, part: str) -> None:
    people, said = 40, ("tim paslon bagi uang suruh pilih nomor 2", "di kota palu", "tadi malam")
    killed, receipts = channels.pid_of(part), []
    for number, text in enumerate(said):
        for person in range(people):
            id_ = f"wamid.{part}.{person}.{number}"
            receipts.append(whatsapp(channels, text, sender=f"6281{len(part)}{person:07}", id_=id_))
            if (number, person) == (1, people // 2):
                channels.kill(part)
    rows = f"SELECT count() FROM reports WHERE hasAny(parts, {receipts})"
    whole = f"{rows} AND length(parts) = {len(said)} AND region_code = '72.71'"
    wait_for(lambda: channels.count(whole) == people, seconds=90)
    assert channels.count(rows) == people
    wait_for(lambda: all_archived(channels, receipts), seconds=60)
    assert channels.pid_of(part) != killed, "the supervisor has started it again"


def test_a_replay_leaves_joined_what_was_joined(channels: Embedded) -> None:
    joined = "SELECT report_id, parts, text FROM reports WHERE length(parts) > 1 ORDER BY report_id"
    before, count = channels.query(joined), channels.count("SELECT count() FROM reports")
    assert before
    last = channels.query("SELECT toString(max(classified_at)) AS at FROM reports")[0]["at"]
    said = {receipt for row in before for receipt in row["parts"]}
    with open_vault(channels.data_dir) as vault:
        # What a killed archive had read for the vault is taken over some seconds later.
        wait_for(lambda: len({one.receipt for one in vault.select("source = 'whatsapp'", {})} & said) == len(said))
    ran = channels.run("replay", "--since", "2020-01-01", "--source", "whatsapp", "--reason", "uji")
    assert "joined report(s) stay" not in ran.out
    fresh = f"SELECT count() FROM reports WHERE source = 'whatsapp' AND classified_at > '{last}'"
    wait_for(lambda: channels.count(fresh) == channels.count(f"{fresh.split(' AND ', maxsplit=1)[0]}"), seconds=30)
    assert channels.query(joined) == before
    assert channels.count("SELECT count() FROM reports") == count


def test_who_sent_a_joined_report_is_forgotten_by_any_of_its_receipts(channels: Embedded) -> None:
    [row] = channels.query("SELECT parts, sender FROM reports WHERE text LIKE 'tim paslon bagi2%'")
    assert row["sender"]
    ran = channels.run("forget", row["parts"][1], "--only-this", "--reason", "permintaan pelapor", "--yes")
    assert "Nothing is left" in ran.out
    for receipt in row["parts"]:
        assert "not in the vault" in channels.run("submission", "show", receipt, "--reason", "uji", status=1).err
    assert channels.query("SELECT sender FROM reports WHERE text LIKE 'tim paslon bagi2%'") == [{"sender": ""}]


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
