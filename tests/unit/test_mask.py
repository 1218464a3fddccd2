import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lokal.samaran import detect_pii

from services.ingest.mask import PLACEHOLDERS, mask

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "masking.jsonl").read_text(encoding="utf-8").splitlines()
]
SECRETS = [row for row in ROWS if row["hidden"]]
HARMLESS = [row["text"] for row in ROWS if not row["hidden"]]
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"

digits_and_signs = st.text(alphabet="0123456789 .-/()+,@:\n", max_size=60)
PIECES = (
    "0812|3456|7890|081234567890|+62|62|8|0|NIK |rek |BRI |wa |Rp |TPS |a@b.id|6311051503900001|1.500.000|021|5551234"
    "| |-|.|/|, |\n|(|)|orang|rupiah|@budi"
)
report_pieces = st.lists(st.sampled_from([*PIECES.split("|"), *PLACEHOLDERS]), max_size=14).map("".join)


@pytest.mark.parametrize("row", SECRETS, ids=lambda row: row["text"])
def test_a_secret_is_covered_and_the_rest_stays(row: dict[str, str]) -> None:
    assert mask(row["text"]) == row["masked"]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_makes_a_report_worth_reading_is_never_touched(text: str) -> None:
    assert mask(text) == text


def test_the_labelled_set_is_large_enough_to_mean_something() -> None:
    assert sum(len(row["hidden"]) for row in SECRETS) >= 300
    assert len(HARMLESS) >= 150


def test_everything_samaran_finds_in_the_labelled_spellings_is_covered() -> None:
    kinds = ["NIK", "KK", "NPWP", "PASSPORT", "SIM", "NIP", "BPJS", "PHONE", "EMAIL", "BANK_ACCOUNT", "CARD"]
    for row in SECRETS:
        left = [match.value for match in detect_pii(mask(row["text"]), types=kinds)]
        assert not left, row["text"]


@given(digits_and_signs | report_pieces | st.text())
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = mask(text)
    assert mask(once) == once


@given(
    st.sampled_from(["0", "62", "+62", "+62 ", "(+62) ", "0062"]),
    st.integers(811, 899),
    st.integers(0, 9999),
    st.integers(1000, 99999),
    st.sampled_from(["", " ", "-", ".", " - "]),
    st.sampled_from(["", "TPS 3 ", "lapor ", "Rp 100.000 dari ", "tgl 24/11/2024 ", "(", "wa:"]),
)
def test_no_spelling_of_a_mobile_number_leaves_a_digit(
    prefix: str, operator: int, middle: int, last: int, sign: str, before: str
) -> None:
    number = f"{prefix}{operator}{sign}{middle:04}{sign}{last}"
    masked = mask(f"{before}{number} segera")
    assert masked == f"{before}[telepon] segera"


@given(st.integers(11, 94), st.integers(1, 31), st.integers(1, 12), st.booleans(), st.sampled_from(["", " ", ".", "-"]))
def test_no_spelling_of_a_nik_leaves_a_digit(province: int, day: int, month: int, woman: bool, sign: str) -> None:
    born = f"{day + 40 * woman:02}{month:02}90"
    assert mask(f"ktp {province}0512{sign}{born}{sign}0001 dicatut") == "ktp [NIK] dicatut"


@given(st.integers(1, 999), st.integers(1, 3), st.sampled_from(["Rp ", "Rp", "uang ", "dapat ", "@"]))
def test_no_round_sum_of_money_is_taken_for_a_secret(front: int, groups: int, before: str) -> None:
    text = f"{before}{front}{'.000' * groups} per orang"
    assert mask(text) == text


def test_a_word_inside_a_placeholder_names_nothing() -> None:
    assert mask("[rekening] 12345678 suara") == "[rekening] 12345678 suara"
    assert mask("0812 3456 7890 20241127") == "[telepon] 20241127"


@pytest.mark.parametrize(
    "unit",
    [
        "0812 ",
        "0 8 1 2 ",
        "1",
        "a.",
        "@",
        "a@",
        "a@b.id ",
        "a.a",
        "a at b dot id ",
        "(",
        "satu ",
        "1 . ",
        "http://a ",
        "a.a/",
        " at ",
        "12-345.678/",
        "ig:a ",
        "delapan ",
        "enam dua 8 ",
        "8",
        ":",
    ],
)
def test_masking_time_grows_with_the_length_not_with_its_square(unit: str) -> None:
    short, long = (unit * (count // len(unit)) + " 1" for count in (10_000, 80_000))
    assert _seconds(long) < 30 * _seconds(short) + 0.05


def _seconds(text: str) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        mask(text)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not part of the repository")
def test_clean_samples_come_through_untouched() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (SAMPLES / "articles").glob("*.txt")]
    lines = (SAMPLES / "labelled_examples.jsonl").read_text(encoding="utf-8").splitlines()
    texts += [json.loads(line)["text"] for line in lines]
    for text in texts:
        assert re.sub(r"\[akun\]", "", mask(text)) == re.sub(r"@\w+", "", text)


@pytest.mark.parametrize("text", ["telp 12-345", "HP 0812-3", "rekening 1 2 3 4 5", "NIK 32.01", "+60-12-34"])
def test_runs_of_fewer_than_six_digits_stay_readable(text: str) -> None:
    assert mask(text) == text


def test_six_digits_after_the_word_telephone_are_covered() -> None:
    assert mask("telp 123-456") == "telp [telepon]"
