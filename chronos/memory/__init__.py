"""Memory stores: databases and files of agents, read as of one instant and put back whole. Owns sqlite3 and lancedb."""

from chronos.memory.kinds import (
    CaptureWork,
    LeftOut,
    MemoryFile,
    MemoryKind,
    ReplaceWork,
    StoreState,
    TableDifference,
    TableSummary,
)
from chronos.memory.places import COMPANION_ENDINGS, FOUND_FOLDER, StorePlace, declare, list_places, place_of, undeclare
from chronos.memory.registry import detect_kind, fitting_kind, get_kind

__all__ = [
    "COMPANION_ENDINGS",
    "FOUND_FOLDER",
    "CaptureWork",
    "LeftOut",
    "MemoryFile",
    "MemoryKind",
    "ReplaceWork",
    "StorePlace",
    "StoreState",
    "TableDifference",
    "TableSummary",
    "declare",
    "detect_kind",
    "fitting_kind",
    "get_kind",
    "list_places",
    "place_of",
    "undeclare",
]
