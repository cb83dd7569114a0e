"""Taking a checkpoint over that was sealed elsewhere, in the order of a create: one rename makes it visible.

Its manifest stays byte for byte what it was, so it keeps its id. It names the timeline and the sequence number that it
had there; here it lies in a timeline that is for imports alone, where neither can get in the way of a working tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from chronos.checkpoints.annotations import annotate, read_annotations
from chronos.checkpoints.manifest import Manifest
from chronos.checkpoints.owner import claim_for_imports
from chronos.checkpoints.packs import publish_packs
from chronos.checkpoints.reconcile import checkpoint_row
from chronos.checkpoints.seal import index_sealed
from chronos.checkpoints.store import Store
from chronos.files import publish_folder, sync_folder, translate_os_errors, write_new
from chronos.layout import MANIFEST
from chronos.pool import PoolWriter


class SealedElsewhere(msgspec.Struct, frozen=True):
    """A checked checkpoint: its manifest with the bytes of it, and the files that go beside it by name."""

    checkpoint_id: str
    manifest: Manifest
    data: bytes
    files: Mapping[str, bytes]


def take_in(
    store: Store, timeline: str, sealed: SealedElsewhere, writer: PoolWriter, scratch: Path, pin: Callable[[], None]
) -> None:
    """Make the checkpoint visible on `timeline`, whose lock must be held. `pin` makes sure of the base commits.

    Raises ForeignTimelineError, QuotaExceededError, StorageError or GitFailedError, and then nothing has become
    visible.
    """
    own_bytes = len(sealed.data) + sum(map(len, sealed.files.values()))
    writer.spend(own_bytes)
    claim_for_imports(store.layout, store.id, timeline)
    packs = writer.finish()
    publish_packs(store.layout, timeline, packs)
    folder = scratch / "checkpoint"
    with translate_os_errors(f"cannot write in {scratch}"):
        folder.mkdir(mode=0o700)
    for name, data in sealed.files.items():
        path = folder / name
        if path.parent != folder:
            with translate_os_errors(f"cannot write in {scratch}"):
                path.parent.mkdir(mode=0o700, exist_ok=True)
        write_new(path, data)
        if path.parent != folder:
            sync_folder(path.parent)
    write_new(folder / MANIFEST, sealed.data)
    pin()
    publish_folder(folder, store.layout.checkpoint(timeline, sealed.checkpoint_id))
    row = checkpoint_row(sealed.manifest, sealed.checkpoint_id, timeline=timeline)
    row = annotate(row, read_annotations(store.layout)[0])
    index_sealed(store, timeline, packs, row, own_bytes)


def complete(store: Store, timeline: str, writer: PoolWriter, pin: Callable[[], None]) -> None:
    """Give the pool chunks that a checkpoint of `timeline` lacks. The timeline's lock must be held."""
    packs = writer.finish()
    publish_packs(store.layout, timeline, packs)
    pin()
    index_sealed(store, timeline, packs)
