"""The reading of an engine's syntax tree, and the settings that an analyst may choose."""

import pytest

from deploy.embedded.clickhouse.errors import ClickHouseError
from deploy.embedded.clickhouse.guard import allowed_settings, read_tree

PLAIN = """\
SelectWithUnionQuery (children 1)
 ExpressionList (children 1)
  SelectQuery (children 2)
   ExpressionList (children 2)
    Function sum (alias s) (children 1)
     ExpressionList (children 1)
      Identifier a
    Literal 'x (children 3)' (alias t)
   TablesInSelectQuery (children 1)
    TablesInSelectQueryElement (children 1)
     TableExpression (children 1)
      TableIdentifier salingjaga.reports (alias r)
"""


def test_a_tree_is_read_with_names_and_without_aliases() -> None:
    nodes = [(node.kind, node.name) for node in read_tree(PLAIN).walk() if node.name]
    assert nodes == [
        ("Function", "sum"),
        ("Identifier", "a"),
        ("Literal", "'x (children 3)'"),
        ("TableIdentifier", "salingjaga.reports"),
    ]


@pytest.mark.parametrize(
    ("genuine", "forged"),
    [
        ("Identifier a\n", "Identifier a\n      Identifier b\n"),
        ("Identifier a\n", "Identifier a\n       Literal 1\n"),
        ("Identifier a\n", "Identifier a (children 1)\n"),
        ("Identifier a\n", "Identifier a\n    Function upper\n"),
        ("Identifier a\n", "Identifier a\n             Literal 1\n"),
        ("Identifier a\n", "Identifier a\nSelectWithUnionQuery\n"),
        ("      Identifier a\n", ""),
    ],
)
def test_a_name_that_forges_lines_of_the_tree_is_noticed(genuine: str, forged: str) -> None:
    assert genuine in PLAIN
    with pytest.raises(ClickHouseError, match="cannot be checked"):
        read_tree(PLAIN.replace(genuine, forged))


@pytest.mark.parametrize("text", ["", "\n", " SelectQuery\n"])
def test_no_tree_is_no_permission(text: str) -> None:
    with pytest.raises(ClickHouseError):
        read_tree(text)


def test_an_analyst_shapes_answers_and_lowers_limits() -> None:
    chosen = {
        "max_execution_time": "5",
        "max_result_rows": "10",
        "join_use_nulls": "1",
        "output_format_json_array_of_rows": "1",
    }
    assert allowed_settings({**chosen, "readonly": "2"}) == chosen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_execution_time", "0"),
        ("max_execution_time", "31"),
        ("max_execution_time", "-1"),
        ("max_execution_time", "٣"),
        ("max_execution_time", "1e9"),
        ("max_memory_usage", "1"),
        ("readonly", "0"),
        ("format_schema", "x"),
        ("output_format_schema", "x"),
        ("log_comment", "x"),
        ("allow_ddl", "1"),
    ],
)
def test_an_analyst_lifts_none(name: str, value: str) -> None:
    with pytest.raises(ClickHouseError) as caught:
        allowed_settings({name: value})
    assert caught.value.code == 164
