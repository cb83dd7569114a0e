"""The bytes behind a merge: as a side has them on disk where it says so, else as a checkout would write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import cached_property

import msgspec

from chronos.files import TreePath
from chronos.git import GITLINK_MODE, LINK_MODE, BlobReader, TreeEntry, TreeMerge, TreeSide
from chronos.merging.conflicts import Choice


class Origin(msgspec.Struct, frozen=True):
    """The side, and the path there, that has the very same content."""

    side: Choice
    path: TreePath


class MergedFile(msgspec.Struct, frozen=True):
    """What a path becomes: git's mode, and where its bytes come from.

    With an `origin` they are that side's own, bytes on disk and all. Without one they were made: `data` has them, or
    git has merged them into the object `oid`. A submodule has the commit's id as `oid`.
    """

    mode: int
    oid: str = ""
    origin: Origin | None = None
    data: bytes | None = None


class Contents:
    """Reads what a merge is made of. The processes for it start when something is asked for."""

    def __init__(self, merge: TreeMerge, ours: TreeSide, theirs: TreeSide) -> None:
        self._merge = merge
        self._sides = {Choice.OURS: ours, Choice.THEIRS: theirs}
        self._open = ExitStack()
        self._differences = {Choice.THEIRS: merge.by_theirs, Choice.OURS: merge.by_ours}
        self._places = {side: _places_of(difference) for side, difference in self._differences.items()}

    def __enter__(self) -> Contents:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def find_origin(self, entry: TreeEntry) -> Origin | None:
        """Return a side that has the content of `entry`: theirs before ours, and the same path before another."""
        for side, difference in self._differences.items():
            there = difference.get(entry.path)
            if there is not None and there.oid == entry.oid:
                return Origin(side, entry.path)
        for side, places in self._places.items():
            if entry.oid in places:
                return Origin(side, places[entry.oid])
        return None

    def file_of(self, entry: TreeEntry) -> MergedFile:
        """Return what a path becomes when it becomes `entry`."""
        return MergedFile(entry.mode, entry.oid, self.find_origin(entry))

    def find_sizes(self, entries: Iterable[TreeEntry]) -> dict[str, int]:
        """Return the size in bytes of each object, by id; of a commit of a submodule there is none."""
        return self._raw_reader.find_sizes(entry.oid for entry in entries if entry.mode != GITLINK_MODE)

    def read(self, path: TreePath, file: MergedFile) -> bytes:
        """Return the bytes that `file` has on disk at `path`; of a link where it leads, of a submodule its commit."""
        if file.data is not None:
            return file.data
        if file.mode == GITLINK_MODE:
            return file.oid.encode("ascii")
        origin = file.origin
        is_on_disk = origin is not None and self._sides[origin.side].changes.get(origin.path) is not None
        if is_on_disk or file.mode == LINK_MODE:
            return self._raw_reader.read(file.oid)
        return self._filtered_reader.read(file.oid, path)

    def read_object(self, oid: str) -> bytes:
        """Return the bytes of a blob as git keeps them."""
        return self._raw_reader.read(oid)

    @cached_property
    def _raw_reader(self) -> BlobReader:
        return self._open.enter_context(BlobReader(self._merge.command))

    @cached_property
    def _filtered_reader(self) -> BlobReader:
        return self._open.enter_context(BlobReader(self._merge.checkout_command, filters=True))


def _places_of(difference: Mapping[TreePath, TreeEntry | None]) -> dict[str, TreePath]:
    return {entry.oid: entry.path for entry in difference.values() if entry is not None}
