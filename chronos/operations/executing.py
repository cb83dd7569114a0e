"""Carrying out a plan: safety checkpoint, journal, apply, verify, record; whatever the plan came from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from chronos.checkpoints import (
    ABSENT,
    JOURNAL_FORMAT,
    Applied,
    BlobSource,
    Capture,
    CapturePolicy,
    CheckpointMove,
    Journal,
    JournalKind,
    Kept,
    Plan,
    Store,
    StoreChange,
    Trigger,
    open_checkpoint,
    side_of_entry,
    side_on_disk,
)
from chronos.errors import ChangedMeanwhileError, IntegrityError, VerifyFailedError
from chronos.files import SafeRoot, TreePath, display, unescape
from chronos.git import Repository, wait_for_index
from chronos.memory import StorePlace
from chronos.operations.journals import carry_out
from chronos.operations.log import (
    new_operation_id,
)
from chronos.operations.memory import is_readable_place, lost_chunks_of, place_at
from chronos.operations.workspace import Workspace
from chronos.pool import ContentSink

_ATTEMPTS = 2


class Outcome(msgspec.Struct, frozen=True):
    """What a restore, undo or redo did. `safety` is the checkpoint that holds the state before, if anything changed.

    `stores` are the names of the memory stores that were replaced.
    """

    operation: str | None
    summary: str
    plan: Plan
    safety: str | None
    written: int
    deleted: int
    kept: tuple[Kept, ...]
    warnings: tuple[str, ...]
    stores: tuple[str, ...]


class Prepared(msgspec.Struct):
    """A plan against a fresh capture, with all that it takes to carry it out."""

    plan: Plan
    present: Capture
    repositories: dict[TreePath, Repository]
    replan: Callable[[Capture], Plan]


Prepare = Callable[[Capture, ContentSink], Prepared]


class Task(msgspec.Struct, frozen=True):
    """What is done, as the journal says it, and what the safety checkpoint is called.

    With `seals` a checkpoint of that name is taken when all is done.
    """

    kind: JournalKind
    summary: str
    safety_name: str
    target: str | None = None
    undoes: str | None = None
    checkpoints: tuple[CheckpointMove, ...] = ()
    seals: str | None = None
    parents: tuple[str, ...] = ()


def execute(workspace: Workspace, task: Task, policy: CapturePolicy, prepare: Prepare, expected: str | None) -> Outcome:
    """Capture, plan, seal the safety checkpoint and carry the plan out. What changes nothing leaves nothing behind.

    What will be replaced is read back from the pool first: where a pack turns out to be damaged, its chunks are
    distrusted and the safety checkpoint is taken again, with bytes of its own.
    """
    store, request = workspace.store, workspace.request(task.safety_name[:120], Trigger.SAFETY)
    if any(not move.live for move in task.checkpoints):  # the newest one may be about to go
        request = msgspec.structs.replace(request, is_needed=True)
    for _ in range(_ATTEMPTS):
        with open_checkpoint(store, workspace.repository, policy, request) as safety:
            prepared = prepare(safety.capture, safety.sink)
            plan = prepared.plan
            check_expected(plan, expected)
            if plan.change_set.is_empty and task.undoes is None:
                return Outcome(None, task.summary, plan, None, 0, 0, tuple(plan.kept), tuple(plan.warnings), ())
            for change in plan.change_set.indexes:
                wait_for_index(prepared.repositories[change.component])
            held_by = safety.seal().checkpoint_id
            lost = _lost_chunks(store, plan)
            if not lost:
                _check_contents(workspace, prepared)
                return _apply(workspace, task, prepared, held_by)
        store.distrust(lost)
    raise IntegrityError("the bytes that would be replaced cannot be read back from the store; nothing was touched")


def carry_out_prepared(workspace: Workspace, task: Task, prepared: Prepared, held_by: str) -> Outcome:
    """Carry out a plan against the tree that the checkpoint `held_by` has just held, byte for byte.

    Raises IntegrityError when not all of it can be read back, and what `restore` raises.
    """
    lost = _lost_chunks(workspace.store, prepared.plan)
    if lost:
        workspace.store.distrust(lost)
        raise IntegrityError(
            "the bytes that would be replaced cannot be read back from the store; nothing was touched",
            hint="run it again: they are kept anew then",
        )
    _check_contents(workspace, prepared)
    return _apply(workspace, task, prepared, held_by)


def _apply(workspace: Workspace, task: Task, prepared: Prepared, safety: str) -> Outcome:
    plan = prepared.plan
    journal = Journal(
        JOURNAL_FORMAT, new_operation_id(), task.kind, workspace.timeline, task.summary, safety, plan.change_set,
        task.target, task.undoes, task.checkpoints, task.seals, task.parents,
    )  # fmt: skip
    written = frozenset(change.path for change in plan.writes)
    policy = workspace.policy(written, inside_places(workspace, plan.change_set.stores))
    verify = partial(_verify, workspace, prepared)
    applied = carry_out(workspace, journal, prepared.repositories, verify, policy, prepared.present)
    kept, warnings = (*plan.kept, *applied.kept), (*plan.warnings, *applied.warnings)
    return Outcome(
        journal.operation, task.summary, plan, safety, applied.written, applied.deleted, kept, warnings,
        tuple(applied.stores),
    )  # fmt: skip


def _lost_chunks(store: Store, plan: Plan) -> list[bytes]:
    """Return the chunks of what the plan replaces or deletes that cannot be read back; git holds clean blobs."""
    lost = []
    held = (change.before for change in plan.change_set.changes if change.before.blob is None)
    for side in store.pool.ahead(held, lambda side: side.content):
        if side.content is not None:
            lost += store.pool.damaged_chunks(side.content)
    for stores in plan.change_set.stores:
        lost += lost_chunks_of(store, stores)
    return lost


def inside_places(workspace: Workspace, changes: tuple[StoreChange, ...]) -> list[StorePlace]:
    """Return the places of stores in the tree that a change set speaks of, whether they are known or not."""
    seen = (change for change in changes if is_readable_place(workspace, change.path))
    inside = ((change, change.after or change.before) for change in seen)
    return [place_at(workspace, change.name, side.kind, change.path) for change, side in inside if side is not None]


def check_expected(plan: Plan, expected: str | None) -> None:
    """Raise ChangedMeanwhileError when another plan was shown."""
    if expected is not None and plan.plan_id != expected:
        raise ChangedMeanwhileError("the tree changed since the plan was made; nothing was touched")


def _check_contents(workspace: Workspace, prepared: Prepared) -> None:
    """Read everything that will be written before anything is touched. Raises IntegrityError or GitFailedError."""
    pool, plan = workspace.store.pool, prepared.plan
    with BlobSource(prepared.repositories) as blobs:
        for change in pool.ahead(plan.writes, lambda change: change.after.content):
            if change.after.blob is not None:
                blobs.read(change.path, change.after)
            elif change.after.content is not None:
                for _ in pool.iter_content(change.after.content):
                    pass
    for index in plan.change_set.indexes:
        for content in (row.content for row in index.after.staged if row.content is not None):
            pool.read_content(content)


def _verify(workspace: Workspace, prepared: Prepared, applied: Applied, capture: Capture) -> None:
    """Compare what was written, and plan again from a capture of it: what is still to do, and was not kept, is wrong.

    Bytes are hashed anew, by the capture or here.

    A path that was not in the plan and is now was changed by somebody else meanwhile: that is said. A restored
    `.gitignore` can bring paths into sight that nobody looked at before; they were not touched.
    """
    changes = prepared.plan.change_set.changes
    before = prepared.present.state
    planned = {change.path for change in changes} | {unescape(store.path) for store in prepared.plan.change_set.stores}
    replanned = prepared.replan(capture).change_set
    again = {c.path for c in replanned.changes if not before.is_left_out(c.path)}
    again |= {unescape(store.path) for store in replanned.stores}
    kept = {row.path for row in (*applied.kept, *prepared.plan.kept)}
    others = ", ".join(display(path) for path in sorted(again - planned - kept)[:10])
    if others:
        applied.warnings.append(f"changed by somebody else meanwhile, and not touched: {others}")
    differing = again & planned
    with SafeRoot(workspace.root) as tree:
        for change in changes:
            entry = capture.find_read(change.path)
            now = side_of_entry(entry) if entry is not None else side_on_disk(tree, change.path)
            if (now or ABSENT) != change.after.on_disk():
                differing.add(change.path)
    left = [display(path) for path in sorted(differing - kept)]
    if left:
        more = f" and {len(left) - 10} more" if len(left) > 10 else ""
        raise VerifyFailedError(f"after the restore these paths differ: {', '.join(left[:10])}{more}")
