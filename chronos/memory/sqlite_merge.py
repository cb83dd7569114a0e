"""The parent's side of a merge of databases: the child asks, here it is decided.

The copies are scratch files of ours that nobody else has open, so this process may read them. The one of ours is moved
to where the merged database will be, and becomes it.
"""

from __future__ import annotations

import os
from pathlib import Path

from chronos.files import move_away
from chronos.memory.sqlite_files import JOURNAL, WAL
from chronos.memory.sqlite_reader import hexed, open_child
from chronos.memory.store_merge import Decisions, MergeWork, StoreMerge, TableMerge, converse, side_of_files
from chronos.merging import Choice, ConflictKind, Strategy

_UNREADABLE = "it is no readable database, and can only be had whole"


def merge(base: Path | None, ours: Path, theirs: Path, work: MergeWork) -> StoreMerge:
    """See MemoryKind."""
    place = work.folder / ours.name
    decisions = Decisions(work)
    if any(_files(side) != [side] for side in (base, ours, theirs) if side is not None):
        return _merge_whole(base, ours, theirs, place, decisions, _UNREADABLE)
    move_away(ours, place)
    request = {
        "work": "merge",
        "base": hexed(base) if base is not None else "",
        "place": hexed(place),
        "theirs": hexed(theirs),
        "unites": work.strategy is Strategy.UNION,
    }
    with open_child(place, request) as child:
        done = converse(child, decisions)
    if "whole" in done:
        decisions.open.clear()
        return _merge_whole(base, place, theirs, place, decisions, done["whole"])
    tables = [TableMerge(*row) for row in done["tables"]]
    return StoreMerge(place, tables, decisions.open, done["notes"] + decisions.notes)


def _merge_whole(
    base: Path | None, ours: Path, theirs: Path, place: Path, decisions: Decisions, reason: str
) -> StoreMerge:
    """Take one of the sides as it lies."""
    hashes = [b"" if side is None else _hash(side) for side in (base, ours, theirs)]
    is_theirs = hashes[0] == hashes[1]
    if not is_theirs and hashes[2] not in hashes[:2]:
        sides = [(None, False) if side is None else side_of_files(_files(side)) for side in (base, ours, theirs)]
        shown = dict(zip(("base", "ours", "theirs"), (side for side, _ in sides), strict=True))
        is_large = any(flag for _, flag in sides)
        conflict = decisions.conflict(ConflictKind.STORE, reason, shown, is_large=is_large)
        resolution = decisions.decide(conflict)
        is_theirs = resolution is not None and resolution.choice is Choice.THEIRS
    source = theirs if is_theirs else ours
    if source != place:
        for file in _files(place):
            file.unlink()
        for file in _files(source):
            move_away(file, place.with_name(place.name + file.name[len(source.name) :]))
    taken = [f"all of it is theirs: {reason}"] if is_theirs else []
    return StoreMerge(place, [], decisions.open, taken + decisions.notes)


def _files(place: Path) -> list[Path]:
    names = [place.name, *(place.name + os.fsdecode(part) for part in (WAL, JOURNAL))]
    return [path for name in names if (path := place.with_name(name)).exists()]


def _hash(place: Path) -> bytes:
    from chronos.pool import HashingSink

    found = b""
    for file in _files(place):
        with open(file, "rb") as stream:
            found += HashingSink().add_file(stream.fileno(), os.fstat(stream.fileno()).st_size).id
    return found
