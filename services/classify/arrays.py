"""Arrays that hold something of each spelling or hit: tables that grow, lists of numbers, and sets of concepts."""

from collections.abc import Sequence
from itertools import chain
from struct import iter_unpack
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Masks = NDArray[np.uint64]
"""Sets of concepts, one a column; each row holds 64 of the concepts."""
Table = TypeVar("Table", bound=NDArray[Any])


def entered(table: Table, first: int, rows: Sequence[Any] | NDArray[Any]) -> Table:
    """The table with `rows` from its row `first` on; it grows by more than is needed, so seldom."""
    last = first + len(rows)
    if len(table) < last:
        grown = np.zeros((2 * last, *table.shape[1:]), dtype=table.dtype)
        grown[: len(table)] = table
        table = grown  # type: ignore[assignment]
    table[first:last] = rows
    return table


class Lists:
    """A list of numbers for each spelling, all in one array."""

    def __init__(self) -> None:
        self._items = np.zeros(0, dtype=np.int64)
        self._first = np.zeros(0, dtype=np.int64)
        self._lengths = np.zeros(0, dtype=np.int64)
        self._count = 0
        self._count_of_items = 0

    def extend(self, lists: Sequence[Sequence[int]]) -> None:
        """Add the lists of the spellings that come next."""
        lengths = np.array([len(one) for one in lists], dtype=np.int64)
        items = np.fromiter(chain.from_iterable(lists), dtype=np.int64)
        self._items = entered(self._items, self._count_of_items, items)
        self._first = entered(self._first, self._count, self._count_of_items + np.cumsum(lengths) - lengths)
        self._lengths = entered(self._lengths, self._count, lengths)
        self._count += len(lengths)
        self._count_of_items += len(items)

    def of(self, spellings: Numbers) -> tuple[Numbers, Numbers]:
        """The lists of spellings, one after the other: for each item which of the spellings it belongs to, and it."""
        lengths = self._lengths[spellings]
        which = np.repeat(np.arange(len(spellings)), lengths)
        within = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return which, self._items[self._first[spellings][which] + within]


def rows_of(masks: Sequence[int], rows: int) -> Masks:
    """Bit masks as columns of an array."""
    octets = b"".join([mask.to_bytes(8 * rows, "little") for mask in masks])
    return np.frombuffer(octets, dtype="<u8").reshape(len(masks), rows).T


def numbers_of(masks: Masks) -> list[int]:
    """Each of the masks as one number, the opposite of `rows_of`."""
    width = 8 * len(masks)
    from_octets = int.from_bytes
    return [from_octets(octets, "little") for (octets,) in iter_unpack(f"{width}s", masks.T.tobytes())]


def showing(masks: Masks, some: Masks) -> Flags:
    """Which of the masks hold any of the concepts in `some`, a single column or as many as there are masks."""
    shown = masks[0] & some[0]
    for row, of_some in zip(masks[1:], some[1:], strict=True):
        shown |= row & of_some
    found: Flags = shown != 0
    return found


def shown_at(flags: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Rows and columns of what is set in a table of flags, row by row: `numpy.nonzero` in a fraction of the time."""
    rows, columns = np.divmod(np.flatnonzero(flags), flags.shape[1])
    return rows, columns
