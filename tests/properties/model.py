"""What chrono promises, as dictionaries: the tree, the index, checkpoints, and what undo and redo have to do.

A path holds a `File` (always with `times` 1) or a `Link`. Nothing in here knows how the product works.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.properties.trees import Node

Tree = dict[bytes, Node]
IGNORED = b".ignored"


@dataclass(frozen=True)
class Staging:
    """An index, together with the commit that it was made on."""

    commit: str
    entries: tuple[tuple[bytes, Node], ...]

    @classmethod
    def of(cls, commit: str, entries: Tree) -> Staging:
        return cls(commit, tuple(sorted(entries.items())))


@dataclass(frozen=True)
class Saved:
    """What a checkpoint has to hold: the captured part of the tree, the index, and where HEAD stood."""

    tree: tuple[tuple[bytes, Node], ...]
    staging: Staging
    branch: str


@dataclass(frozen=True)
class Change:
    """What an operation did at one path."""

    path: bytes
    before: Node | None
    after: Node | None


@dataclass(frozen=True)
class Step:
    """One operation: checkpoints that it brought in (True) or took away, or what it changed in the tree and index."""

    moves: tuple[tuple[str, bool], ...] = ()
    changes: tuple[Change, ...] | None = None
    before: Staging | None = None
    after: Staging | None = None

    def inverted(self) -> Step:
        moves = tuple((checkpoint, not live) for checkpoint, live in self.moves)
        changes = self.changes and tuple(Change(c.path, c.after, c.before) for c in self.changes)
        return Step(moves, changes if self.changes is not None else None, self.after, self.before)


@dataclass
class Model:
    """The state that the user believes to have."""

    commit: str
    tree: Tree
    index: Tree
    head_tree: Tree
    branch: str = "main"
    saved: dict[str, Saved] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    safety: set[str] = field(default_factory=set)
    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)

    def now(self) -> Saved:
        """Return what a checkpoint taken now has to hold."""
        captured = tuple(sorted((path, node) for path, node in self.tree.items() if not is_ignored(path)))
        return Saved(captured, self.staging(), self.branch)

    def staging(self) -> Staging:
        return Staging.of(self.commit, self.index)

    def add(self, checkpoint: str) -> None:
        """Note a new checkpoint of the present state."""
        assert checkpoint not in self.saved, "a new checkpoint has the id of an older one"
        self.saved[checkpoint] = self.now()
        self.live.add(checkpoint)

    def add_safety(self, checkpoint: str) -> None:
        """Note what holds the present state: a new safety checkpoint, or the newest one when that has it already."""
        if checkpoint not in self.saved:
            self.add(checkpoint)
            self.safety.add(checkpoint)
        assert self.saved[checkpoint] == self.now(), "the safety checkpoint is one of another state"

    def newest(self) -> str | None:
        return next((known for known in reversed(self.saved) if known in self.live), None)

    def listed(self) -> list[str]:
        """Return the checkpoints that a list has to show, the newest first."""
        return [known for known in reversed(self.saved) if known in self.live - self.safety]

    def record(self, step: Step) -> None:
        self.done.append(step)
        self.undone.clear()

    # the user's hands

    def put(self, path: bytes, node: Node) -> None:
        clear_way(self.tree, path)
        self.tree[path] = node

    def delete(self, path: bytes) -> None:
        for known in [known for known in self.tree if is_at_or_below(known, path)]:
            del self.tree[known]

    def stage(self, path: bytes, node: Node | None) -> None:
        self.index.pop(path, None)
        if node is not None:
            clear_way(self.index, path)
            self.index[path] = node

    def stage_everything(self) -> None:
        self.index = {path: node for path, node in self.tree.items() if not is_ignored(path)}

    def commit_index(self, commit: str) -> None:
        self.commit, self.head_tree = commit, dict(self.index)

    # restore, undo, redo

    def plan_restore(self, checkpoint: str, folders: Iterable[bytes] = ()) -> Step:
        """Return what a restore of the checkpoint, or of some paths of it, has to change."""
        saved, wanted = self.saved[checkpoint], dict(self.saved[checkpoint].tree)
        some = tuple(folders)
        paths = [path for path in sorted({*wanted, *self.tree}) if not is_ignored(path)]
        asked = [path for path in paths if not some or any(is_at_or_below(path, folder) for folder in some)]
        changes = [Change(path, self.tree.get(path), wanted.get(path)) for path in asked]
        free = self._unblocked([change for change in changes if change.before != change.after])
        if some or saved.staging == self.staging() or saved.staging.commit != self.commit:
            return Step(changes=free)
        return Step(changes=free, before=self.staging(), after=saved.staging)

    def plan_back(self, step: Step) -> Step:
        """Return what taking `step` back has to change: paths and an index that were edited since are kept."""
        wanted = step.inverted()
        if wanted.changes is None:
            return wanted
        changes = [change for change in wanted.changes if self.tree.get(change.path) == change.before]
        free = self._unblocked(changes)
        if wanted.before is None or self.staging() != wanted.before:
            return Step(changes=free)
        return Step(changes=free, before=wanted.before, after=wanted.after)

    def carry_out(self, step: Step) -> None:
        """Make the changes of a step."""
        for checkpoint, live in step.moves:
            (self.live.add if live else self.live.remove)(checkpoint)
        for change in step.changes or ():
            self.tree.pop(change.path, None)
        for change in step.changes or ():
            if change.after is not None:
                self.tree[change.path] = change.after
        if step.after is not None:
            self.index = dict(step.after.entries)

    def _unblocked(self, changes: list[Change]) -> tuple[Change, ...]:
        """Leave out what cannot come because something that stays stands in its way."""
        cleared = {change.path for change in changes if change.before is not None}
        staying = [path for path in self.tree if path not in cleared]
        return tuple(
            change
            for change in changes
            if change.after is None
            or not any(is_at_or_below(path, change.path) or is_at_or_below(change.path, path) for path in staying)
        )


def is_ignored(path: bytes) -> bool:
    return path.endswith(IGNORED)


def is_at_or_below(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder + b"/")


def clear_way(tree: Tree, path: bytes) -> None:
    """Take away what is at the path, below it, or stands where a folder above it must be."""
    for known in [known for known in tree if is_at_or_below(known, path) or is_at_or_below(path, known)]:
        del tree[known]


def difference(old: Iterable[tuple[bytes, Node]], new: Iterable[tuple[bytes, Node]]) -> dict[bytes, tuple[bool, bool]]:
    """Return the paths that differ, with whether each side has them."""
    before, after = dict(old), dict(new)
    paths = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    return {path: (path in before, path in after) for path in paths}
