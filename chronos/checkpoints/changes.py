"""A set of changes to a working tree, as data: shown as a plan, kept as a journal, inverted for undo.

Each change says what stands at a path before and after, by content hash. That makes it safe to run twice (what is
`after` already is done) and to refuse (what is neither was edited by somebody).
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Literal

import msgspec

from chronos.checkpoints.manifest import (
    MemoryRecord,
    StagedEntry,
    check_format,
    check_rows,
    is_checkpoint_id,
    is_object_id,
)
from chronos.checkpoints.moves import CheckpointMove
from chronos.checkpoints.states import ComponentState
from chronos.errors import BadPathError, DamagedJournalError, DamagedManifestError
from chronos.files import check_tree_path
from chronos.git import HiddenEntry
from chronos.memory import place_of
from chronos.pool import Content, add_check, digest, strip_check

LARGEST_JOURNAL_BYTES = 512 * 1024 * 1024
JOURNAL_FORMAT = 1
_OPERATION_ID = re.compile(r"[0-9a-f]{12}")


class SideKind(str, Enum):
    """What stands at a path on one side of a change."""

    FILE = "file"
    LINK = "symlink"
    ABSENT = "absent"


JournalKind = Literal["restore", "undo", "redo", "merge", "revert"]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Side(_Struct, frozen=True):
    """One side of a change. `blob` is set when the bytes come from git, from the repository at `component`."""

    kind: SideKind
    executable: bool = False
    content: Content | None = None
    blob: str | None = None
    component: bytes = b""

    def on_disk(self) -> Side:
        """Return this side as a look at the disk gives it: without saying where the bytes come from."""
        return Side(self.kind, self.executable, self.content)

    def is_same(self, other: Side) -> bool:
        """Tell whether both sides put the same thing at the path, wherever the bytes come from."""
        if self.kind is not other.kind or self.executable != other.executable:
            return False
        return self.kind is SideKind.ABSENT or (
            self.content is not None and other.content is not None and self.content.id == other.content.id
        )


ABSENT = Side(SideKind.ABSENT)


class Change(_Struct, frozen=True):
    """What happens at one path (from the root)."""

    path: bytes
    before: Side
    after: Side

    def inverted(self) -> Change:
        """Return the change that takes this one back."""
        return Change(self.path, self.after, self.before)


class StagedState(_Struct, frozen=True):
    """Everything an index says beyond its commit."""

    head: str | None
    staged: tuple[StagedEntry, ...]
    hidden: tuple[HiddenEntry, ...]

    @classmethod
    def of(cls, state: ComponentState) -> StagedState:
        """Return what the index of a captured component says."""
        return cls(state.head, tuple(state.staged), tuple(state.hidden))


class IndexChange(_Struct, frozen=True):
    """What happens to the index of one component; it is made only while HEAD is the commit of the side it goes to."""

    component: bytes
    before: StagedState
    after: StagedState

    def inverted(self) -> IndexChange:
        """Return the change that takes this one back."""
        return IndexChange(self.component, self.after, self.before)


class HeadChange(_Struct, frozen=True):
    """Where HEAD goes: branch (full ref, None when detached) and commit on both sides.

    `moved_branch` is the branch whose tip is moved, if any, from `tip_before` to `tip_after` (None: it does not exist).
    """

    branch_before: str | None
    commit_before: str | None
    branch_after: str | None
    commit_after: str | None
    moved_branch: str | None = None
    tip_before: str | None = None
    tip_after: str | None = None

    def inverted(self) -> HeadChange:
        """Return the change that takes this one back."""
        return HeadChange(
            self.branch_after, self.commit_after, self.branch_before, self.commit_before,
            self.moved_branch, self.tip_after, self.tip_before,
        )  # fmt: skip


class SubmoduleLink(_Struct, frozen=True):
    """The `.git` file of an absorbed submodule at `component`, which is made, or removed when `is_made` is false."""

    component: bytes
    git_dir: str
    is_made: bool = True

    def inverted(self) -> SubmoduleLink:
        """Return the change that takes this one back."""
        return SubmoduleLink(self.component, self.git_dir, not self.is_made)


class StoreSide(_Struct, frozen=True):
    """A memory store on one side of a change: its kind and identity, and the content that lists its files."""

    kind: str
    identity: str
    files: Content
    size: int
    facts: dict[str, str | int] = {}

    @classmethod
    def of(cls, record: MemoryRecord) -> StoreSide:
        """Return the side that a checkpoint has."""
        return cls(record.kind, record.identity, record.files.content(), record.bytes, record.facts)


def held_identity(side: StoreSide | None) -> str | None:
    """Return the identity of a side, or None where no file of it is held: what no capture takes stays where it is."""
    return side.identity if side is not None and side.files.size else None


class StoreChange(_Struct, frozen=True):
    """What happens to the memory store at `path` (from the root, or absolute); None is a place with nothing."""

    name: str
    path: str
    before: StoreSide | None
    after: StoreSide | None

    def inverted(self) -> StoreChange:
        """Return the change that takes this one back."""
        return StoreChange(self.name, self.path, self.after, self.before)


class ChangeSet(_Struct, frozen=True):
    """All changes of one operation."""

    changes: tuple[Change, ...] = ()
    indexes: tuple[IndexChange, ...] = ()
    head: HeadChange | None = None
    links: tuple[SubmoduleLink, ...] = ()
    stores: tuple[StoreChange, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing would happen."""
        return not (self.changes or self.indexes or self.head or self.links or self.stores)

    def contents(self) -> list[Content]:
        """Return every content that carrying the set out, or taking it back, may need; stores are apart."""
        found = [side.content for change in self.changes for side in (change.before, change.after)]
        found += [row.content for change in self.indexes for row in (*change.before.staged, *change.after.staged)]
        return [content for content in found if content is not None]

    def identity(self) -> str:
        """Return a short hash of the set: the plan id."""
        return digest(msgspec.msgpack.encode(self, order="deterministic")).hex()[:16]

    def inverted(self) -> ChangeSet:
        """Return the set that takes this one back."""
        return ChangeSet(
            tuple(change.inverted() for change in self.changes),
            tuple(change.inverted() for change in self.indexes),
            self.head.inverted() if self.head else None,
            tuple(link.inverted() for link in self.links),
            tuple(store.inverted() for store in self.stores),
        )


class Journal(_Struct, frozen=True):
    """An operation in progress: enough to finish it, or to take it back, after a crash.

    `checkpoints` come into sight or go out of it when all is done. With `seals` a checkpoint of that name is taken
    then, which has the state of `parents` in it.
    """

    format: int
    operation: str
    kind: JournalKind
    timeline: str
    summary: str
    safety: str
    change_set: ChangeSet
    target: str | None = None
    undoes: str | None = None
    checkpoints: tuple[CheckpointMove, ...] = ()
    seals: str | None = None
    parents: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all of it has to be done or none: half a merge is neither side's state."""
        return self.kind in ("merge", "revert")


def encode_journal(journal: Journal) -> bytes:
    """Encode a journal for `.store/journal`."""
    return add_check(msgspec.json.encode(journal))


def decode_journal(data: bytes, name: str) -> Journal:
    """Decode a journal and check every path, id and branch in it. Raises DamagedJournalError, NewerFormatError."""
    try:
        check_format(data, f"the journal {name}")
        journal = msgspec.json.decode(strip_check(data), type=Journal)
    except (msgspec.MsgspecError, ValueError, RecursionError) as cause:
        raise DamagedJournalError(f"the journal {name} is not valid: {cause}") from cause
    if journal.format != JOURNAL_FORMAT:
        raise DamagedJournalError(f"the journal {name} has an unknown format")
    if not _OPERATION_ID.fullmatch(journal.operation) or not name.startswith(journal.operation):
        raise DamagedJournalError(f"the journal {name} names another operation")
    try:
        ids = [*(move.checkpoint_id for move in journal.checkpoints), *journal.parents]
        if not all(map(is_checkpoint_id, ids)):
            raise DamagedManifestError("something that is no checkpoint would be moved")
        _check_change_set(journal.change_set)
    except (BadPathError, DamagedManifestError) as cause:
        raise DamagedJournalError(f"the journal {name} cannot be trusted: {cause.message}") from cause
    return journal


def _check_change_set(change_set: ChangeSet) -> None:
    """Refuse what the types allow and git or the file system would take for something else."""
    components = [link.component for link in change_set.links] + [index.component for index in change_set.indexes]
    for change in change_set.changes:
        check_tree_path(change.path)
        for side in (change.before, change.after):
            components.append(side.component)
            if side.blob is not None and not is_object_id(side.blob):
                raise DamagedManifestError("a side names something that is no object id")
    for component in components:
        if component:
            check_tree_path(component)
    for store in change_set.stores:
        place_of(Path("/"), store.path)
    for index in change_set.indexes:
        check_rows((*index.before.staged, *index.before.hidden, *index.after.staged, *index.after.hidden))
    head = change_set.head
    branches = (head.branch_before, head.branch_after, head.moved_branch) if head else ()
    if not all(branch is None or branch.startswith("refs/heads/") for branch in branches):
        raise DamagedManifestError("HEAD would go to something that is no branch")
