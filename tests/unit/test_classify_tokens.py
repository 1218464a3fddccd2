"""Words as people type them reach the lexicon's form."""

import pytest

from services.classify.tokens import Vocabulary

VOCABULARY = Vocabulary(
    forms=["tidak", "paslon", "kampanye", "sembako", "uang"],
    roots=["bagi", "pilih", "suruh", "sebar", "coblos", "kasih", "kumpul", "terima", "arah", "sembako"],
    slang={"gak": "tidak", "duit": "uang", "piliah": "pilih", "nyoblos": "coblos"},
    whole_words=["pemilihan", "pemilih", "marah"],
    spellings=["nyoblos"],
)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("membagikan", "~bagi"),
        ("dibagiin", "~bagi"),
        ("pembagian", "~bagi"),
        ("mambagi", "~bagi"),
        ("ngebagiin", "~bagi"),
        ("menyebarkan", "~sebar"),
        ("nyebar", "~sebar"),
        ("milih", "~pilih"),
        ("mamiliah", "~pilih"),
        ("dipilihnya", "~pilih"),
        ("nyuruh", "~suruh"),
        ("manyuruh", "~suruh"),
        ("ngasih", "~kasih"),
        ("mengumpulkan", "~kumpul"),
        ("ngumpulin", "~kumpul"),
        ("nerima", "~terima"),
        ("mmbgkn", "~bagi"),
        ("GAK", "tidak"),
        ("duittt", "uang"),
        ("smbako", "sembako"),
        ("kampnaye", "kampanye"),
        ("p4slon", "paslon"),
    ],
)
def test_an_inflected_shortened_or_misspelt_word_reaches_its_root(typed: str, key: str) -> None:
    assert key in VOCABULARY.keys(typed)


@pytest.mark.parametrize("typed", ["bagi2", "bagi-bagi", "dibagi-bagikan", "bagi2in", "membagi-bagikan"])
def test_reduplication_is_seen_however_it_is_written(typed: str) -> None:
    keys = VOCABULARY.keys(typed)
    assert "²bagi" in keys
    assert "~bagi" in keys


@pytest.mark.parametrize("typed", ["pemilihan", "pemilih", "marah", "kemarahannya"])
def test_a_word_that_only_looks_like_an_inflection_is_none(typed: str) -> None:
    assert not any(key.startswith("~") for key in VOCABULARY.keys(typed))


def test_a_spelling_can_count_before_slang_is_resolved() -> None:
    assert "=nyoblos" in VOCABULARY.keys("nyoblos")
    assert "=nyoblos" not in VOCABULARY.keys("coblos")


@pytest.mark.parametrize(
    ("typed", "shape"),
    [
        ("50rb", "<money>"), ("100k", "<money>"), ("Rp50.000", "<money>"), ("Rp 75.000", "<money>"),
        ("50.000", "<money>"), ("02", "<0n>"), ("2", "<n>"), ("20.15", "<time>"), ("24/11/2024", "<date>"),
        ("2.034", "<num>"),
    ],
)  # fmt: skip
def test_numbers_are_known_by_their_shape(typed: str, shape: str) -> None:
    assert shape in VOCABULARY.keys(typed)


def test_handles_and_links_are_no_words() -> None:
    assert VOCABULARY.keys("@bawaslu_RI") == ()
    assert VOCABULARY.keys("https://t.co/coblos") == ()


def test_a_placeholder_of_the_masking_keeps_its_meaning() -> None:
    assert VOCABULARY.keys("[telepon]") == ("<telepon>",)


def test_a_misspelling_means_the_same_in_every_process() -> None:
    """Sets are ordered differently from one process to the next; the choice among like words must not be."""
    words = ["kampung", "kampang", "kemping"]
    keys = {Vocabulary(forms=order, roots=[], slang={}).keys("kmpng") for order in (words, words[::-1])}
    assert keys == {("kampang",)}


def test_a_word_without_end_is_no_misspelling_and_costs_little() -> None:
    assert VOCABULARY.keys("pri" * 1_000_000) == ()
