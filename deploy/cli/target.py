"""Which system a command talks to: the embedded one of a data folder, or the one the environment describes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import typer
from redis import Redis

from deploy.embedded.data_dir import DataDir, EmbeddedError
from shared.bus.partitions import AGREED_KEY, UNDIVIDED, Partitions
from shared.config.errors import ConfigError
from shared.settings import Settings, get_settings

DataDirOption = Annotated[
    Path, typer.Option("--data-dir", envvar="SALINGJAGA_DATA_DIR", help="Folder of the embedded system.")
]
DEFAULT_DATA_DIR = Path("data")


@dataclass(frozen=True, slots=True)
class Target:
    """Addresses and secrets of a system, for one command."""

    webhook_url: str
    redis_url: str
    partitions: Partitions
    clickhouse_host: str
    clickhouse_port: int
    analyst_user: str
    analyst_password: str
    database: str
    secrets: dict[str, str]

    def secret(self, variable: str) -> str:
        """A source's secret: from the environment, else the embedded system's. Empty when there is none."""
        return os.environ.get(variable) or self.secrets.get(variable, "")


def check_partitions(redis: Redis, partitions: Partitions) -> None:
    """Raise `ConfigError` when Redis is used with another number of partitions: what lies in others would be missed."""
    if words := partitions.disagree(cast(bytes | None, redis.get(AGREED_KEY))):
        raise ConfigError(words)


def find_target(data_dir: Path) -> Target:
    """The embedded system running in `data_dir`; without one, the system in the environment.

    Raises:
        EmbeddedError: no embedded system runs there and the environment names none.
    """
    settings = get_settings()
    folder = DataDir(data_dir)
    try:
        runtime, credentials = folder.runtime(), folder.credentials()
    except EmbeddedError:
        if not any(os.environ.get(f"SALINGJAGA_{name}") for name in ("REDIS_URL", "CLICKHOUSE_HOST", "WEBHOOK_URL")):
            raise
        return _from_environment(settings)
    return Target(
        webhook_url=runtime.webhook_url,
        redis_url=f"redis://:{credentials.redis_password}@127.0.0.1:{runtime.redis_port}/0",
        partitions=UNDIVIDED,
        clickhouse_host="127.0.0.1",
        clickhouse_port=runtime.clickhouse_port,
        analyst_user=credentials.analyst_user,
        analyst_password=credentials.analyst_password,
        database=settings.clickhouse_database,
        secrets=credentials.source_secrets,
    )


def _from_environment(settings: Settings) -> Target:
    return Target(
        webhook_url=os.environ.get("SALINGJAGA_WEBHOOK_URL", f"http://{settings.host}:{settings.port}"),
        redis_url=settings.redis_url.get_secret_value(),
        partitions=Partitions(settings.partitions),
        clickhouse_host=settings.clickhouse_host,
        clickhouse_port=settings.clickhouse_port,
        analyst_user=settings.clickhouse_user,
        analyst_password=settings.clickhouse_password.get_secret_value(),
        database=settings.clickhouse_database,
        secrets={},
    )
