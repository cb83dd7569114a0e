"""Planning a restore: what would be written, deleted and kept, from two states and a look at the disk.

A path is overwritten or deleted only when its present bytes are proven held, as an entry of the present capture or as
a clean blob of its pinned base. A path counts as absent in a checkpoint only where that capture would have looked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from chronos.checkpoints.capture import Capture
from chronos.checkpoints.changes import (
    Change,
    ChangeSet,
    HeadChange,
    IndexChange,
    Side,
    SideKind,
    StagedState,
    SubmoduleLink,
)
from chronos.checkpoints.manifest import UNCAPTURED, ComponentKind, Grade
from chronos.checkpoints.plan import Kept, Options, Plan
from chronos.checkpoints.rules import ATTRIBUTES_FILE, StateRules
from chronos.checkpoints.sides import (
    BlobSource,
    Sides,
    absorbed_repositories,
    clean_content,
    side_on_disk,
)
from chronos.checkpoints.states import ComponentState, State
from chronos.files import SMALLEST_PAGE_BYTES, PathKind, SafeRoot, TreePath, display, is_inside, unescape
from chronos.git import Repository, diff_trees, find_ref, list_tree
from chronos.memory import FOUND_FOLDER, LOG_ENDINGS
from chronos.pool import ContentSink, PoolReader


class Planner:
    """Compare a wanted state with the present capture.

    Where the two have other attributes, git would write other bytes later than it would have then: what a checkout in
    the wanted state writes goes into `sink`, and comes from the pool. Without one it comes from git all the same, which
    is right where nothing but the wanted attributes will be in force.
    """

    def __init__(
        self, target: State, present: Capture, options: Options, pool: PoolReader,
        make_scratch: Callable[[], Path], sink: ContentSink | None,
    ) -> None:  # fmt: skip
        self._target = target
        self._present = present
        self._options = options
        self._sink = sink
        self.repositories = dict(present.repositories)
        self._root = self.repositories[b""]
        self.plan = Plan(ChangeSet(), grade=target.grade)
        self._links: list[SubmoduleLink] = []
        # The status of each has just compared the index with what HEAD has.
        self._readable = {(path, part.state.base): True for path, part in present.components.items()}
        self._rules = StateRules(target, self.repositories, pool, make_scratch)

    def ignored(self, paths: list[TreePath]) -> set[TreePath]:
        """Return those of `paths` that the target's own rules ignore."""
        return self._rules.ignored(paths)

    def restore(self) -> Plan:
        """Return the plan that gives the code of the tree the target state."""
        self._adopt_missing_submodules()
        wanted = Sides(self._target, self.repositories, self._readable)
        present = Sides(self._present.state, self.repositories, self._readable)
        candidates = self._candidates(wanted)
        paths = sorted(path for path in candidates if self._options.covers(path) and not self._is_store(path))
        self._warn_of_nothing(wanted)
        beside = self._companions()
        wanted.load([*paths, *beside])
        present.load(paths)
        attributes = sink = None
        if any(path.rpartition(b"/")[2] == ATTRIBUTES_FILE for path in candidates):
            attributes, sink = self._rules.attributes_folder(paths), self._sink
        with (
            SafeRoot(self._root.root) as tree,
            BlobSource(self.repositories) as blobs,
            BlobSource(self.repositories, attributes) as target_blobs,
        ):
            judge = Judge(tree, blobs, present, self.plan, target_blobs, sink)
            changes = [change for path in paths if (change := judge.change_towards(wanted, path)) is not None]
        self._note_what_came(wanted, paths)
        self._note_companions(wanted, beside)
        changes = self._without_unseen(changes)
        is_there = partial(_is_as_then, wanted, present)
        changes = drop_blocked(changes, self._root.root, self.plan, is_there=is_there)
        is_whole = self._options.is_whole_code
        indexes, head = (self._index_changes(), self._head_change()) if is_whole else ((), None)
        if (
            self._options.has_code
            and self._options.paths
            and self._target.components[b""].staged != self._present.state.components[b""].staged
        ):
            self.plan.warnings.append("the index is left alone because only some paths are restored")
        self.plan.change_set = ChangeSet(tuple(changes), indexes, head, links=tuple(self._links))
        self._warn_of_what_stays()
        if self._target.grade is Grade.TORN:
            self.plan.warnings += self._target.warnings
        return self.plan

    def has_code_at(self, path: TreePath) -> bool:
        """Tell whether a file of the code, or a folder with some, stood at `path` in the target, or may have."""
        sides = Sides(self._target, self.repositories, self._readable)
        sides.load([path])
        is_file = not sides.can_read_base(sides.component_of(path)) or sides.find(path).kind is not SideKind.ABSENT
        return is_file or sides.has_anything_in(path)

    def _is_store(self, path: TreePath) -> bool:
        return self._present.state.is_memory(path) or self._target.is_memory(path)

    def _warn_of_nothing(self, wanted: Sides) -> None:
        """A path that neither the checkpoint nor the tree knows is a slip of the fingers; say so."""
        with SafeRoot(self._root.root) as tree:
            gone = [path for path in self._options.paths if tree.find_stat(path) is None]
            unknown = [path for path in gone if not self._target.is_memory(path)]
        for path in unknown:
            if not wanted.has_anything_at(path):
                self.plan.warnings.append(f"there is nothing at {display(path)}, then or now")

    def _warn_of_what_stays(self) -> None:
        """Say what was otherwise then and is no content: an operation of git in progress, and HEADs below the root."""
        for path, wanted in self._target.components.items():
            present = self._present.state.components.get(path)
            if present is None or not self._options.covers(path):
                continue
            where = f" in {display(path)}" if path else ""
            for kind in sorted(set(wanted.in_progress) - set(present.in_progress)):
                self.plan.warnings.append(
                    f"a {kind} was in progress{where}; its content comes back, the {kind} does not"
                )
            if path and self._options.head and wanted.head != present.head:
                self.plan.warnings.append(f"HEAD{where} stays where it is; --head is for the repository at the root")

    def _note_what_came(self, wanted: Sides, paths: Sequence[TreePath]) -> None:
        """Name what came after the checkpoint and was not captured: it stays. `StorePlanner` does it for memory."""
        rows = {row.path.rstrip(b"/"): row for row in self._present.state.uncaptured() if not row.is_staged}
        later = [path for path in paths if path in rows and path not in self._target.components]
        for path in later:
            is_new = wanted.find(path).kind is SideKind.ABSENT and wanted.why_unknown(path) is None
            if is_new and not is_inside(path, FOUND_FOLDER.encode()):
                self.plan.kept.append(Kept(rows[path].path, f"not captured: {rows[path].reason.value}"))

    def _companions(self) -> set[TreePath]:
        """Return the paths beside databases that the target's code may have."""
        stores = (part for part in self._present.state.memory.values() if part.record.beside)
        paths = {path for part in stores for path in part.paths() - {unescape(part.record.path)}}
        return {path for path in paths if self._options.covers(path) and not self._target.is_memory(path)}

    def _note_companions(self, wanted: Sides, beside: set[TreePath]) -> None:
        """Name what was code then and belongs to a database beside it now: it comes back when that has gone."""
        for path in sorted(beside):
            if wanted.why_unknown(path) is None and wanted.find(path).kind is not SideKind.ABSENT:
                self.plan.kept.append(
                    Kept(path, "it belongs to the database beside it; restore again when that has gone")
                )

    def _adopt_missing_submodules(self) -> None:
        adopted = absorbed_repositories(self._target, self.repositories)
        for path, component in self._target.components.items():
            if path in self.repositories or not self._options.covers(path):
                continue
            left_out = self._present.state.is_left_out(path)
            if left_out is not None and left_out.reason in UNCAPTURED:
                self.plan.kept.append(Kept(path + b"/", f"not captured: {left_out.reason.value}"))
            elif path in adopted and component.git_dir is not None:
                self.repositories[path] = adopted[path]
                self._links.append(SubmoduleLink(path, component.git_dir))
            elif component.base is not None:
                self.plan.warnings.append(f"{display(path)}: its repository is gone; only captured changes come back")

    def _candidates(self, sides: Sides) -> set[TreePath]:
        found: set[TreePath] = set()
        for path, wanted in self._target.components.items():
            present = self._present.state.components.get(path)
            found |= wanted.list_differing(present)
            repository = self.repositories.get(path)
            if repository is None or (wanted.base is None and (present is None or present.base is None)):
                continue
            if not sides.can_read_base(path):
                commit = (wanted.base or "")[:12]
                self.plan.warnings.append(f"the base commit {commit} is gone; only what was captured comes back")
                continue
            found |= self._base_differences(wanted, present, repository)
            if present is not None:
                found |= {wanted.from_root(own) for own in wanted.skipped ^ present.skipped}
        for path, present in self._present.state.components.items():
            if path in self._target.components:
                found |= present.list_differing(self._target.components[path])
            else:
                self.plan.kept.append(Kept(path + b"/", "a repository that came after the checkpoint"))
        rows = (*self._present.state.uncaptured(), *self._target.uncaptured())
        return found | {row.path.rstrip(b"/") for row in rows}

    def _base_differences(
        self, wanted: ComponentState, present: ComponentState | None, repository: Repository
    ) -> set[TreePath]:
        if present is None:
            return {wanted.from_root(entry.path) for entry in list_tree(repository, wanted.base or "")}
        return {wanted.from_root(path) for path in diff_trees(repository, wanted.base, present.base)}

    def _without_unseen(self, changes: list[Change]) -> list[Change]:
        """Keep what the target's capture would not have looked at: absence there proves nothing."""
        doubtful = [c.path for c in changes if c.after.kind is SideKind.ABSENT and c.path not in self._options.forced]
        unseen = self._rules.ignored(doubtful) if doubtful else set()
        self.plan.kept += [Kept(path, "ignored when the checkpoint was taken") for path in sorted(unseen)]
        return [change for change in changes if change.path not in unseen]

    def _index_changes(self) -> tuple[IndexChange, ...]:
        found = []
        for path, wanted in self._target.components.items():
            present = self._present.state.components.get(path)
            if present is None or wanted.kind is ComponentKind.FOLDER:
                continue
            before, after = StagedState.of(present), StagedState.of(wanted)
            if before == after:
                continue
            if present.head == wanted.head or (self._options.head and not path):
                found.append(IndexChange(path, before, after))
            elif before.staged != after.staged or before.hidden != after.hidden:
                name = display(path) or "this repository"
                self.plan.warnings.append(f"the index of {name} is left alone because HEAD has moved since")
        return tuple(found)

    def _head_change(self) -> HeadChange | None:
        wanted, present = self._target.components[b""], self._present.state.components[b""]
        if not self._options.head or (wanted.head, wanted.branch) == (present.head, present.branch):
            return None
        branch = f"refs/heads/{wanted.branch}" if wanted.branch else None
        now = f"refs/heads/{present.branch}" if present.branch else None
        tip = find_ref(self._root, branch) if branch else None
        return HeadChange(now, present.head, branch, wanted.head, branch, tip, wanted.head if branch else None)


class Judge:
    """Decide path by path what may change; what must be kept is added to the plan."""

    def __init__(
        self, tree: SafeRoot, blobs: BlobSource, present: Sides, plan: Plan, target_blobs: BlobSource | None = None,
        sink: ContentSink | None = None,
    ) -> None:  # fmt: skip
        self._tree = tree
        self._blobs = blobs
        self._target_blobs = target_blobs or blobs
        self._sink = sink
        self._present = present
        self._plan = plan

    def change_towards(self, wanted: Sides, path: TreePath) -> Change | None:
        """Return the change that gives `path` what `wanted` has there, or None."""
        after = wanted.find(path)
        unknown = wanted.why_unknown(path)
        if unknown is not None:
            if after.kind is not SideKind.ABSENT or not self._is_left_out_now(path):
                self._plan.kept.append(Kept(path, f"the checkpoint does not hold it: {unknown}"))
            return None
        if self._is_left_out_now(path):
            if after.kind is not SideKind.ABSENT:
                self._keep_left_out(path)
            return None
        present = self._present.find(path)
        if present.blob is not None and present == after:
            return None
        before = self.present_at(path)
        if before is None:
            return None
        after = self._target_blobs.resolve(path, after, self._sink)
        return None if before.is_same(after) else Change(path, before, after)

    def change_back(self, change: Change, *, overwrite: bool) -> Change | None:
        """Return the change that brings `change.after` to its path, unless the path was edited since `before`."""
        before = self.present_at(change.path)
        if before is None or before.is_same(change.after):
            return None
        if not self._blobs.can_read(change.after):
            self._plan.kept.append(Kept(change.path, "the repository that held it is gone"))
            return None
        if not overwrite and not before.is_same(change.before):
            self._plan.kept.append(Kept(change.path, "edited since; add --overwrite to replace it"))
            return None
        return Change(change.path, before, change.after)

    def present_at(self, path: TreePath) -> Side | None:
        """Return what stands at `path` now with its hash, or None (and a kept row) when nothing proves it held."""
        present = self._present.find(path)
        if self._is_left_out_now(path):
            self._keep_left_out(path)
            return None
        if present.blob is None:
            return present
        content = clean_content(self._tree, path, present.blob)
        if content is None:
            checked_out = self._blobs.resolve(path, present)
            if side_on_disk(self._tree, path) == checked_out.on_disk():
                return checked_out
            self._plan.kept.append(Kept(path, "its bytes are neither captured nor git's"))
            return None
        return Side(present.kind, present.executable, content, present.blob, present.component)

    def _is_left_out_now(self, path: TreePath) -> bool:
        """Tell whether something stands at `path` that the present capture did not take."""
        row = self._present.state.is_left_out(path)
        if row is None or self._present.state.find_entry(path) is not None:
            return False
        if row.reason in UNCAPTURED:
            return True
        stat = self._tree.find_stat(path)  # of a folder `drop_blocked` knows what in it stays
        return stat is not None and not (stat.kind is PathKind.FOLDER and row.path.rstrip(b"/") == path)

    def _keep_left_out(self, path: TreePath) -> None:
        row = self._present.state.is_left_out(path)
        self._plan.kept.append(Kept(path, f"not captured: {row.reason.value if row else 'left out'}"))


def _is_as_then(wanted: Sides, present: Sides, path: TreePath) -> bool:
    """Tell whether a file of the code is what it was."""
    for sides in (wanted, present):
        sides.load([path])
    then, now = wanted.find(path), present.find(path)
    return now.kind is SideKind.FILE and (now == then or now.is_same(then))


def drop_blocked(
    changes: list[Change], root: Path, plan: Plan, links: Sequence[SubmoduleLink] = (), *,
    is_there: Callable[[TreePath], bool] = lambda _: False,
) -> list[Change]:  # fmt: skip
    """Keep paths whose place is taken by something that the plan does not clear away; return the other changes.

    The log of a database is in nobody's way where it `is_there` as it is to be.
    """
    cleared = {c.path for c in changes if c.before.kind is not SideKind.ABSENT}
    cleared |= {link.component + b"/.git" for link in links if not link.is_made}
    possible = []
    with SafeRoot(root) as tree:
        for change in changes:
            blocker = None
            if change.after.kind is not SideKind.ABSENT and change.before.kind is SideKind.ABSENT:
                blocker = _find_blocker(tree, change.path, cleared)
                blocker = blocker or _find_log(tree, change, cleared, is_there)
            if blocker is None:
                possible.append(change)
            else:
                plan.kept.append(Kept(change.path, f"{display(blocker)} is in the way and not captured"))
    return possible


def _find_blocker(tree: SafeRoot, path: TreePath, cleared: set[TreePath]) -> TreePath | None:
    """Return what stands in the way of creating `path` and is not in `cleared`, or None."""
    parent = path.rpartition(b"/")[0]
    while parent:
        stat = tree.find_stat(parent)
        if stat is not None:
            if stat.kind is not PathKind.FOLDER and parent not in cleared:
                return parent
            break
        parent = parent.rpartition(b"/")[0]
    stat = tree.find_stat(path)
    if stat is None:
        return None
    if stat.kind is not PathKind.FOLDER:
        return path
    return _first_uncleared(tree, path, cleared)


def _find_log(
    tree: SafeRoot, change: Change, cleared: set[TreePath], is_there: Callable[[TreePath], bool]
) -> TreePath | None:
    """Return the log of a lost database that SQLite would play into the one that comes to stand there, or None."""
    size = change.after.content.size if change.after.content is not None else 0
    if not size or size % SMALLEST_PAGE_BYTES:
        return None
    for path in (change.path + ending for ending in LOG_ENDINGS):
        stat = tree.find_stat(path)
        if stat is not None and stat.size and path not in cleared and not is_there(path):
            return path
    return None


def _first_uncleared(tree: SafeRoot, folder: TreePath, cleared: set[TreePath]) -> TreePath | None:
    """Return something below `folder` that stays; an empty folder is in nobody's way, a repository is."""
    pending = [folder]
    while pending:
        for path in tree.list_folder(pending.pop()):
            if path in cleared:
                continue
            if os.path.basename(path).lower() == b".git":
                return path
            stat = tree.find_stat(path)
            if stat is not None and stat.kind is not PathKind.FOLDER:
                return path
            pending.append(path)
    return None
