"""Carrying a change set out so that a crash at any point can be finished or taken back.

The journal is written before the first change and names every side of every path. After the last change the
operation is logged, and the journal moves to `.store/changes`, where undo finds it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chronos import checkpoints, locks
from chronos.background import in_background
from chronos.checkpoints import CheckpointMove, Store, Trigger, list_timelines
from chronos.errors import (
    ChangedMeanwhileError,
    ChronosError,
    DamagedJournalError,
    IntegrityError,
    InterruptedOperationError,
    OutsideError,
    StorageError,
    VerifyFailedError,
)
from chronos.files import (
    TreePath,
    display,
    read_limited,
    remove_tree,
    replace_durably,
    sweep_drafts,
    sync_folder,
    translate_os_errors,
    unescape,
)
from chronos.git import Repository, open_repository, sweep_base_ref_locks
from chronos.layout import TIMELINE
from chronos.operations.hiding import sweep_hiding_drafts
from chronos.operations.log import Operation, OperationKind, append, read_operations, stamp
from chronos.operations.shelf import move_checkpoints
from chronos.operations.workspace import Workspace

if TYPE_CHECKING:
    from chronos.checkpoints import Applied, Capture, CapturePolicy, ChangeSet, Journal, StoreApplier

# The ending of the note of a tree that comes or goes.
NOTE = ".tree"
# What the replacement of a folder notes in its trash, and is nothing of anybody's.
_MARKS = ("placing", "verified", "placed")
_NAMED = 10


def carry_out(
    workspace: Workspace, journal: Journal, repositories: dict[TreePath, Repository],
    verify: Callable[[Applied, Capture], None], policy: CapturePolicy, present: Capture,
) -> Applied:  # fmt: skip
    """Write the journal, apply its changes, call `verify`, and log the operation. The timeline's lock must be held.

    `verify` gets a capture by `policy` of what is there then, which becomes a checkpoint where the journal says so.
    `present` is the capture that the plan was made from. With checkpoints that move in the journal the
    store's exclusive lock must be held. An operation that fails its verification is logged all the same, so that it can
    be undone; its trash stays. Memory stores come first: where one cannot be replaced all are as they were, nothing
    else has been touched, and there was no operation.
    """
    store = workspace.store
    path, trash = _journal_path(store, journal), _trash_path(store, journal)
    replace_durably(path, checkpoints.encode_journal(journal))
    stores = _store_applier(workspace, trash, present.read_stores, present.waited_s)
    try:
        stores.apply(journal.change_set.stores)
    except ChronosError:
        if not stores.is_half_done:
            _withdraw(store, journal)
        raise
    seen = {path: part.index_identity for path, part in present.components.items()}
    applier = checkpoints.Applier(repositories, store.pool, trash, seen)
    applied = applier.apply(journal.change_set, workspace.progress)
    synced = in_background(applier.sync)  # while we look at what is there now
    _add_stores(applied, stores)
    if applied.kept and journal.is_whole:
        _refuse_half(workspace, journal, applied)
    try:
        sealed = _capture(workspace, journal, policy, partial(verify, applied))
    except VerifyFailedError:
        synced()
        _close(workspace, journal, None, keep_trash=True)
        raise
    synced()
    _close(workspace, journal, sealed)
    return applied


def _refuse_half(workspace: Workspace, journal: Journal, applied: Applied) -> None:
    """Take back a merge that could not be made as a whole: somebody wrote to what it was to replace."""
    _settle_one(workspace, journal, abort=True)
    paths = ", ".join(display(row.path) for row in applied.kept[:_NAMED])
    raise ChangedMeanwhileError(
        f"{paths} changed while the {journal.kind} was made, which was taken back", hint="make it again"
    )


def _capture(
    workspace: Workspace, journal: Journal, policy: CapturePolicy, look: Callable[[Capture], None]
) -> str | None:  # fmt: skip
    """Capture what is there, let `look` look at it, and seal it when the journal says so; return the id then."""
    store, repository = workspace.store, workspace.repository
    if journal.seals is None:
        look(checkpoints.capture_in_memory(store, repository, policy))
        return None
    request = workspace.request(journal.seals, Trigger.AUTOMATIC, parents=journal.parents)
    with checkpoints.open_checkpoint(store, repository, policy, request) as pending:
        pending.begin()
        look(pending.capture)
        _save_from_trash(store, journal)
        emptied = in_background(partial(remove_tree, _trash_path(store, journal)))  # checkpoints hold all of it
        sealed = pending.seal().checkpoint_id
        emptied()
        return sealed


def read_changes(store: Store, operation: Operation) -> ChangeSet:
    """Return what a logged operation changed in the tree. Raises DamagedJournalError or StorageError."""
    if not operation.has_changes:
        return checkpoints.ChangeSet()
    path = store.layout.changes / f"{operation.operation}.json"
    try:
        return _read_journal(path).change_set
    except ChronosError as cause:
        if isinstance(cause, OutsideError) and path.exists():
            raise
        way = f"`chrono checkpoint restore {operation.safety}` gives the state before it; " if operation.safety else ""
        raise DamagedJournalError(
            f"what {operation.summary} changed cannot be read: {cause.message}",
            hint=f"{way}`chrono undo --skip` steps over it",
        ) from cause


def list_interrupted(store: Store) -> list[Path]:
    """Return the journals of operations that were cut short."""
    return [path for path in list_unfinished(store) if path.suffix != NOTE]


def list_unfinished(store: Store) -> list[Path]:
    """Return the journals, and the notes of trees that come and go, of what was cut short or is in progress."""
    if not store.layout.journals.is_dir():
        return []
    found = (path for path in store.layout.journals.iterdir() if path.suffix in (".json", NOTE) and path.name[0] != ".")
    return sorted(path for path in found if path.is_file())


def sweep_leftovers(workspace: Workspace) -> int:
    """Remove what killed processes left: trash whose journal is closed, drafts, locks of base refs; return how many."""
    store, repository = workspace.store, workspace.repository
    swept = sweep_drafts(store.layout.system) + sweep_drafts(store.layout.journals)
    swept += sum(sweep_drafts(store.layout.timeline(name), TIMELINE) for name in list_timelines(store.layout))
    swept += sweep_hiding_drafts(repository, store.layout)
    with locks.hold(store.layout.refs_lock, timeout_s=store.config.lock_timeout_s):
        swept += sweep_base_ref_locks(repository, store.id)
    if store.layout.journals.is_dir():
        for path in sorted(store.layout.journals.iterdir()):
            if path.suffix == ".trash" and not path.with_suffix(".json").exists():
                remove_tree(path)
                swept += 1
    return swept


def settle(workspace: Workspace, *, abort: bool = False) -> list[str]:
    """Finish (or with `abort` take back) what was interrupted on this timeline; return what was done, as sentences.

    A journal that cannot be read is only named, and set aside with `abort`: the safety checkpoint that its operation
    took holds the state before. The timeline's lock must be held, so whoever wrote a journal is gone. Raises
    InterruptedOperationError, or StorageError when something outside failed.
    """
    store, done = workspace.store, []
    for path in list_interrupted(store):
        try:
            journal = find_journal(path)
        except IntegrityError as cause:
            hint = f"{cause.message}; `chrono recover --abort` sets it aside"
            done.append(set_journal_aside(workspace, path) if abort else hint)
            continue
        if journal is None or journal.timeline != workspace.timeline:
            continue
        if any(known.operation == journal.operation for known in read_operations(store, journal.timeline)):
            _archive(store, journal)
            continue
        try:
            done.append(_settle_one(workspace, journal, abort=abort))
        except ChronosError as cause:
            kind = StorageError if isinstance(cause, OutsideError) else InterruptedOperationError
            raise kind(
                f"the interrupted {journal.kind} could not be finished: {cause.message}",
                hint="fix that and run `chrono recover`, or take it back with `chrono recover --abort`",
            ) from cause
    return done


def check_settled(workspace: Workspace) -> None:
    """Raise InterruptedOperationError when an operation of this timeline was cut short: a plan must change nothing."""
    for path in list_interrupted(workspace.store):
        with suppress(IntegrityError):
            journal = find_journal(path)
            if journal is not None and journal.timeline == workspace.timeline:
                raise InterruptedOperationError(f"the {journal.kind} ({journal.summary}) was interrupted")


def set_aside_journals(workspace: Workspace) -> list[str]:
    """Set aside what was interrupted on this timeline while it was another tree's; return what was done, as sentences.

    Its changes are for files of a tree that is no more; they must not be made in this one.
    """
    done = []
    for path in list_interrupted(workspace.store):
        with suppress(IntegrityError):
            journal = find_journal(path)
            if journal is not None and journal.timeline == workspace.timeline:
                done.append(set_journal_aside(workspace, path))
    return done


def set_journal_aside(workspace: Workspace, path: Path) -> str:
    """Rename a journal that cannot be, or must not be, carried out; what it moved away is saved with it.

    Returns what was done, as a sentence.
    """
    aside, trash = path.with_suffix(".damaged"), path.with_suffix(".trash")
    with translate_os_errors(f"cannot set {path} aside"):
        if trash.exists():  # first, for nobody would know whose it is
            os.replace(trash, path.with_suffix(".saved"))
        os.replace(path, aside)
    sync_folder(path.parent)
    rows = workspace.store.catalog.list_checkpoints(workspace.timeline, limit=20)
    safety = [row for row in rows if row.trigger == Trigger.SAFETY.value]
    held = f"; the state before it is checkpoint {safety[0].checkpoint_id}" if safety else ""
    return f"the journal {path.name} is set aside as {aside.name}{held}"


def find_journal(path: Path) -> Journal | None:
    """Return what is in a journal, or None where its operation, in another process, has ended meanwhile.

    Raises DamagedJournalError, StorageError.
    """
    try:
        return _read_journal(path)
    except StorageError:
        if path.exists():
            raise
        return None


def _read_journal(path: Path) -> Journal:
    return checkpoints.decode_journal(read_limited(path, checkpoints.LARGEST_JOURNAL_BYTES), path.name)


def _settle_one(workspace: Workspace, journal: Journal, *, abort: bool) -> str:
    store = workspace.store
    changes = journal.change_set.inverted() if abort else journal.change_set
    trash, repositories = _trash_path(store, journal), _repositories(workspace, changes)
    stores = _store_applier(workspace, trash)
    stores.apply(changes.stores, is_resumed=True, way="store-abort" if abort else "store")
    applier = checkpoints.Applier(repositories, store.pool, trash, is_last_resort=abort)
    applied = applier.apply(changes)
    applier.sync()
    _add_stores(applied, stores)
    if applied.kept and journal.is_whole and not abort:
        return _settle_one(workspace, journal, abort=True)
    if abort:
        _withdraw(store, journal)
    else:
        _close(workspace, journal, _seal(workspace, journal))
    verb = "took back" if abort else "finished"
    kept = [f"kept {display(row.path)}: {row.reason}" for row in applied.kept]
    return "; ".join([f"{verb} the interrupted {journal.kind} ({journal.summary})", *kept, *applied.warnings])


def _store_applier(
    workspace: Workspace, trash: Path, read: Collection[str] = (), waited_s: Mapping[str, float] | None = None
) -> StoreApplier:
    return checkpoints.StoreApplier(workspace.store, workspace.policy(), trash, read, waited_s)


def _add_stores(applied: Applied, stores: StoreApplier) -> None:
    applied.stores += stores.replaced
    applied.warnings += stores.notes
    applied.kept += [checkpoints.Kept(unescape(path), reason) for path, reason in stores.kept]


def _withdraw(store: Store, journal: Journal) -> None:
    """Remove the journal of an operation that was taken back."""
    _save_from_trash(store, journal, is_withdrawn=True)
    with translate_os_errors(f"cannot remove the journal of {journal.operation}"):
        _journal_path(store, journal).unlink(missing_ok=True)
    sync_folder(store.layout.journals)
    remove_tree(_trash_path(store, journal))


def _save_from_trash(store: Store, journal: Journal, *, is_withdrawn: bool = False) -> None:
    """Save for good what of a memory store lies in the trash and is held nowhere else.

    That is what no checkpoint has and its place did not take, and when the operation was taken back, whatever did not
    go back.
    """
    trash = _trash_path(store, journal)
    kept = [path for path in trash.glob("store-*") if path.suffix == ".saved"]
    if is_withdrawn:
        kept += [path for path in trash.glob("store-*/*") if path.name not in _MARKS and path.parent not in kept]
    if kept:
        saved = trash.with_suffix(".saved")
        with translate_os_errors(f"cannot save what is in {trash}"):
            saved.mkdir(mode=0o700, exist_ok=True)
            for path in kept:
                os.rename(path, saved / "-".join(path.relative_to(trash).parts))
        sync_folder(saved)
        sync_folder(saved.parent)


def _repositories(workspace: Workspace, changes: ChangeSet) -> dict[TreePath, Repository]:
    found = {b"": workspace.repository}
    wanted = {side.component for change in changes.changes for side in (change.before, change.after)}
    wanted |= {change.component for change in changes.indexes}
    links = {link.component: link.git_dir for link in changes.links}
    for component in sorted(wanted - {b""}):
        root = workspace.root / os.fsdecode(component)
        linked = checkpoints.linked_repository(workspace.repository, component, links.get(component, ""))
        if linked is not None and component in links:
            found[component] = linked
        elif (root / ".git").exists():
            found[component] = open_repository(root, workspace.git)
    return found


def _close(workspace: Workspace, journal: Journal, sealed: str | None, *, keep_trash: bool = False) -> None:
    """Move the checkpoints that the operation speaks of, log it, and keep its changes for undo."""
    store, moves = workspace.store, journal.checkpoints
    move_checkpoints(store, moves)
    if sealed is not None:
        moves += (CheckpointMove(sealed, True),)
    operation = Operation(
        journal.operation, OperationKind(journal.kind), journal.timeline, stamp(), journal.summary, moves,
        has_changes=True, safety=journal.safety, target=journal.target, undoes=journal.undoes,
    )  # fmt: skip
    append(store, operation)
    _archive(store, journal, keep_trash=keep_trash)


def _seal(workspace: Workspace, journal: Journal) -> str | None:
    """Take the checkpoint that ends an operation, unless the run that was cut short has; return its id."""
    newest = workspace.store.catalog.list_checkpoints(journal.timeline, limit=1)[0]
    if journal.seals is not None and newest.parent == journal.safety and newest.other_parents == journal.parents:
        return newest.checkpoint_id
    if journal.seals is None:
        return None
    policy = workspace.policy(frozenset(change.path for change in journal.change_set.changes))
    return _capture(workspace, journal, policy, lambda _: None)


def _archive(store: Store, journal: Journal, *, keep_trash: bool = False) -> None:
    folder = store.layout.changes
    _save_from_trash(store, journal)
    with translate_os_errors(f"cannot write in {folder}"):
        folder.mkdir(mode=0o700, exist_ok=True)
        os.replace(_journal_path(store, journal), folder / f"{journal.operation}.json")
    sync_folder(folder)
    sync_folder(store.layout.journals)
    if not keep_trash:
        remove_tree(_trash_path(store, journal))


def _journal_path(store: Store, journal: Journal) -> Path:
    return store.layout.journals / f"{journal.operation}.json"


def _trash_path(store: Store, journal: Journal) -> Path:
    return store.layout.journals / f"{journal.operation}.trash"
