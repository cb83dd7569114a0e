"""Working trees of timelines that come and go as operations, each undoable: branched, deleted, pruned.

What is taken away is only moved aside, together with git's own folder of it, and an undo moves it back as it was, with
the files that no checkpoint holds; gc removes it when it can be undone no more. A note of the operation is written
before the first step and goes after the log has its line, so whoever comes next brings to its end what was cut short.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from chronos.checkpoints import CheckpointMove, Store, Trigger, find_record, list_timelines, tree_of
from chronos.config import load
from chronos.errors import ChronosError, StateError, UnknownTimelineError
from chronos.files import (
    display,
    move_away,
    read_limited,
    remove_tree,
    replace_durably,
    sweep_drafts,
    sync_file_system,
    sync_folder,
    to_text,
    translate_os_errors,
    unescape,
)
from chronos.git import (
    Repository,
    bring_branch,
    common_dir_of,
    find_branch,
    find_worktree_folder,
    is_reachable,
    open_repository,
    plain_folder,
    remove_branch,
    repair_worktrees,
)
from chronos.layout import MAIN_TIMELINE, TIMELINE, WORKTREE, StoreLayout
from chronos.operations.checkpoints import create
from chronos.operations.journals import NOTE, list_unfinished
from chronos.operations.log import (
    Operation,
    OperationKind,
    TreeMove,
    append,
    new_operation_id,
    read_operations,
    stamp,
)
from chronos.operations.shelf import move_checkpoints
from chronos.operations.workspace import Workspace
from chronos.pool import add_check, strip_check

_LARGEST_NOTE_BYTES = 16 * 1024 * 1024
ASIDE = ".removed-"


def workspace_at(workspace: Workspace, timeline: str, root: Path | None = None) -> Workspace:
    """Return the workspace of another timeline, by default at its recorded tree. Raises UnknownTimelineError."""
    root = root or find_tree(workspace.store.layout, timeline)
    if root is None or not root.is_dir():
        raise UnknownTimelineError(
            f"timeline {display(timeline)} has no working tree",
            hint=f"`chrono timeline branch NAME --from {timeline}@` gives its newest state a new one",
        )
    if workspace.repository.is_plain:
        repository = plain_folder(root, workspace.repository.git_dir, workspace.git)
    else:
        if common_dir_of(root) is None:
            repair_worktrees(workspace.repository, [root])
        repository = open_repository(root, workspace.git)
    config = load(root, workspace.environment)
    return msgspec.structs.replace(
        workspace, root=root, repository=repository, timeline=timeline, config=config, progress=None
    )


def find_tree(layout: StoreLayout, timeline: str) -> Path | None:
    """Return the recorded working tree of a timeline, which may be gone; None where none is recorded.

    Raises UnknownTimelineError, DamagedStoreError.
    """
    if timeline not in list_timelines(layout):
        raise UnknownTimelineError(f"no timeline is called {display(timeline[:60])!r}")
    record = find_record(layout, timeline)
    return tree_of(layout, record) if record is not None else None


def branch_of(timeline: str) -> str:
    """Return the short name of the git branch that a branched timeline begins on."""
    return f"chronos/{timeline}"


def arriving(layout: StoreLayout, timeline: str, place: Path, commit: str | None, *, is_plain: bool) -> TreeMove:
    """Return the move that says that a timeline's tree comes to `place`, on its own branch at `commit`."""
    text = place.relative_to(layout.root) if place.is_relative_to(layout.root) else place
    branch = "" if is_plain else branch_of(timeline)
    return TreeMove(timeline, True, to_text(os.fsencode(text)), branch, commit)


def leaving(workspace: Workspace, timeline: str) -> TreeMove:
    """Return the move that takes a timeline's tree away, and its branch where no commit is lost with it."""
    repository = workspace.repository
    record = find_record(workspace.store.layout, timeline)
    tree = tree_of(workspace.store.layout, record) if record is not None else None
    branch, tip = branch_of(timeline), None
    if not repository.is_plain:
        tip = find_branch(repository, branch)
        if tip is not None and not is_reachable(repository, tip, beside=branch):
            tip = None  # a commit would be lost with it; a base ref of a checkpoint leads to one as well
    place = record.tree if record is not None and tree is not None and tree.is_dir() else ""
    return TreeMove(timeline, False, place, branch if tip else "", tip)


def hold_tree(workspace: Workspace, timeline: str, name: str) -> str | None:
    """Take a checkpoint of a timeline whose tree is about to go; return its id, or None when the tree is gone.

    Raises StateError in the tree itself.
    """
    if timeline == workspace.timeline:
        raise StateError(
            f"this is the working tree of timeline {timeline}", hint=f"run it elsewhere, such as in {workspace.home}"
        )
    layout = workspace.store.layout
    tree = find_tree(layout, timeline) if timeline in list_timelines(layout) else None
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
    _finish(workspace, operation)


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
        back, moves = leaving(workspace, back.timeline), ()
        moves = all_moves(workspace.store, back.timeline) if with_all else ()
    done = Operation(
        new_operation_id(), kind, workspace.timeline, stamp(), summary, moves, undoes=operation.operation, tree=back
    )
    carry_out_move(workspace, done)
    return done


def drop_link(workspace: Workspace, place: Path) -> None:
    """Remove git's own folder of a worktree whose tree is gone, unless the user has locked it."""
    admin = find_worktree_folder(workspace.repository, place)
    if admin is not None and not os.path.lexists(place) and not (admin / "locked").exists():
        remove_tree(admin)


def _finish(workspace: Workspace, operation: Operation) -> None:
    """What comes back was moved aside by the operation that this one takes back. May be run again."""
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
            move_away(admin, aside / "git")
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
        if (aside / "git").is_dir():
            _link(repository, place, aside / "git")
        if move.branch and move.tip is not None and find_branch(repository, move.branch) is None:
            bring_branch(repository, move.branch, move.tip)
        sync_file_system(place.parent)
        remove_tree(aside)


def _link(repository: Repository, place: Path, saved: Path) -> None:
    """Give git its folder of a worktree back, under a free name, and write both links anew: it may have been moved."""
    folder = repository.common_dir / "worktrees"
    folder.mkdir(exist_ok=True)
    name = os.path.basename(os.fsdecode((place / ".git").read_bytes().rstrip(b"\r\n")))
    free = (folder / (f"{name}{number}" if number else name) for number in range(10_000))
    admin = next(path for path in free if not os.path.lexists(path))
    (saved / "gitdir").write_bytes(os.fsencode(place / ".git") + b"\n")
    (place / ".git").write_bytes(b"gitdir: " + os.fsencode(admin) + b"\n")
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


def repair_trees(workspace: Workspace) -> list[str]:
    """Mend the links between git and the trees of timelines, broken by a move of the project; return what was done.

    Nothing but these links is written, and only those of trees that are where they are recorded.
    """
    repository, layout = workspace.repository, workspace.store.layout
    if repository.is_plain:
        return []
    broken = []
    for timeline in list_timelines(layout):
        record = find_record(layout, timeline)
        tree = tree_of(layout, record) if record is not None else None
        is_there = tree is not None and (tree / ".git").is_file()
        if tree is not None and is_there and not (common_dir_of(tree) and find_worktree_folder(repository, tree)):
            broken.append(tree)
    if broken:
        repair_worktrees(repository, broken)
    return [f"the link between git and {tree} was mended" for tree in broken if common_dir_of(tree) is not None]


def _aside(layout: StoreLayout, move: TreeMove, operation: str) -> Path:
    """Return where `operation` puts a tree that goes: beside its place, so that moving it is a rename."""
    place = place_of_tree(layout, move)
    name = f"{ASIDE}{operation}"
    return place.with_name(name if place.name == WORKTREE else f".{place.name}{name}")


# the note of an operation in progress


def write_note(store: Store, operation: Operation) -> None:
    """Write down what is about to be done. Its timeline's lock, or the exclusive one, must be held until it is done."""
    replace_durably(_note(store, operation), add_check(msgspec.json.encode(operation)))


def drop_note(store: Store, operation: Operation) -> None:
    """Remove the note of an operation that is logged, or taken back."""
    with translate_os_errors(f"cannot remove the note of {operation.operation}"):
        _note(store, operation).unlink(missing_ok=True)
    sync_folder(store.layout.journals)


def _note(store: Store, operation: Operation) -> Path:
    return store.layout.journals / f"{operation.operation}{NOTE}"


def list_notes(store: Store) -> list[Operation]:
    """Return the moves of trees that are in progress, or were cut short. What cannot be read is left alone."""
    found = []
    for path in (path for path in list_unfinished(store) if path.suffix == NOTE):
        with suppress(ChronosError, msgspec.MsgspecError, ValueError):
            operation = msgspec.json.decode(strip_check(read_limited(path, _LARGEST_NOTE_BYTES)), type=Operation)
            is_own = path.name == f"{operation.operation}{NOTE}"
            if is_own and operation.tree is not None and _is_plain_name(operation.tree.timeline):
                found.append(operation)
    return found


def _is_plain_name(timeline: str) -> bool:
    return bool(timeline) and "/" not in timeline and not timeline.startswith(".")


def settle_trees(workspace: Workspace) -> list[str]:
    """Bring to its end, or take back, what was cut short; return what was done, as sentences.

    Needs the store's exclusive lock: whoever is at such a move holds a lock of the store.
    """
    done = []
    for operation in list_notes(workspace.store):
        move = operation.tree
        assert move is not None
        if any(known.operation == operation.operation for known in read_operations(workspace.store)):
            drop_note(workspace.store, operation)
            continue
        is_half_made = operation.kind is OperationKind.BRANCH and not _has_checkpoints(workspace.store, move.timeline)
        if is_half_made:
            withdraw(workspace, operation)
            drop_note(workspace.store, operation)
        else:
            _finish(workspace, operation)
        done.append(f"{'took back' if is_half_made else 'finished'} the interrupted {operation.summary}")
    return done


def settle_timeline(workspace: Workspace, timeline: str) -> None:
    """Do the same before a timeline is worked with, if any of it was cut short there. No lock must be held."""
    if any(one.tree and one.tree.timeline == timeline for one in list_notes(workspace.store)):
        with workspace.store.exclusively():  # whoever was at it is gone then
            workspace.notices += settle_trees(workspace)


def _has_checkpoints(store: Store, timeline: str) -> bool:
    return bool(store.catalog.list_checkpoints(timeline, limit=1))


def withdraw(workspace: Workspace, operation: Operation) -> None:
    """Take away what a branch that did not come to its end has made: its tree, its git branch, its record."""
    layout, move = workspace.store.layout, operation.tree
    assert move is not None
    remove_tree(move_aside(workspace, move, operation.operation))
    sweep_drafts(layout.timeline(move.timeline), TIMELINE)
    if timeline_is_bare(layout, move.timeline):
        remove_tree(layout.timeline(move.timeline))


def timeline_is_bare(layout: StoreLayout, timeline: str) -> bool:
    """Tell whether nothing is left of a timeline: no checkpoint and no pack, live or deleted, no tree and no memory."""
    folder = layout.timeline(timeline)
    if timeline == MAIN_TIMELINE or not folder.is_dir():
        return False
    record = find_record(layout, timeline)
    tree = tree_of(layout, record) if record is not None else None
    places = {layout.packs(timeline), layout.deleted(timeline), layout.timeline_memory(timeline)}
    others = set(os.listdir(folder)) - {place.name for place in places} - {TIMELINE}
    is_empty = not any(place.is_dir() and os.listdir(place) for place in places)
    return is_empty and not others and not (tree is not None and tree.is_dir())
