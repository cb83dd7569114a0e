"""Running a command under the guard: assess, checkpoint, run in the foreground, after a failure look back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.config import GuardRules
from chronos.errors import UsageError
from chronos.process import run_in_foreground
from historian.guard.gate import Gate, Passage, inside
from historian.guard.naming import words_of
from historian.risk import Operation, OperationKind

if TYPE_CHECKING:
    from chronos.checkpoints import Difference
    from chronos.engine import ChronosEngine
    from chronos.operations import Outcome, StoreDifference
    from historian.failures import FailureAnalysis

_INTERRUPTS = (130, 143)  # SIGINT and SIGTERM: somebody ended it, it did not fail


class CommandRun(msgspec.Struct, kw_only=True):
    """What became of a command. `code` is its exit code, or 128 and the signal's number.

    `tail` is the last that it said on standard error, where that is no terminal. After a failure `differences` and
    `stores` say what has changed since the checkpoint, if that could be compared, `analysis` is what recording the
    failure gave, and `restored` what the restore did, if one was made.
    """

    command: str
    code: int
    passage: Passage
    tail: str = ""
    is_heard: bool = True
    is_compared: bool = False
    differences: Sequence[Difference] = ()
    stores: Sequence[StoreDifference] = ()
    analysis: FailureAnalysis | None = None
    restored: Outcome | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the exit code says so."""
        return self.code != 0

    @property
    def is_interrupted(self) -> bool:
        """Whether it was ended by Ctrl-C or SIGTERM."""
        return self.code in _INTERRUPTS

    @property
    def has_changes(self) -> bool:
        """Whether anything that the checkpoint has is another now."""
        return bool(self.differences or self.stores)


def run_command(
    gate: Gate, rules: GuardRules, argv: Sequence[str], *, environment: Mapping[str, str], cwd: Path,
    kind: OperationKind | None = None, restore_on_failure: bool = False, output_to_errors: bool = False,
) -> CommandRun:  # fmt: skip
    """Run `argv` under the guard, in the foreground; return how it ended, whatever its exit code is.

    With `restore_on_failure` a checkpoint is taken at any level of risk, and restored when the command fails. Raises
    UsageError for an empty command, what a guard raises (nothing was run then), and OutsideError when the command
    cannot be started.
    """
    if not argv or not argv[0]:
        raise UsageError("no command to run", hint="chrono run -- CMD …")
    operation = Operation(argv=tuple(argv), kind=kind or OperationKind.SHELL, cwd=str(cwd))
    passage = gate.let_through(operation, rules, always=restore_on_failure)
    with inside(passage):
        ended = run_in_foreground(argv, environment=environment, cwd=cwd, output_to_errors=output_to_errors)
    found = CommandRun(
        command=words_of(operation), code=ended.code, passage=passage, tail=ended.tail, is_heard=ended.is_heard
    )
    if found.has_failed:
        _look_back(gate, found, restore=restore_on_failure)
    return found


def _look_back(gate: Gate, found: CommandRun, *, restore: bool) -> None:
    """Find out what a failed command changed, record the failure, and restore when that was asked for.

    It may have taken away what this needs: that is a warning, and the failure stays the command's.
    """
    passage, checkpoint = found.passage, found.passage.checkpoint_id
    if checkpoint is not None:
        unknown = f"what has changed since checkpoint {checkpoint} cannot be told"
        with gate.surviving(passage, unknown), gate.open_engine() as engine:
            found.differences, found.stores = compare(engine, checkpoint)
            found.is_compared = True
    if not found.is_interrupted:
        found.analysis = gate.report_failure(passage, _error_of(found))
    if restore and checkpoint is not None and (found.has_changes or not found.is_compared):
        with gate.surviving(passage, f"checkpoint {checkpoint} could not be restored"), gate.open_engine() as engine:
            found.restored = engine.restore_checkpoint(checkpoint)


def compare(engine: ChronosEngine, checkpoint: str) -> tuple[Sequence[Difference], Sequence[StoreDifference]]:
    """Return what has changed since a checkpoint: paths, and memory stores without a look into their tables."""
    return engine.diff(checkpoint), engine.diff_memory(checkpoint, tables=False)


def _error_of(found: CommandRun) -> str:
    """What it said; and how it ended, where it said nothing or a signal ended it."""
    if found.code > 128:
        return f"signal {found.code - 128}\n{found.tail}".rstrip()
    return found.tail.strip() or f"exit code {found.code}"
