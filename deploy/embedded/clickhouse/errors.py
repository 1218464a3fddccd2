"""Errors as ClickHouse numbers and names them, and the HTTP status that its server gives each."""

import re
from typing import Self


class StartError(Exception):
    """The server cannot start. Its text is one plain sentence for the person who started it."""


class ClickHouseError(Exception):
    """An error with ClickHouse's number and name, as a client expects it.

    Args:
        code: ClickHouse's error number, for example 60.
        name: its symbolic name, for example `UNKNOWN_TABLE`.
        message: what happened, without number and name.
    """

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.message = message

    @classmethod
    def from_engine(cls, text: str) -> Self:
        """The error that the engine wrote as text; what has no number becomes 1002 `UNKNOWN_EXCEPTION`."""
        found = _ENGINE_ERROR.search(text)
        if not found:
            return cls(1002, "UNKNOWN_EXCEPTION", text.strip() or "the engine gave no reason")
        message = _VERSION.sub("", found["message"]).strip()
        name = "UNKNOWN_EXCEPTION"
        if named := _NAME_AT_END.search(message):
            name = named["name"]
            message = message[: named.start()].strip()
        return cls(int(found["code"]), name, message)

    @property
    def status(self) -> int:
        """The HTTP status of ClickHouse's server for this error."""
        return _STATUS.get(self.code, 500)

    def body(self, version: str) -> bytes:
        """The error as the body of an answer, in the words and order of ClickHouse's server."""
        return f"Code: {self.code}. DB::Exception: {self.message} ({self.name}) (version {version})\n".encode()


_ENGINE_ERROR = re.compile(r"Code: (?P<code>\d+)\. DB::\w*Exception: (?P<message>.*)", re.DOTALL)
_NAME_AT_END = re.compile(r"\s*\((?P<name>[A-Z][A-Z0-9_]+)\)\s*$")
_VERSION = re.compile(r"\s*\(version [^()]*(?:\([^()]*\))?\)\.?")

_BAD_REQUEST = (
    6,
    8,
    15,
    25,
    26,
    27,
    36,
    37,
    38,
    41,
    44,
    53,
    62,
    72,
    117,
    123,
    167,
    168,
    223,
    321,
    376,
    427,
    441,
    675,
    676,
)
_FORBIDDEN = (192, 193, 497, 512, 516)
_NOT_FOUND = (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511)
_UNAVAILABLE = (76, 202, 209, 439)
_STATUS: dict[int, int] = (
    dict.fromkeys(_BAD_REQUEST, 400)
    | dict.fromkeys(_FORBIDDEN, 403)
    | dict.fromkeys(_NOT_FOUND, 404)
    | dict.fromkeys(_UNAVAILABLE, 503)
    | {48: 501, 159: 408, 194: 401, 229: 413, 381: 411, 779: 415}
)


def syntax(message: str) -> ClickHouseError:
    """A statement that cannot be read."""
    return ClickHouseError(62, "SYNTAX_ERROR", message)


def denied(message: str) -> ClickHouseError:
    """Something that this account may not do."""
    return ClickHouseError(497, "ACCESS_DENIED", message)


def bad_argument(message: str) -> ClickHouseError:
    """A request that makes no sense."""
    return ClickHouseError(36, "BAD_ARGUMENTS", message)


def not_implemented(message: str) -> ClickHouseError:
    """What a ClickHouse server can do and the embedded one cannot."""
    return ClickHouseError(48, "NOT_IMPLEMENTED", message)


def too_busy(message: str) -> ClickHouseError:
    """More work at once than this server takes."""
    return ClickHouseError(202, "TOO_MANY_SIMULTANEOUS_QUERIES", message)
