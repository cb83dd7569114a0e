"""Timelines: isolated working trees with their own memory, branched, looked at, compared, and merged back."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.timelines.branching import Branched, Request, branch, check_timeline_name
    from chronos.timelines.leaving import Leaving, LeavingPlan, delete, plan_delete, plan_prune, prune
    from chronos.timelines.listing import TimelineDetails, TimelineSummary, describe, environment_in, hold, list_all

__all__ = [
    "Branched",
    "Leaving",
    "LeavingPlan",
    "Request",
    "TimelineDetails",
    "TimelineSummary",
    "branch",
    "check_timeline_name",
    "delete",
    "describe",
    "environment_in",
    "hold",
    "list_all",
    "plan_delete",
    "plan_prune",
    "prune",
]

_HOMES = {
    "Branched": "branching", "Request": "branching", "branch": "branching", "check_timeline_name": "branching",
    "Leaving": "leaving", "LeavingPlan": "leaving", "delete": "leaving", "plan_delete": "leaving",
    "plan_prune": "leaving", "prune": "leaving",
    "TimelineDetails": "listing", "TimelineSummary": "listing", "describe": "listing", "environment_in": "listing",
    "hold": "listing", "list_all": "listing",
}  # fmt: skip
__getattr__ = loader(__name__, _HOMES)
