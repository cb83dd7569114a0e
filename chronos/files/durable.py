"""Writes that survive a power cut: the bytes are synced, then the name, then the folder that holds the name.

git and most programs sync the file and forget the folder; measured, that loses acknowledged work on ext4 and xfs.
"""

from __future__ import annotations

import errno
import os
from _thread import get_native_id
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from chronos.errors import ChronosError, IntegrityError, StorageError, TargetExistsError

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MANY_FILES, _REMOVERS = 64, 4


@contextmanager
def translate_os_errors(what: str) -> Iterator[None]:
    """Turn an OSError inside the block into a StorageError that says what was being done."""
    try:
        yield
    except OSError as cause:
        reason = cause.strerror or str(cause)
        hint = None
        if cause.errno in _FULL:
            hint = "free some space and run the command again; nothing was lost"
        elif cause.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            hint = "check the permissions of that folder and that its file system is not read-only"
        raise StorageError(f"{what}: {reason}", hint=hint) from cause


def is_full(error: StorageError) -> bool:
    """Tell whether the disk, or the user's share of it, had no room left."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte of `data`, however short the single writes are."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def start_writing_back(descriptor: int, offset: int, length: int) -> None:
    """Let the disk begin with some bytes of a file that will be synced when it is complete. Waits for nothing.

    Linux starts to write dirty pages that are said to be of no use; elsewhere nothing happens.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)


def write_new(path: Path, data: bytes, *, sync: bool = True, mode: int = 0o600) -> None:
    """Create the file `path` (it must not exist) with `data`, private to its owner unless `mode` says more, synced."""
    with translate_os_errors(f"cannot write {path}"):
        descriptor = os.open(path, _NEW_FILE, 0o600)
        try:
            if mode != 0o600:
                os.fchmod(descriptor, mode)
            write_all(descriptor, data)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_durably(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the file `path` by `data` in one step: a crash leaves the old content or the new one."""
    temporary = draft_of(path)
    with translate_os_errors(f"cannot write {path}"):
        temporary.unlink(missing_ok=True)
    try:
        write_new(temporary, data, mode=mode)
        with translate_os_errors(f"cannot write {path}"):
            os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sweep_drafts(folder: Path, name: str = "") -> int:
    """Remove what processes that were killed inside `replace_durably` left in `folder`; return how many.

    With `name` only drafts of the file of that name.
    """
    swept = 0
    with translate_os_errors(f"cannot sweep {folder}"):
        for draft in os.listdir(folder) if folder.is_dir() else ():
            parts = draft.split(".")
            process = parts[-2].partition("-")[0] if len(parts) > 3 else ""
            is_draft = not parts[0] and parts[-1] == "tmp" and process.isdigit()
            if is_draft and name in ("", ".".join(parts[1:-2])) and not _is_alive(int(process)):
                (folder / draft).unlink(missing_ok=True)
                swept += 1
    return swept


def draft_of(path: Path) -> Path:
    """Return the name under which this thread writes what will be `path`; `sweep_drafts` knows it after a kill."""
    process, thread = os.getpid(), get_native_id()
    writer = str(process) if thread == process else f"{process}-{thread}"  # on Linux the main thread has both numbers
    return path.with_name(f".{path.name}.{writer}.tmp")


def publish_file(draft: Path, final: Path) -> None:
    """Give a finished, synced draft its final name, where nothing may stand. Raises TargetExistsError, StorageError."""
    with translate_os_errors(f"cannot create {final}"):
        try:
            os.link(draft, final)
        except OSError as cause:
            if cause.errno == errno.EEXIST or os.path.lexists(final):
                raise TargetExistsError(f"{final} exists already") from cause
            if cause.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                raise
            os.rename(draft, final)
        draft.unlink(missing_ok=True)
    sync_folder(final.parent)


def publish_folder(temporary: Path, final: Path) -> None:
    """Rename a finished folder into place: the commit point. Its own entries are synced before, its parent after."""
    sync_folder(temporary)
    with translate_os_errors(f"cannot create {final}"):
        os.rename(temporary, final)
    sync_folder(final.parent)


def sync_folder(path: Path) -> None:
    """Make the names inside the folder `path` durable."""
    with translate_os_errors(f"cannot sync {path}"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file_system(path: Path) -> None:
    """Make everything written to the file system of `path` durable (Linux `syncfs`; `sync` where that is missing)."""
    import ctypes  # only a new base or a restore needs it

    with translate_os_errors(f"cannot sync the file system of {path}"):
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None:
            os.sync()
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if syncfs(descriptor) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
        finally:
            os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Give `target` the content of the immutable file `source`, sharing its blocks where the file system can."""
    with translate_os_errors(f"cannot write {target}"):
        try:
            os.link(source, target)
        except OSError as cause:
            if cause.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            write_new(target, source.read_bytes())


def read_limited(path: Path, limit_bytes: int, too_large: type[ChronosError] = IntegrityError) -> bytes:
    """Read a file of at most `limit_bytes`. Raises `too_large` when it is larger, StorageError otherwise."""
    with translate_os_errors(f"cannot read {path}"), open(path, "rb") as stream:
        data = stream.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise too_large(f"{path} is larger than {limit_bytes} bytes")
    return data


def free_bytes(path: Path) -> int:
    """Return how many bytes of the file system of `path` this user can still take."""
    with translate_os_errors(f"cannot look at {path}"):
        found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def is_our_own(path: Path) -> bool:
    """Tell whether `path` belongs to the user who runs this process."""
    with translate_os_errors(f"cannot look at {path}"):
        return path.stat().st_uid == os.geteuid()


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def remove_tree(path: Path) -> None:
    """Remove a folder of our own store with all in it, whatever modes its folders have; it may be gone already."""
    _remove_files(path)
    try:
        os.rmdir(path)
        return
    except FileNotFoundError:
        return
    except OSError:
        import shutil  # 2 ms, and most folders have no folders in them

    shutil.rmtree(path, ignore_errors=True)
    if path.is_dir() and not path.is_symlink():
        open_up(path)
        shutil.rmtree(path, ignore_errors=True)


def _remove_files(folder: Path) -> None:
    """Remove the files of a folder, of many several at once: each waits 0.1 ms for ext4, at little work."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with os.scandir(descriptor) as found:
                names = [item.name for item in found if not item.is_dir(follow_symlinks=False)]
            if len(names) < _MANY_FILES:
                _unlink(descriptor, names)
            else:
                from chronos.background import in_background

                workers = [in_background(partial(_unlink, descriptor, names[at::_REMOVERS])) for at in range(_REMOVERS)]
                for finish in workers:
                    finish()
        finally:
            os.close(descriptor)


def _unlink(folder: int, names: list[str]) -> None:
    for name in names:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)


def open_up(folder: Path) -> None:
    """Give ourselves back the right to change a folder and those in it, as far as that is ours to give."""
    with suppress(OSError):
        os.chmod(folder, 0o700)
        with os.scandir(folder) as found:
            for item in found:
                if item.is_dir(follow_symlinks=False):
                    open_up(Path(item.path))
