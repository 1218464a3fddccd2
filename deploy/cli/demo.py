"""`salingjaga up --demo`: the whole job on example reports, for a newcomer to watch."""

import asyncio
import contextlib
import time
from pathlib import Path

import httpx
from rich.panel import Panel
from rich.text import Text

from deploy.cli.console import err, out
from deploy.cli.query import result_table, run_query
from deploy.cli.reports_from_files import read_reports
from deploy.cli.send import Sender, Tally
from deploy.cli.target import Target, find_target
from deploy.embedded.data_dir import DataDir
from deploy.embedded.notices import split_notifications

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "reports.jsonl"
WAIT_SECONDS = 60.0

SHOWN = {
    "What arrived": (
        "SELECT region_name, kind, primary_class, severity, count() AS reports FROM reports "
        "GROUP BY ALL ORDER BY region_name, kind, primary_class"
    ),
    "The gravest findings": (
        "SELECT region_name, codes, severity, findings.evidence[1] AS evidence FROM reports "
        "WHERE kind = 'violation_report' ORDER BY severity = 'critical' DESC, region_name LIMIT 5"
    ),
    "Alerts": "SELECT region_name, risk_class, severity, state, reports, incidents FROM alerts ORDER BY opened_at",
}


async def show_demo(data: DataDir) -> None:
    """Send the examples, wait until they have arrived, and show rows, alerts and a notification."""
    target = find_target(data.path)
    tally = Tally()
    await asyncio.to_thread(_send, target, tally)
    out.print(f"\nSent {tally.accepted} example reports ({tally.repeated} known from an earlier run).", highlight=False)
    with err.status("Waiting until they have arrived in ClickHouse ..."):
        arrived = await asyncio.to_thread(_wait, target, tally)
    if not arrived:
        err.print(f"Not all arrived within {WAIT_SECONDS:.0f} s; see the logs in {data.logs}.")
    for title, sql in SHOWN.items():
        out.print(f"\n[bold]{title}[/bold]   [dim]{sql}[/dim]", highlight=False, soft_wrap=True)
        columns, rows = await asyncio.to_thread(run_query, target, sql)
        out.print(result_table(columns, rows))
    if data.notifications.exists():
        notifications = split_notifications(data.notifications.read_text(encoding="utf-8"))
        gravest = next((one for one in notifications if one.startswith("[KRITIS]")), notifications[-1])
        out.print("\nOne of them as its officer reads it:")
        out.print(Panel(Text(gravest), title="Notification", border_style="yellow", expand=False))
    out.print("\nNow try the commands above in a second terminal. Ctrl-C stops.")


def _send(target: Target, tally: Tally) -> None:
    with Sender(target, WAIT_SECONDS) as sender:
        sender.send(list(read_reports(EXAMPLES)), None, None, tally)


def _wait(target: Target, tally: Tally) -> bool:
    """Whether all receipts have come as far as the archive, asked as any reporter would."""
    waiting = set(tally.receipts)
    deadline = time.monotonic() + WAIT_SECONDS
    with httpx.Client(base_url=target.webhook_url, trust_env=False, timeout=5) as client:
        while waiting and time.monotonic() < deadline:
            for receipt in list(waiting):
                with contextlib.suppress(httpx.HTTPError):
                    if client.get(f"/v1/receipts/{receipt}").json().get("stage") in ("archived", "quarantined"):
                        waiting.discard(receipt)
            if waiting:
                time.sleep(0.2)
    return not waiting
