"""How senders prove who they are: one class for each scheme that `sources.yaml` may name.

Every proof is over the raw bytes, before anything is parsed, and takes the same time whichever key nearly fits.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.ingest.signature import SignatureError, read_claim, verify
from shared.config.errors import ConfigError

LEAST_SECRET_CHARACTERS = 16
_MOST_PARAMETERS = 1_000

Variable = Annotated[str, Field(pattern=r"^SALINGJAGA_[A-Z0-9_]+$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
PublicUrl = Annotated[str, Field(pattern=r"^https?://\S+$")]
Prove = Callable[[bytes], None]
"""Proves a body; raises `SignatureError`."""


@dataclass(slots=True)
class Head:
    """What is known of a request before its body is read."""

    headers: Mapping[bytes, bytes]
    """Lower-case names, as ASGI gives them."""
    query: bytes = b""
    path_secret: str = ""
    """What stands behind the source's name in the path."""


class _Auth(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    secret_env: Annotated[
        tuple[Variable, ...],
        BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
        Field(min_length=1),
    ]
    """The variables with the secrets that are valid now. A variable may hold several, separated by blanks."""

    def keys(self) -> tuple[bytes, ...]:
        """The keys that are valid now: several while one replaces another.

        Raises:
            ConfigError: no variable is set, or a secret is too short to be one.
        """
        secrets = [(name, secret) for name in self.secret_env for secret in os.environ.get(name, "").split()]
        if not secrets:
            names = " or ".join(self.secret_env)
            raise ConfigError(
                f"{names}: the variable with the source's secret is not set (`salingjaga up` makes one for `lapangan` "
                "and `berita`)"
            )
        return tuple(self._key(name, secret) for name, secret in secrets)

    def _key(self, name: str, secret: str) -> bytes:
        if len(secret) < LEAST_SECRET_CHARACTERS:
            raise ConfigError(f"{name}: the secret has {len(secret)} characters; {LEAST_SECRET_CHARACTERS} are needed")
        return secret.encode()

    def begin(self, head: Head, keys: Sequence[bytes], now: float) -> Prove:
        """What the head alone gives away; the rest is proven by what comes back. Raises `SignatureError`."""
        raise NotImplementedError


class StandardWebhooksAuth(_Auth):
    """Signed after the Standard Webhooks specification."""

    scheme: Literal["standard-webhooks"]
    tolerance_seconds: Annotated[int, Field(ge=10, le=3600)] = 300
    """How far a signature's time stamp may lie from now."""

    def _key(self, name: str, secret: str) -> bytes:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise ConfigError(f"{name}: not base64; expected whsec_ and base64 characters") from None
        if len(key) < 24:
            raise ConfigError(f"{name}: the key has {len(key)} bytes; at least 24 are needed")
        return key

    def begin(self, head: Head, keys: Sequence[bytes], now: float) -> Prove:
        """See `_Auth.begin`."""
        claim = read_claim(head.headers, now=now, tolerance_seconds=self.tolerance_seconds)
        return lambda body: verify(claim, body, keys)


class HubSignatureAuth(_Auth):
    """HMAC-SHA256 of the raw body in a header, `sha256=` before it or not: Meta, Typeform, our Google Forms script."""

    scheme: Literal["x-hub-signature-256"]
    header: HeaderName = "x-hub-signature-256"
    encoding: Literal["hex", "base64"] = "hex"
    verify_token_env: Variable | None = None
    """The variable with the token that Meta's GET handshake repeats."""

    def keys(self) -> tuple[bytes, ...]:
        """See `_Auth.keys`."""
        if self.verify_token_env and not os.environ.get(self.verify_token_env, "").strip():
            raise ConfigError(f"{self.verify_token_env}: the variable with the token of the handshake is not set")
        return super().keys()

    def begin(self, head: Head, keys: Sequence[bytes], now: float) -> Prove:  # noqa: ARG002
        """See `_Auth.begin`."""
        offered = _header(head, self.header).removeprefix(b"sha256=")

        def prove(body: bytes) -> None:
            digests = [hmac.digest(key, body, hashlib.sha256) for key in keys]
            encode = base64.b64encode if self.encoding == "base64" else binascii.hexlify
            _must_be_one_of(offered, [encode(digest) for digest in digests], self.header)

        return prove


class _UrlSignatureAuth(_Auth):
    """base64 of an HMAC over the public URL and what the body says."""

    public_url: PublicUrl
    """The URL as it is entered at the sender, to the letter."""
    _signature_header: ClassVar[str]
    _digest: ClassVar[str]

    def begin(self, head: Head, keys: Sequence[bytes], now: float) -> Prove:  # noqa: ARG002
        """See `_Auth.begin`."""
        offered = _header(head, self._signature_header)

        def prove(body: bytes) -> None:
            signed = self.public_url.encode() + self._said(body)
            right = [base64.b64encode(hmac.digest(key, signed, self._digest)) for key in keys]
            _must_be_one_of(offered, right, self._signature_header)

        return prove

    @staticmethod
    def _said(body: bytes) -> bytes:
        return body


class UshahidiAuth(_UrlSignatureAuth):
    """base64 of HMAC-SHA256 over the public URL and the raw body."""

    scheme: Literal["ushahidi"]
    _signature_header: ClassVar[str] = "x-ushahidi-signature"
    _digest: ClassVar[str] = "sha256"


class TwilioAuth(_UrlSignatureAuth):
    """base64 of HMAC-SHA1 over the public URL and all parameters, sorted by name."""

    scheme: Literal["twilio"]
    _signature_header: ClassVar[str] = "x-twilio-signature"
    _digest: ClassVar[str] = "sha1"

    @staticmethod
    def _said(body: bytes) -> bytes:
        return _sorted_parameters(body)


class BasicAuth(_Auth):
    """HTTP Basic; the secret is `user:password`."""

    scheme: Literal["basic"]

    def _key(self, name: str, secret: str) -> bytes:
        if ":" not in secret:
            raise ConfigError(f"{name}: expected user:password")
        return super()._key(name, secret)

    def begin(self, head: Head, keys: Sequence[bytes], now: float) -> Prove:  # noqa: ARG002
        """See `_Auth.begin`."""
        kind, _, credentials = _header(head, "authorization").partition(b" ")
        right = [base64.b64encode(key) for key in keys]
        _must_be_one_of(credentials.strip() if kind.lower() == b"basic" else b"", right, "authorization")
        return _proven


class StaticHeaderAuth(_Auth):
    """The secret itself in a header, for senders that cannot sign."""

    scheme: Literal["static-header"]
    header: HeaderName

    def begin(self, head: Head, keys: Sequence[bytes], now: float) -> Prove:  # noqa: ARG002
        """See `_Auth.begin`."""
        _must_be_one_of(_header(head, self.header), keys, self.header)
        return _proven


class TelegramAuth(_Auth):
    """The secret token that the bot's `setWebhook` was given."""

    scheme: Literal["telegram-secret-token"]

    def begin(self, head: Head, keys: Sequence[bytes], now: float) -> Prove:  # noqa: ARG002
        """See `_Auth.begin`."""
        _must_be_one_of(_header(head, "x-telegram-bot-api-secret-token"), keys, "x-telegram-bot-api-secret-token")
        return _proven


class SecretInUrlAuth(_Auth):
    """The secret in the URL, for senders that can do nothing else: `/v1/reports/NAME/SECRET` or a query parameter."""

    scheme: Literal["secret-in-url"]
    parameter: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    """The query parameter; without it the last part of the path."""

    def begin(self, head: Head, keys: Sequence[bytes], now: float) -> Prove:  # noqa: ARG002
        """See `_Auth.begin`."""
        in_query = dict(_pairs(head.query)) if self.parameter else {}
        offered = in_query.get(self.parameter, "") if self.parameter else head.path_secret
        if not offered:
            raise SignatureError("Send the source's secret in the URL.")
        _must_be_one_of(offered.encode("utf-8", "replace"), keys, "secret in the URL")
        return _proven


Auth = Annotated[
    StandardWebhooksAuth
    | HubSignatureAuth
    | UshahidiAuth
    | TwilioAuth
    | BasicAuth
    | StaticHeaderAuth
    | TelegramAuth
    | SecretInUrlAuth,
    Field(discriminator="scheme"),
]


def same_secret(offered: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether one of the secrets is offered; the time taken does not tell which came close."""
    fits = False
    for secret in secrets:
        fits |= hmac.compare_digest(offered, secret)
    return fits


def _must_be_one_of(offered: bytes, right: Sequence[bytes], name: str) -> None:
    if not same_secret(offered, right):
        raise SignatureError(f"{name} does not fit; check the secret.")


def _header(head: Head, name: str) -> bytes:
    value = head.headers.get(name.lower().encode(), b"")
    if not value:
        raise SignatureError(f"Send the header {name}.")
    return value


def _proven(_: bytes) -> None:
    """The head has proven all there is to prove."""


def _pairs(encoded: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(encoded.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise SignatureError("The parameters are not form-encoded.") from None


def _sorted_parameters(body: bytes) -> bytes:
    values: dict[str, set[str]] = {}
    for name, value in _pairs(body):
        values.setdefault(name, set()).add(value)
    return "".join(name + value for name in sorted(values) for value in sorted(values[name])).encode("utf-8", "replace")
