"""What a function makes of a short string, remembered: most parts of a text have been seen before."""

from collections.abc import Callable
from typing import TypeVar

MOST = 40_000
"""Strings remembered before all are forgotten, so that memory stays flat however many texts come."""
LONGEST = 40
"""Characters; longer strings hardly ever come twice."""

T = TypeVar("T")


class Remembered(dict[str, T]):
    """`remembered[string]` is what `make` returns for the string; it must depend on nothing else."""

    def __init__(self, make: Callable[[str], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, string: str) -> T:
        made = self._make(string)
        if len(string) <= LONGEST:
            if len(self) >= MOST:
                self.clear()
            self[string] = made
        return made
