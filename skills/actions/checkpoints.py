"""Taking checkpoints, looking at them, and going back to them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from chronos.checkpoints import VerdictResult
from chronos.errors import ChangedMeanwhileError
from skills.actions import inputs, results
from skills.actions.access import Access
from skills.actions.action import Effect, action

_Name = Annotated[str, Meta(description="What to call it, such as 'before_migration'; names may repeat")]
_Description = Annotated[str, Meta(description="Why it is taken, in a sentence")]
_Text = Annotated[str, Meta(description="Only those with this text in name, description or tags")]
_Lines = Annotated[bool, Meta(description="Show the changed lines too")]
_Rows = Annotated[bool, Meta(description="Count the rows that differ in each table of the memory stores")]
_Code = Annotated[bool, Meta(description="Whether files come back")]
_Memory = Annotated[bool, Meta(description="Whether databases and other memory stores come back")]
_Verdict = Annotated[VerdictResult, Meta(description="How the tests ended")]
_Note = Annotated[str, Meta(description="What was found, in a sentence")]


@action("Take a checkpoint", Effect.ADDS)
def create_checkpoint(
    access: Access, name: _Name, description: _Description = "", timeline: inputs.InTimeline = None,
    tags: inputs.Tags = (),
) -> results.Taken:  # fmt: skip
    """Take a checkpoint of the whole working state: every file that differs from the last commit, and the memory.

    Do it before anything risky (a migration, a refactoring, deleting, a command you have not run before) and after each
    step that works. It takes a fraction of a second, changes nothing, and everything can be brought back from it.
    """
    with access.tree_of(timeline) as engine:
        return results.Taken.of(engine.take_checkpoint(name, description, tags=tags))


@action("List checkpoints", Effect.READS)
def list_checkpoints(
    access: Access, timeline: inputs.OfTimeline = None, text: _Text = "", limit: inputs.Limit = 20
) -> results.Checkpoints:
    """List the checkpoints of a timeline, the newest first."""
    engine = access.engine
    if text:
        found, total = engine.search_checkpoints(text, timeline)[:limit], None
    else:
        found, total = engine.list_checkpoints(timeline, limit=limit), engine.count_checkpoints(timeline)
    return results.Checkpoints(checkpoints=tuple(map(results.Checkpoint.of, found)), total=total)


@action("Show a checkpoint", Effect.READS)
def show_checkpoint(
    access: Access, checkpoint_id: inputs.CheckpointId, timeline: inputs.OfTimeline = None
) -> results.Details:
    """Show what one checkpoint holds, and what it does not."""
    return results.Details.of_details(access.engine.show_checkpoint(checkpoint_id, timeline))


@action("Compare checkpoints", Effect.READS)
def diff_checkpoints(
    access: Access, old: inputs.CheckpointId, new: inputs.OtherCheckpointId = None, paths: inputs.Paths = (),
    patch: _Lines = False, rows: _Rows = False,
) -> results.Differences:  # fmt: skip
    """Show which files and memory stores differ from one checkpoint to another, or to the working tree now."""
    engine = access.engine
    differences = engine.diff(old, new, paths=paths)
    stores = engine.diff_memory(old, new, tables=rows) if not paths else []
    text, is_cut = results.join_patches(engine.diff_patches(old, new, paths=paths)) if patch else ("", False)
    return results.Differences(
        old=old, new=new, differences=tuple(map(results.PathDifference.of, differences[: results.MOST_LISTED])),
        difference_count=len(differences), stores=tuple(map(results.MemoryDifference.of, stores)), patch=text,
        is_patch_cut=is_cut,
    )  # fmt: skip


@action("Plan a restore", Effect.READS)
def plan_restore(
    access: Access, checkpoint_id: inputs.CheckpointId, timeline: inputs.OfTimeline = None, paths: inputs.Paths = (),
    code: _Code = True, memory: _Memory = True,
) -> results.Planned:  # fmt: skip
    """Show what restore_checkpoint with the same arguments would write, delete and leave alone. Nothing changes."""
    engine = access.engine
    plan = engine.plan_restore(checkpoint_id, timeline, paths=paths, code=code, memory=memory)
    return results.Planned.of(plan, f"restore {checkpoint_id}")


@action("Restore a checkpoint", Effect.REPLACES, idempotent=True, planner="plan_restore")
def restore_checkpoint(
    access: Access, checkpoint_id: inputs.CheckpointId, timeline: inputs.OfTimeline = None, paths: inputs.Paths = (),
    code: _Code = True, memory: _Memory = True, plan_id: inputs.PlanId = "",
) -> results.Done:  # fmt: skip
    """Give files and memory of this working tree the state of a checkpoint.

    What is there now is held by a safety checkpoint first, and undo takes the restore back. Files that no checkpoint
    could bring back are kept.
    """
    engine = access.engine
    found = engine.restore_checkpoint(
        checkpoint_id, timeline, paths=paths, code=code, memory=memory, plan_id=plan_id or None
    )
    return results.Done.of(found)


@action("Plan an undo", Effect.READS)
def plan_undo(access: Access) -> results.Planned:
    """Show which operation undo would take back, and what that does. Nothing changes."""
    operation, plan = access.engine.plan_undo()
    return results.Planned.of(plan, f"undo: {operation.summary}")


@action("Undo", Effect.REPLACES, planner="plan_undo")
def undo(access: Access, plan_id: inputs.PlanId = "") -> results.Done:
    """Take back the last operation of this timeline: a restore, a merge, a deletion. Files edited since are kept."""
    return results.Done.of(access.engine.undo(plan_id=plan_id or None))


@action("Plan a redo", Effect.READS)
def plan_redo(access: Access) -> results.Planned:
    """Show which undo redo would take back, and what that does. Nothing changes."""
    operation, plan = access.engine.plan_redo()
    return results.Planned.of(plan, f"redo: {operation.summary}")


@action("Redo", Effect.REPLACES, planner="plan_redo")
def redo(access: Access, plan_id: inputs.PlanId = "") -> results.Done:
    """Take back the last undo of this timeline."""
    return results.Done.of(access.engine.redo(plan_id=plan_id or None))


@action("Plan a revert", Effect.READS)
def plan_revert(access: Access, checkpoint_id: inputs.CheckpointId, paths: inputs.Paths = ()) -> results.Merged:
    """Show what revert_checkpoint with the same arguments would take back, and which conflicts it has."""
    return results.Merged.of(access.engine.revert_checkpoint(checkpoint_id, paths=paths, plan_only=True))


@action("Revert a checkpoint", Effect.REPLACES, planner="plan_revert")
def revert_checkpoint(
    access: Access, checkpoint_id: inputs.CheckpointId, paths: inputs.Paths = (), plan_id: inputs.PlanId = ""
) -> results.Merged:
    """Take back what one checkpoint changed against the one before it, and keep what came later. undo takes it back.

    While there are conflicts nothing changes: decide them with resolve_conflict and revert again.
    """
    return results.Merged.of(access.engine.revert_checkpoint(checkpoint_id, paths=paths, plan_id=plan_id or None))


@action("Plan a deletion", Effect.READS)
def plan_delete_checkpoint(
    access: Access, checkpoint_id: inputs.CheckpointId, timeline: inputs.OfTimeline = None
) -> results.PlannedDeletion:
    """Show which checkpoint delete_checkpoint would delete. Nothing changes."""
    row = access.engine.find_checkpoint(checkpoint_id, timeline, damaged=True)
    return results.PlannedDeletion.of_checkpoint(row)


@action("Delete a checkpoint", Effect.REPLACES, planner="plan_delete_checkpoint")
def delete_checkpoint(
    access: Access, checkpoint_id: inputs.CheckpointId, timeline: inputs.OfTimeline = None, plan_id: inputs.PlanId = ""
) -> results.Deleted:
    """Delete a checkpoint. No file changes, and undo brings it back until its bytes are collected."""
    engine = access.engine
    row = engine.find_checkpoint(checkpoint_id, timeline, damaged=True)
    if plan_id and plan_id != results.PlannedDeletion.of_checkpoint(row).plan_id:
        raise ChangedMeanwhileError(f"{checkpoint_id} is another checkpoint now than the plan says")
    deleted = engine.delete_checkpoint(row.checkpoint_id, row.timeline)
    return results.Deleted(name=deleted.name, checkpoint_id=deleted.checkpoint_id, timeline=deleted.timeline)


@action("Judge a checkpoint", Effect.ADDS)
def set_verdict(
    access: Access, checkpoint_id: inputs.CheckpointId, verdict: _Verdict, note: _Note = "",
    timeline: inputs.OfTimeline = None,
) -> results.Checkpoint:  # fmt: skip
    """Say that the tests of a checkpoint passed or failed; the newest that passed is found as 'last-green'."""
    return results.Checkpoint.of(access.engine.set_verdict(checkpoint_id, verdict, timeline, note=note))
