"""Which calls of a command are struck: all, every k-th, or those that matter for a question.

Two kills find the same disk when no call between them changed anything, and what is done afterwards depends on nothing
but the disk. So one kill stands for all of those: the first. Where the disks are many, those around a new, moved or
removed name come first, and others evenly spread. `CHRONO_FAULT_STEP=k` takes every k-th call instead (1: all of them),
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
_MOVES = re.compile(
    r"^(rename|syncfs|link|unlink)\w* .*(/data/memory(/facts|/\w+\.md|/[^/]+\.(aside|draft))?|/store-\d+/old)$"
)
_WRITTEN_DOWN = re.compile(r"/\.store/journal/")
_CATALOG = re.compile(r"/\.store/catalog\.sqlite(-\w+)?$")
# A kill amid what nobody reads before it is published, or amid a cache, finds what one at its beginning finds.
_SCRATCH = re.compile(r"/\.store(/(catalog|locks/|tmp/|index/).*)?$")
_DRAFT = re.compile(r"/\.chronos-[0-9a-f]+\.tmp$")
_GIVES_OR_TAKES_NAME = re.compile(r"^(rename|link|unlink)")
_MOST, _MOST_ONCE_BEGUN, _LEAST_OF_OTHERS = 60, 40, 12
Choice = Callable[[Sequence[Call]], list[int]]


def chosen(choose: Choice, calls: Sequence[Call]) -> list[int]:
    """Return the points that `choose` takes from `calls`, or those that the environment names."""
    if _CHOSEN_POINTS:
        return [int(point) for point in _CHOSEN_POINTS.split(",")]
    return choose(calls)


def every(default_step: int, offset: int, most: int | None = None) -> Choice:
    """Choose every k-th call from the `offset`-th on (modulo k), at least one and by default `most` at most."""
    step = int(_CHOSEN_STEP or default_step)
    limit = None if _CHOSEN_STEP else most
    return lambda calls: _spread([call.number for call in calls], step, offset, limit)


def every_state(default_step: int, offset: int, *, behind: bool, most: int | None = None) -> Choice:
    """Choose every k-th of the disks that kills before the calls, or `behind` them, can find; each is met once.

    They are `most` at most.
    """

    def choose(calls: Sequence[Call]) -> list[int]:
        if _CHOSEN_STEP:
            return every(default_step, offset)(calls)
        fresh = [call.number for call in calls if _may_change(calls, call.number - 1 if not behind else call.number)]
        return _spread(fresh, default_step, offset, most)

    return choose


def at_turns(calls: Sequence[Call]) -> list[int]:
    """Choose the disks before and behind each call that gives or takes a name that counts, and others evenly spread.

    The others make 60 points of them, or are 12: each is amid a file that nobody reads, or not yet.
    """
    if _CHOSEN_STEP:
        return every(1, 0)(calls)
    return _at_turns(calls, every_state(1, 0, behind=False)(calls), _MOST)


def once_begun(early_step: int) -> Choice:
    """Choose likewise among the disks once the operation is written down, and every k-th of those before.

    Before, a checkpoint is taken, and creates are struck by themselves, as in their writes to the catalog, a cache.
    """

    def choose(calls: Sequence[Call]) -> list[int]:
        if _CHOSEN_STEP:
            return every(early_step, 0)(calls)
        first = next(call.number for call in calls if _WRITTEN_DOWN.search(call.target))
        points = every_state(1, 0, behind=False)(calls)
        early = [point for point in points if point < first]
        late = [point for point in points if point >= first and not _CATALOG.search(calls[point - 2].target)]
        return _at_turns(calls, _spread(early, early_step, early_step // 2) + late, _MOST_ONCE_BEGUN)

    return choose


def _at_turns(calls: Sequence[Call], points: list[int], most: int) -> list[int]:
    turning = {call.number for call in calls if _is_turn(call)}
    turns = [point for point in points if point in turning or point - 1 in turning]
    others = [point for point in points if point not in turning and point - 1 not in turning]
    return sorted(turns + _spread(others, 1, 0, max(most - len(turns), _LEAST_OF_OTHERS)))


def _is_turn(call: Call) -> bool:
    return call.changes and bool(_GIVES_OR_TAKES_NAME.search(call.name)) and not _SCRATCH.search(call.target)


def thinned(choose: Choice) -> Choice:
    """Leave out, of what `choose` takes, all but each 5th of a run of writes into one draft beside its place."""

    def thin(calls: Sequence[Call]) -> list[int]:
        runs = [0] * (len(calls) + 1)
        for call in calls:
            is_further = call.number > 1 and _is_draft_write(call) and _is_draft_write(calls[call.number - 2])
            runs[call.number] = runs[call.number - 1] + 1 if is_further else 0
        return [point for point in choose(calls) if runs[point] % 5 == 0 or _CHOSEN_STEP]

    return thin


def _is_draft_write(call: Call) -> bool:
    return call.name == "write" and bool(_DRAFT.search(call.target))


def moves(calls: Sequence[Call]) -> list[int]:
    """Choose the calls that move files and folders of memory to their place and out of it, and the syncs between."""
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


def _spread(points: list[int], step: int, offset: int, most: int | None = None) -> list[int]:
    """Take every k-th of the points, at least one, and evenly spread ones of these where they are more than `most`."""
    taken = points[offset % step :: step] or points[-1:]
    if most is None or len(taken) <= most:
        return taken
    return [taken[index * len(taken) // most] for index in range(most)]
