"""Comparing the memory stores of two checkpoints, or of one and of now, with the rows that differ."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    State,
    StorePair,
    capture_in_memory,
    list_changed_stores,
    list_differing,
    with_code_databases,
)
from chronos.errors import UnreadableStoreError
from chronos.files import translate_os_errors
from chronos.memory import DATABASE_ENDINGS, TableDifference, get_kind
from chronos.operations.looking import find_repositories
from chronos.operations.memory import places_of, write_store
from chronos.operations.workspace import Workspace
from chronos.pool import PoolReader, PoolWriter

_COMPARE_LIMIT_S = 60.0


class StoreDifference(msgspec.Struct, frozen=True):
    """How one memory store differs. `status` is A, M or D; `tables` is empty for what came or went as a whole."""

    name: str
    kind: str
    path: str
    status: str
    tables: tuple[TableDifference, ...] = ()
    notes: tuple[str, ...] = ()


def diff_stores(
    workspace: Workspace, old: CheckpointRow, new: CheckpointRow | None, *, tables: bool = True
) -> list[StoreDifference]:
    """Return how the memory stores of `new` (or of now) differ from those of `old`, with `tables` table by table.

    A committed database that one of them has as a store is one for both; with `tables` so is what is named as one.
    """
    before = workspace.store.read_checkpoint(old)
    if new is not None:
        after = workspace.store.read_checkpoint(new)
    else:
        policy = workspace.policy(stores=places_of(workspace, before))
        after = capture_in_memory(workspace.store, workspace.repository, policy).state
    with workspace.store.temporary_folders() as make_scratch:
        before, after, pool = _with_databases(workspace, before, after, make_scratch, by_name=tables)
        with closing(pool):
            pairs = list_changed_stores(before, after)
            return [_compare(workspace, pair, pool, is_live=new is None, tables=tables) for pair in pairs]


def _with_databases(
    workspace: Workspace, old: State, new: State, make_scratch: Callable[[], Path], *, by_name: bool
) -> tuple[State, State, PoolReader]:
    """Return both states with the committed databases as stores, and what reads these as well as the store's pool."""
    store = workspace.store
    repositories = find_repositories(workspace, old, new)
    differing = list_differing(old, new, repositories) if by_name else ()
    writer = PoolWriter(make_scratch(), store.catalog.has_chunk)
    before, after = with_code_databases(
        (old, new), repositories, store.pool, make_scratch, writer,
        [path for path in differing if path.lower().endswith(DATABASE_ENDINGS)],
    )  # fmt: skip
    places = {chunk_id: [(pack.path, location)] for pack in writer.finish() for chunk_id, location in pack.chunks}
    return before, after, PoolReader(lambda chunk_id: places.get(chunk_id) or store.find_chunks(chunk_id))


def _compare(
    workspace: Workspace, pair: StorePair, pool: PoolReader, *, is_live: bool, tables: bool
) -> StoreDifference:
    record, old, new = pair.record, pair.old, pair.new
    found = StoreDifference(record.name, record.kind, record.path, pair.status)
    if old is None or new is None or not tables:
        return found
    if old.record.kind != record.kind:
        return msgspec.structs.replace(found, notes=(f"it was of kind {old.record.kind}",))
    with workspace.store.temporary_folder() as copies:
        before = write_store(pool, old, _folder(copies, "old"))
        live = workspace.place_of(record.path)
        after = live if is_live else write_store(pool, new, _folder(copies, "new"))
        try:
            compared = get_kind(record.kind).compare(before, after, limit_s=_COMPARE_LIMIT_S)
        except UnreadableStoreError as cause:
            return msgspec.structs.replace(found, notes=(f"what is in it cannot be compared: {cause.reason}",))
    return msgspec.structs.replace(found, tables=tuple(compared))


def _folder(scratch: Path, name: str) -> Path:
    folder = scratch / name
    with translate_os_errors(f"cannot write in {scratch}"):
        folder.mkdir()
    return folder
