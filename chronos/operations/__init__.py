"""Operations: what people and agents ask for, logged so that each can be undone and redone."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.operations.annotations import annotate, link_prompt, list_verdicts, set_verdict, shortened
    from chronos.operations.checkpoints import (
        check_new_name,
        create,
        delete,
        get_checkpoint,
        is_storable,
        resolve,
    )
    from chronos.operations.covering import Coverage, find_coverage, find_git_settings, is_ref, list_unsaved
    from chronos.operations.effects import effects_after, effects_since, list_remarks, record_effects
    from chronos.operations.executing import Outcome, Prepared, Task, carry_out_prepared, execute
    from chronos.operations.grace import GRACE_DAYS, GRACE_OPERATIONS, is_young, split_by_grace
    from chronos.operations.hiding import sweep_hiding_drafts
    from chronos.operations.history_graph import Edge, Graph, Node, build_graph
    from chronos.operations.including import Inclusion, find_unheard, plan_inclusion
    from chronos.operations.journals import (
        find_journal,
        list_interrupted,
        list_unfinished,
        read_changes,
        set_journal_aside,
        settle,
        sweep_leftovers,
    )
    from chronos.operations.lessons_place import claim_lessons
    from chronos.operations.lineage import History, Link, read_history
    from chronos.operations.log import (
        Operation,
        OperationKind,
        TreeMove,
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
        StoreReport,
        add_store,
        extract_store,
        list_stores,
        places_of,
        remove_store,
        write_store,
    )
    from chronos.operations.memory_diff import StoreDifference, diff_stores
    from chronos.operations.new_folder import check_outside
    from chronos.operations.opening import OpenPlace
    from chronos.operations.restoring import plan_restore, plan_towards, restore
    from chronos.operations.shelf import find_folder, move_checkpoints
    from chronos.operations.stack import build_stack, find_ended, skip, step_over
    from chronos.operations.stepping import plan_step, step
    from chronos.operations.tree_notes import (
        drop_note,
        list_notes,
        write_note,
    )
    from chronos.operations.tree_places import (
        find_tree,
        is_ours,
        locate_tree,
        repair_trees,
        workspace_at,
    )
    from chronos.operations.tree_settling import (
        settle_timeline,
        settle_trees,
        timeline_is_bare,
        withdraw,
    )
    from chronos.operations.trees import (
        ASIDE,
        all_moves,
        arriving,
        aside_of,
        branch_of,
        carry_out_move,
        check_possible,
        hold_tree,
        leaving,
        place_of_tree,
        take_tree_back,
    )
    from chronos.operations.trees_folder import claim_trees_folder, find_trees_folder
    from chronos.operations.workspace import Workspace

__all__ = [
    "ASIDE",
    "GRACE_DAYS",
    "GRACE_OPERATIONS",
    "Coverage",
    "Edge",
    "Graph",
    "History",
    "Inclusion",
    "Link",
    "Node",
    "OpenPlace",
    "Operation",
    "OperationKind",
    "Outcome",
    "Prepared",
    "StoreDifference",
    "StoreReport",
    "Task",
    "TreeMove",
    "Workspace",
    "add_store",
    "all_moves",
    "annotate",
    "append",
    "arriving",
    "aside_of",
    "branch_of",
    "build_graph",
    "build_stack",
    "carry_out_move",
    "carry_out_prepared",
    "check_new_name",
    "check_outside",
    "check_possible",
    "claim_lessons",
    "claim_trees_folder",
    "create",
    "delete",
    "diff_stores",
    "drop_note",
    "effects_after",
    "effects_since",
    "execute",
    "extract_store",
    "find_coverage",
    "find_ended",
    "find_folder",
    "find_git_settings",
    "find_journal",
    "find_repositories",
    "find_tree",
    "find_trees_folder",
    "find_unheard",
    "get_checkpoint",
    "has_torn_end",
    "hold_tree",
    "is_ours",
    "is_ref",
    "is_storable",
    "is_unreadable",
    "is_young",
    "leaving",
    "link_prompt",
    "list_interrupted",
    "list_notes",
    "list_remarks",
    "list_stores",
    "list_unfinished",
    "list_unsaved",
    "list_verdicts",
    "locate_tree",
    "move_checkpoints",
    "new_operation_id",
    "open_diff",
    "open_repositories",
    "place_of_tree",
    "places_of",
    "plan_inclusion",
    "plan_restore",
    "plan_step",
    "plan_towards",
    "read_changes",
    "read_history",
    "read_operations",
    "record_effects",
    "remove_store",
    "repair_trees",
    "resolve",
    "restore",
    "restore_into",
    "set_journal_aside",
    "set_verdict",
    "settle",
    "settle_timeline",
    "settle_trees",
    "shortened",
    "skip",
    "split_by_grace",
    "stamp",
    "step",
    "step_over",
    "sweep_hiding_drafts",
    "sweep_leftovers",
    "take_tree_back",
    "timeline_is_bare",
    "withdraw",
    "workspace_at",
    "write_note",
    "write_store",
]

_HOMES = {
    "Coverage": "covering", "find_coverage": "covering", "find_git_settings": "covering", "is_ref": "covering",
    "list_unsaved": "covering",
    "Inclusion": "including", "find_unheard": "including", "plan_inclusion": "including",
    "annotate": "annotations", "link_prompt": "annotations", "list_verdicts": "annotations",
    "set_verdict": "annotations", "shortened": "annotations",
    "check_new_name": "checkpoints", "create": "checkpoints", "delete": "checkpoints", "is_storable": "checkpoints",
    "get_checkpoint": "checkpoints", "resolve": "checkpoints",
    "effects_after": "effects", "effects_since": "effects", "list_remarks": "effects", "record_effects": "effects",
    "Outcome": "executing", "Prepared": "executing", "Task": "executing", "execute": "executing",
    "carry_out_prepared": "executing",
    "GRACE_DAYS": "grace", "GRACE_OPERATIONS": "grace", "is_young": "grace", "split_by_grace": "grace",
    "claim_lessons": "lessons_place",
    "sweep_hiding_drafts": "hiding",
    "Edge": "history_graph", "Graph": "history_graph", "Node": "history_graph", "build_graph": "history_graph",
    "list_interrupted": "journals", "list_unfinished": "journals", "find_journal": "journals",
    "read_changes": "journals", "set_journal_aside": "journals", "settle": "journals", "sweep_leftovers": "journals",
    "History": "lineage", "Link": "lineage", "read_history": "lineage",
    "Operation": "log", "OperationKind": "log", "append": "log", "has_torn_end": "log", "is_unreadable": "log",
    "new_operation_id": "log", "read_operations": "log", "stamp": "log", "TreeMove": "log",
    "find_repositories": "looking", "open_diff": "looking", "open_repositories": "looking",
    "restore_into": "looking",
    "StoreReport": "memory", "add_store": "memory", "extract_store": "memory", "list_stores": "memory",
    "places_of": "memory", "remove_store": "memory", "write_store": "memory",
    "StoreDifference": "memory_diff", "diff_stores": "memory_diff",
    "check_outside": "new_folder",
    "OpenPlace": "opening",
    "plan_restore": "restoring", "plan_towards": "restoring", "restore": "restoring",
    "find_folder": "shelf", "move_checkpoints": "shelf",
    "build_stack": "stack", "find_ended": "stack", "skip": "stack", "step_over": "stack",
    "plan_step": "stepping", "step": "stepping",
    "drop_note": "tree_notes", "list_notes": "tree_notes", "write_note": "tree_notes",
    "is_ours": "tree_places", "find_tree": "tree_places", "repair_trees": "tree_places",
    "claim_trees_folder": "trees_folder", "find_trees_folder": "trees_folder",
    "locate_tree": "tree_places", "workspace_at": "tree_places",
    "settle_timeline": "tree_settling", "settle_trees": "tree_settling", "timeline_is_bare": "tree_settling",
    "withdraw": "tree_settling",
    "ASIDE": "trees", "all_moves": "trees", "arriving": "trees", "aside_of": "trees", "branch_of": "trees",
    "carry_out_move": "trees", "check_possible": "trees", "hold_tree": "trees", "leaving": "trees",
    "place_of_tree": "trees", "take_tree_back": "trees",
    "Workspace": "workspace",
}  # fmt: skip
__getattr__ = loader(__name__, _HOMES)
