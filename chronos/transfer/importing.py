"""Taking a checkpoint out of a parcel into this store: checked whole, planned, then made visible like a create.

It lands on a timeline for imports (decision 12), so that no working tree's newest checkpoint, sequence numbers or
parents change. The base commits that came along enter the repository only where they are missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from chronos import locks
from chronos.checkpoints import (
    LARGEST_MANIFEST_BYTES,
    Allowance,
    CheckpointMove,
    SealedElsewhere,
    Store,
    complete,
    find_record,
    take_in,
)
from chronos.errors import DamagedParcelError, ForeignTimelineError, StateError
from chronos.files import TreePath, from_text, read_limited, translate_os_errors
from chronos.git import GitCommand, Repository, check_bundle, create_base_ref, has_base_ref, has_commit, take_bundle
from chronos.layout import IMPORT_TIMELINE, MAIN_TIMELINE, MANIFEST
from chronos.operations import (
    Operation,
    OperationKind,
    Workspace,
    append,
    find_folder,
    move_checkpoints,
    new_operation_id,
    open_repositories,
    stamp,
)
from chronos.parcel import Parcel
from chronos.pool import PoolWriter
from chronos.transfer.inspection import Inspected, check_timeline_name, inspect


class BaseNeed(msgspec.Struct, frozen=True):
    """A base commit of the checkpoint that is not in the repository here; `bundle_bytes` when the file brings it.

    Without `has_repository` there is nothing at `component` (text, '' for the root) that could take it.
    """

    component: str
    commit: str
    bundle_bytes: int | None
    has_repository: bool = True

    @property
    def is_brought(self) -> bool:
        """Whether an import writes its objects into the repository."""
        return self.has_repository and self.bundle_bytes is not None


class ImportPlan(msgspec.Struct, frozen=True):
    """What an import would do. `present` tells where the checkpoint is already: `live`, `deleted`, or nowhere.

    `new_chunks` of `chunks` are not in the pool yet and take `new_bytes` as they are stored; `content_bytes` is what
    a restore could write; `left_out` contents did not come along.
    """

    inspected: Inspected
    timeline: str
    present: str | None
    chunks: int
    new_chunks: int
    new_bytes: int
    bases: tuple[BaseNeed, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing would happen."""
        return self.present == "live" and not self.new_chunks and not any(need.is_brought for need in self.bases)


class Imported(msgspec.Struct, frozen=True):
    """What an import did. `imported` is false when the checkpoint was here; `completed` when it lacked something."""

    plan: ImportPlan
    imported: bool
    completed: bool


class Arrival(msgspec.Struct, frozen=True):
    """An open parcel that passed every check, and the repositories here at the paths of its components."""

    parcel: Parcel
    inspected: Inspected
    repositories: dict[TreePath, Repository]


@contextmanager
def open_arrival(
    file: Path, repository: Repository, git: GitCommand, notices: list[str],
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Arrival]:  # fmt: skip
    """Open and check a parcel. Raises DamagedParcelError, UnsupportedError, BadPathError, StorageError."""
    with Parcel(file) as parcel:
        inspected = inspect(parcel, progress)
        paths = {part.tree_path for part in inspected.manifest.code if _is_at_home(repository.root, part.tree_path)}
        yield Arrival(parcel, inspected, open_repositories(repository, git, paths, notices))


def _is_at_home(root: Path, component: TreePath) -> bool:
    """Tell whether no link leads from the root to a component: what is elsewhere is not a file's to write to."""
    top = os.fsencode(os.path.realpath(root))
    return os.path.realpath(os.path.join(top, component)) == (os.path.join(top, component) if component else top)


def plan_import(arrival: Arrival, store: Store | None, own: str, timeline: str | None = None) -> ImportPlan:
    """Return what an import would do; `own` is the working tree's timeline. Takes no lock and writes nothing.

    Raises ForeignTimelineError, and DamagedParcelError when another checkpoint has the id.
    """
    parcel, inspected = arrival.parcel, arrival.inspected
    wanted = check_timeline_name(timeline or IMPORT_TIMELINE)
    found = find_folder(store, inspected.sealed.checkpoint_id) if store is not None else None
    if store is not None and found is not None:
        _check_same(store, found, inspected.sealed)
    else:
        _check_free(store, arrival.repositories[b""], own, wanted)
    new = [place for key, place in parcel.chunks.items() if store is None or not store.catalog.has_chunk(key)]
    return ImportPlan(
        inspected,
        found[0] if found is not None else wanted,
        None if found is None else "live" if found[1] else "deleted",
        len(parcel.chunks),
        len(new),
        sum(place.stored_bytes for place in new),
        tuple(_find_needs(arrival)),
    )


def import_parcel(workspace: Workspace, arrival: Arrival, timeline: str | None = None) -> Imported:
    """Take the checkpoint in, once; undo takes it back. One that is here already is only given what it lacks.

    Raises what `plan_import` raises, QuotaExceededError, LowSpaceError, LockedError, StorageError, GitFailedError; then
    nothing has become visible.
    """
    store, sealed = workspace.store, arrival.inspected.sealed
    plan = plan_import(arrival, store, workspace.timeline, timeline)
    if plan.is_empty:
        return Imported(plan, False, False)
    with _lock(store, plan), store.temporary_folder() as scratch:
        again = plan_import(arrival, store, workspace.timeline, timeline)
        if (again.present, again.timeline) != (plan.present, plan.timeline):
            raise StateError("the checkpoint came or went meanwhile", hint="run the command again")
        bundles = _unpack_bundles(arrival, again, scratch)
        spend = Allowance(store.catalog, store.layout, store.config).spend
        writer = PoolWriter(scratch, store.catalog.has_chunk, spend=spend)
        try:
            _copy_chunks(workspace, arrival.parcel, writer)
            pin = partial(_pin_bases, store, arrival, bundles)
            if again.present is None:
                take_in(store, again.timeline, sealed, writer, scratch, pin)
            else:
                complete(store, again.timeline, writer, pin)
        finally:
            writer.abandon()
        if again.present != "live":
            _record(workspace, again)
    return Imported(again, again.present != "live", again.present == "live")


def _lock(store: Store, plan: ImportPlan) -> AbstractContextManager[None]:
    """Bringing a deleted checkpoint back moves a folder; everything else is like a create."""
    return store.exclusively() if plan.present == "deleted" else store.working_on(plan.timeline)


def _record(workspace: Workspace, plan: ImportPlan) -> None:
    moves = (CheckpointMove(plan.inspected.sealed.checkpoint_id, True),)
    if plan.present == "deleted":
        move_checkpoints(workspace.store, moves)
    summary = f"import {plan.inspected.manifest.name}"
    append(
        workspace.store,
        Operation(new_operation_id(), OperationKind.IMPORT, workspace.timeline, stamp(), summary, moves),
    )


def _check_same(store: Store, found: tuple[str, bool], sealed: SealedElsewhere) -> None:
    """An id is 64 bits of a hash: a file made to collide with a checkpoint must not pass for it."""
    timeline, is_live = found
    folder = store.layout.timeline(timeline) if is_live else store.layout.deleted(timeline)
    path = folder / sealed.checkpoint_id / MANIFEST
    if read_limited(path, LARGEST_MANIFEST_BYTES) != sealed.data:
        raise DamagedParcelError(
            f"checkpoint {sealed.checkpoint_id} is here already, and is another one or damaged",
            hint="run `chrono verify` to see which of the two is sound",
        )


def _check_free(store: Store | None, repository: Repository, own: str, timeline: str) -> None:
    """Raise ForeignTimelineError for a timeline that is, or would be, that of a working tree."""
    record = find_record(store.layout, timeline) if store is not None else None
    is_worktree = (repository.common_dir / "worktrees" / timeline).is_dir() and timeline != IMPORT_TIMELINE
    if timeline in (own, MAIN_TIMELINE) or is_worktree or (record is not None and not record.imported):
        raise ForeignTimelineError(
            f"timeline {timeline} is that of a working tree: an import would become its newest checkpoint",
            hint="leave out --timeline, or give a name that no timeline has",
        )


def _find_needs(arrival: Arrival) -> list[BaseNeed]:
    brought = {(bundle.component, bundle.commit): bundle for bundle in arrival.parcel.bundles}
    needs = []
    for part in arrival.inspected.manifest.code:
        if part.base is None:
            continue
        repository = arrival.repositories.get(part.tree_path)
        is_there = repository is not None and not repository.is_plain
        if repository is None or not is_there or not has_commit(repository, part.base):
            bundle = brought.get((part.path, part.base))
            needs.append(BaseNeed(part.path, part.base, bundle.span.length if bundle else None, is_there))
    return needs


def _unpack_bundles(arrival: Arrival, plan: ImportPlan, scratch: Path) -> list[tuple[Repository, Path, str]]:
    """Put the bundles that are needed into files and let git check them; the repositories are not touched yet."""
    brought = {(bundle.component, bundle.commit): bundle for bundle in arrival.parcel.bundles}
    found = []
    for number, need in enumerate(plan.bases):
        if not need.is_brought:
            continue
        repository, path = arrival.repositories[from_text(need.component)], scratch / f"{number}.bundle"
        with translate_os_errors(f"cannot write {path}"), open(path, "xb") as stream:
            for piece in arrival.parcel.iter_pieces(brought[need.component, need.commit].span):
                stream.write(piece)
        check_bundle(repository, path, need.commit, scratch / f"{number}.git")
        found.append((repository, path, need.commit))
    return found


def _pin_bases(store: Store, arrival: Arrival, bundles: list[tuple[Repository, Path, str]]) -> None:
    """Take the missing commits in, and make sure that no git gc can take any base that is here."""
    with locks.hold(store.layout.refs_lock, timeout_s=store.config.lock_timeout_s):
        for repository, path, commit in bundles:
            take_bundle(repository, path, commit)
        for part in arrival.inspected.manifest.code:
            place = arrival.repositories.get(part.tree_path)
            if part.base is None or place is None or place.is_plain:
                continue
            if has_commit(place, part.base) and not has_base_ref(place, store.id, part.base):
                create_base_ref(place, store.id, part.base)


def _copy_chunks(workspace: Workspace, parcel: Parcel, writer: PoolWriter) -> None:
    """Bring in what the pool lacks, each chunk checked once more: the file may have changed since it was inspected."""
    total = len(parcel.chunks)
    for number, chunk_id in enumerate(parcel.chunks, 1):
        if not workspace.store.catalog.has_chunk(chunk_id):
            writer.add_stored(parcel.read_stored(chunk_id))
        if workspace.progress is not None:
            workspace.progress(number, total)
