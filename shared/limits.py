"""How much a sender may send, and how often a stranger may try."""

import math
from collections import OrderedDict

_BURST_SECONDS = 10
_ADDRESSES_REMEMBERED = 10_000


class RateLimit:
    """A token bucket: `per_minute` on average, bursts of ten seconds' worth."""

    def __init__(self, per_minute: int) -> None:
        self._per_second = per_minute / 60
        self._most = max(1.0, self._per_second * _BURST_SECONDS)
        self._tokens = self._most
        self._at: float | None = None

    def take(self, count: int, now: float) -> int:
        """Take tokens for `count` reports at the moment `now` (seconds of any steady clock).

        A batch larger than the bucket passes when the bucket is not empty, and is paid back by the time that follows.

        Returns:
            0 when it passes, else the seconds after which to try again.
        """
        if self._at is not None:
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens <= 0:
            return max(1, math.ceil(-self._tokens / self._per_second))
        self._tokens -= count
        return 0


class StrangerLimit:
    """Counts failed proofs of identity per address in a window, and bars an address that fails too often."""

    def __init__(self, failures: int = 60, window_seconds: float = 60.0) -> None:
        self._failures = failures
        self._window_seconds = window_seconds
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def barred_for(self, address: str, now: float) -> int:
        """Seconds for which the address is barred; 0 when it may try."""
        since, count = self._seen.get(address, (now, 0))
        left = self._window_seconds - (now - since)
        return math.ceil(left) if count >= self._failures and left > 0 else 0

    def failed(self, address: str, now: float) -> None:
        """Note a failed proof."""
        since, count = self._seen.pop(address, (now, 0))
        self._seen[address] = (now, 1) if now - since > self._window_seconds else (since, count + 1)
        if len(self._seen) > _ADDRESSES_REMEMBERED:
            self._seen.popitem(last=False)
