"""How long an operation can be undone: the last 100 of a timeline, and every one that is not 30 days old yet.

As long as that, the checkpoints that it leads back to stay, whatever retention says; afterwards a gc writes into the
log where undo ends, and only then removes what those operations needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from chronos import clock
from chronos.operations.log import Operation, OperationKind, is_unreadable

GRACE_OPERATIONS = 100
GRACE_DAYS = 30
GRACE = f"the last {GRACE_OPERATIONS} operations, and {GRACE_DAYS} days"


def split_by_grace(operations: Sequence[Operation], now: datetime) -> tuple[list[Operation], list[Operation]]:
    """Return the operations of one timeline whose grace is over, and the others, both in their order.

    An operation that cannot be read, unless it was skipped, keeps its grace, and so does everything after it.
    """
    own = [operation for operation in operations if operation.kind is not OperationKind.GC]
    skipped = {operation.undoes for operation in own if operation.kind is OperationKind.SKIP}
    end = max(0, len(own) - GRACE_OPERATIONS)
    for place, operation in enumerate(own[:end]):
        is_unknown = is_unreadable(operation) and operation.operation not in skipped
        if is_unknown or is_young(operation.at, now):
            end = place
            break
    return own[:end], own[end:]


def is_young(moment: str, now: datetime) -> bool:
    """Tell whether `moment` (ISO 8601) is less than the days of grace ago; what is no moment is."""
    try:
        return now - clock.from_text(moment) < timedelta(days=GRACE_DAYS)
    except ValueError:
        return True
