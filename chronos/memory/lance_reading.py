"""One attempt to read a LanceDB database while others write to it.

All manifests, tags and branches are read as of one instant: they are listed before and after, until nothing moved in
between. Then come the files that they name. What a cleanup removes meanwhile costs an older version, but never the
newest of a table: without that the attempt has failed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from chronos.files import FileStat, SafeRoot, TreePath, display, to_text
from chronos.memory.folders import FolderReader, Listing, check_same, identity_of, walk
from chronos.memory.kinds import CaptureWork, StoreState
from chronos.memory.lance_format import (
    INDICES,
    Manifest,
    ManifestReader,
    enter_light,
    is_manifest,
    is_passing,
    table_of,
    version_of,
)

_CUTS = 12


def lasting(listing: Listing) -> Listing:
    """Leave out hints, and files that come and go."""
    return {path: seen for path, seen in listing.items() if not is_passing(path)}


def fact_of(table: TreePath) -> str:
    """Return the name of the fact that tells a table's version: its folder as text."""
    return to_text(table) or "."


def shown(place: Path, table: TreePath) -> str:
    """Name a table as LanceDB does; a branch as `table@branch`."""
    text = display(table or os.fsencode(place.name))
    return text.replace(".lance/tree/", "@", 1).removesuffix(".lance")


class _Table(msgspec.Struct):
    """A table while it is read: its newest manifest, and what each version needs, by the path of its manifest."""

    folder: TreePath
    newest: TreePath | None = None
    versions: dict[TreePath, Manifest] = msgspec.field(default_factory=dict)
    is_damaged: bool = False
    dropped: int = 0


class LanceReading:
    """One attempt to read a database. `lost` are tables whose newest version could not be completed."""

    def __init__(
        self, place: Path, found: FileStat, tree: SafeRoot, work: CaptureWork, manifests: ManifestReader
    ) -> None:
        self.lost: set[TreePath] = set()
        self.moving: list[TreePath] = []
        self._place = place
        self._found = found
        self._tree = tree
        self._manifests = manifests
        self._reader = FolderReader(tree, work)
        self._tables: dict[TreePath, _Table] = {}
        self._heavy: Listing = {}
        self._unnamed = 0
        self._outside: set[bytes] = set()

    def run(self) -> None:
        """Read the manifests, then the files that they name."""
        self.moving = self._reader.read_settled(self._list_light, _CUTS)
        for path in [path for path in self._reader.files if is_manifest(path)]:
            self._read_manifest(self._tables.setdefault(table_of(path), _Table(table_of(path))), path)
        if len(self._tables) == 1:  # with one table nothing has to agree with it
            self.moving = [path for path in self.moving if not is_manifest(path)]
        check_same(self._place, self._found)
        everything = lasting(walk(self._tree))
        light = self._reader.files.keys() | self._reader.left_out.keys()
        self._heavy = {path: seen for path, seen in everything.items() if path not in light and self._in_table(path)}
        self._drop_incomplete(self._heavy.keys())
        for path in self._wanted():
            seen = self._heavy[path]
            if self._reader.take(path, seen) is None:
                self._reader.forget(path)
            elif isinstance(seen, FileStat) and self._tree.find_stat(path) not in (seen, None):
                self.moving.append(path)
        self._drop_incomplete(self._reader.files.keys() | self._reader.left_out.keys())
        self._forget_unnamed()

    def state(self, kind: str, looks: tuple[object, ...]) -> StoreState:
        """Return what was read."""
        reader = self._reader
        files = [file for _, file in sorted(reader.files.items())]
        left_out = [row for _, row in sorted(reader.left_out.items())]
        facts: dict[str, str | int] = {
            fact_of(table.folder): version_of(table.newest)
            for table in self._tables.values()
            if table.newest is not None and not table.is_damaged and table.folder not in self.lost
        }
        notes = list(self._notes())
        is_torn = bool(self.lost or self.moving)
        return StoreState(kind, identity_of(files), files, looks, facts, notes, left_out, is_torn)

    def _list_light(self) -> Listing:
        check_same(self._place, self._found)
        return lasting(walk(self._tree, enter_light))

    def _read_manifest(self, table: _Table, path: TreePath) -> None:
        if version_of(path) > (version_of(table.newest) if table.newest is not None else 0):
            table.newest = path
        try:
            with self._tree.reading(path) as descriptor, open(descriptor, "rb", closefd=False) as stream:
                table.versions[path] = self._from_place(table, self._manifests.read(stream.read()))
        except FileNotFoundError:  # a cleanup: of the newest version it is not
            self._reader.forget(path)
        except (ValueError, OSError):
            table.is_damaged = True

    def _in_table(self, path: TreePath) -> bool:
        folder = path
        while folder:
            folder = folder.rpartition(b"/")[0]
            if folder in self._tables:
                return True
        return b"" in self._tables

    def _from_place(self, table: _Table, manifest: Manifest) -> Manifest:
        """Return a manifest with paths from the place."""
        required, helpful, folders = (
            frozenset(self._resolve(table, names, manifest.leans))
            for names in (manifest.required, manifest.helpful, manifest.folders)
        )
        return Manifest(manifest.version, required, helpful, folders, manifest.leans, manifest.is_known)

    def _resolve(self, table: _Table, names: frozenset[bytes], leans: bool) -> Iterator[TreePath]:
        """Yield paths from the place for paths in a table; those of other places are only remembered."""
        prefix = table.folder + b"/" if table.folder else b""
        if not leans:
            yield from [prefix + name for name in names]
            return
        own = os.path.abspath(os.fsencode(self._place)) + b"/"
        for name in names:
            if not name.startswith(b"/"):
                yield prefix + name
            elif name.startswith(own):
                yield name[len(own) :]
            else:
                self._outside.add(name.rpartition(b"/")[0])

    def _drop_incomplete(self, present: Iterable[TreePath]) -> None:
        """Forget older versions that miss a file; a table whose newest one does is lost."""
        present = set(present) | self._reader.files.keys()
        for table in self._tables.values():
            if table.newest is not None and table.newest not in table.versions and not table.is_damaged:
                self.lost.add(table.folder)
            for path, manifest in list(table.versions.items()):
                if manifest.required <= present:
                    continue
                if path == table.newest:
                    self.lost.add(table.folder)
                elif not table.is_damaged:
                    del table.versions[path]
                    self._reader.forget(path)
                    table.dropped += 1

    def _wanted(self) -> list[TreePath]:
        """Return the files to read, those of the newest versions first: a cleanup spares them longest."""
        indices: dict[TreePath, list[TreePath]] = {}
        for path in self._heavy:
            head, mark, tail = path.partition(INDICES)
            if mark:
                indices.setdefault(head + mark + tail.split(b"/")[0], []).append(path)
        wanted: dict[TreePath, None] = {}
        tables = self._tables.values()
        versions = [(path != t.newest, -m.version, m) for t in tables for path, m in t.versions.items()]
        for _, _, manifest in sorted(versions, key=lambda row: row[:2]):
            wanted.update(dict.fromkeys(manifest.required))
            wanted.update(dict.fromkeys(manifest.helpful))
            wanted.update((path, None) for folder in manifest.folders for path in indices.get(folder, ()))
        for table in tables:
            if table.is_damaged or not all(manifest.is_known for manifest in table.versions.values()):
                wanted.update(dict.fromkeys(self._files_of(table)))
        return [path for path in wanted if path in self._heavy]

    def _files_of(self, table: _Table) -> list[TreePath]:
        return [path for path in self._heavy if not table.folder or path.startswith(table.folder + b"/")]

    def _forget_unnamed(self) -> None:
        """Drop what was read for versions that turned out to miss other files."""
        wanted = set(self._wanted())
        for path in self._heavy:
            if path not in wanted:
                self._unnamed += 1
                self._reader.forget(path)

    def _notes(self) -> Iterator[str]:
        for table in self._tables.values():
            name = shown(self._place, table.folder)
            if table.folder in self.lost:
                yield f"{name}: files of its newest version were removed while they were read"
            if table.is_damaged:
                yield f"{name}: a manifest is damaged; the table was taken as plain files"
            if table.dropped:
                yield f"{name}: {table.dropped} older versions were left out, since a cleanup removed files of theirs"
        for path in self.moving:
            yield f"{display(path)} was written to all the while"
        for folder in sorted(self._outside):
            yield f"a table leans on {display(folder)}, which is outside of this store and was not captured"
        if self._unnamed:
            yield f"{self._unnamed} files that no version of a table names were left out"
