"""Things that move while they are captured: HEAD, the index, files. The result is consistent, or says it is not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from chronos.checkpoints import Trigger
from chronos.checkpoints.component import ComponentCapture
from chronos.files import FileStat, SafeRoot, stat_of
from tests.support import RepoBuilder


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "one\n")
    repo.write("b.txt", "one\n")
    repo.commit()
    repo.write("a.txt", "two\n")
    repo.write("new.txt", "new\n")
    return repo


def between_status_and_reading(monkeypatch: pytest.MonkeyPatch, step: Callable[[int], object]) -> list[int]:
    """Call `step` with the number of the attempt each time status has answered and nothing is read yet."""
    calls: list[int] = []
    run = ComponentCapture.run

    def interrupted(self: ComponentCapture) -> object:
        calls.append(len(calls))
        step(calls[-1])
        return run(self)

    monkeypatch.setattr(ComponentCapture, "run", interrupted)
    return calls


def test_a_commit_during_a_capture_starts_it_over(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    # Measured trap: entries relative to a HEAD that is no longer the base.
    attempts = between_status_and_reading(monkeypatch, lambda number: number == 0 and work.commit())
    engine = work.engine()
    created = engine.take_checkpoint("wanted")
    monkeypatch.undo()
    assert len(attempts) == 2
    assert created.grade.value == "complete"
    component = engine.show_checkpoint(created.checkpoint_id).manifest.code[0]
    assert component.base == work.head()
    assert engine.diff(created.checkpoint_id) == []
    wanted = work.state()
    work.remove("a.txt", "new.txt")
    engine.restore_checkpoint(created.checkpoint_id)
    assert work.state() == wanted


def test_staging_during_a_capture_starts_it_over(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = between_status_and_reading(monkeypatch, lambda number: number == 0 and work.git("add", "new.txt"))
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    monkeypatch.undo()
    assert len(attempts) == 2
    wanted = work.state()
    work.git("reset", "-q")
    work.remove("new.txt")
    engine.restore_checkpoint(checkpoint)
    assert work.state() == wanted


def test_a_head_that_never_rests_grades_the_checkpoint_torn(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    between_status_and_reading(monkeypatch, lambda number: work.commit(f"commit {number}"))
    created = work.engine().take_checkpoint("wanted")
    assert created.grade.value == "torn"
    assert any("torn" in warning for warning in created.warnings)


def test_an_automatic_checkpoint_is_not_skipped_in_favour_of_a_torn_one(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine()
    between_status_and_reading(monkeypatch, lambda number: work.commit(f"commit {number}"))
    torn = engine.take_checkpoint("torn")
    monkeypatch.undo()
    again = engine.take_checkpoint("automatic", trigger=Trigger.AUTOMATIC)
    assert torn.grade.value == "torn"
    assert again.created
    assert again.grade.value == "complete"


def at_each_look(monkeypatch: pytest.MonkeyPatch, path: bytes, step: Callable[[int], object]) -> None:
    """Call `step` each time the capture looks at `path`: 0 is before it is read, 1 the look after that, and so on."""
    calls: list[int] = []
    find_stat = SafeRoot.find_stat

    def interrupted(self: SafeRoot, name: bytes) -> object:
        if name == path:
            calls.append(len(calls))
            step(calls[-1])
        return find_stat(self, name)

    monkeypatch.setattr(SafeRoot, "find_stat", interrupted)


def test_a_file_that_changes_while_it_is_read_is_read_again(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    place = work.path("new.txt")
    at_each_look(monkeypatch, b"new.txt", lambda number: number == 1 and place.write_text("changed while read\n"))
    engine = work.engine()
    created = engine.take_checkpoint("wanted")
    monkeypatch.undo()
    assert created.grade.value == "complete"
    assert work.read("new.txt") == b"changed while read\n"
    work.remove("new.txt")
    engine.restore_checkpoint(created.checkpoint_id)
    assert work.read("new.txt") == b"changed while read\n"


def test_a_file_that_is_read_again_is_charged_once(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    place = work.path("new.txt")
    work.git("checkout", "-q", "a.txt")
    place.write_bytes(b"x" * 40)
    at_each_look(monkeypatch, b"new.txt", lambda number: number in (1, 2) and place.write_bytes(b"%d" % number * 40))
    created = work.engine(CHRONOS_MAX_CAPTURE_BYTES="60").take_checkpoint("wanted")
    monkeypatch.undo()
    assert created.receipt == ()


def test_a_file_that_vanishes_while_it_is_read_is_absent(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    place = work.path("new.txt")
    at_each_look(monkeypatch, b"new.txt", lambda number: number == 1 and place.unlink())
    engine = work.engine()
    created = engine.take_checkpoint("wanted")
    monkeypatch.undo()
    assert not place.exists()
    assert engine.show_checkpoint(created.checkpoint_id).manifest.files_changed == 1, "only the edit of a.txt"
    assert engine.diff(created.checkpoint_id) == []


def test_a_file_that_never_rests_grades_the_checkpoint_torn(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    place = work.path("new.txt")
    at_each_look(monkeypatch, b"new.txt", lambda number: place.write_text("x" * (number + 1)))
    created = work.engine().take_checkpoint("wanted")
    assert created.grade.value == "torn"
    assert any("new.txt" in warning for warning in created.warnings)


def test_an_edit_of_the_same_size_in_the_tick_of_the_capture_is_not_missed(work: RepoBuilder) -> None:
    engine = work.engine()
    for number in range(10):
        text = f"edit {number:02}\n".encode()
        work.path("a.txt").write_bytes(text)
        work.path("new.txt").write_bytes(text)
        checkpoint = engine.create_checkpoint(f"number {number}")
        work.path("a.txt").write_bytes(b"wrecked\n"[: len(text)])
        engine.restore_checkpoint(checkpoint, paths=["a.txt", "new.txt"])
        assert (work.read("a.txt"), work.read("new.txt")) == (text, text)


def test_on_a_file_system_with_coarse_times_an_edit_right_after_a_capture_is_not_missed(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times in steps of two seconds, as on FAT, for content that git does not know."""

    def coarse(found: os.stat_result) -> FileStat:
        exact = stat_of(found)
        step = 2_000_000_000
        return msgspec.structs.replace(
            exact, mtime_ns=exact.mtime_ns // step * step, ctime_ns=exact.ctime_ns // step * step
        )

    for module in ("chronos.files.safe_root", "chronos.checkpoints.reading"):
        monkeypatch.setattr(f"{module}.stat_of", coarse)
    engine = work.engine()
    for number in range(4):
        work.path("new.txt").write_bytes(b"edit %d\n" % number)
        checkpoint = engine.create_checkpoint(f"number {number}")
        engine.restore_into(checkpoint, work.root.parent / f"out {number}")
        assert (work.root.parent / f"out {number}/new.txt").read_bytes() == b"edit %d\n" % number


def test_an_edit_that_keeps_size_and_time_is_not_missed(work: RepoBuilder) -> None:
    # An untracked file: for tracked ones git is asked, which compares change times by the second only.
    engine = work.engine()
    settled = 1_700_000_000_123_456_789
    os.utime(work.path("new.txt"), ns=(settled, settled))
    engine.create_checkpoint("before")
    engine.create_checkpoint("warm")
    work.path("new.txt").write_bytes(b"NEW\n")
    os.utime(work.path("new.txt"), ns=(settled, settled))
    checkpoint = engine.create_checkpoint("after")
    work.remove("new.txt")
    engine.restore_checkpoint(checkpoint)
    assert work.read("new.txt") == b"NEW\n"


def test_an_edit_right_after_a_commit_is_not_missed(repo: RepoBuilder) -> None:
    # git calls such entries "racily clean"; the private copy of the index must not make them look settled.
    engine = repo.engine()
    for number in range(10):
        repo.path("a.txt").write_bytes(b"commit %02d\n" % number)
        repo.commit()
        repo.path("a.txt").write_bytes(b"edited %02d\n" % number)
        checkpoint = engine.create_checkpoint(f"number {number}")
        assert engine.show_checkpoint(checkpoint).manifest.files_changed == 1, f"round {number}"


def test_a_stale_index_is_healed_in_a_private_copy_and_never_in_the_users(repo: RepoBuilder) -> None:
    # Measured trap: with optional locks off git hashes every touched file again on each call.
    for number in range(30):
        repo.write(f"f{number}.txt", f"{number}\n")
    repo.commit()
    engine = repo.engine()
    engine.create_checkpoint("fresh")
    for number in range(30):
        os.utime(repo.path(f"f{number}.txt"), (1_000_000_000 + number, 1_000_000_000 + number))
    index = repo.root / ".git/index"
    before = index.read_bytes(), index.stat().st_mtime_ns, index.stat().st_ino
    engine.create_checkpoint("stale")
    assert engine.show_checkpoint("stale").manifest.files_changed == 0
    (private,) = (path for path in (repo.store / ".store/index").iterdir() if path.suffix == "")
    first = _stat_data(repo, private)
    engine.create_checkpoint("again")
    assert (index.read_bytes(), index.stat().st_mtime_ns, index.stat().st_ino) == before
    assert first != _stat_data(repo, index), "the private copy was not healed, so every capture hashes all files"
    assert _stat_data(repo, private) == first
    repo.git("update-index", "--refresh")
    assert _stat_data(repo, index) == first


def _stat_data(repo: RepoBuilder, index: Path) -> bytes:
    environment = {**repo.environment, "GIT_INDEX_FILE": str(index), "GIT_OPTIONAL_LOCKS": "0"}
    return subprocess.run(
        ["git", "ls-files", "--debug"], cwd=repo.root, env=environment, capture_output=True, check=True
    ).stdout
