"""Opening files that may be SQLite databases, without letting go of anybody's locks.

POSIX drops every lock that a process holds on a file when the process closes any descriptor of that file (fcntl(2)).
SQLite locks databases, and the `-shm` file beside one, in this way: had an application in this very process such a
file open, it would lose its locks, and rows, by our close. So a descriptor of such a file is kept until the process
ends, one for each file. The code of a project is read with `open_regular`, which gives no database out at all.
"""

from __future__ import annotations

import errno
import os
import stat
from _thread import RLock  # all that `threading` has to give here, without its millisecond
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SQLITE_MAGIC = b"SQLite format 3\0"
# With which a rollback journal and a `-wal` begin (https://www.sqlite.org/fileformat2.html, 3 and 4.1).
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
# Every page size is a multiple of it, so a file of another length is no whole database.
SMALLEST_PAGE_BYTES = 512
# The version with which a `-shm` file begins, in either byte order (https://www.sqlite.org/walformat.html, 2.1).
_LOCKED = (SQLITE_MAGIC, b"\x18\xe2\x2d\x00", b"\x00\x2d\xe2\x18")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# By device and inode, which no other file can get while a descriptor is open.
_kept: dict[tuple[int, int], int] = {}
_lock = RLock()


class DatabaseFileError(OSError):
    """The file is a SQLite database, which is no code but a memory store."""


def open_any(path: bytes | str, folder: int | None = None) -> int:
    """Open a regular file (in the folder of the descriptor `folder`) for reading and return its descriptor.

    Links are not followed, and a FIFO or device does not block; it raises `OSError(EINVAL)`. Whoever closes the
    descriptor must know that the file is no database.
    """
    descriptor = os.open(path, _FLAGS, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor


def open_regular(path: bytes | str, folder: int | None = None) -> int:
    """Open a file as `open_any` does, unless it is a SQLite database. Raises DatabaseFileError, or OSError."""
    if _kept and _key(os.stat(path, dir_fd=folder, follow_symlinks=False)) in _kept:
        raise DatabaseFileError(errno.EINVAL, "a SQLite database")
    descriptor = open_any(path, folder)
    if not is_database(descriptor):
        return descriptor
    _keep(descriptor)
    raise DatabaseFileError(errno.EINVAL, "a SQLite database")


def holds_database(path: bytes | str, folder: int | None = None) -> bool:
    """Tell whether a SQLite database stands at `path`; an empty file is none, and is not opened."""
    try:
        if os.stat(path, dir_fd=folder, follow_symlinks=False).st_size == 0:
            return False
        os.close(open_regular(path, folder))
    except DatabaseFileError:
        return True
    except OSError:
        return False
    return False


def is_database(descriptor: int) -> bool:
    """Tell whether an open file begins as a SQLite database does."""
    return os.pread(descriptor, len(SQLITE_MAGIC), 0) == SQLITE_MAGIC


def is_log(descriptor: int) -> bool:
    """Tell whether an open file begins as a rollback journal or a `-wal` does. Nobody's locks lie on either."""
    return is_log_head(os.pread(descriptor, len(JOURNAL_MAGIC), 0))


def is_log_head(head: bytes) -> bool:
    """Tell whether these first 8 bytes of a file are those of a rollback journal or a `-wal`."""
    return head.startswith((JOURNAL_MAGIC, *_WAL_MAGIC))


def kept_descriptors() -> frozenset[int]:
    """Return the descriptors that are kept open for nobody's use."""
    with _lock:
        return frozenset(_kept.values())


@contextmanager
def open_kept(look: Callable[[], os.stat_result], open_file: Callable[[], int]) -> Iterator[int]:
    """Give the block a descriptor of the file that `look` looks at, at its start; close it if that does no harm.

    `open_file` opens it where none is kept. One that is kept is given to one thread at a time.
    """
    if _kept:
        with _lock:
            kept = _kept.get(_key(look()))
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
        _keep(descriptor)
    else:
        os.close(descriptor)


def _keep(descriptor: int) -> None:
    with _lock:  # a second one, of another thread, is kept as well: it may not be closed either
        _kept.setdefault(_key(os.fstat(descriptor)), descriptor)


def _key(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
