"""From a point to the regency or province it lies in, by the nearest seats: a hint where a report names no place.

Boundaries are not known here. A point near one may be given to the neighbour, so a regency is only named where its
seat lies much nearer than any other; docs/channels.md says how often that is right.
"""

from heapq import nsmallest
from importlib import resources
from math import asin, cos, radians, sin, sqrt

from shared.regions.gazetteer import PROVINCE

_EARTH_RADIUS_KM = 6371.0
FARTHEST_KM = 200.0
"""Farther from every seat there is sea, or another country."""
MUCH_NEARER = 0.5
"""Share of the distance to the second nearest seat below which the nearest decides the regency."""


class Seats:
    """The seats of all regencies and cities."""

    def __init__(self) -> None:
        lines = resources.files("shared.regions").joinpath("seats.csv").read_text().splitlines()
        rows = [line.split(",") for line in lines if line and not line.startswith("#")]
        self.points = {code: (float(latitude), float(longitude)) for code, latitude, longitude, _ in rows}

    def nearest(self, latitude: float, longitude: float) -> str:
        """The code for a point in degrees: a regency, the province where no seat is much the nearest, or empty."""
        here = (latitude, longitude)
        (distance, code), (farther, _) = nsmallest(
            2, ((_kilometres(here, point), code) for code, point in self.points.items())
        )
        if distance > FARTHEST_KM:
            return ""
        return code if distance < MUCH_NEARER * farther else code[:PROVINCE]


def _kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The great-circle distance of two points in degrees."""
    south, west, north, east = map(radians, (*one, *other))
    half = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin((east - west) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * asin(sqrt(half))
