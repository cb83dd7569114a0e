"""What an action would do to what is there, and what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronos.pool import digest
from skills.actions.results.shape import KeptPath, Result, list_kept, list_paths

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Plan
    from chronos.operations import Outcome
    from chronos.timelines import LeavingPlan


class Planned(Result, frozen=True, kw_only=True):
    """What an action would do. Give `plan_id` to it to have exactly this done, while it is still true.

    `writes` and `deletes` are paths, `stores` memory stores that would be replaced, `kept` what stays as it is,
    `effects` what was done since that nothing takes back, such as a push.
    """

    plan_id: str
    summary: str
    grade: str
    writes: tuple[str, ...]
    write_count: int
    deletes: tuple[str, ...]
    delete_count: int
    stores: tuple[str, ...]
    kept: tuple[KeptPath, ...]
    kept_count: int
    warnings: tuple[str, ...]
    effects: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, summary: str) -> Planned:
        """Describe a plan."""
        return cls(
            plan_id=plan.plan_id, summary=summary, grade=plan.grade.value,
            writes=list_paths(change.path for change in plan.writes), write_count=len(plan.writes),
            deletes=list_paths(change.path for change in plan.deletes), delete_count=len(plan.deletes),
            stores=tuple(store.name for store in plan.change_set.stores), kept=list_kept(plan.kept),
            kept_count=len(plan.kept), warnings=tuple(plan.warnings),
            effects=tuple(effect for row in plan.effects for effect in row.effects),
        )  # fmt: skip


class Done(Result, frozen=True, kw_only=True):
    """What was done to the working tree. `safety` is the checkpoint of the state before; `undo` takes it all back."""

    operation: str | None
    summary: str
    safety: str | None
    written: int
    deleted: int
    stores: tuple[str, ...]
    kept: tuple[KeptPath, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, found: Outcome) -> Done:
        """Describe what a restore, undo or redo did."""
        return cls(
            operation=found.operation, summary=found.summary, safety=found.safety, written=found.written,
            deleted=found.deleted, stores=found.stores, kept=list_kept(found.kept), warnings=found.warnings,
        )  # fmt: skip


class PlannedDeletion(Result, frozen=True, kw_only=True):
    """What a deletion would take away. `uncovered` are files that no checkpoint could hold, and that would be gone."""

    plan_id: str
    summary: str
    uncovered: tuple[str, ...] = ()

    @classmethod
    def of_checkpoint(cls, row: CheckpointRow) -> PlannedDeletion:
        """Describe deleting one checkpoint."""
        plan_id = digest(f"delete {row.checkpoint_id}".encode()).hex()[:16]
        where = f"{row.checkpoint_id[:8]} of timeline {row.timeline}, taken {row.created_at}"
        return cls(plan_id=plan_id, summary=f"delete checkpoint {row.name!r} ({where})")

    @classmethod
    def of_timeline(cls, plan: LeavingPlan) -> PlannedDeletion:
        """Describe deleting a timeline."""
        summary = "; ".join(
            f"delete timeline {one.name} with {one.checkpoints} checkpoints"
            + (f" and its working tree {one.path}" if one.has_tree else "")
            + (f"; {one.kept_branch}" if one.kept_branch is not None else "")
            for one in plan.timelines
        )
        uncovered = list_paths(row.path for one in plan.timelines for row in one.uncovered)
        return cls(plan_id=plan.plan_id, summary=summary, uncovered=uncovered)


class Deleted(Result, frozen=True, kw_only=True):
    """What was deleted; undo brings it back."""

    name: str
    checkpoint_id: str | None
    timeline: str
