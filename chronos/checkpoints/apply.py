"""Applying a set of changes to the tree. May be run again after a crash: what is done already is left alone.

At each path the disk is compared with both sides first. What is `after` already is done; what is `before`, or gone
after a crash, is changed; anything else was edited by somebody and is kept and named. What is replaced or deleted
moves into a trash folder and is compared once more there. Links are written last, so none is ever walked through.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chronos.checkpoints.changes import ABSENT, Change, ChangeSet, HeadChange, IndexChange, SideKind, StagedState
from chronos.checkpoints.plan import Kept
from chronos.checkpoints.sides import BlobSource, side_on_disk
from chronos.errors import BadPathError, GitFailedError, StateError
from chronos.files import PathKind, SafeRoot, TreePath, display, sync_file_system, translate_os_errors
from chronos.git import (
    BranchMove,
    Head,
    IndexState,
    Repository,
    StagedRow,
    move_head,
    read_head,
    restore_blobs,
    write_index,
)
from chronos.pool import PoolReader

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)

Progress = Callable[[int, int], None]


class Applied(msgspec.Struct):
    """What was done, and what was left because it was no longer what the plan saw."""

    written: int = 0
    deleted: int = 0
    kept: list[Kept] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)


class Applier:
    """Apply one change set under the timeline's lock, with a journal already on disk.

    `seen` are the identities of the indexes (by component) that the change set was made from, where they are known.
    """

    def __init__(
        self,
        repositories: dict[TreePath, Repository],
        pool: PoolReader,
        trash: Path,
        seen: Mapping[TreePath, str] | None = None,
    ) -> None:
        self._repositories = repositories
        self._seen = seen or {}
        self._root = repositories[b""]
        self._pool = pool
        self._trash = trash
        self.result = Applied()

    def apply(self, change_set: ChangeSet, progress: Progress | None = None) -> Applied:
        """Carry everything out and make it durable. Raises StorageError, IntegrityError or GitFailedError half-way."""
        self._trash.mkdir(mode=0o700, exist_ok=True)
        for component, git_dir in change_set.links:
            self._link_submodule(component, git_dir)
        with SafeRoot(self._root.root) as tree, BlobSource(self._repositories) as blobs:
            self._change_paths(tree, blobs, change_set.changes, progress)
        if change_set.head is not None:
            self._move_head(change_set.head, undo=change_set.head_undo)
        for change in change_set.indexes:
            self._write_index(change)
        sync_file_system(self._root.root)
        return self.result

    def _change_paths(
        self, tree: SafeRoot, blobs: BlobSource, changes: tuple[Change, ...], progress: Progress | None
    ) -> None:
        to_write = []
        for number, change in enumerate(_deepest_first(changes)):
            with _named(change.path):
                tree.discard_temporary(change.path)
                if self._clear(tree, number, change) and change.after.kind is not SideKind.ABSENT:
                    to_write.append(change)
        to_write.sort(
            key=lambda change: (change.after.kind is SideKind.LINK, _is_not_attributes(change.path), change.path)
        )
        for number, change in enumerate(to_write):
            with _named(change.path):
                self._write(tree, blobs, change)
            if progress is not None:
                progress(number + 1, len(to_write))

    def _clear(self, tree: SafeRoot, number: int, change: Change) -> bool:
        """Make room at the path; tell whether what comes after still has to be written."""
        now = side_on_disk(tree, change.path)
        if now is not None and now.is_same(change.after):
            return False
        if now is None:
            return self._clear_folder(tree, change)
        if now.kind is SideKind.ABSENT:
            return True
        if not now.is_same(change.before):
            self._keep(change.path, "edited since the plan was made")
            return False
        target = self._trash / f"{number}"
        target.unlink(missing_ok=True)
        tree.move_out(change.path, target)
        with SafeRoot(self._trash) as trash:
            moved = side_on_disk(trash, os.fsencode(target.name))
        if moved is ABSENT:
            self._keep(change.path, "it could not be moved away")
            return False
        if moved != now:
            self._put_back(tree, change.path, target)
            return False
        if change.after.kind is SideKind.ABSENT:
            tree.remove_empty_folders(change.path)
            self.result.deleted += 1
        return True

    def _put_back(self, tree: SafeRoot, path: TreePath, target: Path) -> None:
        """Return what was edited in the moment of its move; where that cannot be, it is saved for good and named."""
        try:
            tree.move_in(target, path)
            self._keep(path, "edited while it was replaced")
        except OSError:
            saved = self._trash.with_suffix(".saved")
            saved.mkdir(mode=0o700, exist_ok=True)
            os.rename(target, saved / target.name)
            self._keep(path, f"edited while it was replaced; the newest bytes are in {saved / target.name}")

    def _clear_folder(self, tree: SafeRoot, change: Change) -> bool:
        stat = tree.find_stat(change.path)
        if change.before.kind is SideKind.ABSENT and stat is not None and stat.kind is PathKind.FOLDER:
            return change.after.kind is not SideKind.ABSENT
        self._keep(change.path, "something else stands there now")
        return False

    def _write(self, tree: SafeRoot, blobs: BlobSource, change: Change) -> None:
        try:
            tree.make_parents(change.path)
            _remove_empty_folder_tree(tree, change.path)
            if change.after.kind is SideKind.LINK:
                tree.write_link(change.path, b"".join(self._bytes(blobs, change)))
            else:
                tree.write_file(change.path, self._bytes(blobs, change), executable=change.after.executable)
        except OSError as cause:
            if cause.errno not in _TAKEN:
                raise
            self._keep(change.path, "something else stands there now")
            return
        self.result.written += 1

    def _bytes(self, blobs: BlobSource, change: Change) -> Iterator[bytes]:
        side = change.after
        if side.blob is not None:
            yield blobs.read(change.path, side)
        elif side.content is not None:
            yield from self._pool.iter_content(side.content)

    def _link_submodule(self, component: TreePath, git_dir: str) -> None:
        folder = self._root.root / os.fsdecode(component)
        if self._root.common_dir / "modules" not in (folder / git_dir).resolve().parents:
            raise BadPathError(f"{display(component)} would be linked to a git folder that is no submodule's")
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / ".git"
        if not link.exists():
            link.write_text(f"gitdir: {git_dir}\n", "utf-8")

    def _move_head(self, change: HeadChange, *, undo: bool) -> None:
        before = Head(change.branch_before, change.commit_before)
        after = Head(change.branch_after, change.commit_after)
        branch = change.branch_after
        forward = BranchMove(branch, change.displaced, change.commit_after) if branch else None
        back = BranchMove(branch, change.commit_after, change.displaced) if branch else None
        try:
            if undo:
                move_head(self._root, after, before, back)
            else:
                move_head(self._root, before, after, forward)
        except StateError as cause:
            self.result.warnings.append(cause.message)

    def _write_index(self, change: IndexChange) -> None:
        repository = self._repositories.get(change.component)
        name = display(change.component) or "this repository"
        if repository is None or read_head(repository).commit != change.after.head:
            self.result.warnings.append(f"the index of {name} is left alone because HEAD is elsewhere")
            return
        blobs = {row.oid: self._pool.read_content(row.content) for row in change.after.staged if row.content}
        try:
            restore_blobs(repository, blobs)
            scratch, seen = self._trash / "index", self._seen.get(change.component)
            write_index(repository, _index_state(change.after), _index_state(change.before), scratch, seen)
        except (StateError, GitFailedError) as cause:
            self.result.warnings.append(f"the index of {name} is left alone: {cause.message}")

    def _keep(self, path: TreePath, reason: str) -> None:
        self.result.kept.append(Kept(path, reason))


def _index_state(state: StagedState) -> IndexState:
    rows = [StagedRow(row.path, row.mode, row.oid, row.stage, row.is_intent) for row in state.staged]
    return IndexState(state.head, rows, state.hidden)


def _deepest_first(changes: Iterable[Change]) -> list[Change]:
    """Children go before their parents, so that a folder is empty when a file takes its place."""
    return sorted(changes, key=lambda change: (-change.path.count(b"/"), change.path))


def _is_not_attributes(path: TreePath) -> bool:
    """`.gitattributes` come first: a checkout of the other files obeys them."""
    return os.path.basename(path) != b".gitattributes"


def _remove_empty_folder_tree(tree: SafeRoot, path: TreePath) -> None:
    """Remove a folder at `path` that holds nothing but empty folders. Raises OSError when it holds more."""
    stat = tree.find_stat(path)
    if stat is None or stat.kind is not PathKind.FOLDER:
        return
    for child in tree.list_folder(path):
        _remove_empty_folder_tree(tree, child)
    tree.remove_folder(path)


@contextmanager
def _named(path: TreePath) -> Iterator[None]:
    """Say which path an OSError is about."""
    with translate_os_errors(f"cannot restore {display(path)}"):
        yield
