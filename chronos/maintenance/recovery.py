"""After a crash: finish or take back what was interrupted, and sweep what no living process owns."""

from __future__ import annotations

from chronos.maintenance.expiry import sweep_going
from chronos.operations import Workspace, settle, sweep_leftovers


def recover(workspace: Workspace, *, abort: bool = False) -> list[str]:
    """Settle interrupted operations of this timeline and sweep scratch folders; return what was done, as sentences."""
    store = workspace.store
    with store.working_on(workspace.timeline):
        done = settle(workspace, abort=abort)
        swept = store.sweep_temporary() + sweep_going(store) + sweep_leftovers(workspace)
    return done + ([f"removed {swept} left-over scratch folder{'s' if swept != 1 else ''}"] if swept else [])
