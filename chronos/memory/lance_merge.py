"""A three-way merge of LanceDB databases: a table that one side changed is that side's, files and versions and all.

Of a table that both changed the rows are merged, in a child (`lance_merging`); its branches and tags are those of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from chronos.files import TreePath, discard, is_inside, move_away
from chronos.memory.lance_client import compare_tables, program_of
from chronos.memory.lance_format import find_tables, newest_manifest
from chronos.memory.lance_reading import shown
from chronos.memory.plain_merge import Copy, Files
from chronos.memory.sqlite_frames import REQUEST, send_json
from chronos.memory.sqlite_reader import Child, hexed
from chronos.memory.store_merge import Decisions, MergeWork, StoreMerge, TableMerge, converse, move_in
from chronos.merging import Choice, ConflictKind, Strategy
from chronos.process import Conversation

_MODULE = "chronos.memory.lance_merging"
_REFS = b"_refs"
_COUNTING_S = 60.0
_Signature = tuple[object, ...]


class _Copies:
    """The three places, and what tells whether a table is the same in two of them."""

    def __init__(self, base: Path | None, ours: Path, theirs: Path) -> None:
        self.places = {"base": base, "ours": ours, "theirs": theirs}
        found = {side: find_tables(place) if place is not None else [] for side, place in self.places.items()}
        # A branch is a table inside of another.
        self.tables = {
            side: [table for table in tables if not any(is_inside(table, other) for other in tables if other != table)]
            for side, tables in found.items()
        }
        self._inner = found

    def signature(self, side: str, table: TreePath) -> _Signature | None:
        """Return the newest version of a table and of its branches, and its tags, or None where it is not there."""
        place = self.places[side]
        if place is None or table not in self.tables[side]:
            return None
        parts = [one for one in self._inner[side] if one == table or is_inside(one, table)]
        return (*((part, *newest_manifest(place, part)) for part in parts), *_refs(place, table))

    def folder(self, side: str, table: TreePath) -> Path:
        """Return where a table lies."""
        place = self.places[side]
        assert place is not None
        return place / os.fsdecode(table) if table else place


def merge(base: Path | None, ours: Path, theirs: Path, work: MergeWork) -> StoreMerge:
    """See MemoryKind."""
    decisions = Decisions(work)
    place = move_in(ours, work.folder)
    merging = _Database(_Copies(base, place, theirs), place, decisions)
    for table in sorted(set().union(*merging.copies.tables.values())):
        merging.merge_table(table)
    merging.merge_rows(unites=work.strategy is Strategy.UNION)
    merging.take_tables()
    merging.merge_others(work)
    return StoreMerge(place, merging.tables, decisions.open, merging.notes + decisions.notes)


class _Database:
    """One merge of a database; the copy of ours becomes the merged one."""

    def __init__(self, copies: _Copies, place: Path, decisions: Decisions) -> None:
        self.copies = copies
        self.tables: list[TableMerge] = []
        self.notes: list[str] = []
        self._place = place
        self._decisions = decisions
        self._both: list[TreePath] = []
        self._theirs: list[TreePath] = []

    def merge_table(self, table: TreePath) -> None:
        """Take a table that one side changed; leave those that both changed for `merge_rows`."""
        base, ours, theirs = (self.copies.signature(side, table) for side in ("base", "ours", "theirs"))
        if theirs in (ours, base):
            return
        if ours == base:
            self._theirs.append(table)
        elif ours is None or theirs is None:
            reason = (
                "ours dropped the table, theirs changed it" if ours is None else "theirs dropped it, ours changed it"
            )
            self._ask_whole(table, ConflictKind.DELETED, reason, {})
        else:
            self._both.append(table)

    def merge_rows(self, *, unites: bool) -> None:
        """Merge the rows of all tables that both changed."""
        if not self._both:
            return
        tasks = []
        for table in self._both:
            task = {"name": self._shown(table)}
            for side in ("base", "ours", "theirs"):
                is_there = table in self.copies.tables[side]
                task[side] = hexed(self.copies.folder(side, table).absolute()) if is_there else ""
            tasks.append(task)
        with _open_child(self._place) as child:
            with child.telling() as write:
                send_json(write, REQUEST, {"tables": tasks, "unites": unites})
            results = converse(child, self._decisions, check=lambda value: value)
        for table, result in zip(self._both, results, strict=True):
            if "whole" in result:
                self._ask_whole(table, ConflictKind.SCHEMA, result["whole"], result["schemas"])
                continue
            if any(result[what] for what in ("added", "changed", "removed")):
                row = TableMerge(self._shown(table), result["added"], result["changed"], result["removed"])
                self.tables.append(row)
            self.notes += result["notes"]
            if _refs(*self._at("base", table)) != _refs(*self._at("theirs", table)):
                self.notes.append(f"{self._shown(table)}: tags and branches are those of ours")

    def merge_others(self, work: MergeWork) -> None:
        """Merge the files of the folder that belong to no table."""
        tables = set().union(*self.copies.tables.values())
        if b"" in tables:
            return

        def is_other(path: TreePath) -> bool:
            return not any(is_inside(path, table) for table in tables)

        copies = [Copy(place, is_other) for place in self.copies.places.values()]
        files = Files(copies[0], copies[1], copies[2], work, self._decisions)
        files.decide()
        files.write(self._place)
        self.tables += files.tables(self._place)

    def take_tables(self) -> None:
        """Let each table that is to be as in theirs be so, with all of its versions."""
        old, new = self.copies.places["ours"], self.copies.places["theirs"]
        assert old is not None and new is not None
        for found in compare_tables(old, new, {self._shown(table): table for table in self._theirs}, _COUNTING_S):
            self.tables.append(TableMerge(found.name, found.added, found.changed or 0, found.removed))
        for table in self._theirs:
            source, target = (self.copies.folder(side, table) for side in ("theirs", "ours"))
            discard(target)
            if table in self.copies.tables["theirs"]:
                target.parent.mkdir(parents=True, exist_ok=True)
                move_away(source, target)

    def _ask_whole(self, table: TreePath, kind: ConflictKind, reason: str, schemas: Mapping[str, str | None]) -> None:
        sides = {}
        for side in ("base", "ours", "theirs"):
            signature = self.copies.signature(side, table)
            text = schemas.get(side) or repr(signature)
            sides[side] = None if signature is None else text.encode()
        conflict = self._decisions.conflict(kind, reason, sides, table=self._shown(table))
        resolution = self._decisions.decide(conflict)
        if resolution is not None and resolution.choice is Choice.THEIRS:
            self._theirs.append(table)

    def _at(self, side: str, table: TreePath) -> tuple[Path | None, TreePath]:
        return self.copies.places[side], table

    def _shown(self, table: TreePath) -> str:
        return shown(self._place, table)


def _refs(place: Path | None, table: TreePath) -> tuple[tuple[bytes, bytes], ...]:
    """Return the tags and branches of a table, by the files that they lie in."""
    if place is None:
        return ()
    root, found = os.path.join(os.fsencode(place), table, _REFS), []
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb") as stream:
                found.append((os.path.relpath(os.path.join(folder, name), root), stream.read()))
    return tuple(sorted(found))


@contextmanager
def _open_child(place: Path) -> Iterator[Child]:
    argv, environment = program_of(_MODULE)
    conversation = Conversation(argv, environment=environment, cwd=Path("/"), keep_errors=True)
    try:
        yield Child(place, conversation)
    finally:
        conversation.close()
