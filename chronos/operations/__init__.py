"""Operations: what people and agents ask for, logged so that each can be undone and redone."""

from chronos.operations.checkpoints import check_new_name, create, delete, is_storable, resolve
from chronos.operations.hiding import sweep_hiding_drafts
from chronos.operations.journals import (
    list_interrupted,
    read_changes,
    set_journal_aside,
    settle,
    sweep_leftovers,
)
from chronos.operations.log import Operation, OperationKind, has_torn_end, is_unreadable, read_operations
from chronos.operations.looking import find_repositories, open_diff, restore_into
from chronos.operations.opening import OpenPlace
from chronos.operations.restore import Outcome, plan_restore, plan_step, restore, step
from chronos.operations.stack import build_stack, skip, step_over
from chronos.operations.workspace import Workspace

__all__ = [
    "OpenPlace",
    "Operation",
    "OperationKind",
    "Outcome",
    "Workspace",
    "build_stack",
    "check_new_name",
    "create",
    "delete",
    "find_repositories",
    "has_torn_end",
    "is_storable",
    "is_unreadable",
    "list_interrupted",
    "open_diff",
    "plan_restore",
    "plan_step",
    "read_changes",
    "read_operations",
    "resolve",
    "restore",
    "restore_into",
    "set_journal_aside",
    "settle",
    "skip",
    "step",
    "step_over",
    "sweep_hiding_drafts",
    "sweep_leftovers",
]
