"""What a command shows when the engine's answer alone does not say it all: plain data for `render` and `documents`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Annotation, Difference, Plan, ReceiptRow
    from chronos.git import TextPatch
    from chronos.maintenance import Finding
    from chronos.operations import Operation, StoreDifference

import msgspec


class Page(msgspec.Struct, frozen=True):
    """Some checkpoints, the newest first; `total` says how many there are where that is more than matches."""

    rows: Sequence[CheckpointRow]
    total: int | None = None


class Judged(msgspec.Struct, frozen=True):
    """A checkpoint with the verdicts on it, the newest first."""

    row: CheckpointRow
    verdicts: Sequence[Annotation]


class Step(msgspec.Struct, frozen=True):
    """What `undo` or `redo` would do: the operation that it takes back, and the plan."""

    summary: str
    operation: Operation
    plan: Plan


class WrittenOut(msgspec.Struct, frozen=True):
    """A checkpoint written into another folder."""

    checkpoint: str
    folder: Path
    written: int


class Comparison(msgspec.Struct, frozen=True):
    """Differences from `old` to `new` (None is the working tree), or each with its patch where lines are asked for.

    `rows_by` is the command that shows what differs inside memory stores.
    """

    old: str
    new: str | None
    differences: Sequence[Difference]
    stores: Sequence[StoreDifference] = ()
    patches: Iterable[tuple[Difference, TextPatch]] = ()
    with_text: bool = False
    rows_by: str = "chrono memory diff"


class Setup(msgspec.Struct, frozen=True):
    """A store and the settings in force."""

    root: Path
    store: Path
    timeline: str
    receipt: Sequence[ReceiptRow]
    settings: Mapping[str, Any]


class Verified(msgspec.Struct, frozen=True):
    """What a verification found, and whether it read every byte."""

    findings: Sequence[Finding]
    is_deep: bool


class History(msgspec.Struct, frozen=True):
    """Operations, the newest first. `undoable` and `redoable` hold ids in the order in which they would be taken.

    `annotations` are the verdicts and effects of that time, the newest first.
    """

    timeline: str
    operations: Sequence[Operation]
    undoable: Sequence[str]
    redoable: Sequence[str]
    annotations: Sequence[Annotation] = ()

    @property
    def next_undo(self) -> str | None:
        """The operation that `undo` takes back."""
        return self.undoable[0] if self.undoable else None

    @property
    def next_redo(self) -> str | None:
        """The undo that `redo` takes back."""
        return self.redoable[0] if self.redoable else None

    def mark(self, operation: Operation) -> str:
        """Return `undoable`, `redoable` or `past`."""
        if operation.operation in self.undoable:
            return "undoable"
        return "redoable" if operation.operation in self.redoable else "past"
