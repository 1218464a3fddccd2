"""The envelope: a submission's bytes under a data key, and beside them that data key under a master key.

Every writer makes data keys of its own, one an hour, and wraps each with the active master key: sealing a submission
then costs one AES-GCM and no look-up. The wrapped key travels along, so an entry of a stream or of the quarantine opens
by itself; the archive takes the two apart, so that a rotation wraps some data keys anew and rewrites no body.

An envelope reads: version (1 byte), length of the master key's id (1), that id, the data key's id (16), the wrapped
data key (60: nonce, key, tag), nonce (12), the sealed bytes with their tag.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.vault.keys import KEY_BYTES, KeyRing

DATA_KEY_SECONDS = 3_600
_VERSION = 1
_ID_BYTES = 16
_NONCE_BYTES = 12
_WRAPPED_BYTES = _NONCE_BYTES + KEY_BYTES + 16
_OPENED_REMEMBERED = 500


class CannotOpenError(Exception):
    """What is sealed cannot be opened; the words say why and what to do, and quote nothing of it."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored: under which master key, and wrapped by it."""

    id: bytes
    master_key_id: str
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed body and its wrapped data key. `sealed` is nonce, ciphertext and tag."""

    key: WrappedKey
    sealed: bytes

    @classmethod
    def read(cls, raw: bytes) -> "Envelope":
        """Take an envelope apart. Raises `CannotOpenError` when the bytes are none."""
        id_length = raw[1] if len(raw) > 1 and raw[0] == _VERSION else 0
        wrapped_at = 2 + id_length + _ID_BYTES
        sealed_at = wrapped_at + _WRAPPED_BYTES
        if not id_length or len(raw) < sealed_at + _NONCE_BYTES + 16:
            raise CannotOpenError("not sealed: the bytes are no envelope")
        master = raw[2 : 2 + id_length].decode("utf-8", "replace")
        key = WrappedKey(raw[2 + id_length : wrapped_at], master, raw[wrapped_at:sealed_at])
        return cls(key, raw[sealed_at:])

    def to_bytes(self) -> bytes:
        """The envelope as it travels."""
        return _head(self.key) + self.sealed


def binding_of(receipt: str, source: str) -> bytes:
    """What a body is bound to: moved under another receipt or source it no longer opens."""
    return f"{receipt}\x1f{source}".encode()


class Sealer:
    """Seals bodies.

    Args:
        ring: its active key wraps the data keys.
        clock: seconds of a steady clock.
    """

    def __init__(self, ring: KeyRing, clock: Callable[[], float] = time.monotonic) -> None:
        self._ring = ring
        self._clock = clock
        self._master = ""
        self._until = 0.0
        self._head = b""
        self._cipher = AESGCM(bytes(KEY_BYTES))

    def seal(self, body: bytes, binding: bytes) -> bytes:
        """The envelope of a body, bound to `binding`."""
        if self._master != self._ring.current.active or self._clock() >= self._until:
            self._take_new_key()
        nonce = os.urandom(_NONCE_BYTES)
        return b"".join((self._head, nonce, self._cipher.encrypt(nonce, body, binding)))

    def _take_new_key(self) -> None:
        keys = self._ring.current
        key, id_ = AESGCM.generate_key(KEY_BYTES * 8), os.urandom(_ID_BYTES)
        self._head = _head(_wrap(id_, key, keys.active, keys.keys[keys.active]))
        self._cipher = AESGCM(key)
        self._master, self._until = keys.active, self._clock() + DATA_KEY_SECONDS


class Opener:
    """Opens envelopes with whatever master keys the ring has."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._opened: dict[bytes, AESGCM] = {}

    def open(self, envelope: Envelope, binding: bytes) -> bytes:
        """The body. Raises `CannotOpenError`: the key is missing, or the bytes are not what was sealed there."""
        cipher = self._opened.get(envelope.key.id) or self._cipher(envelope.key)
        sealed = envelope.sealed
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], binding)
        except InvalidTag:
            raise CannotOpenError("does not open: altered, or not of this receipt and source") from None

    def rewrap(self, key: WrappedKey) -> WrappedKey:
        """The same data key under the active master key. Raises `CannotOpenError`."""
        keys = self._ring.current
        return _wrap(key.id, self._unwrap(key), keys.active, keys.keys[keys.active])

    def _cipher(self, key: WrappedKey) -> AESGCM:
        cipher = AESGCM(self._unwrap(key))
        if len(self._opened) >= _OPENED_REMEMBERED:
            del self._opened[next(iter(self._opened))]
        self._opened[key.id] = cipher
        return cipher

    def _unwrap(self, key: WrappedKey) -> bytes:
        if key.master_key_id not in self._ring.current.keys:
            self._ring.refresh()  # whoever sealed it may have seen a rotation a moment earlier
        master = self._ring.current.keys.get(key.master_key_id)
        if master is None:
            raise CannotOpenError(self._ring.missing(key.master_key_id))
        nonce, wrapped = key.wrapped[:_NONCE_BYTES], key.wrapped[_NONCE_BYTES:]
        try:
            return AESGCM(master).decrypt(nonce, wrapped, key.master_key_id.encode() + key.id)
        except InvalidTag:
            raise CannotOpenError(
                f"the data key does not open: altered, or the key now called {key.master_key_id} is another one"
            ) from None


def _wrap(id_: bytes, key: bytes, master_id: str, master: bytes) -> WrappedKey:
    nonce = os.urandom(_NONCE_BYTES)
    return WrappedKey(id_, master_id, nonce + AESGCM(master).encrypt(nonce, key, master_id.encode() + id_))


def _head(key: WrappedKey) -> bytes:
    master = key.master_key_id.encode()
    return bytes((_VERSION, len(master))) + master + key.id + key.wrapped
