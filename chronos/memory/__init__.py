"""Memory stores: databases and files of agents, read as of one instant and put back whole. Owns sqlite3 and lancedb.

What the room offers is loaded on first use (PEP 562): the child program that reads databases starts through this door,
and needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.memory.finding import FOUND_FOLDER
    from chronos.memory.kinds import (
        COMPANION_ENDINGS,
        DATABASE_ENDINGS,
        LOG_ENDINGS,
        CaptureWork,
        LeftOut,
        MemoryFile,
        MemoryKind,
        Present,
        ReplaceWork,
        SteppedKind,
        StoreState,
        TableDifference,
        TableSummary,
    )
    from chronos.memory.places import (
        StorePlace,
        Territory,
        declare,
        free_name,
        is_allowed,
        list_places,
        may_be_called,
        overlap,
        place_of,
        read_declarations,
        text_of,
        undeclare,
    )
    from chronos.memory.placing import draft_beside, is_unsettled, settle_place
    from chronos.memory.registry import detect_kind, fitting_kind, get_kind
    from chronos.memory.steps import Pause, Steps, carry_out
    from chronos.memory.store_merge import MergedText, MergeText, MergeWork, StoreMerge, TableMerge, row_of
    from chronos.memory.text_lines import merge_lines

__all__ = [
    "COMPANION_ENDINGS",
    "DATABASE_ENDINGS",
    "FOUND_FOLDER",
    "LOG_ENDINGS",
    "CaptureWork",
    "LeftOut",
    "MemoryFile",
    "MemoryKind",
    "MergeText",
    "MergeWork",
    "MergedText",
    "Pause",
    "Present",
    "ReplaceWork",
    "SteppedKind",
    "Steps",
    "StoreMerge",
    "StorePlace",
    "StoreState",
    "TableDifference",
    "TableMerge",
    "TableSummary",
    "Territory",
    "carry_out",
    "declare",
    "detect_kind",
    "draft_beside",
    "fitting_kind",
    "free_name",
    "get_kind",
    "is_allowed",
    "is_unsettled",
    "list_places",
    "may_be_called",
    "merge_lines",
    "overlap",
    "place_of",
    "read_declarations",
    "row_of",
    "settle_place",
    "text_of",
    "undeclare",
]
_HOMES = {
    "Pause": "steps",
    "Steps": "steps",
    "carry_out": "steps",
    "overlap": "places",
    "is_allowed": "places",
    "is_unsettled": "placing",
    "draft_beside": "placing",
    "free_name": "places",
    "FOUND_FOLDER": "finding",
    "MergeText": "store_merge",
    "MergeWork": "store_merge",
    "MergedText": "store_merge",
    "StoreMerge": "store_merge",
    "StorePlace": "places",
    "TableMerge": "store_merge",
    "Territory": "places",
    "declare": "places",
    "detect_kind": "registry",
    "fitting_kind": "registry",
    "get_kind": "registry",
    "list_places": "places",
    "may_be_called": "places",
    "merge_lines": "text_lines",
    "place_of": "places",
    "read_declarations": "places",
    "row_of": "store_merge",
    "settle_place": "placing",
    "text_of": "places",
    "undeclare": "places",
}
__getattr__ = loader(__name__, {**dict.fromkeys(__all__, "kinds"), **_HOMES})
