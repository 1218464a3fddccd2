"""`salingjaga forget`: remove a reporter everywhere, and show that nothing is left."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import typer
from msgspec.structs import replace
from redis import Redis
from rich.table import Table

from deploy.cli.console import err, fail, out
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption
from deploy.cli.vault import ReasonOption, ReceiptArgument, Vault, checked_receipt, open_vault
from services.ingest.asking import CONVERSATIONS
from shared.bus.connection import connect, nodes_of
from shared.bus.message import Message
from shared.bus.partitions import Partitions
from shared.bus.quarantine import read_quarantine
from shared.bus.streams import ASSESSMENTS, QUARANTINE, REPORTS, SUBMISSIONS, Stream

PAGE = 1_000
REWRITE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Place:
    """One place that may hold something of a reporter: how to count it there, and how to remove it."""

    name: str
    count: Callable[[], int]
    remove: Callable[[], object]


def forget(
    receipt: ReceiptArgument,
    reason: ReasonOption,
    only_this: Annotated[
        bool, typer.Option("--only-this", help="Leave what the same reporter sent in other reports.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Remove who reported, and the original words, wherever the system holds them; the masked report stays."""
    receipt = checked_receipt(receipt)
    with open_vault(data_dir) as vault:
        own = _receipts_of_report(vault, receipt)
        senders = _senders(vault, own)
        sent = _receipts_of(vault, senders)
        receipts = own if only_this else own | sent
        conversations = senders
        senders = set() if only_this and sent - own else senders
        _check_settled(vault.redis, receipts, vault.partitions)
        if not yes:
            typer.confirm(f"Forget who sent {len(receipts)} report(s), for good?", abort=True, err=True)
        for one in sorted(receipts):
            # Each by itself: that one person sent them all is forgotten as well.
            vault.audit("forget", receipt=one, reason=reason)
        places = _places(vault, sorted(receipts), senders, conversations)
        before = [place.count() for place in places]
        for place in places:
            place.remove()
        with err.status("Rewriting Redis' file ..."):
            rewritten = _rewrite_files(vault.redis)
        left = [place.count() for place in places]
    table = Table("where", "found", "left")
    for place, found, rest in zip(places, before, left, strict=True):
        table.add_row(place.name, str(found), str(rest))
    table.add_row("Redis' append-only file", "-", "rewritten" if rewritten else "not rewritten yet")
    out.print(table)
    if any(left):
        fail("Something is left; run the command again.")
    if not rewritten:
        fail("Redis has not rewritten its file yet; what was removed lies sealed in it until then. Run again later.")
    out.print("Nothing is left of who reported. Backups are not reached: see docs/privacy.md.", highlight=False)


def _receipts_of_report(vault: Vault, receipt: str) -> set[str]:
    """The receipt, and those of all messages that were joined with it into one report."""
    return {receipt, *(one for receipts in vault.joined_reports([receipt]).values() for one in receipts)}


def _senders(vault: Vault, receipts: Collection[str]) -> set[str]:
    sql = (
        f"SELECT DISTINCT sender FROM {_reports(vault)} "  # noqa: S608 - names of ours
        "WHERE receipt IN {receipts:Array(String)} AND sender != ''"
    )
    return {str(row[0]) for row in vault.rows(sql, {"receipts": list(receipts)})}


def _receipts_of(vault: Vault, senders: Collection[str]) -> set[str]:
    if not senders:
        return set()
    sql = (
        "SELECT DISTINCT arrayJoin(arrayConcat([receipt], parts)) "  # noqa: S608 - names of ours
        f"FROM {_reports(vault)} WHERE sender IN {{senders:Array(String)}}"
    )
    return {str(row[0]) for row in vault.rows(sql, {"senders": list(senders)})}


def _reports(vault: Vault) -> str:
    return f"{vault.settings.clickhouse_database}.report_rows"


def _streams(partitions: Partitions) -> list[Stream]:
    """The streams that a report lies in on its way."""
    return [part for stream in (SUBMISSIONS, REPORTS, ASSESSMENTS) for part in stream.parts(partitions)]


def _check_settled(redis: Redis, receipts: Collection[str], partitions: Partitions) -> None:
    """Leave when a report is still on its way: removed now, it would be lost, and it must stay."""
    for stream in _streams(partitions):
        ids = set(_entries(redis, stream, receipts))
        groups: Any = redis.xinfo_groups(stream.name) if ids else []
        for group in groups:
            seen = _order(group["last-delivered-id"])
            pending: Any = (
                redis.xpending_range(stream.name, group["name"], "-", "+", 100_000) if group["pending"] else []
            )
            if ids & {entry["message_id"] for entry in pending} or any(_order(id_) > seen for id_ in ids):
                fail("A report of this reporter is still being processed; try again in a minute.")


def _places(vault: Vault, receipts: list[str], senders: Collection[str], conversations: Collection[str]) -> list[Place]:
    """Where something of them may lie: of `receipts`, of `senders`, and of the conversations of whom."""
    redis, named = vault.redis, {"receipts": receipts, "senders": list(senders)}
    submissions, reports = f"{vault.database}.submissions", _reports(vault)

    def rows(table: str, where: str) -> Callable[[], int]:
        return lambda: vault.count(table, where, named)

    def run(sql: str) -> Callable[[], object]:
        return lambda: vault.clickhouse.command(sql, parameters=named, settings={"mutations_sync": 2})

    mine = "receipt IN {receipts:Array(String)}"
    hashed = f"sender != '' AND ({mine} OR sender IN {{senders:Array(String)}})"
    places = [
        Place(
            f"ClickHouse {submissions}",
            rows(submissions, mine),
            run(f"ALTER TABLE {submissions} DELETE WHERE {mine}"),
        )
    ]
    places += [_in_stream(redis, stream, receipts) for stream in _streams(vault.partitions)]
    places += [
        Place(
            f"Redis {QUARANTINE.name}",
            lambda: len(_quarantined(redis, receipts)),
            lambda: _delete(redis, QUARANTINE, _quarantined(redis, receipts)),
        ),
        Place(
            "Redis alerts, hash of the sender",
            lambda: asyncio.run(_cases(vault, senders, remove=False)),
            lambda: asyncio.run(_cases(vault, senders, remove=True)),
        ),
        Place(
            "Redis patterns over regions, hash of the sender",
            lambda: asyncio.run(_patterns(vault, senders, remove=False)),
            lambda: asyncio.run(_patterns(vault, senders, remove=True)),
        ),
        Place(
            "Redis keys by sender",
            lambda: len(_keys(redis, senders)),
            lambda: _unlink(redis, _keys(redis, senders)),
        ),
        Place(
            "Redis conversations",
            lambda: len(_keys(redis, conversations, CONVERSATIONS)),
            lambda: _unlink(redis, _keys(redis, conversations, CONVERSATIONS)),
        ),
        # Last: by it the other places are found, should this be interrupted and started again.
        Place(
            f"ClickHouse {reports}, hash of the sender",
            rows(reports, hashed),
            run(f"ALTER TABLE {reports} UPDATE sender = '' WHERE {hashed}"),
        ),
    ]
    return places


# Redis


def _in_stream(redis: Redis, stream: Stream, receipts: Collection[str]) -> Place:
    return Place(
        f"Redis {stream.name}",
        lambda: len(_entries(redis, stream, receipts)),
        lambda: _delete(redis, stream, _entries(redis, stream, receipts)),
    )


def _entries(redis: Redis, stream: Stream, receipts: Collection[str]) -> list[bytes]:
    found: list[bytes] = []
    last = "-"
    while True:
        page = cast(list[tuple[bytes, dict[bytes, bytes]]], redis.xrange(stream.name, min=last, count=PAGE))
        found += [id_ for id_, fields in page if not {*Message(id_, fields).receipts}.isdisjoint(receipts)]
        if len(page) < PAGE:
            return found
        last = "(" + page[-1][0].decode()


def _quarantined(redis: Redis, receipts: Collection[str]) -> list[bytes]:
    return [one.id.encode() for one in read_quarantine(redis) if not {*one.receipts}.isdisjoint(receipts)]


def _delete(redis: Redis, stream: Stream, ids: list[bytes]) -> None:
    if ids:
        redis.xdel(stream.name, *ids)


def _keys(redis: Redis, senders: Collection[str], prefix: str = "") -> list[bytes]:
    return [key for sender in senders for key in redis.scan_iter(match=f"{prefix}*{sender}*", count=PAGE)]


def _unlink(redis: Redis, keys: list[bytes]) -> None:
    if keys:
        redis.unlink(*keys)


async def _cases(vault: Vault, senders: Collection[str], *, remove: bool) -> int:
    """How many sightings of alerts name a sender; they stay without it, so that no count of reports changes."""
    from services.alerts.case import Case
    from services.alerts.store import CASES, CaseStore, Change

    def without(case: Case | None) -> Change | None:
        if case is None or not any(sighting.sender in senders for sighting in case.sightings):
            return None
        kept = (replace(one, sender="") if one.sender in senders else one for one in case.sightings)
        return Change(replace(case, sightings=tuple(kept)))

    async with connect(vault.settings.redis_url.get_secret_value(), CASES) as redis:
        store = CaseStore(redis)
        keys = [key.decode() async for key in redis.scan_iter(match=CASES, count=PAGE)]
        if remove:
            await store.update(dict.fromkeys(keys, without))
        cases = [case for case in await store.cases(keys) if case]
        return sum(sighting.sender in senders for case in cases for sighting in case.sightings)


async def _patterns(vault: Vault, senders: Collection[str], *, remove: bool) -> int:
    from services.alerts.ledger import Ledger
    from services.alerts.store import PREFIX

    async with connect(vault.settings.redis_url.get_secret_value(), PREFIX) as redis:
        return await Ledger(redis).forget_senders(senders, remove=remove)


def _rewrite_files(redis: Redis) -> bool:
    """Have Redis (in a cluster, every node) write its file anew, without what was removed. Returns whether all have."""
    return all(_rewrite_file(node) for node in nodes_of(redis))


def _rewrite_file(redis: Redis) -> bool:
    if not redis.info("persistence").get("aof_enabled"):
        return True
    started = datetime.now(UTC)
    redis.bgrewriteaof()
    while (datetime.now(UTC) - started).total_seconds() < REWRITE_SECONDS:
        state = redis.info("persistence")
        if not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]:
            return bool(state["aof_last_bgrewrite_status"] == "ok")
        time.sleep(0.1)
    return False


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence)
