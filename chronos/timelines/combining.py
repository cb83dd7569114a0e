"""Bringing states together: what a third one changed since a common one, laid over the state of the tree at hand.

The result is a state like any other, so that putting it into the tree is a restore. Code is merged repository by
repository, memory store by store, and what cannot be decided is a conflict and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos import git, merging, timelines
from chronos.checkpoints import Capture, ComponentState, Entry, EntryKind, Options, State
from chronos.files import SafeRoot, TreePath, display, is_inside, unescape
from chronos.git import EXECUTABLE_MODE, GITLINK_MODE, LINK_MODE
from chronos.merging import Choice, Conflict, ConflictKind, Resolution, Resolver, Strategy
from chronos.operations import Workspace
from chronos.pool import ContentSink

if TYPE_CHECKING:
    from chronos.git import TreeFile
    from chronos.merging import MergedFile, MergedTree, Settled
    from chronos.timelines.combining_memory import StoreResult

_FILE_MODE = 0o100644
_MOST_NAMES = 5
# What the common state, ours and theirs have at a path; None where it is as in the base commit.
_Row = tuple[Entry | None, Entry | None, Entry | None]


class Combined(msgspec.Struct):
    """What came of it: the state, the paths that change in the code, and what is not decided.

    `settled` says by path what decided what git had left; `stores` what happens to each memory store, by name.
    """

    state: State
    paths: set[TreePath] = msgspec.field(default_factory=set)
    conflicts: list[Conflict] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    settled: dict[TreePath, Settled] = msgspec.field(default_factory=dict)
    stores: dict[str, StoreResult] = msgspec.field(default_factory=dict)


class Combiner:
    """Lays the changes from `base` to `theirs` over `present`. New contents go into `sink`."""

    def __init__(
        self, workspace: Workspace, base: State, theirs: State, present: Capture, sink: ContentSink, *,
        strategy: Strategy, resolve: Resolver, options: Options,
    ) -> None:  # fmt: skip
        self._workspace = workspace
        self._base, self._ours, self._theirs = base, present.state, theirs
        self._present = present
        self._sink = sink
        self._strategy = strategy
        self._resolve = resolve
        self._options = options
        ours = self._ours
        self._result = Combined(State(dict(ours.components), dict(ours.memory), [], ours.grade))

    def combine(self, scratch: Path) -> Combined:
        """Return the combined state. `scratch` is an empty folder of ours. Raises GitFailedError, IntegrityError."""
        if self._options.has_code:
            for number, path in enumerate(self._components()):
                folder = scratch / f"code-{number}"
                folder.mkdir()
                self._combine_code(path, folder)
        self._note_left_out()
        if self._base.memory or self._theirs.memory:
            stores = timelines.StoreCombiner(self._workspace, self._sink, self._strategy, self._resolve, self._options)
            self._result.stores = stores.combine(self._base, self._ours, self._theirs, scratch)
        for name, found in self._result.stores.items():
            self._result.conflicts += found.conflicts
            self._result.notes += [f"memory store {display(name)}: {note}" for note in found.notes]
            if not found.conflicts:
                self._put_store(name, found)
        self._note_nothing()
        return self._result

    def _note_nothing(self) -> None:
        """A path at which nothing is here and to which nothing comes is a slip of the fingers; say so."""
        result = self._result
        touched = [*result.paths, *(conflict.path for conflict in result.conflicts)]
        touched += [unescape(part.record.path) for part in result.state.memory.values()]
        with SafeRoot(self._workspace.root) as tree:
            gone = [path for path in self._options.paths if tree.find_stat(path) is None]
        for path in gone:
            if not any(is_inside(one, path) for one in touched):
                result.notes.append(f"there is nothing at {display(path)} here, and nothing comes to it")

    def _note_left_out(self) -> None:
        """Say what of theirs does not come, and which paths go that may have been renamed to it: nobody can tell."""
        rows = [row for row in self._theirs.uncaptured() if self._options.covers(row.path.rstrip(b"/"))]
        for row in rows:
            note = f"{display(row.path)}: not in the other side's checkpoint ({row.reason.value}), so not merged"
            self._result.notes.append(note)
        known = {row.path for row in self._base.uncaptured()}
        new = [row.path for row in rows if row.path not in known]
        entries = ((path, self._result.state.find_entry(path)) for path in sorted(self._result.paths))
        gone = [path for path, entry in entries if entry is not None and entry.kind is EntryKind.DELETED]
        if new and gone:
            note = f"if the other side renamed {_listed(gone)} to {_listed(new)}, only the old name goes here"
            self._result.notes.append(f"{note}; bring the new one by hand")

    def _put_store(self, name: str, found: StoreResult) -> None:
        if found.after is not None:
            self._result.state.memory[name] = found.after
        else:
            self._result.state.memory.pop(name, None)

    def _components(self) -> list[TreePath]:
        """Return the repositories that both sides have; what only one has is its own, and is said."""
        ours, theirs, base = (set(state.components) for state in (self._ours, self._theirs, self._base))
        for path in sorted(theirs - ours - base):
            self._result.notes.append(f"{display(path)}/: a repository that only the other side has is not merged")
        for path in sorted((ours & base) - theirs):
            self._result.notes.append(f"{display(path)}/: a repository that the other side has no more stays")
        return sorted(ours & theirs)

    def _combine_code(self, path: TreePath, scratch: Path) -> None:
        parts = [state.components.get(path) for state in (self._base, self._ours, self._theirs)]
        base, ours, theirs = parts
        assert ours is not None and theirs is not None
        if base is not None and base.base == theirs.base and base.entries == theirs.entries:
            return
        bases = [part.base if part is not None else None for part in parts]
        rows = self._rows(path)
        entries = dict(ours.entries)
        if len(set(bases)) == 1:
            rows = {own: row for own, row in rows.items() if not row[0] == row[1] == row[2]}
            if not _moves_paths(rows):
                rows = self._take_plain(ours, rows, entries)
        if rows or len(set(bases)) > 1:
            sides = [
                git.TreeSide(base, {own: self._file(entry) for own, row in rows.items() if (entry := row[number])})
                for number, base in enumerate(bases)
            ]
            with merging.merge_trees(
                self._present.repositories[path], sides[0], sides[1], sides[2], scratch,
                strategy=self._strategy, resolve=partial(self._ask, path),
            ) as merged:  # fmt: skip
                self._take(ours, theirs, merged, entries)
        self._result.state.components[path] = msgspec.structs.replace(ours, entries=entries)

    def _rows(self, path: TreePath) -> dict[TreePath, _Row]:
        """Return what the three states have at every path of a repository that differs from its base in any of them.

        What a state did not take counts as unchanged there: exclusion is not absence.
        """
        states = (self._base, self._ours, self._theirs)
        parts = [state.components.get(path) for state in states]
        prefix = path + b"/" if path else b""
        found = {}
        for own in sorted({own for part in parts if part is not None for own in part.entries}):
            if any(state.is_memory(prefix + own) for state in states):
                continue
            was, *others = (part.entries.get(own) if part is not None else None for part in parts)
            for number, state in enumerate(states[1:]):
                if others[number] is None and state.is_left_out(prefix + own) is not None:
                    others[number] = was
            found[own] = (was, others[0], others[1])
        return found

    def _take_plain(
        self, ours: ComponentState, rows: dict[TreePath, _Row], entries: dict[TreePath, Entry]
    ) -> dict[TreePath, _Row]:
        """Take what only the other side changed; return what both did, which needs git. No path may move.

        Without that, nothing is renamed and nothing is in another's way, so git would merge each path by itself.
        """
        hard = {}
        for own, (was, mine, other) in rows.items():
            if other in (was, mine):
                continue
            if mine != was:
                hard[own] = was, mine, other
            elif other is not None and self._is_wanted(ours.from_root(own)) and self._is_ours(ours, own):
                entries[own] = other
                self._result.paths.add(ours.from_root(own))
        return hard

    def _file(self, entry: Entry) -> TreeFile | None:
        if entry.kind is EntryKind.DELETED or entry.content is None:
            return None
        mode = LINK_MODE if entry.kind is EntryKind.LINK else EXECUTABLE_MODE if entry.executable else _FILE_MODE
        content = entry.content
        return git.TreeFile(mode, content.size, partial(self._workspace.store.pool.iter_content, content))

    def _ask(self, path: TreePath, conflict: Conflict) -> Resolution | None:
        found = _from_root(path, conflict)
        is_to_decide = self._is_wanted(found.path) and found.kind is not ConflictKind.SUBMODULE
        return self._resolve(found) if is_to_decide else None

    def _take(
        self, ours: ComponentState, theirs: ComponentState, merged: MergedTree, entries: dict[TreePath, Entry]
    ) -> None:
        result, path = self._result, ours.path
        for own, file in merged.changes.items():
            full = ours.from_root(own)
            if not self._is_wanted(full) or not self._is_ours(ours, own):
                continue
            if file is not None and file.mode == GITLINK_MODE:
                self._note_submodule(full)
                continue
            result.paths.add(full)
            entries[own] = self._entry(own, file, theirs, merged)
        for conflict in (_from_root(path, conflict) for conflict in merged.conflicts):
            if self._is_wanted(conflict.path) and conflict.kind is ConflictKind.SUBMODULE:
                self._note_submodule(conflict.path)
            elif self._is_wanted(conflict.path) and self._is_ours(ours, ours.own_path(conflict.path)):
                result.conflicts.append(conflict)
        settled = {ours.from_root(own): why for own, why in merged.settled.items()}
        result.settled |= {full: why for full, why in settled.items() if self._is_wanted(full)}
        result.notes += merged.notes

    def _note_submodule(self, path: TreePath) -> None:
        """Say that HEAD of a submodule stays, as all HEADs do."""
        is_merged = path in self._ours.components and path in self._theirs.components
        files = "its files are" if is_merged else "nor are its files: it is not there on both sides"
        self._result.notes.append(f"{display(path)}: the commit of a submodule is not merged; {files}")

    def _is_ours(self, ours: ComponentState, own: TreePath) -> bool:
        """Tell whether a path is not in a repository that only this side has there; say so when it is."""
        inner = self._ours.owner(ours.from_root(own)).path
        note = f"{display(inner)}/: a repository that only this side has gets nothing"
        if inner != ours.path and note not in self._result.notes:
            self._result.notes.append(note)
        return inner == ours.path

    def _is_wanted(self, path: TreePath) -> bool:
        states = (self._base, self._ours, self._theirs)
        return self._options.covers(path) and not any(state.is_memory(path) for state in states)

    def _entry(self, own: TreePath, file: MergedFile | None, theirs: ComponentState, merged: MergedTree) -> Entry:
        if file is None:
            return Entry(own, EntryKind.DELETED)
        content = None
        if file.origin is not None and file.origin.side is Choice.THEIRS:
            known = theirs.entries.get(file.origin.path)
            content = known.content if known is not None else None
        if content is None:
            content = self._sink.add_bytes(merged.read(own))
        kind = EntryKind.LINK if file.mode == LINK_MODE else EntryKind.FILE
        return Entry(own, kind, file.mode == EXECUTABLE_MODE, content)


def _from_root(path: TreePath, conflict: Conflict) -> Conflict:
    return msgspec.structs.replace(conflict, path=path + b"/" + conflict.path) if path else conflict


def _listed(paths: Sequence[TreePath]) -> str:
    more = [f"{len(paths) - _MOST_NAMES} more"] if len(paths) > _MOST_NAMES else []
    return " or ".join([*map(display, paths[:_MOST_NAMES]), *more])


def _moves_paths(rows: dict[TreePath, _Row]) -> bool:
    """Tell whether a path may go or be renamed on a side, or stand in the way of another one's folder."""
    sides = [(was, entry) for was, *others in rows.values() for entry in others if entry != was]
    if any(entry is None or entry.kind is EntryKind.DELETED for _, entry in sides):
        return True
    folders = {folder for own in rows for folder in _folders_of(own)}
    return not folders.isdisjoint(rows)


def _folders_of(path: TreePath) -> Iterator[TreePath]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
