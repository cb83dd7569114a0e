"""The tracer itself: it sees every call that could change something, and each action does exactly what it says."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import exercise, strace_log
from tests.faults.harness import KILL, KILL_AFTER, Killpoint, Outcome, fail_from_then_on, fail_once

EROFS = 30
ENOSPC = 28
EXERCISE = [sys.executable, "-B", str(Path(exercise.__file__))]
TEN_FILES = [
    sys.executable,
    "-c",
    "for n in range(10):\n try: open(f'file{n}', 'x').close()\n except OSError as e: print(n, e.errno)",
]
TRIES = """
import os
def attempt(call, *arguments):
    try: return call(*arguments)
    except OSError: return None
for _ in range(2): attempt(os.mkdir, "folder")
for flags in (os.O_CREAT, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_CREAT | os.O_TRUNC):
    handle = attempt(os.open, "file", flags | os.O_WRONLY)
    if handle is not None:
        os.write(handle, b"%d" % handle)
        os.fsync(handle)
os.symlink("dangling", "link")
os.open("link", os.O_CREAT | os.O_WRONLY)
os.rename("file", "renamed")
for path in ("file", "renamed"): attempt(os.unlink, path)
os.sync()
"""
FAMILY = """
import os, subprocess, sys, threading, time
child = subprocess.Popen(["/bin/sleep", "600"])
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print(os.getpid(), child.pid, flush=True)
os.mkdir("made")
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the files that the exercise works on."""
    folder = tmp_path / "place"
    folder.mkdir()
    exercise.prepare(folder)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which git has no configuration and a fixed clock."""
    dates = {"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "TZ": "UTC", **dates}


def _marks(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a change would leave behind, times included."""
    marks: dict[str, tuple[object, ...]] = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        about = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        names = tuple(os.listxattr(path, follow_symlinks=False))
        key = path.relative_to(folder).as_posix()
        marks[key] = (
            about.st_mode,
            about.st_nlink,
            about.st_size,
            about.st_mtime_ns,
            about.st_ctime_ns,
            content,
            names,
        )
    return marks


def _as_counter(outcome: Outcome) -> Counter[tuple[str, str]]:
    return Counter((call.name, strace_log.mask(call.target)) for call in outcome.calls)


def test_every_mutating_call_that_strace_sees_is_counted(
    killpoint: Killpoint, place: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """The same program under both: the same calls on the same names, equally often, and no call of an unknown kind."""
    if strace_log.find_strace() is None:
        pytest.skip("strace is missing: nothing to compare the tracer with")
    counted = _as_counter(killpoint.run(EXERCISE, cwd=place, environment=environment))
    place.rename(tmp_path / "used")
    place.mkdir()
    exercise.prepare(place)
    seen = strace_log.run(EXERCISE, cwd=place, environment=environment, folder=tmp_path / "strace")
    unknown = {call.name for call in seen} - strace_log.HARMLESS - killpoint.names()
    assert not unknown, f"decide whether these can change a file system: {sorted(unknown)}"
    expected = Counter((call.name, call.target) for call in seen if strace_log.is_mutating(call))
    assert expected.total() > 100
    assert (expected - counted, counted - expected) == (Counter(), Counter())


def test_nothing_changes_when_every_counted_call_is_refused(
    killpoint: Killpoint, place: Path, environment: dict[str, str]
) -> None:
    """A kind of call that the tracer missed would leave its mark here."""
    before = _marks(place)
    outcome = killpoint.run(EXERCISE, cwd=place, environment=environment, point=1, action=fail_from_then_on(EROFS))
    assert outcome.hits == len(outcome.calls) > 40
    assert _marks(place) == before
    killpoint.run(EXERCISE, cwd=place, environment=environment)
    assert _marks(place) != before


@pytest.mark.parametrize("point", [1, 4, 10])
def test_kill_stops_before_the_call_and_killafter_behind_it(killpoint: Killpoint, tmp_path: Path, point: int) -> None:
    for action, made in ((KILL, point - 1), (KILL_AFTER, point)):
        folder = tmp_path / action
        folder.mkdir()
        outcome = killpoint.run(TEN_FILES, cwd=folder, environment={}, point=point, action=action)
        assert (outcome.exit_code, outcome.hits, len(outcome.calls)) == (-9, 1, point)
        assert len(list(folder.iterdir())) == made


def test_kill_takes_children_and_threads_along(killpoint: Killpoint, tmp_path: Path) -> None:
    outcome = killpoint.run([sys.executable, "-c", FAMILY], cwd=tmp_path, environment={}, point=1, action=KILL_AFTER)
    pids = outcome.stdout.split()
    assert len(pids) == 2
    assert not [pid for pid in pids if Path("/proc", pid, "exe").exists()]
    assert (tmp_path / "made").is_dir()


def test_an_error_strikes_once_or_from_then_on(killpoint: Killpoint, tmp_path: Path) -> None:
    for action, struck in ((fail_once(ENOSPC), [4]), (fail_from_then_on(ENOSPC), [4, 5, 6, 7, 8, 9])):
        folder = tmp_path / action.replace(":", "")
        folder.mkdir()
        outcome = killpoint.run(TEN_FILES, cwd=folder, environment={}, point=5, action=action)
        assert outcome.stdout.split("\n")[:-1] == [f"{number} {ENOSPC}" for number in struck]
        assert (outcome.exit_code, outcome.hits, len(outcome.calls)) == (0, len(struck), 10)


def test_a_point_that_is_not_reached_changes_nothing(killpoint: Killpoint, tmp_path: Path) -> None:
    outcome = killpoint.run(TEN_FILES, cwd=tmp_path, environment={}, point=11, action=KILL)
    assert (outcome.exit_code, outcome.hits, len(outcome.calls)) == (0, 0, 10)


def test_a_call_that_changes_nothing_is_told_from_one_that_may(killpoint: Killpoint, tmp_path: Path) -> None:
    """By the disk itself: a kill behind such a call finds what a kill before it finds, and so for no other call."""

    def disk_after(name: str, point: int, action: str) -> dict[str, tuple[object, ...]]:
        folder = tmp_path / name
        folder.mkdir()
        killpoint.run([sys.executable, "-c", TRIES], cwd=folder, environment={}, point=point, action=action)
        return {path: (mode, size, content) for path, (mode, _, size, _, _, content, _) in _marks(folder).items()}

    (tmp_path / "counted").mkdir()
    counted = killpoint.run([sys.executable, "-c", TRIES], cwd=tmp_path / "counted", environment={})
    assert (counted.exit_code, len(counted.calls)) == (0, 18), counted
    for call in counted.calls:
        before, behind = (disk_after(f"{action}{call.number}", call.number, action) for action in (KILL, KILL_AFTER))
        assert call.changes == ({**before, ".": ()} != {**behind, ".": ()}), call
