"""Putting a database back: page by page (`sqlite_patch`), by a swap, or through SQLite while others have it open.

A swap writes and checks the new one beside the place. Its order, and what a crash between two steps leaves:

1. The new database is written under a temporary name, synced and checked. The place is as it was.
2. The old main file moves to the trash, and only then its `-wal`, `-journal` and `-shm`. In this order nobody meets an
   old database without the transactions in its `-wal`; without a main file SQLite takes a `-wal` for rubbish.
3. Both folders are synced: from here on no crash brings an old companion back beside the new database.
4. The new database is linked to the free name, and the folder synced.

A run after a crash discards the temporary file, moves what is left of the old database, and goes on from there; it
knows by the trash that the old main file was moved, and by its identity that the new one is in place.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from chronos.background import in_background
from chronos.errors import IntegrityError, StoreChangedError, StoreInUseError
from chronos.file_users import FileUser, find_users
from chronos.files import (
    display,
    kept_descriptors,
    move_to_free_name,
    start_writing_back,
    sync_folder,
    temporary_name,
    write_all,
)
from chronos.memory.kinds import CaptureWork, MemoryFile, ReplaceWork, StoreState
from chronos.memory.sqlite_capture import capture
from chronos.memory.sqlite_files import INDEX, JOURNAL, WAL, is_same_place, numbers_at
from chronos.memory.sqlite_patch import NOT_IN_PLACE, patch
from chronos.memory.sqlite_reader import ask, hexed
from chronos.pool import Content, HashingSink
from chronos.stat_cache import StatCache

# The order of moving away.
_OLD_PARTS = (b"", WAL, JOURNAL, INDEX)
_NEW_MODE = 0o600
_UNSEEN = "a process that this user cannot see"
_FLUSH_BYTES = 16 * 1024 * 1024


def replace(place: Path, state: StoreState | None, work: ReplaceWork) -> list[str]:
    """See MemoryKind."""
    if state is not None and not state.files:
        return ["the database was left out of the checkpoint, and stays as it is"]
    drafts = [(file, place.parent / os.fsdecode(temporary_name(_name(place, file.path)))) for file in _files(state)]
    _discard(draft for _, draft in drafts)
    expected = tuple(work.expected) if work.expected is not None else None
    is_moved = _was_moved(place, work)
    if expected is not None and not is_moved and not is_same_place(numbers_at(os.fsencode(place)), expected):
        identity = _identity_at(place, work)
        if state is not None and identity == state.identity:
            sync_folder(place.parent)  # an earlier run ended right before this
            return []
        if work.present is None or identity != work.present.state.identity:
            raise _changed(place)
        # An earlier run was cut short, and SQLite rolls back to what was there before.
        work.expected = numbers_at(os.fsencode(place))
    patched = patch(place, state, work) if state is not None else NOT_IN_PLACE
    if patched.notes is not None:
        return patched.notes
    try:
        notes = _write_drafts(place, drafts, state, work) if state is not None else []
        users = find_users((_beside(place, part) for part in _OLD_PARTS), kept_descriptors())
        if users or patched.is_locked:
            return notes + _overwrite(place, drafts, state, work, users)
        _swap(place, drafts, work)
    finally:
        _discard(draft for _, draft in drafts)
    return notes


def write_files(target: Path, files: list[MemoryFile], pieces: Callable[[Content], Iterator[bytes]]) -> None:
    """Write the files of a state at `target` and beside it, where nothing stands. Raises OSError."""
    for file in files:
        _write(_beside(target, file.path), _bytes_of(file, pieces), None)


def _write_drafts(
    place: Path, drafts: list[tuple[MemoryFile, Path]], state: StoreState, work: ReplaceWork
) -> list[str]:
    """Write the new files under their temporary names and check them; return notes. Raises IntegrityError."""
    if not place.parent.is_dir():
        place.parent.mkdir(parents=True)
        sync_folder(place.parent.parent)
    for file, draft in drafts:
        _write(draft, _bytes_of(file, work.pieces), _find_model(place, file.path, work.trash))
    synced = in_background(lambda: _sync(draft for _, draft in drafts))  # while the child reads what was written
    try:
        if not state.facts.get("readable", 1):
            return ["it was no readable database when it was captured, and is again what it was"]
        found = ask(place, {"work": "check", "place": hexed(drafts[0][1]), "is_sound": work.is_sound})
    finally:
        synced()
    content = drafts[0][0].content
    if content is None or (found["content"], found["identity"]) != (content.id.hex(), state.identity):
        raise IntegrityError(f"what was written for {display(str(place))} is not what was captured")
    work.is_sound = not found["problems"]
    if found["problems"]:
        return [f"the database is damaged, as it was when it was captured: {'; '.join(found['problems'])}"]
    return []


def _swap(place: Path, drafts: list[tuple[MemoryFile, Path]], work: ReplaceWork) -> None:
    before = numbers_at(os.fsencode(place))
    is_known = work.expected is not None and not _was_moved(place, work)
    if is_known and not is_same_place(before, tuple(work.expected or ())):  # written to since, and closed again
        raise _changed(place)
    moved: list[tuple[Path, Path]] = []
    linked: list[Path] = []
    try:
        for part in _OLD_PARTS:
            _move_away(_beside(place, part), work.trash, moved)
        if not _is_as_before(place, moved, before):
            raise _changed(place)
        if users := find_users((target for _, target in moved), kept_descriptors()):
            raise _in_use(place, users)
        sync_folder(work.trash)
        if place.parent.is_dir():
            sync_folder(place.parent)
        for file, draft in reversed(drafts):
            target = _beside(place, file.path)
            try:
                move_to_free_name(draft, target)
            except FileExistsError as cause:
                raise _changed(place) from cause
            linked.append(target)
    except BaseException:
        _put_back(place, moved, linked)
        raise
    if linked or moved:
        sync_folder(place.parent)


def _was_moved(place: Path, work: ReplaceWork) -> bool:
    """Tell whether a run before this one has begun to move the old files away, if not yet all of them."""
    return not os.path.lexists(place) and any(os.path.lexists(_beside(work.trash / place.name, p)) for p in _OLD_PARTS)


def _move_away(source: Path, trash: Path, moved: list[tuple[Path, Path]]) -> None:
    """Move a file to a free name in the trash. On another file system the child copies it: nobody else opens it."""
    if not os.path.lexists(source):
        return
    target, number = trash / source.name, 0
    while os.path.lexists(target):
        number += 1
        target = trash / f"{source.name}.{number}"
    try:
        os.rename(source, target)
    except OSError as cause:
        if cause.errno != errno.EXDEV:
            raise
        _carry(source, target)
    moved.append((source, target))


def _carry(source: Path, target: Path) -> None:
    found = os.lstat(source)
    ask(source, {"work": "copy", "place": hexed(source), "target": hexed(target)})
    os.chmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    now = os.lstat(source)
    if (now.st_size, now.st_mtime_ns, now.st_ino) != (found.st_size, found.st_mtime_ns, found.st_ino):
        target.unlink()
        raise _changed(source)
    source.unlink()


def _put_back(place: Path, moved: list[tuple[Path, Path]], linked: list[Path]) -> None:
    """Undo a swap, the main file last. Beside a database that somebody made meanwhile no old file is put."""
    if place in linked:
        return
    for target in linked:
        with suppress(OSError):
            target.unlink()
    if os.path.lexists(place):
        return
    for source, target in reversed(moved):
        with suppress(FileExistsError):
            _move_back(target, source)


def _move_back(source: Path, target: Path) -> None:
    try:
        move_to_free_name(source, target)
    except OSError as cause:
        if cause.errno != errno.EXDEV:
            raise
        draft = target.with_name(os.fsdecode(temporary_name(_name(target, b""))))
        _discard(iter((draft,)))
        _carry(source, draft)
        move_to_free_name(draft, target)


def _is_as_before(place: Path, moved: list[tuple[Path, Path]], before: tuple[int, ...]) -> bool:
    """Tell whether what was moved is what was looked at: nobody wrote in between."""
    paths = dict(moved)
    for number, part in enumerate((b"", WAL, JOURNAL)):
        target = paths.get(_beside(place, part))
        _, size, mtime_ns, _, _ = before[5 * number : 5 * number + 5] or (0, 0, 0, 0, 0)
        found = os.lstat(target) if target is not None else None
        if (found.st_size, found.st_mtime_ns) != (size, mtime_ns) if found else mtime_ns:
            return False
    return True


def _overwrite(
    place: Path, drafts: list[tuple[MemoryFile, Path]], state: StoreState | None, work: ReplaceWork,
    users: list[FileUser],
) -> list[str]:  # fmt: skip
    """Put the new content into the database that others have open."""
    if state is None or not state.facts.get("readable", 1):
        raise _in_use(place, users)
    request = {"work": "overwrite", "place": hexed(place), "image": hexed(drafts[0][1])}
    with work.waiting() as timeout_s:
        told = ask(place, request | {"expected": work.expected, "timeout_s": timeout_s})
    if told["outcome"] == "changed":
        raise _changed(place)
    if told["outcome"] != "done":
        raise _in_use(place, users, told.get("reason", ""))
    names = ", ".join(f"{user.name} ({user.process_id})" for user in users) or _UNSEEN
    notes = [f"the content was put into the open database; used by {names}"]
    if state.size and _identity_at(place, work) != state.identity:
        notes.append("it was written to right after that")
    return notes


def _identity_at(place: Path, work: ReplaceWork) -> str | None:
    if not numbers_at(os.fsencode(place)):
        return None
    sink = HashingSink()
    look = CaptureWork(sink, StatCache({}), lambda _: (), lambda _path, _size: None, work.timeout_s)
    with work.waiting():
        return capture(place, look).identity


def _write(path: Path, pieces: Iterator[bytes], model: os.stat_result | None) -> None:
    """Write a new file with the owner and the mode of `model`, or private to whoever runs this."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _NEW_MODE)
    written, started = 0, 0
    try:
        for piece in pieces:
            write_all(descriptor, piece)
            written += len(piece)
            if written - started >= _FLUSH_BYTES:
                start_writing_back(descriptor, started, written - started)
                started = written
        if model is not None:
            with suppress(PermissionError):
                os.fchown(descriptor, model.st_uid, model.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(model.st_mode))
    finally:
        os.close(descriptor)


def _sync(paths: Iterator[Path]) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _bytes_of(file: MemoryFile, pieces: Callable[[Content], Iterator[bytes]]) -> Iterator[bytes]:
    return pieces(file.content) if file.content is not None else iter(())


def _find_model(place: Path, part: bytes, trash: Path) -> os.stat_result | None:
    """Return the stat of the file that a new one takes the place of, wherever that is by now."""
    for path in (_beside(place, part), _beside(trash / place.name, part)):
        with suppress(FileNotFoundError, NotADirectoryError):
            return os.lstat(path)
    return None


def _files(state: StoreState | None) -> list[MemoryFile]:
    return [] if state is None else state.files


def _name(place: Path, part: bytes) -> bytes:
    return os.fsencode(place.name) + part


def _beside(place: Path, part: bytes) -> Path:
    return place.with_name(place.name + os.fsdecode(part)) if part else place


def _discard(drafts: Iterator[Path]) -> None:
    for draft in drafts:
        with suppress(FileNotFoundError, NotADirectoryError):
            draft.unlink()


def _changed(place: Path) -> StoreChangedError:
    return StoreChangedError(f"{display(str(place))} has changed since it was looked at")


def _in_use(place: Path, users: list[FileUser], reason: str = "") -> StoreInUseError:
    names = ", ".join(f"{user.name} (process {user.process_id})" for user in users) or _UNSEEN
    return StoreInUseError(f"{display(str(place))} is in use by {names}" + (f": {reason}" if reason else ""))
