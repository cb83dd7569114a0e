"""What a measurement yields: samples with a unit, or the reason why there are none. Never silence."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Literal

Unit = Literal["s", "KiB", "MB"]


@dataclass(frozen=True)
class Samples:
    """Measured values of one program in one situation."""

    values: tuple[float, ...]
    unit: Unit

    @property
    def median(self) -> float:
        """The value that the bars are judged by."""
        return statistics.median(self.values)


@dataclass(frozen=True)
class Missing:
    """No values, and why: not installed, failed, or, as planned, left out of a quick run."""

    reason: str
    is_planned: bool = False


Outcome = Samples | Missing


def show(value: float, unit: Unit) -> str:
    """Return a figure as people read it: ms below one second, µs below one of these, and three digits."""
    if unit == "s":
        if value < 0.001:
            return f"{value * 1_000_000:.0f} µs"
        return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
    return f"{value:.1f} {unit}"
