"""Sealing a checkpoint, in the order that makes a crash at any point harmless.

Packs, then members, then the manifest, all synced; then the base refs; then one rename of the folder into place,
which is the commit point. Before it nothing of the checkpoint is visible; after it everything it needs is durable.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from chronos import clock, locks
from chronos.catalog import CheckpointRow
from chronos.checkpoints.capture import Capture
from chronos.checkpoints.component import CapturedComponent
from chronos.checkpoints.manifest import (
    LARGEST_NUMBER,
    Component,
    Entry,
    ListRef,
    Manifest,
    Member,
    ReceiptRow,
    StagedEntry,
    Trigger,
    encode_manifest,
    encode_rows,
    list_ref,
)
from chronos.checkpoints.members import render_patch, render_status
from chronos.checkpoints.reconcile import checkpoint_row, index_pack, read_mark
from chronos.checkpoints.states import ComponentState
from chronos.checkpoints.store import Store
from chronos.errors import CatalogDamagedError, ChronosError, LockedError, StorageError
from chronos.files import link_or_copy, publish_folder, sync_folder, to_text, translate_os_errors, write_new
from chronos.git import HiddenEntry, create_base_ref, has_base_ref
from chronos.layout import ENVIRONMENT, FORMAT_VERSION, MANIFEST, PATCH, STATUS
from chronos.pool import LIST_PROFILE, ContentSink, PoolWriter, WrittenPack, compress_text, digest
from chronos.process import in_background

_Row = TypeVar("_Row", Entry, StagedEntry, HiddenEntry, ReceiptRow)


class Request(msgspec.Struct, frozen=True):
    """What a checkpoint is to be called, why it is taken, and the `env_config.json` that goes with it."""

    name: str
    description: str
    timeline: str
    trigger: Trigger
    environment: bytes
    tags: tuple[str, ...] = ()


def seal(
    store: Store, capture: Capture, writer: PoolWriter, request: Request, parent: CheckpointRow | None, scratch: Path
) -> tuple[str, Manifest]:
    """Write the checkpoint and make it visible; return its id and manifest. The timeline's lock must be held.

    Raises StorageError or GitFailedError, and then nothing has become visible.
    """
    layout, timeline = store.layout, request.timeline
    members = _Members(store, capture, request, parent, scratch)
    code = tuple(_component(writer, state) for state in capture.state.components.values())
    receipt = _put_rows(writer, capture.state.receipt)
    packs = writer.finish()
    publish_packs(store, timeline, packs)
    folder = scratch / "checkpoint"
    with translate_os_errors(f"cannot write in {scratch}"):
        folder.mkdir(mode=0o700)
    written = members.write(folder)
    left_out = Counter(row.reason.value for row in capture.state.receipt)
    manifest = Manifest(
        FORMAT_VERSION,
        timeline,
        min(store.catalog.highest_sequence(timeline) + 1, LARGEST_NUMBER),
        request.name,
        request.description,
        (parent.checkpoint_id,) if parent else (),
        clock.to_text(clock.now()),
        request.trigger,
        capture.state.grade,
        capture.state.identity(),
        code,
        receipt,
        dict(left_out),
        written,
        tuple(pack.name for pack in packs),
        request.tags,
        tuple(capture.state.warnings),
    )
    checkpoint_id, data = encode_manifest(manifest)
    write_new(folder / MANIFEST, data)
    pin_bases(store, capture)
    publish_folder(folder, layout.checkpoint(timeline, checkpoint_id))
    index_sealed(store, timeline, packs, checkpoint_row(manifest, checkpoint_id), capture.components.values())
    return checkpoint_id, manifest


def pin_bases(store: Store, capture: Capture) -> None:
    """Make sure that no git gc can take the commits that the capture's entries are relative to."""
    for part in capture.components.values():
        base = part.state.base
        if base is not None and not has_base_ref(part.repository, store.id, base):
            with locks.hold(store.layout.refs_lock, timeout_s=store.config.lock_timeout_s):
                create_base_ref(part.repository, store.id, base)


def _component(sink: ContentSink, state: ComponentState) -> Component:
    return Component(
        to_text(state.path),
        state.kind,
        state.base,
        state.head,
        state.branch,
        _put_rows(sink, list(state.entries.values())),
        _put_rows(sink, state.staged),
        _put_rows(sink, state.hidden),
        state.object_format,
        state.git_dir,
        state.in_progress,
    )


def _put_rows(sink: ContentSink, rows: list[_Row]) -> ListRef:
    return list_ref(sink.add_bytes(encode_rows(rows), LIST_PROFILE), len(rows))


def publish_packs(store: Store, timeline: str, packs: Sequence[WrittenPack]) -> None:
    """Move finished packs into a timeline's folder, durably: nothing refers to them yet."""
    target = store.layout.packs(timeline)
    with translate_os_errors(f"cannot write in {target}"):
        if not target.is_dir():
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(target.parent)
            sync_folder(target.parent.parent)
        for pack in packs:
            os.rename(pack.path, store.layout.pack(timeline, pack.name))
    if packs:
        sync_folder(target)


class _Members:
    """The files beside the manifest. Making the patch starts at once and overlaps with writing the packs.

    What the parent has with the same bytes is shared with it by a hard link inside the store.
    """

    def __init__(
        self, store: Store, capture: Capture, request: Request, parent: CheckpointRow | None, scratch: Path
    ) -> None:
        self._capture = capture
        self._environment = request.environment
        self._old: dict[str, Member] = {}
        self._is_same = False
        if parent is not None:
            self._folder = store.layout.checkpoint(parent.timeline, parent.checkpoint_id)
            self._read_parent(store, parent)
        limit_bytes = store.config.max_patch_bytes
        if not self._is_same:
            self._patch = in_background(lambda: render_patch(capture, limit_bytes, scratch / "index"))

    def write(self, folder: Path) -> dict[str, Member]:
        """Write or share every member and return them."""
        members: dict[str, Member] = {}
        for name in (PATCH, STATUS) if self._is_same else ():
            members[name] = self._share(folder, name)
        if not self._is_same:
            members[STATUS] = _write_member(folder / STATUS, render_status(self._capture))
            patch, complete = self._patch()
            members[PATCH] = _write_member(folder / PATCH, compress_text(patch), complete)
        known = self._old.get(ENVIRONMENT)
        if known is not None and known.blake3 == digest(self._environment).hex():
            members[ENVIRONMENT] = self._share(folder, ENVIRONMENT)
        else:
            members[ENVIRONMENT] = _write_member(folder / ENVIRONMENT, self._environment)
        return members

    def _read_parent(self, store: Store, parent: CheckpointRow) -> None:
        try:
            manifest = store.read_manifest(parent.timeline, parent.checkpoint_id)
        except ChronosError:
            return
        self._old = {name: member for name, member in manifest.members.items() if (self._folder / name).is_file()}
        self._is_same = manifest.state == self._capture.state.identity() and {PATCH, STATUS} <= set(self._old)

    def _share(self, folder: Path, name: str) -> Member:
        link_or_copy(self._folder / name, folder / name)
        return self._old[name]


def _write_member(path: Path, data: bytes, complete: bool = True) -> Member:
    write_new(path, data)
    return Member(digest(data).hex(), len(data), complete)


def index_sealed(
    store: Store,
    timeline: str,
    packs: Sequence[WrittenPack],
    row: CheckpointRow | None,
    captured: Iterable[CapturedComponent] = (),
) -> None:
    """Tell the catalog of packs and a checkpoint that are durable already: a broken catalog is only built again."""
    catalog = store.catalog
    try:
        with catalog.transaction():
            for pack in packs:
                index_pack(catalog, timeline, pack)
            if row is not None:
                catalog.add_checkpoint(row)
            for part in captured:
                catalog.update_stats(part.key, *part.stats)
            catalog.set_mark(timeline, read_mark(store.layout, timeline))
    except CatalogDamagedError:
        store.discard_catalog()
    except (LockedError, StorageError):
        pass  # the next look at the folders finds it
