"""Several processes at once on one store: nothing is lost, nothing is damaged, and who waits is told for whom."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from chronos import locks
from chronos.catalog import open_catalog
from chronos.checkpoints import Capture, Store, seal
from chronos.errors import LockedError
from tests.support import RepoBuilder
from tests.support.sealing import PROJECT

CREATE = """
import sys
from chronos import ChronosEngine
with ChronosEngine(root=sys.argv[1]) as engine:
    for number in range(int(sys.argv[3])):
        print(engine.create_checkpoint(f"{sys.argv[2]} {number}"), flush=True)
"""
DELETE = """
import sys
from chronos import ChronosEngine
with ChronosEngine(root=sys.argv[1]) as engine:
    for checkpoint in sys.argv[2:]:
        engine.delete_checkpoint(checkpoint)
        print(checkpoint, flush=True)
"""
READ = """
import sys
from chronos import ChronosEngine
with ChronosEngine(root=sys.argv[1]) as engine:
    for _ in range(int(sys.argv[2])):
        rows = engine.list_checkpoints()
        assert len({row.sequence for row in rows}) == len(rows)
        for row in rows[:2]:
            engine.show_checkpoint(row.checkpoint_id)
"""
LOOK = """
import sys
from chronos import ChronosEngine
with ChronosEngine(root=sys.argv[1]) as engine:
    for _ in range(int(sys.argv[2])):
        engine.status()
        engine.diff("@")
"""


def start(repo: RepoBuilder, program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(repo.root), *map(str, arguments)],
        env={**repo.environment, "PYTHONPATH": str(PROJECT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[list[str]]:
    """Wait for all and return the lines that each printed."""
    answers = [process.communicate(timeout=120) for process in processes]
    for process, (_, trouble) in zip(processes, answers, strict=True):
        assert process.returncode == 0, trouble[-3000:]
    return [output.split() for output, _ in answers]


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("a.txt", "edited\n")
    repo.write("new.bin", os.urandom(50_000))
    return repo


def test_two_processes_that_create_at_once_lose_nothing(work: RepoBuilder) -> None:
    printed = finish([start(work, CREATE, name, 5) for name in ("one", "two")])
    ids = {checkpoint for lines in printed for checkpoint in lines}
    engine = work.engine()
    rows = engine.list_checkpoints()
    assert len(ids) == 10
    assert {row.checkpoint_id for row in rows} == ids
    assert sorted(row.sequence for row in rows) == list(range(1, 11))
    assert {operation.checkpoints[0].checkpoint_id for operation in engine.list_operations()} == ids
    assert engine.verify(deep=True) == []


def test_the_first_checkpoints_of_two_processes_share_one_store(work: RepoBuilder) -> None:
    finish([start(work, CREATE, name, 1) for name in ("one", "two", "three")])
    engine = work.engine()
    assert engine.count_checkpoints() == 3
    assert len(work.git("for-each-ref", "refs/chronos").splitlines()) == 1, "one store id, one base, one ref"
    assert engine.verify(deep=True) == []
    assert (work.root / ".git/info/exclude").read_text().count("/data/timelines/") == 1


def test_deleting_beside_creating_loses_nothing_else(work: RepoBuilder) -> None:
    with work.engine() as engine:
        old = [engine.create_checkpoint(f"old {number}") for number in range(4)]
    created, deleted = finish([start(work, CREATE, "new", 4), start(work, DELETE, *old[:3])])
    engine = work.engine()
    assert {row.checkpoint_id for row in engine.list_checkpoints()} == {*created, old[3]}
    assert deleted == old[:3]
    assert engine.verify(deep=True) == []
    for _ in range(3 + 4):
        engine.undo()
    assert {row.checkpoint_id for row in engine.list_checkpoints()} == set(old)


def test_readers_are_not_disturbed_by_writers(work: RepoBuilder) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("first")
    finish([start(work, CREATE, "new", 5), start(work, READ, 20), start(work, READ, 20)])


def test_who_only_looks_disturbs_no_create_while_the_index_moves(work: RepoBuilder) -> None:
    """They hold no lock of the store, and share the private copy of the index with it."""
    for number in range(300):
        work.write(f"many/{number}.txt", f"{number}\n")
    work.commit()
    with work.engine() as engine:
        engine.create_checkpoint("first")
    processes = [start(work, CREATE, "new", 12), start(work, LOOK, 12), start(work, LOOK, 12)]
    while any(process.poll() is None for process in processes):
        work.git("update-index", "--force-write-index", "--add", "new.bin")
        work.git("update-index", "--force-write-index", "--force-remove", "new.bin")
        time.sleep(0.01)
    finish(processes)


def test_worktrees_create_side_by_side(work: RepoBuilder) -> None:
    work.git("worktree", "add", "-q", "-b", "topic", str(work.root.parent / "topic"))
    other = RepoBuilder(work.root.parent / "topic", work.environment)
    finish([start(work, CREATE, "main", 4), start(other, CREATE, "topic", 4)])
    engine = work.engine()
    assert engine.count_checkpoints("main") == engine.count_checkpoints("topic") == 4
    assert engine.verify(deep=True) == []


def test_a_scratch_folder_that_was_swept_before_it_was_locked_is_made_again(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making a scratch folder and locking it, another process may take it for the rubbish of a dead one."""
    engine = work.engine()
    engine.create_checkpoint("first")
    take_folder = locks.take_folder
    swept: list[Path] = []

    def interfered(path: Path) -> int | None:
        if not swept:
            swept.append(path)
            shutil.rmtree(path)
        return take_folder(path)

    monkeypatch.setattr(locks, "take_folder", interfered)
    work.write("a.txt", "edited again\n")
    engine.create_checkpoint("second")
    assert swept
    assert [row.name for row in engine.list_checkpoints()] == ["second", "first"]
    assert list((work.store / ".store/tmp").iterdir()) == []


def test_a_held_lock_is_waited_for_and_then_named(work: RepoBuilder) -> None:
    with work.engine() as engine:
        checkpoint = engine.create_checkpoint("first")
    engine = work.engine(CHRONOS_LOCK_TIMEOUT="0.05")
    with open(work.store / ".store/locks/timeline-main", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 4711 (somebody)")
        lock.flush()
        with pytest.raises(LockedError, match="4711"):
            engine.create_checkpoint("second")
        assert [row.name for row in engine.list_checkpoints()] == ["first"], "reading takes no lock"
        assert engine.show_checkpoint(checkpoint).row.name == "first"
    engine.create_checkpoint("second")


def test_a_killed_process_holds_no_lock(work: RepoBuilder) -> None:
    holding = """
import fcntl, os, signal, sys
for name in ("store", "timeline-main", "operations"):
    descriptor = os.open(f"{sys.argv[1]}/data/timelines/.store/locks/{name}", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with work.engine() as engine:
        engine.create_checkpoint("first")
    process = start(work, holding)
    process.communicate()
    assert process.returncode == -9
    work.engine(CHRONOS_LOCK_TIMEOUT="0.05").create_checkpoint("second")


def test_verify_beside_creates_finds_nothing_wrong_and_hinders_nobody(work: RepoBuilder) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("first")
    findings: list[str] = []
    enough = threading.Event()

    def verify_on() -> None:
        while not enough.is_set():
            with work.engine() as beside:
                findings.extend(
                    f"{found.subject}: {found.problem}" for found in beside.verify(deep=True) if found.severity
                )

    watcher = threading.Thread(target=verify_on)
    watcher.start()
    try:
        for number in range(25):
            work.write("a.txt", f"edit {number}\n")
            with work.engine() as engine:
                engine.create_checkpoint(f"number {number}")
    finally:
        enough.set()
        watcher.join()
    assert findings == []


def test_a_catalog_that_is_emptied_while_a_checkpoint_is_sealed_hides_none(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine()
    engine.create_checkpoint("one")
    engine.create_checkpoint("two")
    real = seal.pin_bases

    def empty(store: Store, capture: Capture) -> None:
        with closing(open_catalog(store.layout.catalog)) as catalog:
            catalog.clear()
        real(store, capture)

    monkeypatch.setattr(seal, "pin_bases", empty)
    engine.create_checkpoint("three")
    assert [row.name for row in work.engine().list_checkpoints()] == ["three", "two", "one"]
    assert work.engine().verify() == []
