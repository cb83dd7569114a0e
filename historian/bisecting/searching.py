"""Section search over a line of which one end is good and the other bad. Nothing here runs anything.

With one try at a time it is binary search: n steps between the ends take at most ceil(log2 n) tries. With k at a time
each round leaves a (k+1)th part, which takes fewer rounds and more tries.
"""

from __future__ import annotations

from itertools import pairwise


class Search:
    """Places 0 to `bad` of a line; `good` and `bad` are the ends that are known.

    Should a good place come after a bad one, the search goes on below the lowest bad one that has a good one before it.
    """

    def __init__(self, good: int, bad: int) -> None:
        self.good = good
        self.bad = bad
        self._results: dict[int, bool | None] = {good: True, bad: False}

    @property
    def skipped(self) -> list[int]:
        """The places between the ends that could not be tried."""
        return [place for place in range(self.good + 1, self.bad) if place in self._results]

    def next_places(self, count: int) -> list[int]:
        """Return up to `count` places that divide what is left most evenly, in order; none when the search is over."""
        left = [place for place in range(self.good + 1, self.bad) if place not in self._results]
        if len(left) <= count:
            return left
        step, found = (self.bad - self.good) / (count + 1), set[int]()
        for number in range(1, count + 1):
            wanted = self.good + step * number
            found.add(min((place for place in left if place not in found), key=lambda place: abs(place - wanted)))
        return sorted(found)

    def note(self, place: int, is_good: bool | None) -> None:
        """Take in what a try gave; None when the place could not be tried. A good end that is bad is none any more."""
        self._results[place] = is_good
        if place == self.good and not is_good:
            self.good = max(other for other, result in self._results.items() if result and other < place)
        known = [other for other in sorted(self._results) if self.good <= other <= self.bad]
        self.bad = next(other for other in known if self._results[other] is False)
        self.good = max(other for other in known if other < self.bad and self._results[other])

    def reversals(self) -> list[tuple[int, int]]:
        """Return each bad place that has a good one next to it later, of those that were tried, with that one."""
        tried = [place for place in sorted(self._results) if self._results[place] is not None]
        pairs = pairwise(tried)
        return [pair for pair in pairs if not self._results[pair[0]] and self._results[pair[1]]]
