"""Reading verbs that need two states: diff, and writing a checkpoint out into another folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    BlobSource,
    Options,
    Side,
    SideKind,
    Sides,
    State,
    StateDiff,
    StateRules,
    absorbed_repositories,
    capture_in_memory,
)
from chronos.errors import GitFailedError
from chronos.files import SafeRoot, TreePath, display, is_inside, remove_tree
from chronos.git import GitCommand, Repository, common_dir_of, list_tree, open_repository
from chronos.memory import get_kind, place_of
from chronos.operations.memory import write_store
from chronos.operations.new_folder import new_folder
from chronos.operations.workspace import Workspace

_NAMED = 10


@contextmanager
def open_diff(workspace: Workspace, old: CheckpointRow, new: CheckpointRow | None) -> Iterator[StateDiff]:
    """Give the comparison of a checkpoint with another one, or with the working tree as it is now."""
    store = workspace.store
    before = store.read_checkpoint(old)
    if new is not None:
        after = store.read_checkpoint(new)
        with store.temporary_folder() as scratch:
            found = StateDiff(before, after, find_repositories(workspace, before, after), store.pool, None, scratch)
            workspace.notices += found.warnings()
            yield found
        return
    capture = capture_in_memory(store, workspace.repository, workspace.policy())
    with SafeRoot(workspace.root) as tree, store.temporary_folder() as scratch:
        found = StateDiff(before, capture.state, capture.repositories, store.pool, tree, scratch)
        workspace.notices += found.warnings()
        yield found


def restore_into(workspace: Workspace, row: CheckpointRow, folder: Path, paths: tuple[TreePath, ...]) -> int:
    """Write the state of a checkpoint into `folder`, which must be new or empty; return how many paths were written."""
    state = workspace.store.read_checkpoint(row)
    with new_folder(workspace, folder) as scratch:
        count = _write_stores(workspace, state, scratch, paths)  # before any link is there to walk through
        return count + _write_out(workspace, state, scratch, paths)


def _write_out(workspace: Workspace, state: State, target: Path, folders: tuple[TreePath, ...]) -> int:
    paths: set[TreePath] = set()
    repositories = find_repositories(workspace, state)
    sides = Sides(state, repositories)
    for path, component in state.components.items():
        paths |= {component.from_root(own) for own in component.entries}
        if not sides.can_read_base(path):
            commit = (component.base or "")[:12]
            workspace.notices.append(f"the base commit {commit} is gone; only what was captured is written")
        elif component.base is not None:
            paths |= {component.from_root(entry.path) for entry in list_tree(repositories[path], component.base)}
    paths |= {row.path for row in state.uncaptured()}
    paths = {path for path in paths if not state.is_memory(path)}
    paths = {path for path in paths if not folders or any(is_inside(path, folder) for folder in folders)}
    unknown = {path: why for path in sorted(paths) if (why := sides.why_unknown(path))}
    if unknown:
        some = ", ".join(f"{display(path)} ({why})" for path, why in list(unknown.items())[:_NAMED])
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        workspace.notices.append(f"not in the checkpoint, so not written: {some}{more}")
    wanted = sorted(paths - unknown.keys())
    sides.load(wanted)
    found = [(path, side) for path in wanted if (side := sides.find(path)).kind is not SideKind.ABSENT]
    found.sort(key=lambda item: item[1].kind is SideKind.LINK)
    with workspace.store.temporary_folder() as scratch:
        attributes = StateRules(state, repositories, workspace.store.pool, lambda: scratch).attributes_folder(wanted)
        with SafeRoot(target) as tree, BlobSource(repositories, attributes) as blobs:
            _write_all(workspace, tree, blobs, found)
    return len(found)


def _write_stores(workspace: Workspace, state: State, target: Path, folders: tuple[TreePath, ...]) -> int:
    """Write the memory stores that lie in the root to where they would lie; return how many."""
    wanted = [part for part in state.memory.values() if Options(folders).covers_store("", part.record.path)]
    for part in wanted:
        if not part.record.is_inside:
            name = display(part.record.name)
            workspace.notices.append(f"memory store {name} lies outside the project; `chrono memory extract` writes it")
            continue
        place, draft = place_of(target, part.record.path), target / ".chronos-store.tmp"
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        written = write_store(workspace.store.pool, part, draft)
        for path in filter(os.path.lexists, (written, *get_kind(part.record.kind).companions(written))):
            os.rename(path, place.with_name(place.name + path.name.removeprefix(written.name)))
        remove_tree(draft)
    return sum(part.record.is_inside for part in wanted)


def _write_all(workspace: Workspace, tree: SafeRoot, blobs: BlobSource, found: list[tuple[TreePath, Side]]) -> None:
    for number, (path, side) in enumerate(found):
        tree.make_parents(path)
        if side.blob is not None:
            pieces = iter([blobs.read(path, side)])
        else:
            pieces = workspace.store.pool.iter_content(side.content) if side.content else iter([])
        if side.kind is SideKind.LINK:
            tree.write_link(path, b"".join(pieces))
        else:
            tree.write_file(path, pieces, executable=side.executable)
        if workspace.progress is not None:
            workspace.progress(number + 1, len(found))


def find_repositories(workspace: Workspace, *states: State) -> dict[TreePath, Repository]:
    """Return the repositories of the states' components that are still there, if only their git folder."""
    paths = {path for state in states for path in state.components}
    found = open_repositories(workspace.repository, workspace.git, paths, workspace.notices)
    for state in states:
        found = absorbed_repositories(state, found)
    return found


def open_repositories(
    repository: Repository, git: GitCommand, paths: Iterable[TreePath], notices: list[str]
) -> dict[TreePath, Repository]:
    """Return the root's `repository`, and those at `paths` from it that are still there."""
    found = {b"": repository}
    for path in filter(None, set(paths)):
        root = repository.root / os.fsdecode(path)
        if common_dir_of(root) is not None:
            try:
                found[path] = open_repository(root, git)
            except GitFailedError as cause:
                notices.append(f"{display(path)} cannot be read: {cause.message}")
    return found
