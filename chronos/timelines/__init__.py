"""Timelines: isolated working trees with their own memory, branched, looked at, compared, and merged back."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.timelines.branching import Branched, Request, branch, check_timeline_name
    from chronos.timelines.combining import Combiner
    from chronos.timelines.combining_memory import StoreCombiner, StoreResult
    from chronos.timelines.holding import hold
    from chronos.timelines.leaving import Leaving, LeavingPlan, delete, plan_delete, plan_prune, prune
    from chronos.timelines.listing import TimelineDetails, TimelineSummary, describe, environment_in, list_all
    from chronos.timelines.merging import MergeOutcome, MergeRequest, merge, revert
    from chronos.timelines.pending import (
        PendingMerge,
        check_answer,
        check_resolution,
        drop_pending,
        read_pending,
        write_pending,
    )
    from chronos.timelines.trials import Standing, Trial, open_trial

__all__ = [
    "Branched",
    "Combiner",
    "Leaving",
    "LeavingPlan",
    "MergeOutcome",
    "MergeRequest",
    "PendingMerge",
    "Request",
    "Standing",
    "StoreCombiner",
    "StoreResult",
    "TimelineDetails",
    "TimelineSummary",
    "Trial",
    "branch",
    "check_answer",
    "check_resolution",
    "check_timeline_name",
    "delete",
    "describe",
    "drop_pending",
    "environment_in",
    "hold",
    "list_all",
    "merge",
    "open_trial",
    "plan_delete",
    "plan_prune",
    "prune",
    "read_pending",
    "revert",
    "write_pending",
]

_HOMES = {
    "Branched": "branching", "Request": "branching", "branch": "branching", "check_timeline_name": "branching",
    "Combiner": "combining", "StoreCombiner": "combining_memory", "StoreResult": "combining_memory",
    "hold": "holding",
    "Leaving": "leaving", "LeavingPlan": "leaving", "delete": "leaving", "plan_delete": "leaving",
    "plan_prune": "leaving", "prune": "leaving",
    "TimelineDetails": "listing", "TimelineSummary": "listing", "describe": "listing", "environment_in": "listing",
    "list_all": "listing",
    "MergeOutcome": "merging", "MergeRequest": "merging", "merge": "merging", "revert": "merging",
    "PendingMerge": "pending", "check_answer": "pending", "check_resolution": "pending", "drop_pending": "pending",
    "read_pending": "pending", "write_pending": "pending",
    "Standing": "trials", "Trial": "trials", "open_trial": "trials",
}  # fmt: skip
__getattr__ = loader(__name__, _HOMES)
