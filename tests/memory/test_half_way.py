"""A restore of memory that fails or ends between two steps: with the next command all of it is old, or all is new."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.errors import StorageError, StoreChangedError, StoreInUseError
from chronos.files import remove_tree
from tests.support import RepoBuilder
from tests.support.databases import make_notes, read_notes

FACTS = "data/memory/facts/one.json"
OTHERS = "data/memory/others/one.json"
SYNC = "chronos.memory.steps.sync_file_system"
LOOSE = [f"data/memory/note{number}.md" for number in range(40)]


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
        calls = break_sync(patched, SYNC, {point})
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
        break_sync(patched, SYNC, {point}, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.restore_checkpoint(checkpoint)
    repo.engine().recover(abort=True)
    assert [repo.read(name) for name in (FACTS, "code.py")] == [b"2"] * 2
    assert beside(repo) == {"facts"}


def write_at_sync(monkeypatch: pytest.MonkeyPatch, repo: RepoBuilder, name: str, failing: Collection[int] = ()) -> None:
    """Let somebody write to a store when the new states of all have been written and none has its place."""
    calls = break_sync(monkeypatch, SYNC, failing)
    steps = __import__("chronos.memory.steps", fromlist=["_"])
    sync = steps.sync_file_system

    def write_first(path: Path) -> None:
        if not calls():
            repo.write(name, "of somebody")
        sync(path)

    monkeypatch.setattr(SYNC, write_first)


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
        # Three syncs bring the first folder to its end, which the second has to be taken back for.
        write_at_sync(patched, repo, OTHERS, {4})
        with pytest.raises(StorageError):
            engine.restore_checkpoint(checkpoint)
    repo.engine().recover()
    assert [repo.read(name) for name in (FACTS, OTHERS)] == [b"1", b"of somebody"]
    assert beside(repo) == {"facts", "others"}


def loose_files(repo: RepoBuilder) -> tuple[ChronosEngine, str]:
    """Take a checkpoint of loose files that say 1, and let them say 2."""
    for name in LOOSE:
        repo.write(name, "1")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    for name in LOOSE:
        repo.write(name, "2")
    return engine, checkpoint


def test_loose_files_are_restored_with_the_syncs_of_one(repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, checkpoint = loose_files(repo)
    with monkeypatch.context() as patched:
        calls = break_sync(patched, SYNC, ())
        engine.restore_checkpoint(checkpoint)
        assert calls() == 3
    assert {repo.read(name) for name in LOOSE} == {b"1"}
    repo.engine().undo()
    assert {repo.read(name) for name in LOOSE} == {b"2"}


def test_loose_files_are_as_they_were_when_one_is_written_to_meanwhile(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, checkpoint = loose_files(repo)
    with monkeypatch.context() as patched:
        write_at_sync(patched, repo, LOOSE[20])
        with pytest.raises(StoreChangedError):
            engine.restore_checkpoint(checkpoint)
    assert [repo.read(name) for name in LOOSE if name != LOOSE[20]] == [b"2"] * 39
    assert repo.read(LOOSE[20]) == b"of somebody"
    assert beside(repo) == {Path(name).name for name in LOOSE}
    assert list((repo.store / ".store/journal").iterdir()) == []
    assert engine.status().interrupted == 0


def test_loose_files_are_as_they_were_when_one_is_in_use(repo: RepoBuilder) -> None:
    engine, checkpoint = loose_files(repo)
    script = "import sys\nwith open(sys.argv[1], 'ab'): print('open', flush=True); sys.stdin.read()"
    argv = [sys.executable, "-c", script, str(repo.path(LOOSE[20]))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        writer.stdout.readline()
        repo.write("chronos.toml", "lock_timeout_s = 0.2\n")
        with pytest.raises(StoreInUseError, match=str(writer.pid)):
            repo.engine().restore_checkpoint(checkpoint)
        writer.communicate()
    assert {repo.read(name) for name in LOOSE} == {b"2"}
    assert beside(repo) == {Path(name).name for name in LOOSE}
    engine.restore_checkpoint(checkpoint)
    assert {repo.read(name) for name in LOOSE} == {b"1"}


def test_a_store_of_another_kind_is_as_it_was_when_one_beside_it_is_written_to(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, other = "data/memory/z", "data/memory/b.md"
    repo.write(f"{kind}/note.md", "1")
    repo.write(other, "1")
    engine = repo.engine()
    engine.add_memory(repo.path(kind), kind="files", name="z")
    checkpoint = engine.create_checkpoint("first")
    engine.remove_memory("z")
    remove_tree(repo.path(kind))
    make_notes(repo.path(kind))
    engine.add_memory(repo.path(kind), kind="sqlite", name="z")
    repo.write(other, "2")
    with monkeypatch.context() as patched:
        write_at_sync(patched, repo, other)
        with pytest.raises(StoreChangedError):
            engine.restore_checkpoint(checkpoint)
    assert len(read_notes(repo.path(kind))) == 20
    assert repo.read(other) == b"of somebody"
    assert beside(repo) == {"b.md", "z"}
    assert engine.status().interrupted == 0


def test_names_whose_drafts_are_called_alike_are_restored_one_after_the_other(repo: RepoBuilder) -> None:
    names = [f"data/memory/{name}" for name in ("plumless", "buckeroo")]  # of one CRC-32
    for name in names:
        repo.write(name, name)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    for name in names:
        repo.write(name, "2")
    engine.restore_checkpoint(checkpoint)
    assert [repo.read(name).decode() for name in names] == names


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
