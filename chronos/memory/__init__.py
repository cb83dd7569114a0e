"""Memory stores: databases and files of agents, read as of one instant and put back whole. Owns sqlite3 and lancedb.

What the room offers is loaded on first use (PEP 562): the child program that reads databases starts through this door,
and needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
_REGISTRY = ("detect_kind", "get_kind")


def __getattr__(name: str) -> object:
    """Load what the room offers."""
    if name not in __all__:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{'registry' if name in _REGISTRY else 'kinds'}"), name)
