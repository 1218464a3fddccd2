"""The signed links of notifications: who may act on which alert, until when.

A link is a bearer token: whoever holds it acts in its officer's name. It is therefore bound to one alert, one officer
and one purpose, it expires, and everything done with it is recorded under that officer. It ends in letters and digits
only, so that no messenger takes a part of it for markup, and it has one length, so that it fits into an SMS.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

PATH = "/a/"
TOKEN_CHARACTERS = 64

_TOKEN = re.compile(rf"[a-z2-7]{{{TOKEN_CHARACTERS}}}")
_ID = slice(1, 17)
_OFFICER = slice(17, 20)
_EXPIRY = slice(20, 24)
_SIGNATURE = slice(24, 40)


class Purpose(StrEnum):
    """What a link is good for; a signature made for one purpose is worth nothing for another."""

    ACT = "act"


_CODES = {Purpose.ACT: b"\x01"}


class LinkRefusedError(Exception):
    """The token was not made by us, was altered, or its officer is not configured any more."""


class LinkExpiredError(Exception):
    """The token is ours, and its time is over."""

    def __init__(self, link: "Link") -> None:
        super().__init__(f"the link expired at {link.expires_at.isoformat()}")
        self.link = link


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says once its signature is proven."""

    alert_id: UUID
    officer_id: str
    purpose: Purpose
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads links.

    Args:
        key: secret of the signature; the same for all replicas. A new key ends all links made before.
        public_url: where officers reach this service, without a slash at its end.
        valid: how long a link is good from its making.
    """

    key: bytes
    public_url: str
    valid: timedelta

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("links need a key")

    def url(self, alert_id: UUID, officer_id: str, now: datetime) -> str:
        """The address that lets this officer act on this alert."""
        return f"{self.public_url}{PATH}{self.token(alert_id, officer_id, now)}"

    def token(self, alert_id: UUID, officer_id: str, now: datetime, purpose: Purpose = Purpose.ACT) -> str:
        """The token alone, 64 characters of `a-z2-7`. Its end is rounded up to the minute."""
        minutes = -int(-(now + self.valid).timestamp() // 60)
        head = _CODES[purpose] + alert_id.bytes + _tag(officer_id) + minutes.to_bytes(4, "big")
        return base64.b32encode(head + self._signature(head, officer_id)).decode().lower()

    def read(self, token: str, officer_ids: Iterable[str], now: datetime, purpose: Purpose = Purpose.ACT) -> Link:
        """What a token says.

        Args:
            token: as it came from outside.
            officer_ids: the officers who may hold one; the token names its officer by a short mark only, and the
                signature over the whole id decides.
            now: the time.
            purpose: what it is presented for.

        Raises:
            LinkRefusedError: altered, cut off, of another purpose or of nobody among `officer_ids`.
            LinkExpiredError: genuine, but too old.
        """
        if not _TOKEN.fullmatch(token):
            raise LinkRefusedError("not a token")
        content = base64.b32decode(token.upper())
        head, signature = content[: _SIGNATURE.start], content[_SIGNATURE]
        if head[:1] != _CODES[purpose]:
            raise LinkRefusedError("made for another purpose")
        for officer_id in officer_ids:
            if _tag(officer_id) == head[_OFFICER] and hmac.compare_digest(self._signature(head, officer_id), signature):
                break
        else:
            raise LinkRefusedError("the signature does not fit")
        expires_at = datetime.fromtimestamp(int.from_bytes(head[_EXPIRY], "big") * 60, UTC)
        link = Link(UUID(bytes=head[_ID]), officer_id, purpose, expires_at)
        if now >= expires_at:
            raise LinkExpiredError(link)
        return link

    def _signature(self, head: bytes, officer_id: str) -> bytes:
        # Half of SHA-256: 128 bits, which nobody guesses online, and 26 characters less in an SMS.
        message = b"salingjaga alert link 1\x00" + head + officer_id.encode()
        return hmac.new(self.key, message, hashlib.sha256).digest()[: _SIGNATURE.stop - _SIGNATURE.start]


def _tag(officer_id: str) -> bytes:
    return hashlib.sha256(officer_id.encode()).digest()[: _OFFICER.stop - _OFFICER.start]
