"""A three-way merge of one store: what it works with, what it says, and who decides what it cannot."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from chronos.errors import UsageError
from chronos.files import display, move_away
from chronos.memory.rows import LARGE_BYTES, decode, parse_row
from chronos.memory.sqlite_frames import CONFLICT, REQUEST, send_json
from chronos.memory.sqlite_reader import Child
from chronos.merging import Choice, Conflict, ConflictKind, Resolution, Resolver, Strategy
from chronos.pool import HashingSink, digest

_MOST_CONFLICTS = 10_000
_SIDES = (Choice.OURS, Choice.THEIRS)
_OF_ROWS = (ConflictKind.ROW, ConflictKind.CONSTRAINT)


class MergedText(msgspec.Struct, frozen=True):
    """A text made of two; one that is not clean has conflict markers."""

    content: bytes
    is_clean: bool


# Of a path and the base (empty: none), ours and theirs of a text there; None where it is not to be merged.
MergeText = Callable[[bytes, bytes, bytes, bytes], MergedText | None]


class MergeWork(msgspec.Struct, frozen=True):
    """What a merge works with.

    The merged store is written into the empty folder `folder`. `path` and `store` go into each conflict. `resolve` is
    asked about every conflict before `strategy` is; what neither decides is listed, at most `most_conflicts` of them:
    the others show when those are resolved. `merge_text` merges files that are texts; without it they are conflicts.
    """

    folder: Path
    path: bytes
    store: str
    resolve: Resolver
    strategy: Strategy
    most_conflicts: int = _MOST_CONFLICTS
    merge_text: MergeText | None = None


class TableMerge(msgspec.Struct, frozen=True):
    """What a table got from theirs, in rows."""

    name: str
    added: int
    changed: int
    removed: int


class StoreMerge(msgspec.Struct):
    """A merged store at `place`. With conflicts it is ours wherever one is."""

    place: Path
    tables: list[TableMerge] = msgspec.field(default_factory=list)
    conflicts: list[Conflict] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)


class Decisions:
    """Decides conflicts of one store: by the resolver, then by the strategy; keeps those that nobody decides."""

    def __init__(self, work: MergeWork) -> None:
        self._work = work
        self._unlisted = 0
        self.open: list[Conflict] = []

    @property
    def notes(self) -> list[str]:
        """Say how many conflicts are not listed."""
        return [f"{self._unlisted} more conflicts are not listed"] if self._unlisted else []

    def conflict(
        self,
        kind: ConflictKind,
        reason: str,
        sides: Mapping[str, bytes | None],
        *,
        table: str = "",
        key: str = "",
        path: bytes = b"",
        merged: bytes | None = None,
        is_large: bool = False,
    ) -> Conflict:
        """Return a conflict of the store, or of the file `path` in it. Sides over 1 MiB become their hash."""
        large = {name for name, side in sides.items() if side is not None and len(side) > LARGE_BYTES}
        shown = {name: digest(side).hex().encode() if name in large and side else side for name, side in sides.items()}
        return Conflict(
            kind,
            self._work.path + b"/" + path if path else self._work.path,
            reason,
            **shown,
            merged=merged,
            store=self._work.store,
            table=table,
            key=key,
            is_large=is_large or bool(large),
        )

    def decide(self, conflict: Conflict, *, may_be_content: bool = False) -> Resolution | None:
        """Return what is decided; None keeps the conflict. Raises UsageError for a content that cannot be taken."""
        resolution = self._work.resolve(conflict)
        if resolution is None and self._work.strategy in (Strategy.OURS, Strategy.THEIRS):
            return Resolution(Choice(self._work.strategy.value))
        if resolution is None:
            self.keep(conflict)
        elif resolution.choice not in _SIDES and not may_be_content:
            what = conflict.table or display(conflict.path)
            raise UsageError(
                f"{what} can only be had whole, from one of the two sides",
                hint="resolve it again with --ours or --theirs",
            )
        return resolution

    def keep(self, conflict: Conflict) -> None:
        """List a conflict that stays."""
        if len(self.open) < self._work.most_conflicts:
            self.open.append(conflict)
        else:
            self._unlisted += 1


def row_of(conflict: Conflict, content: bytes, check: Callable[[Any], object] = decode) -> dict[str, Any]:
    """Return the row, as JSON, that resolves a conflict of rows; `check` raises ValueError for what is no cell.

    Raises UsageError when it cannot be that row.
    """
    sides = [json.loads(side) for side in (conflict.ours, conflict.theirs, conflict.base) if side is not None]
    keys = [json.loads(conflict.key)]
    keys += [{name: side[name] for name in keys[0] if name in side} for side in sides]
    try:
        return parse_row(content, sides[0] if sides else (), keys, check)
    except ValueError as cause:
        where = f"{conflict.store or display(conflict.path)}, table {conflict.table}, {conflict.key}"
        raise UsageError(
            f"this cannot be the row {where}: {cause}",
            hint="resolve it again, with the whole row as a JSON object of column and value",
        ) from cause


def converse(child: Child, decisions: Decisions, check: Callable[[Any], object] = decode) -> Any:
    """Answer what a child asks about conflicts until it is done; return its answer. Raises what it or they raise."""
    while True:
        tag, length = child.next_frame()
        told = child.read_document(length)
        if tag != CONFLICT:
            return told
        answer = _answer(told, decisions, check)
        with child.telling() as write:
            send_json(write, REQUEST, answer)


def _answer(told: dict[str, Any], decisions: Decisions, check: Callable[[Any], object]) -> list[Any]:
    if told["what"] == "forget":
        decisions.open[:] = [conflict for conflict in decisions.open if conflict.table != told["table"]]
        return []
    encoded = {
        name: None if text is None else text.encode("utf-8", "surrogatepass") for name, text in told["sides"].items()
    }
    conflict = decisions.conflict(
        ConflictKind(told["kind"]),
        told["reason"],
        encoded,
        table=told["table"],
        key=told["key"],
        is_large=told["is_large"],
    )
    if told["what"] == "leave":
        decisions.keep(conflict)
        return []
    resolution = decisions.decide(conflict, may_be_content=conflict.kind in _OF_ROWS)
    if resolution is None:
        return []
    if resolution.choice is Choice.CONTENT:
        return [resolution.choice.value, row_of(conflict, resolution.content, check)]
    return [resolution.choice.value]


def side_of_files(files: Iterable[Path]) -> tuple[bytes | None, bool]:
    """Return the bytes of a file, or the hash of large or several ones, and whether it is a hash. Raises OSError."""
    found = [file for file in files if os.path.lexists(file)]
    if not found:
        return None, False
    if len(found) == 1 and found[0].stat().st_size <= LARGE_BYTES:
        return found[0].read_bytes(), False
    hashes = []
    for file in found:
        with open(file, "rb") as stream:
            hashes.append(HashingSink().add_file(stream.fileno(), os.fstat(stream.fileno()).st_size).id)
    return (hashes[0] if len(hashes) == 1 else digest(b"".join(hashes))).hex().encode(), True


def move_in(place: Path, folder: Path) -> Path:
    """Move a copy to where the merged store is to be: a folder becomes the empty `folder`, a file lies in it."""
    if place.is_dir() and not place.is_symlink():
        folder.rmdir()
        move_away(place, folder)
        return folder
    move_away(place, folder / place.name)
    return folder / place.name
