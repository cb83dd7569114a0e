"""Restore: plan, show, safety checkpoint, journal, apply, verify, record. The change set comes from two states."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    Capture,
    CapturePolicy,
    Options,
    Plan,
    Planner,
    State,
    StorePlanner,
    capture_in_memory,
    find_live_databases,
    with_code_databases,
)
from chronos.files import TreePath
from chronos.operations.effects import effects_since
from chronos.operations.executing import Outcome, Prepared, Task, execute
from chronos.operations.including import list_held_ignored
from chronos.operations.journals import check_settled, settle
from chronos.operations.memory import check_stores, places_of
from chronos.operations.workspace import Workspace
from chronos.pool import ContentSink, HashingSink

if TYPE_CHECKING:
    from chronos.checkpoints import KnownDatabases


def plan_restore(workspace: Workspace, row: CheckpointRow, options: Options) -> Plan:
    """Return what a restore of `row` would do, from a capture in memory. Raises InterruptedOperationError."""
    with workspace.store.working_on(workspace.timeline):
        check_settled(workspace)
        state = workspace.store.read_checkpoint(row)
        check_stores(state, options)
        policy = _policy_of(workspace, state, options)
        capture = capture_in_memory(workspace.store, workspace.repository, policy)
        plan = _prepare_restore(workspace, state, options, capture, HashingSink()).plan
        plan.effects = effects_since(workspace.store, workspace.timeline, row)
        return plan


def restore(workspace: Workspace, row: CheckpointRow, options: Options, expected: str | None = None) -> Outcome:
    """Restore a checkpoint. `expected` is the plan id that was shown; a tree that changed since then is left alone.

    Raises ChangedMeanwhileError, IntegrityError (before anything is touched), StorageError, VerifyFailedError.
    """
    with workspace.store.working_on(workspace.timeline):
        workspace.notices += settle(workspace)
        state = workspace.store.read_checkpoint(row)
        check_stores(state, options)
        task = Task("restore", f"restore {row.name}", f"before restore of {row.name}", target=row.checkpoint_id)
        prepare = partial(_prepare_restore, workspace, state, options)
        policy = _policy_of(workspace, state, options)
        effects = effects_since(workspace.store, workspace.timeline, row)
        outcome = execute(workspace, task, policy, prepare, expected)
        outcome.plan.effects = effects
        return outcome


def _policy_of(workspace: Workspace, state: State, options: Options) -> CapturePolicy:
    """The ignored files and the memory stores that a checkpoint has are taken in before they are replaced."""
    forced = options.forced | list_held_ignored(workspace, state, options)
    return workspace.policy(forced, places_of(workspace, state))


def plan_towards(
    workspace: Workspace, state: State, options: Options, present: Capture, sink: ContentSink | None,
    known: KnownDatabases | None = None,
) -> tuple[Plan, Planner]:  # fmt: skip
    """Return the plan that gives the tree and its memory stores `state`, from a capture of what is there now.

    `known` are committed databases that have been read for an earlier plan of the same operation.
    """
    store, known = workspace.store, known if known is not None else {}
    with store.temporary_folders() as make_scratch:

        def make_plan(databases: frozenset[TreePath]) -> tuple[Plan, Planner]:
            target, now = with_code_databases(
                (state, present.state), present.repositories, store.pool, make_scratch, sink or HashingSink(),
                databases, known,
            )  # fmt: skip
            seen = msgspec.structs.replace(present, state=now)
            planner = Planner(target, seen, options, store.pool, make_scratch, sink)
            plan = planner.restore()
            stores = StorePlanner(seen, workspace.places(), options, plan, store.pool, databases)
            plan.change_set = msgspec.structs.replace(plan.change_set, stores=stores.towards(target, planner))
            return plan, planner

        plan, planner = make_plan(frozenset())
        databases = find_live_databases(workspace.root, (change.path for change in plan.change_set.changes))
        return make_plan(databases) if databases else (plan, planner)


def _prepare_restore(
    workspace: Workspace, state: State, options: Options, capture: Capture, sink: ContentSink
) -> Prepared:
    known: KnownDatabases = {}
    plan, planner = plan_towards(workspace, state, options, capture, sink, known)

    def replan(present: Capture) -> Plan:
        return plan_towards(workspace, state, options, present, HashingSink(), known)[0]

    return Prepared(plan, capture, planner.repositories, replan)
