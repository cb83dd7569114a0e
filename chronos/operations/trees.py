"""Working trees of timelines that come and go as operations, each undoable: branched, deleted, pruned.

What is taken away is only moved aside, together with git's own folder of it, and an undo moves it back as it was, with
the files that no checkpoint holds; gc removes it when it can be undone no more. A note of the operation is written
before the first step and goes after the log has its line, so whoever comes next brings to its end what was cut short.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from chronos.checkpoints import CheckpointMove, Store, Trigger, find_record, list_timelines, tree_of, tree_text
from chronos.errors import StateError
from chronos.files import (
    display,
    move_away,
    remove_tree,
    sync_file_system,
    sync_folder,
    to_text,
    translate_os_errors,
    unescape,
)
from chronos.git import (
    Repository,
    bring_branch,
    find_branch,
    find_branch_in_the_way,
    find_worktree_folder,
    is_checked_out,
    is_reachable,
    link_worktree,
    mark_of,
    remove_branch,
)
from chronos.layout import WORKTREE, StoreLayout
from chronos.operations.checkpoints import create
from chronos.operations.log import (
    Operation,
    OperationKind,
    TreeMove,
    append,
    new_operation_id,
    stamp,
)
from chronos.operations.shelf import move_checkpoints
from chronos.operations.tree_notes import drop_note, write_note
from chronos.operations.tree_places import find_tree, is_ours, locate_tree, mend_link, workspace_at
from chronos.operations.workspace import Workspace

ASIDE = ".removed-"


class KeptBranch(msgspec.Struct, frozen=True):
    """A git branch that stays although its timeline goes, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"git branch {display(self.name)} stays: {self.reason}"


def branch_of(timeline: str) -> str:
    """Return the short name of the git branch that a branched timeline begins on."""
    return f"chronos/{timeline}"


def arriving(layout: StoreLayout, timeline: str, place: Path, commit: str | None, *, is_plain: bool) -> TreeMove:
    """Return the move that says that a timeline's tree comes to `place`, on its own branch at `commit`."""
    text = place.relative_to(layout.root) if place.is_relative_to(layout.root) else place
    branch = "" if is_plain else branch_of(timeline)
    return TreeMove(timeline, True, to_text(os.fsencode(text)), branch, commit)


def leaving(workspace: Workspace, timeline: str, gone: Collection[str] = ()) -> TreeMove:
    """Return the move that takes a timeline's tree away, and its branch where no commit is lost with it.

    What belongs to another repository is not taken, nor is a branch that another tree has checked out. The branches
    `gone` will be no more by then.
    """
    repository, layout = workspace.repository, workspace.store.layout
    record = find_record(layout, timeline)
    tree = locate_tree(layout, repository, timeline, record) if record is not None else None
    place = ""
    if record is not None and tree is not None and _is_to_move(workspace, timeline, tree):
        place = record.tree if tree == tree_of(layout, record) else tree_text(layout, tree, workspace.home)
    if repository.is_plain:
        return TreeMove(timeline, False, place)
    branch = branch_of(timeline)
    tip = find_branch(repository, branch)
    if tip is not None and _why_kept(repository, branch, tip, tree, gone):
        tip = None
    return TreeMove(timeline, False, place, branch if tip else "", tip)


def find_kept_branch(workspace: Workspace, timeline: str, gone: Collection[str] = ()) -> KeptBranch | None:
    """Return the git branch of a timeline when it stays although the timeline goes. See `leaving`."""
    repository, layout = workspace.repository, workspace.store.layout
    tip = None if repository.is_plain else find_branch(repository, branch_of(timeline))
    if tip is None:
        return None
    record = find_record(layout, timeline)
    tree = locate_tree(layout, repository, timeline, record) if record is not None else None
    reason = _why_kept(repository, branch_of(timeline), tip, tree, gone)
    return KeptBranch(branch_of(timeline), reason) if reason else None


def _why_kept(repository: Repository, branch: str, tip: str, tree: Path | None, gone: Collection[str]) -> str:
    """Return why a branch does not go with the tree of its timeline, or nothing."""
    admin = find_worktree_folder(repository, tree) if tree is not None else None
    if is_checked_out(repository, branch, beside=admin):
        return "another working tree has it checked out"
    return (
        "" if is_reachable(repository, tip, beside={branch, *gone}) else "no other branch or tag leads to its commits"
    )


def _is_to_move(workspace: Workspace, timeline: str, tree: Path) -> bool:
    """Tell whether a tree is there and ours, or is gone and git still keeps its folder for this timeline."""
    if tree.is_dir():
        mend_link(workspace, timeline, tree)
        return is_ours(workspace.repository, tree)
    admin = None if workspace.repository.is_plain else find_worktree_folder(workspace.repository, tree)
    return admin is not None and mark_of(admin) == timeline


def hold_tree(workspace: Workspace, timeline: str, name: str) -> str | None:
    """Take a checkpoint of a timeline whose tree is about to go; return its id, or None when the tree is gone.

    Raises StateError in the tree itself.
    """
    if timeline == workspace.timeline:
        raise StateError(
            f"this is the working tree of timeline {timeline}", hint=f"run it elsewhere, such as in {workspace.home}"
        )
    layout = workspace.store.layout
    tree = find_tree(layout, workspace.repository, timeline) if timeline in list_timelines(layout) else None
    if tree is None or not tree.is_dir():
        return None
    created = create(workspace_at(workspace, timeline, tree), name, trigger=Trigger.AUTOMATIC)
    return created.checkpoint_id


def all_moves(store: Store, timeline: str) -> tuple[CheckpointMove, ...]:
    """Return the moves that take every live checkpoint of a timeline out of sight."""
    return tuple(CheckpointMove(row.checkpoint_id, False) for row in store.catalog.list_checkpoints(timeline))


def check_possible(workspace: Workspace, move: TreeMove, removed_by: str) -> None:
    """Raise StateError when a tree cannot come back: something else has its place, or gc has taken it.

    `removed_by` is the operation that moved it aside.
    """
    if not move.live:
        if move.timeline not in list_timelines(workspace.store.layout):
            raise StateError(f"timeline {move.timeline} is gone for good", hint="`chrono undo --skip` steps over it")
        return
    layout, place = workspace.store.layout, place_of_tree(workspace.store.layout, move)
    taken = find_branch_in_the_way(workspace.repository, move.branch) if move.branch else None
    if taken not in (None, move.branch):
        raise StateError(
            f"there is a branch called {display(str(taken))}, so {move.branch} cannot come back",
            hint="rename it: git branch -m OLD NEW",
        )
    if not move.place:
        return
    if os.path.lexists(place):
        raise StateError(f"{place} is taken by something else", hint="`chrono undo --skip` steps over it")
    if not _aside(layout, move, removed_by).is_dir():
        raise StateError(
            f"the working tree of timeline {move.timeline} is gone for good; its checkpoints may still be there",
            hint="`chrono undo --skip` steps over it",
        )
    record = find_record(layout, move.timeline)
    if record is not None and record.tree != move.place:
        raise StateError(f"the name {move.timeline} was taken again since")


def carry_out_move(workspace: Workspace, operation: Operation) -> None:
    """Move a timeline's tree and checkpoints as `operation` says, and log it. Needs the store's exclusive lock."""
    write_note(workspace.store, operation)
    carry_on(workspace, operation)


def take_tree_back(workspace: Workspace, operation: Operation, kind: OperationKind, summary: str) -> Operation:
    """Undo or redo the coming or going of a timeline's tree; return the operation that did. See `carry_out_move`.

    Raises StateError when the tree cannot come back.
    """
    assert operation.tree is not None
    back = operation.tree.inverted()
    check_possible(workspace, back, operation.operation)
    moves = tuple(CheckpointMove(move.checkpoint_id, True) for move in operation.checkpoints)
    if not back.live:
        with_all = operation.kind is OperationKind.BRANCH or bool(operation.checkpoints)  # a prune leaves them
        back = leaving(workspace, back.timeline)
        moves = all_moves(workspace.store, back.timeline) if with_all else ()
    done = Operation(
        new_operation_id(), kind, workspace.timeline, stamp(), summary, moves, undoes=operation.operation, tree=back
    )
    carry_out_move(workspace, done)
    return done


def carry_on(workspace: Workspace, operation: Operation) -> None:
    """Do what is noted, and log it; what comes back was moved aside by what is taken back. May be run again."""
    move = operation.tree
    assert move is not None
    if not move.live:
        move_aside(workspace, move, operation.operation)
    elif operation.undoes is not None:
        _move_back(workspace, move, operation.undoes)
    move_checkpoints(workspace.store, operation.checkpoints)
    append(workspace.store, operation)
    drop_note(workspace.store, operation)


def move_aside(workspace: Workspace, move: TreeMove, operation: str) -> Path:
    """Move the tree of a timeline, and git's folder of it, out of the way; return where. May be run again."""
    layout = workspace.store.layout
    place, aside = place_of_tree(layout, move), _aside(layout, move, operation)
    repository = workspace.repository
    admin = None if repository.is_plain or not move.place else find_worktree_folder(repository, place)
    with translate_os_errors(f"cannot move {place} away"):
        memory = layout.timeline_memory(move.timeline)
        if admin is not None or os.path.lexists(place) or memory.is_dir():
            aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        if admin is not None:
            (aside / "git").mkdir(mode=0o700, exist_ok=True)
            move_away(admin, aside / "git" / admin.name)
        if os.path.lexists(place) and not os.path.lexists(aside / "tree"):
            os.rename(place, aside / "tree")
        if memory.is_dir():
            move_away(memory, aside / "memory")
    if move.branch:
        with translate_os_errors(f"cannot remove the branch {move.branch}"):
            remove_branch(repository, move.branch, move.tip)
    if aside.parent.is_dir():
        sync_folder(aside.parent)
    return aside


def _move_back(workspace: Workspace, move: TreeMove, removed_by: str) -> None:
    """Put a tree back from where it was moved aside. May be run again."""
    repository = workspace.repository
    layout = workspace.store.layout
    place, aside = place_of_tree(layout, move), _aside(layout, move, removed_by)
    if not aside.is_dir():
        return
    with translate_os_errors(f"cannot put {place} back"):
        if os.path.lexists(aside / "tree"):
            os.rename(aside / "tree", place)
        if (aside / "memory").is_dir():
            move_away(aside / "memory", layout.timeline_memory(move.timeline))
        for saved in (aside / "git").iterdir() if (aside / "git").is_dir() else ():
            _link(repository, place, saved)
        if move.branch and move.tip is not None and find_branch(repository, move.branch) is None:
            bring_branch(repository, move.branch, move.tip)
        sync_file_system(place.parent)
        remove_tree(aside)


def _link(repository: Repository, place: Path, saved: Path) -> None:
    """Give git its folder of a worktree back, under a free name, and write both links anew: it may have been moved."""
    folder = repository.common_dir / "worktrees"
    folder.mkdir(exist_ok=True)
    free = (folder / (f"{saved.name}{number}" if number else saved.name) for number in range(10_000))
    admin = next(path for path in free if not os.path.lexists(path))
    link_worktree(place, admin, until_moved=saved)
    move_away(saved, admin)


def place_of_tree(layout: StoreLayout, move: TreeMove) -> Path:
    """Return where a move's tree is or comes to, or would be if there were one."""
    if not move.place:
        return layout.worktree(move.timeline)
    return Path(os.fsdecode(os.path.normpath(os.path.join(os.fsencode(layout.root), unescape(move.place)))))


def aside_of(layout: StoreLayout, operation: Operation) -> Path | None:
    """Return where the tree lies that an operation moved aside, if it is still there."""
    if operation.tree is None or operation.tree.live:
        return None
    path = _aside(layout, operation.tree, operation.operation)
    return path if path.is_dir() else None


def _aside(layout: StoreLayout, move: TreeMove, operation: str) -> Path:
    """Return where `operation` puts a tree that goes: beside its place, so that moving it is a rename."""
    place = place_of_tree(layout, move)
    name = f"{ASIDE}{operation}"
    return place.with_name(name if place.name == WORKTREE else f".{place.name}{name}")
