"""Timelines that go: deleted, with a checkpoint of what was there, or pruned, when nobody has used them for long.

Trees are moved aside and not removed, so that an undo brings back even what no checkpoint holds; gc removes them when
nothing can bring them back any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from pathlib import Path

import msgspec

from chronos import clock, operations
from chronos.catalog import CheckpointRow
from chronos.checkpoints import UNCAPTURED, Reason, ReceiptRow, capture_in_memory, list_timelines
from chronos.errors import ChronosError, ForeignTimelineError, RefusedError, StateError
from chronos.files import display
from chronos.git import find_lost_commit, find_worktree_folder
from chronos.layout import MAIN_TIMELINE
from chronos.operations import KeptBranch, Operation, OperationKind, Workspace, new_operation_id, stamp
from chronos.pool import digest
from chronos.timelines.listing import TimelineSummary, is_branched, summarise


class Leaving(msgspec.Struct, frozen=True):
    """A timeline that would go, or that stays, with the reason.

    `uncovered` is what of its tree no checkpoint holds; `has_tree` whether a working tree goes with it; `branch` is the
    git branch that goes too, if any, and `kept_branch` the one that does not.
    """

    name: str
    path: Path | None
    has_tree: bool
    checkpoints: int
    goes: bool
    reason: str
    uncovered: tuple[ReceiptRow, ...] = ()
    branch: str = ""
    kept_branch: KeptBranch | None = None


class LeavingPlan(msgspec.Struct, frozen=True):
    """Which timelines go. `links` are those whose trees are gone, and of which git still has its link to them."""

    timelines: tuple[Leaving, ...]
    links: tuple[Leaving, ...] = ()

    @property
    def plan_id(self) -> str:
        """A hash of what would go."""
        going = sorted(
            (o.name, str(o.path), o.checkpoints, len(o.uncovered), o.branch)
            for o in (*self.timelines, *self.links)
            if o.goes
        )
        return digest(repr(going).encode()).hex()[:16]


def plan_delete(workspace: Workspace, name: str) -> LeavingPlan:
    """Return what deleting a timeline takes away. Raises UnknownTimelineError, RefusedError, StateError."""
    operations.find_tree(workspace.store.layout, workspace.repository, name)
    _refuse(workspace, name)
    summary = summarise(workspace.store, workspace.repository, name)
    uncovered = tuple(_uncovered(workspace, summary)) if summary.is_there else ()
    one = Leaving(
        name, summary.path, summary.is_there, summary.checkpoints, True, "asked for", uncovered,
        operations.leaving(workspace, name).branch, operations.find_kept_branch(workspace, name),
    )  # fmt: skip
    return LeavingPlan((one,))


def delete(workspace: Workspace, name: str) -> Operation:
    """Take a timeline away: its state is checkpointed first, then its tree and its checkpoints go out of sight.

    Raises what `plan_delete` raises, StorageError, GitFailedError; undo brings all of it back.
    """
    operations.settle_timeline(workspace, name)
    operations.find_tree(workspace.store.layout, workspace.repository, name)
    _refuse(workspace, name)
    operations.hold_tree(workspace, name, f"before delete of timeline {name}")
    return _take_away(workspace, name, OperationKind.DELETE, f"delete timeline {name}")


def _refuse(workspace: Workspace, name: str) -> None:
    if name == MAIN_TIMELINE:
        raise RefusedError("main is your own working tree, and is never deleted", hint="delete checkpoints one by one")
    if name == workspace.timeline:
        raise StateError(f"this is timeline {name} itself", hint=f"run it in another one, such as {workspace.home}")
    summary = summarise(workspace.store, workspace.repository, name)
    if not summary.is_there and not summary.checkpoints:
        raise StateError(f"timeline {name} is deleted already", hint="`chrono undo` may bring it back")
    if summary.is_there and not is_branched(workspace, summary):
        raise RefusedError(
            f"the working tree of timeline {name} was not made by chrono",
            hint=f"remove it with git worktree remove {summary.path}; then delete the timeline",
        )
    lost = _find_lost_commit(workspace, summary)
    if lost is not None:
        raise RefusedError(
            f"the tree of timeline {name} is gone, and only git's link to it leads to commit {lost[:12]}",
            hint=f"git branch NEW {lost[:12]} keeps that; then delete the timeline",
        )
    if not summary.is_there and (folder := _find_own_repositories(workspace, summary)) is not None:
        raise RefusedError(
            f"the tree of timeline {name} is gone, and a submodule's repository is in {display(str(folder))}",
            hint="move that away, if it is of no use any more; then delete the timeline",
        )
    if summary.is_there and _is_locked(workspace, summary):
        raise RefusedError(f"the working tree of timeline {name} is locked", hint=f"git worktree unlock {summary.path}")
    if summary.is_there and summary.path is not None and not operations.leaving(workspace, name).place:
        raise ForeignTimelineError(
            f"{summary.path} belongs to another repository, and is not touched",
            hint=f"remove {workspace.store.layout.timeline_record(name)}, and delete the timeline then",
        )


def _take_away(workspace: Workspace, name: str, kind: OperationKind, summary: str) -> Operation:
    """A pruned timeline keeps its checkpoints, a deleted one loses them from sight."""
    store = workspace.store
    with store.exclusively():
        workspace.notices += operations.settle_trees(workspace)
        moves = operations.all_moves(store, name) if kind is OperationKind.DELETE else ()
        move, kept = operations.leaving(workspace, name), operations.find_kept_branch(workspace, name)
        workspace.notices += [str(kept)] if kept is not None else []
        operation = Operation(new_operation_id(), kind, workspace.timeline, stamp(), summary, moves, tree=move)
        operations.carry_out_move(workspace, operation)
    return operation


def _uncovered(workspace: Workspace, summary: TimelineSummary) -> Iterable[ReceiptRow]:
    """Return what of a tree a checkpoint would not hold."""
    there = operations.workspace_at(workspace, summary.name)
    capture = capture_in_memory(workspace.store, there.repository, there.policy())
    return [row for row in capture.state.receipt if row.reason in UNCAPTURED or row.reason is Reason.IGNORED]


# prune


def plan_prune(workspace: Workspace, idle_days: int) -> LeavingPlan:
    """Return which branched trees nobody has used for `idle_days` days and hold nothing that no checkpoint has.

    Also finds the links that git keeps to trees that are gone.
    """
    found, links, gone = list[Leaving](), list[Leaving](), set[str]()
    workspace.notices += operations.repair_trees(workspace)
    for summary in _summaries(workspace):
        if not is_branched(workspace, summary):
            continue
        if summary.is_there and summary.name != workspace.timeline:
            found.append(_plan_tree(workspace, summary, idle_days, gone))
            gone.add(found[-1].branch)
        elif not summary.is_there and summary.path is not None:
            one = _plan_link(workspace, summary, gone)
            if one is not None:
                (links if one.goes else found).append(one)
                gone.add(one.branch)
    return LeavingPlan(tuple(found), tuple(links))


def _plan_tree(workspace: Workspace, summary: TimelineSummary, idle_days: int, gone: Collection[str]) -> Leaving:
    """Say whether a tree goes, and its branch, when the branches `gone` have gone before it."""
    name, reason = summary.name, _why_kept(workspace, summary, idle_days)
    if reason is not None:
        return Leaving(name, summary.path, True, summary.checkpoints, False, reason)
    uncovered, move = tuple(_uncovered(workspace, summary)), operations.leaving(workspace, name, gone)
    kept, reason = operations.find_kept_branch(workspace, name, gone), f"not used for {idle_days} days"
    return Leaving(name, summary.path, True, summary.checkpoints, True, reason, uncovered, move.branch, kept)


def _plan_link(workspace: Workspace, summary: TimelineSummary, gone: Collection[str]) -> Leaving | None:
    """Say whether git's link to a tree that is gone goes, and the branch, as `_plan_tree`; None where there is none."""
    name, reason = summary.name, _why_link_kept(workspace, summary)
    if reason is not None:
        return Leaving(name, summary.path, False, summary.checkpoints, False, reason)
    move = operations.leaving(workspace, name, gone)
    if not move.place:
        return None
    kept, reason = operations.find_kept_branch(workspace, name, gone), "git's link to a tree that is gone"
    return Leaving(name, summary.path, False, summary.checkpoints, True, reason, (), move.branch, kept)


def prune(workspace: Workspace, plan: LeavingPlan, idle_days: int) -> list[Operation]:
    """Move the trees of a plan aside, and git's folders of those that are gone; their checkpoints stay.

    A tree that was used since the plan was made stays, and that is said.
    """
    done = []
    wanted, links = {one.name for one in plan.timelines if one.goes}, {one.name for one in plan.links}
    for summary in _summaries(workspace):
        if summary.name in wanted and summary.is_there:
            reason = _why_kept(workspace, summary, idle_days)
            if reason is not None:
                workspace.notices.append(f"timeline {summary.name} stays: {reason}")
                continue
        elif summary.name not in links or summary.is_there or _why_link_kept(workspace, summary) is not None:
            continue
        done.append(_take_away(workspace, summary.name, OperationKind.PRUNE, f"prune timeline {summary.name}"))
    return done


def _summaries(workspace: Workspace) -> list[TimelineSummary]:
    names = (name for name in list_timelines(workspace.store.layout) if name != MAIN_TIMELINE)
    return [summarise(workspace.store, workspace.repository, name) for name in names]


def _why_kept(workspace: Workspace, summary: TimelineSummary, idle_days: int) -> str | None:
    """Return why a tree stays, or None: used lately, or with work that its newest checkpoint does not hold."""
    moment = _last_use(workspace, summary)
    if (clock.now() - clock.from_ns(moment)) / timedelta(days=1) < idle_days:
        return "used lately"
    if _is_locked(workspace, summary):
        return "locked with `git worktree lock`"
    if (folder := _find_own_repositories(workspace, summary)) is not None:
        return f"the repository of a submodule is in {display(str(folder))}"
    head: CheckpointRow | None = summary.head
    try:
        there = operations.workspace_at(workspace, summary.name)
        state = capture_in_memory(workspace.store, there.repository, there.policy()).state
    except ChronosError as cause:
        return f"it cannot be read: {cause.message}"
    if head is None or state.identity() != head.state:
        return "it holds work that no checkpoint has"
    if any(row.reason in UNCAPTURED for row in state.receipt):
        return "it holds files that no checkpoint takes"
    return None


def _find_lost_commit(workspace: Workspace, summary: TimelineSummary) -> str | None:
    """Return the commit that git would forget with its link to a tree that is gone, if any."""
    if summary.is_there or summary.path is None or workspace.repository.is_plain:
        return None
    return find_lost_commit(workspace.repository, summary.path)


def _why_link_kept(workspace: Workspace, summary: TimelineSummary) -> str | None:
    """Return why git's link to a tree that is gone stays, or None: nothing else leads to what it leads to or has."""
    lost, folder = _find_lost_commit(workspace, summary), _find_own_repositories(workspace, summary)
    if lost is not None:
        return f"only git's link to its tree, which is gone, leads to commit {lost[:12]}"
    return f"its tree is gone, and a submodule's repository is in {display(str(folder))}" if folder else None


def _find_own_repositories(workspace: Workspace, summary: TimelineSummary) -> Path | None:
    """Return where git keeps the repositories of submodules that were added in a tree, if there are any."""
    admin = _find_admin(workspace, summary)
    folder = admin / "modules" if admin is not None else None
    return folder if folder is not None and folder.is_dir() and any(folder.iterdir()) else None


def _is_locked(workspace: Workspace, summary: TimelineSummary) -> bool:
    admin = _find_admin(workspace, summary)
    return admin is not None and (admin / "locked").exists()


def _find_admin(workspace: Workspace, summary: TimelineSummary) -> Path | None:
    if workspace.repository.is_plain or summary.path is None:
        return None
    return find_worktree_folder(workspace.repository, summary.path)


def _last_use(workspace: Workspace, summary: TimelineSummary) -> int:
    """Return when a tree was last used, in ns: its newest checkpoint, its index, its HEAD, or its top folder."""
    moments = [0]
    if summary.head is not None:
        moments.append(int(clock.from_text(summary.head.created_at).timestamp()) * 1_000_000_000)
    assert summary.path is not None
    admin = None if workspace.repository.is_plain else find_worktree_folder(workspace.repository, summary.path)
    for path in (summary.path, *((admin / "index", admin / "HEAD") if admin is not None else ())):
        if path.exists():
            moments.append(path.stat().st_mtime_ns)
    return max(moments)
