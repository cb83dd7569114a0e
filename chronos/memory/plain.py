"""Plain files and folders as a store: bytes are captured as they lie, and a pickle is nothing but bytes here too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from chronos.errors import UnreadableStoreError
from chronos.files import FileStat, PathKind, SafeRoot, TreePath, display, from_text, to_text
from chronos.memory.folders import (
    FolderReader,
    Listing,
    as_look,
    changed_place,
    check_same,
    find_place,
    identity_of,
    list_entries,
    open_place,
    walk,
)
from chronos.memory.kinds import CaptureWork, ReplaceWork, StoreState, TableDifference, TableSummary
from chronos.memory.placing import PlacingRules, replace_place
from chronos.memory.steps import Steps, carry_out_one
from chronos.memory.writing import check_files, write_files
from chronos.pool import Content

if TYPE_CHECKING:
    from chronos.memory.store_merge import MergeWork, StoreMerge

_PIECE_BYTES = 1 << 20
_NAME = "file"  # the fact that says what a store of a single file was called
_SHOWN = 5


class FilesKind:
    """A folder with everything below it, or a single file, or a link, which is never followed.

    Empty folders, times and owners are not covered; permissions stay those of what is replaced.
    """

    name: ClassVar[str] = "files"

    def detect(self, place: Path) -> bool:
        """See MemoryKind: everything is plain files."""
        return True

    def companions(self, place: Path) -> list[Path]:
        """See MemoryKind."""
        return []

    def look(self, place: Path) -> tuple[object, ...]:
        """See MemoryKind."""
        found = find_place(place)
        if found is None:
            return ()
        if found.kind is not PathKind.FOLDER:
            return (found.kind.value, found.mode, found.size, found.mtime_ns, found.ctime_ns, found.inode)
        with open_place(place) as tree:
            return as_look(walk(tree))

    def capture(self, place: Path, work: CaptureWork) -> StoreState:
        """See MemoryKind."""
        looks = self.look(place)
        found = find_place(place)
        if found is None:
            raise changed_place(place)
        is_folder = found.kind is PathKind.FOLDER
        with open_place(place if is_folder else place.parent) as tree:
            reader = FolderReader(tree, work, b"" if is_folder else os.fsencode(place.name))
            moving = reader.read_settled(lambda: _list(place, found, tree))
        files = [file for _, file in sorted(reader.files.items())]
        notes = [
            f"{_shown(place, path)} is a SQLite database: declare it as a store of its own (`chrono memory add`)"
            for path in sorted(reader.databases)
        ]
        notes += [f"{_shown(place, path)} was written to all the while" for path in moving[:_SHOWN]]
        facts: dict[str, str | int] = {"files": len(files)} if is_folder else {_NAME: to_text(os.fsencode(place.name))}
        left_out = [row for _, row in sorted(reader.left_out.items())]
        return StoreState(self.name, identity_of(files), files, looks, facts, notes, left_out, bool(moving))

    def replace(self, place: Path, state: StoreState | None, work: ReplaceWork) -> list[str]:
        """See MemoryKind."""
        return carry_out_one(self.replacing(place, state, work))

    def replacing(self, place: Path, state: StoreState | None, work: ReplaceWork) -> Steps[list[str]]:
        """See SteppedKind. A file that another process has open for writing is in use."""
        if state is not None and _NAME in state.facts and not state.files:
            return [f"{place.name} is in no checkpoint and was kept"]
        files = state.files if state is not None else []
        rules = PlacingRules(self.look, lambda draft: check_files(draft, files))
        return (yield from replace_place(place, state, work, rules))

    def write_out(self, folder: Path, state: StoreState, pieces: Callable[[Content], Iterator[bytes]]) -> Path:
        """See MemoryKind. A single file keeps its name."""
        place = folder
        if [file.path for file in state.files] == [b""]:
            name = from_text(str(state.facts.get(_NAME, "")))
            place = folder / (os.fsdecode(name) if name and b"/" not in name else "store")
        write_files(place, state.files, pieces)
        return place

    def summarise(self, place: Path) -> list[TableSummary]:
        """See MemoryKind: each file is a table of one row."""
        with _translate(place):
            return [TableSummary(_shown(place, path), 1, _describe(seen)) for path, seen in list_entries(place).items()]

    def compare(self, old: Path, new: Path, *, limit_s: float) -> list[TableDifference]:
        """See MemoryKind: each file is a table of one row, and differs when a byte does."""
        deadline = time.monotonic() + limit_s
        found = []
        with _translate(new):
            before, after = list_entries(old), list_entries(new)
            for path in sorted(before.keys() | after.keys()):
                difference = _compare(_Side(old, path, before.get(path)), _Side(new, path, after.get(path)), deadline)
                found += [difference] if difference is not None else []
        return found

    def merge(self, base: Path | None, ours: Path, theirs: Path, work: MergeWork) -> StoreMerge:
        """See MemoryKind: file by file; each counts as a table of one row."""
        from chronos.memory.plain_merge import merge

        return merge(base, ours, theirs, work)


def _list(place: Path, found: FileStat, tree: SafeRoot) -> Listing:
    """Look at the place again. Raises OSError when it is gone, or became another folder."""
    if found.kind is PathKind.FOLDER:
        check_same(place, found)
        return walk(tree)
    now = find_place(place)
    if now is None or now.kind is PathKind.FOLDER:
        raise changed_place(place)
    return {b"": now}


class _Side(NamedTuple):
    """A file on one side of a comparison."""

    place: Path
    path: TreePath
    seen: FileStat | str | None

    @property
    def is_file(self) -> bool:
        return isinstance(self.seen, FileStat) and self.seen.kind is PathKind.FILE


def _compare(old: _Side, new: _Side, deadline: float) -> TableDifference | None:
    name, notes = _shown(new.place, new.path), tuple(_describe(side.seen) for side in (old, new) if side.seen)
    if old.seen is None or new.seen is None:
        is_new = old.seen is None
        return TableDifference(name, "A" if is_new else "D", int(is_new), int(not is_new), 0, notes)
    if time.monotonic() > deadline and _size(old) == _size(new):
        return TableDifference(name, "M", 0, 0, None, ("not compared: it took too long",))
    if _is_equal(old, new):
        return None
    return TableDifference(name, "M", 0, 0, 1, (" → ".join(dict.fromkeys(notes)),))


def _is_equal(old: _Side, new: _Side) -> bool:
    if not old.is_file or not new.is_file:
        return _describe(old.seen) == _describe(new.seen) and _target(old) == _target(new)
    if _size(old) != _size(new):
        return False
    if os.path.samefile(_own(old), _own(new)):
        return True
    with _reading(old) as first, _reading(new) as second:
        while True:
            piece = os.read(first, _PIECE_BYTES)
            if piece != os.read(second, len(piece) or 1):
                return False
            if not piece:
                return True


def _target(side: _Side) -> str | None:
    is_link = isinstance(side.seen, FileStat) and side.seen.kind is PathKind.LINK
    return os.readlink(_own(side)) if is_link else None


@contextmanager
def _reading(side: _Side) -> Iterator[int]:
    own = _own(side)
    with open_place(own.parent) as tree, tree.reading(os.fsencode(own.name)) as descriptor:
        yield descriptor


def _own(side: _Side) -> Path:
    return side.place / os.fsdecode(side.path) if side.path else side.place


def _size(side: _Side) -> int:
    return side.seen.size if isinstance(side.seen, FileStat) else -1


def _shown(place: Path, path: TreePath) -> str:
    return display(path or os.fsencode(place.name))


def _describe(seen: FileStat | str | None) -> str:
    if not isinstance(seen, FileStat):
        return seen or ""
    return f"{seen.size} bytes" if seen.kind is PathKind.FILE else seen.kind.value


@contextmanager
def _translate(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise UnreadableStoreError(f"{place} cannot be read: {cause.strerror or cause}") from cause
