"""How long looking for secrets may take: a share of what everything else has taken so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SHARE = 0.2


class Budget:
    """Time for one checkpoint, counted from now: a fifth of the time that was spent on other things.

    `clock` tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.spent_s = 0.0
        self._clock = clock
        self._start = clock()

    @property
    def left_s(self) -> float:
        """How long looking may go on now; it grows while other work is done, and is below 0 when overdrawn."""
        others = self._clock() - self._start - self.spent_s
        return _SHARE * others - self.spent_s

    @contextmanager
    def charging(self) -> Iterator[None]:
        """Charge the time of the block."""
        start = self._clock()
        try:
            yield
        finally:
            self.spent_s += self._clock() - start


class Unlimited(Budget):
    """As long as it takes."""

    @property
    def left_s(self) -> float:
        """More than anything needs."""
        return float("inf")


class Pace:
    """How many bytes a second a way of looking manages: an estimate at first, then what was measured."""

    def __init__(self, budget: Budget, expected_rate: float) -> None:
        self._budget = budget
        self._bytes = 0.0
        self._spent_s = 0.0
        self._expected = expected_rate

    def can_take(self, size: int, extra_s: float = 0.0) -> bool:
        """Tell whether `size` bytes, and `extra_s` seconds before them, fit into what is left."""
        return size / self._rate + extra_s <= self._budget.left_s

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Charge a look at `size` bytes, and learn from what it cost."""
        before = self._budget.spent_s
        with self._budget.charging():
            yield
        self._bytes += size
        self._spent_s += self._budget.spent_s - before

    @property
    def _rate(self) -> float:
        return self._bytes / self._spent_s if self._spent_s > 0 else self._expected
