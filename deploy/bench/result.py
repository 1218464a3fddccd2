"""What a benchmark says: figures beside their baselines, and how the time was spent."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table


class BenchError(Exception):
    """A figure that would not be worth showing: something failed or did not arrive while it was measured."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of ours beside the baseline's of the same run.

    Attributes:
        part: `webhook`, `pipeline` or `classifier`.
        measure: what was measured, with its unit.
        ours, baseline: the figures, higher is better; without a baseline `None`.
        against: what the baseline is.
        least_ratio, least_ours: what is aimed at, as far as the design names one.
    """

    part: str
    measure: str
    ours: float
    baseline: float | None = None
    against: str = ""
    least_ratio: float | None = None
    least_ours: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours divided by the baseline's."""
        return self.ours / self.baseline if self.baseline else None

    @property
    def aim(self) -> str:
        """The aim in words; empty without one."""
        if self.least_ratio is not None:
            return f"{self.least_ratio:g} x or more"
        return f"{self.least_ours:,.0f} or more" if self.least_ours is not None else ""

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; `None` without one."""
        if self.least_ratio is not None:
            return self.ratio is not None and self.ratio >= self.least_ratio
        return self.ours >= self.least_ours if self.least_ours is not None else None


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one request took at the given number of connections, ours beside the baseline's, in milliseconds."""

    part: str
    percentile: int
    ours: float
    baseline: float
    against: str
    most_ours: float | None = None

    measure = property(lambda self: f"p{self.percentile} in ms")
    ratio = property(lambda self: self.ours / self.baseline)
    aim = property(lambda self: f"under {self.most_ours:g}" if self.most_ours is not None else "")
    met = property(lambda self: self.ours < self.most_ours if self.most_ours is not None else None)


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

    lines: list[Comparison | Latency] = field(default_factory=list)
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
