"""Restoring a part of a checkpoint, or all of it into another folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from chronos.errors import BadPathError, TargetNotEmptyError
from tests.support import RepoBuilder, tree_digest


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    for name in ("a.txt", "folder/b.txt", "folder/deep/c.txt", "folderish.txt"):
        repo.write(name, "base\n")
    repo.link("link", "folder/b.txt")
    repo.commit()
    repo.write("a.txt", "wanted\n")
    repo.write("folder/b.txt", "wanted\n")
    repo.write("folder/new.txt", "wanted\n")
    repo.write("run", "#!/bin/sh\n", executable=True)
    return repo


def wreck_all(repo: RepoBuilder) -> None:
    for name in ("a.txt", "folder/b.txt", "folder/deep/c.txt", "folderish.txt"):
        repo.write(name, "wrecked\n")
    repo.remove("folder/new.txt")
    repo.write("folder/later.txt", "later\n")
    repo.write("later.txt", "later\n")


@pytest.mark.parametrize(
    ("paths", "restored"),
    [
        (["a.txt"], {"a.txt"}),
        (["./a.txt"], {"a.txt"}),
        (["folder"], {"folder/b.txt", "folder/deep/c.txt", "folder/new.txt", "folder/later.txt"}),
        (["folder/"], {"folder/b.txt", "folder/deep/c.txt", "folder/new.txt", "folder/later.txt"}),
        (["folder/deep", "a.txt"], {"folder/deep/c.txt", "a.txt"}),
        (["folder/new.txt"], {"folder/new.txt"}),
        (["later.txt"], {"later.txt"}),
        (["no/such/path"], set()),
    ],
)
def test_only_the_named_paths_are_restored(work: RepoBuilder, paths: list[str], restored: set[str]) -> None:
    engine = work.engine()
    wanted = tree_digest(work.root)
    checkpoint = engine.create_checkpoint("wanted")
    wreck_all(work)
    wrecked = tree_digest(work.root)
    engine.restore_checkpoint(checkpoint, paths=paths)
    now = tree_digest(work.root)
    names = {os.fsencode(name) for name in restored}
    assert {path: now.get(path) for path in names} == {path: wanted.get(path) for path in names}
    rest = (now.keys() | wrecked.keys()) - names
    assert {path: now.get(path) for path in rest} == {path: wrecked.get(path) for path in rest}
    if restored:
        engine.undo()
        assert tree_digest(work.root) == wrecked


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", ".git/config", ".GIT/hooks/x", "", "a//b", "x\0y"]
)
def test_a_path_outside_the_tree_is_refused(work: RepoBuilder, path: str) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    before = tree_digest(work.root)
    with pytest.raises(BadPathError):
        engine.restore_checkpoint(checkpoint, paths=[path])
    with pytest.raises(BadPathError):
        engine.restore_checkpoint(checkpoint, include=[path])
    assert tree_digest(work.root) == before


def test_the_index_is_left_alone_when_only_some_paths_are_restored(work: RepoBuilder) -> None:
    work.git("add", "a.txt")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.git("reset", "-q")
    wreck_all(work)
    index = work.git_bytes("ls-files", "-s", "-z")
    outcome = engine.restore_checkpoint(checkpoint, paths=["a.txt"])
    assert work.git_bytes("ls-files", "-s", "-z") == index
    assert any("index" in warning for warning in outcome.warnings)


def test_a_checkpoint_is_written_out_into_a_new_folder(work: RepoBuilder, tmp_path: Path) -> None:
    work.write(b"odd \n\xff", "odd\n")
    wanted = tree_digest(work.root)
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    wreck_all(work)
    before = work.state()
    count = engine.restore_into(checkpoint, tmp_path / "out")
    assert tree_digest(tmp_path / "out") == wanted
    assert count == len(wanted)
    assert work.state() == before, "the working tree is not touched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out", "repo"]


def test_a_part_of_a_checkpoint_is_written_out(work: RepoBuilder, tmp_path: Path) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    engine.restore_into(checkpoint, tmp_path / "out", paths=["folder/deep", "run"])
    assert {os.fsdecode(path) for path in tree_digest(tmp_path / "out")} == {"folder/deep/c.txt", "run"}


def test_an_empty_folder_is_a_fine_target(work: RepoBuilder, tmp_path: Path) -> None:
    wanted = tree_digest(work.root)
    (tmp_path / "out").mkdir()
    engine = work.engine()
    engine.restore_into(engine.create_checkpoint("wanted"), tmp_path / "out")
    assert tree_digest(tmp_path / "out") == wanted


@pytest.mark.parametrize("is_file", [True, False])
def test_a_target_with_something_in_it_is_refused(work: RepoBuilder, tmp_path: Path, is_file: bool) -> None:
    out = tmp_path / "out"
    if is_file:
        out.write_text("mine\n")
    else:
        out.mkdir()
        (out / "mine.txt").write_text("mine\n")
    before = tree_digest(tmp_path, without=(b"repo", b"home"))
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    with pytest.raises(TargetNotEmptyError):
        engine.restore_into(checkpoint, out)
    assert tree_digest(tmp_path, without=(b"repo", b"home")) == before


def test_a_failed_write_out_leaves_nothing_behind(
    work: RepoBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chronos.errors import ChronosError
    from chronos.files import SafeRoot

    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    write_file = SafeRoot.write_file

    def fail_at_run(self: SafeRoot, path: bytes, *arguments: object, **options: object) -> None:
        if path == b"run":
            raise OSError(28, "No space left on device")
        write_file(self, path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(SafeRoot, "write_file", fail_at_run)
    with pytest.raises(ChronosError):
        engine.restore_into(checkpoint, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "repo"]


def test_submodules_and_embedded_repositories_are_written_out_too(work: RepoBuilder, tmp_path: Path) -> None:
    library = RepoBuilder(tmp_path / "library", work.environment)
    library.write("lib.txt", "lib\n")
    library.commit()
    work.git("submodule", "-q", "add", str(library.root), "sub")
    inner = RepoBuilder(work.root / "inner", work.environment)
    inner.write("inner.txt", "inner\n")
    inner.commit()
    work.write("sub/lib.txt", "edited\n")
    work.write("sub/new.txt", "new\n")
    wanted = tree_digest(work.root)
    engine = work.engine()
    engine.restore_into(engine.create_checkpoint("wanted"), tmp_path / "out")
    assert tree_digest(tmp_path / "out") == wanted


def test_a_folder_written_out_can_be_built_with(work: RepoBuilder, tmp_path: Path) -> None:
    engine = work.engine()
    engine.restore_into(engine.create_checkpoint("wanted"), tmp_path / "deep/er/out")
    subprocess.run([str(tmp_path / "deep/er/out/run")], check=True)
