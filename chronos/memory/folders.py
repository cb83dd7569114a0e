"""Reading files of a store as they lie: what stands where, each file once, and once more whatever moved meanwhile.

Links are read as links and never followed. Empty folders, times and owners are not covered. Nothing is silent: what
cannot be taken is a `LeftOut` row.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import msgspec

from chronos.errors import BadPathError, StorageError
from chronos.files import SMALLEST_PAGE_BYTES, FileStat, PathKind, SafeRoot, TreePath, is_database, stat_of
from chronos.memory.kinds import CaptureWork, LeftOut, MemoryFile
from chronos.pool import Content, digest

# The words of receipts for these.
SPECIAL = "not a file"
UNREADABLE = "unreadable"
ATTEMPTS = 4
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL)

# What stands at a path, or why it cannot be looked at.
Seen: TypeAlias = FileStat | str
Listing: TypeAlias = dict[TreePath, Seen]


@contextmanager
def open_place(place: Path) -> Iterator[SafeRoot]:
    """Open the folder `place`. Raises OSError."""
    try:
        tree = SafeRoot(place)
    except StorageError as cause:
        raise cause.__cause__ or OSError(errno.EIO, cause.message) from cause
    with tree:
        yield tree


def find_place(place: Path) -> FileStat | None:
    """Return what stands at `place` itself; a link is not followed. Raises OSError."""
    try:
        return stat_of(os.lstat(place))
    except (FileNotFoundError, NotADirectoryError):
        return None


def check_same(place: Path, found: FileStat) -> None:
    """Check that `place` is still the folder `found`. Raises FileNotFoundError: one that is gone looks empty."""
    now = find_place(place)
    if now is None or now.inode != found.inode or now.kind is not found.kind:
        raise changed_place(place)


def changed_place(place: Path) -> FileNotFoundError:
    """Return the error of a store that is not there, or no longer."""
    return FileNotFoundError(errno.ENOENT, "the store is gone", str(place))


def walk(tree: SafeRoot, enter: Callable[[TreePath, list[TreePath]], bool] | None = None) -> Listing:
    """Return everything in `tree` that is no folder, by path; `enter(folder, its siblings)` may pass folders over.

    A folder that cannot be listed, and a name that may never be written, are in it with the reason. Raises OSError when
    the root cannot be listed.
    """
    found: Listing = {}
    pending = [b""]
    while pending:
        folder = pending.pop()
        try:
            names = tree.list_folder(folder)
        except OSError as cause:
            if not folder:
                raise
            if cause.errno not in _GONE:
                found[folder] = _reason(cause)
            continue
        for path in names:
            seen = _look(tree, path)
            if isinstance(seen, FileStat) and seen.kind is PathKind.FOLDER:
                if enter is None or enter(path, names):
                    pending.append(path)
            elif seen is not None:
                found[path] = seen
    return dict(sorted(found.items()))


def list_entries(place: Path) -> Listing:
    """Return what lies at `place`; a single file has the empty path."""
    found = find_place(place)
    if found is None:
        return {}
    if found.kind is not PathKind.FOLDER:
        return {b"": found}
    with open_place(place) as tree:
        return walk(tree)


def as_look(listing: Listing) -> tuple[object, ...]:
    """Return a listing as the `look` of a folder."""
    return ("folder", len(listing), digest(msgspec.msgpack.encode(list(listing.items()))).hex())


def identity_of(files: list[MemoryFile]) -> str:
    """Return the identity of a store that is nothing but these files."""
    return digest(msgspec.msgpack.encode(files)).hex()


class FolderReader:
    """Reads files of one store into `files`, `left_out` and `databases`; with `single`, that one file of `tree`."""

    def __init__(self, tree: SafeRoot, work: CaptureWork, single: TreePath = b"") -> None:
        self.files: dict[TreePath, MemoryFile] = {}
        self.left_out: dict[TreePath, LeftOut] = {}
        self.databases: set[TreePath] = set()
        self._tree = tree
        self._work = work
        self._single = single

    def read_settled(self, look: Callable[[], Listing], attempts: int = ATTEMPTS) -> list[TreePath]:
        """Read all that `look` lists, then again what moved meanwhile; return what would not hold still."""
        seen: Listing = {}
        for _ in range(attempts):
            now = look()
            moved = _differences(seen, now)
            if not moved:
                return []
            for path in moved:
                self.forget(path)
                seen.pop(path, None)
                read = self.take(path, now[path]) if path in now else None
                if read is not None:
                    seen[path] = read
        return _differences(seen, look())

    def forget(self, path: TreePath) -> None:
        """Drop what is known of `path`."""
        self.files.pop(path, None)
        self.left_out.pop(path, None)
        self.databases.discard(path)

    def take(self, path: TreePath, seen: Seen) -> Seen | None:
        """Read one path, which looked like `seen`; return what it looked like when read, or None when it is gone."""
        if isinstance(seen, str):
            self.left_out[path] = LeftOut(path, UNREADABLE, 0, seen)
            return seen
        if seen.kind is PathKind.SPECIAL:
            self.left_out[path] = LeftOut(path, SPECIAL, 0, "a FIFO, socket or device")
            return seen
        reason = self._work.may_take(path, seen.size)
        if reason is not None:
            self.left_out[path] = LeftOut(path, reason, seen.size)
            return seen
        try:
            stat, content = self._content(path, seen)
        except OSError as cause:
            if cause.errno in _GONE:
                return None
            self.left_out[path] = LeftOut(path, UNREADABLE, seen.size, _reason(cause))
            return seen
        is_link = stat.kind is PathKind.LINK
        self.files[path] = MemoryFile(path, is_link, not is_link and stat.is_executable, content)
        return stat

    def _content(self, path: TreePath, seen: FileStat) -> tuple[FileStat, Content]:
        name = self._single or path
        known = self._work.stats.find(path, seen)
        if seen.kind is PathKind.LINK:
            return seen, known or self._remember(path, seen, self._work.sink.add_bytes(self._tree.read_link(name)))
        if seen.size == 0:  # not opened: it may be a new database, whose locks a close would drop
            return seen, self._work.sink.add_bytes(b"")
        if known is not None and seen.size % SMALLEST_PAGE_BYTES:
            return seen, known
        with self._tree.reading(name) as descriptor:
            if is_database(descriptor):
                self.databases.add(path)
            if known is not None:
                return seen, known
            before = stat_of(os.fstat(descriptor))
            return before, self._remember(path, before, self._work.sink.add_file(descriptor, before.size))

    def _remember(self, path: TreePath, stat: FileStat, content: Content) -> Content:
        self._work.stats.remember(path, stat, content)
        return content


def _look(tree: SafeRoot, path: TreePath) -> Seen | None:
    try:
        stat = tree.find_stat(path)
    except BadPathError as cause:
        return cause.message
    except OSError as cause:
        return _reason(cause)
    if stat is not None and stat.kind is PathKind.SPECIAL:  # its times change by being used
        return FileStat(PathKind.SPECIAL, stat.mode, 0, 0, 0, stat.inode)
    return stat


def _differences(old: Listing, new: Listing) -> list[TreePath]:
    return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))


def _reason(cause: OSError) -> str:
    return cause.strerror or str(cause)
