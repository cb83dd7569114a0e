"""What the operation log says beside operations.

That is pins, tags, verdicts and prompts, which a sealed manifest cannot take in, and what was done that no restore
takes back.

An annotation is a line of `operations.jsonl` with the key `annotation`; it is no operation, and undo passes it by. The
catalog has what they add up to, and remembers how far into the log it has read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from chronos.catalog import Catalog, CheckpointRow
from chronos.errors import StorageError
from chronos.files import translate_os_errors
from chronos.layout import StoreLayout
from chronos.pool import strip_check

_READ_TO = "annotations"
_LARGEST_LOG_BYTES = 1024 * 1024 * 1024
# As long as what was appended since is no longer than this and annotates nothing, looking through it again costs less
# than remembering that it was looked through.
_SHORT_BYTES = 8 * 1024


class AnnotationKind(str, Enum):
    """What is said of a checkpoint, or of a timeline since one (`effects`)."""

    PIN = "pin"
    UNPIN = "unpin"
    TAG = "tag"
    UNTAG = "untag"
    VERDICT = "verdict"
    EFFECTS = "effects"
    PROMPT = "prompt"


class VerdictResult(str, Enum):
    """How a checkpoint did when somebody tried it."""

    PASSED = "passed"
    FAILED = "failed"


class Annotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One annotation: its id (12 hex digits), what it says of which checkpoint, and when it was said.

    A prompt that an agent was given at this state has its lines in `note`; a list shows them in the description.
    A verdict has its `result`, `metrics` (numbers by name), a `note`, and the `command` that it is of, where there was
    one. Effects, in words, were those of `command` on `timeline`, after the checkpoint with the number `sequence`;
    `checkpoint` is that one, or empty when there was none.
    """

    annotation: str
    kind: AnnotationKind
    checkpoint: str
    at: str
    tags: tuple[str, ...] = ()
    result: VerdictResult | None = None
    metrics: Mapping[str, float] = {}
    note: str = ""
    command: str = ""
    effects: tuple[str, ...] = ()
    timeline: str = ""
    sequence: int = 0


class _Any(msgspec.Struct):
    annotation: str
    kind: str = ""


class _Bare(Annotation, frozen=True, forbid_unknown_fields=True):
    """What a line without a check may be when its kind is known: another key is a check that damage renamed."""


_KINDS = {kind.value for kind in AnnotationKind}


def is_annotation(line: bytes) -> bool:
    """Tell whether a line of the log is an annotation, of whatever kind: a later release may have others.

    One whose check is of other bytes is none.
    """
    if b'"annotation"' not in line:
        return False
    try:
        bare = strip_check(line)
        if msgspec.json.decode(bare, type=_Any).kind in _KINDS:
            msgspec.json.decode(bare, type=_Bare if bare == line else Annotation)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def read_annotations(layout: StoreLayout, start: int = 0) -> tuple[list[Annotation], int]:
    """Return the annotations that begin at byte `start` of the log or later, and where its last whole line ends.

    A log that cannot be read annotates nothing: whoever removes checkpoints reads it too, and stops there.
    """
    try:
        with translate_os_errors("cannot read the operation log"), open(layout.operations, "rb") as stream:
            stream.seek(start)
            text = stream.read(_LARGEST_LOG_BYTES)
    except StorageError:
        return [], start
    text = text[: text.rfind(b"\n") + 1]
    if b'"annotation"' not in text:
        return [], start + len(text)
    found = (_parse(line) for line in text.splitlines())
    return [one for one in found if one is not None], start + len(text)


def annotate(row: CheckpointRow, annotations: Iterable[Annotation]) -> CheckpointRow:
    """Return `row` with everything that `annotations` say of its checkpoint, in their order."""
    tags, pinned, verdict, description = list(row.tags), row.pinned, row.verdict, row.description
    for one in annotations:
        if one.checkpoint != row.checkpoint_id:
            continue
        if one.kind in (AnnotationKind.PIN, AnnotationKind.UNPIN):
            pinned = one.kind is AnnotationKind.PIN
        elif one.kind is AnnotationKind.VERDICT:
            verdict = one.result.value if one.result is not None else verdict
        elif one.kind in (AnnotationKind.TAG, AnnotationKind.UNTAG):
            tags = [tag for tag in tags if tag not in one.tags]
            tags += one.tags if one.kind is AnnotationKind.TAG else ()
        elif one.kind is AnnotationKind.PROMPT and one.note not in description:
            description = f"{description}\n{one.note}".strip()
    return msgspec.structs.replace(row, tags=tuple(tags), pinned=pinned, verdict=verdict, description=description)


def apply_annotations(catalog: Catalog, layout: StoreLayout) -> None:
    """Bring the catalog's rows up to date with the annotations that were appended since the last time."""
    try:
        size = os.stat(layout.operations).st_size
    except FileNotFoundError:
        return
    known = int(catalog.find_fact(_READ_TO) or 0)
    if size < known:  # another log was put in its place: what the old one said must not stay
        catalog.clear()
        known = 0
    if size == known:
        return
    annotations, end = read_annotations(layout, known)
    if not annotations and end - known < _SHORT_BYTES:
        return
    with catalog.transaction():
        for checkpoint_id in {one.checkpoint for one in annotations}:
            row = catalog.find_checkpoint(checkpoint_id)
            if row is not None:
                catalog.set_annotated(annotate(row, annotations))
        catalog.set_fact(_READ_TO, str(end).encode())


def _parse(line: bytes) -> Annotation | None:
    if not is_annotation(line):
        return None
    try:
        return msgspec.json.decode(strip_check(line), type=Annotation)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # of a kind that a later release has
        return None
