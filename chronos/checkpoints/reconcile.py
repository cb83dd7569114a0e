"""Keeping the catalog equal to the folders. The folders are the truth; only what differs is read.

A timeline whose folder times are those of the last agreement costs three `stat` calls. Damaged manifests and packs
are left out of the catalog (verify names them); everything undamaged stays usable. What could not be read this time
is left out too, and looked at again the next time.
"""

from __future__ import annotations

import os
from pathlib import Path

from chronos.catalog import Catalog, CheckpointRow, TimelineMark
from chronos.checkpoints.annotations import annotate, apply_annotations, read_annotations
from chronos.checkpoints.manifest import LARGEST_MANIFEST_BYTES, Manifest, decode_manifest, is_checkpoint_id
from chronos.checkpoints.owner import is_for_imports
from chronos.errors import IntegrityError, StorageError, UnsupportedError
from chronos.files import read_limited, sync_folder
from chronos.layout import MANIFEST, OMISSIONS, StoreLayout
from chronos.pool import WrittenPack, read_pack_index

_UNREAD = "unread"


def reconcile(catalog: Catalog, layout: StoreLayout) -> None:
    """Bring every timeline's rows up to date with its folder, and with what the log annotates."""
    apply_annotations(catalog, layout)
    present = list_timelines(layout)
    for timeline in present:
        if catalog.find_mark(timeline) != read_mark(layout, timeline):
            _reconcile_timeline(catalog, layout, timeline)
    for timeline in set(catalog.timelines()) - set(present):
        with catalog.transaction():
            catalog.forget_timeline(timeline)


def reconcile_packs(catalog: Catalog, layout: StoreLayout) -> None:
    """Compare the sizes of all packs, too: one that was cut short in place changes no folder's time."""
    for timeline in list_timelines(layout):
        if catalog.pack_sizes(timeline) != _pack_files(layout.packs(timeline)):
            with catalog.transaction():
                _reconcile_packs(catalog, layout, timeline)


def list_timelines(layout: StoreLayout) -> list[str]:
    """Return the names of the timelines: every visible folder of the store."""
    with os.scandir(layout.root) as found:
        return sorted(
            item.name for item in found if not item.name.startswith(".") and item.is_dir(follow_symlinks=False)
        )


def read_mark(layout: StoreLayout, timeline: str) -> TimelineMark:
    """Return the folder times of a timeline as they are now."""
    return TimelineMark(
        _time_of(layout.timeline(timeline)), _time_of(layout.packs(timeline)), _time_of(layout.deleted(timeline))
    )


def checkpoint_row(
    manifest: Manifest, checkpoint_id: str, *, deleted: bool = False, timeline: str | None = None
) -> CheckpointRow:
    """Return the catalog's row for a manifest that no annotation speaks of.

    `timeline` is that of the folder where it lies, if not its own.
    """
    return CheckpointRow(
        checkpoint_id,
        timeline or manifest.timeline,
        manifest.sequence,
        manifest.name,
        manifest.description,
        manifest.parents[0] if manifest.parents else None,
        manifest.created_at,
        manifest.trigger.value,
        manifest.tags,
        manifest.files_changed,
        manifest.grade.value,
        manifest.state,
        deleted,
        manifest.parents[1:],
    )


def index_pack(catalog: Catalog, timeline: str, pack: WrittenPack) -> None:
    """Add a pack to the catalog."""
    catalog.add_pack(timeline, pack.name, pack.size, pack.chunks)


def _reconcile_timeline(catalog: Catalog, layout: StoreLayout, timeline: str) -> None:
    mark = read_mark(layout, timeline)
    with catalog.transaction():
        known = {row.checkpoint_id: row for row in catalog.list_checkpoints(timeline)}
        known |= {row.checkpoint_id: row for row in catalog.list_checkpoints(timeline, deleted=True)}
        found = {folder.name: False for folder in list_checkpoint_folders(layout.timeline(timeline))}
        found = {folder.name: True for folder in list_checkpoint_folders(layout.deleted(timeline))} | found
        # A checkpoint appears after its packs, so whoever saw it sees them: packs are looked at last.
        is_agreed = _reconcile_packs(catalog, layout, timeline)
        annotations = [] if found.keys() <= known.keys() else read_annotations(layout)[0]
        for checkpoint_id, deleted in found.items():
            row = known.pop(checkpoint_id, None)
            if row is None:
                manifest_row = _read_row(layout, timeline, checkpoint_id, deleted)
                is_agreed &= manifest_row is not _UNREAD
                if isinstance(manifest_row, tuple):
                    row, own_bytes = manifest_row
                    catalog.add_checkpoint(annotate(row, annotations), own_bytes)
            elif row.deleted != deleted:
                catalog.set_deleted(checkpoint_id, deleted)
        catalog.remove_checkpoints(known)
        if is_agreed:
            catalog.set_mark(timeline, mark)


def _reconcile_packs(catalog: Catalog, layout: StoreLayout, timeline: str) -> bool:
    """Tell whether every pack could be looked at, damaged or not."""
    is_agreed = True
    known = catalog.pack_sizes(timeline)
    found = _pack_files(layout.packs(timeline))
    if any(found.get(name) != size for name, size in known.items()):
        catalog.forget_stats(
            catalog.list_stat_chunks()
        )  # a row vouches for all chunks of a file, and some of them may have gone
    catalog.remove_packs(timeline, set(known) - set(found))
    fresh = [name for name, size in found.items() if known.get(name) != size]
    if fresh:
        # A pack that a killed run renamed into place may not be durable yet, and new checkpoints will lean on it.
        sync_folder(layout.packs(timeline))
    for name in fresh:
        catalog.remove_packs(timeline, [name])
        try:
            pack = read_pack_index(layout.pack(timeline, name))
        except (IntegrityError, UnsupportedError):
            continue
        except StorageError:
            is_agreed = False
            continue
        index_pack(catalog, timeline, pack)
    return is_agreed


def _read_row(
    layout: StoreLayout, timeline: str, checkpoint_id: str, deleted: bool
) -> tuple[CheckpointRow, int] | str | None:
    """Return a checkpoint's row and what its folder takes; None for a damaged manifest, `_UNREAD` for one unread."""
    folder = layout.deleted(timeline) if deleted else layout.timeline(timeline)
    try:
        data = read_limited(folder / checkpoint_id / MANIFEST, LARGEST_MANIFEST_BYTES)
        manifest = decode_manifest(data, checkpoint_id)
    except (IntegrityError, UnsupportedError):
        return None
    except StorageError:
        return _UNREAD
    if manifest.timeline != timeline and not is_for_imports(layout, timeline):
        return None
    own_bytes = len(data) + sum(_own_bytes(folder / checkpoint_id / name) for name in (*manifest.members, OMISSIONS))
    return checkpoint_row(manifest, checkpoint_id, deleted=deleted, timeline=timeline), own_bytes


def _own_bytes(path: Path) -> int:
    """Return a file's share of its bytes, when several checkpoints have it by hard links."""
    try:
        found = path.stat(follow_symlinks=False)
    except (OSError, ValueError):
        return 0  # verify names it, unless nothing was left out
    return found.st_size // max(found.st_nlink, 1)


def list_checkpoint_folders(folder: Path) -> list[Path]:
    """Return the folders of the checkpoints in a timeline's folder, or on its shelf of deleted ones, by id."""
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if is_checkpoint_id(name)]
    except FileNotFoundError:
        return []


def _pack_files(folder: Path) -> dict[str, int]:
    try:
        with os.scandir(folder) as found:
            return {
                item.name.removesuffix(".pack"): item.stat(follow_symlinks=False).st_size
                for item in found
                if item.name.endswith(".pack")
            }
    except FileNotFoundError:
        return {}


def _time_of(folder: Path) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return 0
