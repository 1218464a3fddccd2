"""From a submission's bytes to a report."""

import json
from datetime import UTC, datetime

import pytest

from services.ingest.adapters import ADAPTERS, Fields
from services.ingest.normaliser import Normaliser, incident_id
from services.ingest.submission import Submission
from shared.bus.errors import UnprocessableError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.calendar import Calendar
from shared.contracts import Regime, Report, Stage
from shared.regions import RegionResolver
from shared.settings import DEPLOY_DIR
from shared.vault.envelope import Opener, Sealer, binding_of
from tests.keys import a_ring

RECEIVED = datetime(2024, 11, 25, 13, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def normaliser() -> Normaliser:
    calendar = Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml")
    return Normaliser(RegionResolver.load(), lambda: calendar, opener=Opener(a_ring()), sender_key=b"kunci")


def submission(body: object, *, source: str = "lapangan", adapter: str = "json") -> Submission:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    [read] = ADAPTERS[adapter].read(raw, Fields())
    return Submission.new(
        source=source,
        adapter=adapter,
        external_id=read.external_id,
        content=read.content,
        body=raw,
        received_at=RECEIVED,
    )


def test_a_report_is_cleaned_masked_placed_and_dated(normaliser: Normaliser) -> None:
    report = normaliser.normalise(
        submission(
            {
                "text": "Pak\u200b camat  bagi amplop di Kec. Paringin, Balangan.\x00 WA 0812 3456 7890 / a.b@x.id",
                "title": "Laporan\nwarga",
                "occurred_at": "2024-11-24T21:00:00+08:00",
                "reporter": {"name": "Budi Contoh", "phone": "081234567890"},
                "attachments": [{"url": "https://wa.me/6281234567890/foto.jpg", "type": "image/jpeg"}],
            }
        )
    )
    assert report.text == "Pak camat bagi amplop di Kec. Paringin, Balangan. WA [telepon] / [email]"
    assert report.region is not None
    assert (report.region.code, report.region.name) == ("63.11", "Kabupaten Balangan")
    assert report.region.district is not None
    assert report.region.district.name == "Kecamatan Paringin"
    assert (report.regime, report.stage) == (Regime.PILKADA, Stage.MASA_TENANG)
    assert report.occurred_at == datetime(2024, 11, 24, 13, tzinfo=UTC)
    assert report.attachments[0].url == "https://wa.me/[telepon]/foto.jpg"


def test_a_report_without_a_time_of_its_own_is_dated_by_its_receipt(normaliser: Normaliser) -> None:
    report = normaliser.normalise(submission({"text": "laporan"}))
    assert report.occurred_at is None
    assert report.stage is Stage.MASA_TENANG


def test_a_time_without_a_zone_is_read_as_wib(normaliser: Normaliser) -> None:
    report = normaliser.normalise(submission({"text": "laporan", "occurred_at": "2024-11-27T07:00:00"}))
    assert report.occurred_at == datetime(2024, 11, 27, tzinfo=UTC)
    assert report.stage is Stage.PUNGUT_HITUNG


def test_the_region_a_sender_gives_wins_over_the_text(normaliser: Normaliser) -> None:
    report = normaliser.normalise(submission({"text": "kejadian di Garut", "region": "63.01"}))
    assert report.region is not None
    assert report.region.name == "Kabupaten Tanah Laut"


def test_who_reported_is_counted_but_cannot_be_read(normaliser: Normaliser) -> None:
    reporter = {"name": "Budi Contoh", "phone": "081234567890", "email": "budi@x.id"}
    one = normaliser.normalise(submission({"text": "satu", "reporter": reporter}))
    same = normaliser.normalise(submission({"text": "dua", "reporter": {**reporter, "name": "B. Contoh"}}))
    other = normaliser.normalise(submission({"text": "tiga", "reporter": {"phone": "081111111111"}}))
    nobody = normaliser.normalise(submission({"text": "empat"}))
    assert one.sender == same.sender != other.sender
    assert nobody.sender == ""
    for secret in ("Budi", "81234567890", "budi@x.id"):
        assert secret not in one.model_dump_json()


def test_without_a_key_reporters_are_not_told_apart() -> None:
    calendar = Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml")
    keyless = Normaliser(RegionResolver.load(), lambda: calendar, opener=Opener(a_ring()), sender_key=b"")
    assert keyless.normalise(submission({"text": "satu", "reporter": {"phone": "0811"}})).sender == ""


def test_a_forwarded_copy_is_the_same_incident_and_another_region_another_one(normaliser: Normaliser) -> None:
    text = "Kades bagi sembako di balai desa!"
    original = normaliser.normalise(submission({"text": text, "region": "63.11"}))
    forwarded = normaliser.normalise(submission({"text": f"*Diteruskan*\n> {text.upper()} 🙏🙏", "region": "63.11"}))
    elsewhere = normaliser.normalise(submission({"text": text, "region": "63.01"}))
    assert original.incident_id == forwarded.incident_id != elsewhere.incident_id
    assert original.report_id != forwarded.report_id
    assert incident_id(text, original.region) == original.incident_id


def test_an_article_is_dated_and_placed_by_its_office(normaliser: Normaliser) -> None:
    page = (
        "Bawaslu Sampang Gelar Rakor\n\nSAMPANG - Bawaslu Kabupaten Sampang menggelar rapat koordinasi di sebuah "
        "hotel di Surabaya, Senin (4/11/2024).\n\nBaca juga: Banjir di Malang\n\nLeave a Reply"
    )
    report = normaliser.normalise(submission(page.encode(), source="berita", adapter="article"))
    assert report.region is not None
    assert report.region.name == "Kabupaten Sampang"
    assert report.title == "Bawaslu Sampang Gelar Rakor"
    assert "Malang" not in report.text
    assert report.occurred_at is not None
    assert report.occurred_at.date().isoformat() == "2024-11-04"
    assert report.stage is Stage.KAMPANYE


def as_message(one: Submission, **changed: bytes) -> Message:
    fields = {
        b"receipt": one.receipt.encode(),
        b"report_id": str(one.report_id).encode(),
        b"source": one.source.encode(),
        b"adapter": one.adapter.encode(),
        b"received_ms": str(one.received_ms).encode(),
        b"content_hash": one.content_hash.encode(),
        b"body": Sealer(a_ring()).seal(one.body, binding_of(one.receipt, one.source)),
    }
    fields.update({name.encode(): value for name, value in changed.items()})
    return Message(b"1-0", fields)


async def test_the_same_submission_normalised_twice_gives_the_same_report(normaliser: Normaliser) -> None:
    one = submission({"id": "7", "text": "kades kampanye di Garut"})
    again = Submission.read(as_message(one), Opener(a_ring()))
    assert again == one
    assert normaliser.normalise(one) == normaliser.normalise(again)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"body": b'{"text": "in clear"}'}, "not sealed"),
        ({"source": b"lain"}, "does not open"),
        ({"adapter": b"fax"}, "no adapter"),
        ({"report_id": b"7"}, "not a submission"),
        ({"received_ms": b"kemarin"}, "not a submission"),
    ],
)
async def test_what_cannot_be_read_is_named_for_the_quarantine(
    normaliser: Normaliser, changed: dict[str, bytes], words: str
) -> None:
    message = as_message(submission({"text": "laporan"}), **changed)
    with pytest.raises(UnprocessableError, match=words):
        await normaliser.handle([message], Outbox())


def test_ids_depend_on_source_and_external_id_or_on_content_only() -> None:
    with_id = submission({"id": "7", "text": "satu"})
    edited = submission({"id": "7", "text": "dua"})
    other_source = submission({"id": "7", "text": "satu"}, source="lain")
    assert with_id.report_id == edited.report_id != other_source.report_id
    assert with_id.content_hash != edited.content_hash
    assert submission({"text": "satu"}).report_id == submission(b'{ "text" : "satu", "meta": {"x": 1} }').report_id
    assert submission({"text": "satu"}).report_id != submission({"text": "dua"}).report_id


def test_a_report_reads_back_as_it_was_written(normaliser: Normaliser) -> None:
    report = normaliser.normalise(submission({"text": "kades kampanye di Garut"}))
    assert Report.model_validate_json(report.model_dump_json()) == report
