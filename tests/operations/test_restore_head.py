"""Content is restored, not history: HEAD and branches move only when asked to, and then undo puts them back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import RepoBuilder, assert_state


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "one\n")
    repo.write("b.txt", "one\n")
    repo.commit("one")
    repo.write("a.txt", "staged\n")
    repo.git("add", "a.txt")
    repo.write("a.txt", "edited\n")
    repo.write("new.txt", "new\n")
    return repo


def test_by_default_no_commit_falls_off_its_branch(work: RepoBuilder) -> None:
    # pains.md row 5 (cline#13550): a restore moved the branch and later commits were lost.
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    wanted = {name: work.read(name) for name in ("a.txt", "b.txt", "new.txt")}
    work.write("b.txt", "two\n")
    work.write("later.txt", "two\n")
    second = work.commit("two")
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.head() == second
    assert work.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert {name: work.read(name) for name in wanted} == wanted
    assert not work.exists("later.txt")
    assert any("index" in warning and "HEAD" in warning for warning in outcome.warnings)


def test_the_index_is_left_alone_when_head_has_moved(work: RepoBuilder) -> None:
    # pains.md row 6 (GitButler PR #13058): ghost entries in the index.
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.commit("two")
    work.write("b.txt", "staged on two\n")
    work.git("add", "b.txt")
    index = work.git_bytes("ls-files", "-s", "-z")
    engine.restore_checkpoint(checkpoint)
    assert work.git_bytes("ls-files", "-s", "-z") == index


def test_with_head_everything_is_as_it_was_and_undo_brings_the_commits_back(work: RepoBuilder) -> None:
    engine = work.engine()
    wanted = work.state()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("b.txt", "two\n")
    second = work.commit("two")
    work.write("b.txt", "edited on two\n")
    later = work.state()
    outcome = engine.restore_checkpoint(checkpoint, head=True)
    assert outcome.warnings == ()
    assert_state(work, wanted, "after the restore")
    engine.undo()
    assert_state(work, later, "after the undo")
    assert work.head() == second
    engine.redo()
    assert_state(work, wanted, "after the redo")
    engine.undo()
    assert work.git("log", "--format=%s") == "two\none"


def test_commits_displaced_by_a_head_restore_stay_reachable(work: RepoBuilder) -> None:
    # pains.md row 5: the old position is kept, whatever git gc does.
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("b.txt", "two\n")
    second = work.commit("two")
    engine.restore_checkpoint(checkpoint, head=True)
    work.git("reflog", "expire", "--expire=now", "--all")
    work.git("gc", "-q", "--prune=now")
    assert work.git("cat-file", "-t", second) == "commit"
    engine.undo()
    assert work.head() == second
    assert work.read("b.txt") == b"two\n"


def test_a_move_to_another_branch_is_taken_back_too(work: RepoBuilder) -> None:
    engine = work.engine()
    wanted = work.state()
    checkpoint = engine.create_checkpoint("on main")
    work.git("stash", "-q", "-u")
    work.git("checkout", "-q", "-b", "topic")
    work.write("topic.txt", "topic\n")
    topic = work.commit("topic")
    on_topic = work.state()
    engine.restore_checkpoint(checkpoint, head=True)
    assert_state(work, wanted, "after the restore")
    assert work.git("rev-parse", "topic") == topic, "the branch that was left keeps its place"
    engine.undo()
    assert_state(work, on_topic, "after the undo")


def test_a_branch_that_was_deleted_is_made_again_and_undo_removes_it(work: RepoBuilder) -> None:
    work.git("checkout", "-q", "-b", "topic")
    engine = work.engine()
    wanted = work.state()
    checkpoint = engine.create_checkpoint("on topic")
    work.git("checkout", "-q", "main")
    work.git("branch", "-q", "-D", "topic")
    on_main = work.state()
    engine.restore_checkpoint(checkpoint, head=True)
    assert_state(work, wanted, "after the restore")
    engine.undo()
    assert_state(work, on_main, "after the undo")
    assert work.git("branch", "--list", "topic") == ""


def test_a_detached_head_comes_back_detached(work: RepoBuilder) -> None:
    first = work.head()
    work.git("checkout", "-q", "--detach")
    engine = work.engine()
    wanted = work.state()
    checkpoint = engine.create_checkpoint("detached")
    work.git("checkout", "-q", "main")
    work.commit("two")
    later = work.state()
    engine.restore_checkpoint(checkpoint, head=True)
    assert_state(work, wanted, "after the restore")
    assert work.git("rev-parse", "main") != first
    engine.undo()
    assert_state(work, later, "after the undo")


def test_undo_leaves_a_branch_that_moved_since_where_it_is(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.commit("two")
    engine.restore_checkpoint(checkpoint, head=True)
    third = work.commit("three, made after the restore")
    outcome = engine.undo()
    assert work.head() == third, "compare-and-swap: a commit made since is not thrown away"
    assert any("moved" in warning or "left alone" in warning for warning in outcome.warnings)


def test_a_branch_that_another_worktree_has_checked_out_is_not_moved(work: RepoBuilder, tmp_path: Path) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("on main")
    work.git("stash", "-q", "-u")
    work.git("checkout", "-q", "-b", "topic")
    work.git("worktree", "add", "-q", str(tmp_path / "other"), "main")
    other = RepoBuilder(tmp_path / "other", work.environment)
    main = other.commit("work in the other worktree")
    engine.restore_checkpoint(checkpoint, head=True)
    assert other.head() == main
    assert other.git("status", "--porcelain") == ""
    assert work.git("symbolic-ref", "HEAD") == "refs/heads/topic"


def test_an_unborn_head_comes_back_unborn_or_says_why_not(repo: RepoBuilder) -> None:
    repo.write("a.txt", "before the first commit\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("unborn")
    first = repo.commit("first")
    repo.write("a.txt", "edited\n")
    outcome = engine.restore_checkpoint(checkpoint, head=True)
    assert repo.read("a.txt") == b"before the first commit\n"
    if repo.git("rev-parse", "-q", "--verify", "HEAD", ok=(0, 1)) == first:
        assert outcome.warnings != (), "HEAD stayed, and nothing said so"
    engine.undo()
    assert repo.head() == first
    assert repo.read("a.txt") == b"edited\n"


def test_the_plan_shows_where_head_would_go(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    first = work.head()
    second = work.commit("two")
    change = engine.plan_restore(checkpoint, head=True).change_set.head
    assert change is not None
    assert (change.branch_after, change.commit_before, change.commit_after) == ("refs/heads/main", second, first)
    assert engine.plan_restore(checkpoint).change_set.head is None
    assert work.head() == second
