"""Putting staged state back: a whole index is made beside the user's and takes its place in one rename."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from chronos.errors import GitFailedError, StateError
from chronos.files import TreePath, remove_tree, sync_folder, translate_os_errors
from chronos.git.index import HiddenEntry, lock_of, read_index_facts
from chronos.git.intents import add_intents
from chronos.git.objects import BlobReader, write_blob
from chronos.git.repository import Repository
from chronos.git.status import StagedRow

_PATIENCE_S = 2.0
_PAUSE_S = 0.02


def write_staged_state(
    repository: Repository,
    commit: str | None,
    rows: Sequence[StagedRow],
    hidden: Sequence[HiddenEntry],
    scratch: Path,
) -> None:
    """Make the user's index that of `commit` plus `rows`, with the flags of `hidden`, in one rename under git's lock.

    Every blob that `rows` name must exist in the repository; `scratch` is a folder of ours. Raises StateError when
    another git holds the index, GitFailedError when git refuses a row, and then the user's index is as it was.
    """
    remove_tree(scratch)
    folder, index = scratch / "tree", scratch / "index"
    with translate_os_errors(f"cannot write {index}"):
        folder.mkdir(mode=0o700, parents=True)
        _start_index(repository, commit, index)
    command = repository.command.with_index(index)
    lines = [b"%o %s %d\t%s" % (row.mode, row.oid.encode(), row.stage, row.path) for row in _removals_first(rows)]
    if lines:
        command.output("update-index", "-z", "--add", "--index-info", input_bytes=b"\0".join(lines) + b"\0")
    add_intents(repository, index, [row for row in rows if row.is_intent], folder)
    _set_flag(repository, index, "--skip-worktree", [entry.path for entry in hidden if entry.is_skipped])
    _set_flag(repository, index, "--assume-unchanged", [entry.path for entry in hidden if entry.tag.islower()])
    command.run("update-index", "-q", "--refresh", ok=(0, 1), quiet=False)
    _publish_index(repository, index)


def restore_blobs(repository: Repository, wanted: dict[str, bytes]) -> None:
    """Write the staged blobs (oid → bytes) that the repository does not have any more. Raises GitFailedError."""
    with BlobReader(repository.command) as reader:
        missing = [oid for oid in wanted if not reader.has(oid)]
    for oid in missing:
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

    Flags go first: read-tree keeps them, and refuses skip-worktree entries that are not up to date.
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


def _publish_index(repository: Repository, scratch: Path) -> None:
    """Put a finished index in place under git's own lock: a link of the whole draft, then one rename."""
    lock, draft = lock_of(repository.index), _draft_of(repository.index)
    wait_for_index(repository)
    with translate_os_errors(f"cannot write {repository.index}"):
        try:
            with open(draft, "xb") as target, open(scratch, "rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            os.link(draft, lock)
            os.rename(lock, repository.index)
        except FileExistsError:
            raise _held(lock) from None
        finally:
            draft.unlink(missing_ok=True)
    sync_folder(repository.git_dir)


def _held(lock: Path) -> StateError:
    return StateError(f"{lock} exists: another git is at work", hint="wait for it, or remove the lock when no git runs")


def _draft_of(index: Path) -> Path:
    return index.with_name(f"{index.name}.chronos")
