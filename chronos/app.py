"""Builds the engine for every front door, so that all of them read the surroundings in one way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chronos.config import Surroundings
from chronos.engine import ChronosEngine

__all__ = ["open_engine"]


def open_engine(
    root: Path | None = None,
    *,
    surroundings: Surroundings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ChronosEngine:
    """Return an engine for the working tree that holds `root`, or the folder that the front door was called in.

    `progress` is told (done, total) during long work. Close the engine, or use it in a `with` block.
    """
    return ChronosEngine(root, surroundings=surroundings or Surroundings.current(), progress=progress)
