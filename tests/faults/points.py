"""Which calls of a command are struck: all, every k-th, or those that matter for a question.

Two kills find the same disk when no call between them changed anything, and what is done afterwards depends on nothing
but the disk. So one kill stands for all of those: the first. `CHRONO_FAULT_STEP=k` takes every k-th call instead,
`CHRONO_FAULT_POINTS=57,58` just these.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

from tests.faults.checks import must_not_be_swallowed
from tests.faults.harness import Call

# Read at once: the session is sealed, environment included, before the first test runs.
_CHOSEN_POINTS = os.environ.get("CHRONO_FAULT_POINTS")
_CHOSEN_STEP = os.environ.get("CHRONO_FAULT_STEP")
# Whoever opens a database that nobody has open empties its shared memory first (SQLite, unixLockSharedMemory).
_EMPTIED_AT_NEXT_OPENING = re.compile(r"^(pwrite64|ftruncate) .*-shm$")
_NEAR = 8  # calls; the orders that were seen differ by less
_MOVES = re.compile(r"^(rename|syncfs) .*(/data/memory(/facts|/[^/]+\.aside)?|/store-\d+/old)$")
_WRITTEN_DOWN = re.compile(r"/\.store/journal/")
_CATALOG = re.compile(r"/\.store/catalog\.sqlite(-\w+)?$")
Choice = Callable[[Sequence[Call]], list[int]]


def chosen(choose: Choice, calls: Sequence[Call]) -> list[int]:
    """Return the points that `choose` takes from `calls`, or those that the environment names."""
    if _CHOSEN_POINTS:
        return [int(point) for point in _CHOSEN_POINTS.split(",")]
    return choose(calls)


def every(default_step: int, offset: int) -> Choice:
    """Choose every k-th call from the `offset`-th on (modulo k), at least one."""
    return lambda calls: _spread([call.number for call in calls], int(_CHOSEN_STEP or default_step), offset)


def every_state(default_step: int, offset: int, *, behind: bool) -> Choice:
    """Choose every k-th of the disks that kills before the calls, or `behind` them, can find; each is met once."""

    def choose(calls: Sequence[Call]) -> list[int]:
        if _CHOSEN_STEP:
            return every(default_step, offset)(calls)
        fresh = [call.number for call in calls if _may_change(calls, call.number - 1 if not behind else call.number)]
        return _spread(fresh, default_step, offset)

    return choose


_MOST_LATE = 60


def once_begun(early_step: int) -> Choice:
    """Choose the disks that a kill can find once the operation is written down, and every k-th of those before.

    Before, a checkpoint is taken, and creates are struck everywhere, as in their writes to the catalog, a cache. Where
    there are very many (a checkout writes every file), evenly spread ones stand for all; a step of 1 takes all of them.
    """

    def choose(calls: Sequence[Call]) -> list[int]:
        if _CHOSEN_STEP:
            return every(early_step, 0)(calls)
        first = next(call.number for call in calls if _WRITTEN_DOWN.search(call.target))
        points = every_state(1, 0, behind=False)(calls)
        early = [point for point in points if point < first]
        late = [point for point in points if point >= first and not _CATALOG.search(calls[point - 2].target)]
        return _spread(early, early_step, early_step // 2) + _spread(late, -(-len(late) // _MOST_LATE) or 1, 0)

    return choose


def moves(calls: Sequence[Call]) -> list[int]:
    """Choose the calls that move a folder of memory to its place and out of it, and the syncs between them."""
    return [call.number for call in calls if _MOVES.search(f"{call.name} {call.target}")]


def promises(calls: Sequence[Call]) -> list[int]:
    """Choose every call that makes something durable or visible."""
    return [call.number for call in calls if must_not_be_swallowed(call)]


def _may_change(calls: Sequence[Call], number: int) -> bool:
    """Tell whether the disk behind call `number` (0: the beginning) may differ from the one before it.

    Near a call of another process it always may: side by side, the two come in another order each time.
    """
    if number == 0:
        return True
    call, near = calls[number - 1], calls[max(number - 1 - _NEAR, 0) : number + _NEAR]
    if any(other.pid != call.pid for other in near):
        return True
    return call.changes and not _EMPTIED_AT_NEXT_OPENING.search(f"{call.name} {call.target}")


def _spread(points: list[int], step: int, offset: int) -> list[int]:
    return points[offset % step :: step] or points[-1:]
