"""Standard Webhooks signatures (specification 1.0.0): `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class SignatureError(Exception):
    """The request does not prove who sent it; the message says what to change and never what was expected."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a request claim; not proven yet."""

    message_id: bytes
    timestamp: bytes
    signatures: bytes


def read_claim(headers: Mapping[bytes, bytes], *, now: float, tolerance_seconds: int) -> Claim:
    """Read the three headers.

    Args:
        headers: lower-case names, as ASGI gives them.
        now: seconds since 1970.
        tolerance_seconds: how far the signed time stamp may lie from `now`, before or after.

    Raises:
        SignatureError: a header is missing, or the time stamp is too far off.
    """
    claim = Claim(
        headers.get(b"webhook-id", b""), headers.get(b"webhook-timestamp", b""), headers.get(b"webhook-signature", b"")
    )
    if not (claim.message_id and claim.timestamp and claim.signatures):
        raise SignatureError("Send the headers webhook-id, webhook-timestamp and webhook-signature.")
    if not (claim.timestamp.isdigit() and len(claim.timestamp) <= 12):
        raise SignatureError("webhook-timestamp must be whole seconds since 1970.")
    if abs(now - int(claim.timestamp)) > tolerance_seconds:
        raise SignatureError("webhook-timestamp is too far from the server's clock; sign anew and check your clock.")
    return claim


def verify(claim: Claim, body: bytes, keys: Sequence[bytes]) -> None:
    """Prove a claim.

    Args:
        claim: what the headers say.
        body: the raw bytes, before any parsing.
        keys: keys that are valid now; one of them must have signed.

    Raises:
        SignatureError: no signature fits.
    """
    content = b"%b.%b.%b" % (claim.message_id, claim.timestamp, body)
    expected = [base64.b64encode(hmac.digest(key, content, hashlib.sha256)) for key in keys]
    fits = False
    for offered in claim.signatures.split()[:10]:
        version, _, signature = offered.partition(b",")
        for right in expected:
            # No early end: the time taken must not tell which key or signature came close.
            fits |= version == b"v1" and hmac.compare_digest(signature, right)
    if not fits:
        raise SignatureError("webhook-signature does not fit the body; check the secret and sign the raw bytes.")


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature` for a body."""
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
