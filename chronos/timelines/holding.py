"""Holding the present state of a timeline in a checkpoint, at once or beside other work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import msgspec

from chronos.background import in_background
from chronos.checkpoints import Store, Trigger
from chronos.errors import ChronosError, UnknownTimelineError
from chronos.files import display
from chronos.operations import Workspace, create, find_tree, workspace_at


def hold(workspace: Workspace, name: str, on_locked: Callable[[], None] | None = None) -> str:
    """Return the id of the checkpoint that has a timeline's present state, taking an automatic one if need be.

    Of a timeline whose tree is gone it is the newest, and that is said. `on_locked` is told when all locks are held
    that this needs. Raises UnknownTimelineError, also for one of which nothing is left.
    """
    tree = find_tree(workspace.store.layout, workspace.repository, name)
    if tree is None or not tree.is_dir():
        return _newest(workspace, name)
    there = workspace if name == workspace.timeline else workspace_at(workspace, name, tree)
    summary = f"timeline {name} as it was"
    return create(there, summary, trigger=Trigger.AUTOMATIC, on_locked=on_locked).checkpoint_id


def _newest(workspace: Workspace, name: str) -> str:
    catalog = workspace.store.catalog
    rows = catalog.list_checkpoints(name, limit=1, safety=False) or catalog.list_checkpoints(name, limit=1)
    if not rows:
        raise UnknownTimelineError(
            f"of timeline {display(name)} nothing is left, neither a working tree nor a checkpoint",
            hint="it was deleted or taken back; `chrono undo` or `chrono redo` may bring it back",
        )
    newest = rows[0].checkpoint_id
    notice = f"the working tree of timeline {display(name)} is gone; its newest checkpoint {newest} is used"
    workspace.notices += [notice] if notice not in workspace.notices else []
    return newest


@contextmanager
def holding(workspace: Workspace, name: str) -> Iterator[Callable[[], str]]:
    """`hold` the state of another timeline beside the work of the block, which gets what waits for the id.

    The block begins when the locks are held: whoever takes those of another timeline in it waits for nobody who waits
    for this one, and two that hold each other's timelines cannot block each other. Raises UnknownTimelineError.
    """
    find_tree(workspace.store.layout, workspace.repository, name)
    is_locked = threading.Event()

    def work() -> str:
        store = workspace.store
        try:
            with closing(Store(store.layout, store.config, store.id, is_sound=store.is_sound)) as own:
                return hold(msgspec.structs.replace(workspace, store=own), name, is_locked.set)
        finally:
            is_locked.set()

    held = in_background(work)
    try:
        _ = workspace.repository.command  # asks git for its settings, as the block would when it begins
        is_locked.wait()
        yield held
    finally:
        with suppress(ChronosError):  # it was raised in the block already, or something worse was
            held()
