"""`salingjaga keys`: the master keys that seal submissions."""

import base64
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from deploy.cli.console import err, fail, out
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption
from deploy.cli.vault import ReasonOption, Vault, open_vault, vault_settings
from shared.vault.envelope import CannotOpenError, Opener, WrappedKey
from shared.vault.keys import KEY_BYTES, KeyRing, new_key_id, rotate

app = typer.Typer(help="Master keys: list them, rotate them.", no_args_is_help=True)

PAGE = 1_000


@app.command()
def new() -> None:
    """Print a new master key as it stands in SALINGJAGA_MASTER_KEYS. Keep it where your secrets are, twice."""
    out.print(
        f"{new_key_id(datetime.now(UTC))}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}",
        highlight=False,
        soft_wrap=True,
    )


@app.command("list")
def list_(data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """List master keys, never their values, and how many stored data keys each wraps."""
    with open_vault(data_dir) as vault:
        keys = KeyRing(vault.settings).current
        used = _used(vault)
    table = Table("id", "state", "wraps data keys")
    for id_ in dict.fromkeys((*keys.keys, *used)):
        state = "active" if id_ == keys.active else "kept for reading" if id_ in keys.keys else "MISSING"
        table.add_row(id_, state, str(used.get(id_, 0)))
    out.print(table)
    if missing := sorted(set(used) - set(keys.keys)):
        fail(f"Not in the key ring: {', '.join(missing)}. What they seal cannot be read; put them back from a backup.")


@app.command("rotate")
def rotate_(
    reason: ReasonOption,
    rewrap_only: Annotated[
        bool, typer.Option("--rewrap-only", help="Make no new key; wrap what is stored with the active one.")
    ] = False,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
) -> None:
    """Make a new master key active in the running system, and wrap the stored data keys with it.

    Services take it up within seconds. The old keys stay in the ring: streams and quarantine may still need them.
    """
    settings = vault_settings(data_dir)
    if not settings.key_file and not rewrap_only:
        fail(
            "The keys stand in SALINGJAGA_MASTER_KEYS: put a new one (`salingjaga keys new`) in front there, restart "
            "ingest, then run `salingjaga keys rotate --rewrap-only`."
        )
    with open_vault(data_dir) as vault:
        vault.audit("keys rotate", reason=reason, details="rewrap only" if rewrap_only else "")
        if settings.key_file and not rewrap_only:
            id_ = rotate(Path(settings.key_file), datetime.now(UTC))
            out.print(f"{id_} is active now.", highlight=False)
        done, failed = _rewrap(vault, KeyRing(vault.settings))
    out.print(f"{done} stored data keys wrapped anew.", highlight=False)
    if settings.key_file and not rewrap_only:
        err.print("Back up the key file now: what is sealed from here on cannot be read without it.")
    if failed:
        fail(f"{len(failed)} data keys could not be wrapped anew; the first: {failed[0]}.")


def _used(vault: Vault) -> dict[str, int]:
    sql = f"SELECT master_key_id, count() FROM {vault.database}.data_keys FINAL GROUP BY master_key_id"  # noqa: S608
    return {id_: int(count) for id_, count in vault.rows(sql)}


def _rewrap(vault: Vault, ring: KeyRing) -> tuple[int, list[str]]:
    opener, failed = Opener(ring), []
    active = ring.current.active
    sql = (
        "SELECT data_key_id, master_key_id, wrapped, used_at, version "  # noqa: S608 - names of ours
        f"FROM {vault.database}.data_keys FINAL WHERE master_key_id != {{active:String}}"
    )
    rows = []
    for data_key_id, master_key_id, wrapped, used_at, version in vault.rows(sql, {"active": active}):
        try:
            key = opener.rewrap(WrappedKey(bytes.fromhex(data_key_id), master_key_id, base64.b64decode(wrapped)))
        except CannotOpenError as error:
            failed.append(str(error))
            continue
        value = base64.b64encode(key.wrapped).decode()
        rows.append([data_key_id, key.master_key_id, value, used_at.replace(tzinfo=UTC), int(version) + 1])
    columns = ["data_key_id", "master_key_id", "wrapped", "used_at", "version"]
    for start in range(0, len(rows), PAGE):
        vault.clickhouse.insert("data_keys", rows[start : start + PAGE], columns, database=vault.database)
    return len(rows), failed
