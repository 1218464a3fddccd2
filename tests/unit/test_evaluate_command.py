"""`salingjaga evaluate` as a user meets it: tables, a page, and faults that name their place."""

import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.cli import evaluate as command
from deploy.cli.evaluate import evaluate, page
from services.classify.evaluate import Evaluation
from services.classify.evaluate import evaluate as measure

HOSTILE = "[red]amplop[/red] \x1b[2J\u202e <script>alert(1)</script> & 'x' [/] camat"


def hostile() -> Evaluation:
    start = HOSTILE.index("<script>")
    labelled = {
        "id": "<b>\x1b]0;", "text": HOSTILE, "labels": [], "primary": "none", "is_violation_report": False,
        "notes": "register=<i>\x1b[1m[bold]",
    }  # fmt: skip
    prediction = {
        "primary": "neutrality", "labels": ["tni_partisan"], "is_violation_report": True, "neutrality_risk": 0.9,
        "text": HOSTILE, "reason": "sebab </td>",
        "findings": [{"rule": "uji", "evidence": [{"start": start, "end": start + 8}]}],
    }  # fmt: skip
    return measure([labelled], [prediction])


def labelled(**change: Any) -> str:
    known = {"text": "camat bagi amplop", "labels": ["mp_cash"], "primary": "money_politics"}
    return json.dumps(known | {"is_violation_report": True} | change)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.marked: list[str] = []
        self.texts: list[str] = []
        self._last = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self._last = tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._last == "mark":
            self.marked.append(data)
        self._last = ""


def test_the_page_shows_hostile_texts_as_text_and_loads_nothing() -> None:
    shown = page(hostile())
    seen = Tags()
    seen.feed(shown)
    assert not seen.tags & {"script", "b", "i", "img", "link", "iframe"}
    assert seen.marked == ["<script>"]
    assert "alert(1)</script>" in "".join(seen.texts)
    assert not any(mark in shown for mark in ("\x1b", "\u202e", "http://", "https://", " src="))


def test_a_text_cannot_command_the_terminal() -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=200)
    evaluation = hostile()
    for sheet in evaluation.sheets():
        console.print(command._table(sheet))
    console.print(command._mistake_table("false alarms", evaluation.false_alarms))
    assert "\x1b" not in shown.getvalue()
    assert "\u202e" not in shown.getvalue()
    assert "[red]amplop[/red]" in shown.getvalue()
    assert "[bold]" in shown.getvalue()


def test_evidence_is_highlighted_on_a_terminal() -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, width=200, force_terminal=True, color_system="standard")
    terminal.print(command._mistake_table("false alarms", hostile().false_alarms))
    assert "\x1b[1;7m<script>\x1b[0m" in shown.getvalue()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{broken", "line 2: not JSON"),
        ("[]", "line 2: an object with a `text`"),
        (labelled(labels=["mp_cahs"]), "line 2: unknown code 'mp_cahs'"),
        (labelled(labels="mp_cash"), "line 2: `labels` must be a list"),
        (labelled(labels=[["mp_cash"]]), "line 2: `labels` must be a list"),
        (labelled(primary="money"), "line 2: `primary` must be one of"),
        (labelled(primary=["none"]), "line 2: `primary` must be one of"),
        (labelled(is_violation_report="yes"), "line 2: `is_violation_report` must be true or false"),
    ],
)
def test_a_line_that_cannot_be_measured_against_is_named(
    line: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "uji.jsonl"
    path.write_text(labelled() + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        evaluate([path])
    assert left.value.code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"uji.jsonl, {words}" in said


def test_a_missing_or_empty_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kosong.jsonl").write_text("\n")
    for name, words in (("tiada.jsonl", "No such file"), ("kosong.jsonl", "no labelled text")):
        with pytest.raises(SystemExit):
            evaluate([tmp_path / name])
        said = capsys.readouterr().err
        assert name in said
        assert words in said


def test_several_files_are_measured_together_and_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "satu.jsonl", tmp_path / "dua.jsonl"]
    for path in paths:
        path.write_text(labelled() + "\n", encoding="utf-8")
    evaluate(paths, as_json=True, html=tmp_path / "out.html")
    figures = json.loads(capsys.readouterr().out)
    assert figures["texts"] == 2
    assert {name: part["texts"] for name, part in figures["parts"]["file"].items()} == {str(p): 1 for p in paths}
    assert "by file" in (tmp_path / "out.html").read_text(encoding="utf-8")
