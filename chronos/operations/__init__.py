"""Operations: what people and agents ask for, logged so that each can be undone and redone."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
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
    from chronos.operations.history_graph import Edge, Graph, Node, build_graph
    from chronos.operations.journals import (
        list_interrupted,
        read_changes,
        set_journal_aside,
        settle,
        sweep_leftovers,
    )
    from chronos.operations.lineage import History, Link, read_history
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
    from chronos.operations.restoring import Outcome, plan_restore, plan_step, restore, step
    from chronos.operations.stack import build_stack, find_ended, skip, step_over
    from chronos.operations.workspace import Workspace

__all__ = [
    "GRACE_DAYS",
    "GRACE_OPERATIONS",
    "CheckpointMove",
    "Edge",
    "Graph",
    "History",
    "Link",
    "Node",
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
    "build_graph",
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
    "read_history",
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

_HOMES = {
    "annotate": "annotations",
    "check_new_name": "checkpoints", "create": "checkpoints", "delete": "checkpoints", "find_folder": "checkpoints",
    "is_storable": "checkpoints", "move_checkpoints": "checkpoints", "resolve": "checkpoints",
    "GRACE_DAYS": "grace", "GRACE_OPERATIONS": "grace", "is_young": "grace", "split_by_grace": "grace",
    "sweep_hiding_drafts": "hiding",
    "Edge": "history_graph", "Graph": "history_graph", "Node": "history_graph", "build_graph": "history_graph",
    "list_interrupted": "journals", "read_changes": "journals", "set_journal_aside": "journals", "settle": "journals",
    "sweep_leftovers": "journals",
    "History": "lineage", "Link": "lineage", "read_history": "lineage",
    "CheckpointMove": "log", "Operation": "log", "OperationKind": "log", "append": "log", "has_torn_end": "log",
    "is_unreadable": "log", "new_operation_id": "log", "read_operations": "log", "stamp": "log",
    "find_repositories": "looking", "open_diff": "looking", "open_repositories": "looking", "restore_into": "looking",
    "StoreDifference": "memory", "StoreReport": "memory", "add_store": "memory", "diff_stores": "memory",
    "extract_store": "memory", "list_stores": "memory", "remove_store": "memory",
    "check_outside": "new_folder",
    "OpenPlace": "opening",
    "Outcome": "restoring", "plan_restore": "restoring", "plan_step": "restoring", "restore": "restoring",
    "step": "restoring",
    "build_stack": "stack", "find_ended": "stack", "skip": "stack", "step_over": "stack",
    "Workspace": "workspace",
}  # fmt: skip
__getattr__ = loader(__name__, _HOMES)
