"""Writing the files of a captured state into a folder, reading them back, and giving them the permissions they had."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from chronos.errors import VerifyFailedError
from chronos.files import PathKind, SafeRoot, TreePath, display
from chronos.memory.folders import open_place
from chronos.memory.kinds import MemoryFile
from chronos.pool import Content, HashingSink

Pieces = Callable[[Content], Iterator[bytes]]


def write_files(
    target: Path, files: Iterable[MemoryFile], pieces: Pieces, *, shared: Path | None = None
) -> set[TreePath]:
    """Write `files` into the empty folder `target`, made if need be, or the one file without a path as `target`.

    Links go last. A file that lies in the folder `shared` with the same bytes is linked; those are returned. Nothing is
    synced. Raises OSError.
    """
    files = sorted(files, key=lambda file: (file.is_link, file.path))
    if [file.path for file in files] == [b""]:
        with open_place(target.parent) as tree:
            _write(tree, os.fsencode(target.name), files[0], pieces)
        return set()
    target.mkdir(exist_ok=True)
    linked = set()
    with open_place(target) as tree:
        for file in files:
            tree.make_parents(file.path)
            if shared is not None and _link_equal(shared, target, file):
                linked.add(file.path)
            else:
                _write(tree, file.path, file, pieces)
    return linked


def check_files(place: Path, files: Iterable[MemoryFile]) -> None:
    """Read back what `write_files` wrote. Raises VerifyFailedError when a byte differs, OSError."""
    for file in files:
        with open_place(place if file.path else place.parent) as tree:
            path = file.path or os.fsencode(place.name)
            found = HashingSink().add_bytes(tree.read_link(path)) if file.is_link else _hash(tree, path)
        if file.content is not None and found != file.content:
            raise VerifyFailedError(f"{display(file.path) or place.name} was written, but not as it was captured")


def take_modes(old: Path, new: Path, files: Iterable[MemoryFile]) -> None:
    """Give files and folders of `new` the permissions that those of the same path have in `old`; files keep their x."""
    paths = {file.path: file for file in files}
    folders = {b"", *(path[:at] for path in paths for at, byte in enumerate(path) if byte == ord("/"))}
    for path in sorted(folders | paths.keys(), reverse=True):
        with suppress(FileNotFoundError, NotADirectoryError):
            before = os.lstat(old / os.fsdecode(path) if path else old).st_mode
            own = new / os.fsdecode(path) if path else new
            after = os.lstat(own).st_mode
            if stat.S_IFMT(before) != stat.S_IFMT(after) or stat.S_ISLNK(after):
                continue
            mode = stat.S_IMODE(before)
            if stat.S_ISREG(after):
                mode = mode & 0o666 | (0o111 & mode >> 2 if paths[path].executable else 0)
            if mode != stat.S_IMODE(after):
                os.chmod(own, mode)


def _write(tree: SafeRoot, path: TreePath, file: MemoryFile, pieces: Pieces) -> None:
    data = pieces(file.content) if file.content is not None else iter(())
    if file.is_link:
        tree.write_link(path, b"".join(data))
    else:
        tree.write_file(path, data, executable=file.executable)


def _link_equal(shared: Path, target: Path, file: MemoryFile) -> bool:
    """Link `file` from the folder `shared` when it lies there with the same bytes; tell whether that was done."""
    with open_place(shared) as tree:
        stat = tree.find_stat(file.path)
        if file.is_link or file.content is None or stat is None or stat.kind is not PathKind.FILE:
            return False
        if stat.size != file.content.size or stat.is_executable != file.executable:
            return False
        with suppress(OSError):
            if _hash(tree, file.path) == file.content:
                os.link(shared / os.fsdecode(file.path), target / os.fsdecode(file.path), follow_symlinks=False)
                return True
    return False


def _hash(tree: SafeRoot, path: TreePath) -> Content:
    with tree.reading(path) as descriptor:
        return HashingSink().add_file(descriptor, os.fstat(descriptor).st_size)
