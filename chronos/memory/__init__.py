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
from chronos.memory.registry import detect_kind, get_kind

__all__ = [
    "CaptureWork",
    "LeftOut",
    "MemoryFile",
    "MemoryKind",
    "ReplaceWork",
    "StoreState",
    "TableDifference",
    "TableSummary",
    "detect_kind",
    "get_kind",
]
