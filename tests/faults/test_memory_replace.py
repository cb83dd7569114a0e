"""A store that is being replaced, cut short at every call: it is the old one, the new one or on its way, never a mix.

One that is on its way is settled: then it is the old one or the new one, with nothing of ours beside it. Running the
same again brings the new one. Some cases are sampled unless `CHRONO_FAULT_STEP=k` says to take every k-th point. What
ran is printed at the end of the run.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chronos.memory import is_unsettled
from tests.faults import memory_replace
from tests.faults.harness import COUNT, KILL, KILL_AFTER, Killpoint, Outcome, fail_from_then_on, fail_once
from tests.faults.summary import POINTS
from tests.memory.stores import Adapter, FileAdapter, FolderAdapter, LanceAdapter, adapter_kind

PROJECT = Path(__file__).parents[2]
_CHOSEN_STEP = os.environ.get("CHRONO_FAULT_STEP")
_THREADS = max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))

CASES = [
    # adapter, what comes, fault, every how many calls before the first sync and from there on, trash elsewhere
    pytest.param(FolderAdapter(), "new", KILL, (1, 1), False, id="folder-kill"),
    pytest.param(FolderAdapter(), "new", KILL_AFTER, (8, 1), False, id="folder-killafter"),
    pytest.param(FolderAdapter(), "new", KILL, (5, 5), True, id="folder-other-file-system-kill"),
    pytest.param(FolderAdapter(), "new", fail_once(errno.EIO), (20, 8), True, id="folder-other-file-system-eio"),
    pytest.param(FolderAdapter(), "new", fail_once(errno.ENOSPC), (8, 1), False, id="folder-enospc"),
    pytest.param(FolderAdapter(), "new", fail_from_then_on(errno.EIO), (15, 3), False, id="folder-eio-for-good"),
    pytest.param(FolderAdapter(), "nothing", KILL, (2, 2), False, id="folder-removal-kill"),
    pytest.param(FolderAdapter(), "nothing", fail_once(errno.EIO), (3, 2), False, id="folder-removal-eio"),
    pytest.param(FileAdapter(), "new", KILL, (1, 1), False, id="file-kill"),
    pytest.param(FileAdapter(), "new", KILL_AFTER, (4, 2), False, id="file-killafter"),
    pytest.param(FileAdapter(), "new", fail_once(errno.EIO), (4, 1), False, id="file-eio"),
    pytest.param(FileAdapter(), "nothing", KILL_AFTER, (2, 2), False, id="file-removal-killafter"),
    pytest.param(LanceAdapter(), "new", KILL, (60, 5), False, id="lancedb-kill"),
]


class Trial:
    """One replacement, made ready anew for every point."""

    def __init__(self, adapter: Adapter, source: str, killpoint: Killpoint, folder: Path, trashes: Path) -> None:
        self.kind = adapter_kind(adapter)
        self._adapter = adapter
        self._killpoint = killpoint
        self._folder = folder
        self._trashes = trashes
        self._made = folder / "made"
        self._made.mkdir()
        self._place = adapter.make(self._made)
        new = folder / "new"
        new.mkdir()
        self._source = adapter.make(new) if source == "new" else None
        adapter.change(self._place)
        self.old = adapter.rows(self._place)
        self.new = adapter.rows(self._source) if self._source else None
        assert self.old != self.new

    def run(self, name: str, point: int, action: str) -> tuple[Outcome, list[str]]:
        """Strike at one point; return what happened and every violation."""
        home = self._folder / name
        shutil.copytree(self._made, home, symlinks=True)
        place = home / self._place.name
        trash = self._trashes / name
        trash.mkdir()
        expected = json.dumps(self.kind.look(place))
        arguments = [self.kind.name, str(place), str(self._source or "nothing"), str(trash), expected]
        argv = [sys.executable, "-B", "-m", "tests.faults.memory_replace", *arguments]
        environment = {"PATH": os.defpath, "PYTHONPATH": str(PROJECT), "TMPDIR": str(self._trashes)}
        outcome = self._killpoint.run(argv, cwd=PROJECT, environment=environment, point=point, action=action)
        violations = list(self._check_end(outcome, place, trash, action))
        memory_replace.settle(place, trash)
        violations += self._check_whole(place, trash, (self.old, self.new), "settled")
        if self._rows(place) != self.new:
            memory_replace.main(*arguments[:-1], json.dumps(self.kind.look(place)))
        violations += self._check_whole(place, trash, (self.new,), "run again")
        if self._rows(trash / "old") != self.old:
            violations.append("the trash does not hold the old state")
        shutil.rmtree(home)
        shutil.rmtree(trash)
        return outcome, violations

    def _check_end(self, outcome: Outcome, place: Path, trash: Path, action: str) -> Iterator[str]:
        """Look at what the run left behind: the old state is never lost, and one failing call leaves all or nothing."""
        if self._rows(place) not in (self.old, self.new, None):
            yield "a mix stands at the place"
        if self._rows(place) != self.old and not self._holds_old(place.parent, trash):
            yield "the old state is nowhere"
        if action.startswith("err:") and not is_unsettled(trash):
            expected = self.new if outcome.exit_code == 0 else self.old
            yield from self._check_whole(place, trash, (expected,), f"ended with {outcome.exit_code}")

    def _check_whole(self, place: Path, trash: Path, allowed: tuple[object, ...], when: str) -> Iterator[str]:
        if self._rows(place) not in allowed:
            yield f"{when}: the wrong state stands at the place"
        if (left := {*os.listdir(place.parent)} - {place.name}) or trash.with_suffix(".saved").exists():
            yield f"{when}: left beside the place: {left}"

    def _rows(self, place: Path) -> object:
        return self._adapter.rows(place) if os.path.lexists(place) else None

    def _holds_old(self, home: Path, trash: Path) -> bool:
        return self.old in [self._rows(path) for path in (*home.glob(".chronos-*.aside"), trash / "old")]


@pytest.fixture
def trashes(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Where trash folders are made: here, or on another file system."""
    if request.param:
        other: Path = request.getfixturevalue("elsewhere")
        return other
    folder = tmp_path / "trashes"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(("adapter", "source", "action", "steps", "trashes"), CASES, indirect=["trashes"])
def test_a_replacement_that_is_cut_short_is_finished_by_the_next_run(
    killpoint: Killpoint,
    tmp_path: Path,
    trashes: Path,
    adapter: Adapter,
    source: str,
    action: str,
    steps: tuple[int, int],
    record_property: Callable[[str, object], None],
) -> None:
    trial = Trial(adapter, source, killpoint, tmp_path, trashes)
    counted, violations = trial.run("counted", 0, COUNT)
    assert (counted.exit_code, violations) == (0, []), counted.stderr
    total = len(counted.calls)
    early, late = (int(_CHOSEN_STEP or step) for step in steps)
    first = next(call.number for call in counted.calls if call.name == "syncfs")
    points = [*range(1, first, early), *range(first, total + 1, late)]

    def strike(point: int) -> tuple[int, list[str]]:
        outcome, found = trial.run(f"point{point}", point, action)
        return outcome.hits, [f"{action} at {outcome.call_at(point)}: {violation}" for violation in found]

    with ThreadPoolExecutor(_THREADS) as threads:
        results = list(threads.map(strike, points))
    violations = [violation for _, found in results for violation in found]
    struck = sum(hits > 0 for hits, _ in results)
    name = f"memory replace of {type(adapter).__name__} by {source}"
    summary = f"{name} {action}: {len(points)} of {total} points ran, {struck} struck, {len(violations)} violations"
    record_property(POINTS, summary)
    assert struck > 0
    assert not violations, "\n".join([summary, *violations[:12]])
