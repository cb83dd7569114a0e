"""The index: a private copy to run status on, and what status hides.

git does not heal a stale index while optional locks are off, so every status would hash the same files again. The
private copy may be refreshed, and is kept while the user's index is the same file. The copy takes over the index's
own mtime: with a newer one git would trust entries that were changed in the same tick and miss the change.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from chronos.errors import GitFailedError
from chronos.files import TreePath, translate_os_errors
from chronos.git.objects import GITLINK_MODE
from chronos.git.repository import Repository

# Lower case is assume-unchanged, S is skip-worktree, 160000 a gitlink: everything that status keeps quiet about.
_HIDDEN = rb"(?:^|\0)(?:[a-zS] \d{6}|[A-Z] 160000) [^\0]*"


class HiddenEntry(msgspec.Struct, frozen=True, array_like=True):
    """An index entry that status does not compare with the disk. `tag` is the letter of `git ls-files -v`."""

    path: bytes
    tag: str
    mode: int
    oid: str

    @property
    def is_gitlink(self) -> bool:
        """Whether the entry is a submodule or embedded repository."""
        return self.mode == GITLINK_MODE

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
        return _identity(os.stat(path))
    except FileNotFoundError:
        return ""


def refresh_private_copy(repository: Repository, copy: Path) -> str:
    """Make `copy` a copy of the user's index unless it is one already; return the identity of the user's index.

    The caller holds a lock for `copy`, so that git's own lock on it can only be a killed git's, and goes.
    Raises GitFailedError when the user's index cannot be read.
    """
    stamp = copy.with_suffix(".stamp")
    with translate_os_errors(f"cannot copy the index of {repository.root}"):
        lock_of(copy).unlink(missing_ok=True)
        try:
            source = open(repository.index, "rb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            copy.unlink(missing_ok=True)
            return ""
        except OSError as cause:
            raise GitFailedError(f"cannot read {repository.index}: {cause.strerror}") from cause
        with source:
            found = os.fstat(source.fileno())
            identity = _identity(found)
            if copy.exists() and stamp.exists() and stamp.read_text("ascii") == identity:
                return identity
            stamp.unlink(missing_ok=True)
            temporary = copy.with_suffix(".new")
            with open(temporary, "wb") as target:
                while piece := source.read(1 << 20):
                    target.write(piece)
            os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))
            os.replace(temporary, copy)
            stamp.write_text(identity, "ascii")
    return identity


def read_index_facts(repository: Repository, index: Path, identity: str) -> IndexFacts:
    """Return gitlinks, assume-unchanged and skip-worktree entries of the index file `index`, and what else it tells."""
    output = repository.command.with_index(index).output("ls-files", "-s", "-v", "-z")
    hidden = [_hidden_entry(found.group().lstrip(b"\0")) for found in re.finditer(_HIDDEN, output)]
    return IndexFacts(identity, hidden, b"\t.gitattributes\0" in output or b"/.gitattributes\0" in output)


def list_index_paths(repository: Repository, index: Path) -> list[TreePath]:
    """Return every path in the index file `index`."""
    return [path for path in repository.command.with_index(index).output("ls-files", "-z").split(b"\0") if path]


def _identity(found: os.stat_result) -> str:
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _hidden_entry(record: bytes) -> HiddenEntry:
    head, _, path = record.partition(b"\t")
    tag, mode, oid, _ = head.split(b" ")
    return HiddenEntry(path, tag.decode("ascii"), int(mode, 8), oid.decode("ascii"))


def lock_of(index: Path) -> Path:
    """Return the path of git's own lock for the index file `index`."""
    return index.with_name(f"{index.name}.lock")
