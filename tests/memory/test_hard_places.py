"""Memory stores in hard places: places in one another, links, changed kinds, hostile paths."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from chronos.errors import BadConfigError, IntegrityError
from chronos.memory import get_kind
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes
from tests.support.roundtrip import kept_paths, receipt_of


def places_of(repo: RepoBuilder, checkpoint: str) -> set[str]:
    return {record.path for record in repo.engine().show_checkpoint(checkpoint).memory}


def test_a_folder_of_files_that_got_a_database_comes_back_and_can_be_undone(repo: RepoBuilder) -> None:
    repo.write("data/memory/notes/a.md", "one\n")
    engine = repo.engine()
    whole = engine.create_checkpoint("whole")
    repo.write("data/memory/notes/a.md", "two\n")
    make_notes(repo.path("data/memory/notes/x.db"))
    divided = engine.create_checkpoint("divided")
    assert places_of(repo, divided) == {"data/memory/notes/a.md", "data/memory/notes/x.db"}
    for go_back in (lambda: engine.undo(), lambda: engine.restore_checkpoint(divided)):
        assert engine.restore_checkpoint(whole).kept == ()
        assert repo.read("data/memory/notes/a.md") == b"one\n"
        assert not repo.exists("data/memory/notes/x.db")
        assert go_back().kept == ()
        assert repo.read("data/memory/notes/a.md") == b"two\n"
        assert len(read_notes(repo.path("data/memory/notes/x.db"))) == 20


@pytest.mark.parametrize("sibling", [False, True])
@pytest.mark.parametrize("then", ["gone", "garbage"])
def test_the_only_database_of_a_folder_comes_back_and_can_be_undone(
    repo: RepoBuilder, then: str, sibling: bool
) -> None:
    repo.write(".gitignore", "data/\n")
    database, beside, later = (repo.path(f"data/memory/agent/{name}") for name in ("notes.db", "s.txt", "later.txt"))
    make_notes(database)
    if sibling:
        beside.write_text("then")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    database.unlink()
    if then == "garbage":
        database.write_text("garbage")
    if sibling:
        beside.write_text("now")
        later.write_text("later")
    assert engine.restore_checkpoint(checkpoint).kept == ()
    assert len(read_notes(database)) == 20
    assert not later.exists()
    assert not sibling or beside.read_text() == "then"
    assert engine.undo().kept == ()
    assert database.read_text() == "garbage" if then == "garbage" else not database.exists()
    assert not sibling or (beside.read_text(), later.read_text()) == ("now", "later")
    engine.redo()
    assert len(read_notes(database)) == 20


def test_a_folder_that_is_declared_now_keeps_its_place_against_what_was_found_in_it(repo: RepoBuilder) -> None:
    make_notes(repo.path("data/memory/agent/notes.db"))
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    engine.add_memory(repo.path("data/memory/agent"), kind="files")
    add_notes(repo.path("data/memory/agent/notes.db"), "later")
    outcome = engine.restore_checkpoint(checkpoint)
    assert "data/memory/agent/notes.db" in kept_paths(outcome.kept)
    assert read_notes(repo.path("data/memory/agent/notes.db"))[-1] == "later"


def test_two_stores_with_one_file_name_are_both_held(repo: RepoBuilder) -> None:
    make_notes(repo.path("app.db"))
    make_notes(repo.path("data/memory/app.db"), count=3)
    engine = repo.engine()
    created = engine.take_checkpoint("both")
    assert created.grade.value == "complete"
    assert places_of(repo, created.checkpoint_id) == {"app.db", "data/memory/app.db"}
    add_notes(repo.path("app.db"), "later")
    add_notes(repo.path("data/memory/app.db"), "later")
    engine.restore_checkpoint(created.checkpoint_id)
    assert (len(read_notes(repo.path("app.db"))), len(read_notes(repo.path("data/memory/app.db")))) == (20, 3)


def test_a_database_where_a_folder_of_code_was_is_kept_and_named(repo: RepoBuilder) -> None:
    make_notes(repo.path("y.db"))
    engine = repo.engine()
    database = engine.create_checkpoint("database")
    repo.remove("y.db")
    repo.write("y.db/b", "code")
    folder = engine.create_checkpoint("folder")
    engine.restore_checkpoint(database)
    outcome = engine.restore_checkpoint(folder)
    assert kept_paths(outcome.kept) == {"y.db"}
    assert outcome.warnings == ()
    assert len(read_notes(repo.path("y.db"))) == 20
    repo.remove("y.db")
    engine.restore_checkpoint(folder)
    assert repo.read("y.db/b") == b"code"


def test_a_declaration_inside_a_found_folder_leaves_the_rest_of_it_covered(repo: RepoBuilder) -> None:
    repo.write("data/memory/notes/s.json", "1")
    repo.write("data/memory/notes/o.md", "2")
    engine = repo.engine()
    engine.add_memory(repo.path("data/memory/notes/s.json"), name="state")
    checkpoint = engine.create_checkpoint("both")
    assert places_of(repo, checkpoint) == {"data/memory/notes/s.json", "data/memory/notes/o.md"}


def test_a_declared_folder_with_a_live_database_in_it_is_one_store(repo: RepoBuilder) -> None:
    make_notes(repo.path("agent/c.db"), journal="wal")
    repo.write("agent/n.txt", "1")
    engine = repo.engine()
    engine.add_memory(repo.path("agent"))
    with closing(sqlite3.connect(repo.path("agent/c.db"))) as application:
        application.execute("INSERT INTO notes (body) VALUES ('in use')")
        application.execute("UPDATE totals SET notes = notes + 1")
        application.commit()
        created = engine.take_checkpoint("live")
    assert places_of(repo, created.checkpoint_id) == {"agent"}
    assert any("c.db" in warning for warning in created.warnings)
    repo.write("agent/n.txt", "2")
    engine.restore_checkpoint(created.checkpoint_id)
    assert repo.read("agent/n.txt") == b"1"
    assert read_notes(repo.path("agent/c.db"))[-1] == "in use"


@pytest.mark.parametrize("back", [False, True])
def test_what_became_of_another_kind_comes_back_and_can_be_undone(repo: RepoBuilder, back: bool) -> None:
    def folder() -> None:
        repo.write("data/memory/thing/a.txt", "folder")

    def database() -> None:
        make_notes(repo.path("data/memory/thing"))

    first, second = (database, folder) if back else (folder, database)
    first()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    repo.remove("data/memory/thing")
    second()
    engine.restore_checkpoint(checkpoint)
    assert repo.path("data/memory/thing").is_dir() is not back
    engine.undo()
    assert repo.path("data/memory/thing").is_dir() is back


def test_what_was_declared_as_another_kind_since_comes_back_and_can_be_undone(repo: RepoBuilder) -> None:
    repo.write("data/memory/sealed.db", "an encrypted database\n" * 99)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("found as files")
    engine.add_memory(repo.path("data/memory/sealed.db"), kind="sqlite")
    repo.write("data/memory/sealed.db", "gone")
    assert engine.restore_checkpoint(checkpoint).kept == ()
    assert len(repo.read("data/memory/sealed.db")) > 1000
    assert engine.undo().kept == ()
    assert repo.read("data/memory/sealed.db") == b"gone"
    assert engine.redo().kept == ()
    assert len(repo.read("data/memory/sealed.db")) > 1000


def test_a_new_kind_that_cannot_be_written_leaves_the_old_one_in_place(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("data/memory/thing/a.txt", "folder")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    repo.remove("data/memory/thing")
    make_notes(repo.path("data/memory/thing"))

    def fail(*_: object) -> list[str]:
        raise IntegrityError("it cannot be written")

    monkeypatch.setattr(type(get_kind("files")), "replacing", fail)
    with pytest.raises(IntegrityError):
        engine.restore_checkpoint(checkpoint)
    assert len(read_notes(repo.path("data/memory/thing"))) == 20
    assert engine.status().interrupted == 0


def test_an_interrupted_restore_of_memory_is_taken_back_whole(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_notes(repo.path("data/memory/agent.db"))
    repo.write("data/memory/facts/one.json", "1")
    repo.write("code.py", "1")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    add_notes(repo.path("data/memory/agent.db"), "later")
    repo.write("data/memory/facts/one.json", "later")
    repo.write("code.py", "later")

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("chronos.checkpoints.apply.Applier.apply", crash)
        with pytest.raises(KeyboardInterrupt):
            engine.restore_checkpoint(checkpoint)
    assert len(read_notes(repo.path("data/memory/agent.db"))) == 20
    assert "took back" in " ".join(repo.engine().recover(abort=True))
    assert read_notes(repo.path("data/memory/agent.db"))[-1] == "later"
    assert repo.read("data/memory/facts/one.json") == b"later"
    assert repo.read("code.py") == b"later"


def test_an_empty_file_that_becomes_a_database_keeps_the_lock_of_its_application(repo: RepoBuilder) -> None:
    ask = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('CREATE TABLE other (n)')"
    path = repo.path("n.db")
    path.touch()
    engine = repo.engine()
    with closing(sqlite3.connect(path, isolation_level=None)) as application:
        application.execute("BEGIN IMMEDIATE")
        engine.create_checkpoint("meanwhile")
        other = subprocess.run([sys.executable, "-c", ask, str(path)], capture_output=True, check=False)
        assert b"locked" in other.stderr
        application.execute("COMMIT")


def test_links_of_a_project_lead_no_capture_out_of_it(repo: RepoBuilder, tmp_path: Path) -> None:
    outside = make_notes(tmp_path / "private" / "cookies.sqlite")
    repo.link("l.db", str(outside))
    repo.write("chronos.toml", '[memory]\nx = "l.db"\n')
    with pytest.raises(BadConfigError, match="leads out"):
        repo.engine().create_checkpoint("greedy")
    repo.write("chronos.toml", 'timelines_dir = "tl"\n')
    make_notes(tmp_path / "private" / "memory" / "m.db")
    repo.link("data", str(tmp_path / "private"))
    checkpoint = repo.engine().create_checkpoint("linked")
    assert places_of(repo, checkpoint) == set()


@pytest.mark.parametrize("place", ["data/lessons", "data/lessons/deep", "data", "data/timelines/main"])
def test_lessons_and_checkpoints_are_no_memory(repo: RepoBuilder, place: str) -> None:
    repo.write("chronos.toml", f'[memory]\nx = "{place}"\n')
    with pytest.raises(BadConfigError, match="cannot be at"):
        repo.engine().create_checkpoint("greedy")


@pytest.mark.parametrize("place", ["own/lessons", "own/lessons/deep", "own"])
def test_lessons_that_are_kept_elsewhere_are_no_memory(repo: RepoBuilder, place: str) -> None:
    settings = 'lessons_dir = "own/lessons"\n'
    repo.write("chronos.toml", f'{settings}[memory]\nx = "{place}"\n')
    with pytest.raises(BadConfigError, match="cannot be at"):
        repo.engine().create_checkpoint("greedy")
    repo.write("chronos.toml", settings)
    repo.write("own/lessons/deep/x", "x")
    with pytest.raises(BadConfigError, match="cannot be at"):
        repo.engine().add_memory(repo.path(place))
    assert repo.engine().create_checkpoint("modest")


def test_a_declaration_that_is_refused_leaves_nothing_behind(repo: RepoBuilder) -> None:
    make_notes(repo.path("data/a.db"))
    repo.write("chronos.toml", '[memory]\nmine = "data/a.db"\n')
    engine = repo.engine()
    with pytest.raises(BadConfigError, match="overlap"):
        engine.add_memory(repo.path("data/a.db"), name="other")
    engine.create_checkpoint("still works")


def test_a_path_inside_a_store_is_said_to_belong_to_it(repo: RepoBuilder) -> None:
    repo.write("data/memory/notes/a.md", "1")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    repo.write("data/memory/notes/a.md", "2")
    outcome = engine.restore_checkpoint(checkpoint, paths=["data/memory/notes/a.md"])
    assert kept_paths(outcome.kept) == {"data/memory/notes/a.md"}
    assert "--store" in outcome.kept[0].reason


def test_writing_out_follows_no_link_of_the_checkpoint(repo: RepoBuilder, tmp_path: Path) -> None:
    make_notes(repo.path("storage/x.db"))
    repo.link("cur", "storage")
    repo.write("chronos.toml", '[memory]\nx = "cur/x.db"\n')
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("linked")
    assert places_of(repo, checkpoint) == {"storage/x.db"}
    add_notes(repo.path("storage/x.db"), "later")
    engine.restore_into(checkpoint, tmp_path / "out")
    assert read_notes(repo.path("storage/x.db"))[-1] == "later"
    assert len(read_notes(tmp_path / "out/storage/x.db")) == 20


def test_a_store_whose_place_is_of_another_kind_is_named_and_stops_nothing(repo: RepoBuilder) -> None:
    repo.write("data/vectors", "no folder\n")
    repo.write("chronos.toml", '[memory.v]\npath = "data/vectors"\nkind = "lancedb"\n')
    created = repo.engine().take_checkpoint("odd")
    assert created.grade.value == "partial"
    assert receipt_of(repo.engine(), created.checkpoint_id)["data/vectors"] == "unreadable"


def test_worktrees_have_memory_of_their_own(repo: RepoBuilder, tmp_path: Path) -> None:
    repo.write("a.txt", "a")
    repo.commit()
    make_notes(repo.path("data/memory/agent.db"))
    repo.git("worktree", "add", "-q", str(tmp_path / "second"))
    make_notes(tmp_path / "second/data/memory/agent.db", count=2)
    first = repo.engine().create_checkpoint("first")
    other = repo.engine(tmp_path / "second")
    second = other.create_checkpoint("second")
    add_notes(repo.path("data/memory/agent.db"), "later")
    add_notes(tmp_path / "second/data/memory/agent.db", "later")
    other.restore_checkpoint(second)
    assert len(read_notes(tmp_path / "second/data/memory/agent.db")) == 2
    assert read_notes(repo.path("data/memory/agent.db"))[-1] == "later"
    repo.engine().restore_checkpoint(first)
    assert len(read_notes(repo.path("data/memory/agent.db"))) == 20


@pytest.mark.parametrize("blocker", ["file", "link"])
def test_a_store_below_what_is_no_folder_now_is_kept_and_named_and_comes_back_later(
    repo: RepoBuilder, blocker: str
) -> None:
    repo.write("data/memory/n/a.txt", "then")
    repo.write("code.py", "1")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.remove("data/memory")
    repo.write("code.py", "2")
    if blocker == "file":
        repo.write("data/memory", "a file")
    else:
        repo.write("elsewhere/own.txt", "own")
        repo.link("data/memory", "../elsewhere")
    outcome = engine.restore_checkpoint(checkpoint)
    assert {row.path: row.reason for row in outcome.kept}[b"data/memory/n"].startswith("data/memory is no folder now")
    assert outcome.warnings == ()
    assert repo.read("code.py") == b"1"
    assert not repo.exists("data/memory")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("data/memory/n/a.txt") == b"then"
