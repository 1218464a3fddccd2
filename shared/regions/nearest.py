"""From a point to the regency whose seat lies nearest: a hint where a report names no place, never more.

Boundaries are not known here. A point near one may be given to the neighbour, and a city that lies inside a regency
draws that regency's points around it; docs/channels.md says how often.
"""

from importlib import resources
from math import asin, cos, radians, sin, sqrt

_EARTH_RADIUS_KM = 6371.0
FARTHEST_KM = 200.0
"""Farther from every seat there is sea, or another country."""


class Seats:
    """The seats of all regencies and cities."""

    def __init__(self) -> None:
        lines = resources.files("shared.regions").joinpath("seats.csv").read_text().splitlines()
        rows = [line.split(",") for line in lines if line and not line.startswith("#")]
        self.points = {code: (float(latitude), float(longitude)) for code, latitude, longitude, _ in rows}

    def nearest(self, latitude: float, longitude: float) -> str:
        """The code of the regency with the nearest seat; empty when none lies within `FARTHEST_KM`. In degrees."""
        distance, code = min((_kilometres((latitude, longitude), point), code) for code, point in self.points.items())
        return code if distance <= FARTHEST_KM else ""


def _kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The great-circle distance of two points in degrees."""
    south, west, north, east = map(radians, (*one, *other))
    half = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin((east - west) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * asin(sqrt(half))
