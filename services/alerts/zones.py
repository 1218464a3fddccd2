"""The three times of Indonesia (Keputusan Presiden 41/1987), by region or by name."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WITA = frozenset({"51", "52", "53", "63", "64", "65", "71", "72", "73", "74", "75", "76"})
_WIT = frozenset({"81", "82", "91", "92", "93", "94", "95", "96", "97"})
_PLACES = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}


def zone_of(region_code: str) -> str:
    """`WIB`, `WITA` or `WIT` by the province's code; WIB when the place is unknown."""
    province = region_code[:2]
    return "WITA" if province in _WITA else "WIT" if province in _WIT else "WIB"


def zone_info(name: str) -> ZoneInfo:
    """The zone of `WIB`, `WITA`, `WIT` or a name such as `Asia/Jakarta`. Raises `ValueError` for another."""
    try:
        return ZoneInfo(_PLACES.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; use WIB, WITA or WIT") from None
