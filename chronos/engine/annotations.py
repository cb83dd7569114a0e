"""The verbs that say something of a checkpoint or a timeline: pins, tags, verdicts, effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chronos import checkpoints, operations
from chronos.engine.place import EnginePlace
from chronos.errors import UsageError
from chronos.files import display

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Annotation, AnnotationKind, VerdictResult


class AnnotationVerbs(EnginePlace):
    """Saying something of checkpoints that is no part of their state."""

    def pin_checkpoint(self, checkpoint: str, timeline: str | None = None, *, pinned: bool = True) -> CheckpointRow:
        """Keep a checkpoint from retention until it is unpinned; return its row."""
        kinds = checkpoints.AnnotationKind
        return self._annotate(checkpoint, timeline, kinds.PIN if pinned else kinds.UNPIN, ())

    def tag_checkpoint(
        self, checkpoint: str, tags: Sequence[str], timeline: str | None = None, *, remove: bool = False
    ) -> CheckpointRow:
        """Give a checkpoint tags, or take them from it; return its row. A tagged one is kept from retention.

        Raises BadNameError.
        """
        kinds = checkpoints.AnnotationKind
        return self._annotate(checkpoint, timeline, kinds.UNTAG if remove else kinds.TAG, tags)

    def set_verdict(
        self,
        checkpoint: str,
        result: VerdictResult | str,
        timeline: str | None = None,
        *,
        metrics: Mapping[str, float] | None = None,
        note: str = "",
        command: str = "",
    ) -> CheckpointRow:
        """Say that a checkpoint `passed` or `failed`, with numbers and the command that found it; return its row.

        The newest verdict counts, and the newest green checkpoint is `last-green`. Raises UsageError, BadNameError.
        """
        results = checkpoints.VerdictResult
        if result not in (results.PASSED, results.FAILED):
            raise UsageError(f"a verdict is passed or failed, not {display(str(result)[:40])!r}")
        row = self.find_checkpoint(checkpoint, timeline)
        with self._here.workspace() as workspace:
            return operations.set_verdict(workspace, row, results(result), metrics, note, command)

    def get_verdicts(self, checkpoint: str, timeline: str | None = None) -> list[Annotation]:
        """Return the verdicts on a checkpoint, the newest first. Raises UnknownCheckpointError."""
        row = self.find_checkpoint(checkpoint, timeline)
        return operations.list_verdicts(self._here.get_store(), row.checkpoint_id)

    def record_effects(
        self, effects: Sequence[str], operation: str, timeline: str | None = None, checkpoint: str | None = None
    ) -> Annotation:
        """Write down, durably, what `operation` (a command, in words) did that no restore takes back, such as a push.

        It belongs to a timeline (this one by default) and came after `checkpoint` there, by default the newest; plans
        of restores to that one and older ones list it. Raises UsageError when `effects` are none.
        """
        row = self.find_checkpoint(checkpoint, timeline) if checkpoint is not None else None
        with self._here.workspace() as workspace:
            self._find_store(timeline)
            return operations.record_effects(workspace, effects, operation, timeline or self.timeline, row)

    def list_annotations(self, timeline: str | None = None) -> list[Annotation]:
        """Return the verdicts and effects of a timeline, the newest first."""
        store, wanted = self._find_store(timeline), timeline or self.timeline
        return operations.list_remarks(store, wanted) if store is not None else []

    def _annotate(
        self, checkpoint: str, timeline: str | None, kind: AnnotationKind, tags: Sequence[str]
    ) -> CheckpointRow:
        row = self.find_checkpoint(checkpoint, timeline)
        with self._here.workspace() as workspace:
            return operations.annotate(workspace, row, kind, tags)
