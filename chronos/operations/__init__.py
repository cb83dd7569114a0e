"""Operations: what people and agents ask for, logged so that each can be undone and redone."""

from chronos.operations.checkpoints import create, delete, is_storable, resolve
from chronos.operations.hiding import sweep_hiding_drafts
from chronos.operations.journals import list_interrupted, settle, sweep_leftovers
from chronos.operations.log import Operation, OperationKind, count_damaged_lines, read_operations
from chronos.operations.looking import open_diff, restore_into
from chronos.operations.opening import OpenPlace
from chronos.operations.restore import Outcome, plan_restore, plan_step, restore, step
from chronos.operations.stack import Stack, build_stack
from chronos.operations.workspace import Workspace

__all__ = [
    "OpenPlace",
    "Operation",
    "OperationKind",
    "Outcome",
    "Stack",
    "Workspace",
    "build_stack",
    "count_damaged_lines",
    "create",
    "delete",
    "is_storable",
    "list_interrupted",
    "open_diff",
    "plan_restore",
    "plan_step",
    "read_operations",
    "resolve",
    "restore",
    "restore_into",
    "settle",
    "step",
    "sweep_hiding_drafts",
    "sweep_leftovers",
]
