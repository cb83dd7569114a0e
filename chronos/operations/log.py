"""The operation log: one JSON line for each thing that a person or agent asked for, appended and synced.

Automatic and safety checkpoints are no operations. A line that was lost to a crash between a commit point and the
append is derived from the folders; one that a crash cut short is no line yet. A whole line that cannot be read stands
for an operation that nobody knows: undo stops at it, on every timeline. Annotations are lines between them that say
something of one checkpoint and are no operations either.
"""

from __future__ import annotations

import os
from collections import deque
from enum import Enum

import msgspec

from chronos import checkpoints, clock, locks
from chronos.catalog import Catalog
from chronos.checkpoints import Annotation, CheckpointMove, Store, Trigger, is_annotation
from chronos.errors import ChronosError, StorageError
from chronos.files import read_limited, translate_os_errors
from chronos.pool import add_check, digest, strip_check

_LARGEST_LOG_BYTES = 1024 * 1024 * 1024


class OperationKind(str, Enum):
    """What was asked for."""

    CREATE = "create"
    IMPORT = "import"
    DELETE = "delete"
    RESTORE = "restore"
    UNDO = "undo"
    REDO = "redo"
    SKIP = "skip"
    GC = "gc"
    BRANCH = "branch"
    MERGE = "merge"
    REVERT = "revert"
    PRUNE = "prune"
    UNREADABLE = "unreadable"


class TreeMove(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A timeline's working tree that came to `place` (`live`) or was moved aside, with its git branch at `tip`.

    `place` is text: from the store's folder, or absolute; empty where there was no tree. `branch` is a short name, and
    empty where none was made or removed.
    """

    timeline: str
    live: bool
    place: str
    branch: str = ""
    tip: str | None = None

    def inverted(self) -> TreeMove:
        """Return the move that takes this one back."""
        return msgspec.structs.replace(self, live=not self.live)


class Operation(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of the log. `undoes` names the operation that an undo or redo took back, or that was stepped over.

    `tree` is the working tree of a timeline that came or went with it. A gc says that `checkpoints` are gone for good,
    and that `undoes` and what came before it is past its grace.
    """

    operation: str
    kind: OperationKind
    timeline: str
    at: str
    summary: str
    checkpoints: tuple[CheckpointMove, ...] = ()
    has_changes: bool = False
    safety: str | None = None
    target: str | None = None
    undoes: str | None = None
    tree: TreeMove | None = None


def new_operation_id() -> str:
    """Return a fresh id of 12 hex digits."""
    return os.urandom(6).hex()


def append(store: Store, entry: Operation | Annotation) -> None:
    """Append a line and make it durable; what a crash left of another one, which is no whole line, goes."""
    path = store.layout.operations
    line = add_check(msgspec.json.encode(entry)) + b"\n"
    with (
        locks.hold(store.layout.log_lock, timeout_s=store.config.lock_timeout_s),
        translate_os_errors(f"cannot write {path}"),
        open(path, "ab+", buffering=0) as stream,
    ):
        size = stream.seek(0, os.SEEK_END)
        if size:
            import mmap  # an automatic checkpoint adds no line

            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
                whole = text.rfind(b"\n") + 1
            if whole != size:
                stream.truncate(whole)
        stream.write(line)
        os.fsync(stream.fileno())


def read_operations(store: Store, timeline: str | None = None) -> list[Operation]:
    """Return the operations of one timeline (or all) in order, with lost ones derived from the folders.

    Lines that cannot be read belong to every timeline. Raises StorageError.
    """
    written: list[Operation] = []
    for number, line in enumerate(_lines(store), 1):
        if is_annotation(line):
            continue
        written.append(_parse(line) or _unreadable(line, number, written[-1].at if written else ""))
    lost = _derive_lost(store.catalog, written, timeline)
    if not any(map(is_unreadable, written)):  # such a line stands for whatever was lost, and stops undo there
        lost += _find_unlogged(store, written, timeline)
    own = written[_beginning(written, timeline) :]
    return _merge([known for known in own if timeline in (None, known.timeline) or is_unreadable(known)], lost)


def find_end(store: Store, operation: Operation) -> int | None:
    """Return where in the log the line of an operation ends, in bytes; None when it has none. Raises StorageError."""
    wanted, end = f'"operation":"{operation.operation}"'.encode(), 0
    for line in _split(store):
        end += len(line) + 1
        if wanted in line and not is_annotation(line):
            return end
    return None


def _beginning(written: list[Operation], timeline: str | None) -> int:
    """Return where the operations of a timeline begin: after an older one of the same name, which is another tree's."""
    starts = [
        place for place, one in enumerate(written)
        if one.kind is OperationKind.BRANCH and one.tree is not None and one.tree.timeline == timeline
    ]  # fmt: skip
    return starts[-1] if starts else 0


def has_torn_end(store: Store) -> bool:
    """Tell whether something follows the last whole line: a crash cut it short, or damage did. Raises StorageError."""
    try:
        with translate_os_errors("cannot read the operation log"), open(store.layout.operations, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 1))
            return size > 0 and stream.read(1) != b"\n"
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return False
        raise


def is_unreadable(operation: Operation) -> bool:
    """Tell whether it stands for a line that cannot be read."""
    return operation.kind is OperationKind.UNREADABLE


def _lines(store: Store) -> list[bytes]:
    return [line for line in _split(store) if line]


def _split(store: Store) -> list[bytes]:
    """The whole lines, empty ones too; what follows the last newline was never finished."""
    try:
        with translate_os_errors("cannot read the operation log"), open(store.layout.operations, "rb") as stream:
            return stream.read(_LARGEST_LOG_BYTES).split(b"\n")[:-1]
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return []
        raise


def _parse(line: bytes) -> Operation | None:
    try:
        return msgspec.json.decode(strip_check(line), type=Operation)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _unreadable(line: bytes, number: int, at: str) -> Operation:
    summary = f"line {number} of the operation log, which cannot be read"
    return Operation(f"unreadable-{digest(line).hex()[:12]}", OperationKind.UNREADABLE, "", at, summary)


def _derive_lost(catalog: Catalog, written: list[Operation], timeline: str | None) -> list[Operation]:
    """Whatever the folders show and no line explains was done by an operation that lost its line."""
    live: dict[str, bool] = {}
    for operation in written:
        live |= {move.checkpoint_id: move.live for move in operation.checkpoints}
    rows = [*catalog.list_checkpoints(timeline), *catalog.list_checkpoints(timeline, deleted=True)]
    lost = []
    for row in sorted(rows, key=lambda row: (row.created_at, row.sequence)):
        if row.trigger != Trigger.MANUAL.value or live.get(row.checkpoint_id, row.deleted) == (not row.deleted):
            continue
        kind = OperationKind.DELETE if row.deleted else OperationKind.CREATE
        move = CheckpointMove(row.checkpoint_id, not row.deleted)
        summary = f"{kind.value} {row.name}"
        lost.append(Operation(f"derived-{row.checkpoint_id}", kind, row.timeline, row.created_at, summary, (move,)))
    return lost


def _find_unlogged(store: Store, written: list[Operation], timeline: str | None) -> list[Operation]:
    """A change set that is kept for undo and that no line names belongs to an operation whose line was lost."""
    folder, known = store.layout.changes, {operation.operation for operation in written}
    lost = []
    for name in os.listdir(folder) if folder.is_dir() else ():
        if name.removesuffix(".json") in known:
            continue
        try:
            journal = checkpoints.decode_journal(read_limited(folder / name, checkpoints.LARGEST_JOURNAL_BYTES), name)
            at = clock.to_text(clock.from_ns((folder / name).stat().st_mtime_ns))
        except (ChronosError, OSError):
            continue  # verify names it
        if timeline in (None, journal.timeline):
            kind = OperationKind(journal.kind)
            lost.append(
                Operation(
                    journal.operation, kind, journal.timeline, at, journal.summary, has_changes=True,
                    safety=journal.safety, target=journal.target, undoes=journal.undoes,
                    checkpoints=journal.checkpoints,
                )
            )  # fmt: skip
    return lost


def _merge(known: list[Operation], lost: list[Operation]) -> list[Operation]:
    """Put lost operations, in the order of their times, before the first later one; lost deletes have none."""
    merged: list[Operation] = []
    timed = sorted((one for one in lost if one.kind is not OperationKind.DELETE), key=lambda one: one.at)
    creates = deque(timed)
    for operation in known:
        while creates and creates[0].at < operation.at:
            merged.append(creates.popleft())
        merged.append(operation)
    return [*merged, *creates, *(operation for operation in lost if operation.kind is OperationKind.DELETE)]


def stamp() -> str:
    """Return the present moment as the log writes it."""
    return clock.to_text(clock.now())
