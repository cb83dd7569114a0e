"""Moving a file or a folder away, to another file system where need be: copied, compared, and only then removed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chronos.files.databases import open_kept
from chronos.files.durable import open_up, sync_file_system

_PIECE_BYTES = 1 << 20


def move_away(source: Path, target: Path) -> None:
    """Move `source` to the free name `target`. Raises OSError, and then `source` is whole.

    May be run again after a crash: an unfinished copy is made anew, and a finished one is not made twice. What is no
    file, link or folder (a socket) cannot go to another file system and is dropped.
    """
    if os.path.lexists(target):
        discard(source)
        return
    try:
        rename(source, target)
        return
    except OSError as cause:
        if cause.errno != errno.EXDEV:
            raise
    unfinished = target.with_name(f"{target.name}.unfinished")
    discard(unfinished)
    _copy(source, unfinished)
    sync_file_system(unfinished.parent)
    os.rename(unfinished, target)
    sync_file_system(target.parent)
    discard(source)


def rename(source: Path, target: Path) -> None:
    """Rename as `os.rename` does, but a folder that may not be written to as well: a new parent is written into it."""
    try:
        os.rename(source, target)
    except PermissionError:
        mode = os.lstat(source).st_mode
        if not stat.S_ISDIR(mode) or mode & stat.S_IWUSR:
            raise
        os.chmod(source, stat.S_IMODE(mode) | stat.S_IRWXU)
        moved = source
        try:
            os.rename(source, target)
            moved = target
        finally:
            os.chmod(moved, stat.S_IMODE(mode))


def _copy(source: Path, target: Path) -> None:
    mode = os.lstat(source).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISDIR(mode):
        target.mkdir(mode=0o700)
        for name in os.listdir(source):
            _copy(source / name, target / name)
        os.chmod(target, stat.S_IMODE(mode))
    elif stat.S_ISREG(mode):
        with _reading(source) as descriptor, open(target, "xb") as writer:
            while piece := os.read(descriptor, _PIECE_BYTES):
                writer.write(piece)
            os.fchmod(writer.fileno(), stat.S_IMODE(mode))
        _compare(source, target)


def _compare(source: Path, copy: Path) -> None:
    with _reading(source) as descriptor, open(copy, "rb") as reader:
        while True:
            piece = os.read(descriptor, _PIECE_BYTES)
            if reader.read(len(piece) or 1) != piece:
                raise OSError(errno.EIO, "the copy differs", str(copy))
            if not piece:
                return


@contextmanager
def _reading(path: Path) -> Iterator[int]:
    about = os.lstat(path)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open_kept(lambda: about, lambda: os.open(path, flags)) as descriptor:
        yield descriptor


def discard(path: Path) -> None:
    """Remove the file, link or folder `path`, whatever modes its folders have; it may be gone. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        import shutil  # 2 ms, and most of what goes is a file

        try:
            shutil.rmtree(path)
        except PermissionError:
            open_up(path)
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
