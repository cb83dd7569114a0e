"""Which operations can be undone and redone on a timeline, from the log alone, and stepping over one that cannot."""

from __future__ import annotations

import msgspec

from chronos.checkpoints import Store
from chronos.errors import DamagedJournalError, IntegrityError, NothingToUndoError, StateError
from chronos.operations.grace import GRACE
from chronos.operations.journals import read_changes, settle
from chronos.operations.log import (
    Operation,
    OperationKind,
    append,
    is_unreadable,
    new_operation_id,
    read_operations,
    stamp,
)
from chronos.operations.shelf import find_folder
from chronos.operations.trees import check_possible
from chronos.operations.workspace import Workspace

_HINT = "step over it with `chrono undo --skip`, which changes no file; checkpoints restore as ever"


class Stack(msgspec.Struct):
    """`done` can be undone from its end, down to one that cannot be read; `undone` can be redone from its end.

    `has_ended` says that there were operations before these, whose grace is over.
    """

    done: list[Operation] = msgspec.field(default_factory=list)
    undone: list[Operation] = msgspec.field(default_factory=list)
    has_ended: bool = False

    @property
    def undoable(self) -> list[Operation]:
        """What `undo` reaches, in the order of the log."""
        stops = [place for place, operation in enumerate(self.done) if is_unreadable(operation)]
        return self.done[stops[-1] + 1 :] if stops else self.done


def build_stack(operations: list[Operation]) -> Stack:
    """Replay a timeline's operations. A new operation clears what could be redone; nothing automatic does."""
    stack = Stack()
    for operation in operations:
        if operation.kind is OperationKind.UNDO:
            _take(stack.done, operation.undoes)
            stack.undone.append(operation)
        elif operation.kind is OperationKind.REDO:
            _take(stack.undone, operation.undoes)
            stack.done.append(operation)
        elif operation.kind is OperationKind.SKIP:
            _take(stack.done, operation.undoes)
        elif operation.kind is not OperationKind.GC:
            stack.done.append(operation)
            stack.undone.clear()
    ended = find_ended(operations)
    for steps in (stack.done, stack.undone):
        left = [step for step in steps if step.operation not in ended]
        stack.has_ended |= len(left) < len(steps)
        steps[:] = left
    return stack


def find_ended(operations: list[Operation]) -> set[str]:
    """Return the ids of operations that gc put an end to: past their grace, or about checkpoints that are gone."""
    ended: set[str] = set()
    earlier: dict[str, list[Operation]] = {}
    for operation in operations:
        own = earlier.setdefault(operation.timeline, [])
        if operation.kind is not OperationKind.GC:
            own.append(operation)
            continue
        ids = [step.operation for step in own]
        ended.update(ids[: ids.index(operation.undoes) + 1] if operation.undoes in ids else ())
        gone = {move.checkpoint_id for move in operation.checkpoints}
        ended.update(step.operation for step in own if _only_moved(step, gone))
    return ended


def _only_moved(operation: Operation, gone: set[str]) -> bool:
    moved = {move.checkpoint_id for move in operation.checkpoints}
    return bool(moved) and moved <= gone and not operation.has_changes


def next_step(store: Store, timeline: str, kind: OperationKind) -> Operation:
    """Return the operation that `undo` or `redo` takes back. Raises NothingToUndoError or DamagedJournalError."""
    stack = build_stack(read_operations(store, timeline))
    steps = stack.done if kind is OperationKind.UNDO else stack.undone
    if not steps:
        ended = f": what came before is past its grace ({GRACE})" if stack.has_ended else ""
        raise NothingToUndoError(f"nothing to {kind.value} on timeline {timeline}{ended}")
    if is_unreadable(steps[-1]):
        raise DamagedJournalError(f"the last operation is {steps[-1].summary}", hint=_HINT)
    return steps[-1]


def skip(workspace: Workspace) -> Operation:
    """Step over the last operation, whose record is damaged, so that undo reaches the ones before; return it.

    Raises NothingToUndoError, and StateError when the operation can be undone.
    """
    store = workspace.store
    with store.working_on(workspace.timeline):
        workspace.notices += settle(workspace)
        steps = build_stack(read_operations(store, workspace.timeline)).done
        if not steps:
            raise NothingToUndoError(f"nothing to skip on timeline {workspace.timeline}")
        if _can_be_undone(workspace, steps[-1]):
            raise StateError(f"{steps[-1].summary} can be undone", hint="run `chrono undo`")
        return step_over(store, steps[-1], workspace.timeline)


def step_over(store: Store, operation: Operation, timeline: str) -> Operation:
    """Log that `operation` is skipped on a timeline, wherever it stands there; return the new operation."""
    skipped = Operation(
        new_operation_id(), OperationKind.SKIP, timeline, stamp(), f"skip {operation.summary}",
        undoes=operation.operation,
    )  # fmt: skip
    append(store, skipped)
    return skipped


def _can_be_undone(workspace: Workspace, operation: Operation) -> bool:
    store = workspace.store
    try:
        read_changes(store, operation)
        if operation.tree is not None:
            check_possible(workspace, operation.tree.inverted(), operation.operation)
    except (IntegrityError, StateError):
        return False
    moved = [move.checkpoint_id for move in operation.checkpoints]
    return not is_unreadable(operation) and all(find_folder(store, checkpoint_id) for checkpoint_id in moved)


def _take(steps: list[Operation], operation_id: str | None) -> None:
    """Take one operation out of `steps`; it is nearly always the last."""
    for place in range(len(steps) - 1, -1, -1):
        if steps[place].operation == operation_id:
            del steps[place]
            return
