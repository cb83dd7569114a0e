"""How fast operations are assessed, in this process, after a warm-up.

Every text of every round is one that was not seen before, so that nothing is gained by remembering answers.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from benchmarks.risk.labelled import Labelled
from historian.risk import Operation, RiskAssessment

Assess = Callable[[Operation], RiskAssessment]
_COMMAND_LINES = ("git", "ops", "shell")


@dataclass(frozen=True)
class Pace:
    """Assessments of words in a second, and the seconds that one command line takes."""

    words_per_s: float
    shell_mean_s: float
    shell_p95_s: float
    shell_longest_s: float


def measure_pace(labelled: Sequence[Labelled], assess: Assess, rounds: int = 5) -> Pace:
    """Assess all words and all command lines of one line `rounds` times; each figure is of medians over the rounds."""
    words = [one.operation for one in labelled if one.source == "words"]
    lines = [one.operation for one in labelled if one.source in _COMMAND_LINES]
    lines = [one for one in lines if one.text and "\n" not in one.text]
    for one in (*words, *lines):
        assess(one)
    taken = [_time_whole([_vary(one, f"({number})") for one in words], assess) for number in range(rounds)]
    each = [_time_each([_vary(one, f"# {number}") for one in lines], assess) for number in range(rounds)]
    medians = sorted(statistics.median(times) for times in zip(*each, strict=True))
    return Pace(
        words_per_s=len(words) / statistics.median(taken),
        shell_mean_s=statistics.mean(medians),
        shell_p95_s=medians[int(0.95 * (len(medians) - 1))],
        shell_longest_s=medians[-1],
    )


def _vary(operation: Operation, ending: str) -> Operation:
    return msgspec.structs.replace(operation, text=f"{operation.text} {ending}")


def _time_whole(operations: Sequence[Operation], assess: Assess) -> float:
    start = time.perf_counter()
    for one in operations:
        assess(one)
    return time.perf_counter() - start


def _time_each(operations: Sequence[Operation], assess: Assess) -> list[float]:
    return [_time_whole([one], assess) for one in operations]
