"""Pieces of the patches that other checkpoints have: of a merge, git has rendered both sides already.

A piece says how one path gets from what the base has there to its captured content, and depends on nothing else. So
where another checkpoint with the same base and a complete patch has the same entry, its piece is the piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from chronos.catalog import CheckpointRow
from chronos.checkpoints.manifest import Entry
from chronos.checkpoints.states import ComponentState, State
from chronos.checkpoints.store import Store
from chronos.errors import ChronosError
from chronos.files import read_limited
from chronos.git import patch_head, split_patch
from chronos.layout import PATCH
from chronos.pool import decompress_text, digest


class HeldPatches:
    """The complete patches of checkpoints, in pieces. One that cannot be read, or is not what was sealed, has none."""

    def __init__(self, store: Store, rows: Iterable[CheckpointRow]) -> None:
        self._held: list[tuple[State, dict[bytes, bytes]]] = []
        for row in rows:
            with suppress(ChronosError):
                self._read(store, row)

    def find(self, component: ComponentState, entry: Entry) -> bytes | None:
        """Return the piece for an entry of a component, or None."""
        head = patch_head(component.from_root(entry.path))
        for state, pieces in self._held:
            other = state.components.get(component.path)
            if other is not None and other.base == component.base and other.entries.get(entry.path) == entry:
                piece = pieces.get(head)
                if piece is not None:
                    return piece
        return None

    def _read(self, store: Store, row: CheckpointRow) -> None:
        manifest = store.read_manifest(row.timeline, row.checkpoint_id)
        member = manifest.members.get(PATCH)
        if member is None or not member.complete:
            return
        folder, limit_bytes = store.layout.checkpoint(row.timeline, row.checkpoint_id), store.config.max_patch_bytes
        data = read_limited(folder / PATCH, limit_bytes)
        if digest(data).hex() == member.blake3:
            patch = decompress_text(data, limit_bytes)
            self._held.append((store.read_state(manifest, folder), split_patch(patch)))
