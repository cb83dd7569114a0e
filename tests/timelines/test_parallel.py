"""Several processes at once on timelines of one store: nothing is lost, and nobody finds anything half-made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.parallel import make_database, measure
from chronos import ChronosEngine, locks
from chronos.config import Surroundings
from chronos.errors import LockedError
from chronos.operations import Operation, OperationKind, TreeMove, new_operation_id, stamp
from chronos.pool import add_check
from tests.support import RepoBuilder
from tests.support.databases import add_notes, read_notes, run_sql
from tests.support.sealing import PROJECT
from tests.timelines.conftest import tree_at

TIMELINES, EDITS = 4, 5
BRANCH = """
import sys
from chronos import ChronosEngine
from chronos.errors import TimelineExistsError
with ChronosEngine(root=sys.argv[1]) as engine:
    try:
        engine.branch_timeline(sys.argv[2])
        print("made")
    except TimelineExistsError as error:
        print("taken")
"""
GC = """
import sys
from chronos import ChronosEngine
with ChronosEngine(root=sys.argv[1]) as engine:
    for _ in range(int(sys.argv[2])):
        engine.gc()
        assert engine.verify() == []
"""
# Merges into its own tree, again and again, what another one has; the lock is waited for far longer than that takes.
MERGE = """
import sys
from pathlib import Path
from chronos import ChronosEngine
root, source, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
with ChronosEngine(root=root) as engine:
    for number in range(rounds):
        Path(root, f"of-{engine.timeline}.txt").write_text(f"{number}\\n")
        engine.merge_timeline(source)
"""
# Pairs of files that always say the same, and a database whose tables do.
WRITE = """
import itertools, sqlite3, sys
from pathlib import Path
tree = Path(sys.argv[1])
connection = sqlite3.connect(tree / "data/memory/notes.db", timeout=60)
for number in itertools.count():
    (tree / "busy.txt").write_text(f"{number}\\n" * 500)
    with connection:
        connection.execute("INSERT INTO notes (body) VALUES (?)", [f"busy {number}"])
        connection.execute("UPDATE totals SET notes = notes + 1")
    print(number, flush=True)
"""


def start(repo: RepoBuilder, program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**repo.environment, "PYTHONPATH": str(PROJECT), "CHRONOS_LOCK_TIMEOUT": "120"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(*processes: subprocess.Popen[str]) -> list[str]:
    """Wait for all and return what each printed."""
    answers = [process.communicate(timeout=300) for process in processes]
    for process, (_, trouble) in zip(processes, answers, strict=True):
        assert process.returncode == 0, trouble[-3000:]
    return [output.strip() for output, _ in answers]


def timelines_of(engine: ChronosEngine) -> list[str]:
    return [one.name for one in engine.list_timelines()]


def worktrees_of(repo: RepoBuilder) -> int:
    return repo.git("worktree", "list", "--porcelain").count("worktree ")


def test_processes_that_branch_and_work_at_once_beside_gc_and_verify_lose_nothing(repo: RepoBuilder) -> None:
    """The full size, 16 timelines with 20 edits each, is `python -m benchmarks.parallel measure`."""
    for number in range(20):
        repo.write(f"file{number}.txt", f"{number}\n" * 50)
    repo.commit()
    repo.write("file1.txt", "edited\n")
    make_database(repo.root)
    report = measure(repo.root, repo.environment, TIMELINES, EDITS)
    assert report.errors == []
    assert report.checkpoints == TIMELINES * EDITS
    assert report.rounds > 0


def test_of_two_processes_that_branch_one_name_at_once_one_wins(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.create_checkpoint("first")
    processes = [start(worked, BRANCH, worked.root, "agent") for _ in range(3)]
    assert sorted(finish(*processes)) == ["made", "taken", "taken"]
    assert timelines_of(engine) == ["main", "agent"]
    assert worktrees_of(worked) == 2
    assert engine.verify(deep=True) == []
    assert engine.recover() == [], "nothing was left half-made"


def test_a_branch_beside_gc_keeps_what_it_is_made_of(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.create_checkpoint("first")
    gc = start(worked, GC, worked.root, 10)
    names = [f"agent-{number}" for number in range(3)]
    made = finish(*(start(worked, BRANCH, worked.root, name) for name in names), gc)
    assert made[:3] == ["made"] * 3
    for name in names:
        tree = tree_at(engine, name, worked.environment)
        assert (tree.root / "new.txt").read_text() == "untracked\n"
        assert tree.git("status", "--porcelain") == worked.git("status", "--porcelain")
    assert engine.verify(deep=True) == []


@pytest.fixture
def busy(engine: ChronosEngine, worked: RepoBuilder) -> Path:
    """The tree of a timeline in which a process may write without a pause."""
    tree = engine.create_timeline("agent")
    run_sql(worked.root / "data/memory/notes.db", "UPDATE notes SET body = 'of the first' WHERE id = 1")
    return tree


def test_a_merge_takes_one_moment_of_a_source_that_is_being_written(
    engine: ChronosEngine, worked: RepoBuilder, busy: Path
) -> None:
    writer = start(worked, WRITE, busy)
    try:
        assert writer.stdout
        for _ in range(3):
            writer.stdout.readline()
        done = engine.merge_timeline("agent")
    finally:
        writer.kill()
        writer.communicate()
    assert done.is_done
    notes = read_notes(worked.root / "data/memory/notes.db")
    assert notes[0] == "of the first"
    assert notes[3:] == [f"busy {number}" for number in range(len(notes) - 3)]
    lines = (worked.root / "busy.txt").read_text().split()
    assert len(set(lines)) <= 1, "one moment of the file, which the writer empties first"
    assert engine.verify(deep=True) == []
    engine.undo()
    assert not (worked.root / "busy.txt").exists()


def test_a_branch_in_progress_is_no_finding_and_one_that_was_cut_short_is(engine: ChronosEngine) -> None:
    engine.create_checkpoint("first")
    move = TreeMove("agent", True, "agent/.worktree", "chronos/agent", None)
    begun = Operation(new_operation_id(), OperationKind.BRANCH, "main", stamp(), "branch agent from first", tree=move)
    note = engine.store_path / ".store/journal" / f"{begun.operation}.tree"
    note.write_bytes(add_check(msgspec.json.encode(begun)))
    with locks.hold(engine.store_path / ".store/locks/timeline-agent", timeout_s=10):
        assert engine.verify() == []
    assert [finding.problem for finding in engine.verify()] == ["branch agent from first was interrupted"]
    assert engine.recover() == ["took back the interrupted branch agent from first"]
    assert engine.verify() == []


def test_who_waits_in_vain_is_told_for_whom_and_nothing_is_begun(
    engine: ChronosEngine, worked: RepoBuilder, busy: Path
) -> None:
    surroundings = Surroundings({**worked.environment, "CHRONOS_LOCK_TIMEOUT": "0.1"}, worked.root)
    with ChronosEngine(root=worked.root, surroundings=surroundings) as hasty:
        plan = hasty.plan_delete_timeline("agent")
        with locks.hold(engine.store_path / ".store/locks/store", timeout_s=10):
            for begin in (
                lambda: hasty.branch_timeline("other"),
                lambda: hasty.delete_timeline("agent", plan_id=plan.plan_id),
                lambda: hasty.merge_timeline("agent"),
            ):
                with pytest.raises(LockedError, match=f"store is held by process {os.getpid()}"):
                    begin()
    assert timelines_of(engine) == ["main", "agent"]
    assert worktrees_of(worked) == 2
    assert engine.recover() == []


def test_a_timeline_is_deleted_while_a_program_runs_in_its_tree(
    engine: ChronosEngine, worked: RepoBuilder, busy: Path
) -> None:
    """The tree is moved, not removed: what the program has open it keeps writing, and undo brings all of it back."""
    writer = start(worked, WRITE, busy)
    try:
        assert writer.stdout
        writer.stdout.readline()
        engine.delete_timeline("agent")
    finally:
        writer.kill()
        writer.communicate()
    assert timelines_of(engine) == ["main"]
    assert worktrees_of(worked) == 1
    assert engine.verify(deep=True) == []
    engine.undo()
    assert timelines_of(engine) == ["main", "agent"]
    assert "busy 0" in read_notes(busy / "data/memory/notes.db")
    add_notes(busy / "data/memory/notes.db", "later")
    with engine.open_timeline("agent") as other:
        assert other.create_checkpoint("later")


def test_two_timelines_that_merge_each_other_at_once_do_not_block_each_other(
    worked: RepoBuilder, engine: ChronosEngine
) -> None:
    there = engine.branch_timeline("other").path
    finish(start(worked, MERGE, worked.root, "other", 6), start(worked, MERGE, there, "main", 6))
    assert (worked.root / "of-other.txt").is_file() and (there / "of-main.txt").is_file()
    assert engine.verify() == []
