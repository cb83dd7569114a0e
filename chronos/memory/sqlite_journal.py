"""A rollback journal of SQLite's own format, written by us before pages of a database at rest are overwritten.

Whoever opens the database after a crash finds it and rolls back (sqlite.org/fileformat2.html, 4; the checksum is that
of `pager_cksum` in pager.c). SQLite syncs twice, since a record's checksum sees every 200th byte only; here the file
gets its name when all of it is on the disk. The commit is its removal.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress

from chronos.files import JOURNAL_MAGIC
from chronos.memory.sqlite_files import JOURNAL, copy_bytes

_HEADER = struct.Struct(">8sIIIII")
# What SQLite takes for the unit that a power cut may tear, and pads the header to.
SECTOR_BYTES = 4096
_NUMBER = struct.Struct(">I")
# SQLite's locks lie on bytes of the page that holds this one, so that page is in no file format and in no journal.
PENDING_BYTE = 0x40000000
_CHECKED_EVERY = 200


class RollbackJournal:
    """The old pages of the open database `main` at `place`, first under the name `draft` beside it."""

    def __init__(self, place: bytes, draft: bytes, main: int, page_size: int) -> None:
        self._name = place + JOURNAL
        self._draft = draft
        self._folder = os.path.dirname(place)
        self._main = main
        self._page_size = page_size
        self._old_size = os.fstat(main).st_size
        self._nonce = int.from_bytes(os.urandom(4), "big")
        self._count = 0
        self._is_named = False
        self._file = open(draft, "w+b", opener=_create)  # noqa: SIM115 - for longer than a block
        self._file.write(bytes(SECTOR_BYTES))

    def add(self, number: int, page: bytes | memoryview) -> None:
        """Keep the old bytes of page `number`, which counts from 1. Raises OSError."""
        checksum = self._nonce + sum(page[self._page_size - _CHECKED_EVERY : 0 : -_CHECKED_EVERY])
        self._file.write(_NUMBER.pack(number))
        self._file.write(page)
        self._file.write(_NUMBER.pack(checksum & 0xFFFFFFFF))
        self._count += 1

    def seal(self) -> None:
        """Make it durable and give it the name under which SQLite looks for it. Raises OSError."""
        about = os.fstat(self._main)
        with suppress(PermissionError):
            os.fchown(self._file.fileno(), about.st_uid, about.st_gid)
        os.fchmod(self._file.fileno(), about.st_mode & 0o777)
        self._file.seek(0)
        pages = self._old_size // self._page_size
        fields = (JOURNAL_MAGIC, self._count, self._nonce, pages, SECTOR_BYTES, self._page_size)
        self._file.write(_HEADER.pack(*fields))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._give_name()
        self._sync_folder()

    def commit(self) -> None:
        """Remove it for good. Raises OSError, and then it is there again, unless that fails as well."""
        os.unlink(self._name)
        self._is_named = False
        try:
            self._sync_folder()
        except OSError:
            with open(self._draft, "xb", opener=_create) as copy:
                copy_bytes(self._file.fileno(), copy.fileno())
                os.fsync(copy.fileno())
            self._give_name()
            raise

    def roll_back(self) -> None:
        """Put all old pages back and drop the journal. Raises OSError, and then it stays, and SQLite does the same.

        Without its name nothing is to be put back: no page was written yet, or all is committed.
        """
        if not self._is_named:
            self.discard()
            return
        self._file.seek(SECTOR_BYTES)
        for _ in range(self._count):
            (number,) = _NUMBER.unpack(self._file.read(_NUMBER.size))
            write_at(self._main, self._file.read(self._page_size), (number - 1) * self._page_size)
            self._file.read(_NUMBER.size)
        os.ftruncate(self._main, self._old_size)
        os.fsync(self._main)
        os.unlink(self._name)
        self._sync_folder()

    def discard(self) -> None:
        """Remove what was to be a journal."""
        with suppress(OSError):
            os.unlink(self._draft)

    def close(self) -> None:
        """Close the file, whatever its name."""
        with suppress(OSError):  # what was not written any more is not needed
            self._file.close()

    def _give_name(self) -> None:
        os.rename(self._draft, self._name)
        self._is_named = True

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset`. Raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _create(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
