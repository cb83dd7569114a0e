"""Creating and deleting checkpoints as operations, and finding one by what a person types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from chronos import checkpoints
from chronos.catalog import CheckpointRow
from chronos.checkpoints import CheckpointMove, Store, Trigger, is_checkpoint_id, list_timelines
from chronos.errors import (
    AmbiguousCheckpointError,
    BadNameError,
    OutsideError,
    StateError,
    UnknownCheckpointError,
    UnsupportedError,
)
from chronos.files import display
from chronos.operations.hiding import hide_beside
from chronos.operations.journals import settle
from chronos.operations.log import Operation, OperationKind, append, new_operation_id, stamp
from chronos.operations.shelf import find_folder, move_checkpoints
from chronos.operations.workspace import Workspace

if TYPE_CHECKING:
    from chronos.checkpoints import Created
    from chronos.operations.including import Inclusion

_RELATIVE = r"(?:(?P<timeline>[\w.-]+))?@(?:~(?P<steps>\d{1,9}))?"
_LAST_GREEN = r"(?:(?P<timeline>[\w.-]+)@)?last-green"
_HEX = r"[0-9a-f]{1,16}"


def create(
    workspace: Workspace,
    name: str,
    description: str = "",
    tags: tuple[str, ...] = (),
    *,
    trigger: Trigger = Trigger.MANUAL,
    needed: bool = False,
    inclusion: Inclusion | None = None,
    aside: tuple[str, ...] = (),
    on_locked: Callable[[], None] | None = None,
) -> Created:
    """Take a checkpoint; the names have been checked. Raises LockedError, StorageError, GitFailedError.

    One that is `needed` is taken whatever its trigger; memory stores at the paths `aside` are no reason to take one.
    `inclusion` is what it takes in besides. `on_locked` is told when the locks are held.
    """
    request = workspace.request(name, trigger, description, tags, needed=needed, aside=aside)
    policy = workspace.policy(inclusion.forced, inclusion.places) if inclusion else workspace.policy()
    store = workspace.store
    with store.working_on(workspace.timeline):
        if on_locked is not None:
            on_locked()
        workspace.notices += _settle_if_possible(workspace)
        with checkpoints.open_checkpoint(store, workspace.repository, policy, request) as pending:
            created = pending.seal()
        if created.created and trigger is Trigger.MANUAL:
            move = (CheckpointMove(created.checkpoint_id, True),)
            _log(store, OperationKind.CREATE, workspace.timeline, f"create {name}", move)
    if created.store_is_visible:
        workspace.notices += hide_beside(workspace.home, workspace.repository, store.layout.root)
    return created


def _settle_if_possible(workspace: Workspace) -> list[str]:
    """An operation that cannot be settled now is no reason not to hold the tree as it is."""
    try:
        return settle(workspace)
    except (StateError, OutsideError, UnsupportedError) as cause:
        return [f"{cause.message}; this checkpoint holds the tree as it is now"]


def delete(workspace: Workspace, row: CheckpointRow) -> None:
    """Delete a checkpoint; until gc takes it, undo brings it back."""
    store = workspace.store
    with store.exclusively():
        if find_folder(store, row.checkpoint_id) != (row.timeline, True):
            raise StateError(f"checkpoint {row.checkpoint_id} is deleted already")
        moves = (CheckpointMove(row.checkpoint_id, False),)
        move_checkpoints(store, moves)
        where = "" if row.timeline == workspace.timeline else f" of timeline {row.timeline}"
        _log(store, OperationKind.DELETE, workspace.timeline, f"delete {row.name}{where}", moves)


def check_new_name(name: str) -> str:
    """Return `name` when a new checkpoint may have it: a name, and no position. Raises BadNameError."""
    if re.fullmatch(_RELATIVE, checkpoints.check_name(name)):
        raise BadNameError(f"'{display(name)}' would be read as a position, like main@~1", hint="leave out the @")
    if re.fullmatch(_LAST_GREEN, name):
        raise BadNameError(f"'{display(name)}' always means the newest checkpoint that passed", hint="use another name")
    return name


def get_checkpoint(store: Store, checkpoint_id: str) -> CheckpointRow:
    """Return a checkpoint by its whole id, also one sealed just now that the catalog had no room for.

    Raises UnknownCheckpointError.
    """
    found = store.catalog.find_checkpoint(checkpoint_id)
    if found is None:
        store.refresh()
        found = store.catalog.find_checkpoint(checkpoint_id)
    if found is None:
        raise UnknownCheckpointError(f"checkpoint {checkpoint_id} is not there any more")
    return found


def resolve(store: Store | None, text: str, timeline: str, *, damaged: bool = False) -> CheckpointRow:
    """Return the checkpoint that `text` means: an id, a unique prefix, a name (the newest), `@`, `@~2` or `main@~1`.

    `last-green`, or `main@last-green`, is the newest on the timeline whose newest verdict is `passed`; one that was
    given this very name by an older release is found by its id. Relative positions count what was asked for, not the
    safety checkpoints that restores took. With `damaged`, the full id of a checkpoint whose manifest cannot be read is
    an answer too.

    Raises UnknownCheckpointError or AmbiguousCheckpointError.
    """
    shown = display(text[:60])
    if store is None:
        raise UnknownCheckpointError(
            f"no checkpoint {shown!r}: there are none here yet", hint="run `chrono checkpoint create NAME`"
        )
    relative = re.fullmatch(_RELATIVE, text)
    position = relative or re.fullmatch(_LAST_GREEN, text)
    if position:
        named = position["timeline"]
        if named and named not in list_timelines(store.layout):
            raise UnknownCheckpointError(f"{shown!r}: no timeline is called {named!r}")
        if relative is None:
            return _find_last_green(store, named or timeline)
        return _resolve_relative(store, named or timeline, int(relative["steps"] or 0), shown)
    if not text or len(text) > 200 or not is_storable(text):
        raise UnknownCheckpointError(f"{shown!r} is no checkpoint id or name")
    named = store.catalog.find_by_name(text, timeline) or store.catalog.find_by_name(text, None)
    matches = store.catalog.find_by_prefix(text) if re.fullmatch(_HEX, text) else []
    found = {row.checkpoint_id: row for row in (*matches, *([named] if named else []))}
    if text in found:
        return found[text]
    if len(found) > 1:
        ids = ", ".join(sorted(found))
        raise AmbiguousCheckpointError(f"{shown!r} could be any of {ids}")
    if not found:
        unlisted = _find_unlisted(store, text)
        if unlisted is not None and damaged:
            return unlisted
        if unlisted is not None:
            store.read_manifest(unlisted.timeline, text)  # says what is wrong with it
        raise UnknownCheckpointError(f"no checkpoint has the id or name {shown!r}")
    return next(iter(found.values()))


def is_storable(text: str) -> bool:
    """Tell whether the catalog could hold `text` at all: no NUL, and nothing that is no UTF-8."""
    return "\0" not in text and text.encode("utf-8", "replace").decode("utf-8") == text


def _find_unlisted(store: Store, text: str) -> CheckpointRow | None:
    """A checkpoint whose manifest is damaged is not in the catalog; all that is known of it is where it lies."""
    timeline, is_live = (find_folder(store, text) if is_checkpoint_id(text) else None) or ("", False)
    return CheckpointRow(text, timeline, 0, text, "", None, "", "", (), 0, "damaged", "") if is_live else None


def _find_last_green(store: Store, timeline: str) -> CheckpointRow:
    found = store.catalog.find_by_verdict("passed", timeline)
    if found is None:
        raise UnknownCheckpointError(
            f"no checkpoint of timeline {timeline} has the verdict passed",
            hint="give one with `chrono checkpoint verdict ID passed`, or name a checkpoint",
        )
    return found


def _resolve_relative(store: Store, timeline: str, steps: int, shown: str) -> CheckpointRow:
    rows = store.catalog.list_checkpoints(timeline, limit=1, offset=steps, safety=False)
    if not rows:
        count = store.catalog.count_checkpoints(timeline, safety=False)
        raise UnknownCheckpointError(f"{shown!r} goes back too far: timeline {timeline} has {count} checkpoints")
    return rows[0]


def _log(store: Store, kind: OperationKind, timeline: str, summary: str, moves: tuple[CheckpointMove, ...]) -> None:
    append(store, Operation(new_operation_id(), kind, timeline, stamp(), summary, moves))
