"""A store on disk: set up once, opened many times, its catalog kept equal to its folders.

Everything that other rooms read from a store (manifests, lists, contents) comes through here, checked by hash.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import count
from pathlib import Path

from chronos import locks
from chronos.catalog import Catalog, CheckpointRow, ChunkRow, TimelineMark, open_catalog
from chronos.checkpoints.manifest import (
    LARGEST_MANIFEST_BYTES,
    Component,
    Entry,
    Grade,
    ListRef,
    Manifest,
    MemoryRecord,
    ReceiptRow,
    SecretRow,
    StagedEntry,
    check_memory_files,
    check_rows,
    decode_manifest,
    decode_memory_dump,
    decode_rows,
)
from chronos.checkpoints.omissions import drop_omitted, read_omissions
from chronos.checkpoints.owner import is_claimed, write_record
from chronos.checkpoints.reconcile import list_timelines, read_mark, reconcile, reconcile_packs
from chronos.checkpoints.states import ComponentState, MemoryState, State
from chronos.config import Config
from chronos.errors import (
    CatalogDamagedError,
    DamagedManifestError,
    IntegrityError,
    StorageError,
)
from chronos.files import read_limited, remove_tree, translate_os_errors
from chronos.git import HiddenEntry
from chronos.layout import MANIFEST, MEMORY, ChunkLocation, StoreLayout
from chronos.memory import MemoryFile
from chronos.pool import Content, PoolReader, digest


class Store:
    """An open store. Not shared between threads; several processes may have it open at once.

    `is_sound` is false when the format file is damaged and the id came from the timelines' records.
    """

    def __init__(self, layout: StoreLayout, config: Config, store_id: str, *, is_sound: bool = True) -> None:
        self.layout = layout
        self.config = config
        self.id = store_id
        self.is_sound = is_sound
        self.is_writable = os.access(layout.system, os.W_OK)
        self._catalog: Catalog | None = None
        self._has_checked_packs = False
        self.pool = PoolReader(self.find_chunks, self.find_many)

    def close(self) -> None:
        """Close the catalog and every open pack."""
        self.pool.close()
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None

    @property
    def catalog(self) -> Catalog:
        """The catalog, opened and brought up to date at first use; in memory when the file cannot be written."""
        return self._catalog or self._bring_up_to_date()

    def refresh(self) -> None:
        """Bring the catalog up to date with the folders; a catalog that cannot be read is thrown away."""
        try:
            self._bring_up_to_date()
        except CatalogDamagedError:
            self.discard_catalog()
            self._bring_up_to_date()

    def discard_catalog(self) -> None:
        """Throw the catalog away; it is built again from the folders when it is next used.

        The file stays while it can still be emptied: others may have it open, and SQLite damages what is taken away
        under an opener.
        """
        self.close()
        try:
            with closing(open_catalog(self.layout.catalog)) as catalog:
                catalog.clear()
            return
        except (CatalogDamagedError, StorageError):
            pass
        for suffix in ("", "-wal", "-shm", "-journal"):
            path = Path(f"{self.layout.catalog}{suffix}")
            with translate_os_errors(f"cannot remove {path}"):
                if path.is_dir():
                    remove_tree(path)
                else:
                    path.unlink(missing_ok=True)

    def distrust(self, chunk_ids: list[bytes]) -> None:
        """Build the catalog again without these chunks, so that new checkpoints write them anew."""
        if self.is_writable:
            self.discard_catalog()
            self.refresh()
            self.catalog.forget_chunks(chunk_ids)

    @contextmanager
    def fresh_index(self, *, is_exclusive: bool = False) -> Iterator[bool]:
        """Answer from an index built from the folders just now, in memory, for the length of the block.

        Gives whether the catalog said the same; one that did not is emptied, and built again when it is next used. A
        first look that differs may have met a checkpoint in the making; the second keeps everybody out, unless the
        caller does so already (`is_exclusive`).
        """
        fresh, is_true = self._compare_catalog()
        if not is_true and self.is_writable:
            if is_exclusive:
                self.discard_catalog()
            else:
                fresh.close()
                with self.exclusively():
                    fresh, is_true = self._compare_catalog()
                    if not is_true:
                        self.discard_catalog()
        self.close()
        self._catalog = fresh
        try:
            yield is_true
        finally:
            self.close()

    def _compare_catalog(self) -> tuple[Catalog, bool]:
        """Return a new index in memory, and whether the catalog says the same."""
        fresh = open_catalog(None)
        try:
            reconcile(fresh, self.layout)
            self.refresh()
            return fresh, self.catalog.fingerprint() == fresh.fingerprint()
        except BaseException:
            fresh.close()
            raise

    def marks(self) -> dict[str, TimelineMark]:
        """Return the folder times of every timeline: when they are the same, nothing came and nothing went."""
        return {timeline: read_mark(self.layout, timeline) for timeline in list_timelines(self.layout)}

    def claim(self, timeline: str, root: Path, home: Path) -> None:
        """Record that `timeline` is the tree at `root`, unless it is so recorded. Raises ForeignTimelineError."""
        with locks.hold(self.layout.timeline_lock(timeline), timeout_s=self.config.lock_timeout_s):
            if not is_claimed(self.layout, timeline, root):
                write_record(self.layout, self.id, timeline, root, home)

    @contextmanager
    def working_on(self, timeline: str) -> Iterator[None]:
        """Hold the store lock shared and the lock of `timeline` exclusive, with an up-to-date catalog inside."""
        timeout_s = self.config.lock_timeout_s
        with (
            locks.hold_in_turn(self.layout.store_lock, shared=True, timeout_s=timeout_s),
            locks.hold(self.layout.timeline_lock(timeline), timeout_s=timeout_s),
        ):
            self._prepare()
            yield

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the store lock shared, with an up-to-date catalog inside: nothing is removed meanwhile.

        A store that is only read needs no lock.
        """
        if not self.is_writable:
            self._prepare()
            yield
            return
        with locks.hold_in_turn(self.layout.store_lock, shared=True, timeout_s=self.config.lock_timeout_s):
            self._prepare()
            yield

    @contextmanager
    def exclusively(self, *, timeout_s: float | None = None) -> Iterator[None]:
        """Hold the store lock exclusive, with an up-to-date catalog inside: nobody creates, restores or deletes.

        Raises LockedError after `timeout_s` seconds, by default those of the configuration.
        """
        timeout_s = self.config.lock_timeout_s if timeout_s is None else timeout_s
        with locks.hold_in_turn(self.layout.store_lock, timeout_s=timeout_s):
            self._prepare()
            yield

    @contextmanager
    def private_index(self, key: str) -> Iterator[Path]:
        """Hold the lock of the private index copy `key`, and give its path. A store that is only read needs no lock."""
        if not self.is_writable:
            yield self.layout.indexes / key
            return
        with locks.hold(self.layout.index_lock(key), timeout_s=self.config.lock_timeout_s):
            yield self.layout.indexes / key

    @contextmanager
    def temporary_folders(self) -> Iterator[Callable[[], Path]]:
        """Give what makes scratch folders, each as `temporary_folder` does."""
        with ExitStack() as stack:
            yield lambda: stack.enter_context(self.temporary_folder())

    @contextmanager
    def temporary_folder(self, name: str = "") -> Iterator[Path]:
        """Give a scratch folder on the store's file system; folders whose owner died are swept first.

        With a `name` it is the first free one of NAME-0, NAME-1, …, so that caches remember few places.
        A store that cannot be written is only looked at, and the system's temporary folder does for that.
        """
        if not self.is_writable:
            import tempfile  # 4 ms, and only this needs it

            with tempfile.TemporaryDirectory(prefix="chronos-") as name:
                yield Path(name)
            return
        self.sweep_temporary()
        descriptor, names = None, (f"{name}-{number}" for number in count())
        while descriptor is None:  # another sweep may take the folder away before it is locked
            folder = self.layout.temporary / (next(names) if name else os.urandom(8).hex())
            with translate_os_errors(f"cannot write in {self.layout.temporary}"), suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                descriptor = locks.take_folder(folder)
        try:
            yield folder
        finally:
            remove_tree(folder)
            os.close(descriptor)

    def sweep_temporary(self) -> int:
        """Remove scratch folders that no living process owns; return how many."""
        swept = 0
        for folder in self.layout.temporary.iterdir() if self.layout.temporary.is_dir() else ():
            with translate_os_errors(f"cannot sweep {folder}"):
                descriptor = locks.take_folder(folder)
            if descriptor is not None:
                remove_tree(folder)
                os.close(descriptor)
                swept += 1
        return swept

    def find_chunks(self, chunk_id: bytes) -> list[tuple[Path, ChunkLocation]]:
        """Return every pack that holds a chunk, and where in it."""
        return [self._located(row) for row in self.catalog.find_chunks(chunk_id)]

    def find_many(self, chunk_ids: Sequence[bytes]) -> dict[bytes, list[tuple[Path, ChunkLocation]]]:
        """Return the same for many chunks."""
        found = self.catalog.find_many(chunk_ids)
        return {chunk_id: [self._located(row) for row in rows] for chunk_id, rows in found.items()}

    def _located(self, row: ChunkRow) -> tuple[Path, ChunkLocation]:
        return self.layout.pack(row.timeline, row.pack), row.location

    def piece_ids(self, content: Content) -> Sequence[bytes]:
        """Return the pieces that a content had when it was kept, or none when that cannot be read any more."""
        with suppress(IntegrityError, StorageError):
            found = self.pool.chunk_ids(content)
            return found[1:] if content.chunks is not None else found
        return ()

    def read_manifest(self, timeline: str, checkpoint_id: str) -> Manifest:
        """Read a live checkpoint's manifest. Raises DamagedManifestError or NewerFormatError."""
        path = self.layout.checkpoint(timeline, checkpoint_id) / MANIFEST
        return decode_manifest(read_limited(path, LARGEST_MANIFEST_BYTES), checkpoint_id)

    def read_checkpoint(self, row: CheckpointRow) -> State:
        """Read the code state of a live checkpoint. Raises IntegrityError or NewerFormatError."""
        manifest = self.read_manifest(row.timeline, row.checkpoint_id)
        return self.read_state(manifest, self.layout.checkpoint(row.timeline, row.checkpoint_id))

    def read_state(self, manifest: Manifest, folder: Path) -> State:
        """Read the whole state of the checkpoint in `folder`. Raises an IntegrityError when some of it is lost.

        What an export left out of it has receipt rows instead.
        """
        components = [self._read_component(component) for component in manifest.code]
        state = State(
            {component.path: component for component in components},
            {record.name: self._read_memory(record) for record in read_memory_records(manifest, folder)},
            self._rows(manifest.receipt, ReceiptRow),
            Grade(manifest.grade),
            list(manifest.warnings),
        )
        if omissions := read_omissions(folder):
            drop_omitted(state, omissions, self.catalog.has_chunk)
        return state

    def read_receipt(self, row: CheckpointRow) -> list[ReceiptRow]:
        """Read what a live checkpoint says that it does not hold. Raises IntegrityError or NewerFormatError."""
        return self._rows(self.read_manifest(row.timeline, row.checkpoint_id).receipt, ReceiptRow)

    def read_secrets(self, manifest: Manifest) -> list[SecretRow]:
        """Read what in a checkpoint looks like a secret. Raises IntegrityError; nothing else depends on the list."""
        return [] if manifest.secrets is None else self._rows(manifest.secrets, SecretRow)

    def _read_component(self, component: Component) -> ComponentState:
        entries = self._rows(component.entries, Entry)
        staged = self._rows(component.staged, StagedEntry)
        hidden = self._rows(component.hidden, HiddenEntry)
        check_rows((*entries, *staged, *hidden))
        return ComponentState(
            component.tree_path,
            component.kind,
            component.base,
            component.head,
            component.branch,
            component.object_format,
            component.git_dir,
            component.in_progress,
            {entry.path: entry for entry in entries},
            staged,
            hidden,
        )

    def _read_memory(self, record: MemoryRecord) -> MemoryState:
        files = self._rows(record.files, MemoryFile)
        check_memory_files(files)
        return MemoryState(record, tuple(files))

    def _prepare(self) -> None:
        self.refresh()
        if not self._has_checked_packs:
            reconcile_packs(self.catalog, self.layout)
            self._has_checked_packs = True

    def _rows(self, ref: ListRef, row_type: type) -> list:  # type: ignore[type-arg]
        return decode_rows(self.pool.read_content(ref.content()), row_type)

    def _bring_up_to_date(self) -> Catalog:
        """What a full disk cannot keep, memory can: looking goes on."""
        try:
            if self._catalog is None:
                self._catalog = self._open_fresh()
            else:
                reconcile(self._catalog, self.layout)
        except StorageError:
            self.close()
            self._catalog = open_catalog(None)
            reconcile(self._catalog, self.layout)
        return self._catalog

    def _open_fresh(self) -> Catalog:
        catalog = self._open_catalog()
        try:
            reconcile(catalog, self.layout)
        except BaseException:
            catalog.close()
            raise
        return catalog

    def _open_catalog(self) -> Catalog:
        path = self.layout.catalog if self.is_writable else None
        try:
            return open_catalog(path)
        except CatalogDamagedError:
            self.discard_catalog()
            return open_catalog(path)


def read_memory_records(manifest: Manifest, folder: Path) -> tuple[MemoryRecord, ...]:
    """Return the memory stores of the checkpoint in `folder`. Raises DamagedManifestError or StorageError."""
    member = manifest.members.get(MEMORY)
    if member is None:
        return ()
    what = f"{MEMORY} of checkpoint {folder.name}"
    data = read_limited(folder / MEMORY, member.bytes, too_large=DamagedManifestError)
    if digest(data).hex() != member.blake3:
        raise DamagedManifestError(f"{what} is damaged")
    return decode_memory_dump(data, what)
