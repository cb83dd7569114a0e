"""One consistent view of a database: its pages as of one instant, though others may be writing.

How a view is held still, by what stands at the place:

- rollback journal: a connection with a shared lock; writers wait for the length of the read;
- `-wal` in use (there is a wal-index): a connection with a read transaction. No checkpoint then writes pages that are
  not in the `-wal` up to the frame that the wal-index calls committed, and the `-wal` starts anew at most once, with
  other salts: main file overlaid with those frames is the database as of that frame;
- a WAL database at rest, or files that cannot be locked: no connection, which would leave files behind, but two equal
  looks around the read, the first of them settled;
- a hot journal, or a process that never lets go: the same two looks around a copy, on which SQLite rolls back;
- anything else is raw: the files as they are, also what a database that is gone has left.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import ExitStack

from chronos.memory.sqlite_files import (
    INDEX,
    JOURNAL,
    PARTS,
    WAL,
    DatabaseHeader,
    Look,
    copy_new,
    find_look,
    find_stranger,
    is_journal,
    look_at,
    open_reading,
    open_scratch,
    read_header,
    uri_of,
    wait_until_settled,
)
from chronos.memory.sqlite_wal import Overlay, index_copy, is_generation, map_frames, read_index

# Locked by others, a journal that has to be rolled back first, a wal-index that cannot be written.
_TRY_STILL = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


class MovedError(Exception):
    """What is read did not hold still: begin again."""


class UnreadableError(Exception):
    """What is read is no database, or a damaged one."""


class Pages:
    """The bytes of a database: those of its main file, overlaid with pages of its `-wal`."""

    def __init__(self, main: int, size: int, wal: int | None = None, overlay: Overlay | None = None) -> None:
        self.size = size
        self._main = main
        self._wal = wal
        self._page_size = overlay.header.page_size if overlay else 0
        self._offsets = overlay.pages if overlay else {}
        self._numbers = sorted(self._offsets)

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` with the bytes at `offset`, a multiple of the largest page size. Raises MovedError, OSError."""
        filled = 0
        while filled < len(view) and (got := os.preadv(self._main, [view[filled:]], offset + filled)):
            filled += got
        view[filled:] = bytes(len(view) - filled)  # as SQLite reads pages behind the end
        for number in self.pages_within(offset, len(view)):
            start = (number - 1) * self._page_size - offset
            page = view[start : start + self._page_size]
            if os.preadv(self._wal or 0, [page], self._offsets[number]) != len(page):
                raise MovedError

    def pages_within(self, offset: int, length: int) -> list[int]:
        """Return the numbers of the overlaid pages in a range of bytes."""
        if not self._numbers:
            return []
        first, behind = offset // self._page_size + 1, (offset + length - 1) // self._page_size + 2
        return self._numbers[bisect_left(self._numbers, first) : bisect_left(self._numbers, behind)]


class View:
    """Parts of a database held still: of a readable one its pages under the name b'', else its files by suffix.

    `is_held` tells, after everything was read, whether it did hold still. `base` is what the main file looks like
    where its pages outside the overlay are those of the database. `uri` opens the same in SQLite, where that does no
    harm, for as long as the view is open.
    """

    def __init__(self, parts: dict[bytes, Pages], is_held: Callable[[], bool]) -> None:
        self.parts = parts
        self.is_held = is_held
        self.closing = ExitStack()
        self.facts: dict[str, str | int] = {}
        self.notes: list[str] = []
        self.base: Look | None = None
        self.uri: str | None = None

    def close(self) -> None:
        """Let go."""
        self.closing.close()


def open_view(place: bytes, deadline: float) -> View:
    """Open a view of the database at `place`. Raises MovedError, UnreadableError (see `open_raw`), OSError."""
    with ExitStack() as stack:
        main = _open(stack, place)
        header = read_header(main)
        if header is None:
            raise UnreadableError("it is no SQLite database, or an encrypted one")
        if (ending := find_stranger(place)) is not None:
            raise UnreadableError(f"its {ending.decode()} is no file of SQLite, which would overwrite or remove it")
        has_wal = find_look(place + WAL) is not None
        if has_wal and not header.page_size:
            # Opening an empty database makes SQLite remove the -wal beside it.
            raise UnreadableError("the database is empty, and a -wal lies beside it")
        if has_wal and os.access(place + INDEX, os.R_OK | os.W_OK):
            view = _view_locked(place, main, stack, deadline)
        elif has_wal or header.is_wal:
            view = _view_still(place, main, stack, deadline)
        else:
            view = _view_locked(place, main, stack, deadline)
        view.facts |= {"readable": 1}
        view.closing = stack.pop_all()
        return view


def open_raw(place: bytes, deadline: float) -> View:
    """Open the files of what cannot be read as a database. Raises OSError."""
    with ExitStack() as stack:
        before, is_settled = wait_until_settled(place, deadline)
        if not any(before):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        parts = {}
        for part, look in zip(PARTS, before, strict=True):
            if look is not None:
                parts[part] = Pages(_open(stack, place + part), look.size)
        view = View(parts, lambda: is_settled and look_at(place) == before)
        view.facts |= {"readable": 0}
        view.closing = stack.pop_all()
        return view


def _view_locked(place: bytes, main: int, stack: ExitStack, deadline: float) -> View:
    """Hold a read transaction. The connection is closed before every descriptor that its locks lie on."""
    timeout_s = max(0.0, deadline - time.monotonic())
    connection = sqlite3.connect(uri_of(place, "mode=ro"), uri=True, isolation_level=None, timeout=timeout_s)
    try:
        connection.execute("BEGIN")
        connection.execute("PRAGMA schema_version").fetchone()
        header = read_header(main)
        if header is None or not _is_same_file(main, place):
            raise MovedError
        if find_look(place + WAL) is not None:
            view = _view_wal(place, main, header, stack)
        else:
            view = _view_main(main, header, lambda: _is_same_file(main, place))
        view.uri = uri_of(place, "mode=ro")
        return view
    except sqlite3.Error as cause:
        connection.close()
        return _view_despite(cause, place, main, stack, deadline)
    finally:
        stack.callback(connection.close)


def _view_wal(place: bytes, main: int, header: DatabaseHeader, stack: ExitStack) -> View:
    try:
        wal, index = _open(stack, place + WAL), _open(stack, place + INDEX)
    except FileNotFoundError as cause:
        raise MovedError from cause
    state = read_index(index)
    overlay = map_frames(wal, state) if state is not None else None
    if overlay is None:
        raise MovedError
    return _overlaid(main, wal, header, overlay, lambda: _is_same_file(main, place))


def _view_still(place: bytes, main: int, stack: ExitStack, deadline: float) -> View:
    """Read without a lock, between two looks that must be equal."""
    before, is_settled = wait_until_settled(place, deadline)
    if not is_settled:
        raise MovedError
    if before[PARTS.index(JOURNAL)] is not None:
        return _view_copy(place, stack, deadline)
    header = read_header(main)
    if header is None or not _is_same_file(main, place):
        raise MovedError

    def is_held() -> bool:
        return look_at(place) == before

    if before[PARTS.index(WAL)] is not None:
        wal = _open(stack, place + WAL)
        state = index_copy(main, wal)
        overlay = map_frames(wal, state) if state is not None else None
        if overlay is None:
            raise MovedError
        return _overlaid(main, wal, header, overlay, is_held)
    view = _view_main(main, header, is_held)
    view.base = Look.of(os.fstat(main)) if header.is_wal else None
    view.uri = uri_of(place, "immutable=1")
    return view


def _view_main(main: int, header: DatabaseHeader, is_held: Callable[[], bool]) -> View:
    if header.is_cut:
        raise UnreadableError("it is shorter than its header says")
    view = View({b"": Pages(main, header.page_count * header.page_size)}, is_held)
    return _described(view, header, "wal" if header.is_wal else "rollback")


def _overlaid(main: int, wal: int, header: DatabaseHeader, overlay: Overlay, is_still: Callable[[], bool]) -> View:
    state = overlay.header
    size = state.page_count * state.page_size or header.page_count * header.page_size
    pages = Pages(main, size, wal, overlay if overlay.pages else None)
    view = View({b"": pages}, lambda: is_still() and is_generation(wal, state))
    view.base = Look.of(os.fstat(main))
    return _described(view, header, "wal")


def _view_despite(cause: sqlite3.Error, place: bytes, main: int, stack: ExitStack, deadline: float) -> View:
    """Find another way when a database cannot be locked."""
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _TRY_STILL:
        return _view_still(place, main, stack, deadline)
    if code == sqlite3.SQLITE_PROTOCOL:
        raise MovedError from cause
    raise UnreadableError(f"SQLite cannot read it: {cause}") from cause


def _view_copy(place: bytes, stack: ExitStack, deadline: float) -> View:
    """Copy all files between two looks, as a crash at that instant would leave them, and let SQLite recover there."""
    before, is_settled = wait_until_settled(place, deadline)
    if not is_settled:
        raise MovedError
    copy = stack.enter_context(open_scratch()) + b"/x"
    for part, look in zip(PARTS, before, strict=True):
        if look is not None:
            copy_new(place + part, copy + part)
    if look_at(place) != before:
        raise MovedError
    is_hot = is_journal(copy + JOURNAL)
    connection = sqlite3.connect(uri_of(copy, "mode=rw"), uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as cause:
        raise UnreadableError(f"SQLite cannot read it: {cause}") from cause
    finally:
        connection.close()
    main = _open(stack, copy)
    header = read_header(main)
    if header is None:
        raise UnreadableError("it is no SQLite database")
    view = _view_main(main, header, lambda: True)
    view.uri = uri_of(copy, "immutable=1")
    if is_hot:
        view.notes.append("a transaction that was cut short or is under way is not in the captured state")
    return view


def _described(view: View, header: DatabaseHeader, mode: str) -> View:
    view.facts |= {"journal_mode": mode, "page_size": header.page_size}
    return view


def _open(stack: ExitStack, path: bytes) -> int:
    descriptor = open_reading(path)
    stack.callback(os.close, descriptor)
    return descriptor


def _is_same_file(descriptor: int, path: bytes) -> bool:
    look = find_look(path)
    found = os.fstat(descriptor)
    return look is not None and (look.device, look.inode) == (found.st_dev, found.st_ino)
