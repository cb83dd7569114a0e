"""Databases that are committed with what lies beside them, or deleted since: restored and undone as what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import RepoBuilder
from tests.support.databases import add_notes, leave_wal, make_notes, peek_notes

DB = "app.db"


def commit_with_wal(repo: RepoBuilder) -> Path:
    """Commit a database of which a part is only in its `-wal`."""
    place = make_notes(repo.path(DB), journal="wal")
    leave_wal(place, "in the wal")
    repo.path(f"{DB}-shm").unlink()
    repo.commit()
    return place


@pytest.mark.parametrize("goes_back", ["to a commit", "between commits"])
def test_a_database_that_was_committed_with_its_wal_comes_back_with_what_is_in_that(
    repo: RepoBuilder, goes_back: str
) -> None:
    place = commit_with_wal(repo)
    engine = repo.engine()
    first = engine.create_checkpoint("first")
    add_notes(place, "later")
    if goes_back == "between commits":
        leave_wal(place, "and later in the wal")
        repo.commit()
    wanted = peek_notes(place)
    assert engine.restore_checkpoint(first).kept == ()
    assert peek_notes(place)[20:] == ["in the wal"]
    engine.undo()
    assert peek_notes(place) == wanted
    assert wanted[20:22] == ["in the wal", "later"]
    assert engine.verify() == []


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_committed_database_that_was_deleted_comes_back_and_undo_deletes_it_again(
    repo: RepoBuilder, is_committed: bool
) -> None:
    place = make_notes(repo.path(DB), journal="wal")
    repo.commit()
    leave_wal(place, "later")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("later")
    if is_committed:
        repo.commit()
    for path in repo.root.glob(f"{DB}*"):
        path.unlink()
    assert engine.restore_checkpoint(checkpoint).kept == ()
    assert peek_notes(place)[20:] == ["later"]
    engine.undo()
    assert not place.exists()
    engine.redo()
    assert peek_notes(place)[20:] == ["later"]


def test_a_committed_database_beside_its_wal_goes_and_comes_with_undo(repo: RepoBuilder) -> None:
    place = commit_with_wal(repo)
    engine = repo.engine()
    whole = engine.create_checkpoint("whole")
    place.unlink()
    gone = engine.create_checkpoint("gone")
    repo.git("checkout", "--quiet", "--", DB)
    assert engine.restore_checkpoint(gone).kept == ()
    assert not place.exists()
    assert engine.undo().kept == ()
    assert place.exists() and repo.git("status", "--porcelain", "--", DB, f"{DB}-wal") == ""
    engine.redo()
    assert not place.exists()
    assert engine.restore_checkpoint(whole).kept == ()
    assert peek_notes(place)[20:] == ["in the wal"]


@pytest.mark.parametrize("writer", [None, add_notes, leave_wal])
def test_a_database_that_came_back_as_code_and_is_a_memory_store_now_goes_with_undo(
    repo: RepoBuilder, writer: Callable[[Path, str], object] | None
) -> None:
    place = commit_with_wal(repo)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("whole")
    repo.git("rm", "--quiet", DB, f"{DB}-wal")
    repo.commit("gone")
    engine.restore_checkpoint(checkpoint)
    assert peek_notes(place)[20:] == ["in the wal"]
    if writer is not None:
        writer(place, "since then")
        ((path, reason),) = [(row.path, row.reason) for row in engine.plan_undo()[1].kept]
        assert path == DB.encode() and "--overwrite" in reason
        assert peek_notes(place)[20:] == ["in the wal", "since then"]
    wanted = peek_notes(place)
    assert engine.undo(overwrite=writer is not None).kept == ()
    assert list(repo.root.glob(f"{DB}*")) == []
    assert engine.redo().kept == ()
    assert peek_notes(place) == wanted
    assert engine.undo().kept == ()
    assert list(repo.root.glob(f"{DB}*")) == []
    assert engine.verify() == []
