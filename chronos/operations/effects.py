"""Effects that no restore takes back, such as a push or an e-mail: recorded when seen, listed before a restore.

They are annotations of the log. One belongs to a timeline and happened after the newest checkpoint that was there then,
whose sequence number it keeps: that tells what a restore leaves standing, whatever clocks say.
"""

from __future__ import annotations

from collections.abc import Sequence

from chronos.catalog import CheckpointRow
from chronos.checkpoints import Annotation, AnnotationKind, Store, read_annotations
from chronos.errors import UsageError
from chronos.operations.annotations import shortened
from chronos.operations.log import Operation, append, find_end, new_operation_id, stamp
from chronos.operations.workspace import Workspace

_MOST_EFFECTS = 100


def record_effects(
    workspace: Workspace, effects: Sequence[str], command: str, timeline: str, checkpoint: CheckpointRow | None
) -> Annotation:
    """Write down, durably, what `command` did on a timeline that cannot be rewound; return the line.

    `checkpoint` is the one that was taken before it, by default the newest. Of more than 100 effects the rest are
    counted. Raises UsageError when there are none, LockedError, StorageError.
    """
    told = [shortened(effect) for effect in effects if effect.strip()]
    if not told:
        raise UsageError("no effect to record")
    if len(told) > _MOST_EFFECTS:
        told[_MOST_EFFECTS - 1 :] = [f"and {len(told) - _MOST_EFFECTS + 1} more"]
    store = workspace.store
    with store.shared():
        newest = next(iter(store.catalog.list_checkpoints(timeline, limit=1)), None)
        before = checkpoint if checkpoint is not None and checkpoint.timeline == timeline else newest
        found = Annotation(
            new_operation_id(), AnnotationKind.EFFECTS, before.checkpoint_id if before is not None else "", stamp(),
            command=shortened(command), effects=tuple(told), timeline=timeline,
            sequence=before.sequence if before is not None else 0,
        )  # fmt: skip
        append(store, found)
    return found


def list_effects(store: Store, timeline: str, start: int = 0) -> list[Annotation]:
    """Return what was recorded on a timeline, the newest first, from byte `start` of the log on."""
    found = read_annotations(store.layout, start)[0]
    return [one for one in found if one.kind is AnnotationKind.EFFECTS and one.timeline == timeline][::-1]


def list_remarks(store: Store, timeline: str) -> list[Annotation]:
    """Return the effects of a timeline and the verdicts on its checkpoints, the newest first."""
    own = {row.checkpoint_id for row in store.catalog.list_checkpoints(timeline)}
    own |= {row.checkpoint_id for row in store.catalog.list_checkpoints(timeline, deleted=True)}
    return [
        one for one in read_annotations(store.layout)[0][::-1]
        if one.timeline == timeline or (one.kind is AnnotationKind.VERDICT and one.checkpoint in own)
    ]  # fmt: skip


def effects_since(store: Store, timeline: str, row: CheckpointRow) -> list[Annotation]:
    """Return what was recorded on a timeline after a checkpoint, the newest first; by time for one of another line."""
    found = list_effects(store, timeline)
    if row.timeline == timeline:
        return [one for one in found if one.sequence >= row.sequence]
    return [one for one in found if one.at > row.created_at]


def effects_after(store: Store, timeline: str, operation: Operation) -> list[Annotation]:
    """Return what was recorded on a timeline after an operation, the newest first; by time when its line is lost."""
    end = find_end(store, operation)
    found = list_effects(store, timeline, end or 0)
    return found if end is not None else [one for one in found if one.at > operation.at]
