"""`salingjaga send`: posts reports to the webhook, signed, and does not give up what was not accepted."""

import base64
import binascii
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.cli.console import err, fail, out, printable
from deploy.cli.feed import read_feed
from deploy.cli.reports_from_files import Outgoing, UnreadableError, expand, read_reports
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption, Target, find_target
from services.ingest.signature import sign

BATCH_LINES = 500
BATCH_BYTES = 2 * 1024 * 1024
DEFAULT_SOURCE = "lapangan"
DEFAULT_ARTICLE_SOURCE = "berita"
LONGEST_PAUSE_SECONDS = 5.0
REJECTIONS_SHOWN = 50


@dataclass(slots=True)
class Tally:
    """What became of the reports sent so far."""

    accepted: int = 0
    repeated: int = 0
    rejected: int = 0
    not_accepted: int = 0
    rejections: list[str] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)

    def reject_file(self, reason: str) -> None:
        """Note a file that holds no reports."""
        self.rejected += 1
        self.rejections.append(reason)

    def reject(self, origin: str, reason: str) -> None:
        """Note a rejection; the reasons beyond a screenful are counted, not kept."""
        self.rejected += 1
        if len(self.rejections) < REJECTIONS_SHOWN:
            self.rejections.append(f"{origin}: {reason}")


class NotAcceptedError(Exception):
    """The webhook did not accept in time; the message is the last reason."""


class RefusedError(Exception):
    """The webhook refuses this sender altogether."""


def send(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files (.json, .jsonl, .csv, .txt, .html) or folders of them.")
    ] = None,
    feed: Annotated[
        list[str] | None, typer.Option(help="A file or URL of RSS or Atom; each entry is one article.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Name of the source; default `lapangan`, for articles `berita`.")
    ] = None,
    secret_env: Annotated[
        str | None, typer.Option(help="Variable with the source's secret; default SALINGJAGA_SECRET_<SOURCE>.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to keep trying what was not accepted.", min=0)] = 120,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Post reports to the webhook in signed batches and count what was accepted and rejected."""
    if not (paths or feed):
        raise typer.BadParameter("name files or folders, or a --feed")
    target = find_target(data_dir)
    tally = Tally()
    try:
        files, total = _readable(expand(paths or []), tally)
        entries = [entry for location in feed or [] for entry in read_feed(location)]
        total += len(entries)
        started = time.monotonic()
        columns = (SpinnerColumn(), TextColumn("Sending"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as progress, Sender(target, timeout) as sender:
            task = progress.add_task("send", total=total)
            for batch in chain(_batches(files), ([entry] for entry in entries)):
                sender.send(batch, source, secret_env, tally)
                progress.update(task, completed=tally.accepted + tally.rejected)
    except UnreadableError as error:
        fail(str(error))
    except RefusedError as error:
        fail(str(error))
    except NotAcceptedError as error:
        tally.not_accepted = total - tally.accepted - tally.rejected
        err.print(
            f"Not accepted within {timeout:.0f} s: {error}. Send the same files again later: nothing counts twice."
        )
    for rejection in tally.rejections:
        err.print(printable(rejection), highlight=False, soft_wrap=True, markup=False)
    hidden = tally.rejected - len(tally.rejections)
    if hidden:
        err.print(f"... and {hidden} more rejections")
    seconds = time.monotonic() - started
    out.print(
        f"{tally.accepted} accepted ({tally.repeated} of them known already), {tally.rejected} rejected"
        + (f", {tally.not_accepted} not accepted" if tally.not_accepted else "")
        + f", in {seconds:.1f} s",
        highlight=False,
    )
    if tally.rejected or tally.not_accepted:
        raise typer.Exit(1)


def _readable(files: list[Path], tally: Tally) -> tuple[list[Path], int]:
    """The files that can be read and the number of their reports; the others are rejected with their reason."""
    good, total = [], 0
    for path in files:
        try:
            total += sum(1 for _ in read_reports(path))
        except UnreadableError as error:
            tally.reject_file(str(error))
        else:
            good.append(path)
    return good, total


def _batches(files: list[Path]) -> Iterator[list[Outgoing]]:
    batch: list[Outgoing] = []
    size = 0
    for path in files:
        for report in read_reports(path):
            if report.is_article:
                yield [report]
                continue
            if batch and (len(batch) >= BATCH_LINES or size + len(report.body) > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(report)
            size += len(report.body) + 1
    if batch:
        yield batch


class Sender:
    """Posts batches; waits and tries again while the webhook is away or overloaded, until the time is up."""

    def __init__(self, target: Target, timeout_seconds: float) -> None:
        self._target = target
        self._deadline = time.monotonic() + timeout_seconds
        self._client = httpx.Client(base_url=target.webhook_url, timeout=30, trust_env=False)
        self._keys: dict[str, bytes] = {}

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, batch: list[Outgoing], source: str | None, secret_env: str | None, tally: Tally) -> None:
        """Send one batch and note what became of each report.

        Raises:
            NotAcceptedError: the time is up.
            RefusedError: the webhook does not know this source or its secret.
        """
        is_article = batch[0].is_article
        name = source or (DEFAULT_ARTICLE_SOURCE if is_article else DEFAULT_SOURCE)
        key = self._key(secret_env or f"SALINGJAGA_SECRET_{name.upper().replace('-', '_')}")
        if is_article:
            path, media_type = f"/v1/reports/{name}", batch[0].media_type
        else:
            path, media_type = f"/v1/reports/{name}/batch", "application/x-ndjson"
        body = b"\n".join(report.body for report in batch)
        answer = self._post(path, body, lambda: {"content-type": media_type, **_signed(key, body)})
        if answer.status_code == 202 and is_article:
            tally.accepted += 1
            result = answer.json()
            tally.repeated += bool(result.get("repeated"))
            tally.receipts.append(result["receipt"])
        elif answer.status_code == 202:
            self._note(batch, answer, tally)
        elif answer.status_code in (401, 404):
            raise RefusedError(f"{name}: {_reason(answer)}")
        elif len(batch) > 1:
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                self.send(half, source, secret_env, tally)
        else:
            tally.reject(batch[0].origin, _reason(answer))

    def send_one(self, source: str, body: bytes, headers: Mapping[str, str], origin: str, tally: Tally) -> None:
        """Send one report in its channel's own format, with headers that prove the source. Raises as `send`."""
        answer = self._post(f"/v1/reports/{source}", body, lambda: {"content-type": "application/json", **headers})
        if answer.is_success:
            tally.accepted += 1
        elif answer.status_code in (401, 403, 404):
            raise RefusedError(f"{source}: {_reason(answer)}")
        else:
            tally.reject(origin, _reason(answer))

    @staticmethod
    def _note(batch: list[Outgoing], answer: httpx.Response, tally: Tally) -> None:
        result = answer.json()
        tally.accepted += result["accepted"]
        tally.repeated += result["repeated"]
        tally.receipts += filter(None, result["receipts"])
        for error in result["errors"]:
            places = "; ".join(f"{place['pointer']} {place['detail']}".strip() for place in error["errors"])
            tally.reject(batch[error["line"] - 1].origin, f"{error['title']}{': ' + places if places else ''}")

    def _post(self, path: str, body: bytes, headers: Callable[[], Mapping[str, str]]) -> httpx.Response:
        pause = 0.2
        while True:
            try:
                answer = self._client.post(path, content=body, headers=headers())
            except httpx.TransportError as error:
                reason, wait = f"{type(error).__name__}: {error}", pause
            else:
                if answer.status_code not in (408, 429, 500, 502, 503, 504):
                    return answer
                reason = _reason(answer)
                asked = answer.headers.get("retry-after", "")
                wait = min(float(asked), LONGEST_PAUSE_SECONDS) if asked.isdigit() else pause
            if time.monotonic() + wait > self._deadline:
                raise NotAcceptedError(reason)
            time.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _key(self, variable: str) -> bytes:
        if variable not in self._keys:
            secret = self._target.secret(variable).split()
            if not secret:
                raise RefusedError(f"The secret of the source is not known; set the variable {variable}.")
            try:
                self._keys[variable] = base64.b64decode(secret[0].removeprefix("whsec_"), validate=True)
            except binascii.Error:
                raise RefusedError(f"{variable} is not base64; expected whsec_ and base64 characters.") from None
        return self._keys[variable]


def _signed(key: bytes, body: bytes) -> dict[str, str]:
    message_id, now = f"msg_{uuid.uuid4().hex}", int(time.time())
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(key, message_id, now, body),
    }


def _reason(answer: httpx.Response) -> str:
    try:
        document = answer.json()
    except ValueError:
        return f"HTTP {answer.status_code}"
    parts = [document.get("title", f"HTTP {answer.status_code}"), document.get("detail", "")]
    parts += [f"{place['pointer']} {place['detail']}".strip() for place in document.get("errors", [])]
    return ": ".join(part for part in parts if part)
