"""Trials: throw-away working trees that take on the state of one checkpoint after the other, with the memory of each.

A trial is a scratch folder of the store: no timeline, no operation, no worktree and no branch of the user's, and when
its owner dies the next command sweeps it as it sweeps every scratch folder. Its repository only borrows objects (see
`chronos.git.borrow_repository`), and its memory stores are copies, also of those that lie outside of the project. What
a program leaves in the tree, ignored files too, goes before the next checkpoint comes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints import ComponentState, EntryKind, Options, State, capture_in_memory, linked_repository
from chronos.errors import GitFailedError, UnknownCheckpointError
from chronos.files import TreePath, display, remove_tree, translate_os_errors
from chronos.git import (
    Repository,
    borrow_repository,
    common_dir_of,
    list_index_paths,
    open_repository,
    plain_folder,
    stand_at,
)
from chronos.operations import Workspace, places_of
from chronos.timelines.branching import check_filled, fill
from chronos.timelines.listing import variables_in
from chronos.timelines.seeds import copy_seeds, find_seeds

# What would lead a program to the user's repository, timeline, store or memory.
_NOT_PASSED_ON = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
    "CHRONOS_TIMELINE", "CHRONOS_TIMELINES_DIR", "CHRONOS_ROOT", "PWD", "OLDPWD",
)  # fmt: skip
_MEMORY_VARIABLE = "CHRONOS_MEMORY_"


class Standing(msgspec.Struct, frozen=True):
    """A trial that has the state of a checkpoint: where, and the whole environment for a program that is run there.

    `notes` say what of the checkpoint could not be had.
    """

    root: Path
    environment: dict[str, str]
    notes: tuple[str, ...]


@contextmanager
def open_trial(workspace: Workspace, seeds: Sequence[str] = ()) -> Iterator[Trial]:
    """Give a trial, which goes at the end. `seeds` are patterns of ignored files that are copied into it once.

    Raises BadPathError for a pattern that names nothing, StorageError.
    """
    found = find_seeds(workspace, seeds)
    with workspace.store.temporary_folder("trial") as folder:
        yield Trial(workspace, folder, found)


class Trial:
    """One throw-away working tree. Not shared between threads."""

    def __init__(self, workspace: Workspace, folder: Path, seeds: list[TreePath]) -> None:
        self._source = workspace
        self._folder = folder
        self._seeds = seeds
        self._root = folder / "tree"
        self._memory = folder / "memory"
        self._last: State | None = None

    def take_on(self, row: CheckpointRow) -> Standing:
        """Give the tree and its memory stores the state of a checkpoint, and nothing else.

        Raises UnknownCheckpointError when it is gone, IntegrityError (VerifyFailedError too) or GitFailedError when it
        cannot be had, StorageError.
        """
        store = self._source.store
        with store.shared():
            present = store.catalog.find_checkpoint(row.checkpoint_id)
            if present is None or present.deleted:
                raise UnknownCheckpointError(f"checkpoint {row.checkpoint_id} is not there any more")
            state = store.read_checkpoint(present)
            notes, repository = self._prepare(state)
            there = msgspec.structs.replace(
                self._source, root=self._root, repository=repository, own_memory=self._memory, progress=None, notices=[]
            )
            self._sweep(there, state)
            forced = frozenset(_entries(state))
            plan, warnings = fill(there, state, Options(), forced)
            policy = there.policy(forced, places_of(there, state))
            check_filled(there, state, Options(), capture_in_memory(store, repository, policy))
            self._last = state
        notes += [f"{display(kept.path)} is left out: {kept.reason}" for kept in plan.kept]
        return Standing(self._root, self._environment(there, state), (*notes, *plan.warnings, *warnings))

    def _environment(self, there: Workspace, state: State) -> dict[str, str]:
        kept = {
            name: value for name, value in there.environment.items()
            if name not in _NOT_PASSED_ON and not name.startswith(_MEMORY_VARIABLE)
        }  # fmt: skip
        places = {"PWD": str(self._root), "GIT_CEILING_DIRECTORIES": str(self._folder)}
        return {**kept, **variables_in(there, state), **places}

    def _prepare(self, state: State) -> tuple[list[str], Repository]:
        """Give the tree its repositories, with HEAD where it was; a tree with repositories in it is made anew."""
        has_nested = any(len(one.components) > 1 for one in (state, *([self._last] if self._last else ())))
        if has_nested or self._last is None:
            self._clear()
        source = self._source.repository
        if source.is_plain:
            return [], plain_folder(self._root, source.git_dir, self._source.git)
        top = state.components[b""]
        repository = self._stand(source, self._root, top)
        if self._seeds and (has_nested or self._last is None):
            copy_seeds(self._source, self._root, self._seeds)
        notes = [self._bring(part) for path, part in sorted(state.components.items()) if path]
        return [note for note in notes if note], repository

    def _clear(self) -> None:
        remove_tree(self._root)
        with translate_os_errors(f"cannot make {self._root}"):
            self._root.mkdir(mode=0o700)
            self._memory.mkdir(mode=0o700, exist_ok=True)
        if self._source.repository.is_plain:
            copy_seeds(self._source, self._root, self._seeds)

    def _stand(self, source: Repository, place: Path, part: ComponentState) -> Repository:
        """Return a borrowed repository at `place`, standing where the component did.

        It is a new one each time, for a program may have broken the last one, or left branches, settings and hooks in
        it. Only the index is used again, so that files that are the same need not be written.
        """
        repository = borrow_repository(source, place)
        if self._last is not None and not self._last.components[b""].hidden:  # flags of the index outlive a checkout
            try:
                stand_at(repository, part.branch, part.head)
            except GitFailedError:
                pass
            else:
                return repository
        repository.index.unlink(missing_ok=True)
        stand_at(repository, part.branch, part.head)
        return repository

    def _bring(self, part: ComponentState) -> str:
        """Bring a repository below the root; return what is to be said when its captured files come without it."""
        old, place = (root / os.fsdecode(part.path) for root in (self._source.root, self._root))
        if part.git_dir is not None:
            source = linked_repository(self._source.repository, part.path, part.git_dir)
        else:
            source = open_repository(old, self._source.git) if common_dir_of(old) is not None else None
        if source is None:
            return f"{display(part.path)}: its repository is not there; only its captured files come along"
        with translate_os_errors(f"cannot make {place}"):
            place.mkdir(parents=True, exist_ok=True)
        try:
            self._stand(source, place, part)
        except GitFailedError as cause:
            remove_tree(place / ".git")
            return f"{display(part.path)}: {cause.message}; only its captured files come along"
        return ""

    def _sweep(self, there: Workspace, state: State) -> None:
        """Remove what is neither tracked nor of the state: what a program left, and what an earlier checkpoint had."""
        outside = {part.record.path for part in state.memory.values() if not part.record.is_inside}
        with translate_os_errors(f"cannot clear {self._folder}"):
            for place in there.places():
                if not place.is_inside and place.path not in outside:
                    for path in (place.place, *place.companions()):
                        _remove(os.fsencode(path))
            if len(state.components) > 1:
                return  # just made
            kept = {*_entries(state), *self._seeds}
            if not there.repository.is_plain:
                kept.update(list_index_paths(there.repository, there.repository.index))
            _sweep(os.fsencode(self._root), b"", kept, _store_paths(state))


def _entries(state: State) -> list[TreePath]:
    """Return the paths at which the state has something of its own."""
    return [
        part.from_root(path) for part in state.components.values()
        for path, entry in part.entries.items() if entry.kind is not EntryKind.DELETED
    ]  # fmt: skip


def _store_paths(state: State) -> set[TreePath]:
    """Return where the memory stores of a state are in the tree, with all that belongs to them."""
    return {path for part in state.memory.values() for path in part.paths()}


def _sweep(folder: bytes, prefix: TreePath, kept: set[TreePath], stores: set[TreePath]) -> bool:
    """Remove all below a folder that is not `kept` and in no store; tell whether the folder is empty then."""
    is_empty = True
    _open_up(folder)
    with os.scandir(folder) as found:
        items = list(found)
    for item in items:
        path = prefix + item.name
        if path == b".git" or path in stores:
            is_empty = False
        elif item.is_dir(follow_symlinks=False):
            if _sweep(item.path, path + b"/", kept, stores) and path not in kept:  # a submodule that is not there
                os.rmdir(item.path)
            else:
                is_empty = False
        elif path in kept:
            is_empty = False
        else:
            os.unlink(item.path)
    return is_empty


def _open_up(folder: bytes) -> None:
    mode = os.stat(folder).st_mode
    if mode & 0o700 != 0o700:
        os.chmod(folder, 0o700)


def _remove(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        remove_tree(Path(os.fsdecode(path)))
    elif os.path.lexists(path):
        os.unlink(path)
