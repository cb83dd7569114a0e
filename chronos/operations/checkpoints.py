"""Creating and deleting checkpoints as operations, and finding one by what a person types."""

from __future__ import annotations

import os
import re

from chronos.catalog import CatalogDamagedError, CheckpointRow
from chronos.checkpoints import (
    Created,
    Store,
    Trigger,
    is_checkpoint_id,
    list_timelines,
    open_checkpoint,
)
from chronos.errors import AmbiguousCheckpointError, OutsideError, StateError, UnknownCheckpointError
from chronos.files import display, sync_folder, translate_os_errors
from chronos.operations.hiding import hide_beside_store
from chronos.operations.journals import settle
from chronos.operations.log import CheckpointMove, Operation, OperationKind, append, new_operation_id, stamp
from chronos.operations.workspace import Workspace

_RELATIVE = re.compile(r"(?:(?P<timeline>[\w.-]+))?@(?:~(?P<steps>\d{1,9}))?")
_HEX = re.compile(r"[0-9a-f]{1,16}")


def create(
    workspace: Workspace,
    name: str,
    description: str = "",
    tags: tuple[str, ...] = (),
    *,
    trigger: Trigger = Trigger.MANUAL,
) -> Created:
    """Take a checkpoint; the names have been checked. Raises LockedError, StorageError, GitFailedError."""
    request = workspace.request(name, trigger, description, tags)
    store = workspace.store
    with store.working_on(workspace.timeline):
        workspace.notices += _settle_if_possible(workspace)
        with open_checkpoint(store, workspace.repository, workspace.policy(), request) as pending:
            created = pending.seal()
        if created.created and trigger is Trigger.MANUAL:
            move = (CheckpointMove(created.checkpoint_id, True),)
            _log(store, OperationKind.CREATE, workspace.timeline, f"create {name}", move)
    if created.store_is_visible:
        workspace.notices += hide_beside_store(workspace.home, workspace.repository, store.layout)
    return created


def _settle_if_possible(workspace: Workspace) -> list[str]:
    """An operation that cannot be settled now is no reason not to hold the tree as it is."""
    try:
        return settle(workspace)
    except (StateError, OutsideError) as cause:
        return [f"{cause.message}; this checkpoint holds the tree as it is now"]


def delete(workspace: Workspace, row: CheckpointRow) -> None:
    """Delete a checkpoint; until gc takes it, undo brings it back."""
    store = workspace.store
    with store.exclusively():
        found = store.catalog.find_checkpoint(row.checkpoint_id)
        if found is None or found.deleted:
            raise StateError(f"checkpoint {row.checkpoint_id} is deleted already")
        move_checkpoint(store, found, live=False)
        move = (CheckpointMove(row.checkpoint_id, False),)
        _log(store, OperationKind.DELETE, row.timeline, f"delete {row.name}", move)


def move_checkpoint(store: Store, row: CheckpointRow, *, live: bool) -> None:
    """Move a checkpoint's folder out of sight or back, in one rename. The store's exclusive lock must be held."""
    layout = store.layout
    shelf = layout.deleted(row.timeline)
    visible, hidden = layout.checkpoint(row.timeline, row.checkpoint_id), shelf / row.checkpoint_id
    source, target = (hidden, visible) if live else (visible, hidden)
    with translate_os_errors(f"cannot move checkpoint {row.checkpoint_id}"):
        shelf.mkdir(mode=0o700, exist_ok=True)
        os.rename(source, target)
    sync_folder(shelf)
    sync_folder(layout.timeline(row.timeline))
    try:
        store.catalog.set_deleted(row.checkpoint_id, not live)
    except CatalogDamagedError:
        store.discard_catalog()


def resolve(store: Store | None, text: str, timeline: str) -> CheckpointRow:
    """Return the checkpoint that `text` means: an id, a unique prefix, a name (the newest), `@`, `@~2` or `main@~1`.

    Relative positions count what was asked for, not the safety checkpoints that restores took.

    Raises UnknownCheckpointError or AmbiguousCheckpointError.
    """
    shown = display(text[:60])
    if store is None:
        raise UnknownCheckpointError(
            f"no checkpoint {shown!r}: there are none here yet", hint="run `chrono checkpoint create NAME`"
        )
    relative = _RELATIVE.fullmatch(text)
    if relative:
        named = relative["timeline"]
        if named and named not in list_timelines(store.layout):
            raise UnknownCheckpointError(f"{shown!r}: no timeline is called {named!r}")
        return _resolve_relative(store, named or timeline, int(relative["steps"] or 0), shown)
    if not text or len(text) > 200 or not is_storable(text):
        raise UnknownCheckpointError(f"{shown!r} is no checkpoint id or name")
    named = store.catalog.find_by_name(text, timeline) or store.catalog.find_by_name(text, None)
    matches = store.catalog.find_by_prefix(text) if _HEX.fullmatch(text) else []
    found = {row.checkpoint_id: row for row in (*matches, *([named] if named else []))}
    if text in found:
        return found[text]
    if len(found) > 1:
        ids = ", ".join(sorted(found))
        raise AmbiguousCheckpointError(f"{shown!r} could be any of {ids}")
    if not found:
        _raise_if_damaged(store, text)
        raise UnknownCheckpointError(f"no checkpoint has the id or name {shown!r}")
    return next(iter(found.values()))


def is_storable(text: str) -> bool:
    """Tell whether the catalog could hold `text` at all: no NUL, and nothing that is no UTF-8."""
    return "\0" not in text and text.encode("utf-8", "replace").decode("utf-8") == text


def _raise_if_damaged(store: Store, text: str) -> None:
    """A checkpoint whose manifest is damaged is not in the catalog; say so instead of "unknown"."""
    if is_checkpoint_id(text):
        for timeline in list_timelines(store.layout):
            if store.layout.checkpoint(timeline, text).is_dir():
                store.read_manifest(timeline, text)


def _resolve_relative(store: Store, timeline: str, steps: int, shown: str) -> CheckpointRow:
    rows = store.catalog.list_checkpoints(timeline, limit=1, offset=steps, safety=False)
    if not rows:
        count = store.catalog.count_checkpoints(timeline, safety=False)
        raise UnknownCheckpointError(f"{shown!r} goes back too far: timeline {timeline} has {count} checkpoints")
    return rows[0]


def _log(store: Store, kind: OperationKind, timeline: str, summary: str, moves: tuple[CheckpointMove, ...]) -> None:
    append(store, Operation(new_operation_id(), kind, timeline, stamp(), summary, moves))
