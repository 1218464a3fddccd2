"""The audit: what became of every receipt, and whether the system is as it was before."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from redis.exceptions import RedisError

from shared.bus import quarantine
from shared.bus.streams import FLOWING
from tests.chaos.load import Load
from tests.chaos.world import SOURCE, World

LOOK_SECONDS = 0.2
REMAINS = 300
"""Entries that trimming may leave of a stream that everybody has read: it removes whole nodes of the stream."""


@dataclass
class Audit:
    """What an audit found.

    Attributes:
        receipts: answered 202 since the beginning.
        lost: of them, neither in ClickHouse nor in quarantine.
        doubled: rows that are there more than once, or that nobody was given a receipt for.
        excepted: gone with a Redis that was emptied, and saying so.
        complaints: whatever else is not as promised, in words.
    """

    receipts: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    excepted: int = 0
    complaints: list[str] = field(default_factory=list)


def wait_until_archived(world: World, receipt: str, *, seconds: float = 180) -> bool:
    """Whether ClickHouse shows a receipt in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if world.rows(f"SELECT 1 FROM report_rows WHERE receipt = '{receipt}' LIMIT 1"):
                return True
        except (httpx.HTTPError, OSError):
            pass
        time.sleep(LOOK_SECONDS)
    return False


def wait_until_drained(world: World, *, seconds: float = 240) -> str:
    """Return when every group has read and acknowledged all of its stream: empty, or what still waits."""
    deadline = time.monotonic() + seconds
    waiting = "never looked"
    while waiting and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        try:
            waiting = _waiting(world)
        except (RedisError, OSError) as error:
            waiting = f"Redis: {error}"
    return waiting


def _waiting(world: World) -> str:
    with world.redis() as client:
        for stream in FLOWING:
            newest = client.xinfo_stream(stream.name)["last-generated-id"]  # type: ignore[index]
            groups = {group["name"].decode(): group for group in client.xinfo_groups(stream.name)}  # type: ignore[union-attr]
            for name in stream.groups:
                if name not in groups:
                    return f"{stream.name}: the group {name} is missing"
                group = groups[name]
                if group["pending"] or group["last-delivered-id"] != newest:
                    return f"{stream.name}: {name} holds {group['pending']}, read up to {group['last-delivered-id']}"
            if (length := client.xlen(stream.name)) > REMAINS:  # type: ignore[operator]
                return f"{stream.name}: {length} entries that everybody has read are not trimmed"
    return ""


def audit(world: World, load: Load, *, since: float = 0.0, emptied: Counter[str] | None = None) -> Audit:
    """Count everything. Call it when the load has ended.

    Args:
        world, load: the system, and what it was sent.
        since: when Redis was emptied last (monotonic): what was accepted before and is nowhere is excepted.
        emptied: receipts that earlier audits have excepted already; added to.
    """
    emptied = emptied if emptied is not None else Counter()
    found = Audit(receipts=len(load.kept))
    if waiting := wait_until_drained(world):
        found.complaints.append(f"not drained: {waiting}")
    shown = Counter(
        {row["receipt"]: int(row["rows"]) for row in world.rows(
            f"SELECT receipt, count() AS rows FROM reports WHERE source = '{SOURCE}' GROUP BY receipt"
        )}
    )  # fmt: skip
    with world.redis(30) as client:
        aside = Counter(one.receipt for one in quarantine.read_quarantine(client))
        if reasonless := [one.id for one in quarantine.read_quarantine(client) if not one.error]:
            found.complaints.append(f"{len(reasonless)} in quarantine without a reason")
    known = set()
    for kept in load.kept.values():
        known.add(kept.receipt)
        if kept.receipt not in shown and kept.receipt not in aside and kept.receipt not in emptied:
            if kept.at < since:
                emptied[kept.receipt] += 1
            else:
                found.lost.append(kept.receipt)
        if kept.bad and kept.receipt in shown:
            found.complaints.append(f"{kept.receipt} should be in quarantine")
        if not kept.bad and kept.receipt in aside:
            found.complaints.append(f"{kept.receipt} was put aside although nothing is wrong with it")
    found.excepted = len(emptied)
    found.doubled = [receipt for receipt, rows in shown.items() if rows > 1 or receipt not in known]
    _check_views(world, sum(shown.values()), found)
    _check_vault(world, [kept.receipt for kept in load.kept.values() if not kept.bad and kept.at > since], found)
    _check_receipts(world, load, emptied, found)
    return found


def _check_views(world: World, reports: int, found: Audit) -> None:
    [row] = world.rows("SELECT sum(reports) AS n FROM region_risk")
    if int(row["n"]) != reports:
        found.complaints.append(f"region_risk counts {row['n']} reports of {reports}")
    [row] = world.rows("SELECT countIf(kind = 'classify_failed') AS n FROM reports")
    if int(row["n"]):
        found.complaints.append(f"{row['n']} reports are not classified")


def _check_vault(world: World, receipts: list[str], found: Audit) -> None:
    sealed = {row["receipt"] for row in world.rows("SELECT DISTINCT receipt FROM salingjaga_vault.submissions")}
    if missing := [receipt for receipt in receipts if receipt not in sealed]:
        found.complaints.append(f"{len(missing)} submissions are not in the vault, for example {missing[0]}")


def _check_receipts(world: World, load: Load, emptied: Counter[str], found: Audit) -> None:
    """Ask for some receipts as a citizen would: the newest, the bad ones, and those that were lost with Redis."""
    newest = list(load.kept.values())[-40:]
    with httpx.Client(base_url=world.embedded.url, trust_env=False, timeout=15) as client:
        for kept in newest:
            stage = client.get(f"/v1/receipts/{kept.receipt}").json().get("stage")
            if stage != ("quarantined" if kept.bad else "archived"):
                found.complaints.append(f"the receipt {kept.receipt} says {stage}")
        for receipt in list(emptied)[-20:]:
            answer = client.get(f"/v1/receipts/{receipt}")
            if answer.status_code != 404 or "send it again" not in answer.text:
                found.complaints.append(f"the receipt {receipt}, lost with Redis, does not say so: {answer.text}")


def memory_mb(pid: int) -> float:
    """Resident memory of a process; 0 when it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * 4096 / 2**20
