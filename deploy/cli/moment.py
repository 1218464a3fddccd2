"""How a moment is written on the command line."""

import re
from datetime import UTC, datetime, timedelta

from deploy.cli.console import fail

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def moment(words: str, now: datetime) -> datetime:
    """`7d` or `36h` ago, or a date or time (UTC where no zone is named). Leaves the program when it is neither."""
    if span := _SPAN.fullmatch(words.strip()):
        return now - timedelta(**{_UNITS[span[2]]: float(span[1])})
    try:
        at = datetime.fromisoformat(words.strip())
    except ValueError:
        fail(f"{words!r} is no time: write 7d, 36h, 2024-11-20 or 2024-11-20T06:00+07:00")
    return at if at.tzinfo else at.replace(tzinfo=UTC)
