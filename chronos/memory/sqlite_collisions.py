"""Rows that cannot stand where they belong: a UNIQUE, NOT NULL or CHECK of the table is against it.

Rows of theirs never collide with each other, nor those of ours: a collision is between one of each. Which rows are in
the way is found by letting SQLite replace them, inside a savepoint that is undone, with a trigger that looks on: so
indexes on expressions and partial ones need no word here.
"""

from __future__ import annotations

import sqlite3

from chronos.memory.judge import Row, Sides
from chronos.memory.sqlite_rows import KeyedRows
from chronos.memory.sqlite_tables import quoted

_GONE = 'temp."chronos gone"'
_TRIGGER = 'temp."chronos watch"'


class Collisions:
    """Settles rows of one table that could not be written. Use as a context: a trigger watches the table meanwhile."""

    def __init__(self, rows: KeyedRows) -> None:
        self._rows = rows
        self._merge = rows.merge
        self._run = rows.merge.connection.execute
        self._tried: set[int] = set()

    def __enter__(self) -> Collisions:
        key = self._rows.table.key
        names = ", ".join(f"k{at}" for at in range(len(key)))
        old = ", ".join(f"OLD.{quoted(name)}" for name in key)
        self._run(f"CREATE TEMP TABLE {_GONE[5:]} ({names})")
        # What a REPLACE removes fires triggers when they are recursive only.
        self._run("PRAGMA recursive_triggers = ON")
        self._run(
            f"CREATE TEMP TRIGGER {_TRIGGER[5:]} AFTER DELETE ON main.{self._rows.name} "
            f"BEGIN INSERT INTO {_GONE[5:]} VALUES ({old}); END"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._run(f"DROP TRIGGER IF EXISTS {_TRIGGER}")
        self._run(f"DROP TABLE IF EXISTS {_GONE}")

    def settle(self, numbers: list[int]) -> None:
        """Ask about each row, and do what is decided; a row that stays out is as in ours."""
        pending = list(reversed(numbers))
        while pending:
            number = pending.pop()
            source = "own" if self._rows.state_of(number)[1] == "write" else "theirs"
            reason, keys = self._probe(number, source)
            if not reason:  # what was in the way has gone meanwhile
                self._rows.put(number, source)
                continue
            row, other = self._rows.row(number, source), self._ours(number, keys)
            sides, key = Sides(self._rows.row(number, "base"), other, row), self._rows.key(number)
            verdict = self._merge.ask("constraint", reason, sides, self._rows.table.name, key)
            if verdict.is_theirs and keys:
                self._replace(number, source)
            elif verdict.choice == "content" and number not in self._tried:
                self._tried.add(number)
                self._rows.set_own(number, verdict)
                self._rows.set_state(number, "write")
                pending.append(number)
            else:
                if verdict.choice in ("theirs", "content"):
                    self._merge.leave("constraint", reason, sides, self._rows.table.name, key)
                self.restore(number)

    def restore(self, number: int) -> None:
        """Let a key be as in ours again; rows of theirs that took something from it go, if that is decided."""
        self._rows.remove(number)
        self._rows.set_state(number, "keep")
        pending = [number]
        while pending:
            number = pending[-1]
            mine = self._rows.row(number, "mine")
            reason, keys = self._probe(number, "mine") if mine is not None else ("", [])
            if reason and not keys:
                raise sqlite3.IntegrityError(reason)
            others = [other for key in keys if (other := self._rows.find(key)) is not None]
            if self._give_way(number, mine, reason, others):
                pending.pop()
                continue
            for other in others:
                self._rows.remove(other)
                self._rows.set_state(other, "keep")
            if mine is not None:
                self._rows.put(number, "mine")
            pending.pop()
            pending += others

    def _give_way(self, number: int, mine: Row | None, reason: str, others: list[int]) -> bool:
        """Tell whether somebody wants one of the rows of theirs more than the row of ours that it collides with."""
        for other in others:
            row, key = self._rows.row(other, "main"), self._rows.key(other)
            sides = Sides(self._rows.row(other, "base"), mine, row)
            if self._merge.ask("constraint", reason, sides, self._rows.table.name, key).is_theirs:
                self._rows.set_removed(number)
                return True
        return False

    def _replace(self, number: int, source: str) -> None:
        """Put a row where others go for it."""
        _, keys = self._probe(number, source)
        for key in keys:
            self._rows.adopt(key)
        self._rows.put(number, source, "INSERT OR REPLACE")

    def _probe(self, number: int, source: str) -> tuple[str, list[Row]]:
        """Return why a row cannot be put, '' if it can, and the keys of the rows in its way."""
        reason = ""
        with self._merge.savepoint("probe", keeps=False):
            self._run(f"DELETE FROM {_GONE}")
            try:
                self._rows.put(number, source)
                return "", []
            except sqlite3.IntegrityError as cause:
                reason = str(cause)
            try:
                self._rows.put(number, source, "INSERT OR REPLACE")
            except sqlite3.IntegrityError:
                return reason, []
            gone = self._run(f"SELECT * FROM {_GONE}").fetchall()
        return reason, [dict(zip(self._rows.table.key, row, strict=True)) for row in gone]

    def _ours(self, number: int, keys: list[Row]) -> Row | None:
        """Return the row in the way, or else what ours has of the same key."""
        if not keys:
            return self._rows.row(number, "mine")
        table = self._rows.table
        names = ", ".join(quoted(name) for name in self._rows.columns)
        wanted = " AND ".join(f"{quoted(name)} IS ?" for name in table.key)
        found = self._run(
            f"SELECT {names} FROM main.{self._rows.name} WHERE {wanted}", list(keys[0].values())
        ).fetchone()
        return None if found is None else dict(zip(self._rows.columns, found, strict=True))
