"""The steps of a merge or a revert.

The state of the tree is sealed first, as the safety checkpoint. Then the three states are brought together, and what
comes of it is put in place as a restore is: journal, apply, verify, log. A whole merge ends with a checkpoint that has
both parents, so that the next one begins from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from chronos import operations
from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    Allowance,
    Capture,
    CheckpointMove,
    EntryKind,
    Options,
    Plan,
    State,
    Trigger,
    open_checkpoint,
    publish_packs,
)
from chronos.errors import ChangedMeanwhileError
from chronos.files import TreePath
from chronos.merging import Choice, Conflict, ConflictKind, Resolution, Resolver, Strategy
from chronos.operations import (
    Operation,
    OperationKind,
    Outcome,
    Prepared,
    Task,
    Workspace,
    append,
    new_operation_id,
    plan_towards,
    read_history,
    stamp,
)
from chronos.pool import HashingSink, PoolWriter, digest
from chronos.timelines.combining import Combined, Combiner
from chronos.timelines.merging import Job, MergeRequest
from chronos.timelines.pending import PendingMerge, drop_pending, new_pending, read_pending, write_pending

if TYPE_CHECKING:
    from chronos.timelines.combining_memory import StoreResult


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


def carry_out(workspace: Workspace, request: MergeRequest, find_job: Callable[[CheckpointRow], Job]) -> MergeOutcome:
    """Seal the tree as it is, ask `find_job` with that checkpoint, and do what it says. Raises what `merge` raises."""
    store = workspace.store
    with store.working_on(workspace.timeline):
        workspace.notices += operations.settle(workspace)
        present, head = _hold_present(workspace)
        job = find_job(head)
        base, theirs = store.read_checkpoint(job.base), store.read_checkpoint(job.theirs)
        pending = read_pending(store, workspace.timeline)
        record = new_pending(job.summary, job.command, job.base.checkpoint_id, job.theirs.checkpoint_id, pending)
        asked = _Asked(record.resolutions, request.resolve)
        combined = _combine(workspace, request, present, base, theirs, asked)
        plan = _plan(workspace, request, present, combined)
        combined.conflicts += _find_held(request, plan, combined, asked)
        plan.made_of = _identity_of(job, request, present, asked)
        found = _outcome_of(workspace, job, plan, combined)
        if request.plan_only:
            return found
        if request.expected is not None and plan.plan_id != request.expected:
            raise ChangedMeanwhileError("one of the sides changed since the plan was made; nothing was touched")
        if combined.conflicts:
            record.conflicts = combined.conflicts
            record.resolutions = asked.known
            write_pending(store, workspace.timeline, record)
            return found
        done = _apply(workspace, request, job, present, head, combined, plan)
        if pending is not None and _is_made(job, request, pending):
            drop_pending(store, workspace.timeline)
        return msgspec.structs.replace(found, is_done=True, outcome=done[0], checkpoint=done[1])


def _is_made(job: Job, request: MergeRequest, pending: PendingMerge) -> bool:
    """Tell whether what waited is what was done now; anything else waits on."""
    return pending.command == job.command or (request.options == Options() and pending.summary == job.summary)


class _Asked:
    """Decides with what is known, then with whoever is to be asked, whose answers become known."""

    def __init__(self, known: dict[str, Resolution], resolve: Resolver | None) -> None:
        self.known = known
        self._resolve = resolve

    def __call__(self, conflict: Conflict) -> Resolution | None:
        found = self.known.get(conflict.conflict_id)
        if found is None and self._resolve is not None:
            found = self._resolve(conflict)
            if found is not None:
                self.known[conflict.conflict_id] = found
        return found


def _hold_present(workspace: Workspace) -> tuple[Capture, CheckpointRow]:
    """Seal the tree as it is, so that all of it can be read back, unless the newest checkpoint has it."""
    request = workspace.request("before merge", Trigger.SAFETY)
    with open_checkpoint(workspace.store, workspace.repository, workspace.policy(), request) as pending:
        return pending.capture, operations.get_checkpoint(workspace.store, pending.seal().checkpoint_id)


def _combine(
    workspace: Workspace, request: MergeRequest, present: Capture, base: State, theirs: State, asked: _Asked
) -> Combined:
    """Bring the states together; what is new in the result goes into packs of the timeline.

    When nothing comes of it no checkpoint needs them, and gc takes them.
    """
    store = workspace.store
    with store.temporary_folder() as scratch:
        packs, work = scratch / "packs", scratch / "work"
        packs.mkdir()
        work.mkdir()
        writer = PoolWriter(
            packs, store.catalog.has_chunk, find_missing=store.catalog.find_missing, compress=store.config.compress,
            spend=Allowance(store.catalog, store.layout, store.config).spend,
        )  # fmt: skip
        try:
            combined = Combiner(
                workspace, base, theirs, present, writer, strategy=request.strategy, resolve=asked,
                options=request.options,
            ).combine(work)  # fmt: skip
            if writer.has_fresh_chunks:
                publish_packs(store.layout, workspace.timeline, writer.finish())
        finally:
            writer.abandon()
    store.refresh()
    return combined


def _plan(workspace: Workspace, request: MergeRequest, present: Capture, combined: Combined) -> Plan:
    """Return the plan that puts the combined state into the tree; of what stays only what was to change is said."""
    plan, _ = plan_towards(workspace, combined.state, _plain(request.options), present, HashingSink())
    wanted = combined.paths | {part.record.path.encode() for part in combined.state.memory.values()}
    plan.kept = [row for row in plan.kept if row.path in wanted]
    plan.warnings = [*plan.warnings, *combined.notes]
    return plan


def _find_held(request: MergeRequest, plan: Plan, combined: Combined, asked: _Asked) -> list[Conflict]:
    """Return what cannot be put in place, because something stands there that no checkpoint holds.

    It is never overwritten: somebody has to move it away, or to say that ours stays.
    """
    held = []
    for row in plan.kept:
        entry = combined.state.find_entry(row.path)
        if entry is None or entry.kind is EntryKind.DELETED or row.path not in combined.paths:
            continue
        conflict = Conflict(ConflictKind.HELD, row.path, row.reason, is_large=True)
        decided = asked(conflict) if request.strategy is not Strategy.OURS else Resolution(Choice.OURS)
        if decided is None or decided.choice is not Choice.OURS:
            held.append(conflict)
    return held


def _plain(options: Options) -> Options:
    """What was not asked for is in the combined state as it is in the tree, so all of it can be put in place."""
    return Options(code=options.code, memory=options.memory)


def _identity_of(job: Job, request: MergeRequest, present: Capture, asked: _Asked) -> str:
    """Return a hash of everything that decides what comes of a merge."""
    sides = (job.base.checkpoint_id, job.theirs.checkpoint_id, present.state.identity())
    return digest(msgspec.msgpack.encode((sides, request.strategy, sorted(asked.known.items())))).hex()


def _outcome_of(workspace: Workspace, job: Job, plan: Plan, combined: Combined) -> MergeOutcome:
    settled = {path: why.value for path, why in combined.settled.items()}
    return MergeOutcome(
        job.summary, workspace.timeline, job.base, job.theirs, plan, tuple(combined.conflicts), combined.stores,
        settled, tuple(combined.notes),
    )  # fmt: skip


def _apply(
    workspace: Workspace, request: MergeRequest, job: Job, present: Capture, head: CheckpointRow, combined: Combined,
    plan: Plan,
) -> tuple[Outcome | None, str | None]:  # fmt: skip
    """Put the combined state into the tree, and return what that did and the checkpoint that ends it."""
    name = f"{job.summary} into {workspace.timeline}"[:120]
    if plan.change_set.is_empty:
        is_new = any(parent not in _ancestors(workspace, head) for parent in job.parents)
        return None, _note_merge(workspace, job, name) if is_new else None
    task = Task(
        "merge" if job.kind is OperationKind.MERGE else "revert", job.summary, "before merge",
        target=job.theirs.checkpoint_id, seals=name if job.parents else None, parents=job.parents,
    )  # fmt: skip

    def replan(capture: Capture) -> Plan:
        return plan_towards(workspace, combined.state, _plain(request.options), capture, HashingSink())[0]

    prepared = Prepared(plan, present, present.repositories, replan)
    outcome = operations.carry_out_prepared(workspace, task, prepared, head.checkpoint_id)
    workspace.store.refresh()
    newest = workspace.store.catalog.list_checkpoints(workspace.timeline, limit=1)[0]
    return outcome, newest.checkpoint_id if job.parents else None


def _ancestors(workspace: Workspace, head: CheckpointRow) -> set[str]:
    return read_history(workspace.store).ancestors(head.checkpoint_id)


def _note_merge(workspace: Workspace, job: Job, name: str) -> str:
    """The tree has everything already: only the checkpoint with both parents is new."""
    request = workspace.request(name, Trigger.AUTOMATIC, parents=job.parents)
    with open_checkpoint(workspace.store, workspace.repository, workspace.policy(), request) as pending:
        sealed = pending.seal().checkpoint_id
    append(
        workspace.store,
        Operation(
            new_operation_id(), job.kind, workspace.timeline, stamp(), job.summary, (CheckpointMove(sealed, True),),
            target=job.theirs.checkpoint_id,
        ),
    )  # fmt: skip
    return sealed
