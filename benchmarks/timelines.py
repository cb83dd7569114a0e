"""Timings of timelines, run as a program of its own: `python -m benchmarks.timelines WORK TREE FILES RUNS`.

Prints one JSON document, as benchmarks.driver does. Each run has a new timeline, or contents that no earlier one had;
every result is checked, and what a run made is taken away again, both untimed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.corpus import Corpus, edit_line, file_name, prepare_run, read_state
from benchmarks.driver import Contestant, Report, compete, open_engine
from benchmarks.programs import STATUS_FLAGS, find_chrono

CHANGED = 200
THEIRS = "theirs"


@dataclass
class _Branches:
    """New worktrees under names that were never used; each is compared and removed before the next is made."""

    corpus: Corpus

    def __post_init__(self) -> None:
        self._names = (f"run{number:03d}" for number in count())
        self._place = self.corpus.root
        self.name = ""

    def prepare(self) -> None:
        prepare_run(self.corpus)
        self.name = next(self._names)

    def make(self, *settings: str) -> None:
        self._place = self.corpus.root.with_name(f"{self.corpus.root.name}-{self.name}")
        _git(self.corpus.root, *settings, "worktree", "add", "--quiet", "-b", self.name, str(self._place), "HEAD")

    def call_chrono(self, chrono: str) -> None:
        run_quietly([chrono, "--root", str(self.corpus.root), "timeline", "branch", self.name])
        self._place = self.corpus.store / self.name / ".worktree"

    def call_engine(self, engine: Any) -> None:
        self._place = engine.branch_timeline(self.name).path

    def check(self) -> None:
        last = self._place / file_name(self.corpus.files - 1)
        if not last.is_file():
            raise RuntimeError("a new worktree is not complete")
        self._remove()

    def check_state(self) -> None:
        """Of a branch the 35 paths that differ from the commit must be there too."""
        if _relative(Corpus(self._place, self.corpus.files)) != _relative(self.corpus):
            raise RuntimeError("a branched timeline does not have the state that it was branched from")
        self.check()

    def _remove(self) -> None:
        _git(self.corpus.root, "worktree", "remove", "--force", str(self._place))


def time_branches(corpus: Corpus, runs: int) -> Report:
    """Time `branch_timeline`, `chrono timeline branch` and `git worktree add`, with and without its workers."""
    made = _Branches(corpus)
    workers = ("-c", "checkout.workers=0", "-c", "checkout.thresholdForParallelism=1000")

    def ours(name: str, call: Callable[[], None]) -> Contestant:
        return Contestant(name, call, runs, made.prepare, made.check_state)

    def peer(name: str, settings: Sequence[str]) -> Contestant:
        return Contestant(name, lambda: made.make(*settings), runs, made.prepare, made.check)

    def make_engine() -> Contestant:
        engine = open_engine(corpus)
        return ours("engine", lambda: made.call_engine(engine))

    return compete(
        [
            ("engine", make_engine),
            ("git worktree add", lambda: peer("git worktree add", ())),
            ("process", lambda: ours("process", lambda: made.call_chrono(_chrono()))),
            ("git worktree add, workers", lambda: peer("git worktree add, workers", workers)),
        ]
    )


def time_merges(corpus: Corpus, runs: int) -> Report:
    """Time a merge of 200 changed files into a tree with 200 others, against `git status` of that tree.

    Both sides are edited anew before each merge, which is undone after it: so each begins from the same checkpoint.
    """
    engine = open_engine(corpus)
    there = engine.branch_timeline(THEIRS).path
    ours, theirs = [corpus.root / path for path in _spread(corpus, 0)], _spread(corpus, 1)
    time.sleep(1.1)  # or git would read files again that are as old as the index
    for tree in (corpus.root, there):
        _git(tree, "status", "--short")

    def prepare() -> None:
        for path in (*ours, *(there / path for path in theirs)):
            edit_line(path)
        os.sync()

    def check() -> None:
        wrong = [path for path in theirs if (corpus.root / path).read_bytes() != (there / path).read_bytes()]
        if wrong or not all(path.read_bytes() != (there / path.relative_to(corpus.root)).read_bytes() for path in ours):
            raise RuntimeError(f"a merge went wrong at {len(wrong)} paths")
        engine.undo()

    status = ["git", "--no-optional-locks", "-C", str(corpus.root), *STATUS_FLAGS]
    merge = ["--root", str(corpus.root), "timeline", "merge", THEIRS, "--yes"]
    return compete(
        [
            ("engine", lambda: Contestant("engine", lambda: engine.merge_timeline(THEIRS), runs, prepare, check)),
            ("git status", lambda: Contestant("git status", lambda: run_quietly(status), runs, prepare)),
            (
                "process",
                lambda: Contestant("process", lambda: run_quietly([_chrono(), *merge]), runs, prepare, check),
            ),
        ]
    )


def run_quietly(argv: Sequence[str]) -> None:
    """Run a program to its end; what it prints is read and forgotten."""
    subprocess.run(argv, stdout=subprocess.PIPE, check=True)


def _chrono() -> str:
    chrono = find_chrono()
    if chrono is None:
        raise ImportError("chrono")
    return chrono


def _git(tree: Path, *arguments: str) -> None:
    run_quietly(["git", "-C", str(tree), *arguments])


def _spread(corpus: Corpus, offset: int) -> list[Path]:
    """Return 200 tracked paths, spread over the tree; another offset gives others."""
    return [Path(file_name(number * corpus.files // CHANGED + offset)) for number in range(CHANGED)]


def _relative(corpus: Corpus) -> dict[Path, bytes | None]:
    return {path.relative_to(corpus.root): found for path, found in read_state(corpus).items()}


_WORK: dict[str, Callable[[Corpus, int], Report]] = {"branch": time_branches, "merge": time_merges}

if __name__ == "__main__":
    work, tree, files, times = sys.argv[1:]
    print(json.dumps(_WORK[work](Corpus(Path(tree), int(files)), int(times))))
