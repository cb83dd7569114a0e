"""After a crash: what was noted about a tree is brought to its end, or taken back, by whoever comes next."""

from __future__ import annotations

import os

from chronos.checkpoints import Store, find_record, tree_of
from chronos.files import (
    remove_tree,
    sweep_drafts,
)
from chronos.layout import MAIN_TIMELINE, TIMELINE, StoreLayout
from chronos.operations.log import (
    Operation,
    OperationKind,
    TreeMove,
    read_operations,
)
from chronos.operations.tree_notes import drop_note, list_notes
from chronos.operations.tree_places import is_ours
from chronos.operations.trees import carry_on, move_aside, place_of_tree
from chronos.operations.workspace import Workspace


def settle_trees(workspace: Workspace) -> list[str]:
    """Bring to its end, or take back, what was cut short; return what was done, as sentences.

    Needs the store's exclusive lock: whoever is at such a move holds a lock of the store.
    """
    done = []
    for operation in list_notes(workspace.store):
        move = operation.tree
        assert move is not None
        if any(known.operation == operation.operation for known in read_operations(workspace.store)):
            drop_note(workspace.store, operation)
            continue
        if not _is_plausible(workspace, move):
            done.append(f"left alone what the note of {operation.summary} names: {move.place} is no place of ours")
            continue
        is_half_made = operation.kind is OperationKind.BRANCH and not _has_checkpoints(workspace.store, move.timeline)
        if is_half_made:
            withdraw(workspace, operation)
            drop_note(workspace.store, operation)
        else:
            carry_on(workspace, operation)
        done.append(f"{'took back' if is_half_made else 'finished'} the interrupted {operation.summary}")
    return done


def _is_plausible(workspace: Workspace, move: TreeMove) -> bool:
    """A note is not believed about places where no tree of this timeline can be: it may have come from elsewhere."""
    place = place_of_tree(workspace.store.layout, move)
    if place == workspace.store.layout.worktree(move.timeline) or not os.path.lexists(place):
        return True
    if place.is_dir() and not any(place.iterdir()):
        return True
    return not workspace.repository.is_plain and is_ours(workspace.repository, place)


def settle_timeline(workspace: Workspace, timeline: str) -> None:
    """Do the same before a timeline is worked with, if any of it was cut short there. No lock must be held."""
    if any(one.tree and one.tree.timeline == timeline for one in list_notes(workspace.store)):
        with workspace.store.exclusively():  # whoever was at it is gone then
            workspace.notices += settle_trees(workspace)


def _has_checkpoints(store: Store, timeline: str) -> bool:
    return bool(store.catalog.list_checkpoints(timeline, limit=1))


def withdraw(workspace: Workspace, operation: Operation) -> None:
    """Take away what a branch that did not come to its end has made: its tree, its git branch, its record."""
    layout, move = workspace.store.layout, operation.tree
    assert move is not None
    remove_tree(move_aside(workspace, move, operation.operation))
    sweep_drafts(layout.timeline(move.timeline), TIMELINE)
    if timeline_is_bare(layout, move.timeline):
        remove_tree(layout.timeline(move.timeline))


def timeline_is_bare(layout: StoreLayout, timeline: str) -> bool:
    """Tell whether nothing is left of a timeline: no checkpoint and no pack, live or deleted, no tree and no memory."""
    folder = layout.timeline(timeline)
    if timeline == MAIN_TIMELINE or not folder.is_dir():
        return False
    record = find_record(layout, timeline)
    tree = tree_of(layout, record) if record is not None else None
    places = {layout.packs(timeline), layout.deleted(timeline), layout.timeline_memory(timeline)}
    others = set(os.listdir(folder)) - {place.name for place in places} - {TIMELINE}
    is_empty = not any(place.is_dir() and os.listdir(place) for place in places)
    return is_empty and not others and not (tree is not None and tree.is_dir())
