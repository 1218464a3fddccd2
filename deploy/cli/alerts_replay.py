"""`salingjaga alerts replay`: reads what is stored and gives it to the decisions once more."""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text as Cell

from deploy.cli.console import err, fail, printable
from deploy.cli.query import analyst_client
from deploy.cli.target import Target
from services.alerts import officers as officers_file
from services.alerts.announce import Announcer
from services.alerts.decide import Outcome
from services.alerts.officers import Officers
from services.alerts.places import Places
from services.alerts.render import Renderer, Text
from services.alerts.replay import COUNT, ROWS, Raised, Replay, from_row, spans
from services.alerts.rules import AlertingRules
from services.alerts.store import Change
from shared.calendar import Calendar
from shared.config.yaml_file import load_yaml
from shared.settings import get_settings


class _Wordless(Renderer):
    """Nobody reads the notifications of a replay."""

    def render(self, *_: object, **__: object) -> Text:
        """Empty."""
        return Text("", "", "")


def replay_stored(
    target: Target, rules: Sequence[AlertingRules], since: datetime, until: datetime
) -> list[list[Raised]]:
    """What each set of rules raises between two moments, all in one pass over what is stored.

    It begins as long before `since` as the rules remember, so that what is usual is known by then. Leaves the program
    with a sentence when ClickHouse does not answer.
    """
    settings = get_settings()
    places = Places.load()
    officers = load_yaml(settings.config_file(officers_file.FILE_NAME), Officers)
    calendar = Calendar.load(settings.config_file("calendar.yaml"))
    replays = [Replay(one, places, _telling(one, officers, calendar)) for one in rules]
    start = since - max(one.memory.length for one in rules)
    try:
        client = analyst_client(target)
        (total,) = client.query(COUNT, parameters={"since": start, "until": until}).result_rows[0]
        with _progress() as progress:
            task = progress.add_task("Replaying", total=total)
            for number, row in enumerate(_rows(client, start, until)):
                assessment = from_row(row)
                for one in replays:
                    one.take(assessment)
                if number % 200 == 0:
                    progress.update(task, completed=number)
            progress.update(task, completed=total)
    except (ClickHouseError, OSError) as error:
        fail(" ".join(str(error).split())[:800])
    for one in replays:
        one.move_to(until)
    return [one.raised(since) for one in replays]


def raised_table(title: str, raised: Sequence[Raised]) -> Table:
    """The alerts, one a line."""
    table = Table("opened (UTC)", "severity", "region", "class", "told", "why", title=title)
    for one in raised:
        cells = (
            f"{one.opened_at:%Y-%m-%d %H:%M}", one.severity, f"{one.region_name} {one.region_code}".strip(),
            one.risk_class, str(one.notifications), one.why,
        )  # fmt: skip
        table.add_row(*(Cell(printable(cell)) for cell in cells))
    if not raised:
        table.add_row("none", "", "", "", "", "")
    return table


def _telling(rules: AlertingRules, officers: Officers, calendar: Calendar) -> Callable[[Outcome, datetime], Change]:
    wordless = _Wordless(lambda: calendar)
    announcer = Announcer(lambda: officers, lambda: rules, lambda: calendar, wordless, Path(os.devnull))
    return announcer.change


def _rows(client: Client, since: datetime, until: datetime) -> Iterator[Sequence[Any]]:
    for parameters in spans(since, until):
        with client.query_rows_stream(ROWS, parameters=dict(parameters)) as rows:
            yield from rows


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
