"""In-process timings, run as a program of its own: `python -m benchmarks.driver WORK TREE FILES COUNT [COUNT]`.

Prints one JSON document. Ours and the peers take turns in one process, so that all meet the same disturbance; what is
missing is named with its reason.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.corpus import Corpus, damage, edit_line, prepare_run, read_state
from benchmarks.programs import STATUS_FLAGS

SPREAD = 10  # checkpoints on each side of the one that a series looks at
EARLIEST = 5  # below it, the store is still being set up
Report = dict[str, Any]


def _nothing() -> None:
    """Prepare or check nothing."""


@dataclass(frozen=True)
class Contestant:
    """A call to time, what must happen before each time, and what must hold after it; both untimed."""

    name: str
    call: Callable[[], object]
    runs: int
    prepare: Callable[[], None] = _nothing
    check: Callable[[], None] = _nothing


def take_turns(contestants: Sequence[Contestant]) -> dict[str, list[float]]:
    """Return the seconds of every contestant's runs, alternating; each one's first run is not timed."""
    seconds: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for turn in range(1 + max(contestant.runs for contestant in contestants)):
        for contestant in contestants:
            if turn > contestant.runs:
                continue
            contestant.prepare()
            spent = time_call(contestant.call)
            contestant.check()
            if turn > 0:
                seconds[contestant.name].append(spent)
    return seconds


def time_call(call: Callable[[], object]) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compete(makers: Iterable[tuple[str, Callable[[], Contestant]]]) -> Report:
    """Let the contestants that are installed take turns, and name the others."""
    contestants, missing = [], {}
    for name, make in makers:
        try:
            contestants.append(make())
        except ImportError as cause:
            missing[name] = f"not installed ({cause})"
    return {"seconds": take_turns(contestants), "missing": missing}


def open_engine(corpus: Corpus) -> Any:
    """Return our engine on `corpus`. Raises ImportError when it is not installed."""
    return importlib.import_module("chronos").ChronosEngine(root=corpus.root)


def _chrono_create(corpus: Corpus, runs: int) -> Contestant:
    engine = open_engine(corpus)
    return Contestant("chrono", lambda: engine.create_checkpoint("benchmark"), runs, lambda: prepare_run(corpus))


def _git_status(corpus: Corpus, runs: int, prepare: Callable[[], None] = _nothing) -> Contestant:
    argv = ["git", "--no-optional-locks", "-C", str(corpus.root), *STATUS_FLAGS]
    return Contestant("git status", lambda: subprocess.run(argv, stdout=subprocess.PIPE, check=True), runs, prepare)


def _stepback_create(corpus: Corpus, runs: int) -> Contestant:
    engine = importlib.import_module("stepback.engine").Engine(corpus.root)

    def create() -> None:
        if engine.checkpoint("benchmark") is None:
            raise RuntimeError("stepback saw no change")

    return Contestant("stepback", create, runs, lambda: prepare_run(corpus))


def _chrono_restore(corpus: Corpus, runs: int) -> Contestant:
    engine = open_engine(corpus)
    expected = read_state(corpus)
    checkpoint = engine.create_checkpoint("restore")

    def check() -> None:
        if read_state(corpus) != expected:
            raise RuntimeError("a restore did not bring the 35 paths back")

    return Contestant("chrono", lambda: engine.restore_checkpoint(checkpoint), runs, lambda: damage(corpus), check)


def time_creates(corpus: Corpus, runs: int, stepback_runs: int) -> Report:
    """Time our checkpoint, `git status` and stepback's checkpoint of a tree with one more edited line."""
    return compete(
        [
            ("chrono", lambda: _chrono_create(corpus, runs)),
            ("git status", lambda: _git_status(corpus, runs, lambda: prepare_run(corpus))),
            ("stepback", lambda: _stepback_create(corpus, stepback_runs)),
        ]
    )


def time_restores(corpus: Corpus, runs: int) -> Report:
    """Time the restore of 35 freshly damaged paths and `git status`; every restore is checked."""
    return compete(
        [
            ("chrono", lambda: _chrono_restore(corpus, runs)),
            ("git status", lambda: _git_status(corpus, runs)),
        ]
    )


def time_series(corpus: Corpus, count: int) -> Report:
    """Time checkpoints around number `count` of one store against numbers 5 to 25 of a young one, in turns.

    Two stores, because the early and the late checkpoints of a single one are a minute apart: whatever the disk did
    at its beginning would decide the ratio.
    """
    young = find_young(corpus)
    engines = {"last": (corpus, open_engine(corpus)), "early": (young, open_engine(young))}
    _make_checkpoints(corpus, engines["last"][1], count - SPREAD - 2)
    _make_checkpoints(young, engines["early"][1], EARLIEST - 2)
    os.sync()
    return {
        "seconds": take_turns(
            [
                Contestant(
                    name,
                    partial(engine.create_checkpoint, "benchmark"),
                    2 * SPREAD + 1,
                    partial(edit_line, tree.modified[0]),
                )
                for name, (tree, engine) in engines.items()
            ]
        ),
        "missing": {},
    }


def find_young(corpus: Corpus) -> Corpus:
    """Return the second tree of a series, beside `corpus`."""
    return Corpus(corpus.root.with_name(f"{corpus.root.name}-young"), corpus.files)


def fill_store(corpus: Corpus, count: int) -> Report:
    """Make `count` checkpoints with one edited line between them, untimed."""
    _make_checkpoints(corpus, open_engine(corpus), count)
    return {}


def _make_checkpoints(corpus: Corpus, engine: Any, count: int) -> None:
    for _ in range(count):
        edit_line(corpus.modified[0])
        engine.create_checkpoint("benchmark")


_WORK: dict[str, Callable[..., Report]] = {
    "create": time_creates,
    "restore": time_restores,
    "series": time_series,
    "fill": fill_store,
}

if __name__ == "__main__":
    work, tree, *numbers = sys.argv[1:]
    files, *counts = (int(number) for number in numbers)
    print(json.dumps(_WORK[work](Corpus(Path(tree), files), *counts)))
