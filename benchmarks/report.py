"""The run as Markdown: the judged bars first, then every median, then what it was measured with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.bars import Row, Verdict
from benchmarks.results import Missing, Outcome, Samples, show

_NOTES = """\
Every figure is a median; in each situation our runs and the peers' alternate, and each run is preceded by the same
step (flush, then change one line of one file). Whole processes are timed by hyperfine without a shell, the others
with `time.perf_counter` in one Python process. `git stash create` leaves out untracked files; borg and restic leave
out `.git`; stepback reads every file each time. A ratio is ours divided by the peer's; what a bar allows on top is
taken off ours first. `git worktree add` brings the commit, a branch the 35 changed files too; it is given the workers
that a branch uses in a row of its own.

Disk is weighed twice. The bar is for 1,000 one-line edits of a tree that is clean otherwise. Where 35 other paths
differ too, every checkpoint has the readable patch of all of them again, because each `fs_diff.patch.zst` stands for
itself; only leaving out what the parent's patch says already would bring that under the bar.
"""

_WORDS = {
    Verdict.MET: "met",
    Verdict.MISSED: "missed",
    Verdict.UNKNOWN: "not measured",
    Verdict.LEFT_OUT: "left out",
}


def render(rows: Sequence[Row], outcomes: Mapping[str, Outcome], conditions: Mapping[str, str]) -> str:
    """Return the whole report."""
    judged = [[row.work, row.ours, row.reference, row.ratio, row.bar, row.verdict.value] for row in rows]
    parts = [
        "# Benchmarks\n",
        "Written by `python -m benchmarks --write`; do not edit.\n",
        _NOTES,
        f"## Bars: {summarize(rows)}\n",
        table(["work", "chrono", "peer", "ratio", "bar", "result"], judged),
        "## All medians\n",
        table(["situation", "program", "median", "fastest", "slowest", "runs"], _medians(outcomes)),
        "## Measured with\n",
        table(["what", "value"], conditions.items()),
    ]
    return "\n".join(parts)


def summarize(rows: Sequence[Row]) -> str:
    """Return how many bars were met, missed and not measured, in one line."""
    count = {verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict}
    return ", ".join(f"{number} {_WORDS[verdict]}" for verdict, number in count.items() if number) or "none asked for"


def list_medians(outcomes: Mapping[str, Outcome]) -> str:
    """Return the medians of one situation in one line, for people who watch a run."""
    found = ((key.partition("/")[2], _spread(outcome)[0]) for key, outcome in outcomes.items())
    return ", ".join(f"{program} {median}" for program, median in found)


def _medians(outcomes: Mapping[str, Outcome]) -> list[list[str]]:
    return [[*key.split("/", 1), *_spread(outcome)] for key, outcome in outcomes.items()]


def _spread(outcome: Outcome) -> list[str]:
    if isinstance(outcome, Missing):
        return [f"**{outcome.reason}**", "", "", ""]
    return [*_figures(outcome), str(len(outcome.values))]


def _figures(samples: Samples) -> list[str]:
    return [show(value, samples.unit) for value in (samples.median, min(samples.values), max(samples.values))]


def table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Return `rows` under `head` as a table of Markdown."""
    lines = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        for cells in (head, ["---"] * len(head), *rows)
    ]
    return "\n".join(lines) + "\n"
