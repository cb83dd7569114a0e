"""A watch takes a checkpoint after each burst of changes, and of nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, Queue

import pytest

from chronos.errors import LockedError, UsageError
from historian.guard import Pace, Watched, watch
from tests.historian.guard.conftest import JudgedProgram
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes

QUICK = Pace(settle_s=0.2, every_s=0.0)
_LIMIT_S = 60.0


class Watching:
    """A watch in a thread: what it tells of comes one by one."""

    def __init__(self, tree: RepoBuilder, pace: Pace, **variables: str) -> None:
        self.events: Queue[Watched] = Queue()
        self.stop = threading.Event()
        self._tree, self._pace, self._variables = tree, pace, variables
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        with self._tree.engine(**self._variables) as engine:
            for event in watch(engine, self._pace, self.stop):
                self.events.put(event)

    def next(self) -> Watched:
        return self.events.get(timeout=_LIMIT_S)

    def quiet(self, seconds: float = 1.2) -> bool:
        """Tell whether nothing happens for a while."""
        try:
            self.events.get(timeout=seconds)
        except Empty:
            return True
        return False

    def end(self) -> list[Watched]:
        """End the watch; return what it still told of."""
        self.stop.set()
        self._thread.join(_LIMIT_S)
        return list(self.events.queue)


Start = Callable[..., Watching]


@pytest.fixture
def start(tree: RepoBuilder) -> Iterator[Start]:
    """Begin a watch, and return it when it has its first checkpoint."""
    begun: list[Watching] = []

    def begin(pace: Pace = QUICK, **variables: str) -> Watching:
        found = Watching(tree, pace, **variables)
        begun.append(found)
        assert found.next().kind.value == "started"
        assert found.next().kind.value == "checkpoint"
        return found

    yield begin
    for one in begun:
        one.end()


def test_a_burst_by_anybody_is_one_checkpoint(tree: RepoBuilder, start: Start) -> None:
    watching = start()
    for number in range(20):
        tree.write(f"{number}.txt", "x")
        time.sleep(0.01)
    found = watching.next()
    assert found.created is not None
    assert found.created.name == "watch"
    assert tree.engine().list_checkpoints()[0].trigger == "automatic"
    assert found.changed >= 20
    assert watching.quiet()


def test_git_the_store_and_ignored_files_wake_nobody(tree: RepoBuilder, start: Start) -> None:
    watching = start()
    tree.write("build/out", "x")
    tree.write("other.db", "x")
    tree.git("tag", "one")
    tree.git("status")
    tree.engine().create_checkpoint("mine")
    assert watching.quiet()
    assert [row.name for row in tree.engine().list_checkpoints()] == ["mine", "watch begins"]


def test_a_state_that_comes_back_is_none(tree: RepoBuilder, start: Start) -> None:
    watching = start()
    tree.write("a.txt", "other\n")
    tree.write("a.txt", "one\n")
    assert watching.quiet()


def test_memory_wakes_it_though_git_ignores_it(tree: RepoBuilder, start: Start) -> None:
    place = make_notes(tree.path("data/memory/notes.db"), journal="wal")
    watching = start()
    add_notes(place, "another")
    assert watching.next().kind.value == "checkpoint"
    assert watching.quiet()


def test_ten_thousand_files_at_once_are_held(tree: RepoBuilder, start: Start) -> None:
    watching = start()
    tree.path("many").mkdir()
    for number in range(10_000):
        tree.path(f"many/{number}").write_bytes(b"%d" % number)
    files, end = 0, time.monotonic() + _LIMIT_S
    while files < 10_000 and time.monotonic() < end:
        created = watching.next().created
        assert created is not None
        files = created.files_changed
    assert files == 10_000


def test_checkpoints_keep_their_distance_and_the_last_change_is_held_at_the_end(
    tree: RepoBuilder, start: Start
) -> None:
    watching = start(Pace(settle_s=0.1, every_s=1000.0))
    tree.write("a.txt", "x\n")
    assert watching.quiet()
    checkpoint, stopped = watching.end()
    assert checkpoint.created is not None
    assert (checkpoint.created.name, stopped.kind.value) == ("watch ends", "stopped")


def test_a_quota_is_said_once_and_kept(tree: RepoBuilder, start: Start) -> None:
    watching = start(Pace(settle_s=0.1, every_s=0.0, quota=2))
    tree.write("a.txt", "x\n")
    assert watching.next().kind.value == "checkpoint"
    tree.write("a.txt", "y\n")
    found = watching.next()
    assert (found.kind.value, "2 checkpoints in an hour" in found.message) == ("quota", True)
    tree.write("a.txt", "z\n")
    assert watching.quiet()
    assert [one.kind.value for one in watching.end()] == ["checkpoint", "stopped"]


def test_a_checkpoint_that_fails_is_said_and_taken_later(tree: RepoBuilder, start: Start) -> None:
    watching = start(CHRONOS_LOCK_TIMEOUT="0.1")
    engine = tree.engine()
    with engine._here.workspace() as workspace, workspace.store.working_on("main"):
        tree.write("a.txt", "x\n")
        failed = watching.next()
        assert (failed.kind.value, "is held by" in failed.message) == ("failed", True)
    found = watching.next()
    while found.kind.value == "failed":
        found = watching.next()
    assert found.kind.value == "checkpoint"


def test_one_tree_has_one_watch(tree: RepoBuilder, start: Start) -> None:
    watching = start()
    with pytest.raises(LockedError, match="watched already"):
        list(watch(tree.engine(), QUICK, threading.Event()))
    watching.end()
    stop = threading.Event()
    again = watch(tree.engine(), QUICK, stop)
    assert next(again).kind.value == "started"
    again.close()


def test_a_timeline_is_watched_by_itself(tree: RepoBuilder, start: Start) -> None:
    start()
    with tree.engine() as engine:
        engine.branch_timeline("side")
        with engine.open_timeline("side") as there:
            stop = threading.Event()
            side = watch(there, QUICK, stop)
            assert next(side).kind.value == "started"
            threading.Timer(1.0, (there.root / "new.txt").write_text, ["x"]).start()  # when it has begun
            found = next(one for one in side if one.paths)
            assert found.paths == (b"new.txt",)
            side.close()


@pytest.mark.parametrize("pace", [(0.0, 1.0, 1), (-1.0, 1.0, 1), (1.0, -1.0, 1), (1.0, 1.0, 0), (float("nan"), 1.0, 1)])
def test_a_pace_that_is_none_is_refused(pace: tuple[float, float, int]) -> None:
    with pytest.raises(UsageError, match="no such pace"):
        Pace(*pace)


@contextmanager
def program(chrono: JudgedProgram, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*chrono.command, "watch", "--settle", "0.2", "--every", "0", *words], cwd=chrono.folder,
        env=chrono.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_program_prints_a_line_for_each_and_ends_cleanly(chrono: JudgedProgram, tree: RepoBuilder) -> None:
    with program(chrono, "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "started"
        assert json.loads(process.stdout.readline())["event"] == "checkpoint"
        tree.write("a.txt", "x\n")
        line = json.loads(process.stdout.readline())
        assert (line["event"], line["paths"], line["created"]) == ("checkpoint", ["a.txt"], True)
        second = chrono.run("watch", "--json")
        assert (second.code, second.error["code"]) == (3, "locked")
        tree.write("b.txt", "pending\n")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=_LIMIT_S)
        assert (process.returncode, err) == (0, "")
        assert json.loads(out.splitlines()[-1])["event"] == "stopped"
    assert chrono.good("checkpoint", "diff", "@", "--json").json["differences"] == []


def test_wrong_options_are_said(chrono: JudgedProgram) -> None:
    assert chrono.run("watch", "--quota", "many").code == 2
    assert chrono.run("watch", "--settle", "0").code == 2
