"""Contained access to a tree: every path is walked by folder descriptors and no component is followed as a link.

Checking a path first and opening it afterwards can be raced (thousands of escapes in five seconds of link swapping
were measured); opening each folder relative to its parent with O_NOFOLLOW cannot. The folders of the last path stay
open for the next one, which shares most of them; `forget` has the root asked again. New content goes to a temporary
name in its own folder and takes its final name only when that is free, so nothing is ever overwritten.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import Enum
from pathlib import Path

import msgspec

from chronos.errors import BadPathError
from chronos.files.databases import holds_database, open_any, open_kept, open_regular
from chronos.files.durable import translate_os_errors, write_all
from chronos.files.paths import TreePath, check_tree_path, is_inside

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_HELD = 8
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class PathKind(str, Enum):
    """What stands at a path."""

    FILE = "file"
    LINK = "symlink"
    FOLDER = "folder"
    SPECIAL = "special"


class FileStat(msgspec.Struct, frozen=True):
    """What `lstat` says of a path, as far as a change of content would show."""

    kind: PathKind
    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def is_executable(self) -> bool:
        """Whether the owner may execute it, the only mode bit that git and checkpoints keep."""
        return bool(self.mode & stat.S_IXUSR)


def stat_of(found: os.stat_result) -> FileStat:
    """Reduce a stat result to what this product looks at."""
    if stat.S_ISREG(found.st_mode):
        kind = PathKind.FILE
    elif stat.S_ISLNK(found.st_mode):
        kind = PathKind.LINK
    else:
        kind = PathKind.FOLDER if stat.S_ISDIR(found.st_mode) else PathKind.SPECIAL
    return FileStat(kind, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class SafeRoot:
    """One folder tree, opened once; all paths are relative to it and cannot leave it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with translate_os_errors(f"cannot open {root}"):
            self._descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # The folders above the last path, as deep as they may be held, each with its path: the next one shares most.
        self._held: list[tuple[TreePath, int]] = []

    def close(self) -> None:
        """Close the descriptors."""
        self.forget()
        os.close(self._descriptor)

    def __enter__(self) -> SafeRoot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def forget(self) -> None:
        """Walk from the root again next time: that sees whether a folder was moved away meanwhile."""
        self._let_go(0)

    def find_stat(self, path: TreePath) -> FileStat | None:
        """Return what stands at `path`, or None when nothing does (a link or a file on the way counts as nothing)."""
        try:
            folder, name = self._parent(path)
            return stat_of(os.stat(name, dir_fd=folder, follow_symlinks=False))
        except OSError as cause:
            if cause.errno in _ABSENT:
                return None
            raise

    def reading(self, path: TreePath) -> AbstractContextManager[int]:
        """Give the block a descriptor of the regular file `path`, to read from its start. Raises OSError.

        A SQLite database stays open when the block ends, for its locks (see `databases`). A FIFO or device does not
        block; it raises `OSError(EINVAL)`.
        """
        folder, name = self._parent(path)
        return open_kept(lambda: os.stat(name, dir_fd=folder, follow_symlinks=False), lambda: open_any(name, folder))

    def open_file(self, path: TreePath) -> int:
        """Open the regular file `path` as `reading` does and return its descriptor. Raises OSError.

        A SQLite database raises DatabaseFileError.
        """
        folder, name = self._parent(path)
        return open_regular(name, folder)

    def is_database(self, path: TreePath) -> bool:
        """Tell whether a SQLite database stands at `path`."""
        try:
            folder, name = self._parent(path)
        except (BadPathError, OSError):
            return False
        return holds_database(name, folder)

    def read_link(self, path: TreePath) -> bytes:
        """Return the target of the symbolic link `path`, as bytes. Raises OSError."""
        folder, name = self._parent(path)
        return os.readlink(name, dir_fd=folder)

    def list_folder(self, path: TreePath) -> list[TreePath]:
        """Return the paths directly inside the folder `path` ('' for the root), sorted."""
        descriptor = self._open_folder(path)
        names = sorted(os.fsencode(name) for name in os.listdir(descriptor))
        return [path + b"/" + name if path else name for name in names]

    def list_files(self, path: TreePath) -> list[TreePath]:
        """Return everything at or below `path` that is no folder, or that has a name which may never be written."""
        found, pending = [], [path]
        while pending:
            current = pending.pop()
            try:
                stat = self.find_stat(current)
            except BadPathError:
                found.append(current)
                continue
            if stat is not None and stat.kind is PathKind.FOLDER:
                pending += self.list_folder(current)
            elif stat is not None:
                found.append(current)
        return sorted(found)

    def write_file(
        self, path: TreePath, pieces: Iterable[bytes], *, executable: bool, like: os.stat_result | None = None
    ) -> None:
        """Put a regular file at `path`, whole or not at all. Raises FileExistsError when something stands there.

        Whom the file `like` shuts out may not read or write it either. The caller makes it durable.
        """
        may = 0o777 if executable else 0o666
        if like is not None:
            bits = stat.S_IMODE(like.st_mode) & 0o666
            may &= bits | bits >> 2 & 0o111
        with self._placing(path) as (folder, temporary):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, may, dir_fd=folder)
            try:
                for piece in pieces:
                    write_all(descriptor, piece)
            finally:
                os.close(descriptor)

    def write_link(self, path: TreePath, target: bytes) -> None:
        """Put a symbolic link at `path`; its target is data and is never followed. Raises FileExistsError."""
        with self._placing(path) as (folder, temporary):
            os.symlink(target, temporary, dir_fd=folder)

    def create_file(self, path: TreePath, data: bytes, *, executable: bool = False) -> None:
        """Put a new file at `path` durably, with the folders above it. Raises FileExistsError, OSError."""
        self.make_parents(path)
        self.write_file(path, [data], executable=executable)
        folder, name = self._parent(path)
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.fsync(folder)

    def replace_file(self, path: TreePath, data: bytes, expected: FileStat) -> None:
        """Put other content into the regular file `path` in one step, durably: a crash leaves the old or the new one.

        Permission bits stay, and the owner where that is allowed. Raises FileExistsError when the file is not as
        `expected` any more, and OSError; it is as it was then.
        """
        folder, name = self._parent(path)
        temporary = temporary_name(name)
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        try:
            about = os.stat(name, dir_fd=folder, follow_symlinks=False)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
            try:
                write_all(descriptor, data)
                with suppress(PermissionError):
                    os.fchown(descriptor, about.st_uid, about.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(about.st_mode))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if stat_of(os.stat(name, dir_fd=folder, follow_symlinks=False)) != expected:
                raise FileExistsError(errno.EEXIST, "it was changed meanwhile")
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        os.fsync(folder)

    def move_out(self, path: TreePath, target: Path) -> None:
        """Move the file, link or folder `path` to `target` outside the tree (copied when on another file system)."""
        folder, name = self._parent(path)
        self._forget_below(path)
        try:
            os.rename(name, os.fsencode(target), src_dir_fd=folder)
        except OSError as cause:
            if cause.errno != errno.EXDEV:
                raise
            self._copy_out(path, folder, name, target)

    def move_in(self, source: Path, path: TreePath) -> None:
        """Move back what `move_out` moved to `source`. Raises FileExistsError when something stands at `path`."""
        folder, name = self._parent(path)
        try:
            _rename_to_free_name(folder, name, source=os.fsencode(source))
        except OSError as cause:
            if cause.errno != errno.EXDEV:
                raise
            if source.is_symlink():
                self.write_link(path, os.readlink(os.fsencode(source)))
            else:
                with open(source, "rb") as reader:
                    executable = bool(os.fstat(reader.fileno()).st_mode & 0o100)
                    self.write_file(path, iter(lambda: reader.read(1 << 20), b""), executable=executable)
            source.unlink()

    def set_git_link(self, folder: TreePath, git_dir: bytes | None, replaced: bytes) -> None:
        """Make the `.git` file of the submodule in `folder` lead to `git_dir`, or with None remove it.

        One that leads somewhere else than `replaced` is left alone. Raises OSError, and FileExistsError when `.git` is
        something else.
        """
        if git_dir is not None:
            self.make_parents(folder + b"/x")
        place, now = self._open_folder(folder), self._read_git_link(folder)
        if now is not None and now != replaced:
            raise FileExistsError(errno.EEXIST, "another .git stands there")
        if git_dir is None and now is not None:
            os.unlink(b".git", dir_fd=place)
            self.forget()
            self.remove_empty_folders(folder + b"/x")
        elif git_dir is not None and now is None:
            descriptor = os.open(b".git", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=place)
            with open(descriptor, "wb") as stream:
                stream.write(b"gitdir: %s\n" % git_dir)

    def remove_empty_folders(self, path: TreePath) -> None:
        """Remove the folders above `path` that have become empty, up to the root."""
        parent = path.rpartition(b"/")[0]
        while parent:
            self.forget()
            folder, name = self._parent(parent)
            try:
                os.rmdir(name, dir_fd=folder)
            except OSError:
                return
            parent = parent.rpartition(b"/")[0]

    def remove_folder(self, path: TreePath) -> None:
        """Remove the empty folder `path`. Raises OSError."""
        folder, name = self._parent(path)
        self._forget_below(path)
        os.rmdir(name, dir_fd=folder)

    def discard_temporary(self, path: TreePath) -> None:
        """Remove what a killed write to `path` may have left beside it."""
        with suppress(OSError):
            folder, name = self._parent(path)
            os.unlink(temporary_name(name), dir_fd=folder)

    def make_parents(self, path: TreePath) -> None:
        """Create the folders above `path` that are missing. Raises OSError when something else stands there."""
        parts = path.split(b"/")[:-1]
        if parts:
            with suppress(FileNotFoundError):
                self._open_folder(check_tree_path(b"/".join(parts)))
                return  # nearly always
        for count in range(1, len(parts) + 1):
            folder, name = self._parent(b"/".join(parts[:count]))
            with suppress(FileExistsError):
                os.mkdir(name, 0o777, dir_fd=folder)

    def _read_git_link(self, folder: TreePath) -> bytes | None:
        try:
            descriptor = os.open(b".git", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._open_folder(folder))
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileExistsError(errno.EEXIST, "a .git folder stands there")
            return stream.read(4200).removeprefix(b"gitdir: ").rstrip(b"\n")

    def _copy_out(self, path: TreePath, folder: int, name: bytes, target: Path) -> None:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=folder), os.fsencode(target))
        else:
            source = self.open_file(path)
            with open(source, "rb") as reader, open(target, "xb") as writer:
                while piece := reader.read(1 << 20):
                    writer.write(piece)
                os.fchmod(writer.fileno(), stat.S_IMODE(found.st_mode))
                os.fsync(writer.fileno())
        os.unlink(name, dir_fd=folder)

    @contextmanager
    def _placing(self, path: TreePath) -> Iterator[tuple[int, bytes]]:
        folder, name = self._parent(path)
        temporary = temporary_name(name)
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        try:
            yield folder, temporary
            _rename_to_free_name(folder, name, temporary, folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise

    def _parent(self, path: TreePath) -> tuple[int, bytes]:
        folder, _, name = path.rpartition(b"/")
        if self._held and self._held[-1][0] == folder:
            check_tree_path(name)
            return self._held[-1][1], name
        check_tree_path(path)
        return self._open_folder(folder), name

    def _open_folder(self, path: TreePath) -> int:
        if not path:
            return self._descriptor
        held = self._held
        shared = len(held)
        while shared and not is_inside(path, held[shared - 1][0]):
            shared -= 1
        self._let_go(shared)
        above, descriptor = held[-1] if held else (b"", self._descriptor)
        rest = path[len(above) :].removeprefix(b"/")
        for name in rest.split(b"/") if rest else ():
            descriptor = os.open(name, _FOLDER, dir_fd=descriptor)
            above = above + b"/" + name if above else name
            held.append((above, descriptor))
            if len(held) > _MOST_HELD:
                os.close(held.pop(0)[1])
        return descriptor

    def _let_go(self, kept: int) -> None:
        """Close the folders that are held, but for the first `kept`."""
        while len(self._held) > kept:
            os.close(self._held.pop()[1])

    def _forget_below(self, path: TreePath) -> None:
        self._let_go(sum(not is_inside(folder, path) for folder, _ in self._held))


def temporary_name(name: bytes) -> bytes:
    """Derive the temporary name of a write from the final one, so that recovery finds it after a crash."""
    return b".chronos-%08x.tmp" % zlib.crc32(name)


def move_to_free_name(source: Path, target: Path) -> None:
    """Rename a file of ours to `target` on the same file system. Raises FileExistsError when something stands there."""
    _rename_to_free_name(None, os.fsencode(target), os.fsencode(source))


def _rename_to_free_name(folder: int | None, name: bytes, source: bytes, source_folder: int | None = None) -> None:
    """Rename without replacing: a link fails where the name is taken. Where links are unknown, look and rename."""
    try:
        os.link(source, name, src_dir_fd=source_folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as cause:
        if cause.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, "something stands there") from cause
        os.rename(source, name, src_dir_fd=source_folder, dst_dir_fd=folder)
        return
    os.unlink(source, dir_fd=source_folder)
