"""`salingjaga query`: SQL for analysts, read-only."""

import csv
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import clickhouse_connect
import typer
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.table import Table
from rich.text import Text

from deploy.cli.console import fail, out, printable
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption, Target, find_target
from deploy.embedded.system import HOST, without_proxy


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def query(
    sql: Annotated[str, typer.Argument(help="A query over the views reports, alerts, region_risk, ...")],
    format_: Annotated[Format, typer.Option("--format", help="How rows are printed.")] = Format.TABLE,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Run SQL against ClickHouse, read-only."""
    columns, rows = run_query(find_target(data_dir), sql)
    if format_ is Format.JSON:
        documents = [dict(zip(columns, map(_json_ready, row), strict=True)) for row in rows]
        sys.stdout.write(json.dumps(documents, ensure_ascii=False, default=_plain) + "\n")
    elif format_ is Format.CSV:
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows([_harmless(value) for value in row] for row in rows)
    elif rows:
        out.print(result_table(columns, rows))
    else:
        out.print("No rows.")


def run_query(
    target: Target, sql: str, parameters: Mapping[str, Any] | None = None
) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Column names and rows; `{name:Type}` in the query is bound from `parameters`.

    Leaves the program with one sentence when the query cannot be run.
    """
    try:
        result = analyst_client(target).query(sql, parameters=dict(parameters or {}))
    except (ClickHouseError, OSError) as error:
        fail(" ".join(str(error).split())[:800])
    return result.column_names, result.result_rows


def analyst_client(target: Target) -> Client:
    """A client with the analysts' read-only account. Raises `ClickHouseError` or `OSError` when it is not let in."""
    if target.clickhouse_host == HOST:
        os.environ.update(without_proxy(os.environ))
    return clickhouse_connect.get_client(
        host=target.clickhouse_host,
        port=target.clickhouse_port,
        username=target.analyst_user,
        password=target.analyst_password,
        database=target.database,
        autogenerate_session_id=False,
    )


def result_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """The rows as a table for a terminal; whatever stands in them is shown, never obeyed."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(printable(_shown(value))) for value in row))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, float):
        return f"{value:.1f}" if value.is_integer() else f"{value:.3g}"
    return str(value)


def _json_ready(value: Any) -> Any:
    """JSON has no infinity and no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list | tuple):
        return [_json_ready(part) for part in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return list(value) if isinstance(value, tuple | set) else str(value)


def _harmless(value: Any) -> Any:
    # A spreadsheet runs a cell that begins like a formula; what citizens write must stay text.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
