"""Taking checkpoints away for good: what retention decides, in an order that a crash at any point leaves harmless.

A checkpoint goes by one rename, to a hidden name in its own folder, which needs no space on a full disk; what undo
could have led to goes only after the log says where undo ends.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos import checkpoints, clock, operations
from chronos.catalog import CheckpointRow
from chronos.checkpoints import CheckpointMove, Store, Trigger, cache_only, is_for_imports, list_timelines
from chronos.errors import IntegrityError
from chronos.files import read_limited, remove_tree, sync_folder, translate_os_errors
from chronos.maintenance.retention import Rules, Ties, Verdict, find_forks, find_joins, judge, judge_shelf
from chronos.operations import (
    Operation,
    OperationKind,
    append,
    is_unreadable,
    list_interrupted,
    new_operation_id,
    read_operations,
    split_by_grace,
    stamp,
)

if TYPE_CHECKING:
    from chronos.checkpoints import Journal

_GOING = ".gone-"


class Ending(msgspec.Struct, frozen=True):
    """Where undo will end on a timeline: after the operation `last`, of the `count` that it can take back no more."""

    timeline: str
    last: str
    count: int


class ExpiryPlan(msgspec.Struct):
    """Which checkpoints go and which stay, where undo ends, and what of the records of operations goes with it.

    `trees` are working trees that were moved aside and that nothing can bring back. `journals` are the operations in
    progress; while `obstacles` says why nothing can be judged, nothing goes.
    """

    verdicts: list[Verdict]
    endings: list[Ending] = msgspec.field(default_factory=list)
    records: list[str] = msgspec.field(default_factory=list)
    journals: list[Journal] = msgspec.field(default_factory=list)
    obstacles: list[str] = msgspec.field(default_factory=list)
    operations: list[Operation] = msgspec.field(default_factory=list)
    trees: list[Path] = msgspec.field(default_factory=list)

    @property
    def going(self) -> list[CheckpointRow]:
        """The checkpoints that go."""
        return [verdict.row for verdict in self.verdicts if verdict.goes]


def plan_expiry(store: Store, rules: Rules) -> ExpiryPlan:
    """Judge every checkpoint. Raises StorageError when the log cannot be read."""
    plan = ExpiryPlan([], operations=read_operations(store))
    plan.obstacles += _find_unknown(plan.operations)
    for path in list_interrupted(store):
        try:  # its checkpoints stay, and so does every chunk that it names
            data = read_limited(path, checkpoints.LARGEST_JOURNAL_BYTES)
            plan.journals.append(checkpoints.decode_journal(data, path.name))
        except IntegrityError as cause:
            plan.obstacles.append(f"{cause.message}, so nothing goes until `chrono recover --abort` sets it aside")
    kept = _plan_endings(store, plan, rules)
    ties = _find_ties(store, plan, kept)
    for timeline in list_timelines(store.layout):
        rows = store.catalog.list_checkpoints(timeline)
        if is_for_imports(store.layout, timeline):  # each was asked for
            plan.verdicts += [Verdict(row, False, ("imported",)) for row in rows]
        else:
            plan.verdicts += judge(rows, ties, rules)
        plan.verdicts += judge_shelf(store.catalog.list_checkpoints(timeline, deleted=True), ties, rules)
    plan.trees = _find_trees(store, plan, () if rules.empties_shelf else kept)
    if plan.obstacles:
        reasons = ("the log or a journal cannot be read whole",)
        plan.verdicts = [Verdict(verdict.row, False, reasons) for verdict in plan.verdicts]
        plan.endings, plan.records, plan.trees = [], [], []
    return plan


def _find_trees(store: Store, plan: ExpiryPlan, kept: Sequence[Operation]) -> list[Path]:
    if not plan.operations:  # of a store with nothing but automatic checkpoints, retention comes at every create
        return []
    held = {operation.operation for operation in (*kept, *operations.list_notes(store))}
    found = (operations.aside_of(store.layout, one) for one in plan.operations if one.operation not in held)
    return sorted(path for path in found if path is not None)


def expire_automatic(store: Store, plan: ExpiryPlan) -> None:
    """Take the automatic checkpoints of a plan away, which no operation speaks of. Needs the exclusive lock."""
    _take_away(store, [row for row in plan.going if _is_unlogged(row)])


def expire_others(store: Store, plan: ExpiryPlan) -> None:
    """Write into the log where undo ends and what is gone, then take it away. Needs the exclusive lock."""
    rows = [row for row in plan.going if not _is_unlogged(row)]
    _log(store, plan, [row for row in rows if _may_be_logged(store, row)])
    _take_away(store, rows)
    folder = store.layout.changes
    with translate_os_errors(f"cannot remove records in {folder}"):
        for name in plan.records:
            (folder / name).unlink(missing_ok=True)
    if plan.records:
        sync_folder(folder)


def remove_trees(store: Store, plan: ExpiryPlan) -> None:
    """Remove the trees of a plan for good, and the folders of timelines that have nothing any more."""
    for path in plan.trees:
        remove_tree(path)
    remove_bare_timelines(store)


def find_bare_timelines(store: Store) -> list[str]:
    """Return the timelines of which nothing is there, such as those that were cut short at their beginning."""
    noted = {operation.tree.timeline for operation in operations.list_notes(store) if operation.tree is not None}
    names = (name for name in list_timelines(store.layout) if name not in noted)
    return [name for name in names if operations.timeline_is_bare(store.layout, name)]


def remove_bare_timelines(store: Store) -> int:
    """Remove the folders of timelines of which nothing is there; return how many. Needs the exclusive lock."""
    found = find_bare_timelines(store)
    for timeline in found:
        remove_tree(store.layout.timeline(timeline))
    return len(found)


def sweep_going(store: Store) -> int:
    """Remove what is on its way out, this time's and what a crash left; return how many folders."""
    swept = 0
    for timeline in list_timelines(store.layout):
        for folder in (store.layout.timeline(timeline), store.layout.deleted(timeline)):
            for path in folder.glob(f"{_GOING}*"):
                remove_tree(path)
                swept += 1
    return swept


def folder_of(store: Store, row: CheckpointRow) -> Path:
    """Return where a checkpoint lies, live or on the shelf."""
    if row.deleted:
        return store.layout.deleted(row.timeline) / row.checkpoint_id
    return store.layout.checkpoint(row.timeline, row.checkpoint_id)


def _is_unlogged(row: CheckpointRow) -> bool:
    return row.trigger == Trigger.AUTOMATIC.value and not row.deleted


def _may_be_logged(store: Store, row: CheckpointRow) -> bool:
    """A safety checkpoint comes and goes with its operation, unless it was imported."""
    return row.trigger != Trigger.SAFETY.value or is_for_imports(store.layout, row.timeline)


def _find_unknown(operations: Sequence[Operation]) -> list[str]:
    """A line that cannot be read may have been a pin, or an operation that needs a checkpoint."""
    skipped = {operation.undoes for operation in operations if operation.kind is OperationKind.SKIP}
    lines = [one.summary for one in operations if is_unreadable(one) and one.operation not in skipped]
    return [
        f"{line}: what it held is unknown, so nothing goes until `chrono undo --skip` steps over it" for line in lines
    ]


def _plan_endings(store: Store, plan: ExpiryPlan, rules: Rules) -> list[Operation]:
    """Find where undo ends on each timeline; return the operations that keep their grace."""
    if not plan.operations:
        return []
    ended = operations.find_ended(plan.operations)
    kept: dict[str, Operation] = {}
    known = {operation.operation for operation in plan.operations}
    gone = set(ended)
    for timeline in {operation.timeline for operation in plan.operations if operation.timeline}:
        own = [one for one in plan.operations if one.timeline == timeline or is_unreadable(one)]
        old, young = split_by_grace(own, rules.now)
        old = [one for one in old if not is_unreadable(one)]  # undo cannot end after what nobody can name
        kept |= {one.operation: one for one in young if one.operation not in ended}
        fresh = [one for one in old if one.operation not in ended]
        if fresh:
            plan.endings.append(Ending(timeline, old[-1].operation, len(fresh)))
            gone.update(one.operation for one in old)
    names = os.listdir(store.layout.changes) if store.layout.changes.is_dir() else []
    plan.records = sorted(name for name in names if name.removesuffix(".json") in gone & known)
    return list(kept.values())


def _find_ties(store: Store, plan: ExpiryPlan, kept: Sequence[Operation]) -> Ties:
    by_id = {operation.operation: operation for operation in plan.operations}
    held: list[str | None] = [journal.safety for journal in plan.journals]
    held += [journal.target for journal in plan.journals]
    before = [by_id[journal.undoes] for journal in plan.journals if journal.undoes in by_id]
    held += [end for operation in (*kept, *before) for end in (operation.safety, operation.target)]
    moved = {move.checkpoint_id for operation in kept for move in operation.checkpoints}
    rows = [*store.catalog.list_checkpoints(), *store.catalog.list_checkpoints(deleted=True)]
    return Ties(frozenset(filter(None, held)), frozenset(moved), find_forks(rows), find_joins(rows))


def _log(store: Store, plan: ExpiryPlan, gone: Sequence[CheckpointRow]) -> None:
    """One line for each timeline on which undo ends, or whose operations brought in or deleted what is gone."""
    endings = {ending.timeline: ending for ending in plan.endings}
    ids = {row.checkpoint_id for row in gone}
    about = {
        operation.timeline: ids & {move.checkpoint_id for one in plan.operations for move in one.checkpoints
                                   if one.timeline == operation.timeline}
        for operation in plan.operations
    }  # fmt: skip
    for timeline in sorted({*endings, *(name for name, found in about.items() if found)} - {""}):
        ending, found = endings.get(timeline), sorted(about.get(timeline, ()))
        parts = [f"{len(found)} checkpoint{'s' if len(found) != 1 else ''} gone for good"] if found else []
        parts += [f"{ending.count} operation{'s' if ending.count != 1 else ''} past undo"] if ending else []
        append(
            store,
            Operation(
                new_operation_id(), OperationKind.GC, timeline, stamp(), f"gc: {', '.join(parts)}",
                tuple(CheckpointMove(checkpoint_id, False) for checkpoint_id in found),
                undoes=ending.last if ending else None,
            ),
        )  # fmt: skip


def _take_away(store: Store, rows: Sequence[CheckpointRow]) -> None:
    """Rename checkpoints out of sight, each in one step; the names are durable before anything that they need goes."""
    for row in rows:
        folder = folder_of(store, row)
        with translate_os_errors(f"cannot remove checkpoint {row.checkpoint_id}"), suppress(FileNotFoundError):
            os.rename(folder, folder.with_name(f"{_GOING}{row.checkpoint_id}"))
    for parent in {folder_of(store, row).parent for row in rows}:
        sync_folder(parent)
    with cache_only(store), store.catalog.transaction():
        store.catalog.remove_checkpoints(row.checkpoint_id for row in rows)


def rules_of(store: Store, *, named: bool = False, deleted: bool = False) -> Rules:
    """Return the rules of a store as they hold now."""
    config = store.config
    return Rules(config, clock.now(), named or config.retention_includes_named, deleted)
