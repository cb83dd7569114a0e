"""Putting packs into a timeline's folder and taking them out of it, durably; the catalog learns of it or finds out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from chronos.checkpoints.reconcile import index_pack
from chronos.checkpoints.store import Store
from chronos.errors import CatalogDamagedError, LockedError, StorageError
from chronos.files import sync_folder, translate_os_errors
from chronos.layout import StoreLayout
from chronos.pool import WrittenPack


def publish_packs(layout: StoreLayout, timeline: str, packs: Sequence[WrittenPack]) -> None:
    """Rename finished packs into place and make their names durable."""
    target = layout.packs(timeline)
    with translate_os_errors(f"cannot write in {target}"):
        if not target.is_dir():
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(target.parent)
            sync_folder(target.parent.parent)
        for pack in packs:
            os.rename(pack.path, layout.pack(timeline, pack.name))
    if packs:
        sync_folder(target)


def drop_packs(store: Store, timeline: str, names: Sequence[str]) -> None:
    """Remove packs that nothing needs. The store's exclusive lock must be held. Needs no space on the disk."""
    with cache_only(store):
        store.catalog.remove_packs(timeline, names)
    store.pool.close()
    with translate_os_errors(f"cannot remove packs of timeline {timeline}"):
        for name in names:
            store.layout.pack(timeline, name).unlink(missing_ok=True)
    if names:
        sync_folder(store.layout.packs(timeline))


def replace_packs(store: Store, timeline: str, new: WrittenPack, old: Sequence[str]) -> None:
    """Put a pack in the place of others, whose chunks that anything needs it holds. See `drop_packs` for the lock."""
    publish_packs(store.layout, timeline, [new])
    with cache_only(store), store.catalog.transaction():
        index_pack(store.catalog, timeline, new)
    drop_packs(store, timeline, [name for name in old if name != new.name])


@contextmanager
def cache_only(store: Store) -> Iterator[None]:
    """Let a catalog that cannot be written be: the next look at the folders brings it up to date."""
    try:
        yield
    except CatalogDamagedError:
        store.discard_catalog()
    except (LockedError, StorageError):
        pass
