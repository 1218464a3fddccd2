"""`salingjaga replay`: normalise submissions again, after a fix."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deploy.cli.console import err, out
from deploy.cli.moment import moment
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption
from deploy.cli.vault import ReasonOption, Stored, Vault, open_vault
from shared.bus.message import JOINED, pack_joined
from shared.bus.streams import SUBMISSIONS

PAGE = 500
MOST_WAITING = 20_000
"""Submissions that may wait in the stream; the replay pauses above, so that new reports are not held up long."""
PAUSE_SECONDS = 0.2


def replay(
    since: Annotated[str, typer.Option(help="From when: 7d, 36h, or a date such as 2024-11-20 (UTC).")],
    reason: ReasonOption,
    until: Annotated[str, typer.Option(help="Received before this time; default now.")] = "",
    source: Annotated[str, typer.Option(help="Only of this source.")] = "",
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Put stored submissions through normaliser and classifier again.

    Reports keep their ids: each replaces itself in ClickHouse, and a report that an alert rests on raises none again.
    Of a report that was edited, what came last is taken; what was joined is replayed as a whole, and stays joined.
    Nothing is opened here; no key is needed.
    """
    now = datetime.now(UTC)
    first, end = moment(since, now), moment(until, now) if until else now
    with open_vault(data_dir) as vault:
        chosen = vault.rows(
            "SELECT receipt, argMax(content_hash, received_at) AS newest, max(received_at) AS last "  # noqa: S608
            f"FROM {vault.database}.submissions FINAL "
            "WHERE received_at >= {first:DateTime64(3, 'UTC')} AND {source:String} IN ('', source) "
            "GROUP BY receipt HAVING last < {end:DateTime64(3, 'UTC')} ORDER BY last",
            {"first": first, "end": end, "source": source},
        )
        if not chosen:
            out.print("No submission was received then.")
            return
        details = f"{len(chosen)} submissions received {first.isoformat()} to {end.isoformat()} {source}".strip()
        vault.audit("replay", reason=reason, details=details)
        replayed, incomplete = set[str](), set[str]()
        with _progress() as progress:
            task = progress.add_task("replaying", total=len(chosen))
            for start in range(0, len(chosen), PAGE):
                part = [(receipt, content_hash) for receipt, content_hash, _ in chosen[start : start + PAGE]]
                incomplete |= _put_back(vault, part, replayed)
                progress.advance(task, len(part))
    out.print(f"{len(replayed)} submissions put back; they arrive within moments.", highlight=False)
    if incomplete:
        reports = f"{len(incomplete)} joined report(s) stay as they are"
        out.print(f"{reports}: not all of their messages are kept any more.", highlight=False)


def _put_back(vault: Vault, part: list[tuple[str, str]], replayed: set[str]) -> set[str]:
    """Put a page of submissions back, and with one that was joined all the others of its report.

    Adds the receipts that were put back to `replayed`; what stands there already is left out. Returns the receipts of
    joined reports that cannot be made again, since a message of theirs is not kept any more.
    """
    while sum(int(vault.redis.xlen(stream.name)) for stream in SUBMISSIONS.parts(vault.partitions)) > MOST_WAITING:
        time.sleep(PAUSE_SECONDS)
    reports = vault.joined_reports([receipt for receipt, _ in part])
    joined = {receipt for receipts in reports.values() for receipt in receipts}
    alone = [(receipt, content_hash) for receipt, content_hash in part if receipt not in joined]
    stored = vault.select(
        "(receipt, content_hash) IN arrayZip({receipts:Array(String)}, {hashes:Array(String)})",
        {"receipts": [receipt for receipt, _ in alone], "hashes": [content_hash for _, content_hash in alone]},
    )
    # In the order of receipt: of each the last is what counts.
    newest = {one.receipt: one for one in vault.select("receipt IN {receipts:Array(String)}", {"receipts": [*joined]})}
    incomplete = set[str]()
    with vault.redis.pipeline(transaction=False) as pipe:
        for one in stored:
            pipe.xadd(_stream_of(one.receipt, vault), one.entry() | {b"replayed": b"1"})  # type: ignore[arg-type]
            replayed.add(one.receipt)
        for opener, receipts in reports.items():
            if not newest.keys() >= {*receipts}:
                incomplete.add(opener)
            elif opener not in replayed:
                whole = _whole(opener, [newest[receipt] for receipt in receipts])
                pipe.xadd(_stream_of(opener, vault), whole)  # type: ignore[arg-type]
                replayed.update(receipts)
        pipe.execute()
    return incomplete


def _stream_of(receipt: str, vault: Vault) -> str:
    return SUBMISSIONS.part(vault.partitions.of(receipt), vault.partitions).name


def _whole(opener: str, parts: list[Stored]) -> dict[bytes, bytes]:
    """The entry of a joined report: that of the message which opened it, and in it all its messages, in their order."""
    entries = {one.receipt: one.entry() for one in parts}
    return {**entries[opener], b"replayed": b"1", JOINED: pack_joined(entries.values())}


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err)
