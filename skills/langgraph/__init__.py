"""LangGraph: a saver that keeps graph checkpoints in a memory store, so that chrono's checkpoints have them too.

LangGraph loads when ChronoSaver is asked for (PEP 562); without it that raises UnsupportedError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronos.errors import UnsupportedError
from chronos.lazy import loader

if TYPE_CHECKING:
    from skills.langgraph.saver import ChronoSaver

__all__ = ["ChronoSaver"]
_LIBRARIES = {"langgraph", "langchain_core", "ormsgpack"}
_load = loader(__name__, dict.fromkeys(__all__, "saver"))


def __getattr__(name: str) -> object:
    try:
        return _load(name)
    except ImportError as cause:
        if (cause.name or "").split(".")[0] not in _LIBRARIES:
            raise
        raise UnsupportedError(
            f"{name} needs LangGraph's checkpoint library, 4.0 or newer: {cause}",
            hint="pip install --upgrade 'chronomancer[langgraph]'",
        ) from cause
