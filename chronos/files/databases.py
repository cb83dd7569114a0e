"""Reading files that may be SQLite databases, without letting go of anybody's locks.

POSIX drops every lock that a process holds on a file when the process closes any descriptor of that file (fcntl(2)).
SQLite locks databases, and the `-shm` file beside one, in this way: had an application in this very process such a
file open, it would lose its locks, and rows, by our close. So a descriptor of such a file is kept until the process
ends, one for each file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SQLITE_MAGIC = b"SQLite format 3\0"
# The version with which a `-shm` file begins, in either byte order (https://www.sqlite.org/walformat.html, 2.1).
_LOCKED = (SQLITE_MAGIC, b"\x18\xe2\x2d\x00", b"\x00\x2d\xe2\x18")

_kept: dict[tuple[int, int], int] = {}
_lock = threading.RLock()


def is_database(descriptor: int) -> bool:
    """Tell whether an open file begins as a SQLite database does."""
    return os.pread(descriptor, len(SQLITE_MAGIC), 0) == SQLITE_MAGIC


@contextmanager
def open_kept(key: tuple[int, int], open_file: Callable[[], int]) -> Iterator[int]:
    """Give the block a descriptor of the file with device and inode `key`, at its start; close it if that does no harm.

    `open_file` opens it where none is kept. One that is kept is given to one thread at a time.
    """
    with _lock:
        kept = _kept.get(key)
        if kept is not None:
            os.lseek(kept, 0, os.SEEK_SET)
            yield kept
            return
    descriptor = open_file()
    try:
        yield descriptor
    finally:
        _close_unless_locked(descriptor)


def _close_unless_locked(descriptor: int) -> None:
    """Close a descriptor, or keep it; asked at the end, since a new database gets its first bytes late."""
    if os.pread(descriptor, len(SQLITE_MAGIC), 0).startswith(_LOCKED):
        about = os.fstat(descriptor)
        with _lock:  # a second one, of another thread, is kept as well: it may not be closed either
            _kept.setdefault((about.st_dev, about.st_ino), descriptor)
    else:
        os.close(descriptor)
