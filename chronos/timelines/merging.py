"""Merge and revert: a three-way merge of contents into the working tree, as one operation, or nothing at all.

What is asked for, and between which states; `merge_steps` does it. That loads while git looks at the other tree.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import msgspec

from chronos import operations, timelines
from chronos.catalog import CheckpointRow
from chronos.checkpoints import Options
from chronos.errors import NoCommonCheckpointError, StateError, UsageError
from chronos.files import display, to_text
from chronos.merging import Resolver, Strategy
from chronos.operations import OperationKind, Workspace
from chronos.timelines.holding import holding

if TYPE_CHECKING:
    from chronos.timelines.merge_steps import MergeOutcome


class MergeRequest(msgspec.Struct, frozen=True):
    """What is asked for. `base` is a checkpoint to compare with, by default the common one of both timelines.

    `resolve` is asked about conflicts that nobody has decided. `expected` is the plan id that was shown.
    """

    strategy: Strategy = Strategy.CONFLICT
    options: Options = Options()
    base: CheckpointRow | None = None
    resolve: Resolver | None = None
    plan_only: bool = False
    expected: str | None = None


class Job(msgspec.Struct, frozen=True):
    """A merge or a revert: `theirs` since `base` goes into the tree."""

    kind: OperationKind
    summary: str
    command: str
    base: CheckpointRow
    theirs: CheckpointRow
    parents: tuple[str, ...]


def merge(workspace: Workspace, source: str, request: MergeRequest) -> MergeOutcome:
    """Merge the present state of timeline `source` into the tree of `workspace`.

    Raises UsageError, UnknownTimelineError, NoCommonCheckpointError, ChangedMeanwhileError, and what a restore raises;
    whatever is raised before the journal is written has changed nothing.
    """
    if source == workspace.timeline:
        raise UsageError(f"timeline {display(source)} cannot be merged into itself", hint="name another timeline")
    is_whole = request.options == Options()
    into = f" --into {workspace.timeline}" if workspace.timeline != "main" else ""
    command = f"chrono timeline merge {source}{into}{_options(request)}"

    def find_job(head: CheckpointRow) -> Job:
        theirs = operations.get_checkpoint(workspace.store, held())
        base = request.base or _common_ancestor(workspace, head, theirs)
        return Job(
            OperationKind.MERGE, f"merge {source}", command, base, theirs,
            (theirs.checkpoint_id,) if is_whole else (),
        )  # fmt: skip

    with holding(workspace, source) as held:
        return timelines.carry_out(workspace, request, find_job)


def revert(workspace: Workspace, row: CheckpointRow, request: MergeRequest) -> MergeOutcome:
    """Take back in the tree what checkpoint `row` changed against the one before it, and keep what came later.

    Raises UsageError when there is none before it, and what `merge` raises.
    """
    parents = operations.read_history(workspace.store).parents(row.checkpoint_id)
    if not parents:
        raise UsageError(f"nothing is known before {display(row.name)}, so it cannot be taken back")
    if parents[0].is_bridged:
        raise StateError(
            f"the checkpoint before {display(row.name)} is gone, so nobody can tell what this one alone changed",
            hint="bring it back with `chrono undo`, or restore a path with `chrono checkpoint restore ID --path P`",
        )
    job = Job(
        OperationKind.REVERT, f"revert {row.name}", f"chrono revert {row.checkpoint_id}{_options(request)}", row,
        parents[0].row, (),
    )  # fmt: skip
    return timelines.carry_out(workspace, request, lambda _head: job)


def _options(request: MergeRequest) -> str:
    """Return what has to be typed to ask for the same again."""
    words = [] if request.strategy is Strategy.CONFLICT else ["--strategy", request.strategy.value]
    words += ["--base", request.base.checkpoint_id] if request.base is not None else []
    words += [word for path in request.options.paths for word in ("--path", to_text(path))]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _common_ancestor(workspace: Workspace, head: CheckpointRow, theirs: CheckpointRow) -> CheckpointRow:
    """Return the newest of the best common ancestors (git would merge them first, where there are several)."""
    found = operations.read_history(workspace.store).common_ancestors(head.checkpoint_id, theirs.checkpoint_id)
    if not found:
        raise NoCommonCheckpointError(
            f"timelines {workspace.timeline} and {display(theirs.timeline)} have no checkpoint in common"
        )
    return found[0]
