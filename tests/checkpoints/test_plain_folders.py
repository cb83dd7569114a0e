"""A folder that is no git repository is checkpointed all the same, with no base and without what tools make again."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos.errors import DangerousRootError
from tests.support import RepoBuilder, check_round_trip, receipt_of, tree_digest


def set_up(folder: RepoBuilder) -> None:
    """Take a first checkpoint, which makes the store."""
    with folder.engine() as engine:
        engine.create_checkpoint("set-up")


def test_a_plain_folder_comes_back(folder: RepoBuilder) -> None:
    folder.write("a.txt", "a\n")
    folder.write("deep/er/b.bin", bytes(range(256)))
    folder.write("run", "#!/bin/sh\n", executable=True)
    folder.write("empty", "")
    folder.link("link", "deep/er")
    folder.write(b"odd \n\xff", "odd\n")
    set_up(folder)
    check_round_trip(folder)


def test_a_plain_folder_gets_no_git_folder_of_its_own(folder: RepoBuilder) -> None:
    folder.write("a.txt", "a\n")
    folder.engine().create_checkpoint("wanted")
    assert not folder.exists(".git")
    assert folder.paths() <= {"a.txt", "data/.gitignore"}
    assert {entry.name for entry in folder.root.iterdir()} == {"a.txt", "data"}


def test_what_tools_make_again_is_left_out_and_said(folder: RepoBuilder) -> None:
    for path in ("node_modules/package/index.js", ".venv/bin/python", "__pycache__/a.pyc", "src/__pycache__/b.pyc"):
        folder.write(path, "made by a tool\n")
    folder.write("src/code.py", "code\n")
    engine = folder.engine()
    checkpoint = engine.create_checkpoint("wanted")
    assert receipt_of(engine, checkpoint) == {
        ".venv/": "ignored",
        "__pycache__/": "ignored",
        "node_modules/": "ignored",
        "src/__pycache__/": "ignored",
    }
    folder.write("node_modules/package/index.js", "made again\n")
    folder.write("src/code.py", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert folder.read("node_modules/package/index.js") == b"made again\n"
    assert folder.read("src/code.py") == b"code\n"


def test_an_ignore_file_counts_in_a_plain_folder(folder: RepoBuilder) -> None:
    folder.write(".gitignore", "*.tmp\n")
    folder.write("scratch.tmp", "scratch\n")
    folder.write("a.txt", "a\n")
    engine = folder.engine()
    assert receipt_of(engine, engine.create_checkpoint("wanted")) == {"scratch.tmp": "ignored"}


def test_checkpoints_survive_git_init_in_the_folder(folder: RepoBuilder) -> None:
    folder.write("a.txt", "before git\n")
    folder.write("b.txt", "b\n")
    checkpoint = folder.engine().create_checkpoint("before git")
    folder.git("init", "-q")
    folder.write("a.txt", "committed\n")
    folder.commit()
    engine = folder.engine()
    assert engine.store_path == folder.store
    engine.restore_checkpoint(checkpoint)
    assert folder.read("a.txt") == b"before git\n"
    engine.undo()
    assert folder.read("a.txt") == b"committed\n"


def test_checkpoints_survive_the_loss_of_the_git_folder(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.write("b.txt", "b\n")
    repo.commit()
    repo.write("a.txt", "edited\n")
    checkpoint = repo.engine().create_checkpoint("wanted")
    repo.remove(".git")
    repo.write("a.txt", "wrecked\n")
    engine = repo.engine()
    outcome = engine.restore_checkpoint(checkpoint)
    assert repo.read("a.txt") == b"edited\n", "what was captured comes back without git"
    assert repo.read("b.txt") == b"b\n", "what only git held is not touched"
    assert outcome.warnings != ()


def test_captured_paths_come_back_by_name_without_git(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("a.txt", "edited\n")
    checkpoint = repo.engine().create_checkpoint("wanted")
    repo.remove(".git")
    repo.write("a.txt", "wrecked\n")
    repo.write("b.txt", "later\n")
    repo.engine().restore_checkpoint(checkpoint, paths=["a.txt"])
    assert repo.read("a.txt") == b"edited\n"
    assert repo.read("b.txt") == b"later\n"


def test_a_folder_below_a_plain_root_uses_the_same_store(folder: RepoBuilder) -> None:
    folder.write("sub/a.txt", "a\n")
    folder.engine().create_checkpoint("wanted")
    below = folder.engine(folder.root / "sub")
    assert below.root == folder.root
    assert [row.name for row in below.list_checkpoints()] == ["wanted"]


def test_repositories_in_a_plain_folder_are_components(folder: RepoBuilder) -> None:
    folder.write("notes.txt", "notes\n")
    one = RepoBuilder(folder.root / "one", folder.environment)
    one.write("a.txt", "a\n")
    one.commit()
    one.write("a.txt", "edited\n")
    set_up(folder)
    wanted = tree_digest(folder.root)
    engine = folder.engine()
    checkpoint = engine.create_checkpoint("wanted")
    assert {component.path for component in engine.show_checkpoint(checkpoint).manifest.code} == {"", "one"}
    one.write("a.txt", "wrecked\n")
    folder.write("notes.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(folder.root) == wanted


def test_a_home_folder_and_the_root_of_the_file_system_are_refused(folder: RepoBuilder) -> None:
    # pains.md row 12 (opencode#9290): the home folder was snapshotted.
    home = Path(folder.environment["HOME"])
    for root in (home, home.parent, Path("/"), Path("/tmp"), Path("/usr")):
        with pytest.raises(DangerousRootError):
            folder.engine(root)
    assert folder.engine().root == folder.root
