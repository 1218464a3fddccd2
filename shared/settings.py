"""Addresses, secrets and limits, from the environment (`SALINGJAGA_*`). What people decide stands in YAML instead."""

from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.config.errors import ConfigError

DEPLOY_DIR = Path(__file__).resolve().parents[1] / "deploy"
SHIPPED_DEFAULTS = frozenset({"alerting.yaml", "calendar.yaml", "retention.yaml"})


class Settings(BaseSettings):
    """Everything a service takes from its environment; each field is `SALINGJAGA_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="SALINGJAGA_", extra="ignore")

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """One server, sentinels or a cluster: `shared/bus/connection.py`."""
    partitions: int = Field(1, ge=1, le=256)
    """Partitions of the streams, the same for all services; with a Redis Cluster as many as masters, or a multiple."""
    redis_replicas: int = Field(0, ge=0)
    """Replicas of Redis that must hold a submission before it is answered 202, and in a cluster what it leads to before
    it is acknowledged; 0 when there is a single server."""
    clickhouse_host: str = "127.0.0.1"
    clickhouse_port: int = 8123
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_database: str = Field("salingjaga", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")

    @property
    def vault_database(self) -> str:
        """Where submissions lie sealed, apart from what analysts read."""
        return f"{self.clickhouse_database}_vault"

    key_file: Path | None = None
    """Master keys that seal submissions, as a file that is followed while a service runs; goes before `master_keys`."""
    master_keys: SecretStr = SecretStr("")
    """The same as `ID:BASE64` separated by blanks, the active one first."""

    config_dir: Path = DEPLOY_DIR / "config"
    migrations_dir: Path = DEPLOY_DIR / "clickhouse" / "migrations"
    host: str = "127.0.0.1"
    port: int = 8080
    log_format: str = Field("json", pattern="^(json|console)$")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    sender_key: SecretStr = SecretStr("")
    """Key of the hash by which distinct senders are counted; without it reporters are not told apart."""

    body_limit_bytes: int = Field(1 << 20, ge=1024)
    """Largest single report; a batch may be eight times as large."""
    backlog_high_water: int = Field(200_000, ge=1)
    """Messages waiting in the longest stream above which ingest answers 503."""
    receipt_days: int = Field(7, ge=1)
    """How long a receipt and its duplicate check stay in Redis; after that ClickHouse answers for it."""

    incident_megabytes: int = Field(1024, ge=16)
    """How much of Redis the memory of incidents may take, some 300 bytes for a text of the last one to two weeks."""

    normalise_batch: int = Field(400, ge=1)
    classify_batch: int = Field(400, ge=1)
    archive_batch: int = Field(5_000, ge=1)
    archive_linger_seconds: float = Field(0.3, ge=0)
    alerts_batch: int = Field(500, ge=1)

    claim_idle_seconds: float = Field(15.0, gt=0)
    """A message that a consumer has held for so long without acknowledging is taken over by another."""
    max_deliveries: int = Field(5, ge=2)
    """Times a message may be taken over (its consumers died) before it goes to quarantine."""
    quarantine_limit: int = Field(50, ge=1)
    """Consecutive failures after which a service stops: not the messages are bad then, the service is."""
    quarantine_ratio: float = Field(0.5, gt=0, le=1)
    """Share of failures among the last `quarantine_window` messages above which a service stops for the same reason."""
    quarantine_window: int = Field(1_000, ge=20)

    def config_file(self, name: str) -> Path:
        """Where a configuration file lies: in `config_dir`, or the one that is shipped when that folder has none.

        Only what holds for everybody may be left out (calendar, thresholds). Sources and officers must be there: a
        mistyped name would silently mean that nobody is told.
        """
        own = self.config_dir / name
        if name in SHIPPED_DEFAULTS and not own.exists():
            return DEPLOY_DIR / "config" / name
        return own

    public_url: str = Field("", max_length=60, pattern=r"^(https?://[A-Za-z0-9.:/-]*[A-Za-z0-9])?$")
    """Where officers reach the alert service, without a slash at its end; default its own address. Short enough for an
    SMS to hold a link."""
    alert_link_key: SecretStr = SecretStr("")
    """Secret of the links in notifications, the same for all replicas; without it notifications hold no link."""
    alerts_token: SecretStr = SecretStr("")
    """Bearer token of programs that act on alerts over HTTP; without it only links can."""

    @property
    def alerts_url(self) -> str:
        """`public_url`, or this service's own address."""
        return self.public_url or f"http://{self.host}:{self.port}"

    notification_file: Path | None = None
    """Where notifications are written while no officer is configured (the embedded default)."""


@cache
def get_settings() -> Settings:
    """The settings of this process, read once. Raises `ConfigError` that names each bad variable."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"SALINGJAGA_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise ConfigError("The environment does not fit: " + "; ".join(lines)) from None
