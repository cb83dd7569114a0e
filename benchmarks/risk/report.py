"""An evaluation as Markdown: the bars, each level, who was taken for what, each source, and how fast it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import table
from benchmarks.risk.labelled import describe
from benchmarks.risk.pace import Pace
from benchmarks.risk.scores import Judged, Scores
from historian.risk import RiskLevel


@dataclass(frozen=True)
class Bar:
    """What was measured and what it must be at least, or at most."""

    work: str
    shown: str
    bar: str
    is_met: bool


def judge(scores: Scores, pace: Pace) -> list[Bar]:
    """Return every bar with what was measured."""
    high = RiskLevel.HIGH
    return [
        _at_least("recall of high", scores.recall(high), 0.98),
        _at_least("precision of high", scores.precision(high), 0.95),
        _at_least("accuracy over the three levels", scores.accuracy, 0.92),
        Bar("words", f"{pace.words_per_s:,.0f}/s", "≥ 20,000/s", pace.words_per_s >= 20_000),
        Bar("a shell command, mean", _ms(pace.shell_mean_s), "≤ 1 ms", pace.shell_mean_s <= 0.001),
    ]


def render(part: str, scores: Scores, pace: Pace) -> str:
    """Return the tables of one part."""
    bars = [[bar.work, bar.shown, bar.bar, "met" if bar.is_met else "**MISSED**"] for bar in judge(scores, pace)]
    levels = [
        [level.value, _share(scores.precision(level)), _share(scores.recall(level)), str(_labelled_so(scores, level))]
        for level in RiskLevel
    ]
    confusion = [[label.value, *(str(scores.count(label, said)) for said in RiskLevel)] for label in RiskLevel]
    sources = [
        [name, str(len(one.judged)), _share(one.accuracy), _share(one.recall(RiskLevel.HIGH))]
        for name, one in scores.by_source().items()
    ]
    spread = f"Of 20 shell commands, 19 take {_ms(pace.shell_p95_s)} at most; the longest {_ms(pace.shell_longest_s)}."
    said = [f"called {level.value}" for level in RiskLevel]
    parts = [
        f"### The {part} part: {len(scores.judged)} operations\n",
        table(["what", "measured", "bar", "result"], bars),
        table(["level", "precision", "recall", "operations"], levels),
        table(["labelled", *said], confusion),
        table(["source", "operations", "accuracy", "recall of high"], sources),
        spread + "\n",
    ]
    return "\n".join(parts)


def list_misses(misses: Sequence[Judged]) -> str:
    """Return one line for each operation that was given another level, with what was said for it."""
    return "\n".join(
        f"{one.labelled.source}: {one.labelled.level.value}, called {one.said.level.value} as {one.said.kind.value}: "
        f"{describe(one.labelled.operation)}  [{'; '.join(one.said.reasons)}]"
        for one in misses
    )


def _labelled_so(scores: Scores, level: RiskLevel) -> int:
    return sum(scores.count(level, said) for said in RiskLevel)


def _at_least(work: str, share: float | None, limit: float) -> Bar:
    return Bar(work, _share(share), f"≥ {limit:g}", share is not None and share >= limit)


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
