"""Repositories in every state that people leave them in: unborn, detached, mid-rebase, sparse, with hidden flags."""

from __future__ import annotations

from pathlib import Path

from tests.support import RepoBuilder, check_round_trip, receipt_of, wreck


def test_an_unborn_head_is_captured_and_restored(repo: RepoBuilder) -> None:
    repo.write("staged.txt", "staged\n")
    repo.git("add", "staged.txt")
    repo.write("staged.txt", "edited since\n")
    repo.write("untracked.txt", "untracked\n")
    outcome = check_round_trip(repo)
    assert outcome.warnings == ()


def test_an_empty_repository_is_captured_and_restored(repo: RepoBuilder) -> None:
    check_round_trip(repo, lambda tree: tree.write("new.txt", "new\n"))


def test_files_captured_before_the_first_commit_come_back_after_it(repo: RepoBuilder) -> None:
    repo.write("a.txt", "before the first commit\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("unborn")
    repo.write("a.txt", "committed\n")
    repo.write("b.txt", "committed\n")
    first = repo.commit("first")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("a.txt") == b"before the first commit\n"
    assert not repo.exists("b.txt")
    assert repo.head() == first, "content is restored, not history"
    engine.undo()
    assert repo.read("a.txt") == b"committed\n"
    assert repo.read("b.txt") == b"committed\n"


def test_a_detached_head_is_recorded_and_stays_detached(repo: RepoBuilder) -> None:
    repo.write("a.txt", "one\n")
    first = repo.commit()
    repo.write("a.txt", "two\n")
    repo.commit()
    repo.git("checkout", "-q", "--detach", first)
    repo.write("b.txt", "untracked\n")
    engine = repo.engine()
    component = engine.show_checkpoint(engine.create_checkpoint("detached")).manifest.code[0]
    assert (component.head, component.branch) == (first, None)
    check_round_trip(repo, engine=engine)
    assert repo.git("symbolic-ref", "-q", "HEAD", ok=(1,)) == ""


def test_a_rebase_in_progress_is_recorded_and_left_in_progress(repo: RepoBuilder) -> None:
    repo.write("a.txt", "base\n")
    repo.commit()
    repo.git("checkout", "-q", "-b", "topic")
    repo.write("a.txt", "topic\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.write("a.txt", "main\n")
    repo.commit()
    repo.git("checkout", "-q", "topic")
    repo.git("rebase", "-q", "main", ok=(1,))
    engine = repo.engine()
    manifest = engine.show_checkpoint(engine.create_checkpoint("mid rebase")).manifest
    assert manifest.code[0].in_progress == ("rebase",)
    check_round_trip(repo, lambda tree: (tree.write("a.txt", "resolved\n"), tree.git("add", "a.txt")), engine)
    assert (repo.root / ".git/rebase-merge").is_dir()


def test_a_sparse_checkout_has_no_deletions_and_gets_no_files(repo: RepoBuilder) -> None:
    repo.write("in/a.txt", "in\n")
    repo.write("out/b.txt", "out\n")
    repo.write("top.txt", "top\n")
    repo.commit()
    repo.git("sparse-checkout", "set", "--cone", "in")
    assert not repo.exists("out/b.txt")
    repo.write("in/a.txt", "edited\n")
    engine = repo.engine()
    assert engine.show_checkpoint(engine.create_checkpoint("sparse")).manifest.files_changed == 1
    check_round_trip(repo, lambda tree: tree.remove("in/a.txt", "top.txt"), engine)
    assert not repo.exists("out/b.txt")


def test_a_restore_into_a_tree_made_sparse_since_writes_nothing_outside_the_cone(repo: RepoBuilder) -> None:
    repo.write("in/a.txt", "in\n")
    repo.write("out/b.txt", "out\n")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("whole")
    repo.git("sparse-checkout", "set", "--cone", "in")
    repo.write("in/a.txt", "edited\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("in/a.txt") == b"in\n"
    engine.undo()
    assert repo.read("in/a.txt") == b"edited\n"
    assert not repo.exists("out/b.txt"), "the state before the restore was sparse"


def test_a_skip_worktree_file_that_is_present_is_captured_with_its_flag(repo: RepoBuilder) -> None:
    repo.write("config.ini", "shared\n")
    repo.write("b.txt", "b\n")
    repo.commit()
    repo.git("update-index", "--skip-worktree", "config.ini")
    repo.write("config.ini", "local\n")
    check_round_trip(repo, lambda tree: tree.write("config.ini", "wrecked\n"))
    assert "S config.ini" in repo.git("ls-files", "-v")


def test_an_assume_unchanged_edit_is_captured_and_keeps_its_flag(repo: RepoBuilder) -> None:
    # Measured trap: status says that nothing changed.
    repo.write("config.ini", "shared\n")
    repo.write("gone.ini", "shared\n")
    repo.commit()
    repo.git("update-index", "--assume-unchanged", "config.ini", "gone.ini")
    repo.write("config.ini", "local\n")
    repo.remove("gone.ini")

    def damage(tree: RepoBuilder) -> None:
        tree.git("update-index", "--no-assume-unchanged", "config.ini", "gone.ini")
        tree.write("config.ini", "wrecked\n")
        tree.write("gone.ini", "wrecked\n")

    check_round_trip(repo, damage)
    assert repo.read("config.ini") == b"local\n"
    assert {"h config.ini", "h gone.ini"} == set(repo.git("ls-files", "-v").splitlines())


def test_an_assume_unchanged_edit_made_after_the_checkpoint_is_held_before_it_is_replaced(repo: RepoBuilder) -> None:
    repo.write("config.ini", "shared\n")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("clean")
    repo.git("update-index", "--assume-unchanged", "config.ini")
    repo.write("config.ini", "precious local edit\n")
    engine.restore_checkpoint(checkpoint)
    if repo.read("config.ini") == b"shared\n":
        engine.undo()
    assert repo.read("config.ini") == b"precious local edit\n"


def test_a_bare_repository_is_refused(repo: RepoBuilder, tmp_path: Path) -> None:
    import pytest

    from chronos.errors import UnsupportedRepositoryError

    repo.git("init", "-q", "--bare", str(tmp_path / "bare.git"))
    with pytest.raises(UnsupportedRepositoryError):
        repo.engine(tmp_path / "bare.git")


def test_a_repository_with_sha256_objects_comes_back(repo: RepoBuilder, tmp_path: Path) -> None:
    other = RepoBuilder(tmp_path / "sha256", repo.environment, git=False)
    other.git("init", "-q", "--object-format=sha256")
    other.is_repository = True
    other.write("a.txt", "a\n")
    other.write("b.txt", "b\n")
    other.commit()
    other.write("a.txt", "staged\n")
    other.git("add", "a.txt")
    other.write("a.txt", "edited\n")
    other.git("update-index", "--assume-unchanged", "b.txt")
    other.write("b.txt", "hidden edit\n")
    check_round_trip(other, lambda tree: (tree.git("reset", "-q", "--hard"), wreck(tree)))
    other.close()


def test_a_split_index_comes_back(repo: RepoBuilder) -> None:
    repo.git("config", "core.splitIndex", "true")
    for number in range(20):
        repo.write(f"f{number}", f"{number}\n")
    repo.commit()
    repo.git("update-index", "--split-index")
    repo.write("f1", "staged\n")
    repo.git("add", "f1")
    repo.write("f1", "edited\n")
    check_round_trip(repo, lambda tree: (tree.git("reset", "-q", "--hard"), tree.write("f2", "wrecked\n")))


def test_a_repository_with_its_git_folder_elsewhere_comes_back(repo: RepoBuilder, tmp_path: Path) -> None:
    other = RepoBuilder(tmp_path / "tree", repo.environment, git=False)
    other.git("init", "-q", "--separate-git-dir", str(tmp_path / "elsewhere"))
    other.is_repository = True
    other.write("a.txt", "a\n")
    other.commit()
    other.write("a.txt", "edited\n")
    other.write("b.txt", "untracked\n")
    check_round_trip(other)
    assert other.store.is_dir()
    other.close()


def test_a_tracked_file_that_ignore_rules_name_is_captured_all_the_same(repo: RepoBuilder) -> None:
    repo.write(".gitignore", "*.log\n")
    repo.write("kept.log", "tracked\n")
    repo.git("add", "-f", "kept.log", ".gitignore")
    repo.git("commit", "-q", "-m", "first")
    repo.write("kept.log", "edited\n")
    repo.write("other.log", "ignored\n")
    engine = repo.engine()
    check_round_trip(repo, lambda tree: tree.write("kept.log", "wrecked\n"), engine)
    assert receipt_of(engine, "wanted")["other.log"] == "ignored"
