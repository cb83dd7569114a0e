"""The one list of actions, in the order in which a model reads them."""

from __future__ import annotations

from chronos.files import display
from skills.actions import checkpoints, judgement, timelines, upkeep
from skills.actions.action import Action
from skills.errors import UnknownActionError

ACTIONS: tuple[Action, ...] = (
    checkpoints.create_checkpoint,
    checkpoints.list_checkpoints,
    checkpoints.show_checkpoint,
    checkpoints.diff_checkpoints,
    checkpoints.plan_restore,
    checkpoints.restore_checkpoint,
    checkpoints.plan_undo,
    checkpoints.undo,
    checkpoints.plan_redo,
    checkpoints.redo,
    checkpoints.plan_revert,
    checkpoints.revert_checkpoint,
    checkpoints.plan_delete_checkpoint,
    checkpoints.delete_checkpoint,
    checkpoints.set_verdict,
    timelines.branch_timeline,
    timelines.list_timelines,
    timelines.plan_merge,
    timelines.merge_timeline,
    timelines.list_conflicts,
    timelines.resolve_conflict,
    timelines.plan_delete_timeline,
    timelines.delete_timeline,
    judgement.assess_risk,
    judgement.search_lessons,
    judgement.add_lesson,
    judgement.analyze_failure,
    upkeep.status,
    upkeep.list_memory,
    upkeep.verify,
)
_BY_NAME = {one.name: one for one in ACTIONS}


def find_action(name: str) -> Action:
    """Return the action of this name. Raises UnknownActionError."""
    found = _BY_NAME.get(name)
    if found is None:
        raise UnknownActionError(f"no action is called {display(name[:60])!r}", hint=f"known: {', '.join(_BY_NAME)}")
    return found
