"""Where the working trees of timelines are, and whether they are this repository's: nothing is done in any other."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from chronos.checkpoints import TimelineRecord, find_record, is_claimed, list_timelines, tree_of
from chronos.config import load
from chronos.errors import ForeignTimelineError, UnknownTimelineError
from chronos.files import (
    display,
    translate_os_errors,
)
from chronos.git import (
    Repository,
    common_dir_of,
    find_worktree_folder,
    iter_worktrees,
    link_worktree,
    linked_folder,
    mark_of,
    open_repository,
    plain_folder,
)
from chronos.layout import StoreLayout
from chronos.locate import timeline_of_worktree
from chronos.operations.workspace import Workspace


def workspace_at(workspace: Workspace, timeline: str, root: Path | None = None) -> Workspace:
    """Return the workspace of another timeline, by default at its tree; the record follows a tree that was moved.

    Raises UnknownTimelineError, and ForeignTimelineError for a tree of another repository.
    """
    root = root or find_tree(workspace.store.layout, workspace.repository, timeline)
    if root is None or not root.is_dir():
        raise UnknownTimelineError(
            f"timeline {display(timeline)} has no working tree",
            hint=f"`chrono timeline branch NAME --from {timeline}@` gives its newest state a new one",
        )
    if workspace.repository.is_plain:
        repository = plain_folder(root, workspace.repository.git_dir, workspace.git)
    else:
        mend_link(workspace, timeline, root)
        if not is_ours(workspace.repository, root):
            raise ForeignTimelineError(
                f"the working tree of timeline {display(timeline)} at {root} belongs to another repository",
                hint="it was moved, or this project is a copy of another one; nothing there was touched",
            )
        repository = open_repository(root, workspace.git)
        repository.share_knowledge(workspace.repository)
    store = workspace.store
    if store.is_writable and not is_claimed(store.layout, timeline, root):
        store.claim(timeline, root, workspace.home)
    config = load(root, workspace.environment)
    return msgspec.structs.replace(
        workspace, root=root, repository=repository, timeline=timeline, config=config, progress=None
    )


def find_tree(layout: StoreLayout, repository: Repository, timeline: str) -> Path | None:
    """Return the working tree of a timeline, which may be gone; None where none is recorded. See `locate_tree`.

    Raises UnknownTimelineError, DamagedStoreError.
    """
    if timeline not in list_timelines(layout):
        raise UnknownTimelineError(f"no timeline is called {display(timeline[:60])!r}")
    record = find_record(layout, timeline)
    return locate_tree(layout, repository, timeline, record) if record is not None else None


def locate_tree(layout: StoreLayout, repository: Repository, timeline: str, record: TimelineRecord) -> Path | None:
    """Return the working tree of a timeline: where it is recorded, or where git says that it was moved to.

    A tree that git knows nowhere else is where it was recorded, and gone; a timeline of imports has none.
    """
    tree = tree_of(layout, record)
    if tree is None or repository.is_plain or _is_there(layout, repository, timeline, tree):
        return tree
    found = (
        place for admin, place in iter_worktrees(repository)
        if timeline_of_worktree(admin, layout) == timeline and _leads_to(place, admin)
    )  # fmt: skip
    return next(found, tree)


def _is_there(layout: StoreLayout, repository: Repository, timeline: str, tree: Path) -> bool:
    """Tell whether the tree at a place is not gone, and not one of ours that is of another timeline."""
    admin = linked_folder(tree)
    if admin is None or not admin.is_dir() or admin.parent != repository.common_dir / "worktrees":
        return tree.is_dir()
    return timeline_of_worktree(admin, layout) == timeline


def _leads_to(tree: Path, admin: Path) -> bool:
    linked = linked_folder(tree)
    return linked is not None and os.path.realpath(linked) == os.path.realpath(admin)


def is_ours(repository: Repository, tree: Path) -> bool:
    """Tell whether the tree at a place is a worktree of this repository; outside git every one is."""
    return repository.is_plain or common_dir_of(tree) == repository.common_dir


def mend_link(workspace: Workspace, timeline: str, tree: Path) -> bool:
    """Lead git from a tree to its own folder of it and back, where a move or a copy of the project has broken that.

    Nothing but these two links is written. git's folder must say that it is this timeline's, and the tree must lie in
    this store, or its link lead nowhere: another project's tree is left alone. Returns whether anything was mended.
    """
    repository = workspace.repository
    linked = None if repository.is_plain else linked_folder(tree)
    if linked is None:
        return False
    admin = repository.common_dir / "worktrees" / linked.name
    is_lost = common_dir_of(tree) is None or tree == workspace.store.layout.worktree(timeline)
    is_whole = is_ours(repository, tree) and find_worktree_folder(repository, tree) == admin
    if is_whole or not is_lost or mark_of(admin) != timeline:
        return False
    with translate_os_errors(f"cannot mend the link of {tree}"):
        link_worktree(tree, admin)
    return True


def repair_trees(workspace: Workspace) -> list[str]:
    """Mend the links between git and the trees of timelines after a move of the project; return what was done."""
    done = []
    for timeline in list_timelines(workspace.store.layout):
        record = find_record(workspace.store.layout, timeline)
        tree = tree_of(workspace.store.layout, record) if record is not None else None
        if tree is not None and mend_link(workspace, timeline, tree):
            done.append(f"the link between git and {tree} was mended")
    return done
