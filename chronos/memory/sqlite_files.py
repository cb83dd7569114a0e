"""A database's files as the child sees them: their names, what `lstat` says of them, a copy, a URI for SQLite.

Only the child program opens them. Closing any descriptor of a database drops every POSIX lock that its process holds
on it (fcntl(2)), and the parent may be an application that has the database open.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from chronos.files import JOURNAL_MAGIC, is_log_head

NAME = "sqlite"  # of the kind
WAL, JOURNAL, INDEX = b"-wal", b"-journal", b"-shm"
# What a state of a database can lie in. The wal-index is rebuilt by whoever opens it.
PARTS = (b"", WAL, JOURNAL)
MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
_SMALLEST_PAGE, _LARGEST_PAGE = 512, 65536
# A change within the tick of an earlier one cannot be seen (chronos.stat_cache has the figures).
_SETTLED_NS = 50_000_000
_COARSE_SETTLED_NS = 2_000_000_000
# The numbers that `numbers_at` gives for each file, and which of them is the change time.
NUMBERS, _CTIME_AT = 5, 3
_GRACE_S = 0.2
_COPY_BYTES = 1024 * 1024
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-")


class Look(NamedTuple):
    """What `lstat` says of one file, as far as a change would show."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Look:
        """Reduce a stat result."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class DatabaseHeader(NamedTuple):
    """What the first 100 bytes of a database say (sqlite.org/fileformat2.html)."""

    page_size: int
    page_count: int
    is_wal: bool
    is_cut: bool


def look_at(path: bytes) -> tuple[Look | None, ...]:
    """Return what stands at the names of `PARTS`."""
    return tuple(find_look(path + part) for part in PARTS)


def numbers_at(path: bytes) -> tuple[int, ...]:
    """Return what stands at the names of `PARTS` as plain numbers, zeros for nothing, and nothing if none is there.

    Of those beside the database the change time is 0, too: SQLite alters it without writing, since as root it gives a
    `-wal` and a journal to the owner of the database whenever it opens them. Who writes to them alters their own time.
    """
    found = [_numbers(path + part, is_beside=part != b"") for part in PARTS]
    return tuple(number for row in found for number in row) if any(map(any, found)) else ()


def is_same_place(now: tuple[object, ...], before: tuple[object, ...]) -> bool:
    """Tell whether two results of `numbers_at` speak of the same files with the same bytes.

    Change times do not count: moving a file away and back alters them.
    """
    is_same = [old == new for old, new in zip(before, now, strict=False)]
    del is_same[_CTIME_AT::NUMBERS]
    return len(now) == len(before) and all(is_same)


def find_look(path: bytes) -> Look | None:
    """Return what stands at `path`, or None."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Look.of(found)


def wait_until_settled(path: bytes, deadline: float) -> tuple[tuple[Look | None, ...], bool]:
    """Wait for a moment at which a later change must show in `lstat`; tell also whether it came in time."""
    deadline = max(deadline, time.monotonic() + _GRACE_S)
    while True:
        looks, now_ns = look_at(path), time.time_ns()
        left_ns = max((_unsettled_ns(look, now_ns) for look in looks if look is not None), default=0)
        if left_ns <= 0 or time.monotonic() + left_ns / 1e9 > deadline:
            return looks, left_ns <= 0
        time.sleep(left_ns / 1e9)


def read_header(descriptor: int) -> DatabaseHeader | None:
    """Return the header of a database, or None when this is none. An empty file is a valid, empty database."""
    raw, size = os.pread(descriptor, HEADER_BYTES, 0), os.fstat(descriptor).st_size
    if not raw:
        return DatabaseHeader(0, 0, False, False)
    page_size = int.from_bytes(raw[16:18], "big")
    page_size = _LARGEST_PAGE if page_size == 1 else page_size
    is_size = _SMALLEST_PAGE <= page_size <= _LARGEST_PAGE and page_size & (page_size - 1) == 0
    if len(raw) < HEADER_BYTES or not raw.startswith(MAGIC) or not is_size or size < page_size:
        return None
    count = int.from_bytes(raw[28:32], "big")
    is_counted = count > 0 and raw[24:28] == raw[92:96]
    is_cut = is_counted and count * page_size > size
    return DatabaseHeader(page_size, count if is_counted and not is_cut else size // page_size, raw[19] == 2, is_cut)


def is_journal(path: bytes) -> bool:
    """Tell whether the rollback journal at `path` is there and has something in it."""
    try:
        with open(path, "rb") as journal:
            return journal.read(len(JOURNAL_MAGIC)) == JOURNAL_MAGIC
    except FileNotFoundError:
        return False


def find_stranger(path: bytes) -> bytes | None:
    """Return the ending of a file that has the name of the database's `-wal` or journal, and is none.

    SQLite overwrites or removes it; nothing of it is in the database. What begins with zeros is a journal that is done.
    """
    for part in (WAL, JOURNAL):
        with suppress(OSError):
            descriptor = open_reading(path + part)
            try:
                # Twice: a writer may be about to put a journal's head there, or to wipe it.
                head, again = (os.pread(descriptor, len(JOURNAL_MAGIC), 0) for _ in range(2))
                if head == again and head.strip(b"\0") and not is_log_head(head):
                    return part
            finally:
                os.close(descriptor)
    return None


def uri_of(path: bytes, parameters: str) -> str:
    """Return the URI of a database, whatever bytes are in its name (sqlite.org/uri.html)."""
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in os.path.abspath(path))
    return f"file://{name}?{parameters}"


def copy_bytes(source: int, target: int) -> None:
    """Copy one open file into another, sharing blocks where the file system can. Raises OSError."""
    offset, is_fast = 0, hasattr(os, "copy_file_range")
    while True:
        if is_fast:
            try:
                copied = os.copy_file_range(source, target, 1 << 30, offset, offset)
            except OSError:
                if offset:
                    raise
                is_fast = False  # not between these file systems, or not in this kernel
                continue
        else:
            data = os.pread(source, _COPY_BYTES, offset)
            copied = os.pwrite(target, data, offset) if data else 0
        if not copied:
            return
        offset += copied


def copy_new(source: bytes, target: bytes) -> None:
    """Copy the file `source` to `target`, which must not exist. Raises OSError."""
    opened = open_reading(source)
    try:
        with open(target, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as copy:
            copy_bytes(opened, copy.fileno())
            os.fsync(copy.fileno())
    finally:
        os.close(opened)


@contextmanager
def open_scratch() -> Iterator[bytes]:
    """Give a private folder that is removed with the block."""
    import tempfile  # 4 ms, and hardly any capture needs it

    with tempfile.TemporaryDirectory(prefix="chronos-db-") as folder:
        yield os.fsencode(folder)


def open_reading(path: bytes) -> int:
    """Open a file for reading; a FIFO does not block. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)


def _numbers(path: bytes, *, is_beside: bool) -> tuple[int, ...]:
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return (0,) * NUMBERS
    ctime_ns = 0 if is_beside else found.st_ctime_ns
    return found.st_mode, found.st_size, found.st_mtime_ns, ctime_ns, found.st_ino


def _unsettled_ns(look: Look, now_ns: int) -> int:
    newest = max(look.mtime_ns, look.ctime_ns)
    if newest > now_ns:
        return 0  # a clock that was set back: waiting would not help, and later changes get another time
    is_coarse = look.mtime_ns % 1_000_000_000 == 0
    return newest + (_COARSE_SETTLED_NS if is_coarse else _SETTLED_NS) - now_ns
