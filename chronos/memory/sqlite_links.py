"""Foreign keys after a merge: each row whose parent is gone, and was not gone in ours, is asked about.

Ours means that child and parent are as in ours, theirs that they are as in theirs: on either side alone they fit.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import NamedTuple

from chronos.memory.judge import Row, Sides
from chronos.memory.rows import Cell
from chronos.memory.sqlite_collisions import Collisions
from chronos.memory.sqlite_rows import KeyedRows, bound, has_rowid
from chronos.memory.sqlite_schema import Schema
from chronos.memory.sqlite_session import Merge
from chronos.memory.sqlite_tables import Table, describe, has_null_key, quoted

_ROUNDS = 16


class Link(NamedTuple):
    """One foreign key: columns of the child, the parent, columns of the parent."""

    child: str
    columns: tuple[str, ...]
    parent: str
    targets: tuple[str, ...]
    identity: tuple[str, ...]

    def orphans(self, parent_exists: bool) -> str:
        """Return what selects the rows without a parent, from `FROM` on."""
        there = " AND ".join(f"c.{quoted(name)} IS NOT NULL" for name in self.columns)
        if not parent_exists:
            return f"FROM main.{quoted(self.child)} c WHERE {there}"
        pairs = zip(self.targets, self.columns, strict=True)
        fits = " AND ".join(f"p.{quoted(target)} = c.{quoted(name)}" for target, name in pairs)
        found = f"SELECT 1 FROM main.{quoted(self.parent)} p WHERE {fits}"
        return f"FROM main.{quoted(self.child)} c WHERE {there} AND NOT EXISTS ({found})"


class Links:
    """The foreign keys of ours, and of what it becomes."""

    def __init__(self, merge: Merge) -> None:
        self._merge = merge
        self._run = merge.connection.execute
        self._before: dict[Link, str] = {}

    def look(self, schema: Schema) -> None:
        """Remember the rows that have no parent before anything is merged."""
        for link in self._find(schema):
            place = f'temp."chronos orphans {len(self._before)}"'
            names = ", ".join(f"c.{quoted(name)} AS k{at}" for at, name in enumerate(link.identity))
            try:
                self._run(f"CREATE TEMP TABLE {place[5:]} AS SELECT {names} {self._orphans(link, schema)}")
            except sqlite3.Error:  # a foreign key to a column that is not there
                continue
            keys = ", ".join(f"k{at}" for at in range(len(link.identity)))
            self._run(f"CREATE INDEX {place.replace('orphans', 'orphans of')} ON {place[5:]} ({keys})")
            self._before[link] = place

    def settle(self, rows: dict[str, KeyedRows], schema: Schema) -> None:
        """Ask about rows whose parent is gone until there are none, or none about which something can be done."""
        links = self._find(schema)
        asked: set[tuple[Link, tuple[Cell, ...]]] = set()
        found: list[tuple[Link, tuple[Cell, ...]]] = []
        for _ in range(_ROUNDS):
            found = [(link, key) for link in links for key in self._new_orphans(link, schema)]
            new = [one for one in found if one not in asked]
            if not new:
                break
            for link, key in new:
                asked.add((link, key))
                try:
                    with self._merge.savepoint("one_link"):
                        self._settle(link, dict(zip(link.identity, key, strict=True)), rows)
                except sqlite3.Error as cause:
                    self._merge.notes.append(f"a row of {link.child} could not be put right: {cause}")
        for link, count in Counter(link for link, _ in found).items():
            self._merge.notes.append(f"rows of {link.child} without their row of {link.parent}: {count}")

    def _settle(self, link: Link, key: Row, rows: dict[str, KeyedRows]) -> None:
        child, parent = rows.get(link.child.lower()), rows.get(link.parent.lower())
        row = self._find_row("main", link, key)
        if row is None:
            return  # it went with another
        wanted = dict(zip(link.targets, (row[name] for name in link.columns), strict=True))
        if parent is not None and self._has_row("main", link.parent, wanted):
            return
        number = child.find(key) if child is not None else None
        is_written = child is not None and number is not None and child.state_of(number)[1] in ("take", "write")
        is_ours = not is_written and link.child not in self._merge.taken
        ours = child.row(number, "mine") if child and number and is_written else row if is_ours else None
        sides = Sides(self._find_row("base", link, key), ours, self._find_row("theirs", link, key))
        reason = f"its row of {link.parent} is not there: {_shown(wanted)}"
        verdict = self._merge.ask("constraint", reason, sides, link.child, key)
        if verdict.is_theirs:
            self._as_theirs(link, key, wanted, child)
        elif verdict.choice == "content" and child is not None:
            number = child.adopt(key)
            child.set_own(number, verdict)
            child.set_state(number, "write")
            child.remove(number)
            child.put(number, "own")
        elif is_written and child is not None and number is not None:
            with Collisions(child) as collisions:
                collisions.restore(number)
        elif is_ours and parent is not None:
            self._restore_parents(parent, wanted)
        elif not is_ours:
            self._delete(link, key)

    def _restore_parents(self, parent: KeyedRows, wanted: Row) -> None:
        """Let the row of the parent be as in ours again, if it is one that the merge took away."""
        columns = {name: f"c{at}" for at, name in enumerate(parent.columns)}
        fits = " AND ".join(f"m.{columns[name]} = ?" for name in wanted if name in columns)
        found = self._run(f"SELECT m.n FROM {parent.mine} m WHERE {fits}", bound(wanted.values())).fetchone()
        if found is not None:
            with Collisions(parent) as collisions:
                collisions.restore(found[0])

    def _as_theirs(self, link: Link, key: Row, wanted: Row, child: KeyedRows | None) -> None:
        """Let child and parent be as in theirs, as far as theirs has them."""
        theirs = self._find_row("theirs", link, key)
        number = child.adopt(key) if child is not None else 0
        if theirs is None:
            self._delete(link, key)
        elif child is not None:
            child.remove(number)
            child.put(number, "theirs", "INSERT OR REPLACE")
        if self._has_row("theirs", link.parent, wanted):
            table = describe(self._merge.connection, "theirs", link.parent)
            names = ", ".join(quoted(name) for name, _ in table.columns)
            fits = " AND ".join(f"p.{quoted(name)} = ?" for name in wanted)
            place = quoted(link.parent)
            sql = f"INSERT OR IGNORE INTO main.{place} ({names}) SELECT {names} FROM theirs.{place} p WHERE {fits}"
            self._merge.count(link.parent, added=self._run(sql, bound(wanted.values())).rowcount)

    def _delete(self, link: Link, key: Row) -> None:
        wanted = " AND ".join(f"{quoted(name)} IS ?" for name in key)
        self._run(f"DELETE FROM main.{quoted(link.child)} WHERE {wanted}", bound(key.values()))

    def _new_orphans(self, link: Link, schema: Schema) -> list[tuple[Cell, ...]]:
        names = ", ".join(f"c.{quoted(name)}" for name in link.identity)
        before = self._before.get(link)
        sql = f"SELECT {names} {self._orphans(link, schema)}"
        if before is not None:
            known = " AND ".join(f"x.k{at} IS c.{quoted(name)}" for at, name in enumerate(link.identity))
            sql += f" AND NOT EXISTS (SELECT 1 FROM {before} x WHERE {known})"
        try:
            return self._run(sql).fetchall()
        except sqlite3.Error as cause:
            note = f"the foreign key of {link.child} to {link.parent} could not be looked at: {cause}"
            if note not in self._merge.notes:
                self._merge.notes.append(note)
            return []

    def _orphans(self, link: Link, schema: Schema) -> str:
        return link.orphans(("table", link.parent.lower()) in schema)

    def _find_row(self, schema: str, link: Link, key: Row) -> Row | None:
        wanted = " AND ".join(f"{quoted(name)} IS ?" for name in key)
        try:
            table = describe(self._merge.connection, schema, link.child)
            names = [name for name, _ in table.columns]
            listed = ", ".join(map(quoted, names))
            sql = f"SELECT {listed} FROM {schema}.{quoted(link.child)} WHERE {wanted}"
            found = self._run(sql, bound(key.values())).fetchone()
        except sqlite3.Error:
            return None
        return None if found is None else dict(zip(names, found, strict=True))

    def _has_row(self, schema: str, name: str, wanted: Row) -> bool:
        fits = " AND ".join(f"p.{quoted(column)} = ?" for column in wanted)
        try:
            sql = f"SELECT 1 FROM {schema}.{quoted(name)} p WHERE {fits} LIMIT 1"
            return self._run(sql, bound(wanted.values())).fetchone() is not None
        except sqlite3.Error:
            return False

    def _find(self, schema: Schema) -> list[Link]:
        links = []
        for (kind, _), item in schema.items():
            if kind != "table" or item.is_virtual:
                continue
            rows = self._run(f"PRAGMA main.foreign_key_list({quoted(item.name)})").fetchall()
            if not rows:
                continue
            identity = self._identity(describe(self._merge.connection, "main", item.name))
            for number in sorted({row[0] for row in rows}):
                parts = sorted((row for row in rows if row[0] == number), key=lambda row: row[1])
                parent = parts[0][2]
                targets = tuple(part[4] for part in parts)
                if None in targets:
                    targets = describe(self._merge.connection, "main", parent).key
                columns = tuple(part[3] for part in parts)
                if identity and len(targets) == len(columns):
                    links.append(Link(item.name, columns, parent, targets, identity))
        return links

    def _identity(self, table: Table) -> tuple[str, ...]:
        connection, place = self._merge.connection, f"main.{quoted(table.name)}"
        if table.key and not has_null_key(connection, table, place):
            return table.key
        return ("rowid",) if has_rowid(connection, "main", table.name) else ()


def _shown(row: Row) -> str:
    return ", ".join(f"{name} = {cell!r}"[:80] for name, cell in row.items())
