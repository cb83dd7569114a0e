"""Capturing a database: what `lstat` says is compared here, everything else a child does.

A database whose three files look as remembered is not read at all. Their rows all hold the content of the whole
database, and a row of zeros stands for a file that was not there, so that one that comes or goes shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chronos.errors import IntegrityError, MissingChunkError, StorageError
from chronos.files import FileStat, PathKind, stat_of
from chronos.memory.kinds import CaptureWork, LeftOut, MemoryFile, StoreState
from chronos.memory.sqlite_files import JOURNAL, PARTS, WAL, numbers_at
from chronos.memory.sqlite_frames import BEGIN, END, HELD, ID_BYTES, NEW, PIECE_BYTES, read_exactly, read_new
from chronos.memory.sqlite_reader import Child, hexed, open_child
from chronos.pool import Content, StoredChunk
from chronos.stat_cache import StatCache

NAME = "sqlite"
_ABSENT = FileStat(PathKind.FILE, 0, 0, 0, 0, 0)
# A row of the stat cache, under a name that no companion has, for what a content cannot say of a database: the id of
# its content is the state's identity, the size is the page size, and the chunks are the journal mode.
_REMEMBERED = b"="
Stats = tuple[FileStat, ...]


class _MovedError(Exception):
    """The child begins again."""


def stats_of(place: Path) -> Stats:
    """Return what stands at the place and beside it, `_ABSENT` for nothing. Raises OSError."""
    return tuple(_find_stat(os.fsencode(place) + part) for part in PARTS)


def capture(place: Path, work: CaptureWork) -> StoreState:
    """See MemoryKind."""
    looks = numbers_at(os.fsencode(place))
    stats = stats_of(place)
    size = sum(stat.size for stat in stats)
    if (reason := work.may_take(b"", size)) is not None:
        return StoreState(NAME, "", [], looks, left_out=[LeftOut(b"", reason, size)])
    state = _recall(stats, work)
    if state is None:
        try:
            state = _read(place, stats, work, *_known_pieces(work, stats))
        except MissingChunkError:  # the pool lost what it is thought to hold
            state = _read(place, stats, work, b"", None)
        remember(state, stats, work.stats)
    state.looks = looks
    return state


def _recall(stats: Stats, work: CaptureWork) -> StoreState | None:
    """Return the remembered state of a database that looks as it did."""
    remembered = work.stats.find(_REMEMBERED, _ABSENT)
    found = {work.stats.find(part, stat) for part, stat in zip(PARTS, stats, strict=True)}
    content = found.pop()
    if remembered is None or found or content is None:
        return None
    facts: dict[str, str | int] = {
        "readable": 1,
        "journal_mode": (remembered.chunks or b"").decode(),
        "page_size": remembered.size,
    }
    return StoreState(NAME, remembered.id.hex(), [MemoryFile(b"", content=content)], facts=facts)


def remember(state: StoreState, stats: Stats, cache: StatCache) -> None:
    """Remember in `cache` what a database that looks like `stats` was found to hold, if it was settled by then."""
    content = state.files[0].content
    if not state.facts["readable"] or state.notes or state.is_torn or content is None:
        return
    for part, stat in zip(PARTS, stats, strict=True):
        cache.remember(part, stat, content)
    mode, page_size = str(state.facts["journal_mode"]), int(state.facts["page_size"])
    cache.remember(_REMEMBERED, _ABSENT, Content(bytes.fromhex(state.identity), page_size, mode.encode()))


def _known_pieces(work: CaptureWork, stats: Stats) -> tuple[bytes, FileStat | None]:
    """Return the ids of the pieces that the database had last, and the stat of its main file if that has not changed.

    Then the pieces without a page in the `-wal` have not changed either, as long as that is the `-wal` which was there
    then, or there was none: SQLite starts a `-wal` anew only when all of the old one is in the main file.
    """
    last = work.stats.find_last(b"")
    if last is None:
        return b"", None
    try:
        ids = b"".join(work.chunk_ids(last))
    except (IntegrityError, StorageError):
        return b"", None
    main, wal, journal = stats
    row, content = work.stats.known.get(WAL), work.stats.find_last(WAL)
    is_same_wal = row is not None and row.inode in (0, wal.inode) and wal.size >= row.size and content == last
    is_same = work.stats.find(b"", main) == last and work.stats.find(JOURNAL, journal) == last and is_same_wal
    return ids, main if is_same else None


def _read(place: Path, stats: Stats, work: CaptureWork, known: bytes, base: FileStat | None) -> StoreState:
    request = {
        "work": "capture",
        "place": hexed(place),
        "timeout_s": work.timeout_s,
        "wants_bytes": work.sink.wants_bytes,
        "compresses": work.sink.compresses,
        "base": [base.inode, base.size, base.mtime_ns, base.ctime_ns] if base is not None else None,
    }
    with open_child(place, request, known) as child:
        while True:
            tag, length = child.next_frame()
            assert tag == BEGIN
            begun = child.read_document(length)
            files, end = [], None
            try:
                for part, size in begun["parts"]:
                    content = work.sink.add_paged(size, _runs(child, size))
                    files.append(MemoryFile(part.encode(), content=content))
                tag, length = child.next_frame()
                end = child.read_document(length)
            except _MovedError as moved:
                end = moved.args[0]
            if end["is_held"] or end["is_last"]:
                return _state(begun, end, files)


def _state(begun: dict[str, Any], end: dict[str, Any], files: list[MemoryFile]) -> StoreState:
    return StoreState(
        NAME, end["identity"], files, facts=begun["facts"], notes=begun["notes"], is_torn=not end["is_held"]
    )


def _runs(child: Child, size: int) -> Iterator[bytes | list[StoredChunk]]:
    left = -(-size // PIECE_BYTES)
    while left:
        tag, length = child.next_frame()
        if tag == END:
            raise _MovedError(child.read_document(length))
        try:
            if tag == HELD:
                ids = read_exactly(child.output, length)
                left -= len(ids) // ID_BYTES
                yield ids
            else:
                assert tag == NEW
                pieces = read_new(child.output)
                left -= len(pieces)
                yield [StoredChunk(piece.id, piece.codec, bytes(piece.stored), piece.raw_bytes) for piece in pieces]
        except EOFError:
            raise child.is_gone() from None


def _find_stat(path: bytes) -> FileStat:
    try:
        return stat_of(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return _ABSENT
