"""Trees and stores in odd places: strange root names, moved roots, stores elsewhere in the tree, bare fixtures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from chronos.errors import NothingToUndoError, UnknownCheckpointError
from tests.support import RepoBuilder, check_round_trip, receipt_of, tree_digest, wreck


def fill(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.write("b/c.txt", "c\n")
    if repo.is_repository:
        repo.commit()
    repo.write("a.txt", "edited\n")
    repo.write("new.txt", "new\n")


@pytest.mark.parametrize(
    "name", [b" space ", b"-dash", b"new\nline", b"\xff\xfe", "ünï".encode(), b"[a]*?#!", b"a:b;c"]
)
def test_a_root_of_any_name_comes_back(repo: RepoBuilder, name: bytes) -> None:
    other = RepoBuilder(repo.root / os.fsdecode(b"in " + name) / os.fsdecode(name), repo.environment)
    fill(other)
    check_round_trip(other)
    assert other.status().count(b"timelines") == 0
    other.close()


def test_a_root_reached_through_a_link_is_the_same_root(repo: RepoBuilder) -> None:
    fill(repo)
    (repo.root.parent / "link").symlink_to(repo.root)
    first = repo.engine(repo.root.parent / "link").create_checkpoint("through the link")
    engine = repo.engine()
    assert engine.find_checkpoint("@").checkpoint_id == first
    assert engine.root == repo.root.resolve()


def test_a_root_that_was_moved_keeps_its_checkpoints(repo: RepoBuilder) -> None:
    fill(repo)
    with repo.engine() as engine:
        checkpoint = engine.create_checkpoint("wanted")
    wanted = tree_digest(repo.root)
    os.rename(repo.root, repo.root.with_name("moved"))
    moved = RepoBuilder(repo.root.with_name("moved"), repo.environment)
    wreck(moved)
    moved.engine().restore_checkpoint(checkpoint)
    assert tree_digest(moved.root) == wanted
    moved.close()


def test_a_copy_of_tree_and_store_is_independent_of_the_first(repo: RepoBuilder) -> None:
    fill(repo)
    with repo.engine() as engine:
        checkpoint = engine.create_checkpoint("wanted")
    shutil.copytree(repo.root, repo.root.with_name("copy"), symlinks=True)
    copy = RepoBuilder(repo.root.with_name("copy"), repo.environment)
    before = repo.state()
    wreck(copy)
    engine = copy.engine()
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(copy.root) == before[0]
    engine.create_checkpoint("only in the copy")
    assert repo.state() == before
    assert [row.name for row in repo.engine().list_checkpoints()] == ["wanted"]
    copy.close()


@pytest.mark.parametrize(
    "place", [".chrono", "tools/my store", "we[i]rd *?", "#hash", "!bang", "back\\slash", "trailing "]
)
def test_a_store_anywhere_in_the_tree_is_hidden_from_git(repo: RepoBuilder, place: str) -> None:
    fill(repo)
    before = repo.status()
    engine = repo.engine(CHRONOS_TIMELINES_DIR=place)
    checkpoint = engine.create_checkpoint("wanted")
    assert engine.store_path == repo.root / place
    assert repo.status() == before
    engine.create_checkpoint("again")
    assert engine.show_checkpoint("again").manifest.files_changed == 2
    repo.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("a.txt") == b"edited\n"


@pytest.mark.parametrize("place", [".chrono", "tools/store"])
def test_a_folder_of_the_user_called_lessons_is_captured(repo: RepoBuilder, place: str) -> None:
    fill(repo)
    for name in ("lessons/one.md", "tools/lessons/two.md", "src/data/lessons/three.md", "src/data/timelines/four.md"):
        repo.write(name, "the user's own\n")
    engine = repo.engine(CHRONOS_TIMELINES_DIR=place)
    checkpoint = engine.create_checkpoint("wanted")
    assert receipt_of(engine, checkpoint) == {}
    repo.remove("lessons", "tools/lessons", "src")
    engine.restore_checkpoint(checkpoint)
    for name in ("lessons/one.md", "tools/lessons/two.md", "src/data/lessons/three.md", "src/data/timelines/four.md"):
        assert repo.exists(name), name


def test_a_bare_repository_among_the_files_is_files(repo: RepoBuilder) -> None:
    fill(repo)
    repo.git("clone", "-q", "--bare", ".", "fixtures/sample.git")
    check_round_trip(repo, lambda tree: tree.remove("fixtures"))


def test_a_folder_called_dot_git_that_is_no_repository_hides_nothing(repo: RepoBuilder) -> None:
    fill(repo)
    repo.path("sub/.git").mkdir(parents=True)
    repo.write("sub/work.txt", "work\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("sub/work.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("sub/work.txt") == b"work\n" or "sub/" in receipt_of(engine, checkpoint)


def test_more_paths_than_fit_one_command_line_come_back(repo: RepoBuilder) -> None:
    for number in range(850):
        repo.write(f"many/{number // 100}/{'long name ' * 8}{number}.txt", f"{number}\n")
    repo.commit()
    check_round_trip(repo, lambda tree: tree.remove("many"))


def test_looking_at_a_tree_without_checkpoints_writes_nothing(repo: RepoBuilder) -> None:
    fill(repo)
    before, git = repo.state(), tree_digest(repo.root, without=())
    engine = repo.engine()
    assert engine.list_checkpoints() == []
    assert engine.list_operations() == []
    assert engine.list_timelines() == []
    assert engine.verify(deep=True) == []
    assert engine.recover() == []
    assert engine.search_checkpoints("x") == []
    assert engine.status().newest is None
    for call in (engine.undo, engine.redo, engine.plan_undo, engine.plan_redo):
        with pytest.raises(NothingToUndoError):
            call()
    for name in ("@", "x"):
        with pytest.raises(UnknownCheckpointError):
            engine.restore_checkpoint(name)
    assert (repo.state(), tree_digest(repo.root, without=())) == (before, git)
    repo.git("add", "-A")


def test_the_store_path_that_is_a_file_is_an_error(repo: RepoBuilder) -> None:
    from chronos.errors import ChronosError

    fill(repo)
    repo.write("data", "a file where the store should go\n")
    with pytest.raises(ChronosError) as caught:
        repo.engine().create_checkpoint("wanted")
    assert caught.value.exit_code == 5
    assert repo.read("data") == b"a file where the store should go\n"


def test_a_branch_and_a_submodule_that_are_no_utf8_come_back(repo: RepoBuilder) -> None:
    fill(repo)
    library = RepoBuilder(repo.root.parent / "library", repo.environment)
    library.write("lib.txt", "lib\n")
    library.commit()
    repo.git("submodule", "-q", "add", str(library.root), b"sub\xff\\dir")
    repo.git("checkout", "-q", "-b", b"caf\xe9")
    repo.commit()
    branch = repo.git("symbolic-ref", "HEAD")
    repo.write("a.txt", "on the branch\n")
    engine = repo.engine(LANG="\udcff", CHRONOS_ENVIRONMENT_VARIABLES="LANG")
    wanted = repo.state()
    checkpoint = engine.create_checkpoint("wanted")
    repo.git("checkout", "-q", "-f", "main")
    repo.remove(b"sub\xff\\dir")
    engine.restore_checkpoint(checkpoint, head=True)
    assert repo.git("symbolic-ref", "HEAD") == branch
    assert repo.state() == wanted
    engine.undo()
    assert repo.git("symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_store_that_is_named_through_a_link_is_still_known_as_ours(repo: RepoBuilder, tmp_path: Path) -> None:
    """A home folder behind a link is enough: the root is resolved, so the store's place has to be as well."""
    repo.write("a.txt", "a\n")
    repo.commit()
    (tmp_path / "link").symlink_to(repo.root)
    engine = repo.engine(CHRONOS_TIMELINES_DIR=str(tmp_path / "link/st"))
    repo.write("a.txt", "edited\n")
    first = engine.take_checkpoint("first")
    assert first.files_changed == 1
    repo.write("a.txt", "again\n")
    engine.create_checkpoint("second")
    assert repo.git("status", "--porcelain") == "M a.txt"
    engine.restore_checkpoint(first.checkpoint_id)
    assert [row.name for row in engine.list_checkpoints()] == ["second", "first"]
