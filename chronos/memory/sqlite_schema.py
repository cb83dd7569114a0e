"""The schema of the three databases of a merge: objects by name, and which tables belong to a virtual one."""

from __future__ import annotations

import re
import sqlite3
from typing import NamedTuple

from chronos.memory.sqlite_tables import is_usable

SCHEMAS = ("base", "main", "theirs")
_MODULE = re.compile(r"(?is)^\s*CREATE\s+VIRTUAL\s+TABLE\b.*?\bUSING\s+[\"'`\[]?(\w+)")
_OPTION = re.compile(r"(?i)[(,]\s*(content|languageid)\s*=\s*(\"[^\"]*\"|'[^']*'|\[[^\]]*\]|`[^`]*`|[^\s,)]*)")
_TEXT_MODULES = ("fts3", "fts4", "fts5")


class Item(NamedTuple):
    """One object: a table, index, view or trigger. Of a virtual table there is no root page."""

    kind: str
    name: str
    table: str
    sql: str
    is_virtual: bool = False


Schema = dict[tuple[str, str], Item]


def read_schema(connection: sqlite3.Connection, schema: str) -> Schema:
    """Return the objects that somebody made, in the order in which they were made."""
    rows = connection.execute(
        f"SELECT type, name, tbl_name, sql, type = 'table' AND coalesce(rootpage, 0) = 0 FROM {schema}.sqlite_master "
        "WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
    ).fetchall()
    return {(kind, name.lower()): Item(kind, name, table, sql, bool(flag)) for kind, name, table, sql, flag in rows}


def find_groups(connection: sqlite3.Connection, schemas: dict[str, Schema]) -> dict[str, set[str]]:
    """Return the tables, in lower case, in which each virtual table keeps its rows, as far as any side has them.

    Of a module that is not here, they are all tables whose names begin with its own and an underscore.
    """
    groups: dict[str, set[str]] = {}
    for schema, items in schemas.items():
        tables = [item for item in items.values() if item.kind == "table"]
        for item in tables:
            if not item.is_virtual:
                continue
            names = {other.name.lower() for other in tables if not other.is_virtual}
            inner = {name for name in names if name.startswith(f"{item.name.lower()}_")}
            if is_usable(connection, schema, item.name):
                rows = connection.execute(f"PRAGMA {schema}.table_list").fetchall()
                if rows:  # SQLite 3.37 knows which of them are the module's
                    inner &= {row[1].lower() for row in rows if row[2] == "shadow"}
            groups.setdefault(item.name.lower(), set()).update(inner)
    return groups


def is_text_index(item: Item) -> bool:
    """Tell whether a virtual table is a full-text index."""
    found = _MODULE.match(item.sql)
    return found is not None and found[1].lower() in _TEXT_MODULES


def keeps_texts(item: Item) -> bool:
    """Tell whether a virtual table is a full-text index that keeps what it indexes, so that its rows can be written."""
    return is_text_index(item) and _OPTION.search(item.sql) is None


def content_of(item: Item) -> str | None:
    """Return the table in lower case that a full-text index takes its texts from, or None."""
    options = {name.lower(): value.strip("\"'`[]") for name, value in _OPTION.findall(item.sql)}
    if not is_text_index(item) or "languageid" in options:
        return None
    return options.get("content", "").lower() or None
