"""Operations: what people and agents ask for, logged so that each can be undone and redone."""

from chronos.operations.annotations import annotate
from chronos.operations.checkpoints import (
    check_new_name,
    create,
    delete,
    find_folder,
    is_storable,
    move_checkpoints,
    resolve,
)
from chronos.operations.grace import GRACE_DAYS, GRACE_OPERATIONS, is_young, split_by_grace
from chronos.operations.hiding import sweep_hiding_drafts
from chronos.operations.journals import (
    list_interrupted,
    read_changes,
    set_journal_aside,
    settle,
    sweep_leftovers,
)
from chronos.operations.log import (
    CheckpointMove,
    Operation,
    OperationKind,
    append,
    has_torn_end,
    is_unreadable,
    new_operation_id,
    read_operations,
    stamp,
)
from chronos.operations.looking import (
    find_repositories,
    open_diff,
    open_repositories,
    restore_into,
)
from chronos.operations.memory import (
    StoreDifference,
    StoreReport,
    add_store,
    diff_stores,
    extract_store,
    list_stores,
    remove_store,
)
from chronos.operations.new_folder import check_outside
from chronos.operations.opening import OpenPlace
from chronos.operations.restore import Outcome, plan_restore, plan_step, restore, step
from chronos.operations.stack import build_stack, find_ended, skip, step_over
from chronos.operations.workspace import Workspace

__all__ = [
    "GRACE_DAYS",
    "GRACE_OPERATIONS",
    "CheckpointMove",
    "OpenPlace",
    "Operation",
    "OperationKind",
    "Outcome",
    "StoreDifference",
    "StoreReport",
    "Workspace",
    "add_store",
    "annotate",
    "append",
    "build_stack",
    "check_new_name",
    "check_outside",
    "create",
    "delete",
    "diff_stores",
    "extract_store",
    "find_ended",
    "find_folder",
    "find_repositories",
    "has_torn_end",
    "is_storable",
    "is_unreadable",
    "is_young",
    "list_interrupted",
    "list_stores",
    "move_checkpoints",
    "new_operation_id",
    "open_diff",
    "open_repositories",
    "plan_restore",
    "plan_step",
    "read_changes",
    "read_operations",
    "remove_store",
    "resolve",
    "restore",
    "restore_into",
    "set_journal_aside",
    "settle",
    "skip",
    "split_by_grace",
    "stamp",
    "step",
    "step_over",
    "sweep_hiding_drafts",
    "sweep_leftovers",
]
