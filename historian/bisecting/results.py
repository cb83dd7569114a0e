"""What a bisection is asked, what each try of a checkpoint gave, and what came of it all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.errors import ToolFailedError

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Difference
    from chronos.operations import StoreDifference

_SKIP = 125
_LAST_BAD = 127


class Result(str, Enum):
    """What a try says of a checkpoint."""

    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"


class Request(msgspec.Struct, frozen=True):
    """What is asked. The ends are checkpoints as people name them, relative to `timeline` (None: the engine's own).

    `command` is a program with its arguments; no shell is involved. `keeps_verdicts` stores each try as a verdict on
    its checkpoint, `reuses` takes the newest verdict of the same command for a try, `keeps` branches a timeline from
    the first bad checkpoint. `seeds` are patterns of ignored files that every tree gets.
    """

    command: tuple[str, ...]
    good: str | None = None
    bad: str | None = None
    timeline: str | None = None
    jobs: int = 1
    checks_ends: bool = False
    keeps_verdicts: bool = True
    reuses: bool = False
    seeds: tuple[str, ...] = ()
    keeps: bool = False

    @property
    def text(self) -> str:
        """The command as a shell would read it, by which verdicts name it."""
        return shlex.join(self.command)


class Try(msgspec.Struct, frozen=True):
    """One checkpoint that was tried, or would have been: `known` says why it was not run, empty when it was.

    `code` is the exit code of the command, None where it was not run; `words` the last that it said, or why the
    checkpoint could not be tried. `prepare_s` is how long the tree took, `run_s` the command.
    """

    row: CheckpointRow
    result: Result
    code: int | None = None
    known: str = ""
    words: str = ""
    notes: tuple[str, ...] = ()
    prepare_s: float = 0.0
    run_s: float = 0.0


class Bisection(msgspec.Struct, frozen=True):
    """What came of it. `first_bad` is None when nothing fails.

    `last_good` is the nearest good one before it, None where even the oldest fails. `candidates` (the oldest first) are
    checkpoints between the two that could not be tried: any of them may be the first bad one. `runs` is how often the
    command ran. `reversals` are pairs of a bad checkpoint and a good one that came later: between them it was mended.
    `is_older` says that what broke it may be older than the oldest that was looked at. `differences` and `stores` are
    those between `first_bad` and the checkpoint `before` it on the line; `kept` is the tree of a timeline that was
    branched from it.
    """

    command: str
    timeline: str
    line: tuple[CheckpointRow, ...]
    tries: tuple[Try, ...]
    first_bad: CheckpointRow | None = None
    last_good: CheckpointRow | None = None
    before: CheckpointRow | None = None
    candidates: tuple[CheckpointRow, ...] = ()
    reversals: tuple[tuple[CheckpointRow, CheckpointRow], ...] = ()
    is_older: bool = False
    differences: Sequence[Difference] = ()
    stores: Sequence[StoreDifference] = ()
    kept: Path | None = None

    @property
    def runs(self) -> int:
        """How often the command ran."""
        return sum(one.code is not None for one in self.tries)


def read_code(code: int, row: CheckpointRow, words: str) -> Result:
    """Return what an exit code says, as `git bisect run` reads it: 0 good, 125 skip, else bad up to 127.

    Raises ToolFailedError for any other, which says nothing of the checkpoint: the command was killed, or broke.
    """
    if code == 0:
        return Result.GOOD
    if code == _SKIP:
        return Result.SKIPPED
    if 0 < code <= _LAST_BAD:
        return Result.BAD
    ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    last = words.strip().rpartition("\n")[2][:200]
    raise ToolFailedError(
        f"at checkpoint {row.checkpoint_id} ({row.name}) the command {ended}, which says nothing of the checkpoint"
        + (f": {last}" if last else ""),
        hint="let it end with 0 for good, 1 to 124 for bad, 125 for a checkpoint that cannot be tried",
    )
