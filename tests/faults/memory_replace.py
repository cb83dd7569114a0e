"""Replaces one store by a state of another, as a process of its own that can be killed at any call.

Arguments: kind, place, source of the state (or `nothing`), trash, and what the place is expected to look like, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chronos.memory import ReplaceWork, get_kind, is_unsettled, settle_place
from tests.memory.stores import MemoryPool, capture, replace


def main(name: str, place: str, source: str, trash: str, expected: str) -> None:
    """Do it."""
    kind, pool = get_kind(name), MemoryPool()
    state = None if source == "nothing" else capture(kind, Path(source), pool)
    replace(kind, Path(place), state, pool, Path(trash), expected=tuple(json.loads(expected)))


def settle(place: Path, trash: Path) -> None:
    """Do what a restore does first with a place that a run before may have left on the way."""
    work = ReplaceWork(MemoryPool().pieces, trash, None, 0.5)
    settle_place(place, [work] if is_unsettled(trash) else [])


if __name__ == "__main__":
    main(*sys.argv[1:])
