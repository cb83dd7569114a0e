"""The operation log: one JSON line for each thing that a person or agent asked for, appended and synced.

Automatic and safety checkpoints are no operations. A line that was lost to a crash between a commit point and the
append is derived from the folders; a line cut short by one is skipped.
"""

from __future__ import annotations

import os
from enum import Enum

import msgspec

from chronos import clock, locks
from chronos.catalog import Catalog
from chronos.checkpoints import Store, Trigger
from chronos.files import translate_os_errors

_LARGEST_LOG_BYTES = 1024 * 1024 * 1024


class OperationKind(str, Enum):
    """What was asked for."""

    CREATE = "create"
    DELETE = "delete"
    RESTORE = "restore"
    UNDO = "undo"
    REDO = "redo"


class CheckpointMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint that an operation brought in (`live`) or deleted."""

    checkpoint_id: str
    live: bool


class Operation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the log. `undoes` names the operation that an undo or redo took back."""

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


def new_operation_id() -> str:
    """Return a fresh id of 12 hex digits."""
    return os.urandom(6).hex()


def append(store: Store, operation: Operation) -> None:
    """Append an operation and make it durable."""
    path = store.layout.operations
    line = msgspec.json.encode(operation) + b"\n"
    with (
        locks.hold(store.layout.log_lock, timeout_s=store.config.lock_timeout_s),
        translate_os_errors(f"cannot write {path}"),
        open(path, "ab+", buffering=0) as stream,
    ):
        size = stream.seek(0, os.SEEK_END)
        if size:
            stream.seek(size - 1)
            line = line if stream.read(1) == b"\n" else b"\n" + line
        stream.write(line)
        os.fsync(stream.fileno())


def read_operations(store: Store, timeline: str | None = None) -> list[Operation]:
    """Return the operations in order, with lost ones derived from the folders."""
    written = [operation for line in _lines(store) if (operation := _parse(line)) is not None]
    known = [operation for operation in written if timeline is None or operation.timeline == timeline]
    for lost in _derive_lost(store.catalog, written, timeline):
        later = (number for number, operation in enumerate(known) if operation.at > lost.at)
        place = next(later, len(known)) if lost.kind is OperationKind.CREATE else len(known)
        known.insert(place, lost)
    return known


def count_damaged_lines(store: Store) -> int:
    """Return how many lines cannot be read."""
    return sum(1 for line in _lines(store) if _parse(line) is None)


def _lines(store: Store) -> list[bytes]:
    try:
        with open(store.layout.operations, "rb") as stream:
            return [line for line in stream.read(_LARGEST_LOG_BYTES).split(b"\n") if line]
    except FileNotFoundError:
        return []


def _parse(line: bytes) -> Operation | None:
    try:
        return msgspec.json.decode(line, type=Operation)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _derive_lost(catalog: Catalog, written: list[Operation], timeline: str | None) -> list[Operation]:
    """Whatever the folders show and no line explains was done by an operation that lost its line."""
    live: dict[str, bool] = {}
    for operation in written:
        live |= {move.checkpoint_id: move.live for move in operation.checkpoints}
    rows = [*catalog.list_checkpoints(timeline), *catalog.list_checkpoints(timeline, deleted=True)]
    lost = []
    for row in sorted(rows, key=lambda row: row.sequence):
        if row.trigger != Trigger.MANUAL.value or live.get(row.checkpoint_id, row.deleted) == (not row.deleted):
            continue
        kind = OperationKind.DELETE if row.deleted else OperationKind.CREATE
        move = CheckpointMove(row.checkpoint_id, not row.deleted)
        summary = f"{kind.value} {row.name}"
        lost.append(Operation(f"derived-{row.checkpoint_id}", kind, row.timeline, row.created_at, summary, (move,)))
    return lost


def stamp() -> str:
    """Return the present moment as the log writes it."""
    return clock.to_text(clock.now())
