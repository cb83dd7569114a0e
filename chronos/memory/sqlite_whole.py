"""Tables that can only be had whole: without a key, made in another way on one side, or a virtual table's own.

What changed on one side only is that side's; what both changed is asked.
"""

from __future__ import annotations

import sqlite3

from chronos.memory.judge import Sides
from chronos.memory.sqlite_rows import has_rowid
from chronos.memory.sqlite_schema import Item, Schema
from chronos.memory.sqlite_session import Merge
from chronos.memory.sqlite_tables import Table, count_rows, describe, quoted


def is_same_table(connection: sqlite3.Connection, left: str, right: str, name: str) -> bool:
    """Tell whether a table that is made alike in two schemas has the same rows in both; rowids do not count."""
    table = describe(connection, right, name)
    places = [f"{schema}.{quoted(name)}" for schema in (left, right)]
    counts = {connection.execute(f"SELECT count(*) FROM {place}").fetchone()[0] for place in places}
    if len(counts) > 1:
        return False
    columns = [column for column, _ in table.columns]
    if has_rowid(connection, right, name):
        # Copies of one table have the same rowids, as long as nothing made them anew.
        joined = f"{places[0]} a LEFT JOIN {places[1]} b ON b.rowid = a.rowid"
        same = f"({', '.join(_cells('a', columns))}) IS ({', '.join(_cells('b', columns))})"
        if connection.execute(f"SELECT 1 FROM {joined} WHERE NOT {same} LIMIT 1").fetchone() is None:
            return True
        if "INTEGER" in {kind.upper() for column, kind in table.columns if table.key == (column,)}:
            return False
    named = ", ".join(f"{cell} AS x{at}" for at, cell in enumerate(_cells("t", columns)))
    grouped = ", ".join(f"x{at} COLLATE BINARY" for at in range(2 * len(columns)))
    both = " UNION ALL ".join(
        f"SELECT {sign} AS sign, {named} FROM {place} t" for sign, place in zip((1, -1), places, strict=True)
    )
    net = f"SELECT 1 FROM ({both}) GROUP BY {grouped} HAVING sum(sign) <> 0 LIMIT 1"
    return connection.execute(net).fetchone() is None


def take_rows(connection: sqlite3.Connection, name: str) -> None:
    """Give a table of ours the rows of theirs, with their rowids."""
    table = describe(connection, "theirs", name)
    columns = [quoted(column) for column, _ in table.columns]
    names = {column.lower() for column, _ in table.columns}
    rowid = next((name for name in ("rowid", "_rowid_", "oid") if name not in names), None)
    if rowid is not None and has_rowid(connection, "theirs", name, rowid):
        columns = [rowid, *columns]
    listed, place = ", ".join(columns), quoted(name)
    connection.execute(f"DELETE FROM main.{place}")
    connection.execute(f"INSERT INTO main.{place} ({listed}) SELECT {listed} FROM theirs.{place}")


def take_table(merge: Merge, ours: Item | None, theirs: Item | None, base: Item | None) -> None:
    """Let a table be as in theirs, whatever ours has: drop it, make it, fill it."""
    connection, name = merge.connection, (theirs or ours or base or Item("", "", "", "")).name
    old, new = (
        describe(connection, schema, name) if item else None for schema, item in (("main", ours), ("theirs", theirs))
    )
    _count(merge, name, old, new)
    merge.taken.add(name)
    if ours is not None and (theirs is None or theirs.sql != ours.sql):
        connection.execute(f"DROP TABLE main.{quoted(name)}")
    if theirs is None:
        return
    if ours is None or theirs.sql != ours.sql:
        connection.execute(theirs.sql)
    connection.execute("PRAGMA ignore_check_constraints = ON")  # they were asked when the rows were written
    try:
        take_rows(connection, name)
    finally:
        connection.execute("PRAGMA ignore_check_constraints = OFF")


def take_group(merge: Merge, name: str, ours: list[Item], theirs: list[Item]) -> None:
    """Let a virtual table be as in theirs, byte by byte: its module is not asked, and need not be here.

    A virtual table is a row of the schema, as the shell of SQLite writes it in a dump.
    """
    run = merge.connection.execute
    run("PRAGMA writable_schema = ON")
    run("DELETE FROM main.sqlite_master WHERE type = 'table' AND rootpage = 0 AND lower(name) = ?", (name,))
    run("PRAGMA writable_schema = RESET")
    for item in ours:
        if not item.is_virtual:
            run(f"DROP TABLE main.{quoted(item.name)}")
    for item in theirs:
        if not item.is_virtual:
            run(item.sql)
            take_rows(merge.connection, item.name)
    run("PRAGMA writable_schema = ON")
    for item in theirs:
        if item.is_virtual:
            row = (item.name, item.table, item.sql)
            run(
                "INSERT INTO main.sqlite_master (type, name, tbl_name, rootpage, sql) VALUES ('table', ?, ?, 0, ?)", row
            )
    run("PRAGMA writable_schema = RESET")
    (version,) = run("PRAGMA main.schema_version").fetchone()
    run(f"PRAGMA main.schema_version = {version + 1}")
    merge.notes.append(f"{name} was taken whole")
    merge.count(name)


def group_of(schema: Schema, name: str, inner: set[str]) -> list[Item]:
    """Return a virtual table with the tables that it keeps its rows in, as far as they are in a schema."""
    return [item for key in (name, *sorted(inner)) if (item := schema.get(("table", key))) is not None]


def is_same_group(connection: sqlite3.Connection, left: str, ours: list[Item], right: str, theirs: list[Item]) -> bool:
    """Tell whether a virtual table is the same in two schemas, in every row that it keeps."""
    if [item[1:] for item in ours] != [item[1:] for item in theirs]:
        return False
    return all(item.is_virtual or is_same_table(connection, left, right, item.name) for item in ours)


def sides_of(base: Item | None, ours: Item | None, theirs: Item | None) -> Sides:
    """Return the SQL of an object as the sides of a conflict."""
    return Sides(*(None if item is None else item.sql for item in (base, ours, theirs)))


def _count(merge: Merge, name: str, old: Table | None, new: Table | None) -> None:
    """Count what comes with a whole table; a changed row without a key is one removed and one added."""
    if old is not None and new is not None:
        added, removed, changed = count_rows(merge.connection, "main", old, "theirs", new)
        merge.count(name, added, changed or 0, removed)
        return
    schema = "main" if new is None else "theirs"
    (rows,) = merge.connection.execute(f"SELECT count(*) FROM {schema}.{quoted(name)}").fetchone()
    merge.count(name, added=0 if new is None else rows, removed=rows if new is None else 0)


def _cells(side: str, columns: list[str]) -> list[str]:
    """Return cells of a row, each with its type: 1 is not 1.0."""
    cells = [f"{side}.{quoted(name)}" for name in columns]
    return [text for cell in cells for text in (f"{cell} COLLATE BINARY", f"typeof({cell})")]
