"""The key ring: master keys that wrap data keys. One is active and wraps; the others are kept so that old seals open.

In the embedded system it is a file that only its owner can read and that services follow while they run; in production
a mounted secret of the same form, or an environment variable.
"""

import asyncio
import base64
import binascii
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from shared.config.errors import ConfigError
from shared.config.yaml_file import FOLLOW_SECONDS
from shared.settings import Settings

log = structlog.get_logger()

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """Master keys by their id, in the order of their making, and the id of the active one."""

    active: str
    keys: Mapping[str, bytes]


def new_key_id(now: datetime) -> str:
    """A readable id: the day, and a few characters that tell keys of one day apart."""
    return f"{now:%Y%m%d}-{secrets.token_hex(3)}"


def rotate(path: Path, now: datetime) -> str:
    """Put a new active key into a key file, keeping the old ones; makes the file where there is none.

    Returns:
        The id of the new key.

    Raises:
        ConfigError: the file is there and cannot be used.
    """
    known = dict(read_key_file(path).keys) if path.exists() else {}
    id_ = new_key_id(now)
    known[id_] = secrets.token_bytes(KEY_BYTES)
    write_key_file(path, Keys(id_, known))
    return id_


def write_key_file(path: Path, keys: Keys) -> None:
    """Replace a key file in one step, on disk before it counts; only its owner can read it."""
    document = {"active": keys.active, "keys": {id_: base64.b64encode(key).decode() for id_, key in keys.keys.items()}}
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_key_file(path: Path) -> Keys:
    """The keys in a file. Raises `ConfigError` when it is missing, open to others, or wrong; never quotes a key."""
    try:
        mode, document = path.stat().st_mode, json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: the key file is missing; put it back from your backup. Without it nothing sealed can be read"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: the key file cannot be read ({type(error).__name__}); restore it") from None
    if mode & 0o007:
        raise ConfigError(f"{path}: the key file is open to all users of this machine; run: chmod 600 {path}")
    try:
        keys = {str(id_): _key(str(id_), str(key)) for id_, key in document["keys"].items()}
        active = str(document["active"])
    except (KeyError, TypeError, AttributeError):
        raise ConfigError(f'{path}: expected {{"active": ID, "keys": {{ID: BASE64}}}}') from None
    if active not in keys:
        raise ConfigError(f"{path}: the active key {active} is not among the keys {', '.join(keys) or '(none)'}")
    return Keys(active, keys)


def parse_keys(value: str) -> Keys:
    """Keys as they stand in `SALINGJAGA_MASTER_KEYS`: `ID:BASE64` separated by blanks, the active one first."""
    keys: dict[str, bytes] = {}
    for part in value.split():
        id_, colon, key = part.partition(":")
        if not colon:
            raise ConfigError("SALINGJAGA_MASTER_KEYS: expected ID:BASE64, separated by blanks, the active key first")
        keys[id_] = _key(id_, key)
    if not keys:
        raise ConfigError(
            "No master key: set SALINGJAGA_KEY_FILE or SALINGJAGA_MASTER_KEYS (`salingjaga keys new` makes one; "
            "`salingjaga up` does so by itself)"
        )
    return Keys(next(iter(keys)), keys)


def _key(id_: str, text: str) -> bytes:
    if not 1 <= len(id_.encode()) <= 64:
        raise ConfigError("A master key's id must have 1 to 64 characters")
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ConfigError(f"The master key {id_} is not base64") from None
    if len(key) != KEY_BYTES:
        raise ConfigError(f"The master key {id_} has {len(key)} bytes; {KEY_BYTES} are needed")
    return key


class KeyRing:
    """The keys of this process, as they are now.

    Args:
        settings: where they stand. Raises `ConfigError` when there are none.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.key_file
        self._given = settings.master_keys.get_secret_value()
        self._stamp = self._look()
        self.current = self._read()

    def refresh(self) -> None:
        """Take over what has changed in the key file; a broken one changes nothing."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.current = self._read()
        except ConfigError as error:
            log.error("keys_broken", problem=str(error), kept="the keys that were valid before")
        else:
            log.info("keys_read", active=self.current.active, keys=len(self.current.keys))

    async def follow(self) -> None:
        """Take over every change of the key file; until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            self.refresh()

    def missing(self, id_: str) -> str:
        """What to say of a key that is not here."""
        where = self._path or "SALINGJAGA_MASTER_KEYS"
        return (
            f"sealed under master key {id_}, which is not in the key ring ({where}); put that key back from your "
            "backup, keeping the others"
        )

    def _read(self) -> Keys:
        return read_key_file(self._path) if self._path else parse_keys(self._given)

    def _look(self) -> tuple[int, int, int]:
        if not self._path:
            return (0, 0, 0)
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (status.st_mtime_ns, status.st_size, status.st_ino)
