"""The kinds of memory stores: those of the package, and others that entry points bring (`chronos.memory_stores`)."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import cast

from chronos.errors import UnknownKindError
from chronos.memory.kinds import MemoryKind

ENTRY_POINTS = "chronos.memory_stores"
# In the order in which they are asked whose a place is; plain files take everything.
_OWN = {
    "sqlite": ("chronos.memory.sqlite", "SqliteKind"),
    "lancedb": ("chronos.memory.lancedb", "LanceKind"),
    "files": ("chronos.memory.plain", "FilesKind"),
}


def get_kind(name: str) -> MemoryKind:
    """Return the kind called `name`. Raises UnknownKindError."""
    if name in _OWN:
        return _own_kind(name)
    from importlib.metadata import entry_points  # 15 ms, and most stores are of our own kinds

    for point in entry_points(group=ENTRY_POINTS, name=name):
        return cast("MemoryKind", point.load()())
    raise UnknownKindError(f"there is no kind of memory store called {name!r}", hint=f"known: {', '.join(_OWN)}")


@cache
def _own_kind(name: str) -> MemoryKind:
    module, kind = _OWN[name]
    return cast("MemoryKind", getattr(import_module(module), kind)())


def detect_kind(place: Path) -> MemoryKind:
    """Return the kind of what stands at `place`: the first of ours that knows it, or plain files."""
    return next(kind for kind in map(get_kind, _OWN) if kind.detect(place))


def fitting_kind(name: str | None, place: Path) -> MemoryKind:
    """Return the kind called `name` for what stands at `place`, or another where that cannot be of this kind.

    A file in the place of a database is read as one, whatever it holds. Raises UnknownKindError.
    """
    if name is None:
        return detect_kind(place)
    kind = get_kind(name)
    is_fitting = not os.path.isdir(place) if name == "sqlite" else kind.detect(place)
    return kind if is_fitting else detect_kind(place)
