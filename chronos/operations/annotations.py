"""Pins and tags: annotations of sealed checkpoints, appended to the log. No operations: undo passes them by."""

from __future__ import annotations

from collections.abc import Sequence

from chronos.catalog import CheckpointRow
from chronos.checkpoints import Annotation, AnnotationKind, check_name
from chronos.errors import StateError, UsageError
from chronos.operations.log import append, new_operation_id, stamp
from chronos.operations.shelf import find_folder
from chronos.operations.workspace import Workspace

_MOST_TAGS = 100


def annotate(workspace: Workspace, row: CheckpointRow, kind: AnnotationKind, tags: Sequence[str] = ()) -> CheckpointRow:
    """Say something of a checkpoint, durably, and return its row as it is then. What says nothing new is not written.

    Raises BadNameError, UsageError, LockedError, StorageError, and StateError when the checkpoint is gone.
    """
    store = workspace.store
    wanted = tuple(dict.fromkeys(map(check_name, tags)))
    if len(wanted) > _MOST_TAGS:
        raise UsageError(f"a checkpoint takes at most {_MOST_TAGS} tags at once")
    with store.shared():
        present = store.catalog.find_checkpoint(row.checkpoint_id)
        if present is None or find_folder(store, row.checkpoint_id) != (row.timeline, True):
            raise StateError(f"checkpoint {row.checkpoint_id} is gone")
        if _is_said(present, kind, wanted):
            return present
        append(store, Annotation(new_operation_id(), kind, row.checkpoint_id, stamp(), wanted))
        store.refresh()
        return store.catalog.find_checkpoint(row.checkpoint_id) or present


def _is_said(row: CheckpointRow, kind: AnnotationKind, tags: Sequence[str]) -> bool:
    if kind in (AnnotationKind.PIN, AnnotationKind.UNPIN):
        return row.pinned == (kind is AnnotationKind.PIN)
    return set(tags) <= set(row.tags) if kind is AnnotationKind.TAG else not set(tags) & set(row.tags)
