"""Sealing a checkpoint, in the order that makes a crash at any point harmless.

Packs, then members, then the manifest, all synced; then the base refs; then one rename of the folder into place,
which is the commit point. Before it nothing of the checkpoint is visible; after it everything it needs is durable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from chronos import clock, locks
from chronos.background import in_background
from chronos.catalog import CheckpointRow, TimelineMark
from chronos.checkpoints.capture import Capture
from chronos.checkpoints.manifest import (
    LARGEST_NUMBER,
    Component,
    Entry,
    ListRef,
    Manifest,
    Member,
    ReceiptRow,
    SecretRow,
    StagedEntry,
    encode_manifest,
    encode_memory_dump,
    encode_rows,
    list_ref,
)
from chronos.checkpoints.members import recall_sizes, remember_sizes, render_patch, render_status
from chronos.checkpoints.packs import cache_only, publish_packs
from chronos.checkpoints.reconcile import checkpoint_row, index_pack, read_mark
from chronos.checkpoints.secrets import Findings, remember
from chronos.checkpoints.states import ComponentState, State
from chronos.checkpoints.store import Store
from chronos.errors import ChronosError
from chronos.files import link_or_copy, publish_folder, sync_folder, to_text, translate_os_errors, write_new
from chronos.git import HiddenEntry, create_base_ref, has_base_ref
from chronos.layout import ENVIRONMENT, FORMAT_VERSION, MANIFEST, MEMORY, PATCH, STATUS
from chronos.pool import LIST_PROFILE, ContentSink, PoolWriter, WrittenPack, compress_text, digest

if TYPE_CHECKING:
    from chronos.checkpoints.held_patches import HeldPatches
    from chronos.checkpoints.opening import Request

_Row = TypeVar("_Row", Entry, StagedEntry, HiddenEntry, ReceiptRow, SecretRow)


def seal(
    store: Store, capture: Capture, writer: PoolWriter, request: Request, parent: CheckpointRow | None,
    members: Members, scratch: Path, findings: Findings,
) -> tuple[str, Manifest]:  # fmt: skip
    """Write the checkpoint and make it visible; return its id and manifest. The timeline's lock must be held.

    Raises StorageError, QuotaExceededError or GitFailedError, and then nothing has become visible.
    """
    layout, timeline = store.layout, request.timeline
    seen = read_mark(layout, timeline)
    code, receipt = put_lists(writer, capture.state)
    secrets = _put_rows(writer, findings.rows) if findings.rows else None
    packs = writer.finish()
    publish_packs(layout, timeline, packs)
    folder = scratch / "checkpoint"
    with translate_os_errors(f"cannot write in {scratch}"):
        folder.mkdir(mode=0o700)
    written = members.write(folder)
    writer.spend(members.own_bytes)
    manifest = Manifest(
        FORMAT_VERSION,
        timeline,
        min(store.catalog.highest_sequence(timeline) + 1, LARGEST_NUMBER),
        request.name,
        request.description,
        (*((parent.checkpoint_id,) if parent else ()), *request.parents),
        clock.to_text(clock.now()),
        request.trigger,
        capture.state.grade,
        capture.state.identity(),
        code,
        receipt,
        dict(Counter(row.reason.value for row in capture.state.receipt)),
        written,
        tuple(pack.name for pack in packs),
        request.tags,
        tuple(capture.state.warnings),
        secrets,
        findings.unscanned,
    )
    checkpoint_id, data = encode_manifest(manifest)
    writer.spend(len(data))
    write_new(folder / MANIFEST, data)
    pin_bases(store, capture)
    publish_folder(folder, layout.checkpoint(timeline, checkpoint_id))
    row, own_bytes = checkpoint_row(manifest, checkpoint_id), len(data) + members.own_bytes
    index_sealed(store, timeline, packs, row, own_bytes, capture, findings, seen)
    return checkpoint_id, manifest


def pin_bases(store: Store, capture: Capture) -> None:
    """Make sure that no git gc can take the commits that the capture's entries are relative to."""
    for part in capture.components.values():
        base = part.state.base
        if base is not None and not has_base_ref(part.repository, store.id, base):
            with locks.hold(store.layout.refs_lock, timeout_s=store.config.lock_timeout_s):
                create_base_ref(part.repository, store.id, base)


def put_lists(sink: ContentSink, state: State) -> tuple[tuple[Component, ...], ListRef]:
    """Put the lists of a state into `sink`; return its components and its receipt as a manifest has them."""
    return tuple(_component(sink, part) for part in state.components.values()), _put_rows(sink, state.receipt)


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


class Members:
    """The files beside the manifest. Making the patch starts at once, in the background.

    What the parent has with the same bytes is shared with it by a hard link inside the store; `own_bytes` is the rest.
    """

    def __init__(
        self, store: Store, capture: Capture, request: Request, parent: CheckpointRow | None, scratch: Path,
        held: HeldPatches | None,
    ) -> None:  # fmt: skip
        self._capture = capture
        self._environment = request.environment
        self.own_bytes = 0
        self._old: dict[str, Member] = {}
        self._is_same = False
        if parent is not None:
            self._folder = store.layout.checkpoint(parent.timeline, parent.checkpoint_id)
            self._read_parent(store, parent)
        limit_bytes = store.config.max_patch_bytes
        if not self._is_same:
            recall_sizes(store.catalog, capture)
            self._patch = in_background(lambda: render_patch(capture, limit_bytes, scratch / "index", held))

    def wait(self) -> None:
        """Wait until nothing is done in the background any more."""
        if not self._is_same:
            with suppress(ChronosError):
                self._patch()

    def write(self, folder: Path) -> dict[str, Member]:
        """Write or share every member and return them."""
        members: dict[str, Member] = {}
        for name in (PATCH, STATUS) if self._is_same else ():
            members[name] = self._share(folder, name)
        if not self._is_same:
            members[STATUS] = self._write(folder, STATUS, render_status(self._capture))
            patch, complete = self._patch()
            members[PATCH] = self._write(folder, PATCH, compress_text(patch), complete)
        members[ENVIRONMENT] = self._write(folder, ENVIRONMENT, self._environment)
        stores = self._capture.state.memory
        if stores:
            with translate_os_errors(f"cannot write in {folder}"):
                (folder / MEMORY).parent.mkdir(mode=0o700)
            dump = encode_memory_dump(part.record for part in stores.values())
            members[MEMORY] = self._write(folder, MEMORY, dump)
            sync_folder((folder / MEMORY).parent)
        return members

    def _write(self, folder: Path, name: str, data: bytes, complete: bool = True) -> Member:
        """Write a member, or share that of the parent."""
        member = Member(digest(data).hex(), len(data), complete)
        if self._old.get(name) == member:
            return self._share(folder, name)
        write_new(folder / name, data)
        self.own_bytes += len(data)
        return member

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


def index_sealed(
    store: Store, timeline: str, packs: Sequence[WrittenPack], row: CheckpointRow | None = None, own_bytes: int = 0,
    capture: Capture | None = None, findings: Findings | None = None, seen: TimelineMark | None = None,
) -> None:  # fmt: skip
    """Tell the catalog of packs and a checkpoint that are durable already: a broken catalog is only built again.

    `seen` is the mark under which everything before was known: a catalog that somebody emptied meanwhile has it no
    more, and must not say that it agrees with the folders. Without it the next look compares them.
    """
    with cache_only(store), store.catalog.transaction():
        catalog = store.catalog
        for pack in packs:
            index_pack(catalog, timeline, pack)
        if row is not None:
            catalog.add_checkpoint(row, own_bytes)
            if findings is not None:
                remember(store, timeline, row.checkpoint_id, findings)
        if capture is not None:
            remember_sizes(catalog, capture)
            for key, fresh, gone in capture.stats:
                catalog.update_stats(key, fresh, gone)
        if seen is not None and catalog.find_mark(timeline) == seen:
            catalog.set_mark(timeline, read_mark(store.layout, timeline))
