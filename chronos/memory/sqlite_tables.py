"""What is in a database, and how two differ, table by table; run in the child, on views that hold still.

Nothing in a schema is trusted: no extension is loaded, functions and virtual tables of views and triggers are off.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from chronos.memory.sqlite_files import open_scratch, uri_of
from chronos.memory.sqlite_view import MovedError, UnreadableError, open_view

_TRIES = 5
_WAIT_S = 5.0
_PAUSE_S = 0.05
_COPY_BYTES = 1024 * 1024
_STEPS = 20_000


class Table(NamedTuple):
    """A table: its columns that are not generated (name, declared type), the names of its key, and how it is kept."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    is_virtual: bool


@contextmanager
def open_image(place: bytes) -> Iterator[sqlite3.Connection]:
    """Open what stands at `place` for reading, changing nothing. Raises OSError, sqlite3.Error."""
    with _steady(place) as uri, closing(_connect(uri)) as connection:
        yield connection


def summarise(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return the tables with their rows and columns."""
    return [
        {
            "name": table.name,
            "rows": connection.execute(f"SELECT count(*) FROM {quoted(table.name)}").fetchone()[0],
            "columns": ", ".join(f"{name} {kind}".rstrip() for name, kind in table.columns),
        }
        for table in list_tables(connection, "main").values()
    ]


def compare(old: bytes, new: bytes, limit_s: float) -> list[dict[str, Any]]:
    """Return how the tables at `new` differ from those at `old`; row counts are given up after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    with _steady(old) as old_uri, open_image(new) as connection:
        connection.execute("ATTACH ? AS old", (old_uri,))
        before, now = list_tables(connection, "old"), list_tables(connection, "main")
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
        found = [_compare_table(connection, before.get(name), now.get(name)) for name in sorted(before | now)]
    return [difference for difference in found if difference is not None]


def list_tables(connection: sqlite3.Connection, schema: str) -> dict[str, Table]:
    """Return the tables that hold rows, by name: a virtual one that works here stands for its shadow tables."""
    rows = connection.execute(
        f"SELECT name, rootpage FROM {schema}.sqlite_master "
        "WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    ).fetchall()
    virtual = [name for name, page in rows if not page and is_usable(connection, schema, name)]
    unusable = {name for name, page in rows if not page} - set(virtual)
    hidden = tuple(f"{name}_" for name in virtual)
    names = [name for name, _ in rows if name not in unusable and not (hidden and name.startswith(hidden))]
    return {name: describe(connection, schema, name, name in virtual) for name in names}


def describe(connection: sqlite3.Connection, schema: str, name: str, is_virtual: bool = False) -> Table:
    """Return what a table is made of; a virtual one has its rowid for a key."""
    info = connection.execute(f"PRAGMA {schema}.table_xinfo({quoted(name)})").fetchall()
    columns = tuple((str(column), str(kind)) for _, column, kind, _, _, _, hidden in info if not hidden)
    keys = sorted((place, str(column)) for _, column, _, _, _, place, _ in info if place)
    return Table(name, columns, ("rowid",) if is_virtual else tuple(column for _, column in keys), is_virtual)


def is_usable(connection: sqlite3.Connection, schema: str, name: str) -> bool:
    """Tell whether the module of a virtual table is here, and works."""
    try:
        connection.execute(f"SELECT rowid, * FROM {schema}.{quoted(name)} LIMIT 1").fetchone()
    except sqlite3.Error:
        return False
    return True


def _compare_table(connection: sqlite3.Connection, old: Table | None, new: Table | None) -> dict[str, Any] | None:
    notes = _schema_notes(old, new) if old is not None and new is not None else []
    status = "A" if old is None else "D" if new is None else "M"
    added, removed, changed = 0, 0, None
    try:
        if old is None or new is None:
            table = new or old
            assert table is not None
            schema = "old" if new is None else "main"
            count = connection.execute(f"SELECT count(*) FROM {schema}.{quoted(table.name)}").fetchone()[0]
            added, removed, changed = (count, 0, 0) if old is None else (0, count, 0)
        else:
            added, removed, changed = count_rows(connection, "old", old, "main", new)
    except sqlite3.Error as cause:
        is_late = getattr(cause, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT
        notes.append(
            "its rows were not counted: that takes too long" if is_late else f"its rows were not counted: {cause}"
        )
    if status == "M" and not (added or removed or changed or notes):
        return None
    name = (new or old or Table("", (), (), False)).name
    return {"name": name, "status": status, "added": added, "removed": removed, "changed": changed, "notes": notes}


def _schema_notes(old: Table, new: Table) -> list[str]:
    before, now = dict(old.columns), dict(new.columns)
    notes = [f"new column {name} {now[name]}".rstrip() for name in now if name not in before]
    notes += [f"no column {name} any more" for name in before if name not in now]
    notes += [
        f"column {name} is {kind or 'of no type'}, it was {before[name] or 'of no type'}"
        for name, kind in now.items()
        if before.get(name, kind) != kind
    ]
    if old.key != new.key:
        notes.append("another primary key")
    return notes


def count_rows(
    connection: sqlite3.Connection, old_schema: str, old: Table, new_schema: str, new: Table
) -> tuple[int, int, int | None]:
    """Return the rows that were added, removed and changed."""
    columns = [name for name, _ in new.columns if name in dict(old.columns)]
    here, there = f"{new_schema}.{quoted(new.name)}", f"{old_schema}.{quoted(old.name)}"
    is_keyed = bool(new.key) and new.key == old.key and not has_null_key(connection, new, here, there)
    if not is_keyed:
        return (*_count_unkeyed(connection, columns, here, there), None)
    same = " AND ".join(f"o.{quoted(name)} = n.{quoted(name)}" for name in new.key)
    missing = "SELECT count(*) FROM {} {} WHERE NOT EXISTS (SELECT 1 FROM {} {} WHERE " + same + ")"
    added = connection.execute(missing.format(here, "n", there, "o")).fetchone()[0]
    removed = connection.execute(missing.format(there, "o", here, "n")).fetchone()[0]
    values = [f"({', '.join(f'{side}.{quoted(name)} COLLATE BINARY' for name in columns)})" for side in "no"]
    differ = f"SELECT count(*) FROM {here} n JOIN {there} o ON {same} WHERE {values[0]} IS NOT {values[1]}"
    return added, removed, connection.execute(differ).fetchone()[0] if columns else 0


def _count_unkeyed(connection: sqlite3.Connection, columns: list[str], here: str, there: str) -> tuple[int, int]:
    """Compare as multisets of rows: a changed row is one removed and one added."""
    if not columns:
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in (here, there)]
        return max(0, counts[0] - counts[1]), max(0, counts[1] - counts[0])
    listed = ", ".join(quoted(name) for name in columns)
    grouped = ", ".join(f"{quoted(name)} COLLATE BINARY" for name in columns)
    both = f'SELECT 1 AS "chronos sign", {listed} FROM {here} UNION ALL SELECT -1, {listed} FROM {there}'
    net = f'SELECT sum("chronos sign") AS net FROM ({both}) GROUP BY {grouped}'
    row = connection.execute(f"SELECT sum(max(net, 0)), sum(max(-net, 0)) FROM ({net})").fetchone()
    return row[0] or 0, row[1] or 0


def has_null_key(connection: sqlite3.Connection, table: Table, *places: str) -> bool:
    """Tell whether a key has a NULL, which only SQLite allows, and which makes it no key."""
    if table.is_virtual:
        return False
    is_null = " OR ".join(f"{quoted(name)} IS NULL" for name in table.key)
    found = (connection.execute(f"SELECT 1 FROM {place} WHERE {is_null} LIMIT 1").fetchone() for place in places)
    return any(found)


@contextmanager
def _steady(place: bytes) -> Iterator[str]:
    """Give the URI of what does not change for the length of the block: the database itself, or a copy of its pages."""
    deadline = time.monotonic() + _WAIT_S
    for attempt in range(_TRIES):
        try:
            view = open_view(place, deadline)
        except UnreadableError as cause:
            raise sqlite3.DatabaseError(str(cause)) from cause
        except FileNotFoundError as cause:  # gone since it was looked at, or captured without its main file
            raise sqlite3.DatabaseError("the database is gone") from cause
        except MovedError as cause:
            if attempt + 1 == _TRIES:
                raise sqlite3.OperationalError("it is written to all the time, and cannot be locked") from cause
            time.sleep(_PAUSE_S)
            continue
        break
    with closing(view), open_scratch() as folder:
        if view.uri is not None:
            yield view.uri
            return
        copy = folder + b"/x"
        pages, buffer = view.parts[b""], bytearray(_COPY_BYTES)
        with open(copy, "xb") as stream:
            for offset in range(0, pages.size, _COPY_BYTES):
                data = memoryview(buffer)[: min(_COPY_BYTES, pages.size - offset)]
                pages.read_into(data, offset)
                stream.write(data)
        yield uri_of(copy, "immutable=1")


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_WAIT_S)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA query_only=ON")
    return connection


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
