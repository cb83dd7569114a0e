"""Hostile journals, as if a restore had been cut short: refused before anything is written, and named by verify."""

from __future__ import annotations

from typing import Any

import pytest

from chronos.errors import NewerFormatError
from chronos.pool import strip_check
from tests.support import RepoBuilder, git_folder_digest, tree_digest
from tests.support.forging import ESCAPES, plant


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "base\n")
    repo.commit()
    repo.write("a.txt", "wanted\n")
    with repo.engine() as engine:
        engine.create_checkpoint("wanted")
    repo.write("a.txt", "now\n")
    return repo


@pytest.mark.parametrize("path", ESCAPES[:12], ids=lambda path: ascii(path[:20]))
def test_a_journal_that_leaves_the_tree_is_refused(work: RepoBuilder, path: bytes) -> None:
    place = plant(work, path)
    outside, before = tree_digest(work.root.parent, without=(b"repo", b"home")), work.state()
    hooks = git_folder_digest(work.root / ".git")
    engine = work.engine()
    assert any(place.name in line for line in engine.recover())
    engine.create_checkpoint("beside it")
    assert any(place.name in notice for notice in engine.notices)
    assert work.state() == before
    assert git_folder_digest(work.root / ".git") == hooks
    assert tree_digest(work.root.parent, without=(b"repo", b"home")) == outside
    assert any(place.name in finding.subject for finding in engine.verify(deep=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"change_set": []},
        {"operation": "../../../../outside"},
        {"timeline": 7},
        {"kind": "create-a-shell"},
    ],
    ids=str,
)
def test_a_journal_of_a_wrong_shape_is_refused_and_named(work: RepoBuilder, changes: dict[str, Any]) -> None:
    place = plant(work, b"new.txt", **changes)
    before = work.state()
    engine = work.engine()
    assert any(place.name in line for line in engine.recover())
    assert work.state() == before
    assert any(place.name in finding.subject and finding.severity for finding in engine.verify(deep=True))


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b"{}", b"null"], ids=lambda data: ascii(data[:8]))
def test_a_journal_of_garbage_is_named_and_reading_still_works(work: RepoBuilder, data: bytes) -> None:
    place = work.store / ".store/journal/0123456789ab.json"
    place.write_bytes(data)
    engine = work.engine()
    assert any(place.name in finding.subject for finding in engine.verify(deep=True))
    assert [row.name for row in engine.list_checkpoints()] == ["wanted"]
    assert engine.diff("wanted") != []
    engine.restore_checkpoint("wanted")
    assert work.read("a.txt") == b"wanted\n"
    engine.undo()
    assert any("set aside" in line for line in engine.recover(abort=True))
    assert engine.verify(deep=True) == []
    assert place.with_suffix(".damaged").read_bytes() == data


def test_a_journal_of_a_newer_release_is_left_to_it(work: RepoBuilder) -> None:
    place = plant(work, b"new.txt", format=2)
    before = work.state()
    engine = work.engine()
    for call in (engine.recover, lambda: engine.recover(abort=True), lambda: engine.restore_checkpoint("wanted")):
        with pytest.raises(NewerFormatError):
            call()
    engine.create_checkpoint("beside it")
    assert place.exists()
    assert work.state() == before


def test_a_journal_of_a_tree_that_is_no_more_is_not_carried_out_in_the_next(work: RepoBuilder) -> None:
    """A worktree was removed in the middle of a restore; another one takes its name and its timeline."""
    place = plant(work, b"new.txt")
    record = work.store / "main/timeline.json"
    record.write_bytes(strip_check(record.read_bytes()).replace(b'"../.."', b'"/nowhere/any/more"'))
    before = work.state()
    engine = work.engine()
    engine.create_checkpoint("in the new tree")
    assert work.state() == before
    assert any("set aside" in notice for notice in engine.notices)
    assert place.with_suffix(".damaged").exists()
    assert engine.recover() == []
