"""The index: a private copy to run status on, what status hides, and putting staged state back.

git does not heal a stale index while optional locks are off, so every status would hash the same files again. The
private copy may be refreshed, and is kept while the user's index is the same file. The copy takes over the index's
own mtime: with a newer one git would trust entries that were changed in the same tick and miss the change.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chronos.errors import GitFailedError, StateError
from chronos.files import TreePath, sync_folder, translate_os_errors
from chronos.git.objects import BlobReader, write_blob
from chronos.git.repository import Repository
from chronos.git.status import StagedRow

_GITLINK_MODE = 0o160000
# Lower case is assume-unchanged, S is skip-worktree, 160000 a gitlink: everything that status keeps quiet about.
_HIDDEN = re.compile(rb"(?:^|\0)(?:[a-zS] \d{6}|[A-Z] 160000) [^\0]*")


class HiddenEntry(msgspec.Struct, frozen=True, array_like=True):
    """An index entry that status does not compare with the disk. `tag` is the letter of `git ls-files -v`."""

    path: bytes
    tag: str
    mode: int
    oid: str

    @property
    def is_gitlink(self) -> bool:
        """Whether the entry is a submodule or embedded repository."""
        return self.mode == _GITLINK_MODE

    @property
    def is_skipped(self) -> bool:
        """Whether sparse checkout keeps it from the disk."""
        return self.tag in "Ss"


class IndexFacts(msgspec.Struct, frozen=True):
    """What is remembered of one index file: the entries that status hides, and whether any attributes file is in it."""

    identity: str
    hidden: list[HiddenEntry]
    has_attributes: bool


def identity_of(path: Path) -> str:
    """Return a text that changes whenever the file at `path` is replaced or written; empty for a missing file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def refresh_private_copy(repository: Repository, copy: Path) -> str:
    """Make `copy` a copy of the user's index unless it is one already; return the identity of the user's index."""
    stamp = copy.with_suffix(".stamp")
    _lock_of(copy).unlink(missing_ok=True)  # a killed status leaves it; whoever wrote it held the timeline's lock
    with translate_os_errors(f"cannot copy the index of {repository.root}"):
        try:
            source = open(repository.index, "rb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            copy.unlink(missing_ok=True)
            return ""
        with source:
            found = os.fstat(source.fileno())
            identity = f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
            if copy.exists() and stamp.exists() and stamp.read_text("ascii") == identity:
                return identity
            stamp.unlink(missing_ok=True)
            temporary = copy.with_suffix(".new")
            with open(temporary, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))
            os.replace(temporary, copy)
            stamp.write_text(identity, "ascii")
    return identity


def read_index_facts(repository: Repository, index: Path, identity: str) -> IndexFacts:
    """Return gitlinks, assume-unchanged and skip-worktree entries of the index file `index`, and what else it tells."""
    output = repository.command.with_index(index).output("ls-files", "-s", "-v", "-z")
    hidden = [_hidden_entry(found.group().lstrip(b"\0")) for found in _HIDDEN.finditer(output)]
    return IndexFacts(identity, hidden, b"\t.gitattributes\0" in output or b"/.gitattributes\0" in output)


def list_index_paths(repository: Repository, index: Path) -> list[TreePath]:
    """Return every path in the index file `index`."""
    return [path for path in repository.command.with_index(index).output("ls-files", "-z").split(b"\0") if path]


def write_staged_state(
    repository: Repository,
    commit: str | None,
    rows: Sequence[StagedRow],
    hidden: Sequence[HiddenEntry],
    scratch: Path,
) -> None:
    """Make the user's index that of `commit` plus `rows`, with the flags of `hidden`, in one rename under git's lock.

    Every blob that `rows` name must exist in the repository. Raises StateError when another git holds the index.
    """
    scratch.unlink(missing_ok=True)
    _lock_of(scratch).unlink(missing_ok=True)
    command = repository.command.with_index(scratch)
    if commit is not None:
        _read_commit(repository, commit, scratch)
    lines = [b"%o %s %d\t%s" % (row.mode, row.oid.encode(), row.stage, row.path) for row in _removals_first(rows)]
    if lines:
        command.output("update-index", "-z", "--add", "--index-info", input_bytes=b"\0".join(lines) + b"\0")
    _add_intents(repository, scratch, [row.path for row in rows if row.is_intent])
    _set_flag(repository, scratch, "--skip-worktree", [entry.path for entry in hidden if entry.is_skipped])
    _set_flag(repository, scratch, "--assume-unchanged", [entry.path for entry in hidden if entry.tag.islower()])
    command.run("update-index", "-q", "--refresh", ok=(0, 1), quiet=False)
    _publish_index(repository, scratch)


def restore_blobs(repository: Repository, wanted: dict[str, bytes]) -> None:
    """Write the staged blobs (oid → bytes) that the repository does not have any more. Raises GitFailedError."""
    with BlobReader(repository.command) as reader:
        missing = [oid for oid in wanted if not reader.has(oid)]
    for oid in missing:
        if write_blob(repository, wanted[oid]) != oid:
            raise GitFailedError(f"a staged blob does not hash to {oid}")


def _hidden_entry(record: bytes) -> HiddenEntry:
    head, _, path = record.partition(b"\t")
    tag, mode, oid, _ = head.split(b" ")
    return HiddenEntry(path, tag.decode("ascii"), int(mode, 8), oid.decode("ascii"))


def _removals_first(rows: Sequence[StagedRow]) -> list[StagedRow]:
    """Put removals before additions, and drop stage 0 before conflict stages of the same path come in."""
    conflicts = {row.path: row for row in rows if row.stage}
    zero = "0" * (len(rows[0].oid) if rows else 40)
    cleared = [StagedRow(path, 0, zero) for path in conflicts]
    plain = [row for row in rows if not row.stage and not row.is_intent]
    removed = [StagedRow(row.path, 0, zero) for row in plain if not row.mode]
    return [*cleared, *removed, *(row for row in plain if row.mode), *(row for row in rows if row.stage)]


def _read_commit(repository: Repository, commit: str, scratch: Path) -> None:
    """Fill the scratch index from `commit`, keeping the stat data of the user's index where git lets us.

    Flags go first: read-tree keeps them, and refuses skip-worktree entries that are not up to date.
    """
    command = repository.command.with_index(scratch)
    if repository.index.exists():
        shutil.copy2(repository.index, scratch)
        now = read_index_facts(repository, scratch, "").hidden
        _set_flag(repository, scratch, "--no-skip-worktree", [entry.path for entry in now if entry.is_skipped])
        _set_flag(repository, scratch, "--no-assume-unchanged", [entry.path for entry in now if entry.tag.islower()])
    try:
        command.output("read-tree", "--reset", "--no-sparse-checkout", commit)
    except GitFailedError:
        scratch.unlink(missing_ok=True)
        command.output("read-tree", "--no-sparse-checkout", commit)


def _set_flag(repository: Repository, index: Path, option: str, paths: list[TreePath]) -> None:
    if paths:
        lines = b"\0".join(paths) + b"\0"
        repository.command.with_index(index).output("update-index", option, "-z", "--stdin", input_bytes=lines)


def _add_intents(repository: Repository, index: Path, paths: list[TreePath]) -> None:
    present = [path for path in paths if os.path.lexists(repository.root / os.fsdecode(path))]
    if present:
        repository.command.with_index(index, refresh=True).output("add", "--intent-to-add", "-f", "--", *present)


def check_index_is_free(repository: Repository) -> None:
    """Raise StateError when another git is about to write the index (or left its lock behind).

    A lock that a killed run of ours left is recognised by its inode and removed.
    """
    lock, draft = _lock_of(repository.index), _draft_of(repository.index)
    if draft.exists():
        if lock.exists() and lock.samefile(draft):
            lock.unlink()
        draft.unlink()
    if lock.exists():
        raise StateError(
            f"{lock} exists: another git is at work", hint="wait for it, or remove the lock when no git runs"
        )


def _publish_index(repository: Repository, scratch: Path) -> None:
    """Put a finished index in place under git's own lock: a link of the whole draft, then one rename."""
    lock, draft = _lock_of(repository.index), _draft_of(repository.index)
    if not scratch.exists():
        scratch.write_bytes(b"")
        repository.command.with_index(scratch).output("read-tree", "--empty")
    check_index_is_free(repository)
    with translate_os_errors(f"cannot write {repository.index}"):
        try:
            with open(draft, "xb") as target, open(scratch, "rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            os.link(draft, lock)
            os.rename(lock, repository.index)
        finally:
            draft.unlink(missing_ok=True)
    sync_folder(repository.git_dir)


def _lock_of(index: Path) -> Path:
    return index.with_name(f"{index.name}.lock")


def _draft_of(index: Path) -> Path:
    return index.with_name(f"{index.name}.chronos")
