"""Branching timelines, merging and leaving them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from chronos.merging import Choice, Resolution, Strategy
from skills.actions import inputs, results
from skills.actions.access import Access
from skills.actions.action import Effect, action
from skills.errors import BadArgumentsError

_NewName = Annotated[str, Meta(description="What to call the new timeline, such as 'experiment'")]
_Name = Annotated[str, Meta(description="The timeline's name")]
_From = Annotated[str | None, Meta(description="The checkpoint whose state it gets; the present state if absent")]
_Source = Annotated[str, Meta(description="The timeline whose changes are to come")]
_Target = Annotated[
    str | None, Meta(description="The timeline into which they go; that of this working tree if absent")
]
_Subject = Annotated[str, Meta(description="The path, the memory store's name or the conflict's id")]
_Taken = Annotated[
    Choice, Meta(description="'ours' (the target's), 'theirs' (the source's), or 'content' that you give")
]
_Content = Annotated[
    str | None, Meta(description="With 'content': the whole file as it should be, or the row as a JSON object")
]


@action("Branch a timeline", Effect.ADDS)
def branch_timeline(access: Access, name: _NewName, checkpoint_id: _From = None) -> results.Branched:
    """Make a timeline: a working tree of its own, with its own copy of the memory, in the present state.

    Work in the folder that comes back as 'path'; nothing done there touches this tree. merge_timeline brings it back.
    """
    return results.Branched.of(access.engine.branch_timeline(name, checkpoint_id))


@action("List timelines", Effect.READS)
def list_timelines(access: Access) -> results.Timelines:
    """List the timelines, with the folder in which each is worked on."""
    found = access.engine.list_timelines()
    return results.Timelines(timelines=tuple(map(results.Timeline.of, found)), current=access.engine.timeline)


@action("Plan a merge", Effect.READS)
def plan_merge(
    access: Access, source: _Source, target: _Target = None, strategy: inputs.Conflicting = Strategy.CONFLICT,
    paths: inputs.Paths = (),
) -> results.Merged:  # fmt: skip
    """Show what merge_timeline with the same arguments would bring, and which conflicts it has. No file changes."""
    return results.Merged.of(access.engine.plan_merge_timeline(source, target, strategy=strategy.value, paths=paths))


@action("Merge a timeline", Effect.REPLACES, planner="plan_merge")
def merge_timeline(
    access: Access, source: _Source, target: _Target = None, strategy: inputs.Conflicting = Strategy.CONFLICT,
    paths: inputs.Paths = (), plan_id: inputs.PlanId = "",
) -> results.Merged:  # fmt: skip
    """Merge what one timeline changed into another: text by lines, JSON, YAML and TOML by keys, databases by rows.

    While there are conflicts nothing changes: decide them with resolve_conflict and merge again. undo takes it back.
    """
    found = access.engine.merge_timeline(source, target, strategy=strategy.value, paths=paths, plan_id=plan_id or None)
    return results.Merged.of(found)


@action("List conflicts", Effect.READS)
def list_conflicts(access: Access, timeline: inputs.InTimeline = None) -> results.Conflicts:
    """List the conflicts of the merge that waits for decisions, if one does."""
    return results.Conflicts.of(access.engine.list_conflicts(timeline))


@action("Decide a conflict", Effect.ADDS, idempotent=True)
def resolve_conflict(
    access: Access, subject: _Subject, choice: _Taken, content: _Content = None, timeline: inputs.InTimeline = None
) -> results.Conflicts:
    """Decide a conflict. No file changes before the merge is made again."""
    if (choice is Choice.CONTENT) is (content is None):
        raise BadArgumentsError("choice 'content' needs content, and no other takes any")
    resolution = Resolution(choice, (content or "").encode("utf-8"))
    return results.Conflicts.of(access.engine.resolve_conflict(subject, resolution, timeline=timeline))


@action("Plan leaving a timeline", Effect.READS)
def plan_delete_timeline(access: Access, name: _Name) -> results.PlannedDeletion:
    """Show what delete_timeline would take away, and what of it no checkpoint could hold. Nothing changes."""
    return results.PlannedDeletion.of_timeline(access.engine.plan_delete_timeline(name))


@action("Delete a timeline", Effect.REPLACES, planner="plan_delete_timeline")
def delete_timeline(access: Access, name: _Name, plan_id: inputs.PlanId = "") -> results.Deleted:
    """Take a timeline and its working tree away, after a checkpoint of what is there. undo brings it back."""
    access.engine.delete_timeline(name, plan_id=plan_id or None)
    return results.Deleted(name=name, checkpoint_id=None, timeline=name)
