import json
from pathlib import Path

import pytest

from deploy.cli.reports_from_files import UnreadableError, expand, read_reports


def bodies(path: Path) -> list[object]:
    return [json.loads(report.body) for report in read_reports(path)]


def test_json_lines_keep_their_bytes_and_their_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text":"satu"}\r\n\n{"text": "dua"}')
    assert [(report.origin, report.body) for report in read_reports(path)] == [
        (f"{path}:1", b'{"text":"satu"}'),
        (f"{path}:3", b'{"text": "dua"}'),
    ]


def test_a_json_file_holds_one_report_or_a_list(tmp_path: Path) -> None:
    one, many = tmp_path / "one.json", tmp_path / "many.json"
    one.write_text('{"text": "satu"}')
    many.write_text('[{"text": "satu"}, {"text": "dua"}]')
    assert bodies(one) == [{"text": "satu"}]
    assert bodies(many) == [{"text": "satu"}, {"text": "dua"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_of_any_common_delimiter_becomes_reports_with_their_reporter(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    rows = [["id", "text", "reporter_name", "region"], ["1", "satu", "Budi", "63.11"], ["2", "dua", "", ""]]
    path.write_text("\ufeff" + "\n".join(delimiter.join(row) for row in rows), encoding="utf-8")
    assert bodies(path) == [
        {"id": "1", "text": "satu", "region": "63.11", "reporter": {"name": "Budi"}},
        {"id": "2", "text": "dua"},
    ]


def test_an_article_is_one_report_in_its_own_bytes(tmp_path: Path) -> None:
    path = tmp_path / "berita.txt"
    path.write_bytes(b"judul\n\nisi \xe9")
    [report] = read_reports(path)
    assert report.is_article
    assert report.body == b"judul\n\nisi \xe9"


def test_a_folder_gives_its_readable_files_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.jsonl", "c.pdf"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in expand([tmp_path])] == ["a.jsonl", "b.txt"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "{", "not JSON"),
        ("a.csv", "id,isi\n1,x", "must be `text`"),
        ("a.pdf", "x", "cannot tell the format"),
    ],
)
def test_a_file_that_holds_no_reports_is_named_with_the_reason(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UnreadableError, match=words) as caught:
        [list(read_reports(file)) for file in expand([path])]
    assert str(path) in str(caught.value)


def test_a_missing_file_and_an_empty_folder_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no such file"):
        expand([tmp_path / "nichts.jsonl"])
    with pytest.raises(UnreadableError, match="the folder holds no"):
        expand([tmp_path])
