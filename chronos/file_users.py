"""Which processes have a file open."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec


class FileUser(msgspec.Struct, frozen=True):
    """A process that has the file `path` open, perhaps among others, for writing if any; `is_self` is this very one."""

    process_id: int
    name: str
    path: Path
    is_writing: bool
    is_self: bool


def find_users(paths: Iterable[Path], ours: Collection[int] = ()) -> list[FileUser]:
    """Return who has any of the files `paths` open, each process once; told by device and inode, so by any name.

    Descriptors of this process that are in `ours` do not count. Processes of other users, of which the system says
    nothing, are not seen; neither is a file that is only mapped.
    """
    import psutil  # only a restore asks

    wanted = {key: path for path in paths if (key := _file_key(path)) is not None}
    found = []
    for process in psutil.process_iter() if wanted else ():
        try:
            name, opened = process.name(), process.open_files()
        except (psutil.Error, OSError):
            continue
        is_self = process.pid == os.getpid()
        open_for: dict[bool, Path] = {}
        for file in opened:
            path = wanted.get(_file_key(Path(file.path)) or (-1, -1))
            if path is not None and not (is_self and file.fd in ours):
                open_for.setdefault(getattr(file, "mode", "r") != "r", path)
        if open_for:
            is_writing = True in open_for
            found.append(FileUser(process.pid, name, open_for[is_writing], is_writing, is_self))
    return found


def name_users(users: Iterable[FileUser]) -> str:
    """Return the processes as a list for people."""
    return ", ".join(f"{user.name} (process {user.process_id})" for user in users)


def is_open_here(path: Path, ours: Collection[int] = ()) -> bool:
    """Tell whether this process has a file open, by other descriptors than those in `ours`."""
    wanted = _file_key(path)
    with suppress(OSError):  # a system that does not say
        for descriptor in {*map(int, os.listdir("/proc/self/fd"))} - {*ours}:
            if wanted is not None and _file_key(descriptor) == wanted:
                return True
    return False


def _file_key(path: Path | int) -> tuple[int, int] | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino
