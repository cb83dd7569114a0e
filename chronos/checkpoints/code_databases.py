"""Databases that are files of the code in one state and memory stores in another.

A committed database is a file of the code as long as nothing in it has changed: no capture reads it. To compare such a
state with one that has it as a store, or to go back to it, the file is read as the store that it would be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from chronos.checkpoints.changes import Side, SideKind
from chronos.checkpoints.memory import keep_state
from chronos.checkpoints.sides import BlobSource, Sides
from chronos.checkpoints.states import MemoryState, State
from chronos.errors import GitFailedError, IntegrityError
from chronos.files import TreePath, to_text, unescape, write_all
from chronos.git import Repository
from chronos.memory import FOUND_FOLDER, CaptureWork, StorePlace, free_name, get_kind, overlap
from chronos.pool import ContentSink, PoolReader
from chronos.stat_cache import StatCache

_KIND = "sqlite"
_WAIT_S = 1.0  # for nobody: the copy is ours


def with_code_databases(
    states: Sequence[State],
    repositories: dict[TreePath, Repository],
    pool: PoolReader,
    make_scratch: Callable[[], Path],
    sink: ContentSink,
) -> list[State]:
    """Return the states, each with every database as a store that one of them has as a store found in the code.

    Their images go into `sink`; `make_scratch` gives empty folders of ours. What is no readable database stays code.
    Raises StorageError.
    """
    records = (part.record for state in states for part in state.memory.values())
    found_in_tree = (one for one in records if one.is_found and one.kind == _KIND and not os.path.isabs(one.path))
    paths = {unescape(one.path) for one in found_in_tree if not overlap(one.path, FOUND_FOLDER)}
    found = []
    for state in states:
        wanted = sorted(path for path in paths if not state.is_memory(path))
        stores = _read_stores(state, wanted, repositories, pool, make_scratch, sink) if wanted else {}
        found.append(msgspec.structs.replace(state, memory={**state.memory, **stores}) if stores else state)
    return found


def _read_stores(
    state: State, paths: list[TreePath], repositories: dict[TreePath, Repository], pool: PoolReader,
    make_scratch: Callable[[], Path], sink: ContentSink,
) -> dict[str, MemoryState]:  # fmt: skip
    sides, stores = Sides(state, repositories), dict[str, MemoryState]()
    paths = [path for path in paths if sides.can_read_base(sides.component_of(path))]
    sides.load(paths)
    with BlobSource(repositories) as blobs:
        for path in paths:
            side = sides.find(path)
            if side.kind is SideKind.FILE and sides.why_unknown(path) is None:
                name = free_name(to_text(path), to_text(path), {*state.memory, *stores})
                part = _read(path, name, side, blobs, pool, make_scratch(), sink)
                if part is not None:
                    stores[name] = part
    return stores


def _read(
    path: TreePath, name: str, side: Side, blobs: BlobSource, pool: PoolReader, folder: Path, sink: ContentSink
) -> MemoryState | None:
    """Return a file of the code as the memory store that it would be; None where it is no readable database."""
    copy = folder / os.fsdecode(path.rpartition(b"/")[2])
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if side.blob is not None:
            write_all(descriptor, blobs.read(path, side))
        elif side.content is not None:
            for piece in pool.iter_content(side.content):
                write_all(descriptor, piece)
    except (GitFailedError, IntegrityError):
        return None
    finally:
        os.close(descriptor)
    kind = get_kind(_KIND)
    if not kind.detect(copy):
        return None
    found = kind.capture(copy, CaptureWork(sink, StatCache({}), lambda _: (), lambda _path, _size: None, _WAIT_S))
    if not found.facts.get("readable") or found.is_torn:
        return None
    return keep_state(sink, StorePlace(name, _KIND, copy, to_text(path), is_found=True), found)
