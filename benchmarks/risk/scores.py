"""Precision, recall and accuracy of levels, from what was said of each labelled operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.risk.labelled import Labelled
from historian.risk import RiskAssessment, RiskLevel


@dataclass(frozen=True)
class Judged:
    """A labelled operation and what was said of it."""

    labelled: Labelled
    said: RiskAssessment

    @property
    def is_right(self) -> bool:
        """Whether the level is the one of the label."""
        return self.said.level is self.labelled.level


class Scores:
    """How often each level was said of each. A share of nothing is None."""

    def __init__(self, judged: Iterable[Judged]) -> None:
        self.judged: Sequence[Judged] = tuple(judged)
        self._count = Counter((one.labelled.level, one.said.level) for one in self.judged)

    def count(self, label: RiskLevel, said: RiskLevel) -> int:
        """How many that are labelled `label` were called `said`."""
        return self._count[label, said]

    def precision(self, level: RiskLevel) -> float | None:
        """Of those that were called `level`, the share that is labelled so."""
        return _share(self.count(level, level), sum(self.count(label, level) for label in RiskLevel))

    def recall(self, level: RiskLevel) -> float | None:
        """Of those that are labelled `level`, the share that was called so."""
        return _share(self.count(level, level), sum(self.count(level, said) for said in RiskLevel))

    @property
    def accuracy(self) -> float | None:
        """The share of levels that are right."""
        return _share(sum(self.count(level, level) for level in RiskLevel), len(self.judged))

    @property
    def misses(self) -> list[Judged]:
        """Those of which another level was said, in the order of the files."""
        return [one for one in self.judged if not one.is_right]

    def by_source(self) -> dict[str, Scores]:
        """Return the same of each source by itself."""
        sources = dict.fromkeys(one.labelled.source for one in self.judged)
        return {name: Scores(one for one in self.judged if one.labelled.source == name) for name in sources}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
