"""One merge of databases under way: its connection, the one who decides, and what was done so far."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from chronos.memory.judge import Judge, Row, Sides, Verdict


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
        except BaseException:
            keeps = False
            raise
        finally:
            if not keeps:
                self.connection.execute(f"ROLLBACK TO {name}")
            self.connection.execute(f"RELEASE {name}")
