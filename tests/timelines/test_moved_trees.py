"""Trees that `git worktree move` took elsewhere are where git says, and those that are gone are said to be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.errors import UnknownTimelineError
from tests.support import RepoBuilder


@pytest.fixture
def moved(engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path) -> RepoBuilder:
    """The tree of timeline `side`, moved by git, with work that was done before chrono was ever run there."""
    return _move(engine.branch_timeline("side").path, worked, tmp_path / "moved")


def _move(tree: Path, worked: RepoBuilder, place: Path) -> RepoBuilder:
    worked.git("worktree", "move", str(tree), str(place))
    there = RepoBuilder(place, worked.environment)
    there.write("theirs.txt", "theirs\n")
    return there


def test_a_moved_tree_is_listed_compared_and_merged_where_it_is(
    engine: ChronosEngine, worked: RepoBuilder, moved: RepoBuilder
) -> None:
    assert {one.name: (one.path, one.is_there) for one in engine.list_timelines()}["side"] == (moved.root, True)
    assert engine.timeline_path("side") == moved.root
    assert [tree.path for tree in engine.measure_usage().trees] == [moved.root]
    assert [one.path for one in engine.diff_timelines("main", "side")] == [b"theirs.txt"]
    assert worked.engine(CHRONOS_TIMELINE="side").root == moved.root
    moved.write("theirs.txt", "newer\n")
    assert engine.merge_timeline("side").is_done
    assert worked.read("theirs.txt") == b"newer\n"
    assert engine.notices == []


def test_the_record_follows_a_moved_tree(engine: ChronosEngine, worked: RepoBuilder, moved: RepoBuilder) -> None:
    assert "moved" not in (worked.store / "side/timeline.json").read_text()
    engine.hold_timeline("side")
    assert "moved" in (worked.store / "side/timeline.json").read_text()


def test_a_moved_tree_is_deleted_where_it_is_and_comes_back_there(engine: ChronosEngine, moved: RepoBuilder) -> None:
    plan = engine.plan_delete_timeline("side")
    assert plan.timelines[0].path == moved.root
    engine.delete_timeline("side", plan_id=plan.plan_id)
    assert not moved.root.exists()
    engine.undo()
    assert moved.read("theirs.txt") == b"theirs\n"
    assert moved.git("branch", "--show-current") == "chronos/side"


def test_a_moved_worktree_of_the_user_is_found_as_well(
    engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path
) -> None:
    worked.git("worktree", "add", "-q", "--detach", str(tmp_path / "own"))
    with RepoBuilder(tmp_path / "own", worked.environment).engine() as own:
        own.create_checkpoint("in their own")
    moved = _move(tmp_path / "own", worked, tmp_path / "elsewhere")
    assert engine.timeline_path("own") == moved.root


def test_a_tree_at_the_place_of_another_is_never_taken_for_it(
    engine: ChronosEngine, worked: RepoBuilder, moved: RepoBuilder, tmp_path: Path
) -> None:
    other = engine.branch_timeline("other").path
    worked.git("worktree", "move", str(other), str(worked.store / "side/.worktree"))
    assert {one.name: one.path for one in engine.list_timelines()} == {
        "main": worked.root, "side": moved.root, "other": worked.store / "side/.worktree",
    }  # fmt: skip


@pytest.mark.parametrize("verb", ["diff", "merge"])
def test_a_tree_that_is_gone_is_said_to_be_replaced_by_its_newest_checkpoint(
    engine: ChronosEngine, moved: RepoBuilder, verb: str
) -> None:
    shutil.rmtree(moved.root)
    if verb == "diff":
        engine.diff_timelines("main", "side")
    else:
        engine.merge_timeline("side")
    newest = engine.list_checkpoints("side")[0].checkpoint_id
    assert engine.notices == [f"the working tree of timeline side is gone; its newest checkpoint {newest} is used"]


def test_a_timeline_of_which_nothing_is_left_is_unknown(engine: ChronosEngine) -> None:
    engine.branch_timeline("side")
    engine.undo()
    with pytest.raises(UnknownTimelineError, match="nothing is left"):
        engine.merge_timeline("side")
