"""Hostile manifests: refused before anything is written, and never a way out of the root."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chronos.checkpoints import Entry, EntryKind
from chronos.errors import ChronosError
from chronos.pool import Content, digest
from tests.support import RepoBuilder, git_folder_digest, tree_digest
from tests.support.forging import ESCAPES, forge, with_entries


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "base\n")
    repo.commit()
    repo.write("a.txt", "wanted\n")
    with repo.engine() as engine:
        engine.create_checkpoint("wanted")
    repo.write("a.txt", "now\n")
    return repo


def check_refused(work: RepoBuilder, checkpoint: str, *kinds: type[ChronosError]) -> None:
    outside = tree_digest(work.root.parent, without=(b"repo", b"home"))
    before, git = work.state(), git_folder_digest(work.root / ".git")
    engine = work.engine()
    with pytest.raises(kinds or ChronosError) as caught:
        engine.restore_checkpoint(checkpoint)
    assert not isinstance(caught.value, RecursionError)
    assert caught.value.exit_code != 70, f"not a bug of ours: {caught.value!r}"
    assert work.state() == before
    now = git_folder_digest(work.root / ".git")
    assert {path for path in {*git, *now} if git.get(path) != now.get(path) and b"refs/chronos" not in path} == set()
    assert tree_digest(work.root.parent, without=(b"repo", b"home")) == outside
    with work.engine() as other:
        other.restore_checkpoint("wanted")
    assert work.read("a.txt") == b"wanted\n", "the undamaged checkpoint still restores"


@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: ascii(path[:20]))
def test_a_manifest_entry_that_leaves_the_tree_is_refused(work: RepoBuilder, path: bytes) -> None:
    # pains.md row 25 (hermes-webui PR #4405): crafted checkpoints wrote outside the workspace.
    check_refused(work, with_entries(work, Entry(b"fine.txt", EntryKind.FILE), Entry(path, EntryKind.FILE, True)))


def test_entries_that_write_through_their_own_link_do_not_leave_the_tree(work: RepoBuilder) -> None:
    # pains.md row 25: a link first, then a file through it.
    outside = work.root.parent / "target folder"
    outside.mkdir()
    target = b"../target folder"
    link = Entry(b"exit", EntryKind.LINK, False, Content(digest(target), len(target)))
    checkpoint = with_entries(work, Entry(b"exit/inside.txt", EntryKind.FILE, True), link, pool=[target])
    with suppress(ChronosError):
        work.engine().restore_checkpoint(checkpoint)
    assert list(outside.iterdir()) == []


def test_a_restore_does_not_write_through_a_link_that_stands_there(work: RepoBuilder) -> None:
    outside = work.root.parent / "target folder"
    outside.mkdir()
    checkpoint = with_entries(work, Entry(b"exit/inside.txt", EntryKind.FILE, True))
    work.link("exit", str(outside))
    work.engine().restore_checkpoint(checkpoint)
    assert list(outside.iterdir()) == []
    assert not work.path("exit").is_symlink()


MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "an unknown field": lambda d: d.update(surprise=1),
    "a missing field": lambda d: d.pop("code"),
    "a wrong type": lambda d: d.update(sequence="many"),
    "a component outside": lambda d: d["code"][0].update(path="../outside"),
    "a component in git": lambda d: d["code"].append({**d["code"][0], "path": ".git/hooks"}),
    "a base that is an option": lambda d: d["code"][0].update(base="--output=/tmp/chronos-was-here"),
    "a base that is a range": lambda d: d["code"][0].update(base="HEAD..HEAD"),
    "a head that is an option": lambda d: d["code"][0].update(head="--exec=touch"),
    "no root component": lambda d: d.update(code=[]),
    "a hash that is no hash": lambda d: d["receipt"].update(blake3="../../x"),
    "an object of an impossible size": lambda d: d["receipt"].update(bytes=1 << 62),
    "a negative size": lambda d: d["receipt"].update(bytes=-1),
    "deep nesting": lambda d: b'{"format":1,"code":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no JSON": lambda d: b"\x00\xff not json",
    "an empty file": lambda d: b"",
    "a list": lambda d: b"[]",
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_manifest_of_a_wrong_shape_is_refused(work: RepoBuilder, kind: str) -> None:
    checkpoint = forge(work, MANIFESTS[kind])
    check_refused(work, checkpoint)


def test_a_submodule_link_to_a_git_folder_elsewhere_is_not_made(work: RepoBuilder) -> None:
    RepoBuilder(work.root.parent / "elsewhere", work.environment)
    checkpoint = forge(
        work,
        lambda d: d["code"].append(
            {**d["code"][0], "path": "sub", "kind": "submodule", "git_dir": "../../elsewhere/.git"}
        ),
    )
    with suppress(ChronosError):
        work.engine().restore_checkpoint(checkpoint)
    assert not work.exists("sub/.git")


def test_a_manifest_of_a_newer_format_is_left_alone_and_said(work: RepoBuilder) -> None:
    checkpoint = forge(work, lambda d: d.update(format=2, surprise=True))
    engine = work.engine()
    assert any(checkpoint in finding.subject and "format 2" in finding.problem for finding in engine.verify(deep=True))
    engine.close()
    check_refused(work, checkpoint)


def test_a_manifest_that_is_too_large_to_be_one_is_not_read(work: RepoBuilder) -> None:
    checkpoint = forge(work, lambda d: b" " * (17 * 1024 * 1024))
    check_refused(work, checkpoint)
