"""Schema migrations: numbered SQL files, each applied once, in order."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from shared.config.errors import ConfigError
from shared.settings import Settings
from shared.warehouse import Warehouse

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name and its statements."""

    number: int
    name: str
    statements: tuple[str, ...]
    checksum: str

    @classmethod
    def read(cls, path: Path) -> "Migration":
        """Read a file such as `0001_reports.sql`; statements end with a semicolon at the end of a line.

        `{vault}` in a statement stands for the vault's database, which the analysts' account does not see.
        """
        text = path.read_text(encoding="utf-8")
        number, _, _ = path.stem.partition("_")
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
        statements = tuple(part.strip() for part in code.split(";\n") if part.strip(" \n;"))
        return cls(int(number), path.stem, statements, hashlib.sha256(text.encode()).hexdigest())


def read_migrations(folder: Path) -> list[Migration]:
    """All migrations in order. Raises `ConfigError` when the folder holds none or a number twice."""
    migrations = sorted((Migration.read(path) for path in folder.glob("[0-9]*.sql")), key=lambda one: one.number)
    if not migrations:
        raise ConfigError(f"{folder}: no migrations found; the installation is incomplete")
    numbers = [migration.number for migration in migrations]
    if len(set(numbers)) != len(numbers):
        raise ConfigError(f"{folder}: two migrations share a number")
    return migrations


async def migrate(settings: Settings, migrations: list[Migration]) -> int:
    """Bring the database up to date; every statement may safely be run twice, so replicas may start together.

    Returns:
        How many migrations were applied.

    Raises:
        ConfigError: a migration that was applied has been changed since.
        DependencyAwayError: ClickHouse does not answer.
    """
    server = Warehouse(settings, database="default")
    try:
        await server.command(f"CREATE DATABASE IF NOT EXISTS {settings.clickhouse_database}")
    finally:
        await server.close()
    warehouse = Warehouse(settings)
    try:
        await warehouse.command(
            "CREATE TABLE IF NOT EXISTS schema_migrations "
            "(number UInt32, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) "
            "ENGINE = ReplacingMergeTree ORDER BY number"
        )
        known = {int(row[0]): row[1] for row in await warehouse.rows("SELECT number, checksum FROM schema_migrations")}
        applied = 0
        for migration in migrations:
            if migration.number in known:
                if known[migration.number] != migration.checksum:
                    raise ConfigError(f"migration {migration.name} was changed after it was applied; add a new one")
                continue
            for statement in migration.statements:
                await warehouse.command(statement.replace("{vault}", settings.vault_database))
            row = {"number": migration.number, "name": migration.name, "checksum": migration.checksum}
            await warehouse.insert_json("schema_migrations", msgspec.json.encode(row), token=migration.name)
            log.info("migration_applied", name=migration.name)
            applied += 1
        return applied
    finally:
        await warehouse.close()
