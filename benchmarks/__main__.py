"""`python -m benchmarks`: measure, judge, print, and with `--write` keep the report in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bars import Bar, Verdict, judge, list_bars
from benchmarks.machine import describe_load, describe_machine, read_load
from benchmarks.programs import REPOSITORY, ProgramError, describe_programs, seal
from benchmarks.report import list_medians, render, summarize
from benchmarks.results import Missing
from benchmarks.scale import FULL, QUICK
from benchmarks.sections import write_around_sections
from benchmarks.situations import Bench, Outcomes, Situation, list_situations

REPORT = REPOSITORY / "docs" / "benchmarks.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 0 when every bar that the scale has is met, 1 when anything is missed or not measured."""
    options = _parse(arguments)
    scale = QUICK if options.quick else FULL
    wanted = [one for one in list_situations() if not options.only or one.name in options.only]
    names = {one.name for one in wanted}
    bars = [bar for bar in list_bars(scale) if _situation_of(bar.subject) in names]
    load, start = read_load(), time.monotonic()
    with _open_folder(options.work) as folder:
        bench = Bench(folder, seal(folder / "home"), scale, _say)
        conditions = describe_machine(bench.folder) | describe_programs(bench.sealed)
        outcomes = _measure(bench, wanted, bars)
    rows = [judge(bar, outcomes) for bar in bars]
    took = f"{time.monotonic() - start:.0f} s"
    conditions |= {"load before, after": describe_load(load, read_load()), "scale": scale.name, "took": took}
    report = render(rows, outcomes, conditions)
    print(report)
    if options.write:
        write_around_sections(REPORT, report)
    _say(f"{summarize(rows)}, in {took}")
    gaps = [one for one in outcomes.values() if isinstance(one, Missing) and not one.is_planned]
    return 1 if gaps or any(row.verdict in (Verdict.MISSED, Verdict.UNKNOWN) for row in rows) else 0


@contextmanager
def _open_folder(parent: Path | None) -> Iterator[Path]:
    """Make the folder of a run, and remove it at the end, also when the run is told to stop."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chrono-bench-", dir=parent) as folder:
        yield Path(folder).resolve()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [one.name for one in list_situations()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs, without the 100,000-file corpus")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where to build the corpora (default: temp folder)")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("--write keeps a whole run; it does not go with --only")
    return options


def _measure(bench: Bench, wanted: Sequence[Situation], bars: Sequence[Bar]) -> Outcomes:
    outcomes: Outcomes = {}
    for situation in wanted:
        if situation.name.endswith(f"-{situation.files}") and situation.files not in bench.scale.corpora:
            outcomes |= _owe(situation, bars, Missing(f"not in a {bench.scale.name} run", is_planned=True))
            continue
        start = time.monotonic()
        try:
            found = situation.run(bench)
        except (ProgramError, OSError) as failure:
            reason = str(failure).replace(str(bench.folder), "WORK")
            found = _owe(situation, bars, Missing(f"failed: {reason}"))
        outcomes |= found
        _say(f"{situation.name} took {time.monotonic() - start:.0f} s: {list_medians(found)}")
    return outcomes


def _owe(situation: Situation, bars: Sequence[Bar], reason: Missing) -> Outcomes:
    """Return the figures that the bars expect of `situation`, all missing for the same reason."""
    keys = [key for bar in bars for key in (bar.subject, bar.reference) if key is not None]
    owed: Outcomes = {key: reason for key in keys if _situation_of(key) == situation.name}
    return owed or {f"{situation.name}/chrono": reason}


def _situation_of(key: str) -> str:
    return key.partition("/")[0]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
