"""The benchmark's arithmetic and what it shows; never a timing."""

import io

import pytest
from rich.console import Console

from deploy.bench.report import document, figures_table, shares_table
from deploy.bench.result import Figure, Outcome, Share, median, percentile


def test_a_percentile_is_the_nearest_rank_of_any_order() -> None:
    values = [float(value) for value in (5, 1, 4, 2, 3, 6, 7, 8, 9, 10)]

    assert percentile(values, 50) == 5
    assert percentile(values, 99) == 10
    assert percentile(values, 10) == 1
    assert percentile([7.0], 99) == 7


def test_one_slow_request_in_a_hundred_does_not_show_in_p99_but_two_do() -> None:
    assert percentile([1.0] * 99 + [500.0], 99) == 1
    assert percentile([1.0] * 98 + [500.0] * 2, 99) == 500


def test_the_median_of_an_even_number_is_the_lower_middle() -> None:
    assert median([9.0, 1.0, 5.0]) == 5
    assert median([4.0, 2.0]) == 2


@pytest.mark.parametrize(
    ("figure", "aim", "met"),
    [
        (Figure("webhook", "requests/s", 4_000, 1_000, "x", least_ratio=4), "4 x or more", True),
        (Figure("webhook", "requests/s", 3_999, 1_000, "x", least_ratio=4), "4 x or more", False),
        (Figure("webhook", "p99 in ms", 10.0, 30.0, "x", most=10), "under 10", False),
        (Figure("webhook", "p99 in ms", 9.9, 30.0, "x", most=10), "under 10", True),
        (Figure("classifier", "texts/s", 5_000, 90_000, "x", least=5_000), "5,000 or more", True),
        (Figure("classifier", "texts/s", 4_999, 90_000, "x", least=5_000), "5,000 or more", False),
        (Figure("pipeline", "reports/s", 1, 2, "x"), "", None),
    ],
)
def test_an_aim_is_met_or_not(figure: Figure, aim: str, met: bool | None) -> None:
    assert (figure.aim, figure.met) == (aim, met)


def test_the_table_shows_each_figure_with_ratio_and_verdict() -> None:
    outcome = Outcome(figures=[Figure("pipeline", "reports/s", 1_500, 2_000, "the floor", least_ratio=0.5)])

    shown = _printed(figures_table({"pipeline": outcome}))

    for expected in ("pipeline", "reports/s", "1,500", "2,000", "0.75 x", "0.5 x or more", "yes", "the floor"):
        assert expected in shown


def test_the_time_table_is_left_out_where_no_pipeline_was_measured() -> None:
    share = Share("classify", cpu_us=412.0, busy=0.875, batch_us=None)

    assert shares_table({"webhook": Outcome()}) is None
    table = shares_table({"pipeline": Outcome(shares=[share])})
    assert table is not None
    assert "412" in _printed(table)
    assert "88%" in _printed(table)


def test_the_document_holds_what_the_table_shows_and_where_it_was_measured() -> None:
    outcome = Outcome(
        figures=[Figure("webhook", "requests/s", 5_000, 1_000, "FastAPI", least_ratio=4)],
        shares=[Share("redis", cpu_us=None, busy=None)],
        notes=["medians"],
    )

    content = document({"webhook": outcome}, {"cores": 2}, "salingjaga bench webhook --json")

    assert content["figures"] == [
        {
            "part": "webhook",
            "measure": "requests/s",
            "ours": 5_000,
            "baseline": 1_000,
            "baseline_is": "FastAPI",
            "ratio": 5.0,
            "aim": "4 x or more",
            "met": True,
        }
    ]
    assert content["processes"] == [{"process": "redis", "cpu_us": None, "busy": None, "batch_us": None}]
    assert (content["machine"], content["notes"]) == ({"cores": 2}, ["medians"])


def _printed(table: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
