"""Databases that are files of the code, and are compared, merged and replaced as memory stores all the same.

A committed database is a file of the code as long as nothing in it has changed: no capture reads it. Where another
state has it as a store, or where it is to give way to other bytes while programs may have it open, the file is read as
the store that it would be, with a `-wal` or journal that is committed beside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from chronos.checkpoints.changes import ChangeSet, Side, SideKind, StoreChange, StoreSide
from chronos.checkpoints.memory import keep_state
from chronos.checkpoints.sides import BlobSource, Sides
from chronos.checkpoints.states import MemoryState, State
from chronos.errors import GitFailedError, IntegrityError
from chronos.files import SMALLEST_PAGE_BYTES, PathKind, SafeRoot, TreePath, to_text, unescape, write_all
from chronos.git import Repository
from chronos.memory import FOUND_FOLDER, LOG_ENDINGS, CaptureWork, StorePlace, free_name, get_kind, overlap
from chronos.pool import ContentSink, HashingSink, PoolReader, digest
from chronos.stat_cache import StatCache

_KIND = "sqlite"
_ENDINGS = (b"", *LOG_ENDINGS)
_WAIT_S = 1.0  # for nobody: the copy is ours
_LONGEST_PLACE = 500  # SQLite opens paths of 512 bytes (MAX_PATHNAME in os_unix.c), with what it adds to them


def with_code_databases(
    states: Sequence[State],
    repositories: dict[TreePath, Repository],
    pool: PoolReader,
    make_scratch: Callable[[], Path],
    sink: ContentSink,
    replaced: Collection[TreePath] = (),
    known: KnownDatabases | None = None,
) -> list[State]:
    """Return the states, each with every database as a store that one of them has as a store found in the code.

    So it is with those of the paths to be `replaced` at which every state has a database, where nothing but the bytes
    differs: a store has no executable bit, and comes to no folder's place. Their images go into `sink`; `make_scratch`
    gives empty folders of ours. What is no readable database stays code. What is `known` is not read again, so its
    images must be where they are needed. Raises StorageError.
    """
    known = known if known is not None else {}
    records = (part.record for state in states for part in state.memory.values())
    found_in_tree = (one for one in records if one.is_found and one.kind == _KIND and not os.path.isabs(one.path))
    paths = {unescape(one.path) for one in found_in_tree if not overlap(one.path, FOUND_FOLDER)}
    found = []
    for state in states:
        wanted = sorted(path for path in {*paths, *replaced} if not state.is_memory(path))
        found.append(_read_stores(state, wanted, repositories, pool, make_scratch, sink, known) if wanted else {})
    for path in set(replaced) - paths:
        exact = [stores[path] for stores in found if path in stores and stores[path].is_exact]
        if len(exact) < len(states) or len({one.executable for one in exact}) > 1:
            for stores in found:
                stores.pop(path, None)
    return [_with_stores(state, stores) for state, stores in zip(states, found, strict=True)]


def with_stores_of_files(
    changes: ChangeSet, present: State, repositories: dict[TreePath, Repository], pool: PoolReader,
    make_scratch: Callable[[], Path],
) -> ChangeSet:  # fmt: skip
    """Return the changes with files that are to go as the memory store that they are at present.

    A committed database that came back with its journal, as files of the code, is a store where git has forgotten it.
    Of the store that those files were the images are not kept. Raises StorageError.
    """
    by_path = {change.path: change for change in changes.changes}
    stores, paths = [], set[TreePath]()
    for part in present.memory.values():
        path = unescape(part.record.path)
        going = {end: by_path[path + end] for end in _ENDINGS if path + end in by_path}
        files = {end: change.before for end, change in going.items() if change.before.kind is SideKind.FILE}
        goes = all(change.after.kind is SideKind.ABSENT for change in going.values())
        if b"" not in files or len(files) < len(going) or not goes:
            continue
        with BlobSource(repositories) as blobs:
            was = _read(path, part.record.name, files, blobs, pool, make_scratch(), HashingSink())
        if was is not None:
            stores.append(StoreChange(part.record.name, part.record.path, StoreSide.of(was.part.record), None))
            paths.update(path + end for end in going)
    others = tuple(change for change in changes.changes if change.path not in paths)
    return msgspec.structs.replace(changes, changes=others, stores=(*changes.stores, *stores))


class _Database(msgspec.Struct):
    """A file of the code as the store that it would be, which `is_exact` if that has its very bytes and no others."""

    part: MemoryState
    executable: bool
    is_exact: bool


# A database in the code and the journals of it that are there, by the endings of their paths.
_Files: TypeAlias = dict[bytes, Side]
# What files of the code were found to be, each with the name of the store that it would be.
KnownDatabases: TypeAlias = dict[tuple[TreePath, str, tuple[tuple[bytes, Side], ...]], _Database | None]


def _with_stores(state: State, stores: dict[TreePath, _Database]) -> State:
    named = {one.part.record.name: one.part for one in stores.values()}
    return msgspec.structs.replace(state, memory={**state.memory, **named}) if named else state


def find_live_databases(root: Path, paths: Iterable[TreePath]) -> frozenset[TreePath]:
    """Return the paths at which a SQLite database stands now, which programs may have open."""
    with SafeRoot(root) as tree:
        stats = ((path, tree.find_stat(path)) for path in paths)
        files = [path for path, stat in stats if stat is not None and stat.kind is PathKind.FILE and _may_be(stat.size)]
        short = (path for path in files if len(os.fsencode(root)) + len(path) < _LONGEST_PLACE)
        return frozenset(path for path in short if tree.is_database(path))


def _may_be(size: int) -> bool:
    return size > 0 and size % SMALLEST_PAGE_BYTES == 0


def _read_stores(
    state: State, paths: list[TreePath], repositories: dict[TreePath, Repository], pool: PoolReader,
    make_scratch: Callable[[], Path], sink: ContentSink, known: KnownDatabases,
) -> dict[TreePath, _Database]:  # fmt: skip
    sides, found = Sides(state, repositories), dict[TreePath, _Database]()
    paths = [path for path in paths if sides.can_read_base(sides.component_of(path))]
    sides.load(path + ending for path in paths for ending in _ENDINGS)
    with BlobSource(repositories) as blobs:
        for path in paths:
            there = (end for end in _ENDINGS if sides.why_unknown(path + end) is None)
            files = {end: side for end in there if (side := sides.find(path + end)).kind is SideKind.FILE}
            if b"" in files:
                names = {*state.memory, *(one.part.record.name for one in found.values())}
                name = free_name(to_text(path), to_text(path), names)
                key = (path, name, tuple(files.items()))
                if key not in known:
                    known[key] = _read(path, name, files, blobs, pool, make_scratch(), sink)
                if (database := known[key]) is not None:
                    found[path] = database
    return found


def _read(
    path: TreePath, name: str, files: _Files, blobs: BlobSource, pool: PoolReader, folder: Path, sink: ContentSink
) -> _Database | None:
    """Return a file of the code as the memory store that it would be; None where it is no readable database."""
    place = os.fsencode(folder) + b"/" + path.rpartition(b"/")[2]
    try:
        ids = {end: _write(place + end, path + end, side, blobs, pool) for end, side in files.items()}
    except (GitFailedError, IntegrityError):
        return None
    copy, kind = Path(os.fsdecode(place)), get_kind(_KIND)
    if not kind.detect(copy):
        return None
    found = kind.capture(copy, CaptureWork(sink, StatCache({}), lambda _: (), lambda _path, _size: None, _WAIT_S))
    if not found.facts.get("readable") or found.is_torn:
        return None
    part = keep_state(sink, StorePlace(name, _KIND, copy, to_text(path), is_found=True), found)
    is_exact = [file.content and file.content.id for file in part.files] == [ids[b""]]
    return _Database(part, files[b""].executable, is_exact)


def _write(place: bytes, path: TreePath, side: Side, blobs: BlobSource, pool: PoolReader) -> bytes:
    """Write a file of the code to a free place; return the id of its content. Raises GitFailedError, IntegrityError."""
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if side.blob is not None:
            data = blobs.read(path, side)
            write_all(descriptor, data)
            return digest(data)
        if side.content is None:
            return b""
        for piece in pool.iter_content(side.content):
            write_all(descriptor, piece)
        return side.content.id
    finally:
        os.close(descriptor)
