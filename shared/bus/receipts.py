"""Receipts: how far a submission has come, and whether the same one came before.

A receipt is short enough for a citizen to copy by hand: `SJ-` and sixteen letters and digits in groups of four, the
last of them a check character. It follows from the report's id, so the same report always has the same receipt.
"""

from collections.abc import Sequence
from functools import cache
from operator import mul
from uuid import UUID

from shared.bus.partitions import Partitions
from shared.contracts import ReceiptStage

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U to be misread
_MISREAD = str.maketrans("ILO", "110")
_SHIFTS = range(70, -1, -5)
_WEIGHTS = range(1, 30, 2)


def receipt_of(report_id: UUID) -> str:
    """The receipt of a report, `SJ-XXXX-XXXX-XXXX-XXXC`: 75 bits of the id and a check character."""
    bits = report_id.int >> 53
    values = [(bits >> shift) & 31 for shift in _SHIFTS]
    text = "".join([_ALPHABET[value] for value in values]) + _check_character(values)
    return f"SJ-{text[:4]}-{text[4:8]}-{text[8:12]}-{text[12:]}"


def parse_receipt(text: str) -> str | None:
    """The receipt in its proper form, however it was typed (case, spaces, O for 0); `None` when it cannot be one."""
    symbols = text.strip().upper().removeprefix("SJ").replace("-", "").replace(" ", "").translate(_MISREAD)
    if len(symbols) != 16 or any(symbol not in _ALPHABET for symbol in symbols):
        return None
    if _check_character([_ALPHABET.index(symbol) for symbol in symbols[:15]]) != symbols[15]:
        return None
    return f"SJ-{symbols[:4]}-{symbols[4:8]}-{symbols[8:12]}-{symbols[12:]}"


def _check_character(values: Sequence[int]) -> str:
    # Weights 1, 3, 5... are coprime to 32, so every single wrong character and most swaps of neighbours show.
    return _ALPHABET[sum(map(mul, _WEIGHTS, values)) % 32]


def receipt_key(receipt: str, partitions: Partitions) -> str:
    """The Redis key that holds a receipt's stage and the hash of its content; beside its submission's stream."""
    return receipt_prefix(partitions.of(receipt), partitions) + receipt


@cache
def receipt_prefix(partition: int, partitions: Partitions) -> str:
    """What the keys of a partition's receipts begin with."""
    return partitions.key("receipt:", partition)


def receipt_value(stage: ReceiptStage, content_hash: str) -> str:
    """What stands under `receipt_key`."""
    return f"{stage.value}:{content_hash}"


def read_receipt_value(value: bytes | str) -> ReceiptStage:
    """The stage of a stored receipt."""
    text = value.decode() if isinstance(value, bytes) else value
    return ReceiptStage(text.partition(":")[0])
