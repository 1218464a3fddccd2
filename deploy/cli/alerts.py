"""`salingjaga alerts`: the alert inbox in a terminal."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from redis.asyncio import Redis
from rich.table import Table

from deploy.cli.alerts_replay import raised_table, replay_stored
from deploy.cli.console import fail, out, printable
from deploy.cli.moment import moment
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption, find_target
from services.alerts import inbox
from services.alerts import rules as rules_file
from services.alerts.inbox import AlertDetail, AlertSummary, NotPossibleError
from services.alerts.replay import compare
from services.alerts.rules import AlertingRules
from services.alerts.store import PREFIX
from shared.bus.connection import connect
from shared.config.yaml_file import load_yaml
from shared.contracts import Opinion
from shared.settings import get_settings

app = typer.Typer(help="The alert inbox.", no_args_is_help=True)

AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id, or enough of its beginning.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Actor = Annotated[str, typer.Option(help="Who; default the user of this terminal.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document.")]

Answer = TypeVar("Answer")


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Lately resolved ones too.")] = False,
    as_json: AsJson = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """List open alerts, gravest first."""
    found = _run(data_dir, lambda redis: inbox.list_alerts(redis, include_resolved=all_))
    if as_json:
        _write_json(found)
        return
    if not found:
        out.print("No open alerts.")
        return
    table = Table("id", "severity", "state", "step", "region", "class", "reports", "incidents", "opened")
    for one in found:
        opened = one.opened_at.isoformat(sep=" ", timespec="minutes")
        state = f"{one.state}, told nobody" if one.untold_since else one.state
        step = f"{one.step} (round {one.rounds + 1})" if one.rounds else str(one.step or "")
        place = (one.region_name, one.risk_class)
        numbers = (str(one.reports), str(one.incidents))
        table.add_row(str(one.alert_id)[:8], one.severity, state, step, *place, *numbers, opened)
    out.print(table)


@app.command()
def show(alert_id: AlertId, as_json: AsJson = False, data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Show an alert: what it rests on and what has happened to it."""
    detail = _run(data_dir, lambda redis: inbox.find(redis, alert_id))
    if as_json:
        _write_json(detail)
    else:
        _print(detail)


@app.command()
def ack(alert_id: AlertId, reason: Reason = "", actor: Actor = "", data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Take an alert over."""
    _tell(_run(data_dir, lambda redis: inbox.acknowledge(redis, alert_id, **_by(actor, reason))))


@app.command()
def resolve(
    alert_id: AlertId, reason: Reason = "", actor: Actor = "", data_dir: DataDirOption = DEFAULT_DATA_DIR
) -> None:
    """Close an alert."""
    _tell(_run(data_dir, lambda redis: inbox.resolve(redis, alert_id, **_by(actor, reason))))


@app.command()
def silence(
    alert_id: AlertId,
    reason: Annotated[str, typer.Option(help="Why; it is shown with the alert.")],
    hours: Annotated[float, typer.Option(help="For how long.", min=0.1)] = 4,
    actor: Actor = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Send nothing of an alert for some hours; it is told again then."""
    rules = load_yaml(get_settings().config_file(rules_file.FILE_NAME), AlertingRules)
    until = datetime.now(UTC) + timedelta(hours=hours)
    by = _by(actor, reason)
    _tell(_run(data_dir, lambda redis: inbox.silence(redis, alert_id, until=until, rules=rules, **by)))


@app.command()
def replay(
    since: Annotated[str, typer.Option(help="From when: 7d, 36h, or a date such as 2024-11-20.")] = "7d",
    until: Annotated[str, typer.Option(help="Until when, in the same form; default now.")] = "",
    rules: Annotated[Path | None, typer.Option(help="An alerting.yaml to compare with the present one.")] = None,
    as_json: AsJson = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Show which alerts the rules would raise from what is stored; nothing is written, nobody is told.

    With --rules also what those rules add to the present ones, and what is gone with them.
    """
    now = datetime.now(UTC)
    start, end = moment(since, now), moment(until, now) if until else now
    if start >= end:
        fail(f"--since ({start:%Y-%m-%d %H:%M}Z) must be before --until ({end:%Y-%m-%d %H:%M}Z)")
    present = load_yaml(get_settings().config_file(rules_file.FILE_NAME), AlertingRules)
    tried = load_yaml(rules, AlertingRules) if rules else None
    found = replay_stored(find_target(data_dir), [present, tried] if tried else [present], start, end)
    added, gone = compare(*found) if tried else ([], [])
    if as_json:
        document = {"since": start, "until": end, "present": found[0]}
        _write_json(document | ({"tried": found[1], "added": added, "gone": gone} if tried else {}))
        return
    span = f"{start:%Y-%m-%d %H:%M}Z to {end:%Y-%m-%d %H:%M}Z"
    out.print(raised_table(f"What the present rules raise, {span}", found[0]))
    if tried:
        out.print(raised_table(f"Added by {rules}", added))
        out.print(raised_table(f"Gone with {rules}", gone))
        told = [sum(one.notifications for one in each) for each in found]
        out.print(f"Alerts {len(found[0])} -> {len(found[1])}, notifications {told[0]} -> {told[1]}.", highlight=False)


@app.command()
def verdict(
    alert_id: AlertId,
    code: Annotated[str, typer.Argument(help="The finding's code, as `show` names it, such as mp_cash.")],
    opinion: Annotated[Opinion, typer.Argument(help="What you say of it.")],
    report: Annotated[str, typer.Option(help="Receipt of the report; needed where several show the code.")] = "",
    note: Annotated[str, typer.Option(help="Why.")] = "",
    actor: Actor = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Say whether a finding is right; it measures the classifier."""
    who, now = actor or getpass.getuser(), datetime.now(UTC)
    _tell(
        _run(
            data_dir,
            lambda redis: inbox.judge(
                redis, alert_id, code=code, opinion=opinion, report=report, note=note, actor=who, now=now
            ),
        )
    )


def _by(actor: str, reason: str) -> dict[str, Any]:
    return {"actor": actor or getpass.getuser(), "reason": reason, "now": datetime.now(UTC)}


def _run(data_dir: Path, act: Callable[[Redis], Awaitable[Answer]]) -> Answer:
    target = find_target(data_dir)

    async def run() -> Answer:
        async with connect(target.redis_url, PREFIX, socket_timeout=10, socket_connect_timeout=5) as redis:
            return await act(redis)

    try:
        return asyncio.run(run())
    except NotPossibleError as error:
        fail(str(error))


def _tell(alert: AlertSummary) -> None:
    out.print(
        f"{str(alert.alert_id)[:8]}  {printable(alert.region_name)}: {alert.state}", highlight=False, markup=False
    )


def _print(detail: AlertDetail) -> None:
    summary = detail.summary
    for name, value in asdict(summary).items():
        out.print(f"{name:16}{printable(str(value))}", highlight=False, markup=False)
    out.print("\n[bold]Evidence[/bold]")
    for exhibit in detail.exhibits:
        _line(f"  {exhibit.at:%Y-%m-%d %H:%M}Z  {exhibit.receipt}  {exhibit.severity}, {exhibit.status}")
        for act in exhibit.found:
            _line(f"    {act.code}: {' / '.join(act.quotes)}")
            for one in detail.verdicts:
                if one.finding == (exhibit.report_id, act.code):
                    _line(f"      {one.opinion} by {one.actor}{f': {one.note}' if one.note else ''}")
        for note in exhibit.notes:
            _line(f"    note: {note}")
    out.print("\n[bold]History[/bold]")
    for entry in detail.history:
        _line(f"  {entry.at:%Y-%m-%d %H:%M:%S}Z  {entry.event}  {entry.actor}  {entry.reason}")


def _line(text: str) -> None:
    out.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def _write_json(content: object) -> None:
    sys.stdout.write(msgspec.json.encode(content).decode() + "\n")
