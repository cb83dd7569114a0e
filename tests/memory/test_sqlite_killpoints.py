"""A restore that is cut short at any call leaves the old database, the new one or none, and the next run finishes it.

It is killed wherever the disk is another than at the call before, but for four of five writes in a row into a draft.
`CHRONO_FAULT_STEP=k` takes every k-th call instead.
A kill behind a call finds what the kill before the next one finds, unless another process is at it: those are sampled.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.faults.conftest import killpoint
from tests.faults.harness import KILL, KILL_AFTER, Killpoint, fail_from_then_on, fail_once
from tests.faults.points import chosen, every, every_state, thinned
from tests.faults.summary import POINTS
from tests.faults.warm import TracedProgram
from tests.memory.sqlite_restoring import save
from tests.memory.sqlite_world import KIND, Pool, check_bank, identify, make_bank
from tests.support import make_home, sealed_environment
from tests.support.sealing import PROJECT

__all__ = ["killpoint"]

_THREADS = max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
_PROGRAM = "tests.memory.sqlite_restoring"
_STEPS_BEFORE, _STEPS_AFTER = 5, 2
# Written beside the place (`image`, `raw`; `back` where only a -wal is left, and `left` where only that comes back), or
# page by page into a database that shrinks or grows with it.
_CASES = [
    *((mode, kind, action) for mode, kind in (("wal", "image"), ("delete", "image"), ("wal", "raw"))
      for action in (KILL, KILL_AFTER)),
    *((mode, kind, KILL) for mode in ("wal", "delete") for kind in ("shrink", "grow")),
    ("wal", "back", KILL),
    ("wal", "left", KILL),
    ("wal", "grow", KILL_AFTER),
    ("delete", "shrink", KILL_AFTER),
    ("wal", "shrink", fail_once(errno.EIO)),
    ("delete", "grow", fail_once(errno.ENOSPC)),
    ("delete", "shrink", fail_from_then_on(errno.EIO)),
    ("wal", "grow", fail_from_then_on(errno.ENOSPC)),
]  # fmt: skip

_SWAPPED = ("image", "raw", "back", "left")
_RESTORED = {"raw": ["memory.db", "memory.db-wal"], "left": ["memory.db-wal"]}
_CHOICES = {KILL: every_state(1, 0, behind=False), KILL_AFTER: every_state(4, 3, behind=True)}


def _prepare(folder: Path, pool: Pool, mode: str, kind: str) -> str:
    """Make a database of 5 steps (in WAL mode some in its -wal) and a state to restore; return its identity."""
    (folder / "place").mkdir(parents=True)
    (folder / "trash").mkdir()
    place = folder / "place" / "memory.db"
    make_bank(place, mode)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE large (filler BLOB)")
        connection.execute("INSERT INTO large VALUES (randomblob(90000))")
        connection.executemany("INSERT INTO steps (filler) VALUES (?)", [("x",)] * _STEPS_AFTER)
    if kind == "raw":
        source = folder / "source"
        source.write_bytes(b"encrypted" * 100)
        Path(f"{source}-wal").write_bytes(b"its wal")
        state = pool.capture(source)
    elif kind == "left":
        source = folder / "source"
        Path(f"{source}-wal").write_bytes(b"its wal")
        state = pool.capture(source)
    else:
        state = pool.capture(place)
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for _ in range(3): c.execute(\"INSERT INTO steps (filler) VALUES ('later')\")\n"
        "if sys.argv[2] == 'shrink': c.execute('INSERT INTO large VALUES (randomblob(40000))')\n"
        "if sys.argv[2] == 'grow': c.execute('DROP TABLE large'); c.execute('VACUUM')\n"
        "c.close() if sys.argv[2] in ('shrink', 'grow') else os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, place, kind], check=True)
    save(folder, "state", state, pool.reader.read_chunk)
    if kind in ("shrink", "grow"):
        save(folder, "present", pool.capture(place), pool.reader.read_chunk)
    if kind == "back":
        place.unlink()
    (folder / "expected.json").write_bytes(msgspec.json.encode(KIND.look(place)))
    return state.identity


def _judge(folder: Path, kind: str) -> str | None:
    """Return what is wrong with what a kill left: what a program that opens the database now would see."""
    seen = folder / "seen"
    shutil.copytree(folder / "place", seen)
    place = seen / "memory.db"
    if not place.exists():
        return None if kind in _SWAPPED else "nothing"
    if kind == "raw" and place.read_bytes().startswith(b"encrypted"):
        return None if Path(f"{place}-wal").read_bytes() == b"its wal" else "a new database without its wal"
    steps = check_bank(place)
    return None if steps in (_STEPS_BEFORE, _STEPS_AFTER) else f"a mixture with {steps} steps"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TracedProgram]:
    """What is cut short."""
    home = make_home(tmp_path_factory.mktemp("restoring") / "home")
    environment = {"PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    program = TracedProgram({**sealed_environment(home), **environment}, _PROGRAM)
    yield program
    program.close()


class Trial:
    """One restore, made ready anew for every point."""

    def __init__(self, folder: Path, mode: str, kind: str, killpoint: Killpoint, program: TracedProgram) -> None:
        self._kind = kind
        self._old = "memory.db-wal" if kind == "back" else "memory.db"
        self._folder = folder
        self._killpoint = killpoint
        self._program = program
        identity = _prepare(folder / "prepared", Pool(folder / "pool"), mode, kind)
        counted = self._copy("counted")
        outcome = program.trace(counted, [str(counted)], killpoint)
        assert outcome.exit_code == 0, outcome.stderr
        self.calls = outcome.calls
        self._restored = _contents(counted / "place")
        assert sorted(self._restored) == _RESTORED.get(kind, ["memory.db"])
        assert identify(counted / "place" / "memory.db") == identity

    def strike(self, point: int, action: str) -> tuple[int, str | None]:
        """Strike at one point and run the same again; return how often it struck and what is wrong then."""
        folder = self._copy(f"point{point}")
        outcome = self._program.trace(folder, [str(folder)], self._killpoint, point=point, action=action)
        problem = _judge(folder, self._kind)
        again = self._program.run(folder, [str(folder)])
        if again.exit_code:
            problem = problem or again.stderr[-600:]
        elif (place := _contents(folder / "place")) != self._restored:
            problem = problem or f"not the captured state: {sorted(place)}"
        elif self._kind in _SWAPPED and not (folder / "trash" / self._old).exists():
            problem = problem or "the old database is gone"
        shutil.rmtree(folder)
        return outcome.hits, problem and f"{outcome.call_at(point)}: {problem}"

    def _copy(self, name: str) -> Path:
        folder = self._folder / name
        subprocess.run(["cp", "-a", self._folder / "prepared", folder], check=True)
        # A copy has other inodes, and the same times.
        looks = KIND.look(folder / "place" / "memory.db")
        (folder / "expected.json").write_bytes(msgspec.json.encode(looks))
        return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("mode", "kind", "action"), _CASES)
def test_a_restore_that_is_cut_short_leaves_one_state_and_is_finished_by_the_next_run(
    killpoint: Killpoint,
    program: TracedProgram,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    mode: str,
    kind: str,
    action: str,
) -> None:
    trial = Trial(tmp_path, mode, kind, killpoint, program)
    points = chosen(thinned(_CHOICES.get(action, every(1, 0))), trial.calls)
    with ThreadPoolExecutor(_THREADS) as threads:
        results = list(threads.map(lambda point: trial.strike(point, action), points))
    struck = sum(hits > 0 for hits, _ in results)
    problems = [problem for _, problem in results if problem]
    what = f"memory restore {mode} {kind} {action}"
    record_property(POINTS, f"{what}: {len(points)} of {len(trial.calls)} points ran, {struck} struck")
    assert not problems, "\n".join(problems[:10])
    assert struck
