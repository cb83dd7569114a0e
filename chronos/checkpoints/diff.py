"""Comparing two states: which paths differ, what stands on each side, and patches for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chronos.checkpoints.changes import ABSENT, Side, SideKind
from chronos.checkpoints.manifest import UNCAPTURED, MemoryRecord, Reason
from chronos.checkpoints.rules import ATTRIBUTES_FILE, StateRules
from chronos.checkpoints.sides import BlobSource, Sides, absorbed_repositories, side_on_disk
from chronos.checkpoints.states import MemoryState, State
from chronos.files import SafeRoot, TreePath, display, is_inside, translate_os_errors
from chronos.git import Repository, TextPatch, diff_contents, diff_trees, list_tree, mode_of
from chronos.pool import PoolReader

UNKNOWN = "?"


class Difference(msgspec.Struct, frozen=True):
    """One path that differs. `status` is A (added), M (modified), D (deleted), T (another type or mode) or ? (unknown).

    Unknown is what one of the two left out, a secret or a large file, and nothing says that it is the same.
    """

    path: TreePath
    status: str
    old: Side
    new: Side


class StorePair(msgspec.Struct, frozen=True):
    """One memory store that differs: what it was and what it is, None where there is none."""

    old: MemoryState | None
    new: MemoryState | None

    @property
    def record(self) -> MemoryRecord:
        """What the newer side says of the store, or the older one when it is gone."""
        part = self.new or self.old
        assert part is not None
        return part.record

    @property
    def status(self) -> str:
        """A (added), D (removed) or M (modified)."""
        return "A" if self.old is None else "D" if self.new is None else "M"


def list_changed_stores(old: State, new: State) -> list[StorePair]:
    """Return the memory stores that differ between two states, by their places."""
    before = {part.record.path: part for part in old.memory.values()}
    after = {part.record.path: part for part in new.memory.values()}
    pairs = (StorePair(before.get(path), after.get(path)) for path in sorted({*before, *after}))
    return [pair for pair in pairs if pair.status != "M" or _identity(pair.old) != _identity(pair.new)]


def _identity(part: MemoryState | None) -> str | None:
    return part.record.identity if part is not None else None


class StateDiff:
    """The differences from one state to another. `live` is the tree when the new state is what is on disk now.

    `scratch` is an empty folder of ours.
    """

    def __init__(
        self,
        old: State,
        new: State,
        repositories: Mapping[TreePath, Repository],
        pool: PoolReader,
        live: SafeRoot | None,
        scratch: Path,
    ) -> None:
        self._repositories = absorbed_repositories(new, absorbed_repositories(old, repositories))
        self._old = Sides(old, self._repositories)
        self._new = Sides(new, self._repositories)
        self._pool = pool
        self._live = live
        self._scratch = scratch

    def differences(self, folders: tuple[TreePath, ...] = ()) -> list[Difference]:
        """Return what differs, by path; only below `folders` when any are given."""
        candidates = self._candidates()
        paths = sorted(path for path in candidates if not folders or any(is_inside(path, f) for f in folders))
        self._old.load(paths)
        self._new.load(paths)
        with self._open_blobs(paths, candidates) as (old_blobs, new_blobs):
            return [found for path in paths if (found := self._compare(old_blobs, new_blobs, path)) is not None]

    def patches(self, differences: list[Difference]) -> Iterator[tuple[Difference, TextPatch]]:
        """Yield each difference that can be read on both sides with its patch."""
        known = [item for item in differences if item.status != UNKNOWN]
        paths = [item.path for item in known]
        with self._open_blobs(paths, self._candidates()) as (old_blobs, new_blobs):
            for item in known:
                old = self._bytes(old_blobs, item.path, item.old, on_disk=False)
                new = self._bytes(new_blobs, item.path, item.new, on_disk=self._live is not None)
                yield item, diff_contents(item.path, old, new, _mode(item.old), _mode(item.new))

    @contextmanager
    def _open_blobs(self, paths: list[TreePath], candidates: set[TreePath]) -> Iterator[tuple[BlobSource, BlobSource]]:
        """Give the blobs of both sides as a checkout in the state of that side writes them.

        What is on disk now has its attributes there; so has the old state unless an attributes file differs.
        """
        is_same = self._live is not None and not any(path.rpartition(b"/")[2] == ATTRIBUTES_FILE for path in candidates)
        old = None if is_same else self._attributes("old", self._old.state, paths)
        new = None if self._live is not None else self._attributes("new", self._new.state, paths)
        with BlobSource(self._repositories, old) as old_blobs, BlobSource(self._repositories, new) as new_blobs:
            yield old_blobs, new_blobs

    def _attributes(self, name: str, state: State, paths: list[TreePath]) -> Path:
        scratch = self._scratch / name
        with translate_os_errors(f"cannot write in {scratch}"):
            scratch.mkdir(exist_ok=True)
        return StateRules(state, self._repositories, self._pool, lambda: scratch).attributes_folder(paths)

    def _candidates(self) -> set[TreePath]:
        found = {row.path for side in (self._old, self._new) for row in side.state.uncaptured()}
        for path in {*self._old.state.components, *self._new.state.components}:
            old, new = self._old.state.components.get(path), self._new.state.components.get(path)
            for state in (old, new):
                found |= {state.from_root(own) for own in state.entries} if state else set()
            repository = self._repositories.get(path)
            some = old or new
            if repository is None or some is None or not self._can_read_bases(path):
                continue
            if old is None or new is None:
                found |= {some.from_root(e.path) for e in list_tree(repository, some.base)} if some.base else set()
            else:
                found |= {some.from_root(own) for own in diff_trees(repository, old.base, new.base)}
        return {path for path in found if not (self._old.state.is_memory(path) or self._new.state.is_memory(path))}

    def warnings(self) -> list[str]:
        """Return what could not be compared, as sentences."""
        sides = (self._old, self._new)
        gone = {
            (path, component.base or "")
            for side in sides
            for path, component in side.state.components.items()
            if not side.can_read_base(path)
        }
        return [
            f"the base commit {base[:12]} of {display(path) or 'this repository'} is gone; what was unchanged in it "
            "cannot be compared"
            for path, base in sorted(gone)
        ]

    def _can_read_bases(self, component: TreePath) -> bool:
        sides = [side for side in (self._old, self._new) if component in side.state.components]
        return all(side.can_read_base(component) for side in sides)

    def _compare(self, old_blobs: BlobSource, new_blobs: BlobSource, path: TreePath) -> Difference | None:
        old, new = self._old.find(path), self._new.find(path)
        if self._live is not None and self._is_held_though_ignored(path):
            with translate_os_errors(f"cannot read {display(path)}"):
                new = side_on_disk(self._live, path) or ABSENT
        elif self._old.why_unknown(path) or self._new.why_unknown(path):
            rows = (self._old.state.is_left_out(path), self._new.state.is_left_out(path))
            is_noted = any(row is not None and row.reason in UNCAPTURED for row in rows)
            return Difference(path, UNKNOWN, ABSENT, ABSENT) if is_noted and rows[0] != rows[1] else None
        if old == new:
            return None
        old = old_blobs.resolve(path, old)
        new = new_blobs.resolve(path, new)
        return None if old.is_same(new) else Difference(path, _status(old, new), old, new)

    def _is_held_though_ignored(self, path: TreePath) -> bool:
        """Tell whether the old state took in a file that a capture passes over: what is on disk tells more then."""
        row = self._new.state.is_left_out(path)
        return row is not None and row.reason is Reason.IGNORED and self._old.state.find_entry(path) is not None

    def _bytes(self, blobs: BlobSource, path: TreePath, side: Side, *, on_disk: bool) -> bytes | None:
        if side.kind is SideKind.ABSENT or side.content is None:
            return None
        if side.blob is not None:
            return blobs.read(path, side)
        if on_disk and self._live is not None:
            with translate_os_errors(f"cannot read {display(path)}"):
                if side.kind is SideKind.LINK:
                    return self._live.read_link(path)
                with open(self._live.open_file(path), "rb") as stream:
                    return stream.read()
        return self._pool.read_content(side.content)


def _status(old: Side, new: Side) -> str:
    if old.kind is SideKind.ABSENT:
        return "A"
    if new.kind is SideKind.ABSENT:
        return "D"
    same_bytes = old.content is not None and new.content is not None and old.content.id == new.content.id
    return "T" if old.kind is not new.kind or same_bytes else "M"


def _mode(side: Side) -> int:
    return mode_of(is_link=side.kind is SideKind.LINK, executable=side.executable)
