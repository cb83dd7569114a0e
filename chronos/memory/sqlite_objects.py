"""Indexes, views and triggers of a merge: each is one thing, and which of three versions it ends as.

Triggers are away while rows are written: what they would do was done when the rows came into being.
"""

from __future__ import annotations

import sqlite3

from chronos.memory.sqlite_schema import Item, Schema, read_schema
from chronos.memory.sqlite_session import Merge
from chronos.memory.sqlite_tables import quoted
from chronos.memory.sqlite_whole import sides_of

_ORDER = ("index", "view", "trigger")


class Objects:
    """The objects beside the tables."""

    def __init__(self, merge: Merge, base: Schema, ours: Schema, theirs: Schema) -> None:
        self._merge = merge
        self._base = base
        self._ours = ours
        self._theirs = theirs
        self._wanted: list[Item] = []

    def clear(self) -> None:
        """Decide about each object, and take away all triggers and whatever will not be as in ours."""
        for key in self._ours | self._theirs:
            if key[0] not in _ORDER:
                continue
            wanted = self._decide(key)
            if wanted is not None:
                self._wanted.append(wanted)
            ours = self._ours.get(key)
            if ours is not None and (ours.kind == "trigger" or wanted is None or wanted.sql != ours.sql):
                self._merge.connection.execute(f"DROP {ours.kind} main.{quoted(ours.name)}")

    def make(self) -> None:
        """Make what is missing; an object whose table is gone goes with it."""
        now = read_schema(self._merge.connection, "main")
        holders = {name for kind, name in now if kind in ("table", "view")}
        for item in sorted(self._wanted, key=lambda item: _ORDER.index(item.kind)):
            key = (item.kind, item.name.lower())
            if key in now:
                continue
            if item.kind != "view" and item.table.lower() not in holders:
                if key not in self._base:
                    self._merge.notes.append(f"the {item.kind} {item.name} went with {item.table}")
                continue
            self._make(key, item)
            holders.add(key[1])

    def _decide(self, key: tuple[str, str]) -> Item | None:
        base, ours, theirs = (schema.get(key) for schema in (self._base, self._ours, self._theirs))
        old, mine, new = (None if item is None else item.sql for item in (base, ours, theirs))
        if theirs is None and ours is not None and not _has_holder(self._theirs, ours):
            return ours  # it went with its table there, and will go with it here
        if ours is None and theirs is not None and not _has_holder(self._ours, theirs):
            return theirs
        if mine == new or new == old:
            return ours
        if mine == old:
            return theirs
        item = ours or theirs
        assert item is not None
        reason = f"both changed the {item.kind} {item.name}"
        is_theirs = self._merge.ask("schema", reason, sides_of(base, ours, theirs), item.name).is_theirs
        return theirs if is_theirs else ours

    def _make(self, key: tuple[str, str], item: Item) -> None:
        try:
            with self._merge.savepoint("one_object"):
                self._merge.connection.execute(item.sql)
        except sqlite3.Error as cause:
            sides = sides_of(*(schema.get(key) for schema in (self._base, self._ours, self._theirs)))
            reason = f"the {item.kind} {item.name} cannot be made over the merged rows: {cause}"
            if self._merge.ask("schema", reason, sides, item.name).is_theirs:
                self._merge.leave("schema", reason, sides, item.name)


def _has_holder(schema: Schema, item: Item) -> bool:
    """Tell whether a schema has what an index or trigger belongs to; a view belongs to nothing."""
    return item.kind == "view" or any((kind, item.table.lower()) in schema for kind in ("table", "view"))
