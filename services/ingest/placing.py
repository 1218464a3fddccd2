"""Where a report belongs when its text alone does not say: coordinates, and the region a number or form stands for."""

from shared.contracts import Region
from shared.regions import RegionResolver

FROM_COORDINATES = "wilayah dari koordinat, perlu dipastikan"
FROM_PRIOR = "wilayah dari nomor atau formulir penerima"
PRIOR_CONFIDENCE = 0.5


def place(
    told: Region | None, resolver: RegionResolver, *, coordinates: tuple[float, float] | None, prior: str
) -> tuple[Region | None, tuple[str, ...]]:
    """The region of a report, and what an officer should know about how it was found.

    The words of a report win over its coordinates, which tell where a phone was, and both over the prior; a
    contradiction is told and never settled silently.

    Args:
        told: the region that text and sender name.
        resolver: knows the regions.
        coordinates: latitude and longitude in degrees.
        prior: code of the region the receiving number or form stands for; may be empty.
    """
    notes: list[str] = []
    region = told
    near = resolver.nearest(*coordinates) if coordinates else None
    if near:
        if region is None or (region.level == "province" and near.code.startswith(f"{region.code}.")):
            region = near
            notes.append(FROM_COORDINATES)
        elif near.province_code != region.province_code:
            notes.append(f"koordinat menunjuk {near.name}, teks menyebut {region.name}")
    expected = resolver.by_code(prior) if prior else None
    if expected:
        if region is None or (region.level == "province" and expected.code.startswith(f"{region.code}.")):
            region = expected.model_copy(update={"confidence": PRIOR_CONFIDENCE})
            notes.append(FROM_PRIOR)
        elif not region.code.startswith(expected.code):
            notes.append(f"nomor atau formulir penerima adalah milik {expected.name}, laporan menyebut {region.name}")
    return region, tuple(notes)
