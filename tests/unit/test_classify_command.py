"""`salingjaga classify --jsonl` as a program that reads its lines meets it."""

import json
from pathlib import Path

import pytest

from deploy.cli.classify import classify


def test_every_line_is_answered_in_order_with_its_own_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accusation = "Pak camat bagi-bagi amplop di Kec. Paringin, disuruh pilih nomor 1, hub 0812-3456-7890"
    lines = [{"id": number, "text": "Rapat RT membahas jadwal ronda."} for number in range(450)]
    lines[430] = {"id": "yang ini", "text": accusation, "occurred_at": "2024-11-26T05:00:00+07:00"}
    path = tmp_path / "laporan.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    classify(jsonl=path)
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["id"] for answer in answers] == [line["id"] for line in lines]
    told = answers[430]
    assert (told["primary"], told["severity"], told["region"]["code"]) == ("money_politics", "critical", "63.11")
    assert told["findings"][0]["class"] == "money_politics"
    assert "[telepon]" in told["text"]
    assert {answer["primary"] for answer in answers if answer is not told} == {"none"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"id": "\\ud800", "text": "Rapat RT"}', "line 2: its `id` cannot be written as JSON"),
        ('{"id": 2, "text": 5}', "line 2: an object with a `text` is expected"),
        ('{"id": 2, "text": "Rapat", "occurred_at": "kemarin"}', "line 2: occurred_at is not an ISO 8601 time"),
    ],
)
def test_a_line_that_cannot_be_answered_is_named(
    line: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "laporan.jsonl"
    path.write_text('{"id": 1, "text": "Rapat RT"}\n' + line, encoding="utf-8")
    with pytest.raises(SystemExit):
        classify(jsonl=path)
    assert complaint in capsys.readouterr().err.replace("\n", "")
