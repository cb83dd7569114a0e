"""Opening files of a tree for reading, but never a SQLite database.

Closing any descriptor of a file drops every POSIX lock that the process holds on it (fcntl(2)), so an application that
has the database open in the same process would lose committed rows. What turns out to be a database once it is open is
therefore never closed: its descriptor stays for as long as the process, and its file is not opened again.
"""

from __future__ import annotations

import errno
import os
import stat

_MAGIC = b"SQLite format 3\0"
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Descriptors of databases by device and inode, which nobody can give to another file while it is open.
_kept: dict[tuple[int, int], int] = {}


class DatabaseFileError(OSError):
    """The file is a SQLite database, which this process must not open and close."""


def open_regular(path: bytes | str, folder: int | None = None) -> int:
    """Open a regular file (in the folder of the descriptor `folder`) for reading and return its descriptor.

    Links are not followed, and a FIFO or device does not block. Raises DatabaseFileError, or OSError.
    """
    found = os.stat(path, dir_fd=folder, follow_symlinks=False)
    if (found.st_dev, found.st_ino) in _kept:
        raise _is_database()
    descriptor = os.open(path, _FLAGS, dir_fd=folder)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    if os.pread(descriptor, len(_MAGIC), 0) == _MAGIC:
        _kept.setdefault((found.st_dev, found.st_ino), descriptor)
        raise _is_database()
    return descriptor


def is_database(path: bytes | str, folder: int | None = None) -> bool:
    """Tell whether a regular file begins as a SQLite database does."""
    try:
        os.close(open_regular(path, folder))
    except DatabaseFileError:
        return True
    except OSError:
        return False
    return False


def _is_database() -> DatabaseFileError:
    return DatabaseFileError(errno.EINVAL, "a SQLite database")
