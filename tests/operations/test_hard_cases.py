"""Restores between trees that have little in common, and restores that go wrong: nothing is lost or glossed over."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from chronos.errors import StorageError, UsageError, VerifyFailedError
from chronos.files import SafeRoot
from tests.support import RepoBuilder, assert_state, kept_paths, tree_digest


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write(".gitignore", "*.log\n")
    repo.write("a.txt", "a\n")
    repo.write("b.txt", "b\n")
    repo.commit()
    return repo


@pytest.fixture
def library(work: RepoBuilder, tmp_path: Path) -> RepoBuilder:
    other = RepoBuilder(tmp_path / "library", work.environment)
    other.write("lib.txt", "lib\n")
    other.commit()
    return other


def test_an_undo_after_a_commit_gives_back_the_files_and_keeps_the_commit(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "edited\n")
    work.git("add", "a.txt")
    engine.restore_checkpoint(checkpoint)
    work.write("new.txt", "new\n")
    commit = work.commit("after the restore")
    engine.undo()
    assert work.read("a.txt") == b"edited\n"
    assert work.head() == commit
    assert work.git("show", ":a.txt") == "a", "the index belongs to the new commit now"


def test_a_submodule_that_became_a_plain_folder_loses_nothing(work: RepoBuilder, library: RepoBuilder) -> None:
    work.git("submodule", "-q", "add", str(library.root), "sub")
    work.commit()
    work.write("sub/lib.txt", "edited in the submodule\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("with a submodule")
    work.git("rm", "-q", "-f", "sub")
    work.remove(".git/modules/sub")
    work.write("sub/lib.txt", "plain now\n")
    work.write("sub/more.txt", "plain now\n")
    work.commit("a plain folder")
    before = tree_digest(work.root)
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.read("sub/lib.txt") == b"edited in the submodule\n"
    assert outcome.warnings != ()
    engine.undo()
    assert tree_digest(work.root) == before


def test_a_plain_folder_that_became_a_repository_is_not_written_into_its_git_folder(work: RepoBuilder) -> None:
    work.write("part/x.txt", "plain\n")
    work.write("part/y.txt", "plain\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("plain")
    inner = RepoBuilder(work.root / "part", work.environment)
    inner.write("x.txt", "edited\n")
    inner.write("z.txt", "new\n")
    inner.commit()
    head = inner.head()
    engine.restore_checkpoint(checkpoint)
    assert work.read("part/z.txt") == b"new\n", "the repository came later: it is kept"
    assert inner.head() == head
    assert inner.git("fsck") == ""
    first = work.read("part/x.txt")
    engine.undo()
    assert work.read("part/x.txt") == b"edited\n"
    assert first in (b"plain\n", b"edited\n")


def test_an_embedded_repository_replaced_by_a_file_comes_back(work: RepoBuilder) -> None:
    inner = RepoBuilder(work.root / "inner", work.environment)
    inner.write("x.txt", "x\n")
    inner.commit()
    wanted = tree_digest(work.root)
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("inner", "a file now\n")
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(work.root) == wanted
    engine.undo()
    assert work.read("inner") == b"a file now\n"


def test_a_folder_with_one_ignored_file_is_not_replaced_by_a_file(work: RepoBuilder) -> None:
    work.write("thing", "a file\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.remove("thing")
    work.write("thing/new.txt", "new\n")
    work.write("thing/trace.log", "ignored\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.read("thing/trace.log") == b"ignored\n"
    assert "thing" in kept_paths(outcome.kept)
    engine.undo()
    assert work.read("thing/new.txt") == b"new\n"
    assert work.read("thing/trace.log") == b"ignored\n"


def test_an_edited_secret_is_replaced_by_request_and_undo_brings_it_back(work: RepoBuilder) -> None:
    work.write(".env", "committed\n")
    work.commit()
    engine = work.engine()
    checkpoint = engine.create_checkpoint("clean")
    work.write(".env", "edited\n")
    engine.restore_checkpoint(checkpoint, include=[".env"])
    assert work.read(".env") == b"committed\n"
    engine.undo()
    assert work.read(".env") == b"edited\n"
    engine.redo()
    assert work.read(".env") == b"committed\n"


def test_an_included_file_whose_rule_is_gone_is_restored_and_comes_back(work: RepoBuilder) -> None:
    work.write(".chronoinclude", "data.log\nother.log\n")
    work.write("data.log", "wanted\n")
    work.write("other.log", "wanted\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.remove(".chronoinclude", "other.log")
    work.write("data.log", "edited, and held by nothing now\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.read("other.log") == b"wanted\n"
    assert work.exists(".chronoinclude")
    assert (work.read("data.log"), outcome.kept) == (b"wanted\n", ())
    engine.undo()
    assert work.read("data.log") == b"edited, and held by nothing now\n"


def test_head_together_with_paths_is_refused_or_said(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    second = work.commit("two")
    work.write("a.txt", "edited\n")
    try:
        outcome = engine.restore_checkpoint(checkpoint, head=True, paths=["a.txt"])
    except UsageError:
        assert work.read("a.txt") == b"edited\n"
    else:
        assert any("HEAD" in warning for warning in outcome.warnings), "HEAD was asked for, and silently not moved"
    assert work.head() == second


def test_a_checkpoint_of_another_branch_restores_all_its_files(work: RepoBuilder) -> None:
    for number in range(30):
        work.write(f"only main/{number}.txt", f"{number}\n")
    work.commit()
    engine = work.engine()
    wanted = tree_digest(work.root)
    checkpoint = engine.create_checkpoint("on main")
    work.git("checkout", "-q", "--orphan", "other")
    work.git("rm", "-rfq", ".")
    for number in range(30):
        work.write(f"only other/{number}.txt", f"{number}\n")
    work.commit("nothing in common")
    before = tree_digest(work.root)
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(work.root) == wanted
    engine.undo()
    assert tree_digest(work.root) == before


def test_a_safety_checkpoint_that_cannot_be_taken_stops_the_restore(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "held by nothing else\n")
    before = work.state()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError):
        engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    assert_state(work, before, "after a restore that could not begin")
    engine.restore_checkpoint(checkpoint)
    engine.undo()
    assert_state(work, before, "after the undo")


def test_a_restore_that_did_not_write_what_it_should_says_so_and_can_be_undone(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pains.md row 22: never report success on failure.
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "before\n")
    work.write("b.txt", "before\n")
    before = work.state()
    write_file = SafeRoot.write_file

    def lie(self: SafeRoot, path: bytes, pieces: Iterable[bytes], **how: Any) -> None:
        data = b"".join(pieces)
        write_file(self, path, [data[:-1] if path == b"a.txt" else data], **how)

    monkeypatch.setattr(SafeRoot, "write_file", lie)
    with pytest.raises(VerifyFailedError, match=r"a\.txt"):
        engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    engine.undo(overwrite=True)
    assert_state(work, before, "after the undo")


def test_a_deletion_that_did_not_happen_is_said(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("later.txt", "later\n")
    monkeypatch.setattr(SafeRoot, "move_out", lambda *_: None)
    outcome = engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    assert work.read("later.txt") == b"later\n"
    assert kept_paths(outcome.kept) == {"later.txt"}
    assert outcome.deleted == 0


def test_symbolic_links_that_git_writes_as_files_come_back_as_they_are(work: RepoBuilder) -> None:
    work.link("link", "a.txt")
    work.commit()
    work.git("config", "core.symlinks", "false")
    work.remove("link")
    work.git("checkout", "-q", "--", "link")
    assert not work.path("link").is_symlink()
    wanted = work.state()
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.remove("link")
    engine.restore_checkpoint(checkpoint)
    assert_state(work, wanted, "after the restore")


def test_an_edit_in_the_moment_of_the_move_goes_back_to_its_place(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a file and its move a program wrote it again: those bytes are held nowhere else."""
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "wrecked\n")
    move_out = SafeRoot.move_out

    def edit_then_move(tree: SafeRoot, path: bytes, target: Path) -> None:
        work.write(path, "written in that moment\n")
        move_out(tree, path, target)

    monkeypatch.setattr(SafeRoot, "move_out", edit_then_move)
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.read("a.txt") == b"written in that moment\n"
    assert kept_paths(outcome.kept) == {"a.txt"}


def test_an_edit_in_the_moment_of_the_move_whose_place_is_taken_is_saved(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "wrecked\n")
    move_out = SafeRoot.move_out

    def edit_move_and_write_again(tree: SafeRoot, path: bytes, target: Path) -> None:
        work.write(path, "written in that moment\n")
        move_out(tree, path, target)
        work.write(path, "and once more\n")

    monkeypatch.setattr(SafeRoot, "move_out", edit_move_and_write_again)
    outcome = engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    assert work.read("a.txt") == b"and once more\n"
    (row,) = outcome.kept
    engine.recover()
    saved = Path(row.reason.rpartition(" ")[2])
    assert saved.read_bytes() == b"written in that moment\n"
    assert any("saved" in finding.subject for finding in engine.verify(deep=True))


def test_a_program_comes_back_when_the_store_is_on_another_file_system(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.write("program", "#!/bin/sh\n", executable=True)
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("program", "#!/bin/sh\nwrecked\n", executable=True)
    rename = os.rename

    def only_inside_one_folder(source: object, target: object, **folders: int | None) -> None:
        if set(folders) == {"src_dir_fd"}:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target, **folders)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", only_inside_one_folder)
    outcome = engine.restore_checkpoint(checkpoint)
    assert outcome.kept == ()
    assert work.read("program") == b"#!/bin/sh\n"
    assert os.access(work.path("program"), os.X_OK)
    engine.undo()
    assert work.read("program") == b"#!/bin/sh\nwrecked\n"


def test_what_was_staged_since_the_plan_is_left_alone(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `git add` between the capture and the last step of a restore: its content may be nowhere else."""
    work.write("a.txt", "staged\n")
    work.git("add", "a.txt")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.git("reset", "-q", "--hard")
    staged = work.git("hash-object", "-w", "--stdin", input=b"staged meanwhile\n")
    write_file = SafeRoot.write_file

    def stage_meanwhile(tree: SafeRoot, path: bytes, *rest: object, **more: object) -> None:
        work.git("update-index", "--cacheinfo", f"100644,{staged},b.txt")
        write_file(tree, path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(SafeRoot, "write_file", stage_meanwhile)
    outcome = engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    assert work.read("a.txt") == b"staged\n"
    assert work.git("diff", "--cached", "--name-only") == "b.txt"
    assert any("index" in warning and "changed meanwhile" in warning for warning in outcome.warnings)


def test_a_file_system_without_links_takes_the_staged_state_back(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.write("a.txt", "staged\n")
    work.git("add", "a.txt")
    wanted = work.state()
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.git("reset", "-q", "--hard")

    def refuse(*arguments: object, **folders: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert engine.restore_checkpoint(checkpoint).warnings == ()
    monkeypatch.undo()
    assert_state(work, wanted, "after the restore")
    assert not (work.root / ".git/index.lock").exists()


def test_a_file_that_somebody_saves_meanwhile_is_said_and_no_failure(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "wrecked\n")
    write_file = SafeRoot.write_file

    def save_another(tree: SafeRoot, path: bytes, *rest: object, **more: object) -> None:
        work.write("b.txt", "saved meanwhile\n")
        write_file(tree, path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(SafeRoot, "write_file", save_another)
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.read("a.txt") == b"a\n"
    assert work.read("b.txt") == b"saved meanwhile\n"
    assert any("b.txt" in warning for warning in outcome.warnings)
