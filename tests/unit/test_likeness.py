"""What of a text is compared: words in any spelling, and facts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.facts import MOST_FACTS, Fact
from services.ingest.likeness import BANDS, KEY_BYTES, MOST_WORDS, bands, likeness
from services.ingest.words import hash_word


def facts(text: str, kind: Fact) -> set[str]:
    return {value for of, value in likeness("", text).facts if of is kind}


@pytest.mark.parametrize(
    "spellings",
    [
        ["bagi", "membagikan", "dibagikan", "bagiin", "mbagi", "ngebagi"],
        ["tahan", "nahan", "menahan", "ditahan"],
        ["pasang", "masang", "memasang", "dipasang"],
        ["ancam", "ngancam", "mengancam", "diancam"],
        ["sewa", "nyewa", "menyewa", "disewa"],
        ["amplop", "amplp", "amplopnya"],
        ["duit", "uang", "uangnya"],
        ["pns", "asn"],
        ["pilih", "memilih", "mamilih", "nyoblos"],
        ["sekolah", "skolah"],
    ],
)
def test_all_forms_and_spellings_of_a_word_are_one_word(spellings: list[str]) -> None:
    assert len({hash_word(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(("one", "other"), [("beras", "sarung"), ("camat", "lurah"), ("menahan", "makan")])
def test_different_words_stay_different(one: str, other: str) -> None:
    assert hash_word(one) != hash_word(other)


@pytest.mark.parametrize("word", ["yang", "yg", "tolong", "admin", "tadi", "7"])
def test_words_that_say_nothing_are_left_out(word: str) -> None:
    assert hash_word(word) == 0


@pytest.mark.parametrize(
    ("text", "rupiah"),
    [
        ("amplop 100rb", "100000"),
        ("amplop Rp 100.000,-", "100000"),
        ("amplop seratus ribu rupiah", "100000"),
        ("uang 150k per orang", "150000"),
        ("uang seratus lima puluh ribu", "150000"),
        ("dua puluh lima ribu per suara", "25000"),
        ("dikasih gocap", "50000"),
        ("bantuan 1,5 juta", "1500000"),
        ("bantuan Rp1.500.000", "1500000"),
        ("iuran 2 juta 500 ribu", "2500000"),
        ("mahar 1,2 miliar", "1200000000"),
    ],
)
def test_a_sum_is_the_same_in_every_way_of_writing_it(text: str, rupiah: str) -> None:
    assert facts(text, Fact.MONEY) == {rupiah}


@pytest.mark.parametrize("text", ["tahun 2024", "TPS 500", "pada 12/10/2024", "tersisa 17 orang"])
def test_a_number_that_is_no_sum_is_not_taken_for_one(text: str) -> None:
    assert facts(text, Fact.MONEY) == set()


@pytest.mark.parametrize("text", ["Senin (4/11/2024)", "tanggal 4 November", "tgl 4-11-2024", "4 nopember 2024"])
def test_a_date_is_the_same_in_every_way_of_writing_it(text: str) -> None:
    assert facts(text, Fact.DAY) == {"4"}
    assert facts(text, Fact.MONTH) == {"11"}


@pytest.mark.parametrize("text", ["paslon 2", "nomor urut dua", "no. 02", "calon nomer loro", "pose dua jari"])
def test_a_candidate_is_known_by_number(text: str) -> None:
    assert facts(text, Fact.CANDIDATE) == {"2"}


def test_seven_in_the_evening_is_nineteen_hours() -> None:
    assert facts("jam 7 malam", Fact.HOUR) == facts("pukul 19.30", Fact.HOUR) == {"7"}


def test_places_are_read_with_their_kind_and_in_any_spelling() -> None:
    written = likeness("", "di Desa Suka Maju RT 03/RW 02, TPS 05, Jalan Diponegoro")
    typed = likeness("", "ds sukamaju rt 3 rw 2 tps 5 jl diponegoro")
    assert written.facts == typed.facts
    assert {kind for kind, _ in typed.facts} == {Fact.VILLAGE, Fact.RT, Fact.RW, Fact.TPS, Fact.STREET}


def test_a_verb_behind_the_village_head_is_no_village() -> None:
    assert facts("kepala desa mengembalikan uang", Fact.VILLAGE) == set()
    assert facts("kepala desa Lingsir mengembalikan uang", Fact.VILLAGE) != set()


def test_what_is_given_is_a_fact_even_when_nobody_has_listed_it() -> None:
    assert facts("warga dapat rantang", Fact.GOODS) != facts("warga dapat payung", Fact.GOODS) != set()


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("lomba di SD Negeri 3", "lomba di SD Negeri 5", Fact.NUMBER),
        ("kades Bata bagi amplop", "kades Riwa bagi amplop", Fact.NAME),
        ("amplop di rumah pak anang", "amplop di rumah bu siti", Fact.PERSON),
        ("kampanye di langgar nurul huda", "kampanye di langgar al ikhlas", Fact.VENUE),
        ("di desa Lingsir Lor", "di desa Lingsir Kidul", Fact.PART_OF_PLACE),
        ("debat publik pertama", "debat publik kedua", Fact.ORDINAL),
        ("ketua adat mendukung", "ketua pemuda mendukung", Fact.ROLE),
        ("kaos dari partai kuning", "kaos dari partai merah", Fact.PARTY),
        ("bantuan untuk nelayan", "bantuan untuk petani", Fact.GROUP),
    ],
)
def test_what_tells_two_events_apart_is_a_fact(one: str, other: str, kind: Fact) -> None:
    assert facts(one, kind)
    assert facts(other, kind)
    assert not facts(one, kind) & facts(other, kind)


@pytest.mark.parametrize(
    "text",
    ["kades membantah bagi uang", "itu hoaks", "tidak benar ada amplop", "kasus amplop dihentikan", "debat batal"],
)
def test_a_denial_and_an_end_are_facts(text: str) -> None:
    assert facts(text, Fact.TURN)


@pytest.mark.parametrize(
    "text", ["ini bukan hoaks", "ini tidak benar, tolong ditindak", "penghitungan sempat dihentikan"]
)
def test_what_only_sounds_like_a_denial_is_none(text: str) -> None:
    assert not facts(text, Fact.TURN)


def test_capitals_of_headlines_and_sentences_are_no_names() -> None:
    assert facts("Tim Sukses Bagi Amplop Di Pasar", Fact.NAME) == set()
    assert facts("Ada amplop. Mohon ditindak. Terima kasih", Fact.NAME) == set()


def test_a_placeholder_of_masked_data_is_not_content() -> None:
    with_phone = likeness("", "tim bagi sarung di masjid, hubungi [telepon] atau [email]")
    without = likeness("", "tim bagi sarung di masjid, hubungi atau")
    assert with_phone == without


def test_a_district_that_was_determined_is_a_fact() -> None:
    assert (Fact.DISTRICT, "63.11.05") in likeness("", "camat ikut kampanye", district="63.11.05").facts


def test_a_text_of_a_few_words_is_too_short_to_be_recognised() -> None:
    assert not likeness("", "ada amplop di sini min").comparable
    assert likeness("", "tim bagi amplop ke nelayan pelabuhan").comparable


@given(st.lists(st.sampled_from(["beras", "amplop", "sarung", "camat", "lurah", "panggung", "balai"]), min_size=4))
def test_the_order_of_words_changes_no_band(words: list[str]) -> None:
    one, other = likeness("", " ".join(words)), likeness("", " ".join(reversed(words)))
    assert bands([one], ["63.11"]) == bands([other], ["63.11"])


def test_one_template_in_two_regions_shares_no_band() -> None:
    text = likeness("", "ketua kelompok tani membagikan pupuk sambil berpesan memilih petahana")
    here, there, nowhere = bands([text] * 3, ["63.11", "63.01", ""])
    keys = [{one[i : i + KEY_BYTES] for i in range(0, len(one), KEY_BYTES)} for one in (here, there, nowhere)]
    assert all(len(one) == BANDS for one in keys)
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]


@given(st.text(max_size=3_000), st.text(max_size=200))
def test_any_text_can_be_packed(text: str, title: str) -> None:
    one = likeness(title, text, district="63.11.05")
    assert len(one.facts) <= MOST_FACTS
    assert len(one.packed()) <= 1 + 2 * MOST_WORDS + 1 + 3 * MOST_FACTS
    assert len(bands([one], [""])[0]) == BANDS * KEY_BYTES


@pytest.mark.parametrize(
    "text", ["paslon \U00010a40 bagi", "rt ٣ tps ² nomor ①", "rp " + "9" * 1_000 + " juta", "jam rt tps rp tgl"]
)
def test_strange_numbers_break_nothing(text: str) -> None:
    assert likeness("", text).packed()
