"""Rows of one table brought together by key: what theirs changed against the base is looked up in ours.

Everything that looks at unchanged rows is one statement of SQL: a join of both tables in the order of their keys
(0.4 s for a million rows). What follows looks only at rows that theirs changed. Cells are equal when SQLite finds them
so under BINARY and they are of one type: 1 is not 1.0, a BLOB is not a TEXT. Keys are equal as their column says.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from chronos.memory.judge import Row, Sides, Verdict
from chronos.memory.rows import RawText, decode
from chronos.memory.sqlite_session import Merge
from chronos.memory.sqlite_tables import Table, quoted

# Declared types whose columns convert what is stored, so that equal cells are of one type
# (sqlite.org/datatype3.html, in the order in which they are tried).
_CONVERTING = ("INT", "CHAR", "CLOB", "TEXT")
_KEEPING = ("BLOB", "ANY")
_GOING, _COMING = "d.state IN ('take', 'write')", "d.state = 'take' AND d.what <> 'r'"
_MISSING_FUNCTION = ("no such function", "unknown function", "unsafe use of")
_REASONS = {"a": "both added it, and not the same", "c": "both changed it", "r": "theirs deleted what ours changed"}


class KeyedRows:
    """The rows of a table that has the same columns and key on all sides.

    `delta` lists the keys that theirs added (a), changed (c) or removed (r), each with what becomes of it: taken from
    theirs, written as somebody decided, or kept; `mine` holds what ours had there, `own` what somebody decided.
    """

    def __init__(self, merge: Merge, table: Table, number: int, former: str | None) -> None:
        self.merge = merge
        self.table = table
        self.name = quoted(table.name)
        names = [name for name, _ in table.columns]
        # The rowid of a virtual table is its key, but none of its columns.
        self.columns = [*table.key, *names] if table.is_virtual else names
        self.delta, self.mine, self.own = (f'temp."chronos {what} {number}"' for what in ("delta", "mine", "own"))
        self._untyped = [name for name, kind in table.columns if table.is_virtual or _is_untyped(kind)]
        self._former = former or f"(SELECT * FROM theirs.{self.name} WHERE 0)"
        self.rowid = self._find_rowid()
        self._connection = merge.connection

    def find_changes(self) -> bool:
        """Fill `delta`; tell whether theirs changed anything."""
        run, keys = self._connection.execute, self._key_names()
        theirs, former, first = f"theirs.{self.name}", self._former, self._first()
        run(f"CREATE TEMP TABLE {self.delta[5:]} (n INTEGER PRIMARY KEY, {keys}, what TEXT, state TEXT, at INT)")
        their_keys, is_new = self._keys("n"), f"b.{first} IS NULL"
        added = run(
            f"INSERT INTO {self.delta} ({keys}, what) SELECT {their_keys}, CASE WHEN {is_new} THEN 'a' ELSE 'c' END "
            f"FROM {theirs} n LEFT JOIN {former} b ON {self._on('b', 'n')} "
            f"WHERE {self._is_elsewhere('n', former)} AND ({is_new} OR NOT {self._same('n', 'b')})"
        ).rowcount
        counts = [run(f"SELECT count(*) FROM {place}").fetchone()[0] for place in (former, theirs)]
        new = run(f"SELECT count(*) FROM {self.delta} WHERE what = 'a'").fetchone()[0] if added else 0
        if counts[0] == counts[1] - new:
            return bool(added)
        gone = f"{self._is_elsewhere('b', theirs)} AND NOT EXISTS (SELECT 1 FROM {theirs} n WHERE {self._on('n', 'b')})"
        run(f"INSERT INTO {self.delta} ({keys}, what) SELECT {self._keys('b')}, 'r' FROM {former} b WHERE {gone}")
        return True

    def decide(self) -> None:
        """Give each key of `delta` its state, asking about those that ours changed too."""
        there, is_base, is_theirs = f"o.{self._first()} IS NOT NULL", self._same("o", "b"), self._same("o", "n")
        self._connection.execute(
            f"CREATE TEMP TABLE {self._verdict()[5:]} AS SELECT d.n AS n, CASE d.what "
            f"WHEN 'a' THEN CASE WHEN NOT {there} THEN 'take' WHEN {is_theirs} THEN 'same' ELSE 'conflict' END "
            f"WHEN 'r' THEN CASE WHEN NOT {there} THEN 'same' WHEN {is_base} THEN 'take' ELSE 'conflict' END "
            f"ELSE CASE WHEN NOT {there} THEN 'conflict' WHEN {is_theirs} THEN 'same' WHEN {is_base} THEN 'take' "
            f"ELSE 'conflict' END END AS state FROM {self._joined()}"
        )
        run = self._connection.execute
        run(f"UPDATE {self.delta} AS d SET state = v.state FROM {self._verdict()} v WHERE v.n = d.n")
        run(f"DROP TABLE {self._verdict()}")
        columns = ", ".join(f"o.{quoted(name)} AS c{at}" for at, name in enumerate(self.columns))
        run(f"CREATE TEMP TABLE {self.own[5:]} AS SELECT 0 AS n, {columns} FROM main.{self.name} o WHERE 0")
        for number, what in run(f"SELECT n, what FROM {self.delta} WHERE state = 'conflict' ORDER BY n").fetchall():
            self._decide_row(number, what)

    def keep_mine(self) -> None:
        """Put aside what ours has where something will be written, and find rowids that nobody refers to by a key."""
        run = self._connection.execute
        columns = ", ".join(f"o.{quoted(name)} AS c{at}" for at, name in enumerate(self.columns))
        rowid = f"o.{self.rowid}" if self.rowid else "NULL"
        run(
            f"CREATE TEMP TABLE {self.mine[5:]} AS SELECT d.n AS n, {rowid} AS at, {columns} FROM {self.delta} d "
            f"CROSS JOIN main.{self.name} o ON {self._on_delta('o')} WHERE {_GOING}"
        )
        run(f"CREATE INDEX {self.mine.replace('mine', 'mine index')} ON {self.mine[5:]} (n)")
        if self.rowid:
            free = f"NOT EXISTS (SELECT 1 FROM main.{self.name} x WHERE x.{self.rowid} = n.{self.rowid})"
            of_theirs = f"SELECT n.{self.rowid} FROM theirs.{self.name} n WHERE {self._on_delta('n')}"
            of_mine = f"SELECT m.at FROM {self.mine} m WHERE m.n = d.n"
            run(f"UPDATE {self.delta} AS d SET at = coalesce(({of_mine}), ({of_theirs} AND {free})) WHERE {_GOING}")

    def write(self) -> list[int]:
        """Write what was decided; return the numbers of rows that cannot stand where they belong."""
        try:
            with self.merge.savepoint("writing"):
                self._write_all()
        except sqlite3.OperationalError as cause:
            if not any(words in str(cause) for words in _MISSING_FUNCTION):
                raise
            # A function of the application in a CHECK: it was asked when the row was written the first time.
            self._connection.execute("PRAGMA ignore_check_constraints = ON")
            with self.merge.savepoint("writing"):
                self._write_all()
            self.merge.notes.append(f"CHECKs of {self.table.name} were not run: {cause}")
        return [
            row[0]
            for row in self._connection.execute(
                f"SELECT d.n FROM {self.delta} d LEFT JOIN main.{self.name} o ON {self._on_delta('o')} "
                f"WHERE o.{self._first()} IS NULL AND (d.state = 'write' OR {_COMING})"
            ).fetchall()
        ]

    def put(self, number: int, source: str, verb: str = "INSERT OR ABORT") -> None:
        """Write one row from theirs, `mine` or `own`, where none of its key is. Raises sqlite3.Error."""
        columns = ", ".join(map(quoted, self.columns))
        if source == "theirs":
            wanted = ", ".join(f"n.{quoted(name)}" for name in self.columns)
            rows = f"{self.delta} d CROSS JOIN theirs.{self.name} n ON {self._on_delta('n')} WHERE d.n = ?"
        else:
            wanted = ", ".join(f"s.c{at}" for at in range(len(self.columns)))
            held = self.mine if source == "mine" else self.own
            rows = f"{held} s JOIN {self.delta} d ON d.n = s.n WHERE s.n = ?"
        if self.rowid:
            is_taken = f"EXISTS (SELECT 1 FROM main.{self.name} x WHERE x.{self.rowid} = d.at)"
            at = f"CASE WHEN {is_taken} THEN NULL ELSE d.at END"
            columns, wanted = f"{self.rowid}, {columns}", f"{at}, {wanted}"
        self._connection.execute(f"{verb} INTO main.{self.name} ({columns}) SELECT {wanted} FROM {rows}", (number,))

    def remove(self, number: int) -> None:
        """Remove the row of a key."""
        self._connection.execute(f"DELETE FROM main.{self.name} WHERE {self._in('d.n = ?')}", (number,))

    def set_state(self, number: int, state: str) -> None:
        """Say what becomes of a key."""
        self._connection.execute(f"UPDATE {self.delta} SET state = ? WHERE n = ?", (state, number))

    def set_removed(self, number: int) -> None:
        """Say that a key goes for the sake of what came from theirs."""
        self._connection.execute(f"UPDATE {self.delta} SET state = 'take', what = 'r' WHERE n = ?", (number,))

    def state_of(self, number: int) -> tuple[str, str]:
        """Return what theirs did to a key, and what becomes of it."""
        found = self._connection.execute(f"SELECT what, state FROM {self.delta} WHERE n = ?", (number,)).fetchone()
        return found[0], found[1]

    def find(self, key: Row) -> int | None:
        """Return the number of a key in `delta`; one that theirs left alone is None."""
        wanted = " AND ".join(f"d.k{at} IS ?" for at in range(len(self.table.key)))
        found = self._connection.execute(f"SELECT n FROM {self.delta} d WHERE {wanted}", bound(key.values())).fetchone()
        return None if found is None else int(found[0])

    def adopt(self, key: Row) -> int:
        """Return the number of a key whose row in ours is about to go, with that row put aside."""
        run, number = self._connection.execute, self.find(key)
        if number is None:
            marks = ", ".join("?" * len(key))
            inserted = f"INSERT INTO {self.delta} ({self._key_names()}, what, state) VALUES ({marks}, 'r', 'take')"
            number = int(run(inserted, bound(key.values())).lastrowid or 0)
        elif self.state_of(number)[1] in ("take", "write"):
            return number
        self.set_removed(number)
        rowid = f"o.{self.rowid}" if self.rowid else "NULL"
        columns = ", ".join(f"o.{quoted(name)}" for name in self.columns)
        run(
            f"INSERT INTO {self.mine} SELECT d.n, {rowid}, {columns} FROM {self.delta} d "
            f"CROSS JOIN main.{self.name} o ON {self._on_delta('o')} WHERE d.n = ?",
            (number,),
        )
        run(f"UPDATE {self.delta} SET at = (SELECT m.at FROM {self.mine} m WHERE m.n = ?1) WHERE n = ?1", (number,))
        return number

    def row(self, number: int, side: str) -> Row | None:
        """Return a row: of `base`, `main`, `theirs`, `mine` or `own`."""
        if side in ("mine", "own"):
            held = self.mine if side == "mine" else self.own
            wanted = ", ".join(f"s.c{at}" for at in range(len(self.columns)))
            sql = f"SELECT {wanted} FROM {held} s WHERE s.n = ?"
        else:
            place = self._former if side == "base" else f"{side}.{self.name}"
            wanted = ", ".join(f"x.{quoted(name)}" for name in self.columns)
            sql = f"SELECT {wanted} FROM {self.delta} d CROSS JOIN {place} x ON {self._on_delta('x')} WHERE d.n = ?"
        found = self._connection.execute(sql, (number,)).fetchone()
        return None if found is None else dict(zip(self.columns, found, strict=True))

    def key(self, number: int) -> Row:
        """Return a key of `delta`."""
        found = self._connection.execute(
            f"SELECT {self._key_names()} FROM {self.delta} WHERE n = ?", (number,)
        ).fetchone()
        return dict(zip(self.table.key, found, strict=True))

    def set_own(self, number: int, verdict: Verdict) -> None:
        """Keep the row that somebody decided on."""
        assert verdict.row is not None
        cells = [decode(verdict.row[name]) for name in self.columns]
        marks = ", ".join("CAST(? AS TEXT)" if isinstance(cell, RawText) else "?" for cell in cells)
        self._connection.execute(f"DELETE FROM {self.own} WHERE n = ?", (number,))
        plain = [bytes(cell) if isinstance(cell, RawText) else cell for cell in cells]
        self._connection.execute(f"INSERT INTO {self.own} VALUES (?, {marks})", (number, *plain))

    def count(self) -> None:
        """Tell the merge what came from theirs."""
        rows = self._connection.execute(
            f"SELECT sum(what = 'a'), sum(what = 'c'), sum(what = 'r') FROM {self.delta} d WHERE {_GOING}"
        ).fetchone()
        if any(rows):
            self.merge.count(self.table.name, *rows)

    def _decide_row(self, number: int, what: str) -> None:
        if self.merge.unites and what == "c" and self._unite(number):
            return
        sides = Sides(self.row(number, "base"), self.row(number, "main"), self.row(number, "theirs"))
        reason = "ours deleted what theirs changed" if sides.ours is None else _REASONS[what]
        verdict = self.merge.ask("row", reason, sides, self.table.name, self.key(number))
        if verdict.choice == "content":
            self.set_own(number, verdict)
        states = {"content": "write", "theirs": "take"}
        self.set_state(number, states.get(verdict.choice, "keep"))

    def _unite(self, number: int) -> bool:
        """Take each column from the side that changed it, unless both changed one."""
        flags = []
        for name in self.columns:
            flags += [
                self._same("n", "b", [name]),
                f"({self._same('o', 'b', [name])} OR {self._same('o', 'n', [name])})",
            ]
        found = self._connection.execute(
            f"SELECT o.{self._first()} IS NOT NULL, {', '.join(flags)} FROM {self._joined()} WHERE d.n = ?", (number,)
        ).fetchone()
        pairs = list(zip(found[1::2], found[2::2], strict=True))
        if not found[0] or not all(map(any, pairs)):
            return False
        picked = [
            f"{'o' if is_ours else 'n'}.{quoted(name)}" for name, (is_ours, _) in zip(self.columns, pairs, strict=True)
        ]
        self._connection.execute(
            f"INSERT INTO {self.own} SELECT d.n, {', '.join(picked)} FROM {self._joined()} WHERE d.n = ?", (number,)
        )
        self.set_state(number, "write")
        return True

    def _write_all(self) -> None:
        run = self._connection.execute
        going = self._in(_GOING)
        run(f"DELETE FROM main.{self.name} WHERE {going}")
        columns, wanted = ", ".join(map(quoted, self.columns)), ", ".join(f"n.{quoted(name)}" for name in self.columns)
        rows = f"{self.delta} d CROSS JOIN theirs.{self.name} n ON {self._on_delta('n')} WHERE {_COMING}"
        into = f"INSERT OR IGNORE INTO main.{self.name}"
        if self.rowid:
            run(f"{into} ({self.rowid}, {columns}) SELECT d.at, {wanted} FROM {rows} AND d.at IS NOT NULL")
            rows += " AND d.at IS NULL"
        run(f"{into} ({columns}) SELECT {wanted} FROM {rows}")
        for (number,) in run(f"SELECT n FROM {self.delta} WHERE state = 'write'").fetchall():
            try:
                self.put(number, "own", "INSERT OR IGNORE")
            except sqlite3.IntegrityError:  # a type that the table does not take
                continue

    def _find_rowid(self) -> str | None:
        """Return a name of the rowid where it is neither the key nor hidden behind a column."""
        table, names = self.table, {name.lower() for name, _ in self.table.columns}
        if table.is_virtual or (len(table.key) == 1 and dict(table.columns).get(table.key[0], "").upper() == "INTEGER"):
            return None
        name = next((name for name in ("rowid", "_rowid_", "oid") if name not in names), None)
        if name is None or not has_rowid(self.merge.connection, "main", table.name, name):
            return None
        return name

    def _joined(self) -> str:
        """Return the keys of `delta` with the rows of ours, theirs and the base."""
        joins = [(f"main.{self.name}", "o"), (f"theirs.{self.name}", "n"), (self._former, "b")]
        return f"{self.delta} d " + " ".join(f"LEFT JOIN {place} {at} ON {self._on_delta(at)}" for place, at in joins)

    def _same(self, left: str, right: str, columns: list[str] | None = None) -> str:
        names = self.columns if columns is None else columns
        sides = [", ".join(f"{side}.{quoted(name)} COLLATE BINARY" for name in names) for side in (left, right)]
        types = [
            f"typeof({left}.{quoted(name)}) = typeof({right}.{quoted(name)})" for name in names if name in self._untyped
        ]
        return "(" + " AND ".join([f"({sides[0]}) IS ({sides[1]})", *types]) + ")"

    def _is_elsewhere(self, side: str, other: str) -> str:
        """Return what holds for rows that are not in another place at the same rowid: few, in copies of one table.

        Rows are read in the order of their rowids, in which looking each up by its key would be to jump about.
        """
        if not self.rowid or other.startswith("("):
            return "1"
        is_there = f"x.{self.rowid} = {side}.{self.rowid} AND {self._same(side, 'x')}"
        return f"NOT EXISTS (SELECT 1 FROM {other} x WHERE {is_there})"

    def _on(self, left: str, right: str) -> str:
        return " AND ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in self.table.key)

    def _on_delta(self, side: str) -> str:
        return " AND ".join(f"{side}.{quoted(name)} = d.k{at}" for at, name in enumerate(self.table.key))

    def _in(self, condition: str) -> str:
        names = ", ".join(map(quoted, self.table.key))
        return f"({names}) IN (SELECT {self._key_names()} FROM {self.delta} d WHERE {condition})"

    def _keys(self, side: str) -> str:
        return ", ".join(f"{side}.{quoted(name)}" for name in self.table.key)

    def _key_names(self) -> str:
        return ", ".join(f"k{at}" for at in range(len(self.table.key)))

    def _first(self) -> str:
        return quoted(self.table.key[0])

    def _verdict(self) -> str:
        return self.delta.replace("delta", "verdict")


def bound(cells: Any) -> list[Any]:
    """Return cells as SQLite takes them; a text that is no UTF-8 has no such form."""
    return [bytes(cell) if isinstance(cell, RawText) else cell for cell in cells]


def has_rowid(connection: sqlite3.Connection, schema: str, name: str, rowid: str = "rowid") -> bool:
    """Tell whether a table has rowids."""
    try:
        connection.execute(f"SELECT {rowid} FROM {schema}.{quoted(name)} LIMIT 0")
    except sqlite3.Error:
        return False
    return True


def _is_untyped(kind: str) -> bool:
    upper = kind.upper()
    return not kind or (not any(word in upper for word in _CONVERTING) and any(word in upper for word in _KEEPING))
