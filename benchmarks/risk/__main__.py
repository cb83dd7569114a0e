"""`python -m benchmarks.risk`: judge the labelled operations, print the tables, and keep those of the test part."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import read_load
from benchmarks.programs import REPOSITORY
from benchmarks.risk.labelled import PARTS, load_part
from benchmarks.risk.pace import Assess, measure_pace
from benchmarks.risk.report import judge, list_misses, render
from benchmarks.risk.scores import Judged, Scores
from benchmarks.sections import write_section
from historian import HistorianAgent

REPORT = REPOSITORY / "docs" / "benchmarks.md"
_INTRODUCTION = """\
## Assessments of risk

Written by `python -m benchmarks.risk --write`. The operations are labelled by hand (`benchmarks/risk/`), in a part for
development and a part for the test; nothing is known of a tree in which they would run, and nothing is probed. Half of
them say of what kind they are. Precision is the share of those called so that are so, recall the share of those that
are so that were called so. Times are medians in one Python process after a warm-up; every text is a new one.
"""


def main(arguments: Sequence[str] | None = None, assess: Assess | None = None, report: Path = REPORT) -> int:
    """Judge with `assess`, by default the historian without a repository; 0 when every bar of what was asked is met."""
    options = _parse(arguments)
    assess = assess or _open_historian()
    parts = {part: load_part(part) for part in PARTS}
    pace = measure_pace([one for part in parts.values() for one in part], assess)
    met = True
    for part in PARTS if options.part == "all" else (options.part,):
        scores = Scores(Judged(one, assess(one.operation)) for one in parts[part])
        tables = render(part, scores, pace)
        print(tables)
        if options.misses:
            print(list_misses(scores.misses) + "\n")
        if options.write and part == "test":
            write_section(report, "risk", f"{_INTRODUCTION}\n{tables}\n{_describe_conditions()}")
        met = met and all(bar.is_met for bar in judge(scores, pace))
    return 0 if met else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.risk", description=__doc__)
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all", help="which operations (default: all)")
    parser.add_argument("--misses", action="store_true", help="list what was given another level than its label")
    parser.add_argument("--write", action="store_true", help="write the section of the test part in docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if options.write and options.part == "development":
        parser.error("--write keeps the test part; it does not go with --part development")
    return options


def _describe_conditions() -> str:
    return f"Measured with Python {platform.python_version()}, {os.cpu_count()} cores, load {read_load():.1f}."


def _open_historian() -> Assess:
    historian = HistorianAgent(root=None)
    return lambda operation: historian.assess(operation, probe=False)


if __name__ == "__main__":
    sys.exit(main())
