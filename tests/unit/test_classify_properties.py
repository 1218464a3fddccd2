"""What must hold for any text."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import services.classify
from services.classify import match
from services.classify.arrays import shown_at
from services.classify.engine import LONGEST_TEXT, Classifier, Told
from services.classify.model import TextModel
from services.classify.tokens import MARKS, TOKEN
from shared.contracts import Judgement, Kind, Regime, RiskClass, Stage

CORPUS = Path(services.classify.__file__).parent / "corpus" / "train" / "dev.jsonl"
CLASSIFIER = Classifier.load()
WORDS = st.sampled_from(
    [
        "camat",
        "kades",
        "tim",
        "paslon",
        "02",
        "nomor",
        "2",
        "bagi-bagi",
        "amplop",
        "uang",
        "50rb",
        "pilih",
        "coblos",
        "kampanye",
        "tidak",
        "ada",
        "apakah",
        "boleh",
        "Bawaslu",
        "imbau",
        "netral",
        "kalau",
        "menang",
        "TPS",
        "C1",
        "spanduk",
        ",",
        ".",
        "!",
        "?",
        "😂",
        "Rp50.000",
        "bagi2",
        "[telepon]",
        "@akun",
        "https://x.id/a",
        "--",
        "²",
        "~",
        "<",
        ">",
    ]
)


def items(count: int) -> list[dict[str, object]]:
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in random.Random(7).sample(lines, count)]


def total_risk(judgement: Judgement) -> float:
    return judgement.neutrality_risk + judgement.money_politics_risk + judgement.other_risk


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=400), st.lists(WORDS, max_size=60).map(" ".join)))
def test_no_text_raises_and_every_span_is_exact(text: str) -> None:
    judgement = CLASSIFIER.judge(text)
    assert judgement.is_violation_report == (judgement.kind == Kind.VIOLATION_REPORT)
    assert judgement.is_violation_report == (judgement.primary != RiskClass.NONE) == bool(judgement.findings)
    assert all(0 <= risk <= 1 for risk in (total_risk(judgement) / 3, *(f.risk for f in judgement.findings)))
    for finding in judgement.findings:
        for evidence in finding.evidence:
            assert text[evidence.start : evidence.end] == evidence.text != ""


@pytest.mark.parametrize(
    "text",
    ["a" * 1_000_000, "bagi uang " * 200_000, "2" * 500_000, "?!" * 200_000, "\x00\ud800" * 1000, "ﷺ" * 5000, "-" * 99],
    ids=["one-word", "no-full-stop", "digits", "marks", "lone-surrogates", "ligatures", "dashes"],
)
def test_time_is_bounded_whatever_arrives(text: str) -> None:
    started = time.process_time()
    CLASSIFIER.judge(text)
    assert time.process_time() - started < 2
    assert len(text) < LONGEST_TEXT or CLASSIFIER.judge(text) == CLASSIFIER.judge(text + " camat bagi amplop")


DRESSES: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "title case": str.title,
    "spacing": lambda text: text.replace(" ", "   "),
    "emoji": lambda text: f"😂 {text} 🙏🙏",
    "line breaks": lambda text: text + "\n\n",
}


@pytest.mark.parametrize("dress", DRESSES)
def test_how_a_text_is_dressed_does_not_change_its_class(dress: str) -> None:
    for item in items(150):
        text = str(item["text"])
        assert CLASSIFIER.judge(DRESSES[dress](text)).primary == CLASSIFIER.judge(text).primary, text


ACCUSATIONS = [
    "camat bagi-bagi amplop kepada warga",
    "tim paslon 2 membagikan sembako di RT kami",
    "kepala desa menyuruh warga memilih paslon nomor 1",
    "babinsa mengajak warga dukung nomor 2",
    "guru PNS ikut kampanye paslon 3",
    "KPPS mencoblos sisa surat suara",
    "preman mengancam warga agar memilih nomor 1",
]


@pytest.mark.parametrize("accusation", ACCUSATIONS)
@pytest.mark.parametrize(
    "frame",
    [
        "Bawaslu mengimbau agar tidak ada lagi {}.",
        "Tidak benar bahwa {}, itu hoaks dan sudah diklarifikasi.",
        "Laporan bahwa {} dihentikan karena tidak cukup bukti.",
        "Sosialisasi di hotel: dilarang {}, sanksinya diatur Pasal 71.",
        "Apakah boleh {}?",
    ],
)
def test_a_preventive_frame_a_denial_or_a_question_lowers_the_risk(accusation: str, frame: str) -> None:
    assert total_risk(CLASSIFIER.judge(frame.format(accusation))) < total_risk(CLASSIFIER.judge(accusation))


@given(st.one_of(st.text(alphabet="rRpP0 5.,-_@[]a'’:/htswNIK½²\n?", max_size=60), st.text(max_size=60)))
@settings(max_examples=400, deadline=None)
def test_words_stand_where_they_were_read(text: str) -> None:
    scan = CLASSIFIER._matcher.scan(["Camat Anu, bagi uang.", text])
    read = [match.span() for match in TOKEN.finditer(text) if match[0][0] not in MARKS]
    assert len(scan.words) == 4 + len(read)
    assert scan.offsets(1, range(4, 4 + len(read))) == dict(enumerate(read, start=4))
    assert scan.offsets(1, [4]) == ({4: read[0]} if read else {})
    assert scan.offsets(0, [1, 3]) == {1: (6, 9), 3: (16, 20)}


def test_what_is_set_in_a_table_is_found_row_by_row() -> None:
    chance = np.random.default_rng(1)
    for shape in ((1, 1), (7, 3), (40, 90), (3, 0)):
        flags = chance.random(shape) < 0.2
        assert np.array_equal(np.array(shown_at(flags)), np.array(np.nonzero(flags)))


def test_a_text_is_judged_the_same_in_any_company() -> None:
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    texts = ["", "?", "camat", *(json.loads(line)["text"] for line in lines[::20])]
    alone = [CLASSIFIER.judge(text) for text in texts]
    chance = random.Random(3)
    for size in (1, 2, 7, 50):
        company = [chance.randrange(len(texts)) for _ in range(size)]
        told = [Told(texts[number], "", Stage.LUAR_TAHAPAN, Regime.PILKADA) for number in company]
        assert CLASSIFIER.judge_all(told) == [alone[number] for number in company]
    assert CLASSIFIER.judge_all([]) == []


def test_what_was_judged_before_changes_nothing() -> None:
    accusation = "Ibu RT diberi Rp150.000 agar memilih nomor 2, jam 21.30 tadi malam"
    after_others = Classifier(CLASSIFIER.pack, TextModel.load())
    for other in ("Kami dikasih 50 ribu", "Harga beras Rp14.500 per kilo", "Rapat jam 08.00"):
        after_others.judge(other)
    assert after_others.judge(accusation) == Classifier(CLASSIFIER.pack, TextModel.load()).judge(accusation)


def test_a_text_is_judged_the_same_once_the_words_of_others_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "MOST_SPELLINGS", 20)
    forgetful = Classifier(CLASSIFIER.pack, TextModel.load())
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    for text in [json.loads(line)["text"] for line in lines[:60]]:
        assert forgetful.judge(text) == CLASSIFIER.judge(text)
    assert len(forgetful._matcher._spellings) < 200


def test_endless_words_are_forgotten_long_before_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "MOST_LETTERS", 100_000)
    forgetful = Classifier(CLASSIFIER.pack, TextModel.load())
    for number in range(12):
        forgetful.judge(f"x{number}" + "y" * LONGEST_TEXT)
    assert sum(len(spelling.word) for spelling in forgetful._matcher._spellings) <= 100_000 + LONGEST_TEXT
    text = "camat membagikan uang kepada warga agar memilih paslon nomor 2"
    assert forgetful.judge(text) == CLASSIFIER.judge(text)


@pytest.mark.parametrize("link", ["https://x.id/\ud800", "www.x.id/\udfff"])
def test_half_a_character_in_a_link_costs_no_text_its_judgement(link: str) -> None:
    classifier = Classifier(CLASSIFIER.pack, TextModel.load())
    assert not classifier.judge(link).is_violation_report
    for text in ACCUSATIONS:
        assert classifier.judge(text) == CLASSIFIER.judge(text)
