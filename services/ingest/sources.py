"""Who may send reports, in which format, and how each proves who it is (`sources.yaml`)."""

import base64
import binascii
import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.config.errors import ConfigError

SourceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class StandardWebhooksAuth(BaseModel):
    """Signed after the Standard Webhooks specification; the secret stands in the named environment variable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheme: Literal["standard-webhooks"]
    secret_env: Annotated[str, Field(pattern=r"^SALINGJAGA_[A-Z0-9_]+$")]
    tolerance_seconds: Annotated[int, Field(ge=10, le=3600)] = 300
    """How far a signature's time stamp may lie from now."""

    def keys(self) -> tuple[bytes, ...]:
        """The keys that sign; several, separated by blanks, while one replaces another.

        Raises:
            ConfigError: the variable is missing or holds no base64 key of at least 24 bytes.
        """
        value = os.environ.get(self.secret_env, "")
        keys = []
        for secret in value.split():
            try:
                key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            except binascii.Error:
                raise ConfigError(f"{self.secret_env}: not base64; expected whsec_ and base64 characters") from None
            if len(key) < 24:
                raise ConfigError(f"{self.secret_env}: the key has {len(key)} bytes; at least 24 are needed")
            keys.append(key)
        if not keys:
            raise ConfigError(
                f"{self.secret_env}: the variable with the source's secret is not set (`salingjaga up` makes one)"
            )
        return tuple(keys)


class Source(BaseModel):
    """One sender."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adapter: Literal["json", "article"]
    auth: StandardWebhooksAuth
    rate_per_minute: Annotated[int, Field(ge=1)] | None = None
    """Reports a minute that this source may send; without it there is no limit."""


class Sources(BaseModel):
    """The content of `sources.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: dict[SourceName, Source]

    def check_secrets(self) -> None:
        """Raise `ConfigError` naming every source whose secret is missing or unusable."""
        problems = []
        for name, source in self.sources.items():
            try:
                source.auth.keys()
            except ConfigError as error:
                problems.append(f"source {name}: {error}")
        if problems:
            raise ConfigError("\n".join(problems))
