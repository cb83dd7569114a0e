"""Merge and revert: a three-way merge of contents into the working tree, as one operation, or nothing at all.

The state of the tree is sealed first, as the safety checkpoint. Then the three states are brought together, and what
comes of it is put in place as a restore is: journal, apply, verify, log. A whole merge ends with a checkpoint that has
both parents, so that the next one begins from there.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos import checkpoints, operations, timelines
from chronos.catalog import CheckpointRow
from chronos.checkpoints import UNCAPTURED, CheckpointMove, EntryKind, Options, Trigger
from chronos.errors import ChangedMeanwhileError, NoCommonCheckpointError, StateError, UsageError
from chronos.files import TreePath, display, to_text
from chronos.merging import Choice, Conflict, ConflictKind, Resolution, Resolver, Strategy
from chronos.operations import Operation, OperationKind, Workspace, append, new_operation_id, stamp
from chronos.pool import HashingSink, PoolWriter, digest
from chronos.timelines.holding import holding
from chronos.timelines.pending import (
    PendingMerge,
    check_answer,
    drop_pending,
    new_pending,
    read_pending,
    write_pending,
)

if TYPE_CHECKING:
    from chronos.checkpoints import Capture, Plan, State
    from chronos.operations import Outcome
    from chronos.pool import ContentSink
    from chronos.timelines.combining import Combined
    from chronos.timelines.combining_memory import StoreResult


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


class MergeOutcome(msgspec.Struct, frozen=True):
    """What a merge into the tree of `timeline` did, or would do. While there are `conflicts`, nothing was changed.

    `settled` says by path what decided what git alone could not; `checkpoint` is the one that has both parents.
    """

    summary: str
    timeline: str
    base: CheckpointRow | None
    theirs: CheckpointRow
    plan: Plan
    conflicts: tuple[Conflict, ...]
    stores: dict[str, StoreResult]
    settled: dict[TreePath, str]
    notes: tuple[str, ...]
    is_done: bool = False
    checkpoint: str | None = None
    outcome: Outcome | None = None


class _Job(msgspec.Struct, frozen=True):
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

    def find_job(head: CheckpointRow) -> _Job:
        theirs = operations.get_checkpoint(workspace.store, held())
        base = request.base or _common_ancestor(workspace, head, theirs)
        return _Job(
            OperationKind.MERGE, f"merge {source}", command, base, theirs,
            (theirs.checkpoint_id,) if is_whole else (),
        )  # fmt: skip

    with holding(workspace, source) as held:
        return _carry_out(workspace, request, find_job)


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
    job = _Job(
        OperationKind.REVERT, f"revert {row.name}", f"chrono revert {row.checkpoint_id}{_options(request)}", row,
        parents[0].row, (),
    )  # fmt: skip
    return _carry_out(workspace, request, lambda _head: job)


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


def _carry_out(
    workspace: Workspace, request: MergeRequest, find_job: Callable[[CheckpointRow], _Job]
) -> MergeOutcome:  # fmt: skip
    store = workspace.store
    with store.working_on(workspace.timeline):
        workspace.notices += operations.settle(workspace)
        present, head = _hold_present(workspace)
        job = find_job(head)
        base, theirs = store.read_checkpoint(job.base), store.read_checkpoint(job.theirs)
        pending = read_pending(store, workspace.timeline)
        record = new_pending(job.summary, job.command, job.base.checkpoint_id, job.theirs.checkpoint_id, pending)
        asked = _Asked(record.resolutions, request.resolve)
        combined, present, plan = _combine(workspace, request, present, base, theirs, asked)
        combined.conflicts += _find_held(request, plan, combined, present, asked)
        plan.made_of = _identity_of(job, request, present, asked)
        found = _outcome_of(workspace, job, plan, combined)
        if request.plan_only:
            return found
        if request.expected is not None and plan.plan_id != request.expected:
            raise ChangedMeanwhileError("one of the sides changed since the plan was made; nothing was touched")
        if combined.conflicts:
            refused = {conflict.conflict_id for conflict in combined.conflicts}  # what was decided could not be done
            decided = [found for one, found in asked.decided.items() if one not in refused]
            record.conflicts = [*combined.conflicts, *decided]  # so that it can be seen, and decided otherwise
            record.resolutions = {one: found for one, found in asked.known.items() if one not in refused}
            write_pending(store, workspace.timeline, record)
            return found
        done = _apply(workspace, request, job, present, head, combined, plan)
        if pending is not None and _is_made(job, request, pending):
            drop_pending(store, workspace.timeline)
        return msgspec.structs.replace(found, is_done=True, outcome=done[0], checkpoint=done[1])


def _is_made(job: _Job, request: MergeRequest, pending: PendingMerge) -> bool:
    """Tell whether what waited is what was done now; anything else waits on."""
    return pending.command == job.command or (request.options == Options() and pending.summary == job.summary)


class _Asked:
    """Decides with what is known, then with whoever is to be asked, whose answers become known.

    `decided` are the conflicts of this merge with an answer, by their ids; `known` may have answers of other merges.
    """

    def __init__(self, known: dict[str, Resolution], resolve: Resolver | None) -> None:
        self.known = known
        self.decided: dict[str, Conflict] = {}
        self._resolve = resolve

    def __call__(self, conflict: Conflict) -> Resolution | None:
        found = self.known.get(conflict.conflict_id)
        if found is None and self._resolve is not None:
            found = check_answer(self._resolve(conflict))
        if found is not None:
            self.known[conflict.conflict_id] = found
            self.decided[conflict.conflict_id] = conflict
        return found


def _hold_present(workspace: Workspace) -> tuple[Capture, CheckpointRow]:
    """Seal the tree as it is, so that all of it can be read back, unless the newest checkpoint has it."""
    request = workspace.request("before merge", Trigger.SAFETY)
    with checkpoints.open_checkpoint(workspace.store, workspace.repository, workspace.policy(), request) as pending:
        return pending.capture, operations.get_checkpoint(workspace.store, pending.seal().checkpoint_id)


def _combine(
    workspace: Workspace, request: MergeRequest, present: Capture, base: State, theirs: State, asked: _Asked
) -> tuple[Combined, Capture, Plan]:
    """Bring the states together, and plan what puts that in place.

    The present comes back with those databases as stores that another state has so, or which the code of theirs would
    replace: what programs have open is never replaced as a file.
    """
    store, numbers = workspace.store, count()
    spend = checkpoints.Allowance(store.catalog, store.layout, store.config).spend
    with store.temporary_folder() as scratch:

        def make_scratch() -> Path:
            folder = scratch / f"{next(numbers)}"
            folder.mkdir()
            return folder

        with _keeping(workspace, make_scratch(), spend) as writer:
            changed = checkpoints.list_differing(base, theirs, present.repositories)
            base, ours, theirs = checkpoints.with_code_databases(
                (base, present.state, theirs), present.repositories, store.pool, make_scratch, writer,
                checkpoints.find_live_databases(workspace.root, sorted(changed)),
            )  # fmt: skip
        present = msgspec.structs.replace(present, state=ours)
        with _keeping(workspace, make_scratch(), spend) as writer:
            combined = timelines.Combiner(
                workspace, base, theirs, present, writer, strategy=request.strategy, resolve=asked,
                options=request.options,
            ).combine(make_scratch())  # fmt: skip
        store.refresh()
        with _keeping(workspace, make_scratch(), spend) as writer:
            plan = _plan(workspace, request, present, combined, writer)
    return combined, present, plan


@contextmanager
def _keeping(workspace: Workspace, packs: Path, spend: Callable[[int], None]) -> Iterator[PoolWriter]:
    """Give what keeps contents in packs of the timeline, from the end of the block on.

    When nothing comes of it no checkpoint needs them, and gc takes them.
    """
    store = workspace.store
    writer = PoolWriter(
        packs, store.catalog.has_chunk, find_missing=store.catalog.find_missing, compress=store.config.compress,
        spend=spend,
    )  # fmt: skip
    try:
        yield writer
        if writer.has_fresh_chunks:
            checkpoints.publish_packs(store.layout, workspace.timeline, writer.finish())
            store.refresh()
    finally:
        writer.abandon()


def _plan(
    workspace: Workspace, request: MergeRequest, present: Capture, combined: Combined, sink: ContentSink
) -> Plan:  # fmt: skip
    """Return the plan that puts the combined state into the tree; of what stays only what was to change is said."""
    plan, _ = operations.plan_towards(workspace, combined.state, _plain(request.options), present, sink)
    wanted = combined.paths | {part.record.path.encode() for part in combined.state.memory.values()}
    plan.kept = [row for row in plan.kept if row.path in wanted]
    plan.warnings = [*plan.warnings, *combined.notes]
    return plan


def _find_held(
    request: MergeRequest, plan: Plan, combined: Combined, present: Capture, asked: _Asked
) -> list[Conflict]:  # fmt: skip
    """Return what cannot be put in place, because something stands there that no checkpoint holds.

    It is never overwritten or deleted: somebody has to move it away, or to say that ours stays.
    """
    held = []
    for path, reason in _find_unheld(plan, combined, present):
        conflict = Conflict(ConflictKind.HELD, path, reason, is_large=True)
        decided = asked(conflict) if request.strategy is not Strategy.OURS else Resolution(Choice.OURS)
        if decided is None or decided.choice is not Choice.OURS:
            held.append(conflict)
    return held


def _find_unheld(plan: Plan, combined: Combined, present: Capture) -> Iterator[tuple[TreePath, str]]:
    """Yield the paths that should change, and cannot, with the reason.

    Of what should go a plan keeps silent. What is ignored here is not of this side's work: that stays without a word.
    """
    for row in plan.kept:
        entry = combined.state.find_entry(row.path)
        if entry is not None and entry.kind is not EntryKind.DELETED and row.path in combined.paths:
            yield row.path, row.reason
    for path in sorted(combined.paths):
        entry, left_out = combined.state.find_entry(path), present.state.is_left_out(path)
        is_to_go = entry is not None and entry.kind is EntryKind.DELETED
        if is_to_go and left_out is not None and left_out.reason in UNCAPTURED:
            yield path, f"theirs deleted it, and what is here is not captured: {left_out.reason.value}"


def _plain(options: Options) -> Options:
    """What was not asked for is in the combined state as it is in the tree, so all of it can be put in place."""
    return Options(code=options.code, memory=options.memory)


def _identity_of(job: _Job, request: MergeRequest, present: Capture, asked: _Asked) -> str:
    """Return a hash of everything that decides what comes of a merge."""
    sides = (job.base.checkpoint_id, job.theirs.checkpoint_id, present.state.identity())
    return digest(msgspec.msgpack.encode((sides, request.strategy, sorted(asked.known.items())))).hex()


def _outcome_of(workspace: Workspace, job: _Job, plan: Plan, combined: Combined) -> MergeOutcome:
    settled = {path: why.value for path, why in combined.settled.items()}
    return MergeOutcome(
        job.summary, workspace.timeline, job.base, job.theirs, plan, tuple(combined.conflicts), combined.stores,
        settled, tuple(combined.notes),
    )  # fmt: skip


def _apply(
    workspace: Workspace, request: MergeRequest, job: _Job, present: Capture, head: CheckpointRow, combined: Combined,
    plan: Plan,
) -> tuple[Outcome | None, str | None]:  # fmt: skip
    """Put the combined state into the tree, and return what that did and the checkpoint that ends it."""
    name = f"{job.summary} into {workspace.timeline}"[:120]
    if plan.change_set.is_empty:
        is_new = any(parent not in _ancestors(workspace, head) for parent in job.parents)
        return None, _note_merge(workspace, job, name) if is_new else None
    task = operations.Task(
        "merge" if job.kind is OperationKind.MERGE else "revert", job.summary, "before merge",
        target=job.theirs.checkpoint_id, seals=name if job.parents else None, parents=job.parents,
    )  # fmt: skip

    def replan(capture: Capture) -> Plan:
        return operations.plan_towards(workspace, combined.state, _plain(request.options), capture, HashingSink())[0]

    prepared = operations.Prepared(plan, present, present.repositories, replan)
    outcome = operations.carry_out_prepared(workspace, task, prepared, head.checkpoint_id)
    workspace.store.refresh()
    newest = workspace.store.catalog.list_checkpoints(workspace.timeline, limit=1)[0]
    return outcome, newest.checkpoint_id if job.parents else None


def _ancestors(workspace: Workspace, head: CheckpointRow) -> set[str]:
    return operations.read_history(workspace.store).ancestors(head.checkpoint_id)


def _note_merge(workspace: Workspace, job: _Job, name: str) -> str:
    """The tree has everything already: only the checkpoint with both parents is new."""
    request = workspace.request(name, Trigger.AUTOMATIC, parents=job.parents)
    with checkpoints.open_checkpoint(workspace.store, workspace.repository, workspace.policy(), request) as pending:
        sealed = pending.seal().checkpoint_id
    append(
        workspace.store,
        Operation(
            new_operation_id(), job.kind, workspace.timeline, stamp(), job.summary, (CheckpointMove(sealed, True),),
            target=job.theirs.checkpoint_id,
        ),
    )  # fmt: skip
    return sealed
