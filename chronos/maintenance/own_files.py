"""Checking the store's own small files: format, inner repository, records of timelines, log, journals, changes."""

from __future__ import annotations

from chronos import locks
from chronos.checkpoints import (
    LARGEST_JOURNAL_BYTES,
    Store,
    decode_journal,
    find_record,
)
from chronos.errors import ChronosError, IntegrityError, LockedError, StorageError
from chronos.files import read_limited
from chronos.git import is_inner_repository
from chronos.maintenance.survey import Survey
from chronos.memory import read_declarations
from chronos.operations import (
    Operation,
    OperationKind,
    find_ended,
    find_journal,
    has_torn_end,
    is_unreadable,
    list_interrupted,
    list_notes,
    read_changes,
    read_operations,
)

_REPAIR = "chrono verify --repair"


def check_own_files(survey: Survey, store: Store, timelines: list[str]) -> None:
    """Check everything in the store that is no pack, no checkpoint and no cache."""
    _check_set_up(survey, store)
    for timeline in timelines:
        _check_record(survey, store, timeline)
    _check_journals(survey, store)
    _check_operations(survey, store)


def _check_set_up(survey: Survey, store: Store) -> None:
    if not store.is_sound:
        survey.is_format_damaged = True
        survey.error(
            "format", f"{store.layout.format_file} is damaged; the timelines' records say what it said", _REPAIR
        )
    if not is_inner_repository(store.layout.inner_repository):
        survey.is_inner_damaged = True
        problem = f"{store.layout.inner_repository} is no repository any more; it keeps `git clean -fdx` from the store"
        survey.warn("inner repository", problem, _REPAIR)
    try:
        read_declarations(store.layout)
    except ChronosError as cause:
        survey.are_declarations_damaged = isinstance(cause, IntegrityError)
        survey.error(store.layout.declarations.name, cause.message, cause.hint)


def _check_record(survey: Survey, store: Store, timeline: str) -> None:
    try:
        record = find_record(store.layout, timeline)
    except ChronosError as cause:
        survey.timelines += [timeline] if isinstance(cause, IntegrityError) else []
        survey.error(f"timeline {timeline}", cause.message, cause.hint)
        return
    if record is not None and record.store != store.id:
        survey.error(
            f"timeline {timeline}", f"its record is of store {record.store}, and this is store {store.id}",
            f"look at {store.layout.format_file}: the base refs carry the id of the store",
        )  # fmt: skip


def _check_journals(survey: Survey, store: Store) -> None:
    for folder in sorted(store.layout.journals.glob("*.saved")):
        survey.note(
            f"saved {folder.name}", "files that were edited while a restore replaced them",
            f"look at {folder}, and remove it when you need them no more",
        )  # fmt: skip
    for path in list_interrupted(store):
        try:
            journal = find_journal(path)
        except ChronosError as cause:
            survey.journals += [path] if isinstance(cause, IntegrityError) else []
            remedy = "its safety checkpoint holds the state before; `chrono recover --abort` sets the journal aside"
            survey.error(f"journal {path.name}", cause.message, remedy)
            continue
        if journal is not None and not _is_at_work(store, journal.timeline) and path.exists():
            survey.warn(f"journal {path.name}", f"{journal.summary} was interrupted", "chrono recover")
    for operation in list_notes(store):
        if operation.tree is not None and not _is_at_work(store, operation.tree.timeline):
            survey.warn(f"journal {operation.operation}.tree", f"{operation.summary} was interrupted", "chrono recover")


def _is_at_work(store: Store, timeline: str) -> bool:
    """Tell whether somebody works on a timeline just now, so that a journal of it is not one that was cut short."""
    try:
        with locks.hold(store.layout.timeline_lock(timeline), timeout_s=0):
            return False
    except LockedError:
        return True
    except StorageError:  # a store that can only be read
        return False


def _check_operations(survey: Survey, store: Store) -> None:
    try:
        operations = read_operations(store)
        if has_torn_end(store):
            problem = "it does not end with a whole line: a crash cut it short, or damage did"
            survey.note("operations.jsonl", problem, "the next operation removes what is no line")
    except ChronosError as cause:
        survey.error("operations.jsonl", cause.message, "restore the file from a backup")
        return
    ended = find_ended(operations)
    skipped = {operation.undoes for operation in operations if operation.kind is OperationKind.SKIP}
    for operation in operations:
        if operation.operation in ended:
            continue
        subject, problem, remedy = _problem_of(store, operation)
        if problem and operation.operation in skipped:
            survey.note(subject, problem, remedy)
        elif problem:
            survey.operations.append(operation)
            survey.warn(subject, problem, remedy)
    _check_unlogged(survey, store, {f"{operation.operation}.json" for operation in operations})


def _problem_of(store: Store, operation: Operation) -> tuple[str, str, str]:
    """Return what the log, or what is kept for undo, cannot say of an operation; no problem is an empty text."""
    if is_unreadable(operation):
        return "operations.jsonl", operation.summary, "undo stops there; `chrono undo --skip` steps over it"
    try:
        read_changes(store, operation)
    except ChronosError as cause:
        return f"operation {operation.operation}", cause.message, cause.hint
    return "", "", ""


def _check_unlogged(survey: Survey, store: Store, known: set[str]) -> None:
    """Change records that no operation is known to have: a whole one gives its operation back, a damaged one cannot."""
    folder = store.layout.changes
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name in known or path.name.startswith("."):
            continue
        try:
            decode_journal(read_limited(path, LARGEST_JOURNAL_BYTES), path.name)
        except ChronosError as cause:
            survey.changes += [path] if isinstance(cause, IntegrityError) else []
            survey.warn(f"changes {path.name}", cause.message, f"no operation needs it; `{_REPAIR}` sets it aside")
