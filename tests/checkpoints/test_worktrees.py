"""Worktrees of the same repository: one store for all, a timeline each, and hands off those of other people."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos.errors import UnknownTimelineError
from tests.support import RepoBuilder, check_round_trip, receipt_of, tree_digest, wreck


@pytest.fixture
def linked(repo: RepoBuilder, tmp_path: Path) -> RepoBuilder:
    """A worktree beside `repo`, on a branch of its own."""
    repo.write("a.txt", "a\n")
    repo.write("b.txt", "b\n")
    repo.commit()
    repo.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "linked"))
    return RepoBuilder(tmp_path / "linked", repo.environment)


def test_a_linked_worktree_uses_the_store_of_the_first_one(repo: RepoBuilder, linked: RepoBuilder) -> None:
    engine = linked.engine()
    assert engine.store_path == repo.store
    assert engine.timeline == "linked"
    engine.create_checkpoint("in the worktree")
    repo.engine().create_checkpoint("in the first")
    assert [row.name for row in engine.list_checkpoints()] == ["in the worktree"]
    assert [row.name for row in engine.list_checkpoints("main")] == ["in the first"]
    assert not linked.store.exists()
    engine.close()


def test_a_linked_worktree_comes_back_and_the_first_one_is_not_touched(repo: RepoBuilder, linked: RepoBuilder) -> None:
    repo.write("a.txt", "edited in the first\n")
    before = tree_digest(repo.root)
    linked.write("a.txt", "staged\n")
    linked.git("add", "a.txt")
    linked.write("a.txt", "edited\n")
    linked.write("new.txt", "untracked\n")
    check_round_trip(linked)
    assert tree_digest(repo.root) == before
    linked.close()


def test_a_checkpoint_for_another_timeline_is_refused(repo: RepoBuilder, linked: RepoBuilder) -> None:
    repo.engine().create_checkpoint("first")
    with pytest.raises(UnknownTimelineError):
        repo.engine().create_checkpoint("elsewhere", timeline="linked")
    linked.close()


def test_a_checkpoint_of_the_first_worktree_can_be_restored_in_a_linked_one(
    repo: RepoBuilder, linked: RepoBuilder
) -> None:
    repo.write("a.txt", "edited in the first\n")
    checkpoint = repo.engine().create_checkpoint("first")
    engine = linked.engine()
    engine.restore_checkpoint(checkpoint)
    assert linked.read("a.txt") == b"edited in the first\n"
    engine.undo()
    assert linked.read("a.txt") == b"a\n"
    linked.close()


def test_somebodys_worktree_under_the_root_is_never_captured_or_written(repo: RepoBuilder) -> None:
    # Measured trap: status names it `? side/`, like any embedded repository.
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.git("worktree", "add", "-q", "-b", "side", "side")
    repo.write("side/work.txt", "somebody's work\n")
    repo.write("a.txt", "edited\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("with a worktree inside")
    assert receipt_of(engine, checkpoint)["side/"] == "other worktree"
    assert [component.path for component in engine.show_checkpoint(checkpoint).manifest.code] == [""]
    repo.write("side/work.txt", "more of somebody's work\n")
    repo.write("side/a.txt", "edited there\n")
    repo.write("a.txt", "wrecked\n")
    side = tree_digest(repo.root / "side")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("a.txt") == b"edited\n"
    assert tree_digest(repo.root / "side") == side


def test_a_worktree_that_comes_after_the_checkpoint_is_not_deleted(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("before")
    repo.git("worktree", "add", "-q", "-b", "side", "side")
    repo.write("side/work.txt", "somebody's work\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("side/work.txt") == b"somebody's work\n"


def test_the_root_inside_a_worktree_that_lies_in_the_first_one_works(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.git("worktree", "add", "-q", "-b", "side", "side")
    side = RepoBuilder(repo.root / "side", repo.environment)
    side.write("b.txt", "untracked\n")
    check_round_trip(side, lambda tree: wreck(tree))
    assert side.engine().timeline == "side"
    side.close()


def test_a_store_made_from_a_linked_worktree_is_hidden_in_the_first_one(repo: RepoBuilder, linked: RepoBuilder) -> None:
    before = repo.status()
    with linked.engine() as engine:
        engine.create_checkpoint("in the worktree")
    assert repo.store.is_dir()
    assert repo.status() == before
    repo.git("add", "-A")


def test_a_worktree_that_was_moved_keeps_its_timeline(repo: RepoBuilder, linked: RepoBuilder) -> None:
    linked.write("a.txt", "edited\n")
    with linked.engine() as engine:
        checkpoint = engine.create_checkpoint("wanted")
    repo.git("worktree", "move", str(linked.root), str(linked.root.with_name("moved")))
    moved = RepoBuilder(linked.root.with_name("moved"), repo.environment)
    moved.write("a.txt", "wrecked\n")
    engine = moved.engine()
    engine.restore_checkpoint(checkpoint)
    assert moved.read("a.txt") == b"edited\n"
    assert "wanted" in {row.name for row in engine.list_checkpoints()}
    moved.close()


def test_a_linked_worktree_called_main_is_not_the_first_one(repo: RepoBuilder, tmp_path: Path) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "main"))
    other = RepoBuilder(tmp_path / "main", repo.environment)
    first, second = repo.engine(), other.engine()
    assert first.timeline != second.timeline
    first.create_checkpoint("in the first")
    other.write("a.txt", "edited\n")
    second.create_checkpoint("in the other")
    second.undo()
    assert [row.name for row in first.list_checkpoints()] == ["in the first"]
    other.close()


@pytest.mark.parametrize("name", ["with space", ".hidden", "-dash", "packs", ".store", "ünï", "a@b~1"])
def test_a_linked_worktree_of_any_name_has_a_timeline_that_can_be_listed(
    repo: RepoBuilder, tmp_path: Path, name: str
) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "in" / name))
    other = RepoBuilder(tmp_path / "in" / name, repo.environment)
    other.write("a.txt", "edited\n")
    check_round_trip(other)
    engine = repo.engine()
    assert other.engine().timeline in {summary.name for summary in engine.list_timelines()}
    assert "wanted" in {row.name for row in engine.list_checkpoints(every_timeline=True)}
    other.close()


def test_worktrees_of_a_bare_repository_come_back(repo: RepoBuilder, tmp_path: Path) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.git("clone", "-q", "--bare", str(repo.root), str(tmp_path / "bare.git"))
    repo.git("--git-dir", str(tmp_path / "bare.git"), "worktree", "add", "-q", str(tmp_path / "tree"), "main")
    tree = RepoBuilder(tmp_path / "tree", repo.environment)
    tree.write("a.txt", "edited\n")
    tree.write("new.txt", "new\n")
    check_round_trip(tree)
    assert tree.store.is_dir()
    tree.close()


def test_a_folder_inside_the_tree_means_the_whole_tree(repo: RepoBuilder) -> None:
    repo.write("sub/deep/a.txt", "a\n")
    repo.commit()
    assert repo.engine(repo.root / "sub/deep").root == repo.root
