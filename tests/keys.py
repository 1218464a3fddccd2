"""Master keys for tests."""

import base64

from pydantic import SecretStr

from shared.settings import Settings
from shared.vault.keys import KeyRing

MASTER_KEYS = "uji:" + base64.b64encode(bytes(range(32))).decode()


def a_ring(keys: str = MASTER_KEYS) -> KeyRing:
    """A ring with one key, or with those given."""
    return KeyRing(Settings(master_keys=SecretStr(keys)))
