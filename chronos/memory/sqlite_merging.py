"""A three-way merge of databases, in the child: the copy of ours becomes the merged one, in one transaction.

Rows are brought together by key, objects of the schema as wholes. Triggers are away meanwhile, foreign keys are looked
at afterwards. What somebody has to decide is asked as it is met (`sqlite_judge`); what nobody decides is as in ours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from typing import Any, BinaryIO

from chronos.memory.judge import Judge, Sides
from chronos.memory.rows import as_text
from chronos.memory.sqlite_collisions import Collisions
from chronos.memory.sqlite_files import open_scratch, uri_of
from chronos.memory.sqlite_frames import ANSWER, send_json
from chronos.memory.sqlite_links import Links
from chronos.memory.sqlite_objects import Objects
from chronos.memory.sqlite_rows import KeyedRows
from chronos.memory.sqlite_schema import Item, Schema, content_of, find_groups, keeps_texts, read_schema
from chronos.memory.sqlite_session import Connection, Merge
from chronos.memory.sqlite_tables import Table, describe, has_null_key, is_usable, quoted
from chronos.memory.sqlite_whole import (
    group_of,
    is_same_group,
    is_same_table,
    sides_of,
    take_group,
    take_table,
)

_NO_KEY = "both changed it, and there is no key to tell its rows by"
_FAULTS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM)
_NUMBERS = ("user_version", "application_id")


class _WholeError(Exception):
    """The databases can only be had whole; the argument says why."""


def merge_databases(request: dict[str, Any], requests: BinaryIO, answers: BinaryIO) -> None:
    """Carry a request out: merge `base` (empty: none) and `theirs` into `place`, and answer with what was done."""
    try:
        with open_scratch() as scratch, _opened(request) as connection:
            merge = Merge(connection, Judge(requests, answers), unites=request["unites"])
            _Databases(merge, scratch).run()
    except (_WholeError, sqlite3.Error) as cause:
        _raise_fault(cause)
        send_json(answers.write, ANSWER, {"whole": str(cause)})
        return
    from chronos.memory.sqlite_checks import find_problems

    tables = [(name, *counts) for name, counts in merge.counts.items()]
    with ExitStack() as stack:
        problems = find_problems(bytes.fromhex(request["place"]), stack)
    notes = merge.notes + [f"quick_check says: {problem}" for problem in problems]
    send_json(answers.write, ANSWER, {"tables": tables, "notes": notes})


def _raise_fault(cause: Exception) -> None:
    """Raise what is no fault of the databases: no space, no memory, a disk that fails."""
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF in _FAULTS:
        raise cause


@contextmanager
def _opened(request: dict[str, Any]) -> Iterator[sqlite3.Connection]:
    """Open the copy of ours for writing, the others beside it. The journal mode is again what it was at the end."""
    paths = {name: bytes.fromhex(request[name]) for name in ("base", "place", "theirs")}
    connection = sqlite3.connect(uri_of(paths["place"], "mode=rw"), uri=True, isolation_level=None, factory=Connection)
    with closing(connection):
        connection.text_factory = as_text
        run = connection.execute
        try:
            run("PRAGMA trusted_schema = OFF")
            run("PRAGMA locking_mode = EXCLUSIVE")
            mode = run("PRAGMA main.journal_mode").fetchone()[0]
            for name in ("base", "theirs"):
                run(f"ATTACH ? AS {name}", (uri_of(paths[name], "immutable=1") if paths[name] else ":memory:",))
            for name in ("base", "main", "theirs"):
                run(f"SELECT count(*) FROM {name}.sqlite_master").fetchone()
            run("PRAGMA main.journal_mode = DELETE")
            run("PRAGMA main.synchronous = OFF")  # a copy in a scratch folder
        except sqlite3.Error as cause:
            raise _WholeError(f"one of the databases cannot be read: {cause}") from cause
        try:
            yield connection
        finally:
            if connection.in_transaction:
                run("ROLLBACK")
            if mode == "wal":
                run("PRAGMA main.journal_mode = WAL")


class _Databases:
    """One merge."""

    def __init__(self, merge: Merge, scratch: bytes) -> None:
        connection = merge.connection
        self._merge = merge
        self._scratch = scratch
        self._base, self._ours, self._theirs = (read_schema(connection, name) for name in ("base", "main", "theirs"))
        schemas = {"base": self._base, "main": self._ours, "theirs": self._theirs}
        self._groups = find_groups(connection, schemas)
        self._objects = Objects(merge, self._base, self._ours, self._theirs)
        self._links = Links(merge)
        self._rows: dict[str, KeyedRows] = {}
        self._numbers = count()
        self._stale: list[Item] = []
        self._former: set[str] = set()
        self._make_former()

    def run(self) -> None:
        """Merge, all or nothing."""
        run = self._merge.connection.execute
        run("BEGIN IMMEDIATE")
        self._links.look(self._ours)
        self._objects.clear()
        inner = set().union(*self._groups.values()) if self._groups else set()
        tables = {name: None for schema in (self._ours, self._theirs) for kind, name in schema if kind == "table"}
        tables |= {name: None for kind, name in self._base if kind == "table"}
        for name in tables:
            if name not in inner and name not in self._groups:
                self._guarded(name, self._merge_table)
        for name in self._groups:
            self._guarded(name, self._merge_group)
        self._links.settle(self._rows, read_schema(self._merge.connection, "main"))
        for item in self._stale:
            self._rebuild(item)
        for rows in self._rows.values():
            rows.count()
        self._raise_sequences()
        self._objects.make()
        self._merge_numbers()
        run("COMMIT")

    def _guarded(self, name: str, work: Any) -> None:
        """Do the work of one table; when SQLite cannot, leave the table as in ours, and ask."""
        sides = self._sides(name)
        try:
            with self._merge.savepoint("one_table"):
                work(name)
        except sqlite3.Error as cause:
            _raise_fault(cause)
            self._merge.connection.execute("PRAGMA ignore_check_constraints = OFF")
            self._rows.pop(name, None)
            table = next((item.name for item in sides if item is not None), name)
            self._merge.forget(table)
            reason = f"its rows cannot be merged here: {cause}"
            if self._merge.ask("schema", reason, sides_of(*sides), table).is_theirs:
                self._take_despite(name, reason)

    def _take_despite(self, name: str, reason: str) -> None:
        base, ours, theirs = self._sides(name)
        table = (theirs or ours or base or Item("", name, "", "")).name
        try:
            with self._merge.savepoint("one_table"):
                if name in self._groups:
                    take_group(self._merge, name, self._group(self._ours, name), self._group(self._theirs, name))
                else:
                    take_table(self._merge, ours, theirs, base)
        except sqlite3.Error as cause:
            _raise_fault(cause)
            self._merge.leave("schema", reason, sides_of(base, ours, theirs), table)

    def _merge_table(self, name: str) -> None:
        base, ours, theirs = self._sides(name)
        old, mine, new = (None if item is None else item.sql for item in (base, ours, theirs))
        if mine == new:
            if ours is not None:
                self._merge_rows(name, base, ours, theirs)
        elif mine == old:
            is_free = ours is None or is_same_table(self._merge.connection, "base", "main", ours.name)
            gone = "theirs dropped the table, ours changed rows of it"
            self._take_or_ask(name, is_free, gone if theirs is None else "theirs changed how it is made, ours its rows")
        elif new == old:
            is_free = theirs is None or is_same_table(self._merge.connection, "base", "theirs", theirs.name)
            gone = "ours dropped the table, theirs changed rows of it"
            reason = gone if ours is None else "ours changed how it is made, theirs its rows"
            if not is_free:
                self._take_or_ask(name, False, reason)
        else:
            self._take_or_ask(name, False, "both changed how it is made, and not alike")

    def _take_or_ask(self, name: str, is_free: bool, reason: str) -> None:
        base, ours, theirs = self._sides(name)
        item = theirs or ours or base
        assert item is not None
        kind = "schema" if ours is not None and theirs is not None else "deleted and changed"
        if is_free or self._merge.ask(kind, reason, sides_of(base, ours, theirs), item.name).is_theirs:
            take_table(self._merge, ours, theirs, base)

    def _merge_rows(self, name: str, base: Item | None, ours: Item, theirs: Item | None) -> None:
        connection, table = self._merge.connection, describe(self._merge.connection, "main", ours.name)
        former = self._place_of_former(name, base, ours)
        places = [f"main.{quoted(ours.name)}", f"theirs.{quoted(ours.name)}", *([former] if former else [])]
        is_known = base is None or former is not None
        if is_known and table.key and not has_null_key(connection, table, *places):
            self._merge_keyed(name, table, former)
        elif former is not None and is_same_table(connection, former.partition(".")[0], "theirs", ours.name):
            return
        elif not is_same_table(connection, "main", "theirs", ours.name):
            is_free = former is not None and is_same_table(connection, former.partition(".")[0], "main", ours.name)
            self._take_or_ask(name, is_free, _NO_KEY if is_known else "both changed how it is made, and its rows")

    def _merge_keyed(self, name: str, table: Table, former: str | None) -> None:
        rows = KeyedRows(self._merge, table, next(self._numbers), former)
        if not rows.find_changes():
            return
        self._rows[name] = rows
        rows.decide()
        rows.keep_mine()
        missing = rows.write()
        if missing:
            with Collisions(rows) as collisions:
                collisions.settle(missing)
        self._merge.connection.execute("PRAGMA ignore_check_constraints = OFF")

    def _merge_group(self, name: str) -> None:
        """Merge a virtual table: its rows where its module can write them, else all of it."""
        connection, groups = self._merge.connection, [self._group(schema, name) for schema in self._schemas()]
        base, ours, theirs = groups
        sides = self._sides(name)
        if is_same_group(connection, "base", base, "theirs", theirs):
            if ours and content_of(ours[0]) in self._rows:
                self._stale.append(ours[0])
            return
        if is_same_group(connection, "main", ours, "theirs", theirs):
            return
        if ours and self._are_alike(sides) and keeps_texts(ours[0]):
            former = f"base.{quoted(base[0].name)}" if base else None
            self._merge_keyed(name, describe(connection, "main", ours[0].name, is_virtual=True), former)
        elif ours and self._are_alike(sides) and content_of(ours[0]) is not None:
            self._stale.append(ours[0])
        elif is_same_group(connection, "base", base, "main", ours):
            take_group(self._merge, name, ours, theirs)
        else:
            reason = "both changed a virtual table that can only be had whole"
            shown = next(item.name for item in (*sides, *ours, *theirs) if item is not None)
            if self._merge.ask("store", reason, sides_of(*sides), shown).is_theirs:
                take_group(self._merge, name, ours, theirs)

    def _are_alike(self, sides: tuple[Item | None, Item | None, Item | None]) -> bool:
        """Tell whether a virtual table is made alike in ours and theirs, and in the base if it is there, and works."""
        base, ours, theirs = sides
        if ours is None or theirs is None or ours.sql != theirs.sql or (base is not None and base.sql != ours.sql):
            return False
        return all(
            item is None or is_usable(self._merge.connection, schema, item.name)
            for schema, item in zip(("base", "main", "theirs"), sides, strict=True)
        )

    def _rebuild(self, item: Item) -> None:
        """Make a full-text index anew from the table that it indexes."""
        place = quoted(item.name)
        try:
            with self._merge.savepoint("rebuilding"):
                self._merge.connection.execute(f"INSERT INTO main.{place} ({place}) VALUES ('rebuild')")
            self._merge.notes.append(f"the full-text index {item.name} was built anew")
        except sqlite3.Error as cause:
            self._merge.notes.append(f"the full-text index {item.name} could not be built anew: {cause}")

    def _make_former(self) -> None:
        """Fill tables that both sides changed alike from the base, as a database that is migrated would look.

        Where that cannot be done by the defaults of new columns, there is no base for the rows.
        """
        changed = []
        for (kind, name), item in self._ours.items():
            base, theirs = self._base.get((kind, name)), self._theirs.get((kind, name))
            if kind == "table" and base and theirs and theirs.sql == item.sql != base.sql and not item.is_virtual:
                changed.append((name, base, item))
        if not changed:
            return
        path = self._scratch + b"/former"
        (encoding,) = self._merge.connection.execute("PRAGMA encoding").fetchone()
        with closing(sqlite3.connect(uri_of(path, "mode=rwc"), uri=True, isolation_level=None)) as former:
            former.execute(f"PRAGMA encoding = '{encoding}'")
            for _, _, item in changed:
                former.execute(item.sql)
        self._merge.connection.execute("ATTACH ? AS former", (uri_of(path, "mode=rw"),))
        for name, base, item in changed:
            old = describe(self._merge.connection, "base", base.name)
            new = describe(self._merge.connection, "former", item.name)
            both = ", ".join(quoted(column) for column, _ in new.columns if column in dict(old.columns))
            into = f"INSERT INTO former.{quoted(item.name)} ({both}) SELECT {both} FROM base.{quoted(base.name)}"
            try:
                if old.key == new.key and both:
                    self._merge.connection.execute(into)
                    self._former.add(name)
            except sqlite3.Error:
                continue

    def _place_of_former(self, name: str, base: Item | None, ours: Item) -> str | None:
        if base is not None and base.sql == ours.sql:
            return f"base.{quoted(base.name)}"
        return f"former.{quoted(ours.name)}" if name in self._former else None

    def _raise_sequences(self) -> None:
        """Let no key that either side gave away be given again: AUTOINCREMENT goes on from the higher one."""
        run = self._merge.connection.execute
        have = [
            run(f"SELECT 1 FROM {schema}.sqlite_master WHERE name = 'sqlite_sequence'").fetchone()
            for schema in ("main", "theirs")
        ]
        if not all(have):
            return
        run(
            "UPDATE main.sqlite_sequence AS s SET seq = max(s.seq, t.seq) FROM theirs.sqlite_sequence t "
            "WHERE t.name = s.name"
        )
        run(
            "INSERT INTO main.sqlite_sequence (name, seq) SELECT t.name, t.seq FROM theirs.sqlite_sequence t "
            "JOIN main.sqlite_master m ON m.type = 'table' AND m.name = t.name "
            "AND m.sql LIKE '%autoincrement%' "
            "WHERE NOT EXISTS (SELECT 1 FROM main.sqlite_sequence s WHERE s.name = t.name)"
        )

    def _merge_numbers(self) -> None:
        for name in _NUMBERS:
            run = self._merge.connection.execute
            old, mine, new = (run(f"PRAGMA {schema}.{name}").fetchone()[0] for schema in ("base", "main", "theirs"))
            sides = Sides(str(old), str(mine), str(new))
            is_theirs = mine == old or (
                new not in (old, mine)
                and self._merge.ask("schema", f"both changed {name}", sides, f"PRAGMA {name}").is_theirs
            )
            if is_theirs and new != mine:
                run(f"PRAGMA main.{name} = {new}")

    def _schemas(self) -> tuple[Schema, Schema, Schema]:
        return self._base, self._ours, self._theirs

    def _sides(self, name: str) -> tuple[Item | None, Item | None, Item | None]:
        base, ours, theirs = (schema.get(("table", name)) for schema in self._schemas())
        return base, ours, theirs

    def _group(self, schema: Schema, name: str) -> list[Item]:
        return group_of(schema, name, self._groups[name])
