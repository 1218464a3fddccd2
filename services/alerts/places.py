"""Names of regions, and how many parts each has."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.regions.gazetteer import Gazetteer


@dataclass(frozen=True, slots=True)
class Places:
    """What patterns and baselines must know of Indonesia's regions.

    Attributes:
        names: a code to its name in full, from provinces to districts.
        parts: a code to the number of regencies (of a province) or districts (of a regency) in it.
    """

    names: Mapping[str, str]
    parts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls) -> "Places":
        """All of Indonesia; takes a few tenths of a second."""
        return cls.of(Gazetteer.load().official)

    @classmethod
    def of(cls, names: Mapping[str, str]) -> "Places":
        """These regions."""
        parts = Counter(code.rpartition(".")[0] for code in names if "." in code)
        return cls(dict(names), dict(parts))

    @property
    def regencies(self) -> dict[str, int]:
        """How many regencies each province has, by its code."""
        return {code: parts for code, parts in self.parts.items() if "." not in code}
