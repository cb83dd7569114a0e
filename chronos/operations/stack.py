"""Which operations can be undone and redone on a timeline, from the log alone."""

from __future__ import annotations

import msgspec

from chronos.operations.log import Operation, OperationKind


class Stack(msgspec.Struct):
    """`done` can be undone from its end; `undone` can be redone from its end."""

    done: list[Operation] = msgspec.field(default_factory=list)
    undone: list[Operation] = msgspec.field(default_factory=list)


def build_stack(operations: list[Operation]) -> Stack:
    """Replay a timeline's operations. A new operation clears what could be redone; nothing automatic does."""
    stack = Stack()
    for operation in operations:
        if operation.kind is OperationKind.UNDO:
            stack.done = [known for known in stack.done if known.operation != operation.undoes]
            stack.undone.append(operation)
        elif operation.kind is OperationKind.REDO:
            stack.undone = [known for known in stack.undone if known.operation != operation.undoes]
            stack.done.append(operation)
        else:
            stack.done.append(operation)
            stack.undone.clear()
    return stack
