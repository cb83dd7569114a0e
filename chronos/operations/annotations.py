"""Pins, tags, verdicts and prompts: annotations of sealed checkpoints, appended to the log. Undo passes them by."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from chronos import secrets
from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    LONGEST_DESCRIPTION,
    Annotation,
    AnnotationKind,
    Store,
    VerdictResult,
    check_description,
    check_name,
    read_annotations,
)
from chronos.errors import StateError, UsageError
from chronos.operations.checkpoints import get_checkpoint
from chronos.operations.log import append, new_operation_id, stamp
from chronos.operations.shelf import find_folder
from chronos.operations.workspace import Workspace

_MOST_TAGS = 100
_MOST_METRICS = 100
_METRIC = r"[\w.:/%+-]{1,60}"
_LONGEST_COMMAND = 2000


def annotate(workspace: Workspace, row: CheckpointRow, kind: AnnotationKind, tags: Sequence[str] = ()) -> CheckpointRow:
    """Say something of a checkpoint, durably, and return its row as it is then. What says nothing new is not written.

    Raises BadNameError, UsageError, LockedError, StorageError, and StateError when the checkpoint is gone.
    """
    wanted = tuple(dict.fromkeys(map(check_name, tags)))
    if len(wanted) > _MOST_TAGS:
        raise UsageError(f"a checkpoint takes at most {_MOST_TAGS} tags at once")
    return _say(workspace, Annotation(new_operation_id(), kind, row.checkpoint_id, stamp(), wanted), row)


def set_verdict(
    workspace: Workspace, row: CheckpointRow, result: VerdictResult, metrics: Mapping[str, float] | None = None,
    note: str = "", command: str = "",
) -> CheckpointRow:  # fmt: skip
    """Say that a checkpoint passed or failed, durably, and return its row as it is then; older verdicts stay readable.

    A command longer than 2,000 characters is cut; what looks like a secret is left out. Raises UsageError,
    BadNameError, and see `annotate`.
    """
    metrics = dict(metrics or {})
    for name, value in metrics.items():
        if not re.fullmatch(_METRIC, name) or not math.isfinite(value):
            raise UsageError(
                f"{name[:60]!r} = {value} is no metric", hint="a metric is NAME=VALUE with a finite number"
            )
    if len(metrics) > _MOST_METRICS:
        raise UsageError(f"a verdict takes at most {_MOST_METRICS} metrics")
    verdict = Annotation(
        new_operation_id(), AnnotationKind.VERDICT, row.checkpoint_id, stamp(), result=result, metrics=metrics,
        note=check_description(secrets.mask(note)), command=shortened(command),
    )  # fmt: skip
    return _say(workspace, verdict, row)


def link_prompt(workspace: Workspace, checkpoint_id: str, lines: str) -> None:
    """Say, durably, which prompt an agent was given at a checkpoint's state; its description in lists has it then.

    What it says already, and what would make it longer than a description may be, is not written. Raises BadNameError,
    UnknownCheckpointError, and see `annotate`.
    """
    row, note = get_checkpoint(workspace.store, checkpoint_id), check_description(secrets.mask(lines))
    if note.strip() and len(row.description) + len(note) < LONGEST_DESCRIPTION:
        said = Annotation(new_operation_id(), AnnotationKind.PROMPT, checkpoint_id, stamp(), note=note)
        _say(workspace, said, row)


def list_verdicts(store: Store, checkpoint_id: str | None = None) -> list[Annotation]:
    """Return the verdicts on a checkpoint, or on all, the newest first."""
    found = (one for one in read_annotations(store.layout)[0] if one.kind is AnnotationKind.VERDICT)
    return [one for one in found if one.result is not None and checkpoint_id in (None, one.checkpoint)][::-1]


def shortened(command: str) -> str:
    """Return what was run as an annotation keeps it: 2,000 characters, without secrets and what is no text."""
    text = command.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")
    return secrets.mask_beginning(text, _LONGEST_COMMAND)


def _say(workspace: Workspace, annotation: Annotation, row: CheckpointRow) -> CheckpointRow:
    store = workspace.store
    with store.shared():
        present = store.catalog.find_checkpoint(row.checkpoint_id)
        if present is None or find_folder(store, row.checkpoint_id) != (row.timeline, True):
            raise StateError(f"checkpoint {row.checkpoint_id} is gone")
        if _is_said(present, annotation):
            return present
        append(store, annotation)
        store.refresh()
        return store.catalog.find_checkpoint(row.checkpoint_id) or present


def _is_said(row: CheckpointRow, said: Annotation) -> bool:
    if said.kind in (AnnotationKind.PIN, AnnotationKind.UNPIN):
        return row.pinned == (said.kind is AnnotationKind.PIN)
    if said.kind is AnnotationKind.PROMPT:
        return said.note in row.description
    if said.kind is AnnotationKind.VERDICT:  # each was given at its own moment
        return False
    tags = set(said.tags)
    return tags <= set(row.tags) if said.kind is AnnotationKind.TAG else not tags & set(row.tags)
