import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.clean import clean_text, fingerprint_text

troublesome = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "a1 \n\r\t\x00\u200b\u200d\ufe0f\u202e\u0301\u0323\u0344\u0f73\u3164\u034f\u2122\u00a0😀👩❤\u1100\u1161"
        ),
        st.characters(),
    )
)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("bagi\u200b amplop", "bagi amplop"),
        ("\ufeffLapor", "Lapor"),
        ("\u202eteks\u202c kanan", "teks kanan"),
        ("nol\x00 byte", "nol byte"),
        ("separuh \ud83d saja", "separuh saja"),
        ("ＴＰＳ １２", "TPS 12"),
        ("bagi²", "bagi2"),
        ("e\u200b\u0301", "é"),
        ("a\u2800\u3164b", "a b"),
        ("satu\t\t dua\u00a0tiga", "satu dua tiga"),
        ("satu\r\n\r\n\r\n \r\ndua", "satu\n\ndua"),
        ("baris satu \n  baris dua", "baris satu\nbaris dua"),
        ("\n\n  tepi  \n", "tepi"),
        ("", ""),
        ("\u200b\x00\n ", ""),
    ],
)
def test_what_shows_nothing_goes_and_what_a_reader_sees_stays(raw: str, cleaned: str) -> None:
    assert clean_text(raw) == cleaned


@pytest.mark.parametrize("emoji", ["👨‍👩‍👧", "❤️", "🇮🇩", "👍🏽", "🏳️‍🌈", "😡😡", "👩‍⚕️"])
def test_emoji_stay_whole(emoji: str) -> None:
    assert clean_text(f"awas {emoji}!") == f"awas {emoji}!"


def test_surrogate_halves_that_belong_together_become_their_character() -> None:
    assert clean_text("\ud83d\ude00 ya") == "😀 ya"


@given(troublesome)
def test_cleaning_twice_changes_nothing_more(raw: str) -> None:
    once = clean_text(raw)
    assert clean_text(once) == once


@given(troublesome)
def test_a_cleaned_text_can_be_stored_and_shown(raw: str) -> None:
    cleaned = clean_text(raw)
    cleaned.encode("utf-8")
    assert not any(unicodedata.category(c) in ("Cc", "Cs") and c != "\n" for c in cleaned)
    assert "\n\n\n" not in cleaned
    assert "  " not in cleaned


@pytest.mark.parametrize(
    "unit",
    [
        " ",
        "\n ",
        "\u200b",
        "😀\u200d",
        "\u0301\u0323",
        "\u0344",
        "\u0f73\u0f71",
        "\ud800",
        "é",
        "> ",
        "tolong ",
        "[1/1/24 1.1",
        "!",
    ],
)
def test_cleaning_time_grows_with_the_length_not_with_its_square(unit: str) -> None:
    short, long = (unit * (count // len(unit)) for count in (20_000, 160_000))
    assert _seconds(long) < 30 * _seconds(short) + 0.05


def _seconds(text: str) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        fingerprint_text(text)
        best = min(best, time.process_time() - start)
    return best


ORIGINAL = "Pak Kades bagi amplop Rp 100.000 di TPS 3, RT 02!"


@pytest.mark.parametrize(
    "copy",
    [
        "pak kades bagi amplop rp100000 di tps3 rt02",
        "*Diteruskan*\nPak Kades bagi amplop Rp 100.000 di TPS 3, RT 02 😡😡",
        "Diteruskan berkali-kali\n> Pak Kades bagi amplop Rp100.000\n> di TPS 3, RT 02",
        "Forwarded message: PAK KADES BAGI AMPLOP RP 100 000 DI TPS 3 - RT 02",
        "[Forwarded] Pak Kades bagi amplop Rp. 100,000 di TPS 3 RT 02.",
        "Pak Kades bagi amplop Rp 100.000 di TPS 3, RT 02! Tolong viralkan!!!",
        "Tolong sebarkan ke grup lain ya\nPak Kades bagi amplop Rp 100.000 di TPS 3, RT 02",
        "Info dari grup sebelah\n\nPak  Kades bagi amplop Rp 100.000 di TPS 3, RT 02. Mohon disebarluaskan.",
        "[24/11/24 20.15] Budi: Pak Kades bagi amplop Rp 100.000 di TPS 3, RT 02!",
        "24/11/24 20.15 - +62 [telepon]: Pak Kades bagi amplop Rp 100.000 di TPS 3, RT 02!",
        "Ｐａｋ Kades bagi\u200b amplop Rp 100.000 di TPS 3, RT 02!",
    ],
)
def test_a_forwarded_copy_has_the_fingerprint_of_its_original(copy: str) -> None:
    assert fingerprint_text(copy) == fingerprint_text(ORIGINAL)


@pytest.mark.parametrize(
    "other",
    [
        "Pak Kades bagi amplop Rp 200.000 di TPS 3, RT 02!",
        "Pak Kades bagi amplop Rp 100.000 di TPS 4, RT 02!",
        "Pak Kades tidak bagi amplop Rp 100.000 di TPS 3, RT 02!",
    ],
)
def test_another_report_has_another_fingerprint(other: str) -> None:
    assert fingerprint_text(other) != fingerprint_text(ORIGINAL)


@pytest.mark.parametrize(
    "accusation",
    ["tolong sebarkan amplop ini ke warga kata pak RT", "disuruh bagikan sembako", "viralkan kades yang curang ini"],
)
def test_an_accusation_that_sounds_like_a_forwarding_header_is_kept(accusation: str) -> None:
    assert fingerprint_text(accusation) == accusation.lower()


def test_a_text_without_words_has_no_fingerprint() -> None:
    assert fingerprint_text("😡😡 !!! ...") == ""
