"""What the child does for a restore: check an image, and put one into a database that others have open."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any

from blake3 import blake3

from chronos.background import in_background
from chronos.locks import take_range
from chronos.memory.sqlite_files import INDEX, NUMBERS, is_same_place, numbers_at, open_reading, uri_of
from chronos.memory.sqlite_frames import ID_BYTES, PIECE_BYTES
from chronos.memory.sqlite_journal import PENDING_BYTE
from chronos.memory.sqlite_pieces import identify

_MOST_PROBLEMS = 3
# As much as stays in the processor's cache: with 8 MiB `quick_check` of 2 GB takes 1.8 s of processor time, and 1.4 so.
# Mapping the file would count all of it as memory of the process.
_CACHE_KIB = 2048
_READ_BYTES = 1024 * 1024
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# The byte of a wal-index that whoever writes has locked (sqlite.org/walformat.html, 2.3).
_WAL_WRITE_LOCK = 120


class _LockedError(Exception):
    """A lock could not be had in time."""


def check_image(image: bytes, *, is_sound: bool) -> dict[str, Any]:
    """Return the ids of an image that nobody else uses (see `read_image`), and what `quick_check` finds meanwhile.

    An image that is sound if it has the right ids is not checked again.
    """
    with ExitStack() as stack:
        descriptor = open_reading(image)
        stack.callback(os.close, descriptor)
        began_ns = time.time_ns()
        reading = in_background(lambda: read_image(descriptor))
        problems = [] if is_sound else find_problems(image, stack)
        return {"problems": problems, "began_ns": began_ns, **reading()}


def read_image(descriptor: int) -> dict[str, str]:
    """Read a whole open image; return the id of the content that it is, and its identity. Raises OSError."""
    size = os.fstat(descriptor).st_size
    half = size // PIECE_BYTES // 2 * PIECE_BYTES
    rest = in_background(lambda: _piece_ids(descriptor, half, size))
    try:
        ids = _piece_ids(descriptor, 0, half)
    finally:
        others = rest()
    ids += others
    content = bytes(ids) if len(ids) == ID_BYTES else blake3(ids).digest()
    return {"content": content.hex(), "identity": identify(size, os.pread(descriptor, PIECE_BYTES, 0), ids)}


def overwrite(place: bytes, image: bytes, expected: Sequence[int] | None, timeout_s: float) -> dict[str, str]:
    """Put an image into a database that others may use, in one transaction of the backup API, or not at all.

    The place is looked at when nobody else can write any more. Returns the outcome: `done`, `changed` (it does not look
    as expected), `locked` or `refused`, with a reason.
    """
    before, deadline = numbers_at(place), time.monotonic() + timeout_s
    if expected is not None and not is_same_place(before, tuple(expected)):
        return {"outcome": "changed"}
    try:
        # Closed last: closing a descriptor of a database lets go of every lock that lies on it.
        with ExitStack() as kept, _connecting(image, "immutable=1") as source, _connecting(place, "mode=rw") as target:
            target.execute(f"PRAGMA busy_timeout={int(timeout_s * 1000)}")
            target.execute("PRAGMA schema_version").fetchone()  # where there is a -wal, its index is there after that
            if not _keep_writers_out(place, target, kept, deadline):
                return {"outcome": "locked"}
            if expected is not None and not is_same_place(_without_new_wal(numbers_at(place), before), before):
                return {"outcome": "changed"}
            source.backup(target, pages=-1, progress=_stop_when_locked)
    except _LockedError:
        return {"outcome": "locked"}
    except sqlite3.Error as cause:
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        return {"outcome": "locked" if code in _LOCKED else "refused", "reason": str(cause)}
    return {"outcome": "done"}


def _connecting(path: bytes, parameters: str) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(uri_of(path, parameters), uri=True, isolation_level=None))


def _stop_when_locked(status: int, _left: int, _total: int) -> None:
    if status in _LOCKED:  # SQLite has waited for its busy timeout; Python would go on for ever
        raise _LockedError


def _keep_writers_out(place: bytes, connection: sqlite3.Connection, kept: ExitStack, deadline: float) -> bool:
    """Take the lock that every writer of SQLite needs; tell whether that came off. Connections of ours do not mind.

    The backup API takes it itself, but tells nobody when. Between processes SQLite's locks are those of POSIX, and what
    belongs to this process does not stand in its own way. `kept` closes the descriptor that the lock lies on.
    """
    is_wal = connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    path, byte = (place + INDEX, _WAL_WRITE_LOCK) if is_wal else (place, PENDING_BYTE + 1)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    kept.callback(os.close, descriptor)
    return take_range(descriptor, byte, 1, deadline)


def _without_new_wal(now: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    """Return what stands at a place but for a `-wal` that was not there before and is empty: opening makes one."""
    wal = slice(NUMBERS, 2 * NUMBERS)
    if len(now) == len(before) and not any(before[wal]) and now[wal][1] == 0:
        return (*now[: wal.start], *before[wal], *now[wal.stop :])
    return now


def settle(place: bytes, timeout_s: float) -> None:
    """Let SQLite roll back what a crash left half-way, as it does for whoever opens the database first.

    Whether it did shows at the place: a database that others have locked, or that is none, stays as it is.
    """
    connection = sqlite3.connect(uri_of(place, "mode=rw"), uri=True, timeout=timeout_s)
    with closing(connection), suppress(sqlite3.Error):
        connection.execute("PRAGMA schema_version").fetchone()


def find_problems(image: bytes, stack: ExitStack) -> list[str]:
    """Return what `quick_check` finds in an image that nobody writes to. `stack` closes the connection.

    Immutable: no lock, no wal-index, nothing is left beside the image, and a journal there is not looked at.
    """
    connection = stack.enter_context(closing(sqlite3.connect(uri_of(image, "mode=ro&immutable=1"), uri=True)))
    try:
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")  # the first to read a page
        connection.execute("PRAGMA trusted_schema=OFF")
        rows = connection.execute(f"PRAGMA quick_check({_MOST_PROBLEMS})").fetchall()
    except sqlite3.Error as cause:
        return [str(cause)]
    return [str(row[0]) for row in rows if row[0] != "ok"]


def _piece_ids(descriptor: int, start: int, behind: int) -> bytearray:
    ids, buffer = bytearray(), memoryview(bytearray(_READ_BYTES))
    for offset in range(start, behind, _READ_BYTES):
        length = os.preadv(descriptor, [buffer[: behind - offset]], offset)
        for at in range(0, length, PIECE_BYTES):
            ids += blake3(buffer[at : min(at + PIECE_BYTES, length)]).digest()
    return ids
