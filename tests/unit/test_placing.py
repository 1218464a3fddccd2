"""Coordinates, the region of a receiving number, and asking back."""

from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from services.ingest.adapters import ADAPTERS, Draft
from services.ingest.asking import Asking
from services.ingest.normaliser import Normaliser
from services.ingest.placing import FROM_COORDINATES, FROM_PRIOR, place
from services.ingest.sources import Source
from services.ingest.submission import Submission
from shared.calendar import Calendar
from shared.contracts import Stage
from shared.regions import RegionResolver
from shared.regions.nearest import Seats
from shared.settings import DEPLOY_DIR
from shared.vault.envelope import Opener
from tests.channels import posted
from tests.keys import a_ring

AT_PARINGIN = (-2.33, 115.47)


@pytest.fixture(scope="module")
def resolver() -> RegionResolver:
    return RegionResolver.load()


def test_every_regency_has_a_seat_of_its_own_that_leads_to_it_or_its_province(resolver: RegionResolver) -> None:
    seats = Seats()
    assert set(seats.points) == {code for code, _ in resolver.regencies()}
    for code, point in seats.points.items():
        assert seats.nearest(*point) in (code, code[:2])
    at_the_seat = sum(seats.nearest(*point) == code for code, point in seats.points.items())
    assert at_the_seat > 480, "regency and city of one name may share a seat, no others"


def test_between_two_seats_only_the_province_is_named() -> None:
    assert Seats().nearest(-2.26, 115.43) == "63", "between Paringin and Tanjung"


def test_the_sea_far_from_every_seat_is_no_region() -> None:
    assert Seats().nearest(-11.4, 99.0) == ""


def test_coordinates_place_what_words_do_not_and_say_so(resolver: RegionResolver) -> None:
    region, notes = place(None, resolver, coordinates=AT_PARINGIN, prior="")
    assert region is not None
    assert (region.name, region.confidence, region.district) == ("Kabupaten Balangan", 0.4, None)
    assert notes == (FROM_COORDINATES,)
    finer, _ = place(resolver.by_code("63"), resolver, coordinates=AT_PARINGIN, prior="")
    assert finer is not None
    assert finer.code == "63.11"


def test_words_win_over_coordinates_and_a_contradiction_is_told(resolver: RegionResolver) -> None:
    garut = resolver.by_code("32.05")
    region, notes = place(garut, resolver, coordinates=AT_PARINGIN, prior="")
    assert region == garut
    assert notes == ("koordinat menunjuk Kabupaten Balangan, teks menyebut Kabupaten Garut",)


def test_the_region_of_a_number_fills_a_gap_and_is_never_forced_on_a_text(resolver: RegionResolver) -> None:
    region, notes = place(None, resolver, coordinates=None, prior="63.11")
    assert region is not None
    assert (region.code, notes) == ("63.11", (FROM_PRIOR,))
    garut = resolver.by_code("32.05")
    kept, told = place(garut, resolver, coordinates=None, prior="63.11")
    assert kept == garut
    assert "Kabupaten Balangan" in told[0]
    assert place(garut, resolver, coordinates=None, prior="32") == (garut, ())


def test_a_prior_is_found_by_the_number_however_it_is_written() -> None:
    auth = {"scheme": "telegram-secret-token", "secret_env": "SALINGJAGA_SECRET_UJI"}
    prior = {"+62 812-0000-0001": "63.11", "aBalangan1": "63"}
    source = Source.model_validate({"adapter": "whatsapp", "auth": auth, "region_prior": prior})
    assert source.prior(("6281200000001", "x")) == "63.11"
    assert source.prior(("aBalangan1",)) == "63"
    assert source.prior(("lain",)) == ""


def test_the_normaliser_places_dates_and_notes_by_what_the_channel_tells(resolver: RegionResolver) -> None:
    calendar = Calendar.load(DEPLOY_DIR / "config" / "calendar.yaml")
    auth = {"scheme": "telegram-secret-token", "secret_env": "SALINGJAGA_SECRET_UJI"}
    prior = {"adapter": "whatsapp", "auth": auth, "region_prior": {"106540001": "63.01"}}
    source = Source.model_validate(prior)
    normaliser = Normaliser(
        resolver, lambda: calendar, opener=Opener(a_ring()), sender_key=b"kunci", source=lambda _: source
    )
    reports = []
    for read in ADAPTERS["whatsapp"].read(posted("whatsapp"), source.fields):
        submission = Submission.new(
            source="whatsapp",
            adapter="whatsapp",
            external_id=read.external_id,
            content=read.content,
            body=read.body or b"",
            received_at=datetime(2025, 6, 1, tzinfo=UTC),
        )
        reports.append(normaliser.normalise(submission))
    assert [report.region and report.region.code for report in reports] == ["63.01"] * 4
    assert {report.stage for report in reports} == {Stage.MASA_TENANG}, "by when it was sent, months before it came"
    assert reports[0].notes == ()
    assert reports[3].notes == (FROM_PRIOR,)
    [file] = reports[2].attachments
    assert file.sha256 == "q83vEjRWeJA="
    assert file.url == "whatsapp-media:3201150101900001", "though it looks like a NIK"
    assert len({report.report_id for report in reports}) == 4
    assert len({report.sender for report in reports}) == 2
    assert "6281234567892" not in "".join(report.model_dump_json() for report in reports)


async def test_a_reporter_is_asked_for_what_is_missing_once_in_a_conversation(
    redis_url: str, resolver: RegionResolver
) -> None:
    async with Redis.from_url(redis_url) as redis:
        asking = Asking(redis, lambda text: resolver.resolve(text) is not None, b"kunci")
        vague = Draft(text="ada yang bagi amplop", reporter=("081234567890",))
        first = await asking.reply("wa", vague, "SJ-1", prior="")
        assert "SJ-1" in first
        assert "di mana" in first
        assert "kapan" in first
        assert await asking.reply("wa", vague, "SJ-2", prior="") == ""
        clear = Draft(text="tadi malam di Kabupaten Garut ada yang bagi amplop", reporter=("0811",))
        assert "?" not in await asking.reply("wa", clear, "SJ-3", prior="")
        assert asking.missing(vague, prior="63.11") == ["kapan kejadiannya (hari, tanggal, jam)"]
        [key, *_] = await redis.keys("*answered*")
        assert b"0812" not in key
        assert 0 < await redis.ttl(key) <= 12 * 3600


async def test_without_redis_nobody_is_asked_and_nothing_breaks() -> None:
    async with Redis.from_url("redis://127.0.0.1:1/0") as redis:
        asking = Asking(redis, lambda _: False, b"")
        assert await asking.reply("wa", Draft(text="a", reporter=("0811",)), "SJ-1", prior="") == ""
