"""One merge of databases under way: its connection, the one who decides, and what was done so far."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chronos.memory.judge import Judge, Row, Sides, Verdict

# What the disk or the memory is to blame for, and nothing in the databases.
_REFUSALS = {
    sqlite3.SQLITE_IOERR: errno.EIO, sqlite3.SQLITE_CANTOPEN: errno.EIO, sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}  # fmt: skip


class Connection(sqlite3.Connection):
    """A connection that raises OSError where the disk refuses, so that nobody takes it for something in the data."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement. Raises sqlite3.Error, OSError."""
        try:
            return super().execute(sql, parameters)
        except sqlite3.Error as cause:
            code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _REFUSALS:
                raise OSError(_REFUSALS[code], str(cause)) from cause
            raise


class Merge:
    """The connection (ours is `main`), who decides, and what came from theirs."""

    def __init__(self, connection: sqlite3.Connection, judge: Judge, *, unites: bool) -> None:
        self.connection = connection
        self.judge = judge
        self.unites = unites  # rows that both changed in different columns
        self.notes: list[str] = []
        self.counts: dict[str, list[int]] = {}
        self.taken: set[str] = set()  # tables that are as in theirs

    def ask(self, kind: str, reason: str, sides: Sides, table: str = "", key: Row | None = None) -> Verdict:
        """See Judge."""
        return self.judge.ask(kind, reason, sides, table, key)

    def leave(self, kind: str, reason: str, sides: Sides, table: str = "", key: Row | None = None) -> None:
        """See Judge."""
        self.judge.leave(kind, reason, sides, table, key)

    def forget(self, table: str) -> None:
        """Take back the conflicts and the counts of a table."""
        self.judge.forget(table)
        self.counts.pop(table, None)

    def count(self, table: str, added: int = 0, changed: int = 0, removed: int = 0) -> None:
        """Add to what came from theirs."""
        row = self.counts.setdefault(table, [0, 0, 0])
        for at, number in enumerate((added, changed, removed)):
            row[at] += number

    @contextmanager
    def savepoint(self, name: str, *, keeps: bool = True) -> Iterator[None]:
        """Undo what the block did when it raises, or always."""
        self.connection.execute(f"SAVEPOINT {name}")
        try:
            yield
        except OSError:
            raise  # SQLite may have rolled back everything already, and nothing is kept
        except BaseException:
            self._end(name, keeps=False)
            raise
        else:
            self._end(name, keeps=keeps)

    def _end(self, name: str, *, keeps: bool) -> None:
        if not keeps:
            self.connection.execute(f"ROLLBACK TO {name}")
        self.connection.execute(f"RELEASE {name}")
