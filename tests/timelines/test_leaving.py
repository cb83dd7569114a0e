"""Timelines that go: held by a checkpoint first, brought back by undo as they were, and never with work unheld."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.errors import RefusedError, StateError, TimelineExistsError, UnknownTimelineError
from tests.support import RepoBuilder, tree_digest
from tests.support.databases import add_notes, make_notes, read_notes
from tests.timelines.conftest import tree_at

DAY_S = 86_400


@pytest.fixture
def branched(engine: ChronosEngine, worked: RepoBuilder) -> RepoBuilder:
    """A timeline with work that no checkpoint has yet."""
    engine.branch_timeline("experimental")
    there = tree_at(engine, "experimental", worked.environment)
    there.write("work.txt", "work\n")
    there.write("ignored.bin", "in no checkpoint\n")
    return there


def names(engine: ChronosEngine) -> list[str]:
    return [one.name for one in engine.list_timelines()]


def age(tree: RepoBuilder, engine: ChronosEngine) -> None:
    """Let a tree look unused for long."""
    admin = Path(tree.git("rev-parse", "--absolute-git-dir"))
    for path in (tree.root, admin / "index", admin / "HEAD"):
        os.utime(path, (1_000_000_000, 1_000_000_000))


def test_a_timeline_is_deleted_once(engine: ChronosEngine, branched: RepoBuilder) -> None:
    """A second time there is nothing to delete, and nothing that undo would have to take back first."""
    engine.delete_timeline("experimental")
    with pytest.raises(StateError, match="deleted already"):
        engine.delete_timeline("experimental")
    engine.undo()
    assert branched.root.is_dir()


def test_a_deleted_timeline_comes_back_as_it_was(
    engine: ChronosEngine, branched: RepoBuilder, worked: RepoBuilder
) -> None:
    state, tree = branched.state(), tree_digest(branched.root)
    checkpoints = len(engine.list_checkpoints("experimental"))
    engine.delete_timeline("experimental")
    assert names(engine) == ["main"]
    assert not branched.root.exists()
    assert worked.git("branch", "--list", "chronos/*") == ""
    assert len(worked.git("worktree", "list").splitlines()) == 1
    assert engine.verify() == []
    engine.undo()
    assert tree_digest(branched.root) == tree, "what no checkpoint holds came back, too"
    assert branched.state() == state
    assert branched.git("branch", "--show-current") == "chronos/experimental"
    assert len(engine.list_checkpoints("experimental")) == checkpoints + 1, "the last state was checkpointed"
    engine.redo()
    assert names(engine) == ["main"]
    assert engine.verify() == []


def test_an_undone_branch_goes_and_a_redone_one_comes_back(engine: ChronosEngine, branched: RepoBuilder) -> None:
    tree = tree_digest(branched.root)
    engine.undo()
    assert names(engine) == ["main"]
    engine.redo()
    assert tree_digest(branched.root) == tree


@pytest.mark.parametrize("way", ["delete", "undo"])
@pytest.mark.parametrize("is_detached", [False, True])
def test_commits_that_only_the_branch_has_are_not_lost(
    engine: ChronosEngine, branched: RepoBuilder, worked: RepoBuilder, way: str, is_detached: bool
) -> None:
    """The base ref of a checkpoint leads to them too, but gc drops it."""
    branched.commit("first")
    lonely = branched.commit("second", everything=False)
    if is_detached:
        branched.git("checkout", "-q", "--detach", "HEAD~1")
    said = "git branch chronos/experimental stays: no other branch or tag leads to its commits"
    if way == "delete":
        (plan,) = engine.plan_delete_timeline("experimental").timelines
        assert (plan.branch, str(plan.kept_branch)) == ("", said)
        engine.delete_timeline("experimental")
        assert engine.notices == [said]
    else:
        assert said in engine.plan_undo()[1].warnings
        assert engine.undo().warnings == (said,)
    engine.gc(deleted=True)
    assert worked.git("for-each-ref", "--format=%(objectname)", "refs/heads/chronos") == lonely


def test_a_branch_whose_commits_are_the_users_elsewhere_goes(
    engine: ChronosEngine, branched: RepoBuilder, worked: RepoBuilder
) -> None:
    worked.git("tag", "kept", branched.commit("work"))
    (plan,) = engine.plan_delete_timeline("experimental").timelines
    assert (plan.branch, plan.kept_branch) == ("chronos/experimental", None)
    engine.delete_timeline("experimental")
    assert worked.git("branch", "--list", "chronos/*") == ""
    engine.undo()
    assert branched.git("rev-parse", "HEAD") == worked.git("rev-parse", "kept")


def test_an_undo_says_which_branch_is_in_the_way_of_another(
    engine: ChronosEngine, branched: RepoBuilder, worked: RepoBuilder
) -> None:
    engine.delete_timeline("experimental")
    worked.git("branch", "chronos/experimental/part")
    with pytest.raises(StateError, match="chronos/experimental/part"):
        engine.undo()
    worked.git("branch", "-m", "chronos/experimental/part", "part")
    engine.undo()
    assert branched.git("branch", "--show-current") == "chronos/experimental"


def test_a_deleted_name_can_be_taken_again(engine: ChronosEngine, branched: RepoBuilder) -> None:
    engine.delete_timeline("experimental")
    engine.branch_timeline("experimental")
    assert not (branched.root / "work.txt").exists()
    assert engine.verify() == []
    engine.undo()
    with pytest.raises(StateError):
        engine.branch_timeline("experimental")
        engine.undo()
        engine.branch_timeline("experimental")
        engine.undo()
        raise StateError("every branch could be taken back")
    engine.undo()
    assert (branched.root / "work.txt").exists(), "the first one is still there behind them"


def test_main_and_the_timeline_at_hand_are_never_deleted(engine: ChronosEngine, branched: RepoBuilder) -> None:
    with pytest.raises(RefusedError):
        engine.delete_timeline("main")
    with engine.open_timeline("experimental") as there, pytest.raises(StateError, match="itself"):
        there.delete_timeline("experimental")
    with pytest.raises(UnknownTimelineError):
        engine.delete_timeline("nobody")
    assert branched.root.is_dir()


def test_a_worktree_that_the_user_made_is_not_deleted(
    engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path
) -> None:
    worked.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "topic"))
    own = RepoBuilder(tmp_path / "topic", worked.environment).engine()
    own.create_checkpoint("in their own")
    own.close()
    assert engine.show_timeline("topic").is_adopted
    with pytest.raises(RefusedError, match="not made by chrono"):
        engine.delete_timeline("topic")
    worked.git("worktree", "remove", "--force", str(tmp_path / "topic"))
    engine.delete_timeline("topic")
    assert names(engine) == ["main"]
    engine.undo()
    assert names(engine) == ["main", "topic"]


@pytest.mark.parametrize("way", ["by hand", "by git"])
def test_a_tree_that_was_removed_leaves_its_checkpoints(
    engine: ChronosEngine, branched: RepoBuilder, worked: RepoBuilder, way: str
) -> None:
    with engine.open_timeline("experimental") as there:
        held = there.create_checkpoint("held")
    if way == "by hand":
        shutil.rmtree(branched.root)
    else:
        worked.git("worktree", "remove", "--force", str(branched.root))
    (found,) = [one for one in engine.list_timelines() if one.name == "experimental"]
    assert (found.is_there, found.checkpoints) == (False, 2)
    with pytest.raises(UnknownTimelineError, match="no working tree"):
        engine.timeline_path("experimental")
    with pytest.raises(TimelineExistsError):
        engine.branch_timeline("experimental")
    assert (engine.branch_timeline("again", held).path / "work.txt").read_text() == "work\n"
    plan = engine.plan_prune_timelines()
    assert [one.path for one in plan.links] == ([branched.root] if way == "by hand" else [])
    engine.prune_timelines(plan)
    assert str(branched.root) not in worked.git("worktree", "list", "--porcelain")
    assert len(engine.list_checkpoints("experimental")) == 2
    assert engine.verify() == []


def test_prune_takes_idle_trees_and_never_work_that_no_checkpoint_holds(
    engine: ChronosEngine, branched: RepoBuilder, worked: RepoBuilder
) -> None:
    engine.branch_timeline("idle")
    idle = tree_at(engine, "idle", worked.environment)
    engine.branch_timeline("used")
    age(branched, engine)
    age(idle, engine)
    plan = engine.plan_prune_timelines(0)
    assert {one.name: one.goes for one in plan.timelines} == {"experimental": False, "idle": True, "used": True}
    assert {one.name: one.reason for one in plan.timelines}["experimental"] == "it holds work that no checkpoint has"
    later = engine.plan_prune_timelines(1)
    assert not any(one.goes for one in later.timelines), "all were branched just now"
    engine.prune_timelines(plan, 0)
    assert branched.read("work.txt") == b"work\n"
    assert {one.name: one.is_there for one in engine.list_timelines()} == {
        "main": True, "experimental": True, "idle": False, "used": False,
    }  # fmt: skip
    engine.undo()
    engine.undo()
    assert all(one.is_there for one in engine.list_timelines())


def test_a_prune_that_is_redone_leaves_the_checkpoints(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("idle")
    engine.prune_timelines(engine.plan_prune_timelines(0), 0)
    engine.undo()
    engine.redo()
    assert [(one.is_there, one.checkpoints) for one in engine.list_timelines() if one.name == "idle"] == [(False, 1)]
    engine.undo()
    assert engine.timeline_path("idle").is_dir()


def test_memory_of_a_timeline_whose_tree_is_gone_comes_back_with_an_undo(
    engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path
) -> None:
    engine.add_memory(make_notes(tmp_path / "agent/brain.db", 2), name="brain")
    tree = engine.branch_timeline("experimental").path
    own = worked.store / "experimental/memory/brain"
    add_notes(own, "in no checkpoint")
    shutil.rmtree(tree)
    engine.delete_timeline("experimental")
    assert not own.exists()
    engine.undo()
    assert read_notes(own)[-1] == "in no checkpoint"


def test_gc_leaves_a_timeline_that_has_only_its_tree(worked: RepoBuilder, tmp_path: Path) -> None:
    engine = worked.engine(CHRONOS_WORKTREES_DIR=str(tmp_path / "trees"))
    engine.add_memory(make_notes(tmp_path / "agent/brain.db", 2), name="brain")
    engine.branch_timeline("experimental")
    for row in engine.list_checkpoints("experimental"):
        engine.delete_checkpoint(row.checkpoint_id)
    engine.gc(deleted=True)
    assert len(read_notes(worked.store / "experimental/memory/brain")) == 2
    with engine.open_timeline("experimental") as there:
        there.create_checkpoint("again")


def test_gc_removes_trees_that_nothing_brings_back(engine: ChronosEngine, branched: RepoBuilder) -> None:
    engine.delete_timeline("experimental")
    aside = list(branched.root.parent.glob(".removed-*"))
    engine.gc()
    assert [path.is_dir() for path in aside] == [True], "undo can bring it back"
    plan = engine.plan_gc(deleted=True)
    assert plan.expiry.trees == aside
    engine.gc(deleted=True, plan_id=plan.plan_id)
    assert not branched.root.parent.exists(), "nothing of the timeline is left"
    with pytest.raises(StateError, match="for good"):
        engine.undo()
    assert engine.skip().summary.startswith("skip branch experimental")
    assert engine.verify() == []


def test_prune_keeps_a_tree_with_files_that_no_checkpoint_takes(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("secret")
    tree_at(engine, "secret", worked.environment).write(".env.local", "TOKEN=1\n")
    (one,) = engine.plan_prune_timelines(0).timelines
    assert (one.goes, one.reason) == (False, "it holds files that no checkpoint takes")


def test_the_plan_of_a_delete_says_what_no_checkpoint_holds(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.branch_timeline("secret")
    tree_at(engine, "secret", worked.environment).write("id_rsa", "key\n")
    plan = engine.plan_delete_timeline("secret")
    assert [row.path for row in plan.timelines[0].uncovered] == [b"id_rsa"]
    engine.delete_timeline("secret", plan_id=plan.plan_id)
    engine.undo()
    assert (engine.timeline_path("secret") / "id_rsa").exists()


def test_a_commit_that_only_the_link_to_a_lost_tree_leads_to_is_not_forgotten(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder
) -> None:
    branched.git("checkout", "--quiet", "--detach")
    commit = branched.commit("work that no branch has")
    shutil.rmtree(branched.root)
    plan = engine.plan_prune_timelines(0)
    assert plan.links == ()
    assert [(one.goes, commit[:12] in one.reason) for one in plan.timelines] == [(False, True)]
    with pytest.raises(RefusedError, match=commit[:12]):
        engine.delete_timeline("experimental")
    worked.git("gc", "--quiet", "--prune=now")
    worked.git("branch", "kept", commit)
    assert [one.path for one in engine.plan_prune_timelines(0).links] == [branched.root]
    engine.delete_timeline("experimental")


def test_a_commit_that_only_a_checkpoint_leads_to_is_not_forgotten_with_the_link_to_a_lost_tree(
    engine: ChronosEngine, branched: RepoBuilder
) -> None:
    branched.git("checkout", "--quiet", "--detach")
    commit = branched.commit("work that no branch has")
    with engine.open_timeline("experimental") as there:
        there.create_checkpoint("held")
    shutil.rmtree(branched.root)
    (one,) = engine.plan_prune_timelines(0).timelines
    assert (one.goes, commit[:12] in one.reason) == (False, True)


@pytest.mark.parametrize("is_merged", [True, False])
def test_the_plan_of_a_prune_says_which_branch_goes_with_the_link_to_a_lost_tree(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder, is_merged: bool
) -> None:
    commit = branched.commit("work")
    if is_merged:
        worked.git("branch", "kept", commit)
    shutil.rmtree(branched.root)
    plan = engine.plan_prune_timelines(0)
    (one,) = plan.links
    assert (one.name, one.branch) == ("experimental", "chronos/experimental" if is_merged else "")
    assert (one.kept_branch is None) is is_merged
    engine.prune_timelines(plan)
    assert ("chronos/experimental" in worked.git("branch", "--list")) is not is_merged


@pytest.mark.parametrize("is_there", [True, False])
def test_the_repository_of_a_submodule_that_was_added_in_a_tree_does_not_go_with_it(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder, tmp_path: Path, is_there: bool
) -> None:
    library = tmp_path / "library"
    worked.git("clone", "--quiet", str(worked.root), str(library))
    branched.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "library")
    branched.commit("a submodule")
    with engine.open_timeline("experimental") as there:
        there.create_checkpoint("held")
    (modules,) = worked.path(".git/worktrees").glob("*/modules")
    if not is_there:
        shutil.rmtree(branched.root)
    plan = engine.plan_prune_timelines(0)
    assert plan.links == ()
    assert [(one.goes, str(modules) in one.reason) for one in plan.timelines] == [(False, True)]
    assert engine.prune_timelines(plan, 0) == []
    if not is_there:
        with pytest.raises(RefusedError, match="submodule"):
            engine.delete_timeline("experimental")
        modules.rename(tmp_path / "elsewhere")
    engine.delete_timeline("experimental")


@pytest.mark.parametrize("is_there", [True, False])
def test_of_branches_that_alone_lead_to_a_commit_the_plan_of_a_prune_keeps_one(
    engine: ChronosEngine, worked: RepoBuilder, is_there: bool
) -> None:
    for name in ("one", "two"):
        engine.branch_timeline(name)
    first, second = (tree_at(engine, name, worked.environment) for name in ("one", "two"))
    first.git("commit", "--quiet", "--allow-empty", "-m", "work")
    second.git("reset", "--quiet", "--soft", "chronos/one")
    for name, tree in (("one", first), ("two", second)):
        with engine.open_timeline(name) as there:
            there.create_checkpoint("held")
        if not is_there:
            shutil.rmtree(tree.root)
    plan = engine.plan_prune_timelines(0)
    planned = {one.branch for one in (*plan.timelines, *plan.links)} - {""}
    engine.prune_timelines(plan, 0)
    left = {name for name in ("chronos/one", "chronos/two") if name in worked.git("branch", "--list")}
    assert (planned, left) == ({"chronos/one"}, {"chronos/two"})
