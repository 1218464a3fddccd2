import csv
import io

import pytest
from rich.console import Console

from deploy.cli import query as command
from deploy.cli.query import Format, result_table


def printed(value: object) -> str:
    output = io.StringIO()
    Console(file=output, width=80, force_terminal=True, color_system="truecolor").print(result_table(["x"], [[value]]))
    return output.getvalue()


def test_what_stands_in_a_report_is_shown_and_never_obeyed() -> None:
    assert "\\[/x] [bold]" in printed("\\[/x] [bold]")
    assert "\x1b]8" not in printed("\\[link=http://evil.example]klik")
    assert "\x1b[31m" not in printed("merah \x1b[31m sekali")


def test_numbers_of_any_kind_are_shown() -> None:
    assert "inf" in printed(float("inf"))
    assert "nan" in printed(float("nan"))
    assert "0.123" in printed(0.12345)
    assert "3.0" in printed(3.0)


@pytest.mark.parametrize("cell", ["=1+1", "+62", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_of_csv_that_a_spreadsheet_would_run_stays_text(
    cell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_target", lambda _: None)
    monkeypatch.setattr(command, "run_query", lambda _target, _sql: (["text", "n"], [[cell, -5]]))
    command.query("SELECT ...", Format.CSV)
    [_, [text, number]] = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert text == "'" + cell
    assert number == "-5", "a number stays a number"
