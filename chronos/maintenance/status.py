"""Where things stand now against the newest checkpoint."""

from __future__ import annotations

from pathlib import Path

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    Difference,
    ReceiptRow,
    StateDiff,
    StorePair,
    capture_in_memory,
    list_changed_stores,
    with_code_databases,
)
from chronos.files import SafeRoot
from chronos.operations import Workspace, build_stack, list_unfinished, read_operations
from chronos.pool import HashingSink


class StatusReport(msgspec.Struct, frozen=True):
    """What `chrono status` shows. `can_undo` and `can_redo` are the summaries of the next steps.

    `waiting` is the merge that waits for decisions, and `conflicts` how many are to be made.
    """

    root: Path
    store: Path
    timeline: str
    newest: CheckpointRow | None = None
    changed: tuple[Difference, ...] = ()
    stores: tuple[StorePair, ...] = ()
    receipt: tuple[ReceiptRow, ...] = ()
    warnings: tuple[str, ...] = ()
    can_undo: str | None = None
    can_redo: str | None = None
    interrupted: int = 0
    waiting: str | None = None
    conflicts: int = 0


def report_status(workspace: Workspace) -> StatusReport:
    """Compare the working tree with the newest checkpoint of its timeline, from a capture in memory."""
    store = workspace.store
    store.refresh()
    newest = next(iter(store.catalog.list_checkpoints(workspace.timeline, limit=1, safety=False)), None)
    capture = capture_in_memory(store, workspace.repository, workspace.policy())
    changed: tuple[Difference, ...] = ()
    warnings = list(capture.state.warnings)
    stores: tuple[StorePair, ...] = ()
    if newest is not None:
        old = store.read_checkpoint(newest)
        with SafeRoot(workspace.root) as tree, store.temporary_folder() as scratch:
            found = StateDiff(old, capture.state, capture.repositories, store.pool, tree, scratch)
            changed = tuple(found.differences())
            warnings += found.warnings()
        with store.temporary_folders() as make_scratch:
            both = (old, capture.state)
            states = with_code_databases(both, capture.repositories, store.pool, make_scratch, HashingSink())
            stores = tuple(list_changed_stores(*states))
    stack = build_stack(read_operations(store, workspace.timeline))
    return StatusReport(
        workspace.root,
        store.layout.root,
        workspace.timeline,
        newest,
        changed,
        stores,
        tuple(capture.state.receipt),
        tuple(warnings),
        stack.undoable[-1].summary if stack.undoable else None,
        stack.undone[-1].summary.removeprefix("undo ") if stack.undone else None,
        len(list_unfinished(store)),
    )
