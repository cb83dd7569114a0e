"""What the capture of memory knows of stores that are one plain file each, of which there can be thousands.

All that a checkpoint says of such a store is remembered with the stat of its file, in one piece of the stat cache for
all of them: one that looks as it did costs an `lstat`, and nothing is asked of the catalog or the pool for it alone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from chronos.catalog import StatRow
from chronos.checkpoints.states import MemoryState
from chronos.checkpoints.store import Store
from chronos.files import PathKind, TreePath, unescape
from chronos.memory import MemoryKind, StorePlace
from chronos.pool import digest
from chronos.stat_cache import StatCache

_KIND = "files"


class LooseFiles:
    """The loose files of one root. `changes` goes into the stat cache under `key`."""

    def __init__(self, store: Store, root: Path) -> None:
        self.key = f"loose:{digest(os.fsencode(root)).hex()[:16]}"
        self._rows = store.catalog.stats(self.key)
        self._states: dict[TreePath, MemoryState] = {}
        for path, row in self._rows.items():
            with suppress(msgspec.MsgspecError):  # of another version
                self._states[path] = msgspec.msgpack.decode(row.content, type=MemoryState)
        keys = {path: _keys(state) for path, state in self._states.items()}
        missing = store.catalog.find_missing(key for found in keys.values() for key in found)
        for path in [path for path, found in keys.items() if missing and not missing.isdisjoint(found)]:
            del self._states[path]
        self._fresh: dict[TreePath, StatRow] = {}
        self._asked_for: set[TreePath] = set()

    def find(self, place: StorePlace, kind: MemoryKind, look: tuple[object, ...]) -> MemoryState | None:
        """Return what was captured at a place that looks as it did; the pool holds all of it."""
        path = unescape(place.path)
        self._asked_for.add(path)
        state = self._states.get(path)
        if state is None or kind.name != _KIND or look != _look_of(self._rows[path]):
            return None
        is_same = state.record.name == place.name and state.record.is_found == place.is_found
        return state if is_same else None

    def remember(self, look: tuple[object, ...], stats: StatCache, state: MemoryState) -> None:
        """Remember a store that looked so, if `stats` has its file, which was settled then."""
        row = stats.fresh.get(b"") or stats.known.get(b"")
        is_loose = state.record.kind == _KIND and [file.path for file in state.files] == [b""]
        if row is not None and is_loose and look == _look_of(row):
            path = unescape(state.record.path)
            self._fresh[path] = msgspec.structs.replace(row, path=path, content=msgspec.msgpack.encode(state))

    def changes(self) -> tuple[list[StatRow], list[TreePath]]:
        """Return the rows to add, and the paths of those to drop: no store is there any more."""
        return list(self._fresh.values()), [path for path in self._rows if path not in self._asked_for]


def _look_of(row: StatRow) -> tuple[object, ...]:
    """Return how a plain file looks to its kind."""
    return (PathKind.FILE.value, row.mode, row.size, row.mtime_ns, row.ctime_ns, row.inode)


def _keys(state: MemoryState) -> list[bytes]:
    return [state.record.files.content().key, *(file.content.key for file in state.files if file.content is not None)]
