"""What the child does for a restore: check an image, and put one into a database that others have open."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any, TypeVar

from chronos.memory.sqlite_files import is_same_place, numbers_at, open_reading, uri_of
from chronos.memory.sqlite_pieces import Cutter
from chronos.memory.sqlite_view import Pages

_MOST_PROBLEMS = 3
# 8 MiB. A larger cache saves nothing, and mapping the file saves a third of the time for all of its size in memory.
_CACHE_KIB = 8192
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


_Result = TypeVar("_Result")


class _LockedError(Exception):
    """A lock could not be had in time."""


def check_image(image: bytes) -> dict[str, Any]:
    """Return what `quick_check` finds in an image that nobody else uses, and its identity, computed meanwhile."""
    identity = in_thread(lambda: _identify(image))
    with ExitStack() as stack:
        problems = find_problems(image, stack)
    return {"problems": problems, "identity": identity()}


def in_thread(function: Callable[[], _Result]) -> Callable[[], _Result]:
    """Start `function` in a thread; the callable that comes back waits for it and returns or raises what it did."""
    results: list[_Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks for the result
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result() -> _Result:
        thread.join()
        if failures:
            raise failures[0]
        return results[0]

    return result


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


def settle(place: bytes, timeout_s: float) -> None:
    """Let SQLite roll back what a crash left half-way, as it does for whoever opens the database first.

    Whether it did shows at the place: a database that others have locked, or that is none, stays as it is.
    """
    connection = sqlite3.connect(uri_of(place, "mode=rw"), uri=True, timeout=timeout_s)
    with closing(connection), suppress(sqlite3.Error):
        connection.execute("PRAGMA schema_version").fetchone()


def find_problems(image: bytes, stack: ExitStack) -> list[str]:
    """Return what `quick_check` finds in an image that nobody writes to. `stack` closes the connection.

    Immutable: no lock, no wal-index, nothing is left beside the image, and a journal there is not looked at.
    """
    connection = stack.enter_context(closing(sqlite3.connect(uri_of(image, "mode=ro&immutable=1"), uri=True)))
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
        cutter = Cutter(lambda _: None, set(), wants_bytes=False)
        cutter.cut(b"", Pages(descriptor, os.fstat(descriptor).st_size), is_database=True)
        return cutter.identity()
    finally:
        os.close(descriptor)
