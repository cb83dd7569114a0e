"""A database that is deleted while its `-wal` or journal stays: that is held, goes when it comes back, and undoes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chronos.errors import BadConfigError, StoreInUseError
from chronos.memory.sqlite_files import find_stranger
from chronos.merging import Choice, Resolution
from tests.support import RepoBuilder
from tests.support.databases import add_notes, leave_wal, make_notes, peek_notes, read_notes
from tests.support.roundtrip import kept_paths, receipt_of

_DECLARED, _FOUND, _COMMITTED, _UNTRACKED = "state/agent.db", "data/memory/agent.db", "agent.db", "loose.db"
_PLACES = [_DECLARED, _FOUND, _COMMITTED, _UNTRACKED]
_ENDINGS = ["-wal", "-journal"]


def crash(database: Path, ending: str) -> None:
    """Leave a database as a program does that crashes: with its last transaction, whole or begun, beside it."""
    if ending == "-wal":
        leave_wal(database, "last")
        return
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size=1'); c.execute('BEGIN')\n"
        "c.execute('UPDATE notes SET body = hex(zeroblob(9000))'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, database], check=True)
    assert os.path.getsize(f"{database}{ending}")


def make(repo: RepoBuilder, path: str, ending: str = "-wal", *, ignored: bool = False) -> Path:
    """Make a database that a crash left with its journal."""
    database = make_notes(repo.path(path), journal="wal" if ending == "-wal" else "delete")
    if ignored:
        repo.write(".gitignore", "*-wal\n*-journal\n*-shm\n")
    if path == _COMMITTED:
        repo.commit()
    crash(database, ending)
    if path == _DECLARED:
        repo.engine().add_memory(database)
    return database


def beside(database: Path) -> dict[str, bytes]:
    """Return what lies at the place and beside it, but for the wal-index."""
    paths = (path for path in database.parent.glob(f"{database.name}*") if not path.name.endswith("-shm"))
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("ending", _ENDINGS)
@pytest.mark.parametrize("path", _PLACES)
def test_it_comes_back_without_its_old_journal_and_undo_gives_that_back(
    repo: RepoBuilder, path: str, ending: str, ignored: bool
) -> None:
    database = make(repo, path, ending, ignored=ignored)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("whole")
    database.unlink()
    left = beside(database)
    assert list(left) == [f"{database.name}{ending}"]
    outcome = engine.restore_checkpoint(checkpoint)
    wanted = ["last"] if ending == "-wal" else []
    assert outcome.kept == ()
    assert list(beside(database)) == [database.name]
    assert read_notes(database)[20:] == wanted
    engine.undo()
    assert beside(database) == left
    engine.redo()
    assert list(beside(database)) == [database.name]
    assert read_notes(database)[20:] == wanted


@pytest.mark.parametrize("path", _PLACES)
def test_it_comes_back_where_only_that_store_is_asked_for(repo: RepoBuilder, path: str) -> None:
    database = make(repo, path)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("whole")
    (name,) = (record.name for record in engine.show_checkpoint(checkpoint).memory)
    database.unlink()
    left = beside(database)
    engine.create_checkpoint("gone")
    engine.restore_checkpoint(checkpoint, stores=[name])
    assert (list(beside(database)), read_notes(database)[-1]) == ([database.name], "last")
    engine.undo()
    assert beside(database) == left


@pytest.mark.parametrize("path", _PLACES)
def test_what_is_left_is_held_and_comes_back_in_the_place_of_the_database(repo: RepoBuilder, path: str) -> None:
    database = make(repo, path)
    engine = repo.engine()
    whole = engine.create_checkpoint("whole")
    database.unlink()
    left = beside(database)
    gone = engine.create_checkpoint("gone")
    engine.restore_checkpoint(whole)
    crash(database, "-wal")
    live = peek_notes(database)
    outcome = engine.restore_checkpoint(gone)
    assert outcome.kept == ()
    assert beside(database) == left
    engine.undo()
    assert read_notes(database) == live


@pytest.mark.parametrize("path", _PLACES)
def test_it_does_not_come_back_under_a_program_that_still_has_it_open(repo: RepoBuilder, path: str) -> None:
    database = make(repo, path)
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute('SELECT 1 FROM notes').fetchone())\n"
        "sys.stdout.flush(); sys.stdin.read()"
    )
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("whole")
    command = [sys.executable, "-c", script, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None and user.stdout.readline()
        database.unlink()
        left = beside(database)
        with pytest.raises(StoreInUseError, match=str(user.pid)):
            engine.restore_checkpoint(checkpoint)
        assert beside(database) == left
        user.communicate()
    engine.restore_checkpoint(checkpoint)
    assert read_notes(database)[-1] == "last"


@pytest.mark.parametrize("content", [b"", b"rows that are nowhere else", bytes(4096)])
def test_a_journal_that_is_none_is_held_like_any_other(repo: RepoBuilder, content: bytes) -> None:
    database = make_notes(repo.path(_DECLARED))
    engine = repo.engine()
    engine.add_memory(database)
    checkpoint = engine.create_checkpoint("whole")
    database.unlink()
    repo.write(f"{_DECLARED}-wal", content)
    created = engine.take_checkpoint("gone")
    assert any("is gone" in warning for warning in created.warnings)
    assert kept_paths(engine.restore_checkpoint(checkpoint).kept) == set()
    assert list(beside(database)) == ["agent.db"]
    assert len(read_notes(database)) == 20
    engine.restore_checkpoint(created.checkpoint_id)
    assert beside(database) == {"agent.db-wal": content}


def test_a_database_moved_away_from_its_wal_leaves_both_to_be_had(repo: RepoBuilder) -> None:
    database = make(repo, _FOUND)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("whole")
    moved = database.rename(database.with_name("moved.db"))
    left = {**beside(database), **beside(moved)}
    engine.restore_checkpoint(checkpoint)
    assert not moved.exists()
    assert read_notes(database)[-1] == "last"
    engine.undo()
    assert {**beside(database), **beside(moved)} == left
    add_notes(moved, "later")


@pytest.mark.parametrize("path", [_FOUND, _UNTRACKED])
def test_what_only_looks_like_a_journal_comes_back_as_well_or_is_named(repo: RepoBuilder, path: str) -> None:
    beside = repo.path(f"{path}-wal")
    repo.write(f"{path}-wal", "a diary\n")
    engine = repo.engine()
    diary = engine.create_checkpoint("diary")
    beside.unlink()
    database = make(repo, path)
    live = peek_notes(database)
    crash(database, "-wal")
    outcome = engine.restore_checkpoint(diary)
    assert not database.exists()
    steps = 1
    if kept_paths(outcome.kept):  # as code, which comes after the stores were looked at
        assert kept_paths(outcome.kept) == {f"{path}-wal"}
        assert engine.restore_checkpoint(diary).kept == ()
        steps = 2
    assert beside.read_text() == "a diary\n"
    for _ in range(steps):
        engine.undo()
    assert read_notes(database) == [*live, "last"]


def test_what_is_left_is_compared_and_written_out_without_a_database(repo: RepoBuilder, tmp_path: Path) -> None:
    database = make(repo, _DECLARED)
    engine = repo.engine()
    whole = engine.create_checkpoint("whole")
    database.unlink()
    left = beside(database)["agent.db-wal"]
    gone = engine.create_checkpoint("gone")
    for newer in (gone, None):
        (difference,) = engine.diff_memory(whole, newer)
        assert (difference.status, difference.tables) == ("M", ())
        assert "cannot be compared" in difference.notes[0] and ".store" not in difference.notes[0]
    assert engine.extract_memory(gone, "agent.db", tmp_path / "out") == tmp_path / "out"
    assert (tmp_path / "out/database.sqlite-wal").read_bytes() == left
    engine.restore_into(gone, tmp_path / "whole")
    assert {path.name: path.read_bytes() for path in (tmp_path / "whole/state").iterdir()} == {"agent.db-wal": left}


def test_what_is_committed_is_code_also_where_it_looks_left_behind(repo: RepoBuilder) -> None:
    database = make(repo, _COMMITTED)
    repo.path("agent.db-shm").unlink()
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("committed")
    wal = beside(database)["agent.db-wal"]
    database.unlink()
    assert engine.restore_checkpoint(checkpoint).kept == ()
    assert repo.git("status", "--porcelain", "--", "agent.db", "agent.db-wal") == ""
    assert peek_notes(database)[-1] == "last"
    repo.path("agent.db-shm").unlink()
    database.unlink()
    repo.write("agent.db-wal", wal + b"more")
    changed = engine.take_checkpoint("changed")
    assert engine.show_checkpoint(changed.checkpoint_id).memory == ()
    assert engine.restore_checkpoint(checkpoint, memory=False).kept == ()
    assert repo.git("status", "--porcelain", "--", "agent.db", "agent.db-wal") == ""
    assert peek_notes(database)[-1] == "last"
    repo.path("agent.db-shm").unlink()
    engine.undo()
    assert (database.exists(), beside(database)) == (False, {"agent.db-wal": wal + b"more"})


def test_what_is_left_counts_towards_the_limit_and_a_wal_index_is_nothing(repo: RepoBuilder) -> None:
    database = make(repo, _UNTRACKED)
    database.unlink()
    repo.write("other.db-shm", repo.read("loose.db-shm"))
    repo.write("folder/-wal", "a name like any other")
    repo.write("chronos.toml", "max_capture_bytes = 2000\n")
    created = repo.engine().take_checkpoint("gone")
    assert receipt_of(repo.engine(), created.checkpoint_id)["loose.db"] == "over the capture limit"
    shown = repo.engine().show_checkpoint(created.checkpoint_id)
    assert shown.memory == ()
    repo.write("chronos.toml", "")
    whole = repo.engine().take_checkpoint("whole")
    assert [record.path for record in repo.engine().show_checkpoint(whole.checkpoint_id).memory] == ["loose.db"]


def test_stores_that_would_be_made_of_the_same_files_cannot_be_declared(repo: RepoBuilder) -> None:
    database = make(repo, _DECLARED)
    with pytest.raises(BadConfigError, match="overlap"):
        repo.engine().add_memory(database.with_name("agent.db-wal"), name="other")


@pytest.mark.parametrize("path", [_FOUND, _UNTRACKED])
def test_a_merge_puts_no_database_beside_what_lies_here(repo: RepoBuilder, path: str) -> None:
    repo.write("a.txt", "a")
    repo.commit()
    engine = repo.engine()
    there = RepoBuilder(engine.branch_timeline("other").path, repo.environment)
    make(there, path)
    with engine.open_timeline("other") as other:
        other.create_checkpoint("made")
    repo.write(f"{path}-wal", "a diary\n")
    done = engine.merge_timeline("other")
    assert [(one.kind.value, os.fsdecode(one.path)) for one in done.conflicts] == [("in the way", path)]
    repo.path(f"{path}-wal").unlink()
    assert engine.merge_timeline("other").is_done
    assert peek_notes(repo.path(path))[-1] == "last"


def test_what_two_timelines_have_left_of_a_database_is_had_whole(repo: RepoBuilder) -> None:
    database = make(repo, _UNTRACKED)
    engine = repo.engine()
    engine.create_checkpoint("whole")
    there = engine.branch_timeline("other").path / _UNTRACKED
    for place, body in ((database, "ours"), (there, "theirs")):
        leave_wal(place, body)
        place.unlink()
    wanted = beside(there)
    with engine.open_timeline("other") as other:
        other.create_checkpoint("gone")
    (conflict,) = engine.merge_timeline("other").conflicts
    engine.resolve_conflict(conflict.conflict_id, Resolution(Choice.THEIRS))
    assert engine.merge_timeline("other").is_done
    assert beside(database) == wanted


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
@pytest.mark.parametrize("is_committed", [True, False])
def test_a_file_that_only_has_the_name_of_a_log_is_held_with_the_database_and_comes_back(
    repo: RepoBuilder, ending: str, is_committed: bool
) -> None:
    place, beside = make_notes(repo.path("notes.db")), repo.path(f"notes.db{ending}")
    beside.write_text("dear diary\n")
    if is_committed:
        repo.commit()
    beside.write_text("dear diary, today\n")
    engine = repo.engine()
    wanted = place.read_bytes(), beside.read_bytes()
    first = engine.create_checkpoint("first")
    warnings = engine.show_checkpoint(first).manifest.warnings
    assert any(
        f"notes.db: captured as plain files: its {ending} is no file of SQLite" in warning for warning in warnings
    )
    with open(place, "r+b") as database:
        database.seek(5000)
        database.write(b"damage")
    beside.write_text("dear diary, tomorrow\n")
    later = place.read_bytes(), beside.read_bytes()
    engine.restore_checkpoint(first)
    assert (place.read_bytes(), beside.read_bytes()) == wanted
    engine.undo()
    assert (place.read_bytes(), beside.read_bytes()) == later
    engine.redo()
    assert (place.read_bytes(), beside.read_bytes()) == wanted
    assert engine.verify() == []


@pytest.mark.parametrize("mode", ["PERSIST", "TRUNCATE", "WAL"])
def test_the_logs_of_a_program_that_writes_all_the_while_are_taken_for_what_they_are(tmp_path: Path, mode: str) -> None:
    place = make_notes(tmp_path / "notes.db")
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA synchronous=OFF'); mode = c.execute(f'PRAGMA journal_mode={sys.argv[2]}').fetchone()\n"
        "print(mode, flush=True)\n"
        "while True: c.execute('UPDATE notes SET body = body')"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, place, mode], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None and mode.lower().encode() in writer.stdout.readline()
        assert {find_stranger(os.fsencode(place)) for _ in range(30_000)} == {None}
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()
