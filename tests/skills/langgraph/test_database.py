"""The database of graph checkpoints: shared by threads and processes, replaced while it is open, and damaged."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from chronos.errors import (
    LockedError,
    NewerFormatError,
    StorageError,
    StoreInUseError,
    UnreadableStoreError,
    UsageError,
)
from skills.langgraph import ChronoSaver
from skills.langgraph.database import GraphDatabase
from tests.skills.langgraph.graphs import ids, put_steps, thread
from tests.support import RepoBuilder
from tests.support.databases import make_notes, run_sql

PLACE = "data/memory/langgraph.db"
WRITER = """
import sys
from skills.langgraph import ChronoSaver
from tests.skills.langgraph.graphs import put_steps
with ChronoSaver(sys.argv[1]) as saver:
    put_steps(saver, sys.argv[2], 25)
    put_steps(saver, "shared", 25)
"""


@pytest.fixture
def saver(repo: RepoBuilder) -> ChronoSaver:
    repo.write("a.txt", "first\n")
    repo.commit()
    return ChronoSaver(repo.root)


def test_it_is_a_memory_store_that_nobody_has_to_declare(repo: RepoBuilder, saver: ChronoSaver) -> None:
    assert saver.path == repo.root / PLACE
    put_steps(saver, "1", 1)
    assert saver.is_covered
    assert [(one.path, one.is_found) for one in repo.engine().list_memory()] == [(PLACE, True)]


def test_processes_and_threads_write_at_once_and_nothing_is_lost(repo: RepoBuilder, saver: ChronoSaver) -> None:
    command = [sys.executable, "-c", WRITER, str(repo.root)]
    writers = [subprocess.Popen([*command, name], cwd=Path.cwd(), env=dict(os.environ)) for name in ("p1", "p2")]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda name: put_steps(saver, name, 25), ("t1", "t2", "t3")))
    assert [writer.wait(60) for writer in writers] == [0, 0]
    for name in ("p1", "p2", "t1", "t2", "t3"):
        assert len(ids(saver, name)) == 25
    assert len(ids(saver, "shared")) == 50
    assert all(one.pending_writes for one in saver.list(None))


def test_a_restore_brings_it_back_while_a_saver_has_it_open(repo: RepoBuilder, saver: ChronoSaver) -> None:
    engine = repo.engine()
    early = put_steps(saver, "1", 2)
    checkpoint = engine.create_checkpoint("two steps")
    late = put_steps(saver, "1", 3)
    engine.restore_checkpoint(checkpoint)
    assert ids(saver, "1") == [one["configurable"]["checkpoint_id"] for one in reversed(early)]
    assert saver.get_tuple(late[0]) is None
    put_steps(saver, "2", 2)
    engine.undo(overwrite=True)
    assert len(ids(saver, "1")) == 5
    assert ids(saver, "2") == []


def test_a_restore_of_a_time_before_it_was_there(repo: RepoBuilder, saver: ChronoSaver) -> None:
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("before the first step")
    put_steps(saver, "1", 1)
    with pytest.raises(StoreInUseError):
        engine.restore_checkpoint(checkpoint)
    saver.close()
    engine.restore_checkpoint(checkpoint)
    assert ids(saver, "1") == []
    put_steps(saver, "2", 2)
    with ChronoSaver(repo.root) as other:
        assert len(ids(other, "2")) == 2, "what came after is where everybody looks"
    saver.close()
    engine.undo(overwrite=True)
    assert (len(ids(saver, "1")), ids(saver, "2")) == (1, [])


def test_another_file_in_its_place_is_opened_and_an_emptied_one_gets_its_layout(
    repo: RepoBuilder, saver: ChronoSaver, tmp_path: Path
) -> None:
    put_steps(saver, "1", 1)
    saver.path.rename(tmp_path / "aside.db")
    put_steps(saver, "2", 1)
    assert (ids(saver, "1"), len(ids(saver, "2"))) == ([], 1)
    with closing(sqlite3.connect(saver.path)) as other, closing(sqlite3.connect(":memory:")) as empty:
        empty.backup(other)
    assert ids(saver, "2") == []
    put_steps(saver, "3", 1)
    assert len(ids(saver, "3")) == 1


def test_a_child_of_a_fork_has_a_connection_of_its_own(saver: ChronoSaver) -> None:
    put_steps(saver, "1", 1)
    child = os.fork()
    if child == 0:
        try:
            put_steps(saver, "child", 1)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    put_steps(saver, "1", 1)
    assert (len(ids(saver, "1")), len(ids(saver, "child"))) == (2, 1)


def test_the_loop_goes_on_while_the_database_is_busy(saver: ChronoSaver) -> None:
    config = put_steps(saver, "1", 1)[0]

    async def work() -> int:
        ticks = 0
        writing = asyncio.create_task(saver.aput_writes(config, [("messages", "y")], "other"))
        with closing(sqlite3.connect(saver.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(20):
                await asyncio.sleep(0.005)
                ticks += not writing.done()
            other.execute("ROLLBACK")
        await writing
        return ticks

    assert asyncio.run(work()) > 10


def test_a_database_that_stays_locked_is_said_to_be(tmp_path: Path) -> None:
    database = GraphDatabase(tmp_path / "g.db", timeout_s=0.05)
    with database.transaction():
        pass
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockedError, match=r"g\.db is locked"), database.transaction(write=True):
            pass
    with database.transaction(write=True):
        pass
    database.close()


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = GraphDatabase(tmp_path / "g.db", timeout_s=1)
    with pytest.raises(ZeroDivisionError), database.transaction(write=True) as connection:
        connection.execute("INSERT INTO contents VALUES (x'00', 'null', x'')")
        raise ZeroDivisionError
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM contents").fetchone() == (0,)
    database.close()


@pytest.mark.parametrize(
    "make", [lambda path: make_notes(path, 3), lambda path: run_sql(path, "PRAGMA user_version=7")]
)
def test_a_database_of_something_else_is_left_alone(repo: RepoBuilder, make: object) -> None:
    path = repo.root / PLACE
    path.parent.mkdir(parents=True)
    make(path)  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(UnreadableStoreError, match="a database of something else") as error:
        put_steps(ChronoSaver(repo.root), "1", 1)
    assert "path of its own" in error.value.hint
    assert path.read_bytes() == before


def test_a_newer_layout_is_refused(repo: RepoBuilder, saver: ChronoSaver) -> None:
    put_steps(saver, "1", 1)
    saver.close()
    run_sql(saver.path, "PRAGMA user_version=2")
    with pytest.raises(NewerFormatError, match="newer chronomancer"):
        ids(saver, "1")


def test_what_is_no_database_and_what_is_damaged(repo: RepoBuilder, saver: ChronoSaver) -> None:
    config = put_steps(saver, "1", 1, "x" * 100)[0]
    run_sql(saver.path, "UPDATE contents SET data = zeroblob(length(data))")
    with pytest.raises(UnreadableStoreError, match="damaged or gone"):
        saver.get_tuple(config)
    run_sql(saver.path, "UPDATE checkpoints SET versions = '[]'")
    with pytest.raises(UnreadableStoreError, match="channel versions"):
        saver.get_tuple(config)
    saver.close()
    repo.write(PLACE, "no database at all, but long enough to be looked at\n" * 10)
    with pytest.raises(UnreadableStoreError, match="cannot be read") as error:
        saver.get_tuple(config)
    assert "chrono checkpoint restore" in error.value.hint


def test_a_folder_in_its_place_and_one_that_cannot_be_made(repo: RepoBuilder, tmp_path: Path) -> None:
    (repo.root / PLACE).mkdir(parents=True)
    with pytest.raises(StorageError, match="unable to open"):
        put_steps(ChronoSaver(repo.root), "1", 1)
    with pytest.raises(StorageError, match="unable to open"):
        ChronoSaver(repo.root, path=tmp_path / "nowhere/g.db")
    repo.remove("data/memory")
    repo.write("data/memory", "a file\n")
    with pytest.raises(StorageError, match="cannot make"):
        ChronoSaver(repo.root)


def test_a_read_only_database_can_be_read(repo: RepoBuilder, saver: ChronoSaver) -> None:
    config = put_steps(saver, "1", 1)[0]
    run_sql(saver.path, "PRAGMA query_only=0")
    with pytest.raises(StorageError, match="readonly"), saver._database.transaction(write=True) as connection:
        connection.execute("PRAGMA query_only=1")
        connection.execute("DELETE FROM writes")
    saver.close()
    assert saver.get_tuple(config) is not None


def test_a_path_that_no_checkpoint_has_is_said(repo: RepoBuilder, tmp_path: Path) -> None:
    repo.write(".gitignore", "*.sqlite\n")
    for path in (repo.root / "state.sqlite", tmp_path / "elsewhere.db"):
        with pytest.warns(UserWarning, match="chrono memory add"):
            saver = ChronoSaver(repo.root, path=path)
        assert not saver.is_covered
        repo.engine().add_memory(path)
        assert saver.is_covered
        assert ChronoSaver(repo.root, path=path).path == path
    inside = ChronoSaver(repo.root, path=repo.root / "data/memory/other.db")
    assert inside.is_covered


def test_files_are_held_with_a_database_elsewhere_too(repo: RepoBuilder, tmp_path: Path) -> None:
    repo.write("a.txt", "first\n")
    repo.commit()
    path = tmp_path / "elsewhere.db"
    make_place = GraphDatabase(path, 1)
    with make_place.transaction():
        make_place.path.touch()
    make_place.close()
    repo.engine().add_memory(path)
    saver = ChronoSaver(repo.root, path=path, checkpoint_files=True)
    old = put_steps(saver, "1", 2)
    assert saver.find_chrono_checkpoint(old[0]) == saver.find_chrono_checkpoint(old[1])
    repo.write("a.txt", "second\n")
    put_steps(saver, "2", 1)
    saver.restore(old[0])
    assert repo.read("a.txt") == b"first\n"
    assert len(ids(saver, "2")) == 1


def test_configs_and_values_that_cannot_be_are_clear_errors(saver: ChronoSaver) -> None:
    config = put_steps(saver, "1", 1)[0]
    for wrong in ({}, {"configurable": {}}, {"configurable": {"thread_id": None}}):
        with pytest.raises(UsageError, match="names no thread") as error:
            saver.get_tuple(wrong)  # type: ignore[arg-type]
        assert "thread_id" in error.value.hint
    with pytest.raises(UsageError, match="names no graph checkpoint"):
        saver.put_writes(thread("1"), [("a", 1)], "task")
    with pytest.raises(UsageError, match="value of channel a cannot be stored") as error:
        saver.put_writes(config, [("a", object())], "task")
    assert "serde" in error.value.hint
    with pytest.raises(UsageError, match="no way to prune"):
        saver.prune(["1"], strategy="all")
    with pytest.raises(UsageError, match="cannot be stored"):
        put_steps(saver, "\udcff", 1)
    assert len(ids(saver, "1")) == 1


def test_savers_that_are_closed_keep_no_files_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        database = GraphDatabase(tmp_path / "g.db", 1)
        with database.transaction():
            pass
        database.close()
    assert len(os.listdir("/proc/self/fd")) == before
