"""A state in memory: what was captured or is sealed, code by component and memory by store.

All paths here are relative to the root, across components: an embedded repository that lost its git folder is then
simply files of its parent, and both sides of a comparison still speak of the same paths.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import msgspec

from chronos.checkpoints.manifest import (
    UNCAPTURED,
    ComponentKind,
    Entry,
    Grade,
    MemoryRecord,
    ReceiptRow,
    StagedEntry,
)
from chronos.files import TreePath, is_inside, unescape, with_siblings
from chronos.git import HiddenEntry
from chronos.memory import MemoryFile
from chronos.pool import Content, digest


class ComponentState(msgspec.Struct):
    """One repository (or plain folder) under the root. Entry paths are relative to `path`."""

    path: TreePath
    kind: ComponentKind
    base: str | None
    head: str | None
    branch: str | None
    object_format: str = "sha1"
    git_dir: str | None = None
    in_progress: tuple[str, ...] = ()
    entries: dict[TreePath, Entry] = msgspec.field(default_factory=dict)
    staged: list[StagedEntry] = msgspec.field(default_factory=list)
    hidden: list[HiddenEntry] = msgspec.field(default_factory=list)

    @property
    def skipped(self) -> set[TreePath]:
        """The paths that a sparse checkout keeps from the disk."""
        return {entry.path for entry in self.hidden if entry.is_skipped}

    def from_root(self, path: TreePath) -> TreePath:
        """Turn a path of this component into one from the root."""
        return self.path + b"/" + path if self.path else path

    def own_path(self, path: TreePath) -> TreePath:
        """Turn a path from the root into one of this component."""
        return path[len(self.path) + 1 :] if self.path else path

    def list_differing(self, other: ComponentState | None) -> set[TreePath]:
        """Return the paths from the root of the entries that another state of the component does not have like that."""
        known = other.entries if other is not None else {}
        return {self.from_root(own) for own, entry in self.entries.items() if known.get(own) != entry}


class MemoryState(msgspec.Struct, frozen=True):
    """One memory store of a state: what the checkpoint says of it, and its files."""

    record: MemoryRecord
    files: tuple[MemoryFile, ...]

    def paths(self) -> set[TreePath]:
        """Return its place from the root and what belongs to it beside that; none for a store outside."""
        if not self.record.is_inside:
            return set()
        return with_siblings(unescape(self.record.path), map(unescape, self.record.beside))

    def owns(self, path: TreePath) -> bool:
        """Tell whether `path` from the root belongs to the store, and never to the code."""
        if not self.record.is_inside:
            return False
        return is_inside(path, unescape(self.record.path)) or (bool(self.record.beside) and path in self.paths())


class State(msgspec.Struct):
    """The whole state. `components` is keyed by path and always has the root (b''); `memory` by the store's name."""

    components: dict[TreePath, ComponentState]
    memory: dict[str, MemoryState] = msgspec.field(default_factory=dict)
    receipt: list[ReceiptRow] = msgspec.field(default_factory=list)
    grade: Grade = Grade.COMPLETE
    warnings: list[str] = msgspec.field(default_factory=list)

    def owner(self, path: TreePath) -> ComponentState:
        """Return the component that holds `path`: the deepest one above it."""
        folder = path if len(self.components) > 1 else b""
        while folder:
            folder = folder.rpartition(b"/")[0]
            if folder in self.components:
                return self.components[folder]
        return self.components[b""]

    def find_entry(self, path: TreePath) -> Entry | None:
        """Return the entry at `path` from the root, or None when the path is as in its base (or absent from both)."""
        owner = self.owner(path)
        return owner.entries.get(owner.own_path(path))

    def is_memory(self, path: TreePath) -> bool:
        """Tell whether `path` belongs to a memory store of this state."""
        return any(part.owns(path) for part in self.memory.values())

    def add_rows(self, rows: Iterable[ReceiptRow]) -> None:
        """Add to the receipt; a path has one row for each reason, the first."""
        known = {(row.path, row.reason): row for row in reversed((*self.receipt, *rows))}
        self.receipt = sorted(known.values(), key=lambda row: row.path)
        self._by_path = None

    def is_left_out(self, path: TreePath) -> ReceiptRow | None:
        """Return the receipt row that says why `path`, or a folder above it, is not in here."""
        folder, rows = path, self._receipt_by_path
        while folder:
            row = rows.get(folder)
            if row is not None:
                return row
            folder = folder.rpartition(b"/")[0]
        return None

    def uncaptured(self) -> Iterator[ReceiptRow]:
        """Yield the rows about what was seen and not taken, but for memory stores outside of the root."""
        for row in self.receipt:
            if row.reason in UNCAPTURED and not row.path.startswith(b"/"):
                yield row

    @property
    def _receipt_by_path(self) -> dict[TreePath, ReceiptRow]:
        if self._by_path is None:
            self._by_path = {row.path.rstrip(b"/"): row for row in self.receipt if not row.is_staged}
        return self._by_path

    _by_path: dict[TreePath, ReceiptRow] | None = None

    def identity(self, *, aside: Container[str] = ()) -> str:
        """Return a hash that is equal for equal states: components, entries, staged state, flags and memory stores.

        Memory stores whose paths are `aside` do not count.
        """
        parts = [
            (
                c.path,
                c.kind,
                c.base,
                c.head,
                c.branch,
                c.git_dir,
                c.in_progress,
                [*c.entries.values()],
                c.staged,
                c.hidden,
            )
            for c in self.components.values()
        ]
        stores = [
            (name, part.record.path, part.record.identity)
            for name, part in sorted(self.memory.items())
            if part.record.path not in aside
        ]
        return digest(msgspec.msgpack.encode((parts, stores) if stores else parts)).hex()

    def contents(self) -> list[Content]:
        """Return every content that the entries, the staged state and the memory stores refer to."""
        files = (file for part in self.memory.values() for file in part.files)
        return self.code_contents() + [file.content for file in files if file.content is not None]

    def code_contents(self) -> list[Content]:
        """Return every content that the entries and the staged state refer to."""
        found: list[Content] = []
        for component in self.components.values():
            found += [entry.content for entry in component.entries.values() if entry.content is not None]
            found += [row.content for row in component.staged if row.content is not None]
        return found
