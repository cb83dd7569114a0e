"""What the child does for a restore: check a written image, and put one into a database that others have open."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from chronos.memory.sqlite_files import is_same_place, numbers_at, open_reading, uri_of
from chronos.memory.sqlite_pieces import Cutter
from chronos.memory.sqlite_view import Pages

_MOST_PROBLEMS = 3
# 8 MiB. A larger cache saves nothing, and mapping the file saves a third of the time for all of its size in memory.
_CACHE_KIB = 8192
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class _LockedError(Exception):
    """A lock could not be had in time."""


def check_image(image: bytes) -> dict[str, Any]:
    """Return what `quick_check` finds in an image that nobody else uses, and its identity, computed meanwhile."""
    found: list[str] = []
    hashing = threading.Thread(target=lambda: found.append(_identify(image)))
    hashing.start()
    problems = _quick_check(image)
    hashing.join()
    return {"problems": problems, "identity": found[0] if found else ""}


def overwrite(place: bytes, image: bytes, expected: Sequence[int] | None, timeout_s: float) -> dict[str, str]:
    """Put an image into a database that others may use, in one transaction of the backup API, or not at all.

    Returns the outcome: `done`, `changed` (it does not look as expected), `locked` or `refused`, with a reason.
    """

    def watch(status: int, _left: int, _total: int) -> None:
        if status in _LOCKED:  # SQLite has waited for `timeout_s`; Python would go on for ever
            raise _LockedError

    with (
        closing(sqlite3.connect(uri_of(image, "immutable=1"), uri=True)) as source,
        closing(sqlite3.connect(uri_of(place, "mode=rw"), uri=True, timeout=timeout_s)) as target,
    ):
        if expected is not None and not is_same_place(numbers_at(place), tuple(expected)):
            return {"outcome": "changed"}
        try:
            source.backup(target, pages=-1, progress=watch)
        except _LockedError:
            return {"outcome": "locked"}
        except sqlite3.Error as cause:
            code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            return {"outcome": "locked" if code in _LOCKED else "refused", "reason": str(cause)}
    return {"outcome": "done"}


def _quick_check(image: bytes) -> list[str]:
    # Immutable: no lock, no wal-index, nothing is left beside the image.
    with closing(sqlite3.connect(uri_of(image, "mode=ro&immutable=1"), uri=True)) as connection:
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute("PRAGMA trusted_schema=OFF")
        try:
            rows = connection.execute(f"PRAGMA quick_check({_MOST_PROBLEMS})").fetchall()
        except sqlite3.Error as cause:
            return [str(cause)]
    return [str(row[0]) for row in rows if row[0] != "ok"]


def _identify(image: bytes) -> str:
    descriptor = open_reading(image)
    try:
        cutter = Cutter(lambda _: None, set())
        cutter.cut(b"", Pages(descriptor, os.fstat(descriptor).st_size), is_database=True)
        return cutter.identity()
    finally:
        os.close(descriptor)
