"""What the child does to restore a database at rest in place: only pages that differ are written, all or none.

It holds SQLite's exclusive lock all the while, so that nobody else reads or writes, and keeps the old pages in a
rollback journal (`sqlite_journal`) until what was written, or the whole file, has been read again and makes the image
that was asked for. A crash leaves the old state, which SQLite rolls back to, or the new one.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from contextlib import ExitStack
from typing import IO, Any, BinaryIO

from blake3 import blake3

from chronos.background import in_background
from chronos.locks import take_range
from chronos.memory.sqlite_checks import find_problems, read_image
from chronos.memory.sqlite_files import INDEX, JOURNAL, WAL, is_same_place, numbers_at
from chronos.memory.sqlite_frames import ANSWER, BEGIN, END, PIECE_BYTES, read_frame, send_json, unpack_change
from chronos.memory.sqlite_journal import PENDING_BYTE, SECTOR_BYTES, RollbackJournal, write_at

# In the order in which a writer of SQLite takes them (os_unix.c): RESERVED, PENDING, which keeps new readers out, and
# the bytes that readers share.
_LOCKS = ((PENDING_BYTE + 1, 1), (PENDING_BYTE, 1), (PENDING_BYTE + 2, 510))
_RUN = struct.Struct("<QI")
_LONGEST_RUN_BYTES = 1024 * 1024
_IN_MEMORY_BYTES = 32 * 1024 * 1024
# Longer than the tick within which a later change of a file cannot be seen.
_SETTLED_NS = 60_000_000


class _GivenUpError(Exception):
    """The place stays as it is; the argument says why: `busy`, `changed`, `unlike` or `gone`."""


def overwrite_pages(request: dict[str, Any], requests: BinaryIO, answers: BinaryIO) -> None:
    """Carry a request out: say BEGIN once the lock is held, take pieces up to END, and answer with the outcome.

    The outcome is `done`, or the place is as it was: `busy`, somebody holds a lock; `changed`, it is not as expected;
    `unlike`, this cannot be done in place; `wrong`, what was written is not the image that was asked for.
    """
    with ExitStack() as stack:
        try:
            main = _open_locked(request, stack)
            send_json(answers.write, BEGIN, None)
            answers.flush()
            answer = _overwrite(main, request, requests, stack)
        except _GivenUpError as cause:
            answer = {"outcome": cause.args[0]}
        send_json(answers.write, ANSWER, answer)


def _open_locked(request: dict[str, Any], stack: ExitStack) -> int:
    """Return a descriptor of the database, with SQLite's exclusive lock on it, if it is still as expected."""
    place = bytes.fromhex(request["place"])
    try:
        main = os.open(place, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as cause:
        raise _GivenUpError("unlike") from cause
    stack.callback(os.close, main)
    deadline = time.monotonic() + request["timeout_s"]
    try:
        if not all(take_range(main, start, length, deadline) for start, length in _LOCKS):
            raise _GivenUpError("busy")
    except OSError as cause:
        raise _GivenUpError("unlike") from cause
    now, about = numbers_at(place), os.fstat(main)
    if not is_same_place(now, tuple(request["expected"])) or about.st_ino != now[4]:
        raise _GivenUpError("changed")
    has_companions = any(os.path.lexists(place + part) for part in (WAL, INDEX, JOURNAL))
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1 or has_companions:
        raise _GivenUpError("unlike")
    return main


def _overwrite(main: int, request: dict[str, Any], requests: BinaryIO, stack: ExitStack) -> dict[str, Any]:
    from tempfile import SpooledTemporaryFile

    place, page_size, size = bytes.fromhex(request["place"]), request["page_size"], request["size"]
    journal = RollbackJournal(place, bytes.fromhex(request["draft"]), main, page_size)
    stack.callback(journal.close)
    try:
        with SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=os.path.dirname(os.fsdecode(place))) as file:
            spool = _Spool(file)
            comparison = _Comparison(main, page_size, journal, spool)
            _take_pieces(comparison, requests)
            # With the change time, which nobody can set: also a writer that knows no locks has left all as it was read.
            is_known = request["was_read"] and numbers_at(place) == tuple(request["expected"])
            journal.seal()
            spool.write_to(main)
        if os.fstat(main).st_size != size:
            os.ftruncate(main, size)
        # Closing the connection, which has the file open too, would let go of the lock: the stack does it at the end.
        found = _check(place, main, request, comparison.new_ids if is_known else None, stack)
        journal.commit()
    except BaseException:
        journal.roll_back()
        raise
    return {"outcome": "done", "looks": numbers_at(place), **found}


def _take_pieces(comparison: _Comparison, requests: BinaryIO) -> None:
    while True:
        try:
            tag, data = read_frame(requests)
        except EOFError:
            raise _GivenUpError("gone") from None
        if tag == END:
            return
        comparison.take(*unpack_change(data))


class _Spool:
    """The pages to write: in the order in which they come, those that adjoin each other as one."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._start = 0
        self._run = bytearray()

    def add(self, offset: int, page: memoryview) -> None:
        if offset != self._start + len(self._run) or len(self._run) >= _LONGEST_RUN_BYTES:
            self._flush()
            self._start = offset
        self._run += page

    def write_to(self, main: int) -> None:
        self._flush()
        self._file.seek(0)
        while head := self._file.read(_RUN.size):
            offset, length = _RUN.unpack(head)
            write_at(main, self._file.read(length), offset)

    def _flush(self) -> None:
        if self._run:
            self._file.write(_RUN.pack(self._start, len(self._run)))
            self._file.write(self._run)
            self._run.clear()


class _Comparison:
    """Finds the pages of a piece that differ: the old ones go into the journal, the new ones into the spool.

    Smaller pages than a sector differ together with all of their sector, which a power cut may tear as a whole.
    """

    def __init__(self, main: int, page_size: int, journal: RollbackJournal, spool: _Spool) -> None:
        self._main = main
        self._page_size = page_size
        self._journal = journal
        self._spool = spool
        self._unit = max(page_size, SECTOR_BYTES)
        self.new_ids: dict[int, bytes] = {}  # of the pieces that were compared, by number

    def take(self, number: int, old_id: bytes, new_id: bytes, new: memoryview) -> None:
        """Compare a piece with what is on the disk, which must have the id `old_id`."""
        start = number * PIECE_BYTES
        old = memoryview(os.pread(self._main, PIECE_BYTES, start))
        if _id_of(old) != old_id:
            # An image that came by the backup API has other counters in its first piece.
            raise _GivenUpError("changed" if number else "unlike")
        self.new_ids[number] = new_id
        for at in range(0, max(len(old), len(new)), self._unit):
            if old[at : at + self._unit] != new[at : at + self._unit]:
                for page in range(at, at + self._unit, self._page_size):
                    self._note(start + page, old[page:][: self._page_size], new[page:][: self._page_size])

    def _note(self, offset: int, old: memoryview, new: memoryview) -> None:
        if offset <= PENDING_BYTE < offset + self._page_size:
            if any(old) or any(new):  # SQLite leaves it empty
                raise _GivenUpError("unlike")
            return
        if old:
            self._journal.add(offset // self._page_size + 1, old)
        if new:
            self._spool.add(offset, new)


def _check(
    place: bytes, main: int, request: dict[str, Any], new_ids: dict[int, bytes] | None, stack: ExitStack
) -> dict[str, Any]:
    """Return what `quick_check` finds, and when the reading of the bytes, which must be the right ones, began.

    What it finds depends on the bytes alone, so where these are known to be sound it is not asked again. Where all
    bytes were read just before, and nobody but us has written since, the pieces of `new_ids` are read again, else all;
    where that "settles", late enough to be told from what was written.
    """

    def read() -> tuple[bool, int]:
        os.fsync(main)
        if request["settles"]:
            left_ns = os.fstat(main).st_mtime_ns + _SETTLED_NS - time.time_ns()
            time.sleep(min(max(left_ns, 0), _SETTLED_NS) / 1e9)
        began_ns = time.time_ns()
        if new_ids is not None:
            return all(_piece_id(main, number) == wanted for number, wanted in new_ids.items()), began_ns
        return read_image(main) == request["ids"], began_ns

    reading = in_background(read)
    try:
        problems = [] if request["is_sound"] else find_problems(place, stack)
    finally:
        is_right, began_ns = reading()
    if not is_right:
        raise _GivenUpError("wrong")
    return {"problems": problems, "began_ns": began_ns}


def _piece_id(main: int, number: int) -> bytes:
    return _id_of(os.pread(main, PIECE_BYTES, number * PIECE_BYTES))


def _id_of(piece: bytes | memoryview) -> bytes:
    return blake3(piece).digest() if piece else b""
