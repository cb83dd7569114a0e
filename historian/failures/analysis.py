"""Why something failed, as far as the error and the changes since a checkpoint tell, and the way back.

Nothing here is changed: what the error says is compared with what differs. A comparison that cannot be made is a note
in the result and no error, for whoever asks is in the middle of handling one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from chronos.errors import ChronosError
from chronos.files import display
from chronos.secrets import mask, mask_beginning
from historian.failures.parsed import ParsedError
from historian.failures.reading import read_error
from historian.failures.suspects import Change, StoreChange, Suspect, find_renames, rank_suspects
from historian.lessons import CHANGED, REPORTED, text_of_operation

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Difference
    from chronos.engine import ChronosEngine
    from historian.lessons import Lesson, LessonsStore
    from historian.risk import Operation

_MOST_PATCHES = 150
_MOST_SUSPECTS = 20
_LONGEST_OPERATION = 4000
_LONGEST_MESSAGE = 500
# From here on a single change is likely enough to be taken back alone.
_LIKELY = 0.5


class FailureAnalysis(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a failure. It prints well, and `await` gives it back as it is.

    `changed` counts paths and memory stores that differ from the checkpoint, `suspects` are at most twenty of them.
    `restore` is the command that goes back, empty when nothing is to be restored; `advice` says it in words. `notes`
    tell what could not be done. `lesson` is what was learned, None when it could not be written.
    """

    operation: str
    error: ParsedError
    checkpoint_id: str | None = None
    checkpoint_name: str = ""
    changed: int = 0
    suspects: tuple[Suspect, ...] = ()
    restore: str = ""
    advice: str = ""
    lesson: Lesson | None = None
    notes: tuple[str, ...] = ()

    def __await__(self) -> Generator[Any, None, Self]:
        """Give the analysis back: it is there already."""
        return self
        yield

    def __str__(self) -> str:
        error = f"{self.error.kind}: {self.error.message}" if self.error.kind else self.error.message
        lines = [f"{self.operation} failed: {error}"]
        lines += [f"  because of {cause.kind}: {cause.message}" for cause in self.error.causes]
        lines += [f"  at {frame.path}:{frame.line}" for frame in self.error.frames[:1] if frame.line]
        lines += [f"  {one.score:.2f} {one.status} {one.path}: {'; '.join(one.reasons)}" for one in self.suspects[:5]]
        lines += [self.advice] if self.advice else []
        lines += [f"lesson {self.lesson.lesson_id}, learned {self.lesson.count} times"] if self.lesson else []
        return "\n".join([*lines, *self.notes])


class Report(msgspec.Struct, frozen=True):
    """Who reported a failure that nobody here has seen, and whose it was, in lines that its lesson says as well.

    `is_unique` says that the last of these lines is of this one failure: reported twice, it is learned once.
    """

    by: str
    lines: str = ""
    is_unique: bool = False


def analyze(
    engine: ChronosEngine,
    lessons: Callable[[], LessonsStore],
    operation: str | Operation,
    error: str | BaseException,
    checkpoint_before: str | None = None,
    tags: Sequence[str] = (),
    report: Report | None = None,
) -> FailureAnalysis:
    """Take a failure apart, compare the tree and the memory with a checkpoint, and learn the lesson.

    Without `checkpoint_before` the newest checkpoint is compared with, also one that was taken for safety. `lessons` is
    asked for the store when the lesson is to be kept. With a `report` the lesson is tagged with who made it, and
    whether anything is another than before.
    """
    parsed = _without_secrets(read_error(error))
    words = operation if isinstance(operation, str) else text_of_operation(operation)
    operation = mask_beginning(" ".join(words.split()), _LONGEST_OPERATION - 1) or "an operation without a name"
    notes: list[str] = []
    found = FailureAnalysis(operation=operation, error=parsed)
    try:
        row = _find_checkpoint(engine, checkpoint_before)
        if row is None:
            notes.append("there is no checkpoint to compare with; the error alone was read")
        else:
            found = _compare(engine, found, row, notes)
    except ChronosError as problem:
        notes.append(f"not compared with a checkpoint: {problem.message}")
    found = msgspec.structs.replace(found, advice=found.advice or _advise(found))
    try:
        found = msgspec.structs.replace(found, lesson=_learn(lessons(), found, tags, report))
    except ChronosError as problem:
        notes.append(f"the lesson was not kept: {problem.message}")
    return msgspec.structs.replace(found, notes=tuple(notes))


def _find_checkpoint(engine: ChronosEngine, wanted: str | None) -> CheckpointRow | None:
    if wanted:
        return engine.find_checkpoint(wanted)
    return next(iter(engine.list_checkpoints(limit=1, safety=True)), None)


def _compare(engine: ChronosEngine, found: FailureAnalysis, row: CheckpointRow, notes: list[str]) -> FailureAnalysis:
    """Add what differs from the checkpoint, ranked, and the way back."""
    differences = engine.diff(row.checkpoint_id)
    root = str(engine.root)
    changes = _changes(engine, differences)
    stores: list[StoreChange] = []
    try:
        stores = _stores(engine, row.checkpoint_id)
    except ChronosError as problem:
        notes.append(f"memory stores were not compared: {problem.message}")
    ranked = rank_suspects(found.error, found.operation, changes, stores, root)
    likely = [one.path for one in ranked][:_MOST_PATCHES]
    changes = _with_patches(engine, row.checkpoint_id, changes, set(likely))
    ranked = rank_suspects(found.error, found.operation, changes, stores, root)
    found = msgspec.structs.replace(
        found, checkpoint_id=row.checkpoint_id, checkpoint_name=row.name, changed=len(changes) + len(stores),
        suspects=tuple(ranked[:_MOST_SUSPECTS]),
        restore=f"chrono checkpoint restore {row.checkpoint_id}" if changes or stores else "",
    )  # fmt: skip
    return msgspec.structs.replace(
        found, advice=_advise(found, {f"{one.name} ({one.path})": one.name for one in stores})
    )


def _changes(engine: ChronosEngine, differences: Sequence[Difference]) -> list[Change]:
    contents = [
        (display(one.path), one.status, content.id.hex() if content else None)
        for one in differences
        for content in [one.new.content if one.status == "A" else one.old.content]
    ]
    renames = find_renames(contents)
    times = {
        path: _time_of(os.path.join(os.fsencode(engine.root), one.path))
        for one, (path, _, _) in zip(differences, contents, strict=True)
    }
    order = sorted(set(times.values()), reverse=True)
    ages = {moment: place / max(1, len(order) - 1) for place, moment in enumerate(order)}
    return [
        Change(
            path=path, status=status, age=ages[times[path]] if times[path] else 1.0, renamed_to=renames.get(path, "")
        )
        for path, status, _ in contents
    ]


def _with_patches(engine: ChronosEngine, checkpoint: str, changes: list[Change], wanted: set[str]) -> list[Change]:
    paths = [change.path for change in changes if change.path in wanted]
    if not paths:
        return changes
    few = len(paths) < len(changes)
    patches = {display(one.path): patch for one, patch in engine.diff_patches(checkpoint, paths=paths if few else ())}
    return [
        msgspec.structs.replace(change, patch=patch.text, added=patch.added, removed=patch.removed)
        if (patch := patches.get(change.path)) is not None
        else change
        for change in changes
    ]


def _stores(engine: ChronosEngine, checkpoint: str) -> list[StoreChange]:
    words = {"A": "is new", "D": "is gone", "M": "changed"}
    found = []
    for store in engine.diff_memory(checkpoint):
        tables = {
            table.name: "; ".join(
                (f"{words.get(table.status, 'changed')}, +{table.added} −{table.removed} rows", *table.notes)
            )
            for table in store.tables
        }
        found.append(StoreChange(store.name, store.path, store.status, tables))
    return found


def _advise(found: FailureAnalysis, stores: dict[str, str] | None = None) -> str:
    if found.checkpoint_id is None:
        return "Take a checkpoint before the next try (`chrono checkpoint create NAME`), so that there is a way back."
    name = f"{found.checkpoint_name} ({found.checkpoint_id})"
    if not found.changed:
        return f"Nothing that checkpoint {name} holds has changed since, so restoring it changes nothing."
    count = f"{found.changed} changed {'thing' if found.changed == 1 else 'things'}"
    text = f"To go back to checkpoint {name} and take back {count}: `{found.restore}`; it can be undone."
    best = found.suspects[0]
    is_alone = len(found.suspects) == 1 or best.score - found.suspects[1].score >= 0.1
    if found.changed > 1 and best.score >= _LIKELY and is_alone:
        store = (stores or {}).get(best.path)
        part = f"--store {_quoted(store)}" if store else f"--path {_quoted(best.path)}"
        text += f" The likeliest alone: `{found.restore} {part}`."
    return text


def _learn(lessons: LessonsStore, found: FailureAnalysis, tags: Sequence[str], report: Report | None) -> Lesson:
    message = " ".join(found.error.message.split())[:_LONGEST_MESSAGE]
    result = ": ".join(filter(None, ("FAILURE", found.error.short_kind, message)))
    best = [f"{one.path} ({one.reasons[0]})" for one in found.suspects[:3] if one.score >= _LIKELY / 2]
    feedback = (f"Suspects: {', '.join(best)}. " if best else "") + found.advice
    own = [found.error.source.value, found.error.short_kind]
    if report is not None:
        has_changed = found.changed > 0 or found.checkpoint_id is None  # what nobody can tell counts as changed
        own += [REPORTED, report.by, CHANGED if has_changed else ""]
        feedback = "\n".join(filter(None, (feedback, report.lines)))
    return lessons.add_lesson(
        found.operation, found.operation, result, feedback, (*tags, *filter(None, own)),
        checkpoint_before=found.checkpoint_id, once=report is not None and report.is_unique,
    )  # fmt: skip


def _without_secrets(error: ParsedError) -> ParsedError:
    """Return the error as it may be kept, and shown to agents; what it names is looked for by these texts, too."""
    causes = tuple(msgspec.structs.replace(cause, message=mask(cause.message)) for cause in error.causes)
    return msgspec.structs.replace(error, message=mask(error.message), causes=causes)


def _time_of(path: bytes) -> int:
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0


def _quoted(text: str) -> str:
    import shlex  # only for a name that is shown

    return shlex.quote(text)
