"""After a crash: finish or take back what was interrupted, and sweep what no living process owns."""

from __future__ import annotations

from chronos.maintenance.expiry import find_bare_timelines, remove_bare_timelines, sweep_going
from chronos.operations import Workspace, list_notes, settle, settle_trees, sweep_leftovers


def recover(workspace: Workspace, *, abort: bool = False) -> list[str]:
    """Settle interrupted operations of this timeline and sweep scratch folders; return what was done, as sentences."""
    store, done = workspace.store, list[str]()
    if list_notes(store):
        with store.exclusively():
            done += settle_trees(workspace)
    with store.working_on(workspace.timeline):
        done += settle(workspace, abort=abort)
        swept = store.sweep_temporary() + sweep_going(store) + sweep_leftovers(workspace)
    if find_bare_timelines(store):
        with store.exclusively():
            swept += remove_bare_timelines(store)
    return done + ([f"removed {swept} left-over scratch folder{'s' if swept != 1 else ''}"] if swept else [])
