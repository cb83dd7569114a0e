"""How long looking for secrets may take: a share of what everything else has taken so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SHARE = 0.2
# So that the text of a small checkpoint is looked at even where everything else took no time: as long as it takes to
# compile the forms that it has letters of, once in each process (all of them 5.6 ms, those of ordinary text 0.6).
_FLOOR_S = 0.005


class Budget:
    """Time for one checkpoint, counted from now: a fifth of the time that was spent on other things.

    `clock` tells the time and `effort` how much of it this thread had the processor, both in seconds. The fifth is of
    the time; a small checkpoint's few milliseconds are of effort, so that a busy machine does not leave it unseen.
    """

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, effort: Callable[[], float] = time.thread_time
    ) -> None:
        self.spent_s = 0.0
        self.effort_s = 0.0
        self._clock = clock
        self._effort = effort
        self._start = clock()

    @property
    def left_s(self) -> float:
        """How long looking may go on now; it grows while other work is done. Not below 0."""
        others = self._clock() - self._start - self.spent_s
        return max(_FLOOR_S - self.effort_s, _SHARE * others - self.spent_s)

    @contextmanager
    def charging(self) -> Iterator[Charge]:
        """Charge the time of the block."""
        charge = Charge()
        start, start_effort = self._clock(), self._effort()
        try:
            yield charge
        finally:
            charge.effort_s = self._effort() - start_effort
            self.effort_s += charge.effort_s
            self.spent_s += self._clock() - start


class Unlimited(Budget):
    """As long as it takes."""

    @property
    def left_s(self) -> float:
        """More than anything needs."""
        return float("inf")


class Charge:
    """What one look has cost, in seconds of effort, once it is over."""

    effort_s = 0.0


class Pace:
    """How many bytes a second a way of looking manages: an estimate at first, then what was measured."""

    def __init__(self, budget: Budget, expected_rate: float) -> None:
        self._budget = budget
        self._bytes = 0.0
        self._effort_s = 0.0
        self._expected = expected_rate

    def can_take(self, size: int, extra_s: float = 0.0) -> bool:
        """Tell whether `size` bytes, and `extra_s` seconds before them, fit into what is left."""
        return size / self._rate + extra_s <= self._budget.left_s

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Charge a look at `size` bytes, and learn from what it cost."""
        with self._budget.charging() as charge:
            yield
        self._bytes += size
        self._effort_s += charge.effort_s

    @property
    def _rate(self) -> float:
        return self._bytes / self._effort_s if self._effort_s > 0 else self._expected
