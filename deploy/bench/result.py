"""What a benchmark says: figures beside their baselines, and how the time was spent."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class BenchError(Exception):
    """A figure that would not be worth showing: something failed or did not arrive while it was measured."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of ours beside the baseline's of the same run.

    Attributes:
        part: `webhook`, `pipeline` or `classifier`.
        measure: what was measured, with its unit.
        ours, baseline: the figures.
        against: what the baseline is.
        least_ratio, least, most: what is aimed at, as far as the design names it: for the ratio, or for ours.
    """

    part: str
    measure: str
    ours: float
    baseline: float
    against: str
    least_ratio: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def ratio(self) -> float:
        """Ours divided by the baseline's."""
        return self.ours / self.baseline

    @property
    def aim(self) -> str:
        """The aim in words; empty without one."""
        words = []
        if self.least_ratio is not None:
            words.append(f"{self.least_ratio:g} x or more")
        if self.least is not None:
            words.append(f"{self.least:,g} or more")
        if self.most is not None:
            words.append(f"under {self.most:,g}")
        return ", ".join(words)

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; `None` without one."""
        if not self.aim:
            return None
        return (
            (self.least_ratio is None or self.ratio >= self.least_ratio)
            and (self.least is None or self.ours >= self.least)
            and (self.most is None or self.ours < self.most)
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What one process spent on a report while the pipeline was measured.

    Attributes:
        process: its name.
        cpu_us: processor time for one report, in microseconds; `None` where the system does not tell.
        busy: processor time as a share of the time that passed (1 is one core).
        batch_us: time for one report in its batches, waiting for Redis or ClickHouse included; `None` for servers.
    """

    process: str
    cpu_us: float | None
    busy: float | None
    batch_us: float | None = None


@dataclass(slots=True)
class Outcome:
    """All that one part has measured."""

    figures: list[Figure] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def median(values: Sequence[float]) -> float:
    """The middle one, of an even number the lower of the two; there must be one."""
    return sorted(values)[(len(values) - 1) // 2]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all are not above (nearest rank); there must be one."""
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, int(rank) - 1)]


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
