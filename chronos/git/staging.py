"""Putting staged state back: a whole index is made beside the user's and takes its place in one rename."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chronos.errors import GitFailedError, StateError
from chronos.files import TreePath, remove_tree, sync_folder, translate_os_errors
from chronos.git.index import HiddenEntry, identity_of, lock_of, read_index_facts
from chronos.git.intents import add_intents
from chronos.git.objects import EMPTY_BLOBS, BlobReader, write_blob
from chronos.git.repository import Repository
from chronos.git.status import StagedRow

_EMPTY_ENTRY = re.compile(rb"[A-Za-z] \d{6} (?:%s) 0\t([^\0]+)" % b"|".join(oid.encode() for oid in EMPTY_BLOBS))
_PATIENCE_S = 2.0
_PAUSE_S = 0.02


class IndexState(msgspec.Struct, frozen=True):
    """Everything that an index says: the commit it began with, what differs from that, and the flags."""

    commit: str | None
    rows: Sequence[StagedRow]
    hidden: Sequence[HiddenEntry]


def write_index(
    repository: Repository, wanted: IndexState, expected: IndexState, scratch: Path, seen: str | None = None
) -> None:
    """Make the user's index say what `wanted` says, in one rename under git's lock.

    It must still say what `expected` says; `seen` is the identity (see `identity_of`) of the file that was known to.
    Every blob of `wanted` must exist in the repository; `scratch` is a folder of ours. Raises StateError when another
    git holds the index or has changed it, GitFailedError when git refuses a row; then the index is as it was.
    """
    remove_tree(scratch)
    index = _build(repository, wanted, scratch / "wanted")
    lock, draft = lock_of(repository.index), _draft_of(repository.index)
    wait_for_index(repository)
    with translate_os_errors(f"cannot write {repository.index}"):
        try:
            with open(draft, "xb") as target, open(index, "rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            _take_lock(draft, lock)
            try:
                if identity_of(repository.index) != seen:
                    _check_unchanged(repository, index, expected, scratch)
                os.replace(draft if not lock.samefile(draft) else lock, repository.index)
                lock.unlink(missing_ok=True)
            except BaseException:
                lock.unlink(missing_ok=True)
                raise
        except FileExistsError:
            raise _held(lock) from None
        finally:
            draft.unlink(missing_ok=True)
    sync_folder(repository.git_dir)


def _take_lock(draft: Path, lock: Path) -> None:
    """Take git's lock by a link of the whole draft, so that a killed run's is known; without links by an empty file."""
    try:
        os.link(draft, lock)
    except OSError as cause:
        if cause.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))


def _build(repository: Repository, state: IndexState, scratch: Path) -> Path:
    """Make a new index file that says what `state` says; return its path."""
    folder, index = scratch / "tree", scratch / "index"
    with translate_os_errors(f"cannot write {index}"):
        folder.mkdir(mode=0o700, parents=True)
        _start_index(repository, state.commit, index)
    command = repository.command.with_index(index)
    rows = _removals_first(state.rows)
    lines = [b"%o %s %d\t%s" % (row.mode, row.oid.encode(), row.stage, row.path) for row in rows]
    if lines:
        command.output("update-index", "-z", "--add", "--index-info", input_bytes=b"\0".join(lines) + b"\0")
    add_intents(repository, index, [row for row in state.rows if row.is_intent], folder)
    _set_flag(repository, index, "--skip-worktree", [entry.path for entry in state.hidden if entry.is_skipped])
    _set_flag(repository, index, "--assume-unchanged", [entry.path for entry in state.hidden if entry.tag.islower()])
    command.run("update-index", "-q", "--refresh", ok=(0, 1), quiet=False)
    return index


def _check_unchanged(repository: Repository, index: Path, expected: IndexState, scratch: Path) -> None:
    """Raise StateError unless the user's index says what `expected` or the new one in `index` says: stat data aside."""
    now = _says(repository, repository.index)
    if now not in (_says(repository, index), _says(repository, _build(repository, expected, scratch / "expected"))):
        raise StateError(f"{repository.index} was changed meanwhile")


def _says(repository: Repository, index: Path) -> bytes:
    return repository.command.with_index(index).output("ls-files", "-s", "-v", "-z")


def restore_blobs(repository: Repository, wanted: dict[str, bytes]) -> None:
    """Write the staged blobs (oid → bytes) that the repository does not have any more. Raises GitFailedError."""
    with BlobReader(repository.command) as reader:
        present = reader.find_sizes(wanted)
    for oid in wanted.keys() - present.keys():
        if write_blob(repository, wanted[oid]) != oid:
            raise GitFailedError(f"a staged blob does not hash to {oid}")


def _removals_first(rows: Sequence[StagedRow]) -> list[StagedRow]:
    """Put removals before additions, and drop stage 0 before conflict stages of the same path come in."""
    conflicts = {row.path: row for row in rows if row.stage}
    zero = "0" * (len(rows[0].oid) if rows else 40)
    cleared = [StagedRow(path, 0, zero) for path in conflicts]
    plain = [row for row in rows if not row.stage and not row.is_intent]
    removed = [StagedRow(row.path, 0, zero) for row in plain if not row.mode]
    return [*cleared, *removed, *(row for row in plain if row.mode), *(row for row in rows if row.stage)]


def _start_index(repository: Repository, commit: str | None, index: Path) -> None:
    """Make `index` that of `commit`, keeping the stat data of the user's index where git lets us.

    Flags go first: read-tree keeps them, and refuses skip-worktree entries that are not up to date. So do entries of
    the empty blob: among them are intents to add, which read-tree keeps as such where the commit has an empty file.
    """
    command = repository.command.with_index(index)
    if commit is None:
        command.output("read-tree", "--empty")
        return
    if repository.index.exists():
        shutil.copy2(repository.index, index)
        now = read_index_facts(repository, index, "").hidden
        _set_flag(repository, index, "--no-skip-worktree", [entry.path for entry in now if entry.is_skipped])
        _set_flag(repository, index, "--no-assume-unchanged", [entry.path for entry in now if entry.tag.islower()])
        empty = [found[1] for found in _EMPTY_ENTRY.finditer(_says(repository, index))]
        _set_flag(repository, index, "--force-remove", empty)
    try:
        command.output("read-tree", "--reset", "--no-sparse-checkout", commit)
    except GitFailedError:
        index.unlink(missing_ok=True)
        command.output("read-tree", "--no-sparse-checkout", commit)


def _set_flag(repository: Repository, index: Path, option: str, paths: list[TreePath]) -> None:
    if paths:
        lines = b"\0".join(paths) + b"\0"
        repository.command.with_index(index).output("update-index", option, "-z", "--stdin", input_bytes=lines)


def wait_for_index(repository: Repository) -> None:
    """Return when no other git holds the index. Raises StateError when one does for longer than a git takes to write.

    A lock that a killed run of ours left is recognised by its inode and removed.
    """
    lock, draft = lock_of(repository.index), _draft_of(repository.index)
    with translate_os_errors(f"cannot clear {draft}"):
        if draft.exists():
            if lock.exists() and lock.samefile(draft):
                lock.unlink()
            draft.unlink()
    deadline = time.monotonic() + _PATIENCE_S
    while lock.exists():
        if time.monotonic() >= deadline:
            raise _held(lock)
        time.sleep(_PAUSE_S)


def _held(lock: Path) -> StateError:
    return StateError(f"{lock} exists: another git is at work", hint="wait for it, or remove the lock when no git runs")


def _draft_of(index: Path) -> Path:
    return index.with_name(f"{index.name}.chronos")
