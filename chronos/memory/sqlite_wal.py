"""Which pages of a database lie in its `-wal`: read from the wal-index, where SQLite itself says what is committed.

The wal-index header (the first 48 bytes of `-shm`, twice; sqlite.org/walformat.html) names the last committed frame, so
no checksum is computed here and a frame that a writer is just appending is never taken. Where there is no wal-index
to trust, SQLite builds one from a copy of the `-wal`, which checks every frame.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing
from typing import NamedTuple

from chronos.memory.sqlite_files import copy_bytes, open_scratch, uri_of

_INDEX = struct.Struct("=IIIBBHIIII8sII")
_INDEX_VERSION = 3007000
_WAL_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_SALTS_AT = 16
_TRIES = 100


class IndexHeader(NamedTuple):
    """The state of a `-wal` at one instant: frames up to `last_frame` are committed, of `page_count` pages in all."""

    last_frame: int
    page_count: int
    page_size: int
    salts: bytes


class Overlay(NamedTuple):
    """Where the committed pages of a `-wal` lie in it: page number to byte offset."""

    header: IndexHeader
    pages: dict[int, int]


def read_index(descriptor: int) -> IndexHeader | None:
    """Return the header of the wal-index, or None when it is not in a state that can be read."""
    for _ in range(_TRIES):
        raw = os.pread(descriptor, 2 * _INDEX.size, 0)
        if len(raw) == 2 * _INDEX.size and raw[: _INDEX.size] == raw[_INDEX.size :]:
            break
    else:
        return None
    version, _, _, is_ready, _, size, last, pages, _, _, salts, *_ = _INDEX.unpack(raw[: _INDEX.size])
    if version != _INDEX_VERSION or not is_ready:
        return None
    return IndexHeader(last, pages, 65536 if size == 1 else size, salts)


def index_copy(main: int, wal: int) -> IndexHeader | None:
    """Return what a wal-index of an open database and `-wal` would say: SQLite recovers one from copies.

    Only the first page of the database is copied: recovery reads no other.
    """
    with open_scratch() as folder:
        path = folder + b"/x"
        with open(path, "xb") as copy:
            copy.write(os.pread(main, 65536, 0))
            copy.truncate(os.fstat(main).st_size)
        with open(path + b"-wal", "xb") as copy:
            copy_bytes(wal, copy.fileno())
        with closing(sqlite3.connect(uri_of(path, "mode=ro"), uri=True, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            connection.execute("PRAGMA schema_version").fetchone()
            with open(path + b"-shm", "rb") as index:
                return read_index(index.fileno())


def map_frames(descriptor: int, header: IndexHeader) -> Overlay | None:
    """Find the newest committed version of each page, or None when the `-wal` is no longer of that generation."""
    pages: dict[int, int] = {}
    for frame in range(header.last_frame):
        start = _WAL_HEADER_BYTES + frame * (_FRAME_HEADER_BYTES + header.page_size)
        raw = os.pread(descriptor, 16, start)
        if raw[8:] != header.salts:
            return None
        pages[int.from_bytes(raw[:4], "big")] = start + _FRAME_HEADER_BYTES
    return Overlay(header, {number: start for number, start in pages.items() if number <= header.page_count})


def is_generation(descriptor: int, header: IndexHeader) -> bool:
    """Tell whether the `-wal` was not started anew since its frames were mapped."""
    return not header.last_frame or os.pread(descriptor, 8, _SALTS_AT) == header.salts
