"""The packet for Bawaslu's Form A, its chain and its page."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy.cli.packet import verify
from deploy.handoff.packet import NotAPacketError, fault_of, packet_of
from deploy.handoff.page import page_of
from services.archive.rows import alert_event_row, report_row
from services.classify.engine import Classifier
from shared.calendar import Calendar
from shared.contracts import AlertEvent, Assessment, Attachment, District, Regime, Region, Report, Stage
from shared.settings import DEPLOY_DIR

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'
TEXT = f"Kades di Kec. Paringin Balangan membagikan amplop 50 ribu kepada warga agar memilih paslon nomor 2 {HOSTILE}"


def row(number: int, hour: int, **changes: Any) -> dict[str, Any]:
    report = Report(
        receipt=f"SJ-RESI-{number}",
        report_id=UUID(int=number),
        incident_id=UUID(int=99),
        source="lapangan",
        received_at=datetime(2024, 11, 20, hour, tzinfo=UTC),
        text=TEXT,
        region=Region(
            code="63.11", name="Kabupaten Balangan", level="regency", confidence=1,
            district=District(code="63.11.02", name="Kecamatan Paringin"),
        ),
        regime=Regime.PILKADA,
        stage=Stage.KAMPANYE,
        attachments=(Attachment(url="https://berkas.example/foto.jpg"),),
        sender=f"hash-pengirim-{number}",
    )  # fmt: skip
    report = report.model_copy(update=changes)
    judgement = Classifier.load().judge(report.text, stage=report.stage, regime=report.regime)
    return report_row(Assessment(report=report, judgement=judgement, classified_at=report.received_at))


def event(sequence: int, name: str, reason: str = "") -> dict[str, Any]:
    at = datetime(2024, 11, 20, 5, sequence, tzinfo=UTC)
    return alert_event_row(
        AlertEvent.model_validate(
            {
                "event_id": UUID(int=sequence), "alert_id": UUID(int=7), "at": at, "event": name, "state": "open",
                "region_code": "63.11", "region_name": "Kabupaten Balangan", "risk_class": "money_politics",
                "severity": "high", "opened_at": at, "sequence": sequence, "reports": 2, "incidents": 1, "senders": 2,
                "actor": "balangan-1", "reason": reason,
            }
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def packet() -> dict[str, Any]:
    made = packet_of(
        [row(2, 4), row(1, 3)],
        [event(1, "acknowledged", "ke lokasi"), event(0, "opened")],
        [
            {
                "report_id": UUID(int=1), "code": "mp_cash", "verdict": "confirmed", "officer_id": "balangan-1",
                "note": "amplop disita", "at": datetime(2024, 11, 20, 6, tzinfo=UTC),
            }
        ],
        calendar=Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml"),
        code_names={"mp_cash": "Pembagian uang tunai/amplop"},
        time_zone="Asia/Makassar",
        officer="Petugas <b>Balangan</b>",
        made_at=datetime(2024, 11, 21, tzinfo=UTC),
        report_id=UUID(int=2),
    )  # fmt: skip
    return json.loads(json.dumps(made))  # type: ignore[no-any-return]


def test_the_packet_tells_the_case_with_its_norms_requirements_and_clock(packet: dict[str, Any]) -> None:
    case = packet["case"]
    assert (case["form"], case["stage"], case["report_id"]) == ("informasi awal", "kampanye", str(UUID(int=2)))
    assert (case["corroborations"], case["distinct_senders"]) == (1, 2)
    cash = next(one for one in case["violations"] if one["code"] == "mp_cash")
    assert all(case["description"][span["start"] : span["end"]] == span["text"] for span in cash["evidence"])
    assert {norm["verified"] for norm in cash["norms"]} == {True, False}
    assert {one["need"]: one["answer"] for one in case["requirements"]}["signature"] == "missing"
    assert case["legal_clock"]["if_known_when_first_reported"]["due_at"].startswith("2024-11-27T23:59:59")


def test_the_clock_runs_from_the_first_report_of_the_incident(packet: dict[str, Any]) -> None:
    assert packet["case"]["known_at"] == "2024-11-20T03:00:00+00:00"


def test_neither_receipt_nor_sender_is_in_the_packet(packet: dict[str, Any]) -> None:
    everything = json.dumps(packet) + page_of(packet)
    assert "SJ-RESI" not in everything
    assert "hash-pengirim" not in everything


def test_an_untouched_packet_holds(packet: dict[str, Any]) -> None:
    assert fault_of(packet) == ""
    assert [entry["kind"] for entry in packet["chain"]] == [
        "case", "report", "report", "alert_event", "alert_event", "verdict",
    ]  # fmt: skip


def _altered_evidence(document: dict[str, Any]) -> None:
    document["chain"][2]["content"]["text"] += "!"


def _removed(document: dict[str, Any]) -> None:
    del document["chain"][3]


def _swapped(document: dict[str, Any]) -> None:
    chain = document["chain"]
    chain[1], chain[2] = chain[2], chain[1]


def _cut(document: dict[str, Any]) -> None:
    document["chain"].pop()


def _altered_case(document: dict[str, Any]) -> None:
    document["case"]["officer"] = "orang lain"


def _not_a_number(document: dict[str, Any]) -> None:
    document["case"]["corroborations"] = float("nan")


@pytest.mark.parametrize(
    ("tamper", "where"),
    [
        (_altered_evidence, "entry 2 was altered"),
        (_removed, "entry 3 says that it is entry 4"),
        (_swapped, "entry 1 says that it is entry 2"),
        (_cut, "the chain ends with entry 4"),
        (_altered_case, "the case sheet"),
        (_not_a_number, "the case sheet"),
    ],
)
def test_tampering_is_found_where_it_was_done(
    packet: dict[str, Any], tamper: Callable[[dict[str, Any]], None], where: str
) -> None:
    document = copy.deepcopy(packet)
    tamper(document)
    assert fault_of(document).startswith(where)


@pytest.mark.parametrize("document", [None, [], {}, {"format": "salingjaga-packet/1"}, {"format": "x", "chain": []}])
def test_what_is_no_packet_is_called_so(document: object) -> None:
    with pytest.raises(NotAPacketError):
        fault_of(document)


def test_verifying_a_file_compares_the_last_hash_with_the_paper(
    packet: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "berkas.json"
    file.write_text(json.dumps(packet))
    verify(file, packet["head"].upper())
    assert "6 entries hold" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        verify(file, "ab" * 32)
    assert "is not the packet whose last hash" in " ".join(capsys.readouterr().err.split())


def test_a_page_instead_of_a_packet_is_refused_in_one_sentence(
    packet: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "berkas.html"
    file.write_text(page_of(packet))
    with pytest.raises(SystemExit):
        verify(file, "")
    assert "not its page" in " ".join(capsys.readouterr().err.split())


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def test_the_page_runs_nothing_and_loads_nothing_whatever_a_report_says(packet: dict[str, Any]) -> None:
    page = page_of(packet)
    parser = _Tags()
    parser.feed(page)
    assert not {"script", "img", "link", "iframe", "object", "form", "a"} & set(parser.tags)
    assert not {name for name in parser.attributes if name.startswith("on") or name in ("src", "href")}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Petugas &lt;b&gt;Balangan&lt;/b&gt;" in page


def test_what_was_noticed_and_the_hashes_of_attachments_are_in_packet_and_page() -> None:
    note = "koordinat menunjuk Kabupaten Tabalong, teks menyebut Kabupaten Balangan <b>"
    files = (Attachment(url="whatsapp-media:1", sha256="q83vEjRWeJA="), Attachment(url="https://berkas.example/2"))
    document = packet_of(
        [row(1, 3, notes=(note,), attachments=files)],
        [],
        [],
        calendar=Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml"),
        code_names={},
        time_zone="Asia/Makassar",
        officer="",
        made_at=datetime(2024, 11, 21, tzinfo=UTC),
    )
    report = next(entry["content"] for entry in document["chain"] if entry["kind"] == "report")
    assert document["case"]["notes"] == report["notes"] == [note]
    assert report["attachment_hashes"] == ["q83vEjRWeJA=", ""]
    page = page_of(document)
    assert page.count("Tabalong, teks menyebut Kabupaten Balangan &lt;b&gt;") == 2
    assert page.count("SHA-256 menurut pengirim: <code>q83vEjRWeJA=</code>") == 1


def test_the_page_speaks_indonesian_in_the_time_of_the_place(packet: dict[str, Any]) -> None:
    page = page_of(packet)
    assert "20 November 2024, 11.00 WITA" in page
    assert "27 November 2024, 23.59 WITA" in page
    for words in ("[belum diverifikasi]", "Kecamatan Paringin, Kabupaten Balangan", "diambil petugas", packet["head"]):
        assert words in page
