"""A restore of memory that fails or ends between two steps: with the next command all of it is old, or all is new."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.errors import StorageError
from tests.support import RepoBuilder
from tests.support.databases import make_notes, read_notes

FACTS = "data/memory/facts/one.json"
OTHERS = "data/memory/others/one.json"


def break_sync(
    monkeypatch: pytest.MonkeyPatch, name: str, failing: Collection[int], error: type[BaseException] = StorageError
) -> Callable[[], int]:
    """Let some calls of a function that syncs a path fail, counted from 1; return how many calls there were."""
    module = __import__(name.rpartition(".")[0], fromlist=["_"])
    sync, calls = getattr(module, name.rpartition(".")[2]), [0]

    def counted(path: Path) -> None:
        calls[0] += 1
        if calls[0] in failing:
            raise error("it cannot be synced")
        sync(path)

    monkeypatch.setattr(name, counted)
    return lambda: calls[0]


def go_on_from_first(repo: RepoBuilder) -> tuple[ChronosEngine, str]:
    """Take a checkpoint of code and memory that say 1, and let both say 2."""
    for name in (FACTS, "code.py"):
        repo.write(name, "1")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    for name in (FACTS, "code.py"):
        repo.write(name, "2")
    return engine, checkpoint


def beside(repo: RepoBuilder) -> set[str]:
    """Return what lies in the folder of the stores."""
    return {path.name for path in repo.path("data/memory").iterdir()}


@pytest.mark.parametrize(("point", "then"), [(1, "2"), (2, "1"), (3, "1")])
def test_a_failed_sync_of_a_folder_leaves_all_old_or_is_carried_on(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch, point: int, then: str
) -> None:
    engine, checkpoint = go_on_from_first(repo)
    with monkeypatch.context() as patched:
        calls = break_sync(patched, "chronos.memory.placing.sync_file_system", {point})
        with pytest.raises(StorageError):
            engine.restore_checkpoint(checkpoint)
        assert calls() == point
    repo.engine().recover()
    assert [repo.read(name) for name in (FACTS, "code.py")] == [then.encode()] * 2
    assert beside(repo) == {"facts"}


@pytest.mark.parametrize("point", [1, 2, 3])
def test_a_folder_on_its_way_is_taken_back_with_the_rest(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    engine, checkpoint = go_on_from_first(repo)
    with monkeypatch.context() as patched:
        break_sync(patched, "chronos.memory.placing.sync_file_system", {point}, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.restore_checkpoint(checkpoint)
    repo.engine().recover(abort=True)
    assert [repo.read(name) for name in (FACTS, "code.py")] == [b"2"] * 2
    assert beside(repo) == {"facts"}


def test_what_was_being_taken_back_when_that_failed_is_carried_on(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (FACTS, OTHERS):
        repo.write(name, "1")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    for name in (FACTS, OTHERS):
        repo.write(name, "2")
    with monkeypatch.context() as patched:
        # The first folder took three syncs; the second fails at its first, and the first on its way back once more.
        calls = break_sync(patched, "chronos.memory.placing.sync_file_system", {4, 6})
        with pytest.raises(StorageError):
            engine.restore_checkpoint(checkpoint)
        assert calls() == 6
    repo.engine().recover()
    assert [repo.read(name) for name in (FACTS, OTHERS)] == [b"1"] * 2
    assert beside(repo) == {"facts", "others"}


def test_a_database_that_came_but_was_not_made_durable_is_carried_on(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_notes(repo.path("data/memory/agent.db"))
    repo.write("code.py", "1")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    database.unlink()
    repo.write("code.py", "2")
    with monkeypatch.context() as patched:
        calls = break_sync(patched, "chronos.memory.sqlite_replace.sync_folder", {3})
        with pytest.raises(StorageError):
            engine.restore_checkpoint(checkpoint)
        assert calls() == 3
    repo.engine().recover()
    assert (len(read_notes(database)), repo.read("code.py")) == (20, b"1")
    assert beside(repo) == {"agent.db"}
