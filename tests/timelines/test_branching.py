"""Branching: the new tree has exactly the state, the source is not touched, and nothing half-made is left."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chronos import ChronosEngine
from chronos.config import Surroundings
from chronos.errors import (
    BadPathError,
    BadTimelineNameError,
    ChronosError,
    GitFailedError,
    TimelineExistsError,
    UnknownTimelineError,
    UnsupportedError,
)
from chronos.git import add_worktree
from tests.support import RepoBuilder, tree_digest
from tests.support.databases import add_notes, make_notes, read_notes
from tests.timelines.conftest import tree_at

IGNORED = {b"ignored.txt", b".env"}


def without_ignored(root: Path) -> dict[bytes, str]:
    return {path: found for path, found in tree_digest(root).items() if path not in IGNORED}


def test_the_new_tree_has_uncommitted_staged_untracked_and_deleted_state(
    engine: ChronosEngine, worked: RepoBuilder
) -> None:
    before, head = worked.state(), worked.head()
    branched = engine.branch_timeline("experimental")
    there = tree_at(engine, "experimental", worked.environment)
    assert branched.path == worked.store / "experimental/.worktree" == there.root
    assert without_ignored(there.root) == without_ignored(worked.root)
    assert there.git("status", "--porcelain") == worked.git("status", "--porcelain")
    assert there.git("diff", "--cached") == worked.git("diff", "--cached") != ""
    assert there.git("branch", "--show-current") == "chronos/experimental"
    assert there.head() == head
    assert worked.state() == before, "the source was touched"
    assert worked.git("branch", "--show-current") != "chronos/experimental"


def test_the_new_timeline_has_its_own_memory(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("experimental")
    place = engine.timeline_path("experimental") / "data/memory/notes.db"
    add_notes(place, "only there")
    assert len(read_notes(place)) == 4
    assert len(read_notes(worked.root / "data/memory/notes.db")) == 3


def test_a_store_outside_the_project_is_copied_beside_the_new_tree(
    engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path
) -> None:
    outside = make_notes(tmp_path / "agent/brain.db", 2, journal="wal")
    engine.add_memory(outside, name="brain")
    engine.branch_timeline("experimental")
    own = worked.store / "experimental/memory/brain"
    assert engine.timeline_environment("experimental")["CHRONOS_MEMORY_BRAIN"] == str(own)
    assert read_notes(own) == read_notes(outside)
    add_notes(own, "only there")
    with engine.open_timeline("experimental") as there:
        checkpoint = there.create_checkpoint("with more notes")
        add_notes(own, "and more")
        there.restore_checkpoint(checkpoint)
    assert len(read_notes(own)) == 3
    assert len(read_notes(outside)) == 2, "the shared store was written to"


def test_a_database_found_in_the_tree_is_shown_and_told_to_programs(engine: ChronosEngine, worked: RepoBuilder) -> None:
    make_notes(worked.root / "app/state.db", 2)
    engine.branch_timeline("experimental")
    own = engine.timeline_path("experimental") / "app/state.db"
    assert engine.timeline_environment("experimental")["CHRONOS_MEMORY_APP_STATE_DB"] == str(own)
    assert own in engine.show_timeline("experimental").memory.values()
    own.unlink()
    assert own not in engine.show_timeline("experimental").memory.values()


def test_without_memory_the_stores_stay_behind(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("experimental", memory=False)
    assert not (engine.timeline_path("experimental") / "data/memory").exists()


def test_a_branch_from_a_checkpoint_has_its_state(engine: ChronosEngine, worked: RepoBuilder) -> None:
    checkpoint = engine.create_checkpoint("then")
    state = without_ignored(worked.root)
    worked.write("a.txt", "later\n")
    worked.commit("later")
    branched = engine.branch_timeline("old", checkpoint)
    assert branched.source == checkpoint
    assert without_ignored(branched.path) == state


def test_commands_in_the_new_tree_find_their_timeline(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("experimental")
    tree = engine.timeline_path("experimental")
    there = RepoBuilder(tree, worked.environment).engine(tree / "sub")
    assert (there.timeline, there.store_path, there.root) == ("experimental", worked.store, tree)
    there.create_checkpoint("made there")
    assert engine.list_checkpoints("experimental")[0].name == "made there"
    there.close()


def test_a_moved_worktree_is_still_its_timeline(engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path) -> None:
    engine.branch_timeline("experimental")
    worked.git("worktree", "move", str(engine.timeline_path("experimental")), str(tmp_path / "elsewhere"))
    there = RepoBuilder(tmp_path / "elsewhere", worked.environment).engine()
    assert (there.timeline, there.store_path) == ("experimental", worked.store)
    there.create_checkpoint("after the move")
    assert engine.timeline_path("experimental") == tmp_path / "elsewhere"
    there.close()


def test_the_variable_leads_to_a_timeline_from_anywhere(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("experimental")
    there = worked.engine(CHRONOS_TIMELINE="experimental")
    assert (there.timeline, there.root) == ("experimental", engine.timeline_path("experimental"))
    with there.open_timeline("main") as first:
        assert first.root == worked.root
    with pytest.raises(UnknownTimelineError):
        worked.engine(CHRONOS_TIMELINE="nobody")


def test_the_variables_of_a_run_lead_to_the_timeline_from_another_project(
    engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path
) -> None:
    """Each project has a timeline of that name."""
    other = RepoBuilder(tmp_path / "other", worked.environment)
    other.commit()
    tree = engine.branch_timeline("experimental").path
    other.engine().branch_timeline("experimental")
    surroundings = Surroundings({**worked.environment, **engine.timeline_environment("experimental")}, other.root)
    with ChronosEngine(surroundings=surroundings) as there:
        assert (there.root, there.timeline) == (tree, "experimental")
    with ChronosEngine(other.root, surroundings=surroundings) as named:
        assert named.store_path == other.store, "what was named goes first"
    alone = Surroundings({**worked.environment, "CHRONOS_ROOT": str(tree)}, other.root)
    with ChronosEngine(surroundings=alone) as there:
        assert there.root == other.root
    other.close()


def test_ignored_files_come_along_when_they_are_named(engine: ChronosEngine, worked: RepoBuilder) -> None:
    worked.write(".env", "TOKEN=1\n")
    branched = engine.branch_timeline("seeded", seeds=["ignored*"])
    assert branched.seeded == ("ignored.txt",)
    assert (branched.path / "ignored.txt").read_text() == "ignored\n"
    assert not (branched.path / ".env").exists()
    assert (engine.branch_timeline("named", seeds=[".env"]).path / ".env").exists()


def test_a_secret_file_is_seeded_only_by_its_name(engine: ChronosEngine, worked: RepoBuilder) -> None:
    worked.write(".env", "TOKEN=1\n")
    with pytest.raises(BadPathError, match="exactly"):
        engine.branch_timeline("seeded", seeds=[".en*"])
    with pytest.raises(BadPathError):
        engine.branch_timeline("seeded", seeds=["nothing-is-called-so"])
    assert [one.name for one in engine.list_timelines() if one.name != "main"] == []


def test_a_seed_that_only_its_owner_may_read_stays_so(engine: ChronosEngine, worked: RepoBuilder) -> None:
    worked.write(".gitignore", ".env\n")
    worked.write(".env", "TOKEN=1\n")
    worked.path(".env").chmod(0o600)
    place = engine.branch_timeline("private", seeds=[".env"]).path
    assert (place / ".env").read_text() == "TOKEN=1\n" and (place / ".env").stat().st_mode & 0o777 == 0o600


def test_an_include_rule_brings_ignored_files_along(engine: ChronosEngine, worked: RepoBuilder) -> None:
    worked.write(".chronoinclude", "ignored.txt\n")
    assert (engine.branch_timeline("included").path / "ignored.txt").exists()


def test_a_plain_folder_is_branched_into_a_plain_folder(folder: RepoBuilder) -> None:
    folder.write("a.txt", "a\n")
    folder.write("sub/b.txt", "b\n")
    engine = folder.engine()
    branched = engine.branch_timeline("experimental")
    assert tree_digest(branched.path) == tree_digest(folder.root, without=(b"data",))
    there = RepoBuilder(branched.path, folder.environment, git=False)
    there.write("a.txt", "changed there\n")
    inside = there.engine(branched.path / "sub")
    assert (inside.timeline, inside.root) == ("experimental", branched.path)
    checkpoint = inside.create_checkpoint("there")
    there.write("a.txt", "lost\n")
    inside.restore_checkpoint(checkpoint)
    assert there.read("a.txt") == b"changed there\n"
    assert folder.read("a.txt") == b"a\n"
    assert engine.verify() == []
    there.close()


def test_a_repository_without_a_commit_can_be_branched(repo: RepoBuilder) -> None:
    repo.write("first.txt", "first\n")
    engine = repo.engine()
    there = RepoBuilder(engine.branch_timeline("early").path, repo.environment)
    assert there.read("first.txt") == b"first\n"
    there.commit("the first commit")
    assert there.git("branch", "--show-current") == "chronos/early"
    assert repo.git("rev-parse", "--verify", "-q", "HEAD", ok=(1,)) == ""


def test_submodules_and_embedded_repositories_come_along(
    worked: RepoBuilder, engine: ChronosEngine, tmp_path: Path
) -> None:
    library = RepoBuilder(tmp_path / "library", worked.environment)
    library.write("lib.txt", "lib\n")
    library.commit()
    worked.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "module")
    worked.commit("with a submodule")
    worked.write("module/lib.txt", "edited\n")
    RepoBuilder(worked.root / "embedded", worked.environment).write("own.txt", "own\n")
    RepoBuilder(worked.root / "embedded", worked.environment).commit("its own history")
    worked.write("embedded/own.txt", "edited\n")
    before = worked.state()
    branched = engine.branch_timeline("nested")
    assert branched.warnings == ()
    assert without_ignored(branched.path) == without_ignored(worked.root)
    module = RepoBuilder(branched.path / "module", worked.environment)
    module.commit("work in the submodule of the timeline")
    embedded = RepoBuilder(branched.path / "embedded", worked.environment)
    assert embedded.git("log", "--format=%s") == "its own history"
    embedded.commit("work in the embedded one")
    assert worked.state() == before, "a repository was shared"
    with engine.open_timeline("nested") as there:
        checkpoint = there.create_checkpoint("nested work")
        module.write("lib.txt", "lost\n")
        there.restore_checkpoint(checkpoint)
        assert module.read("lib.txt") == b"edited\n"


def test_a_submodule_comes_along_again_when_the_name_is_used_again(
    worked: RepoBuilder, engine: ChronosEngine, tmp_path: Path
) -> None:
    """Its repository still has a worktree at that place, and of a killed branch a locked one."""
    library = RepoBuilder(tmp_path / "library", worked.environment)
    library.write("lib.txt", "lib\n")
    library.commit()
    worked.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "module")
    worked.commit("with a submodule")
    for is_locked in (False, True, False):
        branched = engine.branch_timeline("nested")
        assert branched.warnings == ()
        module = RepoBuilder(branched.path / "module", worked.environment)
        assert module.git("log", "--format=%H") == library.git("log", "--format=%H")
        if is_locked:
            module.git("worktree", "lock", "--reason", "initializing", str(module.root))
        engine.delete_timeline("nested")


def test_the_setting_moves_the_trees(worked: RepoBuilder, tmp_path: Path) -> None:
    engine = worked.engine(CHRONOS_WORKTREES_DIR=str(tmp_path / "trees"))
    branched = engine.branch_timeline("experimental")
    assert branched.path == tmp_path / "trees/experimental"
    there = RepoBuilder(branched.path, worked.environment).engine()
    assert (there.timeline, there.store_path) == ("experimental", worked.store)
    there.close()
    engine.delete_timeline("experimental")
    assert not branched.path.exists()
    engine.undo()
    assert branched.path.is_dir()


def test_a_project_cannot_put_the_trees_elsewhere(worked: RepoBuilder) -> None:
    worked.write("chronos.toml", 'worktrees_dir = "../outside"\n')
    with pytest.raises(ChronosError, match="leads out"):
        worked.engine()


def test_a_branch_in_a_timeline_begins_from_that_one(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("first")
    with engine.open_timeline("first") as there:
        tree_at(engine, "first", worked.environment).write("a.txt", "of the first\n")
        second = there.branch_timeline("second")
    assert (second.path / "a.txt").read_text() == "of the first\n"
    parents = {one.name: one.parent.timeline if one.parent else None for one in engine.list_timelines()}
    assert parents == {"main": None, "first": "main", "second": "first"}
    assert second.path == worked.store / "second/.worktree"


@pytest.mark.parametrize(
    "name",
    ["", "main", "Main", "imported", "a b", "../x", "a/b", ".hidden", "x.lock", "a..b", "-x", "x" * 65, "é", "a."],
)
def test_names_that_no_folder_or_branch_can_have_are_refused(engine: ChronosEngine, name: str) -> None:
    with pytest.raises(BadTimelineNameError):
        engine.branch_timeline(name)


def test_a_name_that_is_taken_is_refused(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("taken")
    for name in ("taken", "TAKEN"):
        with pytest.raises(TimelineExistsError):
            engine.branch_timeline(name)
    worked.git("branch", "chronos/theirs")
    with pytest.raises(TimelineExistsError, match="branch"):
        engine.branch_timeline("theirs")
    worked.git("worktree", "add", "-q", "-b", "chronos/elsewhere", str(worked.root.parent / "elsewhere"))
    with pytest.raises(TimelineExistsError):
        engine.branch_timeline("elsewhere")


def test_a_branch_called_like_the_folder_of_ours_is_named_as_the_reason(repo: RepoBuilder) -> None:
    repo.commit()
    repo.git("branch", "chronos")
    with pytest.raises(TimelineExistsError, match="called chronos"):
        repo.engine().branch_timeline("any")


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_branch_below_the_new_name_is_named_as_the_reason(repo: RepoBuilder, is_packed: bool) -> None:
    repo.commit()
    repo.git("branch", "chronos/a/b")
    if is_packed:
        repo.git("pack-refs", "--all")
    engine = repo.engine()
    with pytest.raises(TimelineExistsError, match="called chronos/a/b"):
        engine.branch_timeline("a")
    assert [one.checkpoints for one in engine.list_timelines()] == [0], "nothing was written"
    engine.branch_timeline("b")


def test_a_branch_below_the_new_name_that_comes_meanwhile_stops_nothing_else(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit()
    engine = repo.engine()

    def make(*arguments: Any) -> None:
        repo.git("branch", "chronos/a/b")
        add_worktree(*arguments)

    monkeypatch.setattr("chronos.timelines.branching.add_worktree", make)
    with pytest.raises(GitFailedError):
        engine.branch_timeline("a")
    monkeypatch.undo()
    assert not list((repo.store / ".store/journal").iterdir()), "nothing is left to be recovered"
    assert not (repo.store / "a").exists()
    repo.git("branch", "-D", "chronos/a/b")
    engine.branch_timeline("a")


def test_a_branch_that_fails_leaves_nothing(
    engine: ChronosEngine, worked: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise GitFailedError("it broke")

    monkeypatch.setattr("chronos.timelines.branching._seal", fail)
    with pytest.raises(GitFailedError, match="it broke"):
        engine.branch_timeline("broken")
    assert not (worked.store / "broken").exists()
    assert worked.git("branch", "--list", "chronos/*") == ""
    assert len(worked.git("worktree", "list").splitlines()) == 1
    assert engine.verify() == []
    monkeypatch.undo()
    engine.branch_timeline("broken")


def test_a_checkpoint_whose_base_is_gone_is_refused(engine: ChronosEngine, worked: RepoBuilder) -> None:
    checkpoint = engine.create_checkpoint("then")
    gone = worked.head()
    worked.git("checkout", "-q", "--orphan", "other")
    worked.commit("another history")
    for ref in worked.git("for-each-ref", "--format=%(refname)").splitlines():
        if worked.git("rev-parse", ref) == gone:
            worked.git("update-ref", "-d", ref)
    worked.git("reflog", "expire", "--expire=now", "--all")
    worked.git("gc", "-q", "--prune=now")
    with pytest.raises(ChronosError):
        engine.branch_timeline("lost", checkpoint)
    assert not (worked.store / "lost").exists()


def test_the_worktrees_of_a_bare_repository_branch_too(worked: RepoBuilder, tmp_path: Path) -> None:
    worked.git("stash", "-q", "-u")
    worked.git("clone", "-q", "--bare", str(worked.root), str(tmp_path / "bare.git"))
    bare = RepoBuilder(tmp_path / "bare.git", worked.environment, git=False)
    bare.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "topic"))
    topic = RepoBuilder(tmp_path / "topic", worked.environment)
    topic.write("a.txt", "edited\n")
    branched = topic.engine().branch_timeline("experimental")
    assert (branched.path / "a.txt").read_text() == "edited\n"
    there = RepoBuilder(branched.path, worked.environment).engine()
    assert (there.timeline, there.store_path) == ("experimental", tmp_path / "topic/data/timelines")
    there.close()
    with pytest.raises(UnsupportedError):
        topic.engine(CHRONOS_WORKTREES_DIR=str(tmp_path / "trees")).branch_timeline("other")
    topic.close()


def test_a_moved_repository_keeps_its_timelines(engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path) -> None:
    engine.branch_timeline("experimental")
    engine.close()
    moved = tmp_path / "moved"
    shutil.move(worked.root, moved)
    surroundings = Surroundings(worked.environment, moved)
    with ChronosEngine(moved, surroundings=surroundings) as again:
        again.doctor()
        tree = again.timeline_path("experimental")
        assert tree == moved / "data/timelines/experimental/.worktree"
        with again.open_timeline("experimental") as there:
            there.create_checkpoint("after the move")


def test_the_database_of_a_running_writer_is_branched_as_of_one_instant(
    engine: ChronosEngine, worked: RepoBuilder
) -> None:
    with closing(sqlite3.connect(worked.root / "data/memory/notes.db")) as writer:
        writer.execute("PRAGMA journal_mode=wal")
        writer.execute("INSERT INTO notes (body) VALUES ('committed')")
        writer.execute("UPDATE totals SET notes = notes + 1")
        writer.commit()
        writer.execute("INSERT INTO notes (body) VALUES ('not committed')")
        place = engine.branch_timeline("experimental").path / "data/memory/notes.db"
        assert read_notes(place)[-1] == "committed"


def test_a_worktree_of_the_user_with_the_name_of_a_timeline_is_another_one(
    engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path
) -> None:
    engine.branch_timeline("topic")
    worked.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "topic"))
    own = RepoBuilder(tmp_path / "topic", worked.environment).engine()
    own.create_checkpoint("in their own")
    assert own.timeline == "topic-worktree"
    own.close()


def test_the_disk_that_trees_take_is_said(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("kept")
    engine.branch_timeline("gone")
    engine.delete_timeline("gone")
    found = {(one.timeline, one.is_aside): one.bytes for one in engine.measure_usage().trees}
    assert found.keys() == {("kept", False), ("gone", True)}
    assert all(found.values())
