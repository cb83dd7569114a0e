"""Refs: the base refs that keep a checkpoint's base commit from being pruned, and moving HEAD for `restore --head`.

git syncs a new ref's file but none of the folders around it; here they are synced, or a power cut can lose the ref.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from chronos.errors import GitFailedError, StateError
from chronos.files import sync_file_system, sync_folder, to_text, unescape
from chronos.git.index import identity_of
from chronos.git.repository import Repository

OWN_REFS = "refs/chronos/"
BASE_REFS = f"{OWN_REFS}base"


class Head(msgspec.Struct, frozen=True):
    """Where HEAD stands: the branch's full ref name (None when detached) and the commit (None when unborn).

    A ref name in this module is text as `to_text` writes it, because git allows bytes that are no UTF-8.
    """

    branch: str | None
    commit: str | None


def base_ref(store_id: str, commit: str) -> str:
    """Return the name of the ref that pins `commit` for a store."""
    return f"{BASE_REFS}/{store_id}/{commit}"


def has_base_ref(repository: Repository, store_id: str, commit: str) -> bool:
    """Tell whether the base ref exists and points at its commit."""
    name = base_ref(store_id, commit)
    try:
        return (repository.common_dir / name).read_bytes().strip() == commit.encode("ascii")
    except OSError:
        return find_ref(repository, name) == commit


def create_base_ref(repository: Repository, store_id: str, commit: str) -> None:
    """Pin `commit`, and make the ref and the objects behind it durable. One process at a time, see the caller's lock.

    A lock file at our own ref was left by a kill then, and goes.
    """
    sync_file_system(repository.common_dir)
    name = base_ref(store_id, commit)
    (repository.common_dir / f"{name}.lock").unlink(missing_ok=True)
    repository.command.output("update-ref", name, commit)
    folder = (repository.common_dir / name).parent
    while folder.is_dir() and folder != repository.common_dir:
        sync_folder(folder)
        folder = folder.parent
    if find_ref(repository, name) != commit:
        raise GitFailedError(f"the base ref {name} does not point at its commit")


def delete_base_refs(repository: Repository, store_id: str, commits: Iterable[str]) -> None:
    """Unpin commits. See `create_base_ref` for the lock. Raises GitFailedError.

    A ref that is a file of its own, and is not packed, goes without git: killed at it, git leaves a lock at the packed
    refs, which are the user's. The folders stay.
    """
    folder = repository.common_dir / base_ref(store_id, "x")
    packed = read_packed_refs(repository)
    for commit in commits:
        name, file = base_ref(store_id, commit), folder.with_name(commit)
        if file.is_file() and not is_packed(packed, name):
            file.unlink()
        else:
            repository.command.output("update-ref", "-d", name)
    if folder.parent.is_dir():
        sync_folder(folder.parent)


def read_packed_refs(repository: Repository) -> bytes:
    """Return git's file of packed refs, or nothing."""
    return _read_small(repository.common_dir / "packed-refs")


def is_packed(packed: bytes, name: str) -> bool:
    """Tell whether a ref is among the packed ones."""
    return b" %b\n" % name.encode() in packed


def sweep_base_ref_locks(repository: Repository, store_id: str) -> int:
    """Remove the locks that killed runs left at our own refs; return how many. See `create_base_ref` for the lock."""
    swept = 0
    for lock in (repository.common_dir / BASE_REFS / store_id).glob("*.lock"):
        lock.unlink(missing_ok=True)
        swept += 1
    return swept


def list_base_refs(repository: Repository, store_id: str) -> dict[str, str]:
    """Return the store's base refs: the commit in the name → the commit it points at."""
    output = repository.command.output("for-each-ref", "--format=%(refname) %(objectname)", f"{BASE_REFS}/{store_id}/")
    rows = (line.split(" ") for line in output.decode("utf-8", "replace").splitlines())
    return {name.rpartition("/")[2]: commit for name, commit in rows}


def find_ref(repository: Repository, name: str) -> str | None:
    """Return the object a ref points at, or None."""
    arguments = ("rev-parse", "-q", "--verify", "--end-of-options", unescape(name))
    done = repository.command.run(*arguments, ok=(0, 1, 128), quiet=False)
    return done.stdout.decode("ascii").strip() or None if done.returncode == 0 else None


def read_head(repository: Repository) -> Head:
    """Return where HEAD stands now."""
    symbolic = repository.command.run("symbolic-ref", "-q", "HEAD", ok=(0, 1))
    branch = to_text(symbolic.stdout.rstrip(b"\n")) or None
    return Head(branch, find_ref(repository, "HEAD"))


class BranchMove(msgspec.Struct, frozen=True):
    """Where a branch (full ref name) is expected, and where it goes."""

    branch: str
    expected: str | None
    commit: str | None


def move_head(repository: Repository, expected: Head, target: Head, branch: BranchMove | None) -> None:
    """Move a branch and point HEAD where `target` says; compare-and-swap at each ref.

    What is done already is left alone, so that a second run finishes a first. Raises StateError when something else
    moved HEAD or the branch, or when another worktree has the branch checked out.
    """
    now = read_head(repository)
    if now.branch not in (expected.branch, target.branch):
        raise StateError("HEAD moved meanwhile and is left alone", hint="look at the plan again")
    if target.branch not in (None, now.branch):
        _refuse_elsewhere(repository, target.branch or "")
    try:
        if branch is not None and branch.commit is not None:
            at = find_ref(repository, branch.branch)
            if at not in (branch.expected, branch.commit):
                raise StateError(f"{branch.branch} moved meanwhile and is left alone", hint="look at the plan again")
            if at != branch.commit:
                _update(repository, branch.branch, branch.commit, at)
        if target.branch is not None:
            if now.branch != target.branch:
                repository.command.output("symbolic-ref", "-m", "chrono restore", "HEAD", unescape(target.branch))
        elif target.commit is not None and now != target:
            _update(repository, "HEAD", target.commit, now.commit, "--no-deref")
        if branch is not None and branch.commit is None and branch.branch != target.branch:
            _delete(repository, branch)
    except GitFailedError as cause:
        raise StateError(f"HEAD could not be moved: {cause.message}") from cause


def _refuse_elsewhere(repository: Repository, branch: str) -> None:
    output = repository.command.output("for-each-ref", "--format=%(worktreepath)", unescape(branch))
    place = output.decode("utf-8", "surrogateescape").strip()
    if place and Path(place) != repository.root:
        raise StateError(f"{branch} is checked out in {place}; HEAD is left alone")


def _delete(repository: Repository, branch: BranchMove) -> None:
    """Delete a branch that an undone restore had made, unless it moved since."""
    if branch.expected is not None and find_ref(repository, branch.branch) == branch.expected:
        repository.command.output("update-ref", "-d", unescape(branch.branch), branch.expected)


def _update(repository: Repository, ref: str, new: str, old: str | None, *options: str) -> None:
    """Move one ref, only if it is still at `old` (None: only if it does not exist)."""
    repository.command.output("update-ref", *options, "-m", "chrono restore", unescape(ref), new, old or "0" * len(new))


def head_fingerprint(repository: Repository) -> tuple[bytes, ...]:
    """Return bytes that change whenever HEAD, its branch, or the packed refs change. Costs a few small reads."""
    head = _read_small(repository.git_dir / "HEAD")
    ref = head[len(b"ref: ") :].strip() if head.startswith(b"ref: ") else b""
    tip = _read_small(repository.common_dir / ref.decode("utf-8", "surrogateescape")) if ref else b""
    stamps = (identity_of(repository.common_dir / name) for name in ("packed-refs", "reftable"))
    return (head, tip, *(stamp.encode() for stamp in stamps))


def _read_small(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
