"""Who may connect, and as what."""

import base64
import binascii
import hmac
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from deploy.embedded.clickhouse.errors import ClickHouseError, StartError


class Access(StrEnum):
    """What an account may do."""

    FULL = "full"
    READ_ONLY = "read_only"


class Account(BaseModel):
    """One user of the database.

    `database` is where the statements of a read-only account run, and all that it sees. A full account starts in
    `default` like any user of ClickHouse, and goes where it likes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    user: Annotated[str, Field(min_length=1)]
    password: Annotated[SecretStr, Field(min_length=1)]
    access: Access
    database: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "salingjaga"


class Accounts(BaseModel):
    """All accounts of the server."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    accounts: Annotated[tuple[Account, ...], Field(min_length=1)]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The accounts in a JSON file. Raises `StartError` when it is missing, open to others, or wrong."""
        try:
            mode = path.stat().st_mode
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"The credentials file {path} cannot be read: {error}.") from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise StartError(f"The credentials file {path} is open to other users; run: chmod 600 {path}")
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise StartError(f"The credentials file {path} is wrong at {where}: {first['msg']}.") from error

    def authenticate(self, headers: Mapping[str, str], params: Mapping[str, str]) -> Account:
        """The account that a request names by ClickHouse's headers, basic authentication or URL parameters.

        Raises:
            ClickHouseError: 516, when there is no such user or the password is another.
        """
        user, password = _claimed(headers, params)
        known = next((account for account in self.accounts if account.user == user), None)
        expected = known.password.get_secret_value() if known else "\0"
        if not hmac.compare_digest(expected.encode(), password.encode()) or known is None:
            raise ClickHouseError(
                516,
                "AUTHENTICATION_FAILED",
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name.",
            )
        return known


def _claimed(headers: Mapping[str, str], params: Mapping[str, str]) -> tuple[str, str]:
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", "")
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "default", ""
        return user, password
    return params.get("user", "default"), params.get("password", "")
