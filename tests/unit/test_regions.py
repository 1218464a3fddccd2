"""What a text, a hint or a code resolves to, seen by whoever calls the resolver."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts import Region
from shared.regions import RegionResolver
from shared.regions.mentions import cut

REPOSITORY = Path(__file__).parents[2]
SAMPLES = REPOSITORY.parent / "shared" / "samples"
OWN_TEXTS = REPOSITORY / "tests" / "data" / "regions.jsonl"

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the folder of samples is not beside the repository")


@pytest.fixture(scope="module")
def resolver() -> RegionResolver:
    return RegionResolver.load()


def name_of(region: Region | None) -> str | None:
    return region.name if region else None


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_labelled_text_of_the_project_comes_out_as_its_region(resolver: RegionResolver) -> None:
    misses = []
    for row in rows_of(OWN_TEXTS):
        region = resolver.resolve(row["text"], title=row.get("title", ""), hint=row.get("hint", ""))
        district = region.district.name if region and region.district else None
        if name_of(region) != row["expected"] or district != row.get("district", district):
            misses.append((row["text"], name_of(region), district))
    assert misses == []


@needs_samples
def test_every_labelled_sample_comes_out_as_its_region(resolver: RegionResolver) -> None:
    rows = rows_of(SAMPLES / "labelled_examples.jsonl")
    misses = [row["id"] for row in rows if name_of(resolver.resolve(row["text"])) != row["region_expected"]]
    assert misses == []


@needs_samples
@pytest.mark.parametrize(
    ("article", "office"),
    [
        ("balangan", "Kabupaten Balangan"),
        ("balikpapan", "Kota Balikpapan"),
        ("banggai_kepulauan", "Kabupaten Banggai Kepulauan"),
        ("kubu_raya", "Kabupaten Kubu Raya"),
        ("tanah_laut", "Kabupaten Tanah Laut"),
    ],
)
def test_an_article_belongs_to_the_office_and_not_to_the_hotel(
    resolver: RegionResolver, article: str, office: str
) -> None:
    assert name_of(resolver.resolve((SAMPLES / "articles" / f"{article}.txt").read_text("utf-8"))) == office


def test_all_regencies_resolve_by_full_name_in_any_case(resolver: RegionResolver) -> None:
    assert len(resolver.regencies()) == 514
    for code, name in resolver.regencies():
        for written in (name, name.upper(), name.lower().replace("kabupaten", "kab")):
            region = resolver.resolve(f"Bawaslu {written} menerima laporan")
            assert region is not None
            assert region.code == code, written


def test_all_provinces_resolve_by_full_name(resolver: RegionResolver) -> None:
    assert len(resolver.provinces()) == 38
    for code, name in resolver.provinces():
        region = resolver.resolve(f"Bawaslu {name} menerima laporan")
        assert region is not None
        assert (region.code, region.level) == (code, "province")


def test_nearly_all_districts_resolve_beside_their_regency(resolver: RegionResolver) -> None:
    missed = total = 0
    for regency, regency_name in resolver.regencies():
        for number in range(1, 80):
            code = f"{regency}.{number:02}"
            name = resolver.name(code).partition(" ")[2]
            if name:
                total += 1
                region = resolver.resolve(f"Uang dibagikan di Kec. {name}, {regency_name}")
                missed += region is None or region.district is None or region.district.code != code
    assert total > 7000
    assert missed <= 5


def test_a_code_as_hint_wins_over_the_text(resolver: RegionResolver) -> None:
    for hint in ("63.11", "6311", " 63.11 ", "Kabupaten Balangan", "kab. balangan"):
        region = resolver.resolve("Rapat di Banjarmasin, Bawaslu Kota Banjarmasin hadir", hint=hint)
        assert region is not None
        assert (region.code, region.confidence) == ("63.11", 1.0)


def test_a_hint_stays_what_it_is_though_a_regency_in_the_text_has_a_village_of_that_name(
    resolver: RegionResolver,
) -> None:
    region = resolver.resolve("Warga Garut menerima amplop dari caleg.", hint="Lembang")
    assert name_of(region) == "Kabupaten Bandung Barat"


def test_a_hint_of_a_province_is_made_finer_by_the_text(resolver: RegionResolver) -> None:
    region = resolver.resolve("kades di Takisung bagi amplop", hint="63")
    assert region is not None
    assert region.code == "63.01"
    assert region.district is not None
    assert region.district.name == "Kecamatan Takisung"


def test_a_hint_settles_a_name_that_several_districts_share(resolver: RegionResolver) -> None:
    text = "uang dibagi di Kec. Sungai Raya"
    assert resolver.resolve(text) is None
    region = resolver.resolve(text, hint="61.12")
    assert region is not None
    assert region.district is not None
    assert region.district.code == "61.12.01"


def test_a_hint_that_names_nothing_leaves_the_text_to_decide(resolver: RegionResolver) -> None:
    for hint in ("99.99", "entah", "63.99"):
        assert name_of(resolver.resolve("amplop di Garut", hint=hint)) == "Kabupaten Garut"


@pytest.mark.parametrize("name", ["Malang", "Bandung", "Cirebon", "Serang", "Kupang", "Jayapura", "Pasuruan"])
def test_a_name_of_city_and_regency_needs_a_cue(resolver: RegionResolver, name: str) -> None:
    assert resolver.resolve(f"Ada pembagian uang di {name}") is None
    assert name_of(resolver.resolve(f"Wali Kota {name} tidak netral")) == f"Kota {name}"
    assert name_of(resolver.resolve(f"Bupati {name} tidak netral")) == f"Kabupaten {name}"


def test_two_regencies_of_equal_role_leave_their_province_or_nothing(resolver: RegionResolver) -> None:
    assert name_of(resolver.resolve("amplop beredar di Garut dan Sumedang")) == "Provinsi Jawa Barat"
    assert resolver.resolve("amplop beredar di Garut dan Klaten") is None


def test_a_teaser_and_a_street_and_a_newspaper_are_no_regions(resolver: RegionResolver) -> None:
    assert resolver.resolve("Warga menolak amplop.\nBaca juga:\nBawaslu Klaten Tertibkan APK") is None
    assert resolver.resolve("posko di Jalan Balikpapan nomor 7") is None
    assert resolver.resolve("menurut Banjarmasin Post, panwas diam saja") is None
    assert resolver.resolve("https://klaten.example.com/bawaslu-klaten dan kabarklaten.co.id") is None


def test_the_title_outweighs_a_place_in_the_text(resolver: RegionResolver) -> None:
    region = resolver.resolve("Acara itu berlangsung di Surakarta.", title="Bawaslu Klaten Gelar Rakor")
    assert name_of(region) == "Kabupaten Klaten"


def test_codes_are_looked_up_at_every_level(resolver: RegionResolver) -> None:
    regency = resolver.by_code("63.11")
    assert regency is not None
    assert (regency.name, regency.level, regency.regency_code) == ("Kabupaten Balangan", "regency", "63.11")
    assert resolver.name("63.11.05") == "Kecamatan Lampihong"
    district = resolver.by_code("631106")
    assert district is not None
    assert district.code == "63.11"
    assert district.district is not None
    assert name_of(resolver.parent("63.11")) == "Provinsi Kalimantan Selatan"
    assert name_of(resolver.parent("63.11.06")) == "Kabupaten Balangan"
    assert resolver.parent("63") is None
    assert resolver.by_code("99.99") is None
    assert resolver.by_code("Balangan") is None
    assert resolver.name("") == ""


def test_a_long_text_takes_time_in_proportion_to_its_length(resolver: RegionResolver) -> None:
    pieces = [
        "desa sungai raya ",
        "a.",
        "a-b.",
        "#",
        "baca juga: ",
        "di banjarmsin ",
        "\n",
        "- ",
        "http://a.co ",
        "no.",
        "kota ",
    ]
    for piece in pieces:
        short, long = (piece * (size // len(piece)) for size in (10_000, 100_000))
        seconds = []
        for text in (short, long):
            begin = time.process_time()
            resolver.resolve(text)
            seconds.append(time.process_time() - begin)
        # Quadratic time would be a hundred times; a loaded machine and an empty cache stay far below.
        assert seconds[1] < 40 * max(seconds[0], 0.002), piece


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=300), title=st.text(max_size=30), hint=st.text(max_size=20))
def test_any_text_at_all_is_answered(resolver: RegionResolver, text: str, title: str, hint: str) -> None:
    region = resolver.resolve(text, title=title, hint=hint)
    assert region is None or resolver.by_code(region.code) is not None


_CUES = [
    "di",
    "kec.",
    "Kab.",
    "Desa",
    "kota",
    "Bawaslu",
    ",",
    "\n",
    "-",
    "#",
    "dan",
    "Hotel",
    "baca juga:",
    "Sungai Raya",
]
_NAMES = [
    "Banjar",
    "Malang",
    "Tanah Laut",
    "Jatim",
    "Karangrejo",
    "Batu",
    "Paringin",
    "Sukamaju",
    "İstanbul",
    "Kota Padang",
]


@settings(max_examples=300, deadline=None)
@given(words=st.lists(st.sampled_from(_CUES + _NAMES), max_size=40))
def test_any_heap_of_names_and_cues_is_answered(resolver: RegionResolver, words: list[str]) -> None:
    region = resolver.resolve(" ".join(words))
    assert region is None or resolver.name(region.code) == region.name


@given(st.text(alphabet="aK. -_'\n,#@9dibo", max_size=40) | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_words_are_the_same_whether_a_text_is_cut_in_parts_or_whole(text: str) -> None:
    whole = cut(text.replace(" ", "\u2002"))  # a space at which no text is parted
    assert (cut(text).spelt, cut(text).lower) == (whole.spelt, whole.lower)
