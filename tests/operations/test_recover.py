"""An interrupted restore is finished by the next command, or taken back by request; either way nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chronos.checkpoints import Applier, apply
from chronos.errors import GitFailedError, IntegrityError, InterruptedOperationError, NothingToUndoError, StorageError
from chronos.files import SafeRoot
from tests.support import RepoBuilder, assert_state, kept_paths


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    for number in range(6):
        repo.write(f"f{number}.txt", "base\n")
    repo.commit()
    repo.write("f0.txt", "staged\n")
    repo.git("add", "f0.txt")
    repo.write("f1.txt", "wanted\n")
    repo.write("new.txt", "wanted\n")
    repo.write("run", "wanted\n", executable=True)
    repo.link("link", "new.txt")
    return repo


def wreck_all(repo: RepoBuilder) -> None:
    repo.git("reset", "-q")
    for number in range(6):
        repo.write(f"f{number}.txt", f"wrecked {number}\n")
    repo.remove("new.txt", "link")
    repo.write("later/file.txt", "later\n")


class CutError(BaseException):
    """Stands for the death of the process."""


def cut_at(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int) -> None:
    """Raise CutError at the `call`-th call of a method."""
    real: Callable[..., object] = getattr(owner, name)
    calls: list[int] = []

    def counted(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == call:
            raise CutError
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, counted)


CUTS = [
    (SafeRoot, "move_out", 1), (SafeRoot, "move_out", 4), (SafeRoot, "write_file", 1), (SafeRoot, "write_file", 5),
    (SafeRoot, "write_link", 1), (Applier, "_write_index", 1),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "name", "call"), CUTS)
def test_an_interrupted_restore_is_finished_by_the_next_command(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int
) -> None:
    engine = work.engine()
    wanted = work.state()
    checkpoint = engine.create_checkpoint("wanted")
    wreck_all(work)
    wrecked = work.state()
    cut_at(monkeypatch, owner, name, call)
    with pytest.raises(CutError):
        engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    engine.close()
    engine = work.engine()
    assert any("interrupted" in finding.problem for finding in engine.verify(deep=True))
    engine.create_checkpoint("the next command")
    assert any("finished" in notice for notice in engine.notices)
    assert_state(work, wanted, "after the next command")
    engine.undo()
    engine.undo()
    assert_state(work, wrecked, "after the undo of both")
    assert [finding for finding in engine.verify(deep=True) if finding.severity] == []


@pytest.mark.parametrize(("owner", "name", "call"), CUTS)
def test_an_interrupted_restore_is_taken_back_by_request(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int
) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    wreck_all(work)
    wrecked = work.state()
    cut_at(monkeypatch, owner, name, call)
    with pytest.raises(CutError):
        engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    engine.close()
    engine = work.engine()
    assert any("took back" in line for line in engine.recover(abort=True))
    assert_state(work, wrecked, "after recover --abort")
    assert engine.list_operations()[0].kind.value == "create"
    assert [finding for finding in engine.verify(deep=True) if finding.severity] == []


def test_an_edit_made_after_the_interruption_is_kept(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    # pains.md row 11 (hermes#112882): fail closed, never fall back to a full restore.
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    wreck_all(work)
    cut_at(monkeypatch, SafeRoot, "write_file", 1)
    with pytest.raises(CutError):
        engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    work.write("f1.txt", "edited by hand since\n")
    done = work.engine().recover()
    assert work.read("f1.txt") == b"edited by hand since\n"
    assert any("kept f1.txt: edited since" in line for line in done)


def test_an_interrupted_undo_is_finished_too(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    wreck_all(work)
    wrecked = work.state()
    engine.restore_checkpoint(checkpoint)
    cut_at(monkeypatch, SafeRoot, "move_out", 2)
    with pytest.raises(CutError):
        engine.undo()
    monkeypatch.undo()
    engine.recover()
    assert_state(work, wrecked, "after recover")
    engine.redo()
    with pytest.raises(NothingToUndoError):
        engine.redo()


def test_a_restore_that_cannot_be_finished_says_how_to_go_on(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    wreck_all(work)
    wrecked = work.state()
    cut_at(monkeypatch, SafeRoot, "write_file", 2)
    with pytest.raises(CutError):
        engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SafeRoot, "write_file", full)
    with pytest.raises(StorageError, match="interrupted restore") as caught:
        engine.undo()
    assert "recover" in caught.value.hint
    with pytest.raises(InterruptedOperationError):
        engine.plan_restore(checkpoint)
    half_way = work.state()
    engine.create_checkpoint("the tree as it is, half way")
    assert any("interrupted restore" in notice for notice in engine.notices)
    assert work.state() == half_way
    monkeypatch.undo()
    engine.recover(abort=True)
    assert_state(work, wrecked, "after recover --abort")


def test_a_restore_that_lost_its_content_says_so_and_can_be_taken_back(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    (pack,) = (work.store / "main/packs").iterdir()
    wreck_all(work)
    wrecked = work.state()
    cut_at(monkeypatch, SafeRoot, "write_file", 2)
    with pytest.raises(CutError):
        engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    engine.close()
    pack.rename(work.root.parent / "lost.pack")
    engine = work.engine()
    with pytest.raises((InterruptedOperationError, IntegrityError)):
        engine.recover()
    engine.recover(abort=True)
    assert_state(work, wrecked, "after recover --abort")


def test_a_full_disk_during_a_restore_is_said_and_can_be_taken_back(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    wreck_all(work)
    wrecked = work.state()

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SafeRoot, "write_file", full)
    with pytest.raises(StorageError, match="No space"):
        engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    engine.recover(abort=True)
    assert_state(work, wrecked, "after recover --abort")


def test_recover_with_nothing_to_do_does_nothing(work: RepoBuilder) -> None:
    engine = work.engine()
    assert engine.recover() == []
    engine.create_checkpoint("wanted")
    before = work.state()
    assert engine.recover() == []
    assert engine.recover(abort=True) == []
    assert work.state() == before


def test_rubbish_of_a_dead_process_is_swept_and_that_of_a_living_one_is_not(work: RepoBuilder) -> None:
    # pains.md row 12: temporary files that nobody owned filled the disk.
    import fcntl
    import os

    engine = work.engine()
    engine.create_checkpoint("wanted")
    scratch = work.store / ".store/tmp"
    (scratch / "dead").mkdir()
    (scratch / "dead/0.pack").write_bytes(b"x" * 1000)
    (scratch / "living").mkdir()
    descriptor = os.open(scratch / "living", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert engine.recover() == ["removed 1 left-over scratch folder"]
        assert [path.name for path in scratch.iterdir()] == ["living"]
    finally:
        os.close(descriptor)


def test_the_trash_of_a_finished_restore_is_gone(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    wreck_all(work)
    outcome = engine.restore_checkpoint(checkpoint)
    assert kept_paths(outcome.kept) == set()
    assert list((work.store / ".store/journal").iterdir()) == []


def test_an_index_that_git_refuses_blocks_nothing_for_ever(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    work.write("f0.txt", "staged\n")
    work.git("add", "f0.txt")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.git("reset", "-q", "--hard")
    before = work.state()

    def refuse(*arguments: object) -> None:
        raise GitFailedError("git update-index: it will not have it")

    monkeypatch.setattr(apply, "write_index", refuse)
    with pytest.raises(GitFailedError):
        engine.restore_checkpoint(checkpoint)
    with pytest.raises(StorageError, match="interrupted"):
        engine.restore_checkpoint(checkpoint)
    engine.create_checkpoint("meanwhile")
    assert any("left alone" in line for line in engine.recover(abort=True))
    assert work.state() == before
    monkeypatch.undo()
    engine.restore_checkpoint(checkpoint)
    assert work.git("diff", "--cached", "--name-only") == "f0.txt"
