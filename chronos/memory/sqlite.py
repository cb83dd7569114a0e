"""SQLite databases as memory stores: one logical image, whatever lies in the `-wal`.

This process reads no database, `-wal`, `-shm` or `-journal`: closing any descriptor of one drops every POSIX lock that
the process holds on it, and an application that has the database open in the same process would lose committed rows
(tried). It looks with `lstat`, renames and links; only to tell a database from another file it opens it, once and for
good (`chronos.files.databases`). A child program (`sqlite_child`) does the rest. A database is named by its own path; a
link to one is followed, as SQLite does. What the capture of an unchanged database does not need loads when it is used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from chronos.files import SMALLEST_PAGE_BYTES, holds_database
from chronos.memory.kinds import DATABASE_ENDINGS, CaptureWork, ReplaceWork, StoreState, TableDifference, TableSummary
from chronos.memory.sqlite_capture import capture
from chronos.memory.sqlite_files import INDEX, JOURNAL, NAME, WAL, numbers_at
from chronos.pool import Content

if TYPE_CHECKING:
    from chronos.memory.store_merge import MergeWork, StoreMerge

_COPY_NAME = "database.sqlite"


class SqliteKind:
    """See MemoryKind."""

    name: ClassVar[str] = NAME

    def detect(self, place: Path) -> bool:
        """See MemoryKind. An empty file is a database when its name says so."""
        size = _file_size(place)
        if not size:
            return size == 0 and os.fsencode(place.name).lower().endswith(DATABASE_ENDINGS)
        return size % SMALLEST_PAGE_BYTES == 0 and holds_database(os.fsencode(_real(place)))

    def companions(self, place: Path) -> list[Path]:
        """See MemoryKind."""
        real = _real(place)
        return [real.with_name(real.name + os.fsdecode(part)) for part in (WAL, INDEX, JOURNAL)]

    def look(self, place: Path) -> tuple[object, ...]:
        """See MemoryKind."""
        return numbers_at(os.fsencode(_real(place)))

    def capture(self, place: Path, work: CaptureWork) -> StoreState:
        """See MemoryKind."""
        return capture(_real(place), work)

    def replace(self, place: Path, state: StoreState | None, work: ReplaceWork) -> list[str]:
        """See MemoryKind."""
        from chronos.memory.sqlite_replace import replace

        return replace(_real(place), state, work)

    def write_out(self, folder: Path, state: StoreState, pieces: Callable[[Content], Iterator[bytes]]) -> Path:
        """See MemoryKind."""
        from chronos.memory.sqlite_replace import write_files

        write_files(folder / _COPY_NAME, state.files, pieces)
        return folder / _COPY_NAME

    def summarise(self, place: Path) -> list[TableSummary]:
        """See MemoryKind."""
        from chronos.memory.sqlite_reader import ask, hexed

        real = _real(place)
        return [TableSummary(**row) for row in ask(real, {"work": "summarise", "place": hexed(real)})]

    def compare(self, old: Path, new: Path, *, limit_s: float) -> list[TableDifference]:
        """See MemoryKind."""
        from chronos.memory.sqlite_reader import ask, hexed

        request = {"work": "compare", "old": hexed(_real(old)), "new": hexed(_real(new)), "limit_s": limit_s}
        rows = ask(_real(new), request)
        return [TableDifference(**{**row, "notes": tuple(row["notes"])}) for row in rows]

    def merge(self, base: Path | None, ours: Path, theirs: Path, work: MergeWork) -> StoreMerge:
        """See MemoryKind. Rows are told apart by their primary key; a table without one can only be had whole."""
        from chronos.memory.sqlite_merge import merge

        return merge(base, ours, theirs, work)


def _file_size(place: Path) -> int | None:
    try:
        looked = os.stat(place)
    except OSError:
        return None
    return looked.st_size if stat.S_ISREG(looked.st_mode) else None


def _real(place: Path) -> Path:
    return Path(os.path.realpath(place))
