"""Taking values out of what somebody else wrote, whatever it turned out to be."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from services.ingest.adapters.base import NotUnderstoodError
from shared.contracts import Attachment

WIB = timezone(timedelta(hours=7))
EARLIEST_YEAR = 2000
MOST_PARAMETERS = 300
MOST_ATTACHMENTS = 50
LINK_LIMIT_CHARACTERS = 2_000

_MOST = 10**18
_SOUTH, _NORTH, _WEST, _EAST = -11.5, 6.5, 94.5, 141.5
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:$|[T ])")
_DAY_FIRST = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ ,T]+(\d{1,2})[:.](\d\d)(?:[:.](\d\d))?)?\Z", re.ASCII)
_FILE_ID = re.compile(r"[A-Za-z0-9_=.-]{1,300}")
_POINT = re.compile(r"(-?\d{1,3}\.\d+)[ ,]+(-?\d{1,3}\.\d+)(?:[ ,]+-?\d+(?:\.\d+)?){0,2}\Z", re.ASCII)


def decode(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises `NotUnderstoodError` when there is none."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotUnderstoodError("The body is not JSON", broken=True) from None
    if not isinstance(content, dict):
        raise NotUnderstoodError("The body is not a JSON object")
    return content


def parameters(body: bytes) -> dict[str, str]:
    """Form-encoded parameters. Raises `NotUnderstoodError` when there are none, or too many to be a report."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        pairs = []
    if not pairs:
        raise NotUnderstoodError("The body is not form-encoded", broken=True)
    return dict(pairs)


def at(value: object, *path: str | int) -> object:
    """What lies at a path of keys and positions; `None` when nothing does."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def words(value: object) -> str:
    """A string or a number of sane size as text, without blanks around it; anything else is empty."""
    if isinstance(value, str):
        return value.strip()
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST
    return str(value) if number else ""


def items(value: object) -> list[Any]:
    """A list as it is; anything else is an empty one."""
    return value if isinstance(value, list) else []


def moment(text: str, zone: tzinfo = WIB) -> datetime | None:
    """A time in ISO 8601 or as day/month/year [hour:minute[:second]]; in `zone` where it names none.

    Month/day/year is never guessed: what cannot be day first is `None`.
    """
    text = text.strip()
    try:
        if _ISO.match(text):
            found = datetime.fromisoformat(text)
        elif day_first := _DAY_FIRST.match(text):
            day, month, year, hour, minute, second = (int(part or 0) for part in day_first.groups())
            found = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        else:
            return None
    except ValueError:
        return None
    return _plausible(found if found.tzinfo else found.replace(tzinfo=zone))


def since_1970(value: object) -> datetime | None:
    """The moment that many seconds after 1970; `None` for what is no plausible number of seconds."""
    text = words(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        return None
    return _plausible(datetime.fromtimestamp(int(text), UTC))


def _plausible(found: datetime) -> datetime | None:
    return found if EARLIEST_YEAR <= found.year <= datetime.now(UTC).year + 1 else None


def coordinates(latitude: object, longitude: object) -> tuple[float, float] | None:
    """A point within Indonesia in degrees; `None` for anything else, 0,0 of a phone without a fix among it."""
    try:
        north, east = float(words(latitude)), float(words(longitude))
    except ValueError:
        return None
    return (north, east) if _SOUTH <= north <= _NORTH and _WEST <= east <= _EAST else None


def point(text: str) -> tuple[float, float] | None:
    """A point as forms write it: `latitude longitude [altitude [accuracy]]`."""
    found = _POINT.match(text.strip())
    return coordinates(*found.groups()) if found else None


def link(url: object, media_type: object = "") -> tuple[Attachment, ...]:
    """The reference to an attachment as a tuple of one; empty when it is no web address. It is never fetched."""
    address = words(url)
    if not address.startswith(("https://", "http://")) or len(address) > LINK_LIMIT_CHARACTERS:
        return ()
    return (Attachment(url=address, type=words(media_type)[:100]),)


def stored(where: str, id_: object, media_type: object = "", sha256: object = "") -> tuple[Attachment, ...]:
    """The reference to a file that lies with the channel, `where:id`, as a tuple of one; empty when the id is none."""
    name = words(id_)
    if not _FILE_ID.fullmatch(name):
        return ()
    return (Attachment(url=f"{where}:{name}", type=words(media_type)[:100], sha256=words(sha256)[:100]),)


def without_caption(attachments: tuple[Attachment, ...]) -> str:
    """The text of a report that is nothing but attachments; empty when there are none."""
    kinds = sorted({one.type.partition("/")[0] or "berkas" for one in attachments})
    return f"(Lampiran tanpa keterangan: {', '.join(kinds)})" if kinds else ""
