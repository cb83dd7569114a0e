"""Restore, undo and redo: plan, show, safety checkpoint, journal, apply, verify, record.

A restore is a change set made from two states. An undo is the change set of an operation, inverted; a redo is that of
an undo, inverted. Each is logged with its own change set, so any number of steps can be walked both ways.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    ABSENT,
    JOURNAL_FORMAT,
    Applied,
    BlobSource,
    Capture,
    ChangeSet,
    CodeState,
    IndexChange,
    Journal,
    JournalKind,
    Judge,
    Kept,
    Options,
    PendingCheckpoint,
    Plan,
    Planner,
    SideKind,
    Sides,
    StagedState,
    Trigger,
    capture_in_memory,
    drop_blocked,
    open_checkpoint,
    side_on_disk,
)
from chronos.errors import ChangedMeanwhileError, NothingToUndoError, VerifyFailedError
from chronos.files import SafeRoot, TreePath, display
from chronos.git import Repository, wait_for_index
from chronos.operations.checkpoints import move_checkpoint
from chronos.operations.journals import carry_out, read_changes, settle
from chronos.operations.log import (
    CheckpointMove,
    Operation,
    OperationKind,
    append,
    new_operation_id,
    read_operations,
    stamp,
)
from chronos.operations.stack import build_stack
from chronos.operations.workspace import Workspace


class Outcome(msgspec.Struct, frozen=True):
    """What a restore, undo or redo did. `safety` is the checkpoint that holds the state before, if anything changed."""

    operation: str | None
    summary: str
    plan: Plan
    safety: str | None
    written: int
    deleted: int
    kept: tuple[Kept, ...]
    warnings: tuple[str, ...]


class _Prepared(msgspec.Struct):
    """A plan against a fresh capture, with all that it takes to carry it out."""

    plan: Plan
    present: Capture
    repositories: dict[TreePath, Repository]
    replan: Callable[[Capture], Plan]


def plan_restore(workspace: Workspace, row: CheckpointRow, options: Options) -> Plan:
    """Return what a restore of `row` would do, from a capture in memory."""
    with workspace.store.working_on(workspace.timeline):
        workspace.notices += settle(workspace)
        state = _read_target(workspace, row)
        capture = capture_in_memory(workspace.store, workspace.repository, workspace.policy(options.forced))
        return _prepare_restore(workspace, state, capture, options).plan


def restore(workspace: Workspace, row: CheckpointRow, options: Options, expected: str | None = None) -> Outcome:
    """Restore a checkpoint. `expected` is the plan id that was shown; a tree that changed since then is left alone.

    Raises ChangedMeanwhileError, IntegrityError (before anything is touched), StorageError, VerifyFailedError.
    """
    store = workspace.store
    with store.working_on(workspace.timeline):
        workspace.notices += settle(workspace)
        state = _read_target(workspace, row)
        with _open_safety(workspace, f"before restore of {row.name}", options.forced) as safety:
            prepared = _prepare_restore(workspace, state, safety.capture, options)
            _check_expected(prepared.plan, expected)
            summary = f"restore {row.name}"
            return _execute(workspace, prepared, "restore", summary, safety, target=row.checkpoint_id)


def plan_step(workspace: Workspace, kind: OperationKind, options: Options) -> tuple[Operation, Plan]:
    """Return the operation that `undo` or `redo` would take back, and what that would do. Raises NothingToUndoError."""
    with workspace.store.working_on(workspace.timeline):
        workspace.notices += settle(workspace)
        operation = _next_step(workspace, kind)
        policy = workspace.policy(_touched(workspace, operation))
        capture = capture_in_memory(workspace.store, workspace.repository, policy)
        return operation, _prepare_step(workspace, operation, capture, options).plan


def step(workspace: Workspace, kind: OperationKind, options: Options, expected: str | None = None) -> Outcome:
    """Undo or redo one operation. Raises NothingToUndoError, and what `restore` raises."""
    store = workspace.store
    with store.exclusively():
        workspace.notices += settle(workspace)
        operation = _next_step(workspace, kind)
        moves = tuple(CheckpointMove(move.checkpoint_id, not move.live) for move in operation.checkpoints)
        summary = f"{kind.value} {_plain_summary(operation)}"
        if not operation.has_changes:
            _check_expected(Plan(ChangeSet(), operation=operation.operation), expected)
            _move_checkpoints(workspace, moves)
            done = Operation(
                new_operation_id(), kind, workspace.timeline, stamp(), summary, moves, undoes=operation.operation
            )
            append(store, done)
            return Outcome(done.operation, summary, Plan(ChangeSet()), None, 0, 0, (), ())
        with _open_safety(workspace, f"before {summary}", _touched(workspace, operation)) as safety:
            prepared = _prepare_step(workspace, operation, safety.capture, options)
            _check_expected(prepared.plan, expected)
            verb: JournalKind = "undo" if kind is OperationKind.UNDO else "redo"
            return _execute(workspace, prepared, verb, summary, safety, undoes=operation.operation)


def _execute(
    workspace: Workspace, prepared: _Prepared, kind: JournalKind, summary: str, safety: PendingCheckpoint,
    *, target: str | None = None, undoes: str | None = None,
) -> Outcome:  # fmt: skip
    """Seal the safety checkpoint and carry the plan out. A restore that changes nothing leaves nothing behind."""
    plan = prepared.plan
    if plan.change_set.is_empty and undoes is None:
        return Outcome(None, summary, plan, None, 0, 0, tuple(plan.kept), tuple(plan.warnings))
    _check_contents(workspace, plan, prepared.repositories)
    for change in plan.change_set.indexes:
        wait_for_index(prepared.repositories[change.component])
    held_by = safety.seal().checkpoint_id
    journal = Journal(
        JOURNAL_FORMAT,
        new_operation_id(),
        kind,
        workspace.timeline,
        summary,
        held_by,
        plan.change_set,
        target,
        undoes,
    )

    def verify(applied: Applied) -> None:
        _verify(workspace, prepared, applied)

    seen = {path: part.index_identity for path, part in prepared.present.components.items()}
    applied = carry_out(workspace, journal, prepared.repositories, verify, seen)
    warnings = (*plan.warnings, *applied.warnings)
    return Outcome(
        journal.operation,
        summary,
        plan,
        held_by,
        applied.written,
        applied.deleted,
        (*plan.kept, *applied.kept),
        warnings,
    )


def _read_target(workspace: Workspace, row: CheckpointRow) -> CodeState:
    manifest = workspace.store.read_manifest(row.timeline, row.checkpoint_id)
    return workspace.store.read_state(manifest)


def _open_safety(
    workspace: Workspace, name: str, forced: frozenset[TreePath]
) -> AbstractContextManager[PendingCheckpoint]:
    request = workspace.request(name[:120], Trigger.SAFETY)
    return open_checkpoint(workspace.store, workspace.repository, workspace.policy(forced), request)


def _prepare_restore(workspace: Workspace, state: CodeState, capture: Capture, options: Options) -> _Prepared:
    def make(present: Capture) -> tuple[Plan, Planner]:
        with workspace.store.temporary_folder() as scratch:
            planner = Planner(state, present, options, workspace.store.pool, scratch)
            return planner.restore(), planner

    plan, planner = make(capture)
    return _Prepared(plan, capture, planner.repositories, lambda present: make(present)[0])


def _touched(workspace: Workspace, operation: Operation) -> frozenset[TreePath]:
    """The paths of an operation: taken in by force when it is taken back, even those that git ignores now."""
    return frozenset(change.path for change in read_changes(workspace.store, operation).changes)


def _prepare_step(workspace: Workspace, operation: Operation, capture: Capture, options: Options) -> _Prepared:
    wanted = read_changes(workspace.store, operation).inverted()

    def make(present: Capture) -> Plan:
        plan = _plan_back(workspace.root, wanted, present, options)
        plan.operation = operation.operation
        return plan

    repositories = {path: part.repository for path, part in capture.components.items()}
    return _Prepared(make(capture), capture, repositories, make)


def _plan_back(root: Path, wanted: ChangeSet, present: Capture, options: Options) -> Plan:
    plan = Plan(ChangeSet())
    repositories = {path: part.repository for path, part in present.components.items()}
    sides = Sides(present.state, repositories)
    sides.load([change.path for change in wanted.changes])
    with SafeRoot(root) as tree, BlobSource(repositories) as blobs:
        judge = Judge(tree, blobs, sides, plan)
        found = (judge.change_back(change, overwrite=options.overwrite) for change in wanted.changes)
        changes = drop_blocked([change for change in found if change is not None], root, plan)
    indexes = tuple(change for change in wanted.indexes if _index_may_change(plan, present, change, options))
    plan.change_set = ChangeSet(tuple(changes), indexes, wanted.head, wanted.head_undo)
    return plan


def _index_may_change(plan: Plan, present: Capture, change: IndexChange, options: Options) -> bool:
    """Put an index back only from where the operation left it: what was staged since is kept."""
    component = present.state.components.get(change.component)
    if component is None:
        return False
    now = StagedState(component.head, tuple(component.staged), tuple(component.hidden))
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


def _check_contents(workspace: Workspace, plan: Plan, repositories: dict[TreePath, Repository]) -> None:
    """Read everything that will be written before anything is touched. Raises IntegrityError or GitFailedError."""
    with BlobSource(repositories) as blobs:
        for change in plan.writes:
            if change.after.blob is not None:
                blobs.read(change.path, change.after)
            elif change.after.content is not None:
                for _ in workspace.store.pool.iter_content(change.after.content):
                    pass
    for index in plan.change_set.indexes:
        for content in (row.content for row in index.after.staged if row.content is not None):
            workspace.store.pool.read_content(content)


def _verify(workspace: Workspace, prepared: _Prepared, applied: Applied) -> None:
    """Hash what was written, and capture and plan again: what differs or is still to do, and was not kept, is wrong.

    A restored `.gitignore` can bring paths into sight that nobody looked at before; they were not touched.
    """
    changes = prepared.plan.change_set.changes
    written = frozenset(change.path for change in changes if change.after.kind is not SideKind.ABSENT)
    capture = capture_in_memory(workspace.store, workspace.repository, workspace.policy(written))
    before = prepared.present.state
    differing = {c.path for c in prepared.replan(capture).change_set.changes if not before.is_left_out(c.path)}
    with SafeRoot(workspace.root) as tree:
        for change in changes:
            if (side_on_disk(tree, change.path) or ABSENT) != change.after.on_disk():
                differing.add(change.path)
    kept = {row.path for row in (*applied.kept, *prepared.plan.kept)}
    left = [display(path) for path in sorted(differing - kept)]
    if left:
        more = f" and {len(left) - 10} more" if len(left) > 10 else ""
        raise VerifyFailedError(f"after the restore these paths differ: {', '.join(left[:10])}{more}")


def _next_step(workspace: Workspace, kind: OperationKind) -> Operation:
    stack = build_stack(read_operations(workspace.store, workspace.timeline))
    steps = stack.done if kind is OperationKind.UNDO else stack.undone
    if not steps:
        raise NothingToUndoError(f"nothing to {kind.value} on timeline {workspace.timeline}")
    return steps[-1]


def _plain_summary(operation: Operation) -> str:
    return operation.summary.removeprefix("undo ").removeprefix("redo ")


def _move_checkpoints(workspace: Workspace, moves: tuple[CheckpointMove, ...]) -> None:
    for move in moves:
        row = workspace.store.catalog.find_checkpoint(move.checkpoint_id)
        if row is None:
            raise NothingToUndoError(f"checkpoint {move.checkpoint_id} is gone for good: gc took it")
        if row.deleted == move.live:
            move_checkpoint(workspace.store, row, live=move.live)
