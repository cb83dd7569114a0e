"""What runs by itself: retention after a create when it is due, and gc when a checkpoint would not fit.

It never waits for anybody, and its failure is a notice: the checkpoint that it follows is sealed. Retention is one
rename a checkpoint; packs are swept when what went may have left enough dead, an hour apart, for as much as it pays.
"""

from __future__ import annotations

from collections.abc import Sequence

from chronos import clock
from chronos.catalog import CheckpointRow
from chronos.checkpoints import Store
from chronos.errors import ChronosError, LockedError
from chronos.maintenance.due import note_kept, put_off
from chronos.maintenance.expiry import (
    expire_automatic,
    expire_others,
    folder_of,
    plan_expiry,
    rules_of,
    sweep_going,
)
from chronos.maintenance.marking import read_manifest_in
from chronos.operations import Workspace

_DEAD = "dead-bytes"
_SWEPT = "swept"
_PERIOD_NS = 3600 * 10**9
_LEAST_DEAD_BYTES = 64 * 1024 * 1024
_LEAST_DEAD = 0.25


def look_after(workspace: Workspace) -> None:
    """Apply retention, and sweep the packs when enough of them may be dead; skipped while anybody else is at work."""
    store = workspace.store
    try:
        with store.exclusively(timeout_s=0):
            plan = plan_expiry(store, rules_of(store))
            workspace.notices += plan.obstacles
            dead_bytes = _known_dead(store) + _guess_dead(store, plan.going)
            expire_automatic(store, plan)
            expire_others(store, plan)
            sweep_going(store)
            store.catalog.set_fact(_DEAD, str(dead_bytes).encode())
            note_kept(store)
            put_off(store)
        if _is_worth_sweeping(store, dead_bytes):
            _sweep(workspace)
    except LockedError:
        return  # the next create tries again
    except ChronosError as cause:
        workspace.notices.append(f"the checkpoint is sealed; cleaning up after it failed: {cause.message}")


def make_room(workspace: Workspace) -> bool:
    """Give back all that no checkpoint needs; tell whether that was anything. Raises what `run_gc` raises."""
    if not workspace.config.auto_gc:
        return False
    from chronos.maintenance.gc import SHORT_OF_SPACE, run_gc

    plan = run_gc(workspace, least_dead=SHORT_OF_SPACE).plan
    return not plan.is_empty


def _sweep(workspace: Workspace) -> None:
    from chronos.maintenance.gc import run_gc  # 4 ms, and once at its limit a timeline has retention at every create
    from chronos.maintenance.sweep import Fate

    store = workspace.store
    outcome = run_gc(workspace, timeout_s=0)
    workspace.notices += outcome.problems
    swept = outcome.plan.sweep
    left_bytes = sum(pack.dead_bytes for pack in swept.with_fate(Fate.KEEP)) if swept is not None else 0
    store.catalog.set_fact(_DEAD, str(left_bytes).encode())
    store.catalog.set_fact(_SWEPT, str(clock.now_ns()).encode())


def _is_worth_sweeping(store: Store, dead_bytes: int) -> bool:
    if dead_bytes < max(_LEAST_DEAD_BYTES, _LEAST_DEAD * store.catalog.stored_bytes()):
        return False
    since_ns = clock.now_ns() - int(store.catalog.find_fact(_SWEPT) or 0)
    return not 0 <= since_ns < _PERIOD_NS


def _known_dead(store: Store) -> int:
    return int(store.catalog.find_fact(_DEAD) or 0)


def _guess_dead(store: Store, going: Sequence[CheckpointRow]) -> int:
    """Guess what checkpoints leave dead: what they brought in, or an average where gc has rewritten that since."""
    if not going:
        return 0
    sizes = {timeline: store.catalog.pack_sizes(timeline) for timeline in {row.timeline for row in going}}
    average = store.catalog.stored_bytes() // max(1, store.catalog.count_checkpoints())
    guess = 0
    for row in going:
        try:
            packs = read_manifest_in(folder_of(store, row)).packs
        except ChronosError:
            packs = ()
        guess += sum(sizes[row.timeline].get(name, average) for name in packs)
    return guess
