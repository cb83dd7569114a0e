"""Capturing a database: what `lstat` says is compared here, everything else a child does.

A database whose three files look as remembered is not read at all. Their rows all hold the content of the whole
database, and a row of zeros stands for a file that was not there, so that one that comes or goes shows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chronos.errors import IntegrityError, MissingChunkError, StorageError
from chronos.files import FileStat, PathKind, stat_of
from chronos.memory.kinds import CaptureWork, LeftOut, MemoryFile, StoreState
from chronos.memory.sqlite_files import JOURNAL, NAME, PARTS, WAL, numbers_at
from chronos.pool import Content
from chronos.stat_cache import StatCache

if TYPE_CHECKING:
    from chronos.memory.sqlite_macs import Macs

_ABSENT = FileStat(PathKind.FILE, 0, 0, 0, 0, 0)
# A row of the stat cache, under a name that no companion has, for what a content cannot say of a database: the id of
# its content is the state's identity, the size is the page size, and the chunks are the journal mode.
_REMEMBERED = b"="
Stats = tuple[FileStat, ...]


class Known(NamedTuple):
    """What is known of a database: the ids of the pieces that it had last, back to back.

    That the pool holds them is vouched for by the stat cache, as for a database that has not changed. `base` is the
    stat of its main file where that still looks as it did then. `macs` are for one that is large (see sqlite_macs).
    """

    ids: bytes = b""
    base: FileStat | None = None
    macs: Macs | None = None


def stats_of(place: Path) -> Stats:
    """Return what stands at the place and beside it, `_ABSENT` for nothing, as `numbers_at` does. Raises OSError."""
    main, *beside = (_find_stat(os.fsencode(place) + part) for part in PARTS)
    return main, *(msgspec.structs.replace(stat, ctime_ns=0) for stat in beside)


def capture(place: Path, work: CaptureWork) -> StoreState:
    """See MemoryKind."""
    looks = numbers_at(os.fsencode(place))
    stats = stats_of(place)
    size = sum(stat.size for stat in stats)
    if (reason := work.may_take(b"", size)) is not None:
        return StoreState(NAME, "", [], looks, left_out=[LeftOut(b"", reason, size)])
    state = _recall(stats, work)
    if state is None:
        from chronos.memory.sqlite_reading import read  # what is not read needs no child, nor what is said to it

        try:
            state = read(place, work, lambda: _find_known(work, stats))
        except MissingChunkError:  # the pool lost what it is thought to hold
            state = read(place, work, Known)
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


def looks_as_remembered(place: Path, cache: StatCache, content: Content) -> bool:
    """Tell whether a place looks as it did when `content` was read from it. Raises OSError."""
    return all(cache.find(part, stat) == content for part, stat in zip(PARTS, stats_of(place), strict=True))


def remember(state: StoreState, stats: Stats, cache: StatCache) -> None:
    """Remember in `cache` what a database that looks like `stats` was found to hold, if it was settled by then."""
    content = state.files[0].content
    if not state.facts["readable"] or state.notes or state.is_torn or content is None:
        return
    for part, stat in zip(PARTS, stats, strict=True):
        cache.remember(part, stat, content)
    mode, page_size = str(state.facts["journal_mode"]), int(state.facts["page_size"])
    cache.remember(_REMEMBERED, _ABSENT, Content(bytes.fromhex(state.identity), page_size, mode.encode()))


def _find_known(work: CaptureWork, stats: Stats) -> Known:
    """Return the ids of the pieces that the database had last, and the stat of its main file if that has not changed.

    Then the pieces without a page in the `-wal` have not changed either, as long as that is the `-wal` which was there
    then, or there was none: SQLite starts a `-wal` anew only when all of the old one is in the main file.
    """
    from chronos.memory.sqlite_macs import LEAST_BYTES, Macs

    last, (main, wal, journal) = work.stats.find_last(b""), stats
    row, content = work.stats.known.get(WAL), work.stats.find_last(WAL)
    is_same_wal = row is not None and row.inode in (0, wal.inode) and wal.size >= row.size and content == last
    is_same = work.stats.find(b"", main) == last and work.stats.find(JOURNAL, journal) == last and is_same_wal
    fact = work.find_fact() if main.size >= LEAST_BYTES else None
    if fact is not None and not is_same:
        last = fact.content  # often newer than what the stat cache knows: that waits until files have settled
    try:
        ids = b"".join(work.chunk_ids(last)) if last is not None else b""
    except (IntegrityError, StorageError):
        ids = b""
    macs = Macs.unpack(fact.value) if ids and fact is not None and fact.content == last else None
    if macs is None and main.size >= LEAST_BYTES and work.sink.wants_bytes:
        macs = Macs.new()
    return Known(ids, main if ids and is_same else None, macs)


def _find_stat(path: bytes) -> FileStat:
    try:
        return stat_of(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return _ABSENT
