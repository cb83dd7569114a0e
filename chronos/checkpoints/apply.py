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

from chronos.checkpoints.changes import (
    ABSENT,
    Change,
    ChangeSet,
    HeadChange,
    IndexChange,
    SideKind,
    StagedState,
    SubmoduleLink,
)
from chronos.checkpoints.plan import Kept
from chronos.checkpoints.sides import BlobSource, linked_repository, side_on_disk
from chronos.errors import BadPathError, GitFailedError, StateError, StorageError
from chronos.files import PathKind, SafeRoot, TreePath, display, sync_file_system, translate_os_errors, unescape
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
from chronos.pool import PoolReader, digest

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)

Progress = Callable[[int, int], None]


class Applied(msgspec.Struct):
    """What was done, and what was left because it was no longer what the plan saw."""

    written: int = 0
    deleted: int = 0
    stores: list[str] = msgspec.field(default_factory=list)
    kept: list[Kept] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)


class Applier:
    """Apply one change set under the timeline's lock, with a journal already on disk.

    `seen` are the identities of the indexes (by component) that the change set was made from, where they are known. As
    the last resort an index that git refuses is left alone, where otherwise the whole can be tried again.
    """

    def __init__(
        self,
        repositories: dict[TreePath, Repository],
        pool: PoolReader,
        trash: Path,
        seen: Mapping[TreePath, str] | None = None,
        *,
        is_last_resort: bool = False,
    ) -> None:
        self._repositories = repositories
        self._is_last_resort = is_last_resort
        self._seen = seen or {}
        self._root = repositories[b""]
        self._pool = pool
        self._trash = trash
        self._in_trash: frozenset[str] = frozenset()  # what a run before this one has moved there
        self._moved: dict[TreePath, Path] = {}
        self.result = Applied()

    def apply(self, change_set: ChangeSet, progress: Progress | None = None) -> Applied:
        """Carry everything out; `sync` makes it durable. Raises StorageError, IntegrityError or GitFailedError."""
        with translate_os_errors(f"cannot write in {self._trash}"):
            self._trash.mkdir(mode=0o700, exist_ok=True)
            self._in_trash = frozenset(os.listdir(self._trash))
        with (
            SafeRoot(self._root.root) as tree,
            SafeRoot(self._trash) as trash,
            BlobSource(self._repositories) as blobs,
        ):
            to_write = self._clear_paths(tree, trash, change_set.changes)
            for link in change_set.links:
                with _named(link.component):
                    self._change_link(tree, link)
            self._write_paths(tree, blobs, to_write, progress)
        if change_set.head is not None:
            self._move_head(change_set.head)
        for change in change_set.indexes:
            self._write_index(change)
        return self.result

    def sync(self) -> None:
        """Make durable what `apply` did. Raises StorageError."""
        sync_file_system(self._root.root)

    def _clear_paths(self, tree: SafeRoot, trash: SafeRoot, changes: tuple[Change, ...]) -> list[Change]:
        """Make room at every path; return the changes that still have to write something, in order."""
        to_write = []
        for number, change in enumerate(_deepest_first(changes)):
            with _named(change.path):
                tree.discard_temporary(change.path)
                if self._clear(tree, trash, number, change) and change.after.kind is not SideKind.ABSENT:
                    to_write.append(change)
        to_write.sort(
            key=lambda change: (change.after.kind is SideKind.LINK, _is_not_attributes(change.path), change.path)
        )
        return to_write

    def _write_paths(
        self, tree: SafeRoot, blobs: BlobSource, to_write: list[Change], progress: Progress | None
    ) -> None:
        for number, change in enumerate(self._pool.ahead(to_write, lambda change: change.after.content)):
            with _named(change.path):
                self._write(tree, blobs, change)
            if progress is not None:
                progress(number + 1, len(to_write))

    def _clear(self, tree: SafeRoot, trash: SafeRoot, number: int, change: Change) -> bool:
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
        if target.name in self._in_trash:
            target.unlink()
        tree.move_out(change.path, target)
        self._moved[change.path] = target
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
        data = None
        if change.after.blob is not None:
            data = blobs.read(change.path, change.after)
            if change.after.content is not None and digest(data) != change.after.content.id:
                self._keep_old(tree, change.path, "git writes other bytes now than when the plan was made")
                return
        try:
            tree.make_parents(change.path)
            _remove_empty_folder_tree(tree, change.path)
            pieces = iter([data]) if data is not None else self._pieces(change)
            if change.after.kind is SideKind.LINK:
                tree.write_link(change.path, b"".join(pieces))
            else:
                moved = self._moved.get(change.path)
                like = os.lstat(moved) if moved is not None and change.before.kind is SideKind.FILE else None
                tree.write_file(change.path, pieces, executable=change.after.executable, like=like)
        except OSError as cause:
            if cause.errno not in _TAKEN:
                raise
            self._keep(change.path, "something else stands there now")
            return
        self.result.written += 1

    def _pieces(self, change: Change) -> Iterator[bytes]:
        return self._pool.iter_content(change.after.content) if change.after.content is not None else iter(())

    def _keep_old(self, tree: SafeRoot, path: TreePath, reason: str) -> None:
        """Bring back what was moved away from `path`, which is not to be replaced after all."""
        moved = self._moved.get(path)
        if moved is not None and os.path.lexists(moved):
            tree.move_in(moved, path)
        self._keep(path, reason)

    def _change_link(self, tree: SafeRoot, link: SubmoduleLink) -> None:
        """Make or remove the `.git` file of an absorbed submodule; one that says something else is left alone."""
        if linked_repository(self._root, link.component, link.git_dir) is None:
            raise BadPathError(f"{display(link.component)} would be linked to a git folder that is no submodule's")
        try:
            git_dir = unescape(link.git_dir)
            tree.set_git_link(link.component, git_dir if link.is_made else None, git_dir)
        except OSError as cause:
            if cause.errno not in (*_TAKEN, errno.ELOOP, errno.ENOENT):
                raise
            self._keep(link.component, "something else stands there now")

    def _move_head(self, change: HeadChange) -> None:
        before = Head(change.branch_before, change.commit_before)
        after = Head(change.branch_after, change.commit_after)
        branch = change.moved_branch
        move = BranchMove(branch, change.tip_before, change.tip_after) if branch else None
        try:
            move_head(self._root, before, after, move)
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
        except (StateError, GitFailedError, StorageError) as cause:
            if not isinstance(cause, StateError) and not self._is_last_resort:
                raise
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
    folders = [path]
    for folder in folders:
        for child in tree.list_folder(folder):
            if os.path.basename(child).lower() == b".git":
                raise OSError(errno.ENOTEMPTY, "a repository stands there")
            folders.append(child)
    for folder in reversed(folders):
        tree.remove_folder(folder)


@contextmanager
def _named(path: TreePath) -> Iterator[None]:
    """Say which path an OSError is about."""
    with translate_os_errors(f"cannot restore {display(path)}"):
        yield
