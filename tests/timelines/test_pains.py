"""What users of worktrees and of checkpoints for agents suffer from, and what happens here instead."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.errors import ChangedMeanwhileError
from tests.support import RepoBuilder, tree_digest
from tests.support.databases import add_notes, read_notes
from tests.timelines.conftest import tree_at

LINES = [f"line {number}\n" for number in range(60)]


def change_line(repo: RepoBuilder, number: int) -> None:
    lines = repo.read("long.txt").decode().splitlines(keepends=True)
    lines[number] = f"changed {number}\n"
    repo.write("long.txt", "".join(lines))


def read_log(repo: RepoBuilder) -> list[str]:
    with closing(sqlite3.connect(repo.root / "data/memory/log.db")) as connection:
        return [row[0] for row in connection.execute("SELECT body FROM log ORDER BY id")]


@pytest.fixture
def six_changes(worked: RepoBuilder, engine: ChronosEngine) -> list[str]:
    """Checkpoints 0 to 6: before, and after each of six changes to one file, with a new file and a row of memory."""
    worked.write("long.txt", "".join(LINES))
    log = worked.root / "data/memory/log.db"
    with closing(sqlite3.connect(log)) as connection, connection:
        connection.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
    checkpoints = [engine.create_checkpoint("change 0")]
    for number in range(1, 7):
        change_line(worked, number * 8)
        worked.write(f"own-{number}.txt", "own\n")
        with closing(sqlite3.connect(log)) as connection, connection:
            connection.execute("INSERT INTO log (body) VALUES (?)", (f"remembered {number}",))
        checkpoints.append(engine.create_checkpoint(f"change {number}"))
    return checkpoints


# one bad change among good ones


def test_the_third_of_six_changes_is_taken_back_and_the_later_ones_stay(
    engine: ChronosEngine, worked: RepoBuilder, six_changes: list[str]
) -> None:
    before = worked.state()
    shown = engine.revert_checkpoint(six_changes[3], plan_only=True)
    assert {change.path for change in shown.plan.change_set.changes} == {b"long.txt", b"own-3.txt"}
    assert worked.state() == before, "looking at it changed something"
    assert not engine.revert_checkpoint(six_changes[3], plan_id=shown.plan.plan_id).conflicts
    lines = worked.read("long.txt").decode().splitlines()
    assert [number for number in range(60) if lines[number].startswith("changed")] == [8, 16, 32, 40, 48]
    assert sorted(path.name for path in worked.root.glob("own-*")) == [f"own-{n}.txt" for n in (1, 2, 4, 5, 6)]
    assert read_log(worked) == [f"remembered {number}" for number in (1, 2, 4, 5, 6)]
    engine.undo()
    assert worked.state() == before


def test_only_the_named_file_of_a_change_is_taken_back(
    engine: ChronosEngine, worked: RepoBuilder, six_changes: list[str]
) -> None:
    text, log = worked.read("long.txt"), read_log(worked)
    engine.revert_checkpoint(six_changes[3], paths=["own-3.txt"])
    assert not (worked.root / "own-3.txt").exists()
    assert (worked.read("long.txt"), read_log(worked)) == (text, log)


def test_a_change_that_a_later_one_builds_upon_is_a_conflict_and_not_lost(
    engine: ChronosEngine, worked: RepoBuilder, six_changes: list[str]
) -> None:
    worked.write("long.txt", worked.read("long.txt").replace(b"changed 24\n", b"changed 24, and by hand\n"))
    before = worked.state()
    (conflict,) = engine.revert_checkpoint(six_changes[3], paths=["long.txt"]).conflicts
    assert conflict.path == b"long.txt"
    assert worked.state() == before, "something was changed all the same"


# two sessions at once


def test_rewinding_one_session_leaves_the_work_of_the_other(engine: ChronosEngine, worked: RepoBuilder) -> None:
    for name in ("first", "second"):
        engine.branch_timeline(name)
    first, second = (tree_at(engine, name, worked.environment) for name in ("first", "second"))
    with engine.open_timeline("first") as one, engine.open_timeline("second") as other:
        start = one.create_checkpoint("start")
        first.write("a.txt", "of the first\n")
        second.write("a.txt", "of the second\n")
        second.write("own.txt", "own\n")
        add_notes(second.root / "data/memory/notes.db", "of the second")
        other.create_checkpoint("work of the second")
        first.write("later.txt", "later\n")
        theirs, mine = second.state(), worked.state()
        one.restore_checkpoint(start)
        assert first.read("a.txt") == b"edited\n"
        one.undo()
        assert first.read("a.txt") == b"of the first\n"
        assert len(read_notes(second.root / "data/memory/notes.db")) == 4
    assert (second.state(), worked.state()) == (theirs, mine)


def test_what_another_session_wrote_since_the_plan_stops_a_merge(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("first")
    tree_at(engine, "first", worked.environment).write("sub/b.txt", "of the first\n")
    plan = engine.plan_merge_timeline("first").plan
    tree_at(engine, "first", worked.environment).write("sub/c.txt", "written meanwhile\n")
    before = worked.state()
    with pytest.raises(ChangedMeanwhileError):
        engine.merge_timeline("first", plan_id=plan.plan_id)
    assert worked.state() == before


def test_both_sessions_are_merged_and_no_older_state_overwrites_a_newer_one(
    engine: ChronosEngine, worked: RepoBuilder
) -> None:
    worked.write("long.txt", "".join(LINES))
    for number, name in enumerate(("first", "second")):
        engine.branch_timeline(name)
        there = tree_at(engine, name, worked.environment)
        change_line(there, 10 + 20 * number)
    change_line(worked, 50)
    for name in ("first", "second"):
        assert not engine.merge_timeline(name, paths=["long.txt"]).conflicts
    lines = worked.read("long.txt").decode().splitlines()
    assert [number for number in range(60) if lines[number].startswith("changed")] == [10, 30, 50]


# repositories inside the tree


@pytest.fixture
def nested(worked: RepoBuilder, tmp_path: Path) -> RepoBuilder:
    """The repository with a submodule and an embedded repository in it, both with uncommitted work."""
    library = RepoBuilder(tmp_path / "library", worked.environment)
    library.write("lib.txt", "lib\n")
    library.commit()
    worked.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "module")
    worked.commit("with a submodule")
    embedded = RepoBuilder(worked.root / "embedded", worked.environment)
    embedded.write("own.txt", "own\n")
    embedded.commit("its own history")
    worked.write("module/lib.txt", "edited\n")
    worked.write("embedded/own.txt", "edited\n")
    return worked


def test_work_in_nested_repositories_is_branched_merged_and_undone_with_the_rest(
    engine: ChronosEngine, nested: RepoBuilder
) -> None:
    branched = engine.branch_timeline("nested")
    there = RepoBuilder(branched.path, nested.environment)
    assert [there.read(path) for path in ("module/lib.txt", "embedded/own.txt")] == [b"edited\n", b"edited\n"]
    before = nested.state()
    for path in ("module/lib.txt", "module/new.txt", "embedded/own.txt", "embedded/new.txt", "sub/b.txt"):
        there.write(path, "of the timeline\n")
    merged = engine.merge_timeline("nested")
    assert (merged.conflicts, merged.is_done) == ((), True)
    for path in ("module/lib.txt", "module/new.txt", "embedded/own.txt", "embedded/new.txt", "sub/b.txt"):
        assert nested.read(path) == b"of the timeline\n", path
    engine.undo()
    assert nested.state() == before


# worktrees that are not complete, or stay behind


def test_a_branched_tree_is_ready_to_work_in(engine: ChronosEngine, nested: RepoBuilder) -> None:
    nested.write(".gitignore", "ignored*\n.env\nnode_modules/\n")
    nested.write(".env", "TOKEN=1\n")
    nested.write("node_modules/tool/index.js", "tool\n")
    (nested.root / "node_modules/.bin").mkdir()
    (nested.root / "node_modules/.bin/tool").symlink_to("../tool/index.js")
    branched = engine.branch_timeline("ready", seeds=[".env", "node_modules/"])
    expected, found = tree_digest(nested.root), tree_digest(branched.path)
    del expected[b"ignored.txt"], expected[b".gitmodules"], found[b".gitmodules"]
    assert found == expected
    assert (branched.path / "module/lib.txt").read_text() == "edited\n", "the submodule is empty"
    assert (branched.path / "node_modules/.bin/tool").read_text() == "tool\n"


@pytest.mark.parametrize("way", ["by hand", "by git"])
def test_nothing_of_a_finished_timeline_stays_behind(engine: ChronosEngine, worked: RepoBuilder, way: str) -> None:
    tree = engine.branch_timeline("finished").path
    tree_at(engine, "finished", worked.environment).write("work.txt", "work\n")
    engine.merge_timeline("finished")
    if way == "by hand":
        shutil.rmtree(tree)
    else:
        worked.git("worktree", "remove", "--force", str(tree))
    engine.delete_timeline("finished")
    engine.prune_timelines(engine.plan_prune_timelines())
    engine.gc(deleted=True)
    assert len(worked.git("worktree", "list").splitlines()) == 1
    assert worked.git("branch", "--list", "chronos/*") == ""
    assert [one.name for one in engine.list_timelines()] == ["main"]
    assert not tree.exists()
    assert worked.read("work.txt") == b"work\n"
    assert engine.verify() == []
