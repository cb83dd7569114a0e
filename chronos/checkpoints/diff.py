"""Comparing two states: which paths differ, what stands on each side, and patches for people."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from chronos.checkpoints.changes import Side, SideKind
from chronos.checkpoints.sides import BlobSource, Sides
from chronos.checkpoints.states import CodeState
from chronos.files import SafeRoot, TreePath, is_inside
from chronos.git import EXECUTABLE_MODE, LINK_MODE, Repository, TextPatch, diff_contents, diff_trees, list_tree
from chronos.pool import PoolReader

_FILE_MODE = 0o100644


class Difference(msgspec.Struct, frozen=True):
    """One path that differs. `status` is A (added), M (modified), D (deleted) or T (another type or mode)."""

    path: TreePath
    status: str
    old: Side
    new: Side


class StateDiff:
    """The differences from one state to another. `live` is the tree when the new state is what is on disk now."""

    def __init__(
        self,
        old: CodeState,
        new: CodeState,
        repositories: dict[TreePath, Repository],
        pool: PoolReader,
        live: SafeRoot | None,
    ) -> None:
        self._old = Sides(old, repositories)
        self._new = Sides(new, repositories)
        self._repositories = repositories
        self._pool = pool
        self._live = live

    def differences(self, folders: tuple[TreePath, ...] = ()) -> list[Difference]:
        """Return what differs, by path; only below `folders` when any are given."""
        paths = sorted(path for path in self._candidates() if not folders or any(is_inside(path, f) for f in folders))
        self._old.load(paths)
        self._new.load(paths)
        with BlobSource(self._repositories) as blobs:
            return [found for path in paths if (found := self._compare(blobs, path)) is not None]

    def patches(self, differences: list[Difference]) -> Iterator[tuple[Difference, TextPatch]]:
        """Yield each difference with its patch."""
        with BlobSource(self._repositories) as blobs:
            for item in differences:
                old = self._bytes(blobs, item.path, item.old, on_disk=False)
                new = self._bytes(blobs, item.path, item.new, on_disk=self._live is not None)
                yield item, diff_contents(item.path, old, new, _mode(item.old), _mode(item.new))

    def _candidates(self) -> set[TreePath]:
        found: set[TreePath] = set()
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
        return found

    def _can_read_bases(self, component: TreePath) -> bool:
        sides = [side for side in (self._old, self._new) if component in side.state.components]
        return all(side.can_read_base(component) for side in sides)

    def _compare(self, blobs: BlobSource, path: TreePath) -> Difference | None:
        old, new = self._old.find(path), self._new.find(path)
        if old == new or self._old.why_unknown(path) or self._new.why_unknown(path):
            return None
        old = blobs.resolve(path, old)
        new = blobs.resolve(path, new)
        return None if old.is_same(new) else Difference(path, _status(old, new), old, new)

    def _bytes(self, blobs: BlobSource, path: TreePath, side: Side, *, on_disk: bool) -> bytes | None:
        if side.kind is SideKind.ABSENT or side.content is None:
            return None
        if side.blob is not None:
            return blobs.read(path, side)
        if on_disk and self._live is not None:
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
    if side.kind is SideKind.LINK:
        return LINK_MODE
    return EXECUTABLE_MODE if side.executable else _FILE_MODE
