"""Undo and redo: the change set of a logged operation, inverted, and again; or what it moved, moved back.

Each is logged with its own change set, so any number of steps can be walked both ways.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from chronos.checkpoints import (
    BlobSource,
    Capture,
    CapturePolicy,
    ChangeSet,
    CheckpointMove,
    IndexChange,
    JournalKind,
    Judge,
    Kept,
    Options,
    Plan,
    Sides,
    StagedState,
    StorePlanner,
    capture_in_memory,
    drop_blocked,
    linked_repository,
    with_stores_of_files,
)
from chronos.errors import IntegrityError, StateError
from chronos.files import SafeRoot, TreePath, display
from chronos.git import Repository
from chronos.operations.effects import effects_after
from chronos.operations.executing import Outcome, Prepared, Task, check_expected, execute, inside_places
from chronos.operations.journals import check_settled, read_changes, settle
from chronos.operations.log import (
    Operation,
    OperationKind,
    append,
    new_operation_id,
    stamp,
)
from chronos.operations.shelf import move_checkpoints
from chronos.operations.stack import next_step
from chronos.operations.tree_settling import settle_trees
from chronos.operations.trees import find_kept_branch, hold_tree, take_tree_back
from chronos.operations.workspace import Workspace
from chronos.pool import ContentSink, HashingSink


def plan_step(workspace: Workspace, kind: OperationKind, options: Options) -> tuple[Operation, Plan]:
    """Return the operation that `undo` or `redo` would take back, and what that would do.

    Raises NothingToUndoError, InterruptedOperationError.
    """
    with workspace.store.working_on(workspace.timeline):
        check_settled(workspace)
        operation = next_step(workspace.store, workspace.timeline, kind)
        if operation.tree is not None:
            return operation, _plan_tree(workspace, operation)
        policy = _policy_of_step(workspace, operation)
        capture = capture_in_memory(workspace.store, workspace.repository, policy)
        plan = _prepare_step(workspace, operation, options, capture, HashingSink()).plan
        plan.effects = effects_after(workspace.store, workspace.timeline, operation)
        return operation, plan


def step(workspace: Workspace, kind: OperationKind, options: Options, expected: str | None = None) -> Outcome:
    """Undo or redo one operation. Raises NothingToUndoError, and what `restore` raises."""
    store = workspace.store
    _hold_departing(workspace, kind)
    with store.exclusively():
        workspace.notices += settle_trees(workspace) + settle(workspace)
        operation = next_step(store, workspace.timeline, kind)
        moves = tuple(CheckpointMove(move.checkpoint_id, not move.live) for move in operation.checkpoints)
        summary = f"{kind.value} {_plain_summary(operation)}"
        if operation.tree is not None:
            plan = _plan_tree(workspace, operation)
            check_expected(plan, expected)
            done = take_tree_back(workspace, operation, kind, summary)
            kept = tuple(plan.warnings[1:])  # the first says what is done now
            return Outcome(done.operation, summary, plan, None, 0, 0, (), kept, ())
        if not operation.has_changes:
            check_expected(Plan(ChangeSet(), operation=operation.operation), expected)
            move_checkpoints(store, moves)
            done = Operation(
                new_operation_id(), kind, workspace.timeline, stamp(), summary, moves, undoes=operation.operation
            )
            append(store, done)
            return Outcome(done.operation, summary, Plan(ChangeSet()), None, 0, 0, (), (), ())
        verb: JournalKind = "undo" if kind is OperationKind.UNDO else "redo"
        task = Task(verb, summary, f"before {summary}", undoes=operation.operation, checkpoints=moves)
        prepare = partial(_prepare_step, workspace, operation, options)
        effects = effects_after(store, workspace.timeline, operation)
        outcome = execute(workspace, task, _policy_of_step(workspace, operation), prepare, expected)
        outcome.plan.effects = effects
        return outcome


def _plan_tree(workspace: Workspace, operation: Operation) -> Plan:
    """What taking back a timeline's coming or going does, in words: with the tree, and then what stays of it."""
    move = operation.tree
    assert move is not None
    plan = Plan(ChangeSet(), operation=operation.operation)
    verb = "goes, with its checkpoints; undo brings it back" if move.live else "comes back, as it was"
    plan.warnings.append(f"the working tree of timeline {move.timeline} {verb}")
    kept = find_kept_branch(workspace, move.timeline) if move.live else None
    plan.warnings += [str(kept)] if kept is not None else []
    return plan


def _hold_departing(workspace: Workspace, kind: OperationKind) -> None:
    """Take a checkpoint of a tree that the next step takes away: it needs the locks that a create needs."""
    move = None
    with workspace.store.working_on(workspace.timeline), suppress(StateError, IntegrityError):
        operation = next_step(workspace.store, workspace.timeline, kind)
        move = operation.tree
    if move is not None and move.live:
        hold_tree(workspace, move.timeline, f"before {kind.value} {_plain_summary(operation)}"[:120])


def _policy_of_step(workspace: Workspace, operation: Operation) -> CapturePolicy:
    """The paths of an operation are taken in when it is taken back, even those that git ignores now."""
    changes = read_changes(workspace.store, operation)
    stores = inside_places(workspace, changes.stores)
    return workspace.policy(frozenset(change.path for change in changes.changes), stores)


def _prepare_step(
    workspace: Workspace, operation: Operation, options: Options, capture: Capture, _sink: ContentSink
) -> Prepared:
    logged, store = read_changes(workspace.store, operation).inverted(), workspace.store

    def make(present: Capture) -> Plan:
        wanted = logged
        if any(present.state.is_memory(change.path) for change in logged.changes):
            repositories = _repositories(logged, present)
            with store.temporary_folders() as make_scratch:
                wanted = with_stores_of_files(logged, present.state, repositories, store.pool, make_scratch)
        plan = _plan_back(workspace.root, wanted, present, options)
        stores = StorePlanner(present, workspace.places(), options, plan, store.pool).back(
            wanted.stores, overwrite=options.overwrite
        )
        plan.change_set = msgspec.structs.replace(plan.change_set, stores=stores)
        plan.operation = operation.operation
        return plan

    return Prepared(make(capture), capture, _repositories(logged, capture), make)


def _repositories(wanted: ChangeSet, present: Capture) -> dict[TreePath, Repository]:
    """Return the repositories that are there, and those that the submodule links of the change set lead to."""
    found = dict(present.repositories)
    for link in wanted.links:
        repository = linked_repository(found[b""], link.component, link.git_dir)
        if repository is not None:
            found.setdefault(link.component, repository)
    return found


def _plan_back(root: Path, wanted: ChangeSet, present: Capture, options: Options) -> Plan:
    plan = Plan(ChangeSet())
    repositories = _repositories(wanted, present)
    sides = Sides(present.state, repositories)
    sides.load([change.path for change in wanted.changes])
    with SafeRoot(root) as tree, BlobSource(repositories) as blobs:
        judge = Judge(tree, blobs, sides, plan)
        asked = [change for change in wanted.changes if not _is_memory(plan, present, change.path)]
        found = (judge.change_back(change, overwrite=options.overwrite) for change in asked)
        changes = [change for change in found if change is not None]

        def is_clean(path: TreePath) -> bool:
            sides.load([path])
            return sides.find(path).blob is not None

        changes = drop_blocked(changes, root, plan, wanted.links, is_there=is_clean)
    indexes = tuple(change for change in wanted.indexes if _index_may_change(plan, present, change, options))
    plan.change_set = ChangeSet(tuple(changes), indexes, wanted.head, wanted.links)
    return plan


def _is_memory(plan: Plan, present: Capture, path: TreePath) -> bool:
    """Tell whether what was code belongs to a memory store now, and then name it: it stays."""
    if not present.state.is_memory(path):
        return False
    plan.kept.append(Kept(path, "it was code, and belongs to a memory store now"))
    return True


def _index_may_change(plan: Plan, present: Capture, change: IndexChange, options: Options) -> bool:
    """Put an index back only from where the operation left it: what was staged since is kept."""
    component = present.state.components.get(change.component)
    if component is None:
        return False
    now = StagedState.of(component)
    if now == change.after:
        return False
    if now != change.before and not options.overwrite:
        name = display(change.component) or "this repository"
        plan.warnings.append(f"the index of {name} was changed since and is left alone; add --overwrite to replace it")
        return False
    return True


def _plain_summary(operation: Operation) -> str:
    return operation.summary.removeprefix("undo ").removeprefix("redo ")
