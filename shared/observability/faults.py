"""Unexpected errors in words that quote nothing: their own may hold a piece of the text that was being handled."""

import traceback
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_FRAMES = 4


def describe_fault(error: BaseException) -> str:
    """Type of an error and the places it came through, innermost last: `ValueError at services/ingest/mask.py:41 read`.

    The error's own words and its causes' are left out.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    return " at ".join((type(error).__name__, " > ".join(places))) if places else type(error).__name__


def _short(filename: str) -> str:
    path = Path(filename)
    if path.is_relative_to(_ROOT):
        return str(path.relative_to(_ROOT))
    return "/".join(path.parts[-2:])
