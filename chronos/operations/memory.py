"""Memory stores as people ask for them: what is covered, plain copies; and what a restore needs."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    UNCAPTURED,
    MemoryState,
    Options,
    State,
    Store,
    StoreChange,
    StoreSide,
    capture_in_memory,
    decode_rows,
)
from chronos.errors import BadPathError, ChronosError, RefusedError, UnknownStoreError, UnreadableStoreError
from chronos.files import display, translate_os_errors, unescape
from chronos.memory import (
    MemoryFile,
    StorePlace,
    StoreState,
    TableSummary,
    declare,
    get_kind,
    is_allowed,
    place_of,
    text_of,
    undeclare,
)
from chronos.operations.new_folder import new_folder
from chronos.operations.workspace import Workspace
from chronos.pool import PoolReader


class StoreReport(msgspec.Struct, frozen=True):
    """One memory store that a checkpoint would hold now. `tables` is None where nobody asked, or none can be read."""

    name: str
    kind: str
    path: str
    is_found: bool
    size: int
    notes: tuple[str, ...] = ()
    tables: tuple[TableSummary, ...] | None = None


def list_stores(workspace: Workspace, *, tables: bool = False) -> list[StoreReport]:
    """Return the memory stores that a checkpoint would hold now, from a capture in memory; the rest are notices."""
    capture = capture_in_memory(workspace.store, workspace.repository, workspace.policy())
    places = {unescape(place.path) for place in workspace.places() if place.is_inside}
    workspace.notices += [
        f"{display(row.path)}: {row.detail or row.reason.value}"
        for row in capture.state.receipt
        if row.detail or (row.reason in UNCAPTURED and row.path in places)
    ]
    found = []
    for part in capture.state.memory.values():
        record = part.record
        summaries = _summarise(workspace, part) if tables else None
        found.append(
            StoreReport(record.name, record.kind, record.path, record.is_found, record.bytes, record.notes, summaries)
        )
    declared = [place for place in workspace.places() if not place.is_found and place.name not in capture.state.memory]
    workspace.notices += [
        f"memory store {place.name}: nothing to read at {display(str(place.place))}" for place in declared
    ]
    return found


def add_store(workspace: Workspace, path: Path, kind: str | None, name: str | None) -> StorePlace:
    """Declare a store on this machine; return it. See `chronos.memory.declare` for the errors.

    Raises BadPathError too for what no checkpoint would take.
    """
    layout = workspace.store.layout
    is_outside = not Path(os.path.realpath(path)).is_relative_to(workspace.root)
    if is_outside and layout.timeline_memory(workspace.timeline).is_dir():
        raise RefusedError(
            f"timeline {workspace.timeline} has copies of its own of what lies outside of the project",
            hint="declare it in the first working tree; timelines that are branched after that have copies of it",
        )
    own = unescape(text_of(workspace.root, path))
    if os.path.isfile(path) and workspace.policy().refusal(own, 0, included=True) is not None:
        raise BadPathError(
            f"no checkpoint takes {display(str(path))}: it is a secret by its name",
            hint="a line in .chronoinclude that is exactly its name lets it in",
        )
    with workspace.store.exclusively():
        place = declare(workspace.root, layout, path, kind, name, workspace.lessons)
        try:
            workspace.places()  # with those of the settings
        except ChronosError:
            undeclare(layout, place.name)
            raise
    if place.kind is not None and not get_kind(place.kind).detect(place.place):
        workspace.notices.append(f"{display(str(path))} is no {place.kind} store now; it is held as what stands there")
    return place


def remove_store(workspace: Workspace, name: str) -> str:
    """Take the declaration of a store back; return its path. What checkpoints hold stays. Raises UnknownStoreError."""
    with workspace.store.exclusively():
        return undeclare(workspace.store.layout, name).path


def extract_store(workspace: Workspace, row: CheckpointRow, name: str, folder: Path) -> Path:
    """Write a plain copy of a checkpoint's store into the new or empty `folder`; return the place of the copy.

    It is the folder where the checkpoint has only what a database that was gone had left.

    Raises UnknownStoreError, TargetNotEmptyError, RefusedError, IntegrityError, StorageError.
    """
    state = workspace.store.read_checkpoint(row)
    check_stores(state, Options(stores=(name,)))
    with new_folder(workspace, folder) as scratch:
        written = write_store(workspace.store.pool, state.memory[name], scratch)
        place = written.relative_to(scratch) if os.path.lexists(written) else Path()
    return Path(os.path.abspath(folder)) / place


def _summarise(workspace: Workspace, part: MemoryState) -> tuple[TableSummary, ...] | None:
    try:
        return tuple(get_kind(part.record.kind).summarise(workspace.place_of(part.record.path)))
    except UnreadableStoreError as cause:
        workspace.notices.append(f"memory store {display(part.record.name)}: {cause.message}")
        return None


def write_store(pool: PoolReader, part: MemoryState, folder: Path) -> Path:
    """Write a plain copy of a store into the empty `folder`; return its place. Raises IntegrityError, StorageError."""
    record = part.record
    state = StoreState(record.kind, record.identity, list(part.files), facts=dict(record.facts))
    with translate_os_errors(f"cannot write {folder}"):
        return get_kind(record.kind).write_out(folder, state, pool.iter_content)


# what restore, undo and redo need


def check_stores(state: State, options: Options) -> None:
    """Raise UnknownStoreError for a store that is asked for and that the checkpoint does not have."""
    unknown = sorted(set(options.stores) - set(state.memory))
    if unknown:
        known = ", ".join(map(display, state.memory)) or "none"
        raise UnknownStoreError(f"the checkpoint has no memory store called {display(unknown[0])!r}; it has {known}")


def places_of(workspace: Workspace, state: State) -> list[StorePlace]:
    """Return where the memory stores of a checkpoint were: what stands there now is captured, whatever it is.

    Those outside the root are read where they are declared on this machine, and not because a checkpoint says so.
    """
    records = (part.record for part in state.memory.values())
    return [place_at(workspace, r.name, r.kind, r.path) for r in records if is_readable_place(workspace, r.path)]


def is_readable_place(workspace: Workspace, path: str) -> bool:
    """Tell whether a checkpoint or journal may have us look at `path`: a place in the tree where a store can be."""
    return not os.path.isabs(path) and is_allowed(workspace.root, workspace.store.layout, path, workspace.lessons)


def place_at(workspace: Workspace, name: str, kind: str, path: str) -> StorePlace:
    """Return the place of a store that was of this kind."""
    return StorePlace(name, kind, place_of(workspace.root, path), path, is_found=True)


def lost_chunks_of(store: Store, change: StoreChange) -> list[bytes]:
    """Return the chunks of what a change replaces that cannot be read back.

    What both sides have stays at the place, or is read by the replacement before anything moves; the rest is read here.
    """
    before, after = (_chunks_of(store, side) for side in (change.before, change.after))
    return store.pool.lost_chunks(list(before - after))


def _chunks_of(store: Store, side: StoreSide | None) -> set[bytes]:
    if side is None:
        return set()
    if store.pool.damaged_chunks(side.files):
        return set(store.pool.damaged_chunks(side.files))
    files = decode_rows(store.pool.read_content(side.files), MemoryFile)
    contents = [side.files, *(file.content for file in files if file.content is not None)]
    return {chunk_id for content in contents for chunk_id in store.pool.chunk_ids(content)}
