"""Branching: a new working tree that holds exactly the state of a checkpoint, on a timeline of its own.

Nothing of the source changes but for one automatic checkpoint. Until the new timeline's first checkpoint is sealed,
which is also the proof that its tree is what was asked for, whatever fails or is killed is taken away again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from chronos import operations
from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    Applier,
    Capture,
    Kept,
    Options,
    Plan,
    State,
    Store,
    StoreApplier,
    Trigger,
    capture_in_memory,
    list_timelines,
    open_checkpoint,
    write_record,
)
from chronos.errors import BadTimelineNameError, ChronosError, TimelineExistsError, VerifyFailedError
from chronos.files import TreePath, display, sync_file_system, translate_os_errors
from chronos.git import add_worktree, find_branch_in_the_way, is_branch_name, mark_worktree
from chronos.layout import IMPORT_TIMELINE, MAIN_TIMELINE, TIMELINE_NAME
from chronos.operations import (
    Operation,
    OperationKind,
    Workspace,
    append,
    branch_of,
    new_operation_id,
    places_of,
    plan_towards,
    stamp,
)
from chronos.pool import HashingSink
from chronos.timelines.nested import bring_repositories
from chronos.timelines.pending import drop_pending
from chronos.timelines.seeds import copy_seeds, find_seeds


class Branched(msgspec.Struct, frozen=True):
    """A timeline that was branched. `source` is the checkpoint whose state it has, `head` its own first one."""

    name: str
    path: Path
    source: str
    head: str
    branch: str
    seeded: tuple[str, ...]
    kept: tuple[Kept, ...]
    warnings: tuple[str, ...]


class Request(msgspec.Struct, frozen=True):
    """What is asked for. `source` is the checkpoint to begin from, None the present state."""

    name: str
    source: CheckpointRow | None = None
    memory: bool = True
    seeds: tuple[str, ...] = ()


def check_timeline_name(name: str) -> str:
    """Return `name` when a folder and a git branch may be called so. Raises BadTimelineNameError."""
    shown = display(name[:60])
    if name.lower() in (MAIN_TIMELINE, IMPORT_TIMELINE):
        raise BadTimelineNameError(f"{shown!r} is the name of a timeline that every store has or may have")
    if not re.fullmatch(TIMELINE_NAME, name) or ".." in name or name.lower().endswith(".lock"):
        raise BadTimelineNameError(f"{shown!r} cannot be the name of a timeline")
    return name


def branch(workspace: Workspace, request: Request) -> Branched:
    """Make a timeline with a working tree that has the present state, or that of a checkpoint.

    Raises BadTimelineNameError, TimelineExistsError, BadConfigError, UnsupportedError, GitFailedError, IntegrityError,
    StorageError, and then nothing of the new timeline is left.
    """
    store, name = workspace.store, check_timeline_name(request.name)
    operations.settle_timeline(workspace, name)
    folder = operations.find_trees_folder(workspace)
    place = folder / name if folder is not None else store.layout.worktree(name)
    _check_free(workspace, name, place)
    if folder is not None:
        operations.claim_trees_folder(workspace, folder)
    seeds = find_seeds(workspace, request.seeds)
    source = request.source or _hold_source(workspace, name)
    state = store.read_checkpoint(source)
    with store.working_on(name):
        _check_free(workspace, name, place)
        drop_pending(store, name)  # of an earlier timeline of this name
        commit = state.components[b""].head
        move = operations.arriving(store.layout, name, place, commit, is_plain=workspace.repository.is_plain)
        summary = f"branch {name} from {source.name}"
        operation = Operation(
            new_operation_id(), OperationKind.BRANCH, workspace.timeline, stamp(), summary,
            target=source.checkpoint_id, tree=move,
        )  # fmt: skip
        operations.write_note(store, operation)
        _claim(store, operation, place)
        try:
            made = _make(workspace, request, place, source, state, seeds)
        except BaseException:
            operations.withdraw(workspace, operation)
            operations.drop_note(store, operation)
            raise
        append(store, operation)
        operations.drop_note(store, operation)
    return made


def _claim(store: Store, operation: Operation, place: Path) -> None:
    """Make the empty folder that becomes the tree, so that nothing of anybody else's can be taken for it later."""
    try:
        with translate_os_errors(f"cannot make {place}"):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.mkdir()
    except ChronosError as cause:
        if isinstance(cause.__cause__, FileExistsError):
            cause = TimelineExistsError(f"{place} is there already", hint="give another name, or move that away")
        operations.drop_note(store, operation)
        raise cause from None


def _check_free(workspace: Workspace, name: str, place: Path) -> None:
    store, repository = workspace.store, workspace.repository
    others = {other.lower() for other in list_timelines(store.layout)} - {name}
    if name.lower() in others:
        raise TimelineExistsError(f"a timeline whose name differs from {name!r} only in case is there already")
    if store.catalog.list_checkpoints(name, limit=1):
        raise TimelineExistsError(f"timeline {name} is there already")
    if os.path.lexists(place):
        raise TimelineExistsError(f"{place} is there already", hint="give another name, or move that away")
    if repository.is_plain:
        return
    if not is_branch_name(repository, branch_of(name)):
        raise BadTimelineNameError(f"git takes no branch called {branch_of(name)}")
    taken = find_branch_in_the_way(repository, branch_of(name))
    if taken == branch_of(name):
        raise TimelineExistsError(
            f"there is a branch {taken} already", hint="give another name, or delete or rename that branch"
        )
    if taken is not None:
        raise TimelineExistsError(
            f"there is a branch called {display(taken)}, so none can be called {branch_of(name)}",
            hint="give another name, or rename that branch: git branch -m OLD NEW",
        )


def _hold_source(workspace: Workspace, name: str) -> CheckpointRow:
    created = operations.create(workspace, f"before branch {name}", trigger=Trigger.AUTOMATIC)
    workspace.notices += [warning for warning in created.warnings if created.created]
    return operations.get_checkpoint(workspace.store, created.checkpoint_id)


def _make(
    workspace: Workspace, request: Request, place: Path, source: CheckpointRow, state: State, seeds: list[TreePath]
) -> Branched:
    """Make the tree, give it the state and the seeds, and seal its first checkpoint from what was there before these.

    With the seal the timeline is whole.
    """
    store, name, repository = workspace.store, request.name, workspace.repository
    with translate_os_errors(f"cannot make {place}"):
        store.layout.timeline_memory(name).mkdir(mode=0o700, parents=True, exist_ok=True)
    if not repository.is_plain:
        add_worktree(repository, place, branch_of(name), state.components[b""].head)
        mark_worktree(place, name)
    write_record(store.layout, store.id, name, place, workspace.home)
    new = msgspec.structs.replace(operations.workspace_at(workspace, name, place), progress=workspace.progress)
    notes = bring_repositories(workspace, new, state)
    plan, warnings = fill(new, state, Options(memory=request.memory))
    seed = partial(copy_seeds, workspace, place, seeds)
    head, seeded = _seal(new, state, Options(memory=request.memory), source, seed)
    branch_name = "" if repository.is_plain else branch_of(name)
    return Branched(
        name, place, source.checkpoint_id, head, branch_name, seeded, tuple(plan.kept),
        (*notes, *plan.warnings, *warnings),
    )  # fmt: skip


def fill(
    new: Workspace, state: State, options: Options, forced: frozenset[TreePath] = frozenset()
) -> tuple[Plan, list[str]]:
    """Put the checkpoint's state into a tree of ours: what git has checked out there is replaced, and nothing else is.

    `forced` paths are looked at even where git ignores them.
    """
    store = new.store
    present = capture_in_memory(store, new.repository, new.policy(forced, places_of(new, state)))
    plan, planner = plan_towards(new, state, options, present, None)
    with store.temporary_folder() as trash:
        stores = StoreApplier(store, new.policy(), trash)
        stores.apply(plan.change_set.stores)
        seen = {path: part.index_identity for path, part in present.components.items()}
        applier = Applier(planner.repositories, store.pool, trash, seen)
        applied = applier.apply(plan.change_set, new.progress)
        applier.sync()
    return plan, [*applied.warnings, *stores.notes, *(f"{display(row.path)}: {row.reason}" for row in applied.kept)]


def check_filled(new: Workspace, state: State, options: Options, capture: Capture) -> None:
    """Raise VerifyFailedError unless what was captured in a new tree is the state that it was given."""
    left = plan_towards(new, state, options, capture, HashingSink())[0].change_set
    if not left.is_empty:
        paths = [display(change.path) for change in left.changes] + [store.path for store in left.stores]
        raise VerifyFailedError(f"the new tree is not as the checkpoint: {', '.join(paths[:10]) or 'its index'}")


def _seal(
    new: Workspace, state: State, options: Options, source: CheckpointRow, seed: Callable[[], tuple[str, ...]]
) -> tuple[str, tuple[str, ...]]:
    """Seal the first checkpoint of the timeline, unless what was asked for is not what is there; `seed` just before."""
    parents = (source.checkpoint_id,)
    request = new.request(f"branch {new.timeline}", Trigger.AUTOMATIC, f"from {source.name}", parents=parents)
    policy = new.policy(stores=places_of(new, state))
    with open_checkpoint(new.store, new.repository, policy, request) as pending:
        check_filled(new, state, options, pending.capture)
        seeded = seed()
        sync_file_system(new.root)
        return pending.seal().checkpoint_id, seeded
