"""Between which checkpoints a bisection looks: a line of first parents, and what is known of its two ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chronos.checkpoints import VerdictResult
from chronos.errors import UsageError
from chronos.operations import shortened

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.engine import ChronosEngine
    from historian.bisecting.results import Request


class Ends(msgspec.Struct, frozen=True):
    """The line, the oldest first, to the bad end. `floor` is the first place that is looked at.

    `good` is a place that is good as far as is known, None where none is. An end that is not known is to be tried.
    """

    line: tuple[CheckpointRow, ...]
    floor: int
    good: int | None
    is_good_known: bool
    is_bad_known: bool

    @property
    def bad(self) -> int:
        """The place of the bad end."""
        return len(self.line) - 1


def find_ends(engine: ChronosEngine, request: Request) -> Ends:
    """Return the line and its ends.

    What is named is known. Else a verdict tells, and is known when a person gave it or this very command; with neither,
    all of the line is looked at. Raises UnknownCheckpointError, UsageError when the two ends are not on one line.
    """
    line = tuple(reversed(engine.list_line(request.bad or "@", request.timeline)))
    newest = line[-1]
    is_bad_known = request.bad is not None or _is_found(engine, request, newest, VerdictResult.FAILED)
    if request.good is None:
        good = next((n for n in range(len(line) - 2, -1, -1) if line[n].verdict == VerdictResult.PASSED.value), None)
        is_known = good is not None and _is_found(engine, request, line[good], VerdictResult.PASSED)
        return Ends(line, 0, good, is_known and not request.checks_ends, is_bad_known and not request.checks_ends)
    row = engine.find_checkpoint(request.good, request.timeline)
    good = next((n for n, one in enumerate(line[:-1]) if one.checkpoint_id == row.checkpoint_id), None)
    if good is None:
        raise UsageError(
            f"{row.checkpoint_id} ({row.name}) is not before {newest.checkpoint_id} ({newest.name}) on its line",
            hint="--from is the older one, which is good; `chrono log --graph` shows what comes from what",
        )
    return Ends(line, good, good, not request.checks_ends, is_bad_known and not request.checks_ends)


def find_verdict(engine: ChronosEngine, request: Request, row: CheckpointRow) -> VerdictResult | None:
    """Return the newest verdict of this very command on a checkpoint, if there is one."""
    command = shortened(request.text)
    found = (one.result for one in engine.get_verdicts(row.checkpoint_id, row.timeline) if one.command == command)
    return next(found, None)


def _is_found(engine: ChronosEngine, request: Request, row: CheckpointRow, result: VerdictResult) -> bool:
    """Tell whether a checkpoint's newest verdict is this one, and of a person or this command."""
    if row.verdict != result.value:
        return False
    newest = engine.get_verdicts(row.checkpoint_id, row.timeline)[0]
    return newest.command in ("", shortened(request.text))
