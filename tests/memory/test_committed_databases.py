"""Committed databases: files of the code while nothing in them changes, and replaced as databases all the same.

A program that has one open must be able to go on with it, and what it commits in that moment must be there afterwards.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from chronos.checkpoints import code_databases
from chronos.errors import StoreInUseError
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes

DB = "app.db"
# Says when it has the database open, and runs each line that it is given as SQL.
_PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
connection.execute("SELECT count(*) FROM notes").fetchone()
print("open", flush=True)
for line in sys.stdin:
    try:
        connection.execute(line)
        print("done", flush=True)
    except sqlite3.Error as cause:
        print(cause, flush=True)
"""


class Program:
    """Another process that has a database open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self.answer() == "open"

    def run(self, sql: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(sql + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def opened(path: Path) -> Iterator[Program]:
    command = [sys.executable, "-c", _PROGRAM, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Program(process)
        finally:
            process.kill()


@pytest.fixture(params=["delete", "wal"])
def commits(repo: RepoBuilder, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Two checkpoints, of two commits with a database of 20 and 21 notes; the second is what is there now."""
    make_notes(repo.path(DB), journal=request.param)
    repo.write("a.txt", "one\n")
    repo.commit()
    first = repo.engine().create_checkpoint("first")
    add_notes(repo.path(DB), "second")
    repo.write("a.txt", "two\n")
    repo.commit()
    return first, repo.engine().create_checkpoint("second")


def test_a_committed_database_goes_back_and_forth_between_commits(repo: RepoBuilder) -> None:
    make_notes(repo.path("app.db"))
    repo.commit()
    engine = repo.engine()
    first = engine.create_checkpoint("first")
    add_notes(repo.path("app.db"), "committed")
    repo.commit()
    engine.restore_checkpoint(first)
    assert len(read_notes(repo.path("app.db"))) == 20
    engine.undo()
    assert read_notes(repo.path("app.db"))[-1] == "committed"
    repo.remove("app.db")
    repo.commit()
    engine.restore_checkpoint(first)
    assert len(read_notes(repo.path("app.db"))) == 20
    engine.undo()
    assert not repo.exists("app.db")
    assert engine.status().interrupted == 0


def test_a_program_goes_on_with_a_committed_database_that_was_restored(
    repo: RepoBuilder, commits: tuple[str, str]
) -> None:
    engine = repo.engine()
    with opened(repo.path(DB)) as program:
        for go_back, count in (
            (lambda: engine.restore_checkpoint(commits[0]), 20),
            (lambda: engine.undo(), 21),
            (lambda: engine.redo(), 20),
            (lambda: engine.restore_checkpoint(commits[1]), 21),
        ):
            assert go_back().kept == ()
            assert len(read_notes(repo.path(DB))) == count
            assert repo.read("a.txt") == (b"one\n" if count == 20 else b"two\n")
        assert program.run("INSERT INTO notes (body) VALUES ('after')") == "done"
        assert program.run("UPDATE totals SET notes = notes + 1") == "done"
    assert read_notes(repo.path(DB))[-2:] == ["second", "after"]


def test_a_committed_database_in_the_middle_of_a_transaction_is_not_replaced(
    repo: RepoBuilder, commits: tuple[str, str]
) -> None:
    with opened(repo.path(DB)) as program:
        assert program.run("BEGIN IMMEDIATE") == "done"
        assert program.run("INSERT INTO notes (body) VALUES ('mine')") == "done"
        with pytest.raises(StoreInUseError):
            repo.engine(lock_timeout_s=1).restore_checkpoint(commits[0])
        assert program.run("UPDATE totals SET notes = notes + 1") == "done"
        assert program.run("COMMIT") == "done"
    assert read_notes(repo.path(DB))[-2:] == ["second", "mine"]
    assert repo.read("a.txt") == b"two\n"


@pytest.mark.parametrize("parts", [{"code": True}, {"paths": [DB]}])
def test_a_committed_database_is_code_for_who_asks_for_the_code(
    repo: RepoBuilder, commits: tuple[str, str], parts: dict[str, object]
) -> None:
    options = {"memory": False} if "code" in parts else parts
    assert repo.engine().restore_checkpoint(commits[0], **options).kept == ()
    assert len(read_notes(repo.path(DB))) == 20
    repo.engine().undo()
    assert len(read_notes(repo.path(DB))) == 21


def test_a_committed_database_that_came_later_goes_and_comes_back(repo: RepoBuilder) -> None:
    repo.write("a.txt", "one\n")
    repo.commit()
    engine = repo.engine()
    before = engine.create_checkpoint("before")
    make_notes(repo.path(DB))
    repo.commit()
    assert engine.restore_checkpoint(before).kept == ()
    assert not repo.exists(DB)
    engine.undo()
    assert len(read_notes(repo.path(DB))) == 20


@pytest.mark.parametrize("other", [b"no database\n", b"", b"SQLite format 3\0" + bytes(496)])
def test_a_committed_database_gives_way_to_what_is_none(repo: RepoBuilder, other: bytes) -> None:
    repo.write(DB, other)
    repo.commit()
    engine = repo.engine()
    before = engine.create_checkpoint("before")
    repo.path(DB).unlink()
    make_notes(repo.path(DB))
    repo.commit()
    assert engine.restore_checkpoint(before).kept == ()
    assert repo.read(DB) == other
    engine.undo()
    assert len(read_notes(repo.path(DB))) == 20


@pytest.mark.parametrize("is_log", [True, False])
def test_a_committed_database_does_not_come_back_beside_the_log_of_a_lost_one(repo: RepoBuilder, is_log: bool) -> None:
    repo.write(".gitignore", "*-wal\n*-shm\n")
    make_notes(repo.path(DB), journal="wal")
    repo.commit()
    checkpoint = repo.engine().create_checkpoint("wanted")
    connection = sqlite3.connect(repo.path(DB), isolation_level=None)
    connection.execute("INSERT INTO notes (body) VALUES ('lost')")
    log = repo.read(f"{DB}-wal") if is_log else b"notes about the log"
    connection.close()
    repo.path(DB).unlink()
    repo.write(f"{DB}-wal", log)
    kept = repo.engine().restore_checkpoint(checkpoint).kept
    if is_log:  # it is held, and goes
        assert kept == () and not repo.exists(f"{DB}-wal")
        repo.engine().undo()
        assert repo.read(f"{DB}-wal") == log and not repo.exists(DB)
        repo.engine().redo()
    else:
        assert [row.path for row in kept] == [DB.encode()] and f"{DB}-wal" in kept[0].reason
        assert repo.read(f"{DB}-wal") == log and not repo.exists(DB)
        repo.path(f"{DB}-wal").unlink()
        assert repo.engine().restore_checkpoint(checkpoint).kept == ()
    assert len(read_notes(repo.path(DB))) == 20


@pytest.mark.parametrize("tables", [False, True])
def test_a_database_that_is_committed_in_one_of_two_states_has_changed_and_neither_come_nor_gone(
    repo: RepoBuilder, tables: bool
) -> None:
    make_notes(repo.path(DB))
    repo.commit()
    engine = repo.engine()
    clean = engine.create_checkpoint("clean")
    add_notes(repo.path(DB), "changed")
    changed = engine.create_checkpoint("changed")
    for old, new in ((clean, changed), (clean, None), (changed, clean)):
        (difference,) = engine.diff_memory(old, new, tables=tables)
        assert (difference.path, difference.status) == (DB, "M")
        assert not tables or [table.name for table in difference.tables if table.added or table.changed]
    assert not engine.diff(clean, changed)
    repo.commit()
    assert engine.diff_memory(changed, None, tables=tables) == []
    assert engine.status().stores == (), "what is as it was when it was committed has not gone"


def test_rows_of_a_database_that_was_committed_in_both_states_are_compared(
    repo: RepoBuilder, commits: tuple[str, str]
) -> None:
    engine = repo.engine()
    (difference,) = engine.diff_memory(*commits)
    assert {table.name: table.added for table in difference.tables} == {"notes": 1, "totals": 1}
    assert [row.path for row in engine.diff(*commits)] == [b"a.txt", DB.encode()]


@pytest.mark.parametrize("is_changed", [False, True])
def test_the_executable_bit_of_a_committed_database_comes_back(repo: RepoBuilder, is_changed: bool) -> None:
    make_notes(repo.path(DB))
    repo.path(DB).chmod(0o755)
    repo.commit()
    engine = repo.engine()
    first = engine.create_checkpoint("first")
    repo.path(DB).chmod(0o644)
    if is_changed:
        add_notes(repo.path(DB), "more")
    repo.commit()
    for go_back, mode in (
        (lambda: engine.restore_checkpoint(first), 0o755),
        (lambda: engine.undo(), 0o644),
        (lambda: engine.redo(), 0o755),
    ):
        assert go_back().written == 1
        assert repo.path(DB).stat().st_mode & 0o777 == mode
        assert len(read_notes(repo.path(DB))) == (21 if is_changed and mode == 0o644 else 20)


def test_a_committed_database_that_went_comes_back_with_its_mode(repo: RepoBuilder) -> None:
    repo.write("a.txt", "one\n")
    repo.commit()
    engine = repo.engine()
    before = engine.create_checkpoint("before")
    make_notes(repo.path(DB))
    repo.path(DB).chmod(0o755)
    repo.commit()
    engine.restore_checkpoint(before)
    engine.undo()
    assert repo.path(DB).stat().st_mode & 0o777 == 0o755
    assert repo.git("status", "--porcelain", "--untracked-files=no") == ""


@pytest.mark.parametrize("inner", ["x", "main.db"])
def test_a_committed_database_and_a_folder_take_turns(repo: RepoBuilder, inner: str) -> None:
    repo.write(f"{DB}/x", "x\n")
    if inner != "x":
        make_notes(repo.path(f"{DB}/{inner}"))
    repo.commit()
    engine = repo.engine()
    folder = engine.create_checkpoint("folder")
    repo.remove(f"{DB}/x")
    repo.path(f"{DB}/{inner}").unlink(missing_ok=True)
    if repo.path(DB).is_dir():
        repo.path(DB).rmdir()
    make_notes(repo.path(DB))
    repo.commit()
    assert engine.restore_checkpoint(folder).kept == ()
    assert repo.read(f"{DB}/x") == b"x\n"
    assert inner == "x" or len(read_notes(repo.path(f"{DB}/{inner}"))) == 20
    assert engine.undo().kept == ()
    assert len(read_notes(repo.path(DB))) == 20


def test_bytes_behind_the_last_page_of_a_committed_database_come_back(repo: RepoBuilder) -> None:
    make_notes(repo.path(DB))
    with open(repo.path(DB), "ab") as file:
        file.write(bytes(range(256)) * 16)
    repo.commit()
    engine, longer = repo.engine(), repo.read(DB)
    first = engine.create_checkpoint("first")
    repo.path(DB).unlink()
    make_notes(repo.path(DB), 21)
    repo.commit()
    shorter = repo.read(DB)
    engine.restore_checkpoint(first)
    assert repo.read(DB) == longer
    engine.undo()
    assert repo.read(DB) == shorter


def test_a_committed_database_whose_path_sqlite_cannot_open_comes_back(repo: RepoBuilder) -> None:
    far = "/".join(["d" * 100] * 6) + "/" + DB
    notes = make_notes(repo.path(DB)).read_bytes()
    repo.write(far, notes)
    repo.commit()
    engine = repo.engine()
    first = engine.create_checkpoint("first")
    add_notes(repo.path(DB), "more")
    repo.write(far, repo.read(DB))
    repo.commit()
    assert engine.restore_checkpoint(first).kept == ()
    assert repo.read(far) == notes


def test_each_state_of_a_database_is_read_once_for_a_restore_and_its_verification(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [repo.path(f"{number}.db") for number in range(3)]
    for place in places:
        make_notes(place)
    repo.commit()
    first = repo.engine().create_checkpoint("first")
    wanted = [read_notes(place) for place in places]
    for place in places:
        add_notes(place, "second")
    repo.commit()
    read, read_one = [], code_databases._read

    def read_anew(path: bytes, *arguments: Any) -> object:
        read.append(path)
        return read_one(path, *arguments)

    monkeypatch.setattr(code_databases, "_read", read_anew)
    repo.engine().restore_checkpoint(first)
    assert [read_notes(place) for place in places] == wanted
    assert sorted(read) == sorted([place.name.encode() for place in places] * 2)


@pytest.mark.parametrize("mode", ["persist", "truncate"])
def test_a_program_goes_on_with_a_database_that_was_committed_with_a_finished_journal(
    repo: RepoBuilder, mode: str
) -> None:
    place = make_notes(repo.path(DB), journal=mode)
    for body in ("one", "two"):
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA journal_mode={mode}")
            connection.execute("BEGIN")
            connection.execute("INSERT INTO notes (body) VALUES (?)", (body,))
            connection.execute("UPDATE totals SET notes = notes + 1")
            connection.execute("COMMIT")
        repo.commit()
        repo.engine().create_checkpoint(body)
    assert repo.exists(f"{DB}-journal")
    with opened(place) as user:
        inode = place.stat().st_ino
        repo.engine().restore_checkpoint("one")
        assert place.stat().st_ino == inode
        assert user.run("INSERT INTO notes (body) VALUES ('three')") == "done"


def test_a_changed_committed_database_is_named_where_only_the_code_is_asked_for(repo: RepoBuilder) -> None:
    place = make_notes(repo.path(DB))
    repo.commit()
    checkpoint = repo.engine().create_checkpoint("committed")
    add_notes(place, "later")
    (kept,) = repo.engine().restore_checkpoint(checkpoint, memory=False).kept
    assert (kept.path, "--memory" in kept.reason) == (DB.encode(), True)
