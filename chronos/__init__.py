"""Chronomancer's engine of time: checkpoints, restore and undo of a whole working state."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["ChronosEngine", "__version__"]

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine


def __getattr__(name: str) -> object:
    """Load the engine on first use, so that `chrono --version` imports nothing heavy (PEP 562)."""
    if name == "ChronosEngine":
        from chronos.engine import ChronosEngine

        return ChronosEngine
    raise AttributeError(name)
