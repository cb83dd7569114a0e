"""Memory stores belong to a checkpoint: found or declared, captured with the code, restored, undone and compared."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from chronos.checkpoints import Trigger
from chronos.errors import (
    BadConfigError,
    BadPathError,
    RefusedError,
    StoreChangedError,
    StoreInUseError,
    UnknownKindError,
    UnknownStoreError,
    UsageError,
)
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes, run_sql
from tests.support.roundtrip import kept_paths, receipt_of
from tests.support.sealing import REAL_HOME

DB = "data/memory/agent.db"


@pytest.fixture
def agent(repo: RepoBuilder) -> RepoBuilder:
    """A repository with code, and memory of two kinds under `data/memory`."""
    repo.write("app.py", "version = 1\n")
    repo.write(".gitignore", "data/\n")
    repo.commit()
    make_notes(repo.path(DB))
    repo.write("data/memory/facts/one.json", '{"a": 1}\n')
    repo.write("data/memory/facts/two.json", '{"b": 2}\n')
    return repo


def stores_of(repo: RepoBuilder, checkpoint: str) -> dict[str, str]:
    return {record.path: record.kind for record in repo.engine().show_checkpoint(checkpoint).memory}


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_committed_database_comes_back_after_a_failed_migration(repo: RepoBuilder, mode: str) -> None:
    repo.write("README", "fine\n")
    make_notes(repo.path("app.db"))
    run_sql(repo.path("app.db"), f"PRAGMA journal_mode = {mode}")
    repo.commit()
    wanted = read_notes(repo.path("app.db"))
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("before_migration")
    repo.write("README", "oops\n")
    add_notes(repo.path("app.db"), "migrated")
    run_sql(repo.path("app.db"), "ALTER TABLE notes ADD COLUMN mood TEXT")
    migrated = read_notes(repo.path("app.db"))
    plan = engine.plan_restore(checkpoint)
    assert [change.path for change in plan.change_set.stores] == ["app.db"] and not plan.kept
    engine.restore_checkpoint(checkpoint, plan_id=plan.plan_id)
    assert read_notes(repo.path("app.db")) == wanted != migrated
    assert repo.path("README").read_text() == "fine\n"
    assert engine.plan_restore(checkpoint).change_set.is_empty
    engine.undo()
    assert read_notes(repo.path("app.db")) == migrated
    engine.redo()
    assert read_notes(repo.path("app.db")) == wanted


@pytest.mark.parametrize("mode", ["wal", "persist"])
def test_databases_that_programs_keep_open_without_writing_hold_still(agent: RepoBuilder, mode: str) -> None:
    """Who reads as root gives a `-wal` and a journal to the owner of the database, which alters their change times."""
    with ExitStack() as stack:
        for name in ("a", "b", "c"):
            application = stack.enter_context(closing(sqlite3.connect(agent.path(f"data/memory/{name}.db"))))
            application.execute(f"PRAGMA journal_mode = {mode}")
            application.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
            application.commit()
        for name in ("first", "second"):
            created = agent.engine().take_checkpoint(name)
            assert (created.grade.value, created.warnings) == ("complete", ())


def test_code_and_memory_restored_together_after_a_failed_migration_are_what_they_were(agent: RepoBuilder) -> None:
    agent.write("data/lessons/lesson.txt", "never rewound\n")
    engine = agent.engine()
    wanted = read_notes(agent.path(DB))
    checkpoint = engine.create_checkpoint("before_migration")
    agent.write("app.py", "version = 2\n")
    agent.write("data/lessons/lesson.txt", "learned since\n")
    run_sql(agent.path(DB), "ALTER TABLE notes ADD COLUMN mood TEXT", "DELETE FROM notes WHERE id > 5")
    agent.write("data/memory/facts/one.json", "broken")
    agent.remove("data/memory/facts/two.json")
    agent.write("data/memory/facts/three.json", "new")
    engine.restore_checkpoint(checkpoint)
    assert agent.read("app.py") == b"version = 1\n"
    assert read_notes(agent.path(DB)) == wanted
    assert sorted(os.listdir(agent.path("data/memory/facts"))) == ["one.json", "two.json"]
    assert agent.read("data/memory/facts/one.json") == b'{"a": 1}\n'
    assert agent.read("data/lessons/lesson.txt") == b"learned since\n"
    assert [finding for finding in engine.verify() if finding.severity] == []


def test_a_restore_of_memory_can_be_undone_and_redone(agent: RepoBuilder) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    add_notes(agent.path(DB), "later")
    agent.write("data/memory/facts/one.json", "later")
    later = read_notes(agent.path(DB))
    engine.restore_checkpoint(checkpoint)
    assert len(read_notes(agent.path(DB))) == 20
    engine.undo()
    assert read_notes(agent.path(DB)) == later
    assert agent.read("data/memory/facts/one.json") == b"later"
    engine.redo()
    assert len(read_notes(agent.path(DB))) == 20
    assert agent.read("data/memory/facts/one.json") == b'{"a": 1}\n'


def test_undo_keeps_a_store_that_was_written_to_since_unless_told_otherwise(agent: RepoBuilder) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    add_notes(agent.path(DB), "later")
    engine.restore_checkpoint(checkpoint)
    add_notes(agent.path(DB), "since the restore")
    _, plan = engine.plan_undo()
    assert kept_paths(plan.kept) == {DB}
    assert plan.change_set.stores == ()
    engine.undo(overwrite=True)
    assert read_notes(agent.path(DB))[-1] == "later"


def test_a_store_that_became_one_of_another_kind_comes_back(agent: RepoBuilder) -> None:
    place, engine = "data/memory/state", agent.engine()
    agent.write(place, "a text\n")
    as_text = engine.create_checkpoint("a text")
    agent.remove(place)
    make_notes(agent.path(place))
    as_database = engine.create_checkpoint("a database")
    engine.restore_checkpoint(as_text)
    assert agent.read(place) == b"a text\n"
    engine.restore_checkpoint(as_database)
    assert len(read_notes(agent.path(place))) == 20
    engine.undo()
    assert agent.read(place) == b"a text\n"


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_an_undeclared_database_in_the_tree_is_a_store_and_no_code(repo: RepoBuilder, journal: str) -> None:
    make_notes(repo.path("state/app.db"), journal=journal)
    repo.commit()
    make_notes(repo.path("untracked.db"), journal=journal)
    engine = repo.engine()
    with closing(sqlite3.connect(repo.path("state/app.db"))) as application:
        application.execute("INSERT INTO notes (body) VALUES ('in use')")
        application.execute("UPDATE totals SET notes = notes + 1")
        application.commit()
        checkpoint = engine.create_checkpoint("with databases")
    assert stores_of(repo, checkpoint) == {"state/app.db": "sqlite", "untracked.db": "sqlite"}
    assert engine.show_checkpoint(checkpoint).row.files_changed == 0
    run_sql(repo.path("state/app.db"), "DELETE FROM notes", "UPDATE totals SET notes = 0")
    repo.remove("untracked.db")
    engine.restore_checkpoint(checkpoint)
    assert read_notes(repo.path("state/app.db"))[-1] == "in use"
    assert len(read_notes(repo.path("untracked.db"))) == 20


def test_a_database_larger_than_the_file_limit_is_held_all_the_same(repo: RepoBuilder) -> None:
    make_notes(repo.path("large.db"), count=2000)
    engine = repo.engine(CHRONOS_MAX_FILE_BYTES="1000")
    checkpoint = engine.create_checkpoint("large")
    assert "large.db" not in receipt_of(engine, checkpoint)
    assert stores_of(repo, checkpoint) == {"large.db": "sqlite"}


def test_an_ignored_database_is_named_in_the_receipt_with_the_way_to_have_it_held(repo: RepoBuilder) -> None:
    repo.write(".gitignore", "*.db\n")
    repo.commit()
    make_notes(repo.path("cache.db"))
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("ignored")
    rows = {os.fsdecode(row.path): row for row in engine.show_checkpoint(checkpoint).receipt}
    assert "chrono memory add" in rows["cache.db"].detail
    engine.add_memory(repo.path("cache.db"))
    held = engine.create_checkpoint("declared")
    assert stores_of(repo, held) == {"cache.db": "sqlite"}
    assert "cache.db" not in receipt_of(engine, held)


def test_a_declared_store_outside_the_repository_comes_back(agent: RepoBuilder, tmp_path: Path) -> None:
    outside = make_notes(tmp_path / "elsewhere" / "memory.db")
    engine = agent.engine()
    engine.add_memory(outside, name="far")
    checkpoint = engine.create_checkpoint("both")
    add_notes(outside, "later")
    outcome = engine.restore_checkpoint(checkpoint, stores=["far"])
    assert outcome.stores == ("far",)
    assert len(read_notes(outside)) == 20
    engine.undo()
    assert read_notes(outside)[-1] == "later"


def test_a_store_outside_that_is_declared_no_more_is_kept_and_said(agent: RepoBuilder, tmp_path: Path) -> None:
    outside = make_notes(tmp_path / "elsewhere" / "memory.db")
    engine = agent.engine()
    engine.add_memory(outside, name="far")
    checkpoint = engine.create_checkpoint("both")
    add_notes(outside, "later")
    engine.remove_memory("far")
    outcome = engine.restore_checkpoint(checkpoint)
    assert kept_paths(outcome.kept) == {str(outside)}
    assert read_notes(outside)[-1] == "later"


def test_only_the_part_that_is_asked_for_is_restored(agent: RepoBuilder) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")

    def change() -> None:
        agent.write("app.py", "version = 2\n")
        add_notes(agent.path(DB), "later")
        agent.write("data/memory/facts/one.json", "later")

    def what_is_old() -> set[str]:
        found = {"code"} if agent.read("app.py") == b"version = 1\n" else set()
        found |= {"db"} if len(read_notes(agent.path(DB))) == 20 else set()
        return found | ({"facts"} if agent.read("data/memory/facts/one.json") != b"later" else set())

    for choice, wanted in (
        ({"memory": False}, {"code"}),
        ({"code": False}, {"db", "facts"}),
        ({"stores": ["agent.db"]}, {"db"}),
        ({"paths": ["data/memory/facts"]}, {"facts"}),
        ({}, {"code", "db", "facts"}),
    ):
        change()
        engine.restore_checkpoint(checkpoint, **choice)  # type: ignore[arg-type]
        assert what_is_old() == wanted, choice
        engine.undo()
        assert what_is_old() == set(), choice


def test_what_narrows_a_restore_must_make_sense(agent: RepoBuilder) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    with pytest.raises(UnknownStoreError, match=r"agent\.db"):
        engine.plan_restore(checkpoint, stores=["nobody"])
    with pytest.raises(UsageError):
        engine.plan_restore(checkpoint, stores=["agent.db"], paths=["app.py"])
    with pytest.raises(UsageError):
        engine.plan_restore(checkpoint, code=False, head=True)


def test_a_store_that_came_after_the_checkpoint_goes_and_comes_back_with_undo(agent: RepoBuilder) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("before")
    make_notes(agent.path("data/memory/new.db"), journal="wal")
    plan = engine.plan_restore(checkpoint)
    assert [(store.name, store.after) for store in plan.change_set.stores] == [("new.db", None)]
    engine.restore_checkpoint(checkpoint)
    assert not agent.exists("data/memory/new.db")
    engine.undo()
    assert len(read_notes(agent.path("data/memory/new.db"))) == 20


def test_a_store_that_was_declared_after_the_checkpoint_stays(agent: RepoBuilder) -> None:
    make_notes(agent.path("data/other.db"))
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("before")
    engine.add_memory(agent.path("data/other.db"))
    outcome = engine.restore_checkpoint(checkpoint)
    assert kept_paths(outcome.kept) == {"data/other.db"}
    assert len(read_notes(agent.path("data/other.db"))) == 20


def test_a_store_that_is_gone_comes_back(agent: RepoBuilder) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("before")
    agent.remove("data/memory")
    engine.restore_checkpoint(checkpoint)
    assert len(read_notes(agent.path(DB))) == 20
    assert agent.exists("data/memory/facts/two.json")
    engine.undo()
    assert not agent.exists(DB)


def test_something_else_in_the_place_of_a_store_is_held_before_it_is_replaced(agent: RepoBuilder) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("before")
    agent.write(DB, "no database any more\n")
    engine.restore_checkpoint(checkpoint)
    assert len(read_notes(agent.path(DB))) == 20
    engine.undo()
    assert agent.read(DB) == b"no database any more\n"


def test_a_stale_wal_never_survives_beside_a_restored_database(agent: RepoBuilder) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("before")
    run_sql(agent.path(DB), "DELETE FROM notes", "UPDATE totals SET notes = 0")
    script = (
        "import sqlite3, os, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=wal');"
        "c.execute(\"INSERT INTO notes (body) VALUES ('in the wal')\"); c.execute('UPDATE totals SET notes = 1');"
        "c.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(agent.path(DB))], check=True)
    assert agent.exists(DB + "-wal")
    engine.restore_checkpoint(checkpoint)
    assert not agent.exists(DB + "-wal")
    assert len(read_notes(agent.path(DB))) == 20
    engine.undo()
    assert read_notes(agent.path(DB)) == ["in the wal"]


def test_a_file_that_another_process_writes_is_refused_with_its_process_id_and_nothing_is_touched(
    agent: RepoBuilder,
) -> None:
    engine = agent.engine(CHRONOS_LOCK_TIMEOUT="1")
    checkpoint = engine.create_checkpoint("before")
    agent.write("app.py", "version = 2\n")
    add_notes(agent.path(DB), "later")
    script = "import sys; f = open(sys.argv[1], 'a'); f.write('x'); f.flush(); print('ready', flush=True); input()"
    facts = str(agent.path("data/memory/facts/one.json"))
    with subprocess.Popen(
        [sys.executable, "-c", script, facts], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(StoreInUseError, match=str(writer.pid)):
            engine.restore_checkpoint(checkpoint)
        writer.kill()
    assert agent.read("app.py") == b"version = 2\n"
    assert read_notes(agent.path(DB))[-1] == "later"
    assert engine.status().interrupted == 0
    engine.restore_checkpoint(checkpoint)
    assert agent.read("app.py") == b"version = 1\n"


def test_a_database_that_is_written_to_all_the_while_is_refused_with_the_process_that_has_it_open(
    agent: RepoBuilder,
) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("before")
    agent.write("app.py", "version = 2\n")
    script = (
        "import sqlite3, sys, time\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "while True:\n"
        "    database.execute('UPDATE notes SET body = body || 1 WHERE id = 1')\n"
        "    print(flush=True)\n"
        "    time.sleep(0.02)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(agent.path(DB))], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(StoreChangedError, match=rf"\(process {writer.pid}\) has it open") as refused:
            engine.restore_checkpoint(checkpoint)
        writer.kill()
    assert "pause" in refused.value.hint
    assert agent.read("app.py") == b"version = 2\n"
    assert read_notes(agent.path(DB))[0].startswith("note 01")
    engine.restore_checkpoint(checkpoint)
    assert agent.read("app.py") == b"version = 1\n"


def test_an_automatic_checkpoint_of_unchanged_code_and_memory_is_the_one_before(agent: RepoBuilder) -> None:
    engine = agent.engine()
    first = engine.take_checkpoint("auto", trigger=Trigger.AUTOMATIC)
    second = engine.take_checkpoint("auto", trigger=Trigger.AUTOMATIC)
    assert (second.created, second.checkpoint_id) == (False, first.checkpoint_id)
    add_notes(agent.path(DB), "later")
    third = engine.take_checkpoint("auto", trigger=Trigger.AUTOMATIC)
    assert third.created


def test_an_unchanged_database_is_read_once_however_many_checkpoints_follow(
    agent: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(0.1)  # a file is remembered when it was settled before the capture began
    engine = agent.engine()
    first = engine.show_checkpoint(engine.create_checkpoint("first")).memory
    monkeypatch.setattr("chronos.memory.sqlite_reading.start_child", lambda *_: pytest.fail("it was read again"))
    for number in range(4):
        assert engine.show_checkpoint(engine.create_checkpoint(f"same{number}")).memory == first


_BUSY = """
import sqlite3, sys
connections = [sqlite3.connect(path, timeout=60) for path in sys.argv[1:]]
print("ready", flush=True)
while True:
    for connection in connections:
        with connection:
            connection.execute("INSERT INTO notes (body) VALUES ('busy')")
            connection.execute("UPDATE totals SET notes = notes + 1")
"""


def test_one_busy_database_is_held_as_of_one_instant(agent: RepoBuilder) -> None:
    run_sql(agent.path(DB), "PRAGMA journal_mode=wal")
    engine = agent.engine()
    with subprocess.Popen([sys.executable, "-c", _BUSY, str(agent.path(DB))], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        made = [engine.take_checkpoint(f"busy {number}") for number in range(5)]
        writer.kill()
    assert [created.grade.value for created in made] == ["complete"] * 5
    for number, created in enumerate(made):
        engine.restore_into(created.checkpoint_id, agent.root.parent / f"out {number}")
        assert read_notes(agent.root.parent / f"out {number}" / DB)[-1] == "busy"


def test_databases_that_are_all_written_to_make_the_checkpoint_torn_and_that_is_said(agent: RepoBuilder) -> None:
    paths = [agent.path(DB), make_notes(agent.path("data/memory/other.db")), make_notes(agent.path("third.db"))]
    for path in paths:
        run_sql(path, "PRAGMA journal_mode=wal")
    engine = agent.engine()
    with subprocess.Popen([sys.executable, "-c", _BUSY, *map(str, paths)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        created = engine.take_checkpoint("busy")
        writer.kill()
    assert created.grade.value == "torn"
    assert any(warning.startswith("torn: memory store") for warning in created.warnings)
    copy = engine.extract_memory(created.checkpoint_id, "agent.db", agent.root.parent / "copy")
    assert read_notes(copy)[-1] == "busy"


@pytest.mark.parametrize("place", ["data/timelines/foo", "data/timelines/.store/foo", ".git/foo"])
def test_no_store_is_extracted_into_the_store_of_chrono_or_a_git_folder(agent: RepoBuilder, place: str) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("one")
    with pytest.raises(RefusedError):
        engine.extract_memory(checkpoint, "agent.db", agent.root / place)
    assert not agent.exists(place)
    assert [summary.name for summary in engine.list_timelines()] == ["main"]


def test_what_is_called_a_database_and_is_none_is_held_as_a_file(repo: RepoBuilder) -> None:
    repo.write("data/memory/secret.db", os.urandom(5000))
    repo.write("broken.db", b"SQLite format 3\0" + os.urandom(9000))
    engine = repo.engine()
    engine.add_memory(repo.path("data/memory/secret.db"), kind="sqlite", name="encrypted")
    wanted = repo.read("data/memory/secret.db"), repo.read("broken.db")
    created = engine.take_checkpoint("odd")
    assert any("encrypted" in warning for warning in created.warnings)
    repo.write("data/memory/secret.db", b"gone")
    repo.write("broken.db", b"SQLite format 3\0 other")
    engine.restore_checkpoint(created.checkpoint_id)
    assert (repo.read("data/memory/secret.db"), repo.read("broken.db")) == wanted


def test_a_declared_store_that_moved_is_said_and_stops_nothing(agent: RepoBuilder) -> None:
    make_notes(agent.path("data/other.db"))
    engine = agent.engine()
    engine.add_memory(agent.path("data/other.db"))
    agent.remove("data/other.db")
    created = engine.take_checkpoint("without")
    assert any("other.db" in warning for warning in created.warnings)
    assert "other.db" not in stores_of(agent, created.checkpoint_id)


def test_two_stores_with_one_name_or_one_place_are_refused(agent: RepoBuilder, tmp_path: Path) -> None:
    engine = agent.engine()
    engine.add_memory(agent.path(DB), name="mine")
    with pytest.raises(BadConfigError, match="mine"):
        engine.add_memory(agent.path("data/memory/facts"), name="mine")
    with pytest.raises(BadConfigError, match="overlap"):
        engine.add_memory(agent.path("data/memory"), name="all")
    agent.write("chronos.toml", '[memory]\nmine = "data/memory/facts"\n')
    with pytest.raises(BadConfigError, match="mine"):
        agent.engine().create_checkpoint("two")


@pytest.mark.parametrize("path", ["/etc", "/", "..", ".git", "data/timelines", str(REAL_HOME)])
def test_a_place_outside_the_allowed_ones_is_refused(agent: RepoBuilder, path: str) -> None:
    engine = agent.engine()
    engine.set_up()
    with pytest.raises((BadConfigError, BadPathError)):
        engine.add_memory(agent.path(path))


def test_settings_of_a_project_cannot_lead_out_of_it(agent: RepoBuilder, tmp_path: Path) -> None:
    outside = make_notes(tmp_path / "private.db")
    for place in (str(outside), "../private.db"):
        agent.write("chronos.toml", f'[memory]\nmine = "{place}"\n')
        with pytest.raises(BadConfigError, match="mine"):
            agent.engine().create_checkpoint("greedy")
    agent.link("data/way-out", str(tmp_path))
    agent.write("chronos.toml", '[memory]\nmine = "data/way-out/private.db"\n')
    with pytest.raises(BadConfigError, match="leads out"):
        agent.engine().create_checkpoint("greedy")


def test_settings_can_declare_stores_with_their_kind(agent: RepoBuilder) -> None:
    agent.write("data/cache/state.pickle", b"\x80\x04not unpickled")
    agent.write("pyproject.toml", '[tool.chronos.memory.states]\npath = "data/cache"\nkind = "files"\n')
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("declared")
    assert stores_of(agent, checkpoint)["data/cache"] == "files"
    with pytest.raises(UnknownKindError):
        engine.add_memory(agent.path(DB), kind="oracle")


def test_diff_counts_rows_by_table_since_a_checkpoint_and_between_two(agent: RepoBuilder) -> None:
    engine = agent.engine()
    first = engine.create_checkpoint("first")
    add_notes(agent.path(DB), "one", "two")
    run_sql(agent.path(DB), "UPDATE notes SET body = 'other' WHERE id = 1", "CREATE TABLE moods (name TEXT)")
    second = engine.create_checkpoint("second")
    for found in (engine.diff_memory(first), engine.diff_memory(first, second)):
        assert [(item.name, item.status) for item in found] == [("agent.db", "M")]
        tables = {table.name: (table.status, table.added, table.removed, table.changed) for table in found[0].tables}
        assert tables["notes"] == ("M", 2, 0, 1)
        assert tables["moods"][0] == "A"
    assert engine.diff_memory(second) == []


def test_looking_at_memory_leaves_every_file_as_it_is(agent: RepoBuilder) -> None:
    run_sql(agent.path(DB), "PRAGMA journal_mode=wal")
    engine = agent.engine()
    first = engine.create_checkpoint("first")
    with closing(sqlite3.connect(agent.path(DB))) as application:
        application.execute("INSERT INTO notes (body) VALUES ('in use')")
        application.execute("UPDATE totals SET notes = notes + 1")
        application.commit()
        before = {path: agent.read(path) for path in (DB, DB + "-wal")}
        engine.list_memory(tables=True)
        engine.diff_memory(first)
        engine.status()
        engine.extract_memory(first, "agent.db", agent.root.parent / "copy")
        assert {path: agent.read(path) for path in before} == before


def test_a_restore_into_a_folder_brings_the_memory_of_the_project_along(agent: RepoBuilder, tmp_path: Path) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    add_notes(agent.path(DB), "later")
    engine.restore_into(checkpoint, tmp_path / "out")
    assert len(read_notes(tmp_path / "out" / DB)) == 20
    assert (tmp_path / "out/data/memory/facts/two.json").read_text() == '{"b": 2}\n'


def test_secrets_in_a_memory_folder_are_left_out_and_stay_where_they_are(agent: RepoBuilder) -> None:
    agent.write("data/memory/facts/.env", "TOKEN=1\n")
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    assert receipt_of(engine, checkpoint)["data/memory/facts/.env"] == "secret"
    agent.write("data/memory/facts/one.json", "later")
    engine.restore_checkpoint(checkpoint)
    assert agent.read("data/memory/facts/.env") == b"TOKEN=1\n"
    assert agent.read("data/memory/facts/one.json") == b'{"a": 1}\n'


def test_a_plain_folder_has_memory_stores_too(folder: RepoBuilder) -> None:
    make_notes(folder.path("notes.db"))
    folder.write("data/memory/a.json", "1")
    engine = folder.engine()
    checkpoint = engine.create_checkpoint("wanted")
    assert stores_of(folder, checkpoint) == {"notes.db": "sqlite", "data/memory/a.json": "files"}
    add_notes(folder.path("notes.db"), "later")
    engine.restore_checkpoint(checkpoint)
    assert len(read_notes(folder.path("notes.db"))) == 20


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_what_a_restore_replaces_stays_as_private_as_it_was(repo: RepoBuilder, journal: str) -> None:
    names = ["code.py", DB, "data/memory/note.md", "data/memory/facts/one.json"]
    others = [name for name in names if name != DB]
    make_notes(repo.path(DB), journal=journal)
    for name in others:
        repo.write(name, "1")
    for name in names:
        repo.path(name).chmod(0o600)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    for count in (1, 4000):  # some pages, which are written in place, and most of them
        add_notes(repo.path(DB), *("later" * 20 for _ in range(count)))
        for name in others:
            repo.path(name).write_text("2")
        engine.restore_checkpoint(checkpoint)
        assert {name: repo.path(name).stat().st_mode & 0o777 for name in names} == dict.fromkeys(names, 0o600)
        engine.undo()
        assert {name: repo.path(name).stat().st_mode & 0o777 for name in names} == dict.fromkeys(names, 0o600)
    assert {repo.read(name) for name in others} == {b"2"}
