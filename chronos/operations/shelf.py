"""Moving checkpoints out of sight and back: deleted ones lie on a shelf in their timeline until gc takes them."""

from __future__ import annotations

import os

from chronos.checkpoints import CheckpointMove, Store, list_timelines
from chronos.errors import CatalogDamagedError, LockedError, StateError, StorageError
from chronos.files import sync_folder, translate_os_errors


def move_checkpoints(store: Store, moves: tuple[CheckpointMove, ...]) -> None:
    """Move folders of checkpoints out of sight or back, each in one rename. The store's exclusive lock must be held.

    Raises StateError when one is gone for good.
    """
    for move in moves:
        found = find_folder(store, move.checkpoint_id)
        if found is None:
            raise StateError(
                f"checkpoint {move.checkpoint_id} is gone for good", hint="`chrono undo --skip` steps over it"
            )
        if found[1] != move.live:
            _move_folder(store, found[0], move)


def find_folder(store: Store, checkpoint_id: str) -> tuple[str, bool] | None:
    """Return the timeline in whose folder a checkpoint lies, and whether it is live; None when it is gone."""
    for timeline in list_timelines(store.layout):
        if store.layout.checkpoint(timeline, checkpoint_id).is_dir():
            return timeline, True
        if (store.layout.deleted(timeline) / checkpoint_id).is_dir():
            return timeline, False
    return None


def _move_folder(store: Store, timeline: str, move: CheckpointMove) -> None:
    shelf = store.layout.deleted(timeline)
    visible, hidden = store.layout.checkpoint(timeline, move.checkpoint_id), shelf / move.checkpoint_id
    source, target = (hidden, visible) if move.live else (visible, hidden)
    with translate_os_errors(f"cannot move checkpoint {move.checkpoint_id}"):
        shelf.mkdir(mode=0o700, exist_ok=True)
        os.rename(source, target)
    sync_folder(shelf)
    sync_folder(store.layout.timeline(timeline))
    try:
        store.catalog.set_deleted(move.checkpoint_id, not move.live)
    except CatalogDamagedError:
        store.discard_catalog()
    except (LockedError, StorageError):
        pass  # the next look at the folders finds it
