"""Where a statement ends and its data begin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.embedded.clickhouse.statement import names_a_file, parse

BINARY = bytes(range(256))


@pytest.mark.parametrize(
    ("sql", "text", "name"),
    [
        (b"INSERT INTO t FORMAT Native\n", b"INSERT INTO t ", "Native"),
        (b"insert into t(a, b) format RowBinary\n", b"insert into t(a, b) ", "RowBinary"),
        (b"INSERT INTO t FORMAT Native  \t\r\n", b"INSERT INTO t ", "Native"),
        (b"INSERT INTO t (format, values) FORMAT CSV\n", b"INSERT INTO t (format, values) ", "CSV"),
        (b"INSERT INTO format FORMAT CSV\n", b"INSERT INTO format ", "CSV"),
        (b"INSERT INTO db.values FORMAT CSV\n", b"INSERT INTO db.values ", "CSV"),
        (b"INSERT INTO TABLE values VALUES", b"INSERT INTO TABLE values ", "Values"),
        (b"INSERT INTO `a FORMAT b` FORMAT CSV\n", b"INSERT INTO `a FORMAT b` ", "CSV"),
        (b"INSERT INTO t SETTINGS x = 'FORMAT y' FORMAT TSV\n", b"INSERT INTO t SETTINGS x = 'FORMAT y' ", "TSV"),
        (b"INSERT -- FORMAT x\n INTO t FORMAT TSV\n", b"INSERT -- FORMAT x\n INTO t ", "TSV"),
        (b"INSERT /* a /* FORMAT */ b */ INTO t FORMAT TSV\n", b"INSERT /* a /* FORMAT */ b */ INTO t ", "TSV"),
        (
            b"  \n# first\nINSERT INTO FUNCTION null('a UInt8') VALUES",
            b"  \n# first\nINSERT INTO FUNCTION null('a UInt8') ",
            "Values",
        ),
    ],
)
def test_the_data_of_an_insert_begin_right_behind_its_head(sql: bytes, text: bytes, name: str) -> None:
    statement = parse(sql + BINARY)
    assert (statement.takes_data, statement.text, statement.format, statement.data) == (True, text, name, BINARY)
    assert not statement.has_result


@given(st.binary(max_size=200))
def test_no_data_are_ever_taken_for_part_of_the_head(data: bytes) -> None:
    assert parse(b"INSERT INTO t (a) FORMAT Native\n" + data).data == data


@pytest.mark.parametrize(
    "sql",
    [
        b"INSERT INTO t SELECT 1",
        b"INSERT INTO t (a, b) SELECT 1, 2 FORMAT Null",
        b"INSERT INTO t (a) (SELECT 1)",
        b"INSERT INTO t (SELECT 1)",
        b"INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
        b"INSERT INTO t",
        b"SELECT 'INSERT INTO t FORMAT CSV'",
    ],
)
def test_other_statements_take_no_data(sql: bytes) -> None:
    assert not parse(sql).takes_data


@pytest.mark.parametrize(
    ("sql", "verb", "name"),
    [
        (b"SELECT 1", "select", ""),
        (b"SELECT 1 FORMAT JSON", "select", "JSON"),
        (b"SELECT 1 format JSON;", "select", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 'FORMAT'", "select", "JSON"),
        (b"SELECT 1 FORMAT JSON -- FORMAT CSV", "select", "JSON"),
        (b"SELECT 1 -- FORMAT CSV", "select", ""),
        (b"SELECT 1 // FORMAT CSV", "select", ""),
        (b"SELECT ' FORMAT CSV'", "select", ""),
        (b"SELECT $x$ FORMAT CSV $x$", "select", ""),
        (b"SELECT format('{}', a) AS format FROM t", "select", ""),
        (b"SELECT format FROM t", "select", ""),
        (b"SELECT format, a FROM t WHERE format = (SELECT 1) FORMAT CSV", "select", "CSV"),
        (b"/* hi */ with x AS (SELECT 1) SELECT * FROM x FORMAT Native", "with", "Native"),
        (b"(SELECT 1) FORMAT CSV", "(", "CSV"),
        (b"SHOW TABLES FORMAT JSON", "show", "JSON"),
    ],
)
def test_the_format_that_a_query_asks_for_is_found(sql: bytes, verb: str, name: str) -> None:
    statement = parse(sql)
    assert (statement.verb, statement.format, statement.has_result) == (verb, name, True)


@pytest.mark.parametrize("sql", [b"", b"   ", b"-- only a comment", b"/* never closed", b"/* /* */"])
def test_nothing_has_no_verb(sql: bytes) -> None:
    assert parse(sql).verb == ""


def test_a_file_is_named_only_outside_of_texts() -> None:
    assert names_a_file(b"SELECT 1 INTO /* x */ OUTFILE 'a'")
    assert names_a_file(b"insert into t from infile 'a' format CSV")
    assert not names_a_file(b"SELECT 'INTO OUTFILE', outfile FROM t -- INTO OUTFILE")
