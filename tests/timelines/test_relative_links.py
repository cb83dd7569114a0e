"""Worktrees whose links are relative, as git 2.48 writes them where `worktree.useRelativePaths` is set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.config import Surroundings
from chronos.git import linked_folder, mark_of, mark_worktree
from chronos.timelines import TimelineSummary
from tests.support import RepoBuilder, tree_digest
from tests.timelines.conftest import tree_at


def relate(tree: RepoBuilder) -> None:
    """Make both links of a worktree relative. git before 2.48 follows them, too."""
    git_file = tree.root / ".git"
    admin = Path(os.path.join(tree.root, git_file.read_text().removeprefix("gitdir: ").strip()))
    git_file.write_text(f"gitdir: {os.path.relpath(admin, tree.root)}\n")
    (admin / "gitdir").write_text(f"{os.path.relpath(git_file, admin)}\n")
    assert tree.git("status", "--porcelain") is not None


def summary(engine: ChronosEngine, name: str) -> TimelineSummary:
    return next(one for one in engine.list_timelines() if one.name == name)


@pytest.fixture(params=["in the store", "elsewhere", "of the user"])
def related(
    request: pytest.FixtureRequest, worked: RepoBuilder, engine: ChronosEngine, tmp_path: Path
) -> tuple[ChronosEngine, RepoBuilder]:
    """An engine in the first tree, and the tree of the timeline `side` with relative links."""
    if request.param == "of the user":
        worked.git("worktree", "add", "-q", "--detach", str(tmp_path / "side"))
        tree = RepoBuilder(tmp_path / "side", worked.environment)
        relate(tree)
        tree.engine().create_checkpoint("first")
        return engine, tree
    if request.param == "elsewhere":
        engine = worked.engine(CHRONOS_WORKTREES_DIR=str(tmp_path / "trees"))
    engine.branch_timeline("side")
    tree = tree_at(engine, "side", worked.environment)
    relate(tree)
    return engine, tree


def test_a_timeline_is_found_from_outside_and_from_inside(related: tuple[ChronosEngine, RepoBuilder]) -> None:
    engine, tree = related
    one = summary(engine, "side")
    assert (one.path, one.is_there) == (tree.root, True)
    assert engine.show_timeline("side").summary.path == tree.root
    assert engine.timeline_environment("side")["CHRONOS_ROOT"] == str(tree.root)
    for folder in (tree.root, tree.root / "sub"):
        with ChronosEngine(surroundings=Surroundings(tree.environment, folder)) as inside:
            assert (inside.timeline, inside.root, inside.store_path) == ("side", tree.root, engine.store_path)
    assert engine.verify() == []


def test_it_is_merged(related: tuple[ChronosEngine, RepoBuilder], worked: RepoBuilder) -> None:
    engine, tree = related
    tree.write("theirs.txt", "theirs\n")
    base = None if summary(engine, "side").parent else engine.list_checkpoints("side")[-1].checkpoint_id
    assert engine.merge_timeline("side", base=base).is_done
    assert worked.read("theirs.txt") == b"theirs\n"
    worked.write("ours.txt", "ours\n")
    assert engine.merge_timeline("main", "side").is_done
    assert tree.read("ours.txt") == b"ours\n"


@pytest.mark.parametrize("related", ["in the store", "elsewhere"], indirect=True)
def test_it_goes_and_comes_back(related: tuple[ChronosEngine, RepoBuilder], worked: RepoBuilder) -> None:
    engine, tree = related
    state = tree.state()
    before = {path: found for path, found in tree_digest(tree.root).items() if path != b".git"}
    engine.delete_timeline("side")
    assert not tree.root.exists()
    assert len(worked.git("worktree", "list").splitlines()) == 1
    engine.undo()
    assert {path: found for path, found in tree_digest(tree.root).items() if path != b".git"} == before
    assert tree.state() == state
    relate(tree)
    assert not engine.plan_prune_timelines(0).links
    engine.prune_timelines(engine.plan_prune_timelines(0), 0)
    assert not tree.root.exists()
    engine.undo()
    assert tree.state() == state


def test_a_tree_that_git_moved_is_where_git_says_it_is(
    engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path
) -> None:
    engine.branch_timeline("side")
    tree = tree_at(engine, "side", worked.environment)
    worked.git("worktree", "move", str(tree.root), str(tmp_path / "moved"))
    moved = RepoBuilder(tmp_path / "moved", worked.environment)
    relate(moved)
    assert summary(engine, "side").path == moved.root
    moved.write("theirs.txt", "theirs\n")
    assert engine.merge_timeline("side").is_done
    assert worked.read("theirs.txt") == b"theirs\n"


@pytest.mark.parametrize("kind", ["relative", "absolute"])  # a git of 2.48 makes the former as a timeline is branched
def test_git_has_its_folder_of_a_tree_where_the_tree_says(repo: RepoBuilder, tmp_path: Path, kind: str) -> None:
    repo.commit()
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "side"))
    tree = RepoBuilder(tmp_path / "side", repo.environment)
    if kind == "relative":
        relate(tree)
    mark_worktree(tree.root, "side")
    assert linked_folder(tree.root) == repo.root / ".git/worktrees/side"
    assert mark_of(repo.root / ".git/worktrees/side") == "side"


def test_a_moved_project_finds_its_trees_again(worked: RepoBuilder, tmp_path: Path) -> None:
    """Relative links hold: nothing has to be mended."""
    with worked.engine() as engine:
        engine.branch_timeline("side")
        relate(tree_at(engine, "side", worked.environment))
    moved = RepoBuilder(worked.root.rename(tmp_path / "moved"), worked.environment)
    with moved.engine() as engine:
        assert summary(engine, "side").is_there
        tree = tree_at(engine, "side", worked.environment)
        tree.write("theirs.txt", "theirs\n")
        assert engine.merge_timeline("side").is_done
        assert engine.verify() == []
    assert moved.read("theirs.txt") == b"theirs\n"
    with tree.engine() as inside:
        assert inside.timeline == "side"
