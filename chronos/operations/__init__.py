"""Operations: what people and agents ask for, logged so that each can be undone and redone."""

from chronos.operations.checkpoints import (
    check_new_name,
    create,
    delete,
    find_folder,
    is_storable,
    move_checkpoints,
    resolve,
)
from chronos.operations.hiding import sweep_hiding_drafts
from chronos.operations.journals import list_interrupted, read_changes, settle, sweep_leftovers
from chronos.operations.log import (
    CheckpointMove,
    Operation,
    OperationKind,
    append,
    is_unreadable,
    new_operation_id,
    read_operations,
    stamp,
)
from chronos.operations.looking import (
    check_outside,
    find_component_repositories,
    find_repositories,
    open_diff,
    restore_into,
)
from chronos.operations.opening import OpenPlace
from chronos.operations.restore import Outcome, plan_restore, plan_step, restore, step
from chronos.operations.stack import build_stack, skip
from chronos.operations.workspace import Workspace

__all__ = [
    "CheckpointMove",
    "OpenPlace",
    "Operation",
    "OperationKind",
    "Outcome",
    "Workspace",
    "append",
    "build_stack",
    "check_new_name",
    "check_outside",
    "create",
    "delete",
    "find_component_repositories",
    "find_folder",
    "find_repositories",
    "is_storable",
    "is_unreadable",
    "list_interrupted",
    "move_checkpoints",
    "new_operation_id",
    "open_diff",
    "plan_restore",
    "plan_step",
    "read_changes",
    "read_operations",
    "resolve",
    "restore",
    "restore_into",
    "settle",
    "skip",
    "stamp",
    "step",
    "sweep_hiding_drafts",
    "sweep_leftovers",
]
