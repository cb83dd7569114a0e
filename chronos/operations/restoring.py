"""Restore, undo and redo: plan, show, safety checkpoint, journal, apply, verify, record.

A restore is a change set made from two states. An undo is the change set of an operation, inverted; a redo is that of
an undo, inverted. Each is logged with its own change set, so any number of steps can be walked both ways.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    ABSENT,
    JOURNAL_FORMAT,
    Applied,
    BlobSource,
    Capture,
    CapturePolicy,
    ChangeSet,
    CheckpointMove,
    IndexChange,
    Journal,
    JournalKind,
    Judge,
    Kept,
    Options,
    Plan,
    Planner,
    SideKind,
    Sides,
    StagedState,
    State,
    Store,
    StoreChange,
    StorePlanner,
    Trigger,
    capture_in_memory,
    drop_blocked,
    linked_repository,
    open_checkpoint,
    side_on_disk,
)
from chronos.errors import ChangedMeanwhileError, IntegrityError, StateError, VerifyFailedError
from chronos.files import SafeRoot, TreePath, display, unescape
from chronos.git import Repository, wait_for_index
from chronos.memory import StorePlace
from chronos.operations.journals import carry_out, check_settled, read_changes, settle
from chronos.operations.log import (
    Operation,
    OperationKind,
    append,
    new_operation_id,
    stamp,
)
from chronos.operations.memory import check_stores, is_readable_place, lost_chunks_of, place_at, places_of
from chronos.operations.shelf import move_checkpoints
from chronos.operations.stack import next_step
from chronos.operations.trees import hold_tree, settle_trees, take_tree_back
from chronos.operations.workspace import Workspace
from chronos.pool import ContentSink, HashingSink

_ATTEMPTS = 2


class Outcome(msgspec.Struct, frozen=True):
    """What a restore, undo or redo did. `safety` is the checkpoint that holds the state before, if anything changed.

    `stores` are the names of the memory stores that were replaced.
    """

    operation: str | None
    summary: str
    plan: Plan
    safety: str | None
    written: int
    deleted: int
    kept: tuple[Kept, ...]
    warnings: tuple[str, ...]
    stores: tuple[str, ...]


class Prepared(msgspec.Struct):
    """A plan against a fresh capture, with all that it takes to carry it out."""

    plan: Plan
    present: Capture
    repositories: dict[TreePath, Repository]
    replan: Callable[[Capture], Plan]


Prepare = Callable[[Capture, ContentSink], Prepared]


def plan_restore(workspace: Workspace, row: CheckpointRow, options: Options) -> Plan:
    """Return what a restore of `row` would do, from a capture in memory. Raises InterruptedOperationError."""
    with workspace.store.working_on(workspace.timeline):
        check_settled(workspace)
        state = workspace.store.read_checkpoint(row)
        check_stores(state, options)
        policy = workspace.policy(options.forced, places_of(workspace, state))
        capture = capture_in_memory(workspace.store, workspace.repository, policy)
        return _prepare_restore(workspace, state, options, capture, HashingSink()).plan


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
        policy = workspace.policy(options.forced, places_of(workspace, state))
        return execute(workspace, task, policy, prepare, expected)


def plan_step(workspace: Workspace, kind: OperationKind, options: Options) -> tuple[Operation, Plan]:
    """Return the operation that `undo` or `redo` would take back, and what that would do.

    Raises NothingToUndoError, InterruptedOperationError.
    """
    with workspace.store.working_on(workspace.timeline):
        check_settled(workspace)
        operation = next_step(workspace.store, workspace.timeline, kind)
        if operation.tree is not None:
            return operation, _plan_tree(operation)
        policy = _policy_of_step(workspace, operation)
        capture = capture_in_memory(workspace.store, workspace.repository, policy)
        return operation, _prepare_step(workspace, operation, options, capture, HashingSink()).plan


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
            plan = _plan_tree(operation)
            _check_expected(plan, expected)
            done = take_tree_back(workspace, operation, kind, summary)
            return Outcome(done.operation, summary, plan, None, 0, 0, (), (), ())
        if not operation.has_changes:
            _check_expected(Plan(ChangeSet(), operation=operation.operation), expected)
            move_checkpoints(store, moves)
            done = Operation(
                new_operation_id(), kind, workspace.timeline, stamp(), summary, moves, undoes=operation.operation
            )
            append(store, done)
            return Outcome(done.operation, summary, Plan(ChangeSet()), None, 0, 0, (), (), ())
        verb: JournalKind = "undo" if kind is OperationKind.UNDO else "redo"
        task = Task(verb, summary, f"before {summary}", undoes=operation.operation, checkpoints=moves)
        prepare = partial(_prepare_step, workspace, operation, options)
        return execute(workspace, task, _policy_of_step(workspace, operation), prepare, expected)


def _plan_tree(operation: Operation) -> Plan:
    """What taking back a timeline's coming or going does, in words."""
    move = operation.tree
    assert move is not None
    plan = Plan(ChangeSet(), operation=operation.operation)
    verb = "goes, with its checkpoints; undo brings it back" if move.live else "comes back, as it was"
    plan.warnings.append(f"the working tree of timeline {move.timeline} {verb}")
    return plan


def _hold_departing(workspace: Workspace, kind: OperationKind) -> None:
    """Take a checkpoint of a tree that the next step takes away: it needs the locks that a create needs."""
    move = None
    with workspace.store.working_on(workspace.timeline), suppress(StateError, IntegrityError):
        operation = next_step(workspace.store, workspace.timeline, kind)
        move = operation.tree
    if move is not None and move.live:
        hold_tree(workspace, move.timeline, f"before {kind.value} {_plain_summary(operation)}"[:120])


class Task(msgspec.Struct, frozen=True):
    """What is done, as the journal says it, and what the safety checkpoint is called.

    With `seals` a checkpoint of that name is taken when all is done.
    """

    kind: JournalKind
    summary: str
    safety_name: str
    target: str | None = None
    undoes: str | None = None
    checkpoints: tuple[CheckpointMove, ...] = ()
    seals: str | None = None


def execute(workspace: Workspace, task: Task, policy: CapturePolicy, prepare: Prepare, expected: str | None) -> Outcome:
    """Capture, plan, seal the safety checkpoint and carry the plan out. What changes nothing leaves nothing behind.

    What will be replaced is read back from the pool first: where a pack turns out to be damaged, its chunks are
    distrusted and the safety checkpoint is taken again, with bytes of its own.
    """
    store, request = workspace.store, workspace.request(task.safety_name[:120], Trigger.SAFETY)
    for _ in range(_ATTEMPTS):
        with open_checkpoint(store, workspace.repository, policy, request) as safety:
            prepared = prepare(safety.capture, safety.sink)
            plan = prepared.plan
            _check_expected(plan, expected)
            if plan.change_set.is_empty and task.undoes is None:
                return Outcome(None, task.summary, plan, None, 0, 0, tuple(plan.kept), tuple(plan.warnings), ())
            for change in plan.change_set.indexes:
                wait_for_index(prepared.repositories[change.component])
            held_by = safety.seal().checkpoint_id
            lost = _lost_chunks(store, plan)
            if not lost:
                _check_contents(workspace, prepared)
                return _apply(workspace, task, prepared, held_by)
        store.distrust(lost)
    raise IntegrityError("the bytes that would be replaced cannot be read back from the store; nothing was touched")


def _apply(workspace: Workspace, task: Task, prepared: Prepared, safety: str) -> Outcome:
    plan = prepared.plan
    journal = Journal(
        JOURNAL_FORMAT, new_operation_id(), task.kind, workspace.timeline, task.summary, safety, plan.change_set,
        task.target, task.undoes, task.checkpoints, task.seals,
    )  # fmt: skip
    seen = {path: part.index_identity for path, part in prepared.present.components.items()}
    applied = carry_out(workspace, journal, prepared.repositories, partial(_verify, workspace, prepared), seen)
    kept, warnings = (*plan.kept, *applied.kept), (*plan.warnings, *applied.warnings)
    return Outcome(
        journal.operation, task.summary, plan, safety, applied.written, applied.deleted, kept, warnings,
        tuple(applied.stores),
    )  # fmt: skip


def _lost_chunks(store: Store, plan: Plan) -> list[bytes]:
    """Return the chunks of what the plan replaces or deletes that cannot be read back; git holds clean blobs."""
    lost = []
    for change in plan.change_set.changes:
        if change.before.content is not None and change.before.blob is None:
            lost += store.pool.damaged_chunks(change.before.content)
    for stores in plan.change_set.stores:
        lost += lost_chunks_of(store, stores)
    return lost


def _inside(workspace: Workspace, changes: tuple[StoreChange, ...]) -> list[StorePlace]:
    seen = (change for change in changes if is_readable_place(workspace, change.path))
    inside = ((change, change.after or change.before) for change in seen)
    return [place_at(workspace, change.name, side.kind, change.path) for change, side in inside if side is not None]


def _policy_of_step(workspace: Workspace, operation: Operation) -> CapturePolicy:
    """The paths of an operation are taken in when it is taken back, even those that git ignores now."""
    changes = read_changes(workspace.store, operation)
    stores = _inside(workspace, changes.stores)
    return workspace.policy(frozenset(change.path for change in changes.changes), stores)


def plan_towards(
    workspace: Workspace, state: State, options: Options, present: Capture, sink: ContentSink | None
) -> tuple[Plan, Planner]:
    """Return the plan that gives the tree and its memory stores `state`, from a capture of what is there now."""
    with workspace.store.temporary_folder() as scratch:
        planner = Planner(state, present, options, workspace.store.pool, scratch, sink)
        plan = planner.restore()
        stores = StorePlanner(present.state, workspace.places(), options, plan).towards(state, planner)
        plan.change_set = msgspec.structs.replace(plan.change_set, stores=stores)
        return plan, planner


def _prepare_restore(
    workspace: Workspace, state: State, options: Options, capture: Capture, sink: ContentSink
) -> Prepared:
    plan, planner = plan_towards(workspace, state, options, capture, sink)

    def replan(present: Capture) -> Plan:
        return plan_towards(workspace, state, options, present, HashingSink())[0]

    return Prepared(plan, capture, planner.repositories, replan)


def _prepare_step(
    workspace: Workspace, operation: Operation, options: Options, capture: Capture, _sink: ContentSink
) -> Prepared:
    wanted = read_changes(workspace.store, operation).inverted()

    def make(present: Capture) -> Plan:
        plan = _plan_back(workspace.root, wanted, present, options)
        stores = StorePlanner(present.state, workspace.places(), options, plan).back(
            wanted.stores, overwrite=options.overwrite
        )
        plan.change_set = msgspec.structs.replace(plan.change_set, stores=stores)
        plan.operation = operation.operation
        return plan

    return Prepared(make(capture), capture, _repositories(wanted, capture), make)


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
        found = (judge.change_back(change, overwrite=options.overwrite) for change in wanted.changes)
        changes = drop_blocked([change for change in found if change is not None], root, plan, wanted.links)
    indexes = tuple(change for change in wanted.indexes if _index_may_change(plan, present, change, options))
    plan.change_set = ChangeSet(tuple(changes), indexes, wanted.head, wanted.links)
    return plan


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


def _check_expected(plan: Plan, expected: str | None) -> None:
    if expected is not None and plan.plan_id != expected:
        raise ChangedMeanwhileError("the tree changed since the plan was made; nothing was touched")


def _check_contents(workspace: Workspace, prepared: Prepared) -> None:
    """Read everything that will be written before anything is touched. Raises IntegrityError or GitFailedError."""
    pool, plan = workspace.store.pool, prepared.plan
    with BlobSource(prepared.repositories) as blobs:
        for change in plan.writes:
            if change.after.blob is not None:
                blobs.read(change.path, change.after)
            elif change.after.content is not None:
                for _ in pool.iter_content(change.after.content):
                    pass
    for index in plan.change_set.indexes:
        for content in (row.content for row in index.after.staged if row.content is not None):
            pool.read_content(content)


def _verify(workspace: Workspace, prepared: Prepared, applied: Applied) -> None:
    """Hash what was written, and capture and plan again: what differs or is still to do, and was not kept, is wrong.

    A path that was not in the plan and is now was changed by somebody else meanwhile: that is said. A restored
    `.gitignore` can bring paths into sight that nobody looked at before; they were not touched.
    """
    changes = prepared.plan.change_set.changes
    written = frozenset(change.path for change in changes if change.after.kind is not SideKind.ABSENT)
    stores = _inside(workspace, prepared.plan.change_set.stores)
    capture = capture_in_memory(workspace.store, workspace.repository, workspace.policy(written, stores))
    before = prepared.present.state
    planned = {change.path for change in changes} | {unescape(store.path) for store in prepared.plan.change_set.stores}
    replanned = prepared.replan(capture).change_set
    again = {c.path for c in replanned.changes if not before.is_left_out(c.path)}
    again |= {unescape(store.path) for store in replanned.stores}
    others = ", ".join(display(path) for path in sorted(again - planned)[:10])
    if others:
        applied.warnings.append(f"changed by somebody else meanwhile, and not touched: {others}")
    differing = again & planned
    with SafeRoot(workspace.root) as tree:
        for change in changes:
            if (side_on_disk(tree, change.path) or ABSENT) != change.after.on_disk():
                differing.add(change.path)
    kept = {row.path for row in (*applied.kept, *prepared.plan.kept)}
    left = [display(path) for path in sorted(differing - kept)]
    if left:
        more = f" and {len(left) - 10} more" if len(left) > 10 else ""
        raise VerifyFailedError(f"after the restore these paths differ: {', '.join(left[:10])}{more}")


def _plain_summary(operation: Operation) -> str:
    return operation.summary.removeprefix("undo ").removeprefix("redo ")
