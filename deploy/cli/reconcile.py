"""`salingjaga reconcile`: what a sender has and never arrived, listed and posted after all.

KoboToolbox and ODK Central post a submission once or a few times; a webhook that was away then has lost it, and only
the sender's own list shows that.
"""

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.cli.console import err, fail, out
from deploy.cli.exports import Exported, UnreadableExportError, fetch_export, read_export
from deploy.cli.moment import moment
from deploy.cli.send import NotAcceptedError, RefusedError, Sender, Tally
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption, Target, find_target
from deploy.cli.vault import Vault, open_vault
from services.ingest.adapters import ADAPTERS
from services.ingest.auth import BasicAuth, StaticHeaderAuth
from services.ingest.sources import Source, Sources
from services.ingest.submission import Submission
from shared.bus.receipts import receipt_key
from shared.config.yaml_file import load_yaml
from shared.settings import get_settings

LOOKED_UP_AT_ONCE = 1000
MISSING_SHOWN = 50
FETCH_SECONDS = 60
DEFAULT_VARIABLE = "SALINGJAGA_EXPORT_TOKEN"


@dataclass(frozen=True, slots=True)
class Expected:
    """A submission of an export, under the ids that it has here when it arrived."""

    exported: Exported
    submission: Submission


def reconcile(
    source: Annotated[str, typer.Argument(help="Name of the source in sources.yaml (kobo or odk).")],
    export: Annotated[
        Path | None, typer.Option(help="The sender's JSON: KoboToolbox data, or ODK Central's OData.")
    ] = None,
    url: Annotated[str, typer.Option(help="The sender's API instead of a file; read page by page.")] = "",
    token_env: Annotated[str, typer.Option(help="With --url: the variable with the token for it.")] = DEFAULT_VARIABLE,
    since: Annotated[str, typer.Option(help="Only what was submitted since: 7d, 36h or a date.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what is missing; post nothing.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to keep trying what was not accepted.", min=0)] = 120,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Compare a sender's export with what arrived, and post what is missing."""
    if (export is None) == (not url):
        raise typer.BadParameter("give --export FILE or --url URL")
    now = datetime.now(UTC)
    start = moment(since, now) if since else None
    target = find_target(data_dir)
    configured = load_yaml(get_settings().config_file("sources.yaml"), Sources).sources.get(source)
    if configured is None:
        fail(f"sources.yaml names no source {source!r}")
    fault = ""
    try:
        if export:
            exported = read_export(export, configured.adapter)
        else:
            exported, fault = _fetched(url, configured.adapter, token_env)
    except UnreadableExportError as error:
        fail(str(error))
    chosen = [one for one in exported if start is None or one.submitted_at is None or one.submitted_at >= start]
    expected = list(expected_of(source, configured, chosen, now).values())
    with open_vault(data_dir) as vault:
        missing = _missing(vault, expected)
    for one in missing[:MISSING_SHOWN]:
        at = one.exported.submitted_at
        when = f"{at:%Y-%m-%d %H:%M} UTC" if at else "time unknown"
        out.print(f"missing: {one.submission.receipt} ({one.exported.origin}, {when})", highlight=False, soft_wrap=True)
    if len(missing) > MISSING_SHOWN:
        out.print(f"... and {len(missing) - MISSING_SHOWN} more")
    counts = f"{len(expected)} compared, {len(expected) - len(missing)} had arrived, {len(missing)} missing"
    if dry_run or not missing:
        out.print(counts, highlight=False)
        _say_what_was_not_read(fault)
        return
    tally = _post(target, source, configured, missing, timeout)
    for rejection in tally.rejections:
        err.print(rejection, highlight=False, soft_wrap=True, markup=False)
    lacking = len(missing) - tally.accepted - tally.rejected
    out.print(f"{counts}; {tally.accepted} posted, {tally.rejected} rejected, {lacking} not accepted", highlight=False)
    _say_what_was_not_read(fault)
    if tally.rejected or lacking:
        raise typer.Exit(1)


def expected_of(source: str, configured: Source, exported: Iterable[Exported], now: datetime) -> dict[str, Expected]:
    """The submissions by the receipt each has when it arrived: ids are deterministic, and nothing is asked for that."""
    expected: dict[str, Expected] = {}
    for one in exported:
        for read in ADAPTERS[configured.adapter].read(one.body, configured.fields):
            submission = Submission.new(
                source=source,
                adapter=configured.adapter,
                external_id=read.external_id,
                content=read.content,
                body=one.body,
                received_at=now,
            )
            expected[submission.receipt] = Expected(one, submission)
    return expected


def headers_of(configured: Source, secret: str) -> dict[str, str]:
    """What proves the source to the webhook. Raises `RefusedError` for schemes that only the sender itself can meet."""
    auth = configured.auth
    if not secret:
        raise RefusedError(f"The secret of the source is not known; set the variable {' or '.join(auth.secret_env)}.")
    if isinstance(auth, BasicAuth):
        return {"authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}
    if isinstance(auth, StaticHeaderAuth):
        return {auth.header: secret}
    raise RefusedError(f"The scheme {auth.scheme} cannot be met from here; use basic or static-header for the source.")


def _fetched(url: str, adapter: str, token_env: str) -> tuple[list[Exported], str]:
    """What a sender's API lists, and what ended the reading before its end; empty when all was read.

    Raises:
        UnreadableExportError: nothing could be read.
    """
    token = os.environ.get(token_env, "").strip()
    if not token:
        raise UnreadableExportError(f"the token for {url} is not known; set the variable {token_env}")
    exported: list[Exported] = []
    columns = (SpinnerColumn(), TextColumn("Reading"), TextColumn("{task.completed} submissions"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress, httpx.Client(timeout=FETCH_SECONDS) as client:
        task = progress.add_task("read", total=None)
        try:
            for page in fetch_export(client, url, adapter, token):
                exported += page
                progress.update(task, completed=len(exported))
        except UnreadableExportError as error:
            if not exported:
                raise
            return exported, str(error)
    return exported, ""


def _say_what_was_not_read(fault: str) -> None:
    if fault:
        fail(f"The list was read in part only: {fault}. Run it again later: nothing counts twice.")


def _missing(vault: Vault, expected: list[Expected]) -> list[Expected]:
    """Those that never arrived.

    The vault answers for what was accepted, also when it is in quarantine or joined with others; reports for what has
    outlived its submission there; Redis for what is on its way to both.
    """
    sql = (
        f"SELECT receipt FROM {vault.database}.submissions WHERE receipt IN {{receipts:Array(String)}} "  # noqa: S608
        f"UNION ALL SELECT receipt FROM {vault.settings.clickhouse_database}.report_rows "
        "WHERE report_id IN {ids:Array(UUID)}"
    )
    missing: list[Expected] = []
    remaining = iter(expected)
    while some := list(islice(remaining, LOOKED_UP_AT_ONCE)):
        receipts = [one.submission.receipt for one in some]
        with vault.redis.pipeline(transaction=False) as pipe:
            for receipt in receipts:
                pipe.get(receipt_key(receipt, vault.partitions))
            under_way = pipe.execute()
        named = {"receipts": receipts, "ids": [str(one.submission.report_id) for one in some]}
        arrived = {str(row[0]) for row in vault.rows(sql, named)}
        arrived |= {receipt for receipt, value in zip(receipts, under_way, strict=True) if value is not None}
        missing += [one for one in some if one.submission.receipt not in arrived]
    return missing


def _post(target: Target, source: str, configured: Source, missing: list[Expected], timeout: float) -> Tally:
    tally = Tally()
    columns = (SpinnerColumn(), TextColumn("Posting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        headers: Mapping[str, str] = headers_of(configured, _secret(target, configured))
        with Progress(*columns, console=err, transient=True) as progress, Sender(target, timeout) as sender:
            for one in progress.track(missing, total=len(missing)):
                sender.send_one(source, one.exported.body, headers, one.exported.origin, tally)
    except RefusedError as error:
        fail(str(error))
    except NotAcceptedError as error:
        err.print(f"Not accepted within {timeout:.0f} s: {error}. Run it again later: nothing counts twice.")
    return tally


def _secret(target: Target, configured: Source) -> str:
    """The first secret of the source; empty when none is known."""
    secrets = (secret for variable in configured.auth.secret_env for secret in target.secret(variable).split())
    return next(secrets, "")
