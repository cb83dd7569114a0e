"""`--base`: the commit that a checkpoint stands on travels with it, and git checks it before it comes in."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos.errors import DamagedParcelError, IncompleteBaseError, StateError
from tests.support import RepoBuilder, assert_state, git_folder_digest
from tests.support.parcels import Parts
from tests.transfer.conftest import MakeClone


def _unrelated(make: MakeClone) -> RepoBuilder:
    other = make("other")
    other.write("own.txt", "own\n")
    other.commit("its own history")
    other.remove("own.txt")
    return other


def test_a_checkpoint_restores_where_its_base_never_was(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    base = work.head()
    engine = work.engine()
    engine.create_checkpoint("wanted")
    assert engine.export_checkpoint("wanted", file, base=True).bases == (base,)
    other = _unrelated(make)
    clone = other.engine()
    plan = clone.plan_import(file)
    assert [(need.commit, need.is_brought) for need in plan.bases] == [(base, True)]
    assert other.git("cat-file", "-t", base, ok=(128,)) == ""
    head, branches = other.head(), other.git("for-each-ref", "refs/heads", "refs/tags", "refs/remotes")
    clone.import_checkpoint(file)
    assert other.git("cat-file", "-t", base) == "commit"
    assert (other.head(), other.git("for-each-ref", "refs/heads", "refs/tags", "refs/remotes")) == (head, branches)
    assert base in other.git("for-each-ref", "refs/chronos/base")
    other.git("gc", "-q", "--prune=now")
    clone.restore_checkpoint("wanted")
    assert other.read("kept.txt") == b"kept.txt\n", "a path that only the base has"
    assert other.read("docs/guide.txt") == b"docs/guide.txt\n"
    assert other.read("changed.txt") == b"and changed again\n"
    assert not other.exists("gone.txt")
    assert [finding for finding in clone.verify() if finding.severity] == []


def test_head_and_index_follow_with_head(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    wanted = work.state()
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file, base=True)
    other = make("other")
    clone = other.engine()
    clone.import_checkpoint(file)
    clone.restore_checkpoint("wanted", head=True)
    assert_state(other, wanted, "in a repository that had no commit at all")


def test_without_the_base_what_was_captured_comes_back_and_the_rest_is_said(
    work: RepoBuilder, make: MakeClone, file: Path
) -> None:
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file)
    other = _unrelated(make)
    clone = other.engine()
    done = clone.import_checkpoint(file)
    assert [(need.commit, need.is_brought) for need in done.plan.bases] == [(work.head(), False)]
    outcome = clone.restore_checkpoint("wanted")
    assert any("base commit" in warning and "gone" in warning for warning in outcome.warnings)
    assert other.read("changed.txt") == b"and changed again\n"
    assert not other.exists("kept.txt")
    found = [finding for finding in clone.verify() if finding.severity]
    assert [(int(f.severity), "--base" in f.remedy) for f in found] == [(1, True)]
    later = file.with_name("later.chrono")
    work.engine().export_checkpoint("wanted", later, base=True)
    done = clone.import_checkpoint(later)
    assert (done.imported, done.completed) == (False, True), "the base of a checkpoint that is here comes in later"
    assert [finding for finding in clone.verify() if finding.severity] == []
    clone.restore_checkpoint("wanted")
    assert other.read("kept.txt") == b"kept.txt\n"


def test_submodules_take_their_bases_along(repo: RepoBuilder, make: MakeClone, file: Path) -> None:
    library = make("library")
    library.write("lib.txt", "lib\n")
    library.commit()
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.root), "sub")
    repo.commit("with a submodule")
    other = make("other", repo)
    other.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    inner = RepoBuilder(repo.root / "sub", repo.environment)
    inner.write("lib.txt", "a commit that only this clone has\n")
    inner.commit()
    inner.write("lib.txt", "changed in the submodule\n")
    inner.write("new.txt", "new\n")
    repo.write("a.txt", "changed\n")
    engine = repo.engine()
    engine.create_checkpoint("wanted")
    assert engine.export_checkpoint("wanted", file, base=True).bases == (repo.head(), inner.head())
    clone = other.engine()
    done = clone.import_checkpoint(file)
    assert [(need.component, need.is_brought) for need in done.plan.bases] == [("sub", True)]
    clone.restore_checkpoint("wanted")
    assert other.read("sub/lib.txt") == b"changed in the submodule\n"
    assert (other.read("sub/new.txt"), other.read("a.txt")) == (b"new\n", b"changed\n")


def test_a_shallow_clone_says_that_it_cannot_give_the_base(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    work.commit("a second commit")
    work.git("clone", "-q", "--depth=1", f"file://{work.root}", str(work.root.parent / "shallow"))
    shallow = make("shallow")
    shallow.write("kept.txt", "changed\n")
    engine = shallow.engine()
    engine.create_checkpoint("wanted")
    with pytest.raises(IncompleteBaseError, match="shallow"):
        engine.export_checkpoint("wanted", file, base=True)
    assert not file.exists()
    engine.export_checkpoint("wanted", file)


def test_a_partial_clone_says_that_it_cannot_give_the_base(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    work.write("kept.txt", "two\n")
    work.commit("a second commit")
    work.git("config", "uploadpack.allowFilter", "true")
    work.git("clone", "-q", "--filter=blob:none", f"file://{work.root}", str(work.root.parent / "partial"))
    partial = make("partial")
    partial.write("kept.txt", "changed\n")
    engine = partial.engine()
    engine.create_checkpoint("wanted")
    with pytest.raises(IncompleteBaseError, match="partial"):
        engine.export_checkpoint("wanted", file, base=True)
    assert not file.exists()


def test_a_base_that_is_gone_is_said(work: RepoBuilder, file: Path) -> None:
    engine = work.engine()
    engine.create_checkpoint("wanted")
    gone = work.head()
    work.git("checkout", "-q", "--orphan", "fresh")
    work.commit("another history")
    for ref in work.git("for-each-ref", "--format=%(refname)").split():
        if "fresh" not in ref:
            work.git("update-ref", "-d", ref)
    work.git("reflog", "expire", "--expire=now", "--all")
    work.git("gc", "-q", "--prune=now")
    assert work.git("cat-file", "-t", gone, ok=(128,)) == ""
    with pytest.raises(StateError, match="not here"):
        engine.export_checkpoint("wanted", file, base=True)
    assert not file.exists()


def _hostile_history(make: MakeClone) -> tuple[str, bytes]:
    """A bundle whose commit has a tree that git itself would never make: it writes into `.git`."""
    evil = make("evil")
    blob = evil.git("hash-object", "-w", "--stdin", input=b"#!/bin/sh\ntouch /tmp/chronos-was-here\n")
    hooks = evil.git("mktree", input=f"100755 blob {blob}\tpost-checkout\n".encode())
    git = evil.git("mktree", input=f"040000 tree {hooks}\thooks\n".encode())
    raw = b"40000 .git\0" + bytes.fromhex(git)
    tree = evil.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", input=raw)
    commit = evil.git("commit-tree", "-m", "hello", tree)
    evil.git("update-ref", "refs/heads/main", commit)
    evil.git("bundle", "create", "-q", "x.bundle", "refs/heads/main")
    return commit, evil.read("x.bundle")


def _replace_base(parts: Parts, commit: str, bundle: bytes) -> Parts:
    parts.change_manifest(lambda d: d["code"][0].update(base=commit, head=commit))
    parts.bundles = [("", commit, bundle)]
    return parts


def test_a_history_that_git_objects_to_does_not_come_in(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file, base=True)
    commit, bundle = _hostile_history(make)
    parts = _replace_base(Parts.of(file), commit, bundle)
    other = _unrelated(make)
    clone = other.engine()
    clone.create_checkpoint("own")
    before = git_folder_digest(other.root / ".git")
    with pytest.raises(DamagedParcelError, match="refused"):
        clone.import_checkpoint(parts.write(file.with_name("evil.chrono")))
    assert git_folder_digest(other.root / ".git") == before
    assert [row.name for row in clone.list_checkpoints(every_timeline=True)] == ["own"]


@pytest.mark.parametrize("kind", ["no bundle", "cut short", "altered", "another commit", "a prerequisite", "two refs"])
def test_a_bundle_that_is_none_does_not_come_in(work: RepoBuilder, make: MakeClone, file: Path, kind: str) -> None:
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file, base=True)
    parts = Parts.of(file)
    (_, commit, bundle) = parts.bundles[0]
    head, pack = bundle.split(b"\n\n", 1)
    other_commit = work.commit("another")
    changed = {
        "no bundle": b"hello",
        "cut short": bundle[:-30],
        "altered": bundle[:-40] + bytes([bundle[-40] ^ 1]) + bundle[-39:],
        "another commit": bundle.replace(commit.encode(), other_commit.encode()),
        "a prerequisite": head.replace(b"bundle\n", b"bundle\n-" + b"ab" * 20 + b" x\n") + b"\n\n" + pack,
        "two refs": head + b"\n" + b"ab" * 20 + b" refs/heads/main\n\n" + pack,
    }[kind]
    parts.bundles = [("", commit, changed)]
    other = _unrelated(make)
    clone = other.engine()
    clone.create_checkpoint("own")
    before = git_folder_digest(other.root / ".git")
    with pytest.raises(DamagedParcelError):
        clone.import_checkpoint(parts.write(file.with_name("bad.chrono")))
    assert git_folder_digest(other.root / ".git") == before
    assert [row.name for row in clone.list_checkpoints(every_timeline=True)] == ["own"]


def test_no_hook_runs_and_no_program_of_the_repository(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    work.engine().create_checkpoint("wanted")
    canary = work.root.parent / "ran"
    other = _unrelated(make)
    for place in (work, other):
        for hook in (
            "reference-transaction",
            "post-checkout",
            "pre-auto-gc",
            "post-index-change",
            "fsmonitor-watchman",
        ):
            place.write(f".git/hooks/{hook}", f"#!/bin/sh\ntouch {canary}\n", executable=True)
        for key in ("core.fsmonitor", "uploadpack.packObjectsHook", "core.alternateRefsCommand"):
            place.git("config", key, f"touch {canary}")
    work.engine().export_checkpoint("wanted", file, base=True)
    other.engine().import_checkpoint(file)
    assert not canary.exists()


def test_a_base_does_not_come_into_a_repository_behind_a_link(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file, base=True)
    parts = Parts.of(file)
    parts.change_manifest(lambda d: d["code"].append({**d["code"][0], "path": "link", "kind": "submodule"}))
    parts.bundles = [("link", *parts.bundles[0][1:])]
    elsewhere, other = make("elsewhere"), _unrelated(make)
    other.link("link", str(elsewhere.root))
    before = git_folder_digest(elsewhere.root / ".git")
    done = other.engine().import_checkpoint(parts.write(file.with_name("link.chrono")))
    assert [(need.component, need.is_brought) for need in done.plan.bases] == [("", False), ("link", False)]
    assert git_folder_digest(elsewhere.root / ".git") == before
