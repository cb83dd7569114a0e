"""Repositories that are damaged or set as a trap: no program of theirs runs, and only what is broken is left out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chronos.errors import GitFailedError
from tests.support import RepoBuilder


def lose_object(repo: RepoBuilder, name: str) -> None:
    """Remove the loose object `name` from the repository."""
    oid = repo.git("rev-parse", name)
    os.unlink(repo.root / ".git/objects" / oid[:2] / oid[2:])


def test_no_program_of_a_promisor_remote_runs(repo: RepoBuilder, tmp_path: Path) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    trap = tmp_path / "it-ran"
    for key, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "evil"),
        ("remote.evil.promisor", "true"),
        ("remote.evil.url", str(tmp_path)),
        ("remote.evil.uploadpack", f"touch '{trap}'; false"),
    ):
        repo.git("config", key, value)
    lose_object(repo, "HEAD:a.txt")
    repo.write("a.txt", "edited\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("a.txt") == b"edited\n"
    assert not trap.exists()


def test_a_lost_blob_of_the_base_costs_the_readable_patch_and_not_the_checkpoint(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("a.txt", "edited\n")
    lose_object(repo, "HEAD:a.txt")
    engine = repo.engine()
    created = engine.take_checkpoint("wanted")
    assert any("patch" in warning for warning in created.warnings)
    assert not engine.show_checkpoint("wanted").manifest.members["fs_diff.patch.zst"].complete
    repo.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(created.checkpoint_id)
    assert repo.read("a.txt") == b"edited\n"


@pytest.fixture
def embedded(repo: RepoBuilder) -> RepoBuilder:
    """A repository inside `repo`, both with something to lose."""
    repo.write("a.txt", "a\n")
    repo.commit()
    inner = RepoBuilder(repo.root / "inner", repo.environment)
    inner.write("x.txt", "x\n")
    inner.commit()
    inner.write("x.txt", "edited\n")
    repo.write("a.txt", "edited\n")
    return inner


def give_away(inner: RepoBuilder) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to give the repository away")
    for path in (inner.root, inner.root / ".git"):
        os.chown(path, 65534, 65534)


BREAKS: dict[str, Callable[[RepoBuilder], object]] = {
    "garbage index": lambda inner: (inner.root / ".git/index").write_bytes(b"garbage"),
    "bad config": lambda inner: (inner.root / ".git/config").write_text("[core\n"),
    "lost tree": lambda inner: lose_object(inner, "HEAD^{tree}"),
    "another owner": give_away,
}
NO_REPOSITORIES: dict[str, Callable[[RepoBuilder], object]] = {
    "lost head": lambda inner: (inner.root / ".git/HEAD").unlink(),
    "gitfile of garbage": lambda inner: inner.write(".git", "garbage\n"),
    "empty folder": lambda inner: (inner.remove(".git"), inner.path(".git").mkdir()),
}


@pytest.mark.parametrize("way", BREAKS)
def test_a_broken_repository_below_the_root_costs_nothing_but_itself(
    repo: RepoBuilder, embedded: RepoBuilder, way: str
) -> None:
    engine = repo.engine()
    before = engine.create_checkpoint("while it was whole")
    BREAKS[way](embedded)
    repo.write("a.txt", "later\n")
    created = engine.take_checkpoint("while it is broken")
    assert created.grade.value == "partial"
    (row,) = created.receipt
    assert (row.path, row.reason.value) == (b"inner/", "unreadable")
    assert row.detail
    embedded.path("x.txt").write_text("precious\n")
    repo.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(created.checkpoint_id)
    assert (repo.read("a.txt"), repo.read("inner/x.txt")) == (b"later\n", b"precious\n")
    outcome = engine.restore_checkpoint(before)
    assert (repo.read("a.txt"), repo.read("inner/x.txt")) == (b"edited\n", b"precious\n")
    assert b"inner/x.txt" in {kept.path for kept in outcome.kept}
    engine.undo()
    assert (repo.read("a.txt"), repo.read("inner/x.txt")) == (b"later\n", b"precious\n")


@pytest.mark.parametrize("way", NO_REPOSITORIES)
def test_files_beside_a_git_folder_that_is_none_are_files_of_the_repository_above(
    repo: RepoBuilder, embedded: RepoBuilder, way: str
) -> None:
    engine = repo.engine()
    NO_REPOSITORIES[way](embedded)
    checkpoint = engine.create_checkpoint("wanted")
    embedded.path("x.txt").write_text("wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("inner/x.txt") == b"edited\n"


@pytest.mark.parametrize("way", NO_REPOSITORIES)
def test_inside_a_git_folder_that_is_none_the_repository_around_it_is_not_taken(
    repo: RepoBuilder, embedded: RepoBuilder, way: str
) -> None:
    NO_REPOSITORIES[way](embedded)
    wanted = repo.state()
    with pytest.raises(GitFailedError):
        repo.engine(embedded.root).create_checkpoint("wanted")
    assert repo.state() == wanted
