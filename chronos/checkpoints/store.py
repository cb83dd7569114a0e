"""A store on disk: set up once, opened many times, its catalog kept equal to its folders.

Everything that other rooms read from a store (manifests, lists, contents) comes through here, checked by hash.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from chronos import locks
from chronos.catalog import Catalog, CheckpointRow, open_catalog
from chronos.checkpoints.manifest import (
    LARGEST_MANIFEST_BYTES,
    Component,
    Entry,
    Grade,
    ListRef,
    Manifest,
    ReceiptRow,
    StagedEntry,
    check_rows,
    decode_manifest,
    decode_rows,
    is_checkpoint_id,
)
from chronos.checkpoints.owner import find_record, is_claimed, write_record
from chronos.checkpoints.reconcile import reconcile, reconcile_packs
from chronos.checkpoints.states import ComponentState, State
from chronos.config import Config
from chronos.errors import (
    BadConfigError,
    CatalogDamagedError,
    ChronosError,
    DamagedStoreError,
    NewerFormatError,
    StorageError,
    UnsupportedError,
)
from chronos.files import read_limited, remove_tree, replace_durably, sync_folder, translate_os_errors
from chronos.git import GitCommand, HiddenEntry
from chronos.layout import FORMAT_VERSION, MAIN_TIMELINE, MANIFEST, TIMELINE, StoreLayout
from chronos.pool import ChunkLocation, PoolReader

_MAGIC = "chronos"
_STORE_ID_BYTES = 6


class Store:
    """An open store. Not shared between threads; several processes may have it open at once."""

    def __init__(self, layout: StoreLayout, config: Config, store_id: str) -> None:
        self.layout = layout
        self.config = config
        self.id = store_id
        self.is_writable = os.access(layout.system, os.W_OK)
        self._catalog: Catalog | None = None
        self._has_checked_packs = False
        self.pool = PoolReader(self.find_chunks)

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

    def check_catalog(self) -> bool:
        """Tell whether the catalog says what the folders say; one that does not is emptied and built again.

        A first look that differs may have met a checkpoint in the making; the second keeps everybody out.
        """
        if self._says_what_folders_say():
            return True
        if not self.is_writable:
            return False
        with self.exclusively():
            is_true = self._says_what_folders_say()
            if not is_true:
                self.discard_catalog()
        return is_true

    def _says_what_folders_say(self) -> bool:
        with closing(open_catalog(None)) as fresh:
            reconcile(fresh, self.layout)
            self.refresh()
            return self.catalog.fingerprint() == fresh.fingerprint()

    @contextmanager
    def fresh_index(self) -> Iterator[None]:
        """Answer from an index built from the folders just now, in memory, for the length of the block."""
        self.close()
        self._catalog = open_catalog(None)
        try:
            reconcile(self._catalog, self.layout)
            yield
        finally:
            self.close()

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
            locks.hold(self.layout.store_lock, shared=True, timeout_s=timeout_s),
            locks.hold(self.layout.timeline_lock(timeline), timeout_s=timeout_s),
        ):
            self._prepare()
            yield

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold the store lock exclusive, with an up-to-date catalog inside: nobody creates, restores or deletes."""
        with locks.hold(self.layout.store_lock, timeout_s=self.config.lock_timeout_s):
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
    def temporary_folder(self) -> Iterator[Path]:
        """Give a scratch folder on the store's file system; folders whose owner died are swept first.

        A store that cannot be written is only looked at, and the system's temporary folder does for that.
        """
        if not self.is_writable:
            import tempfile  # 4 ms, and only this needs it

            with tempfile.TemporaryDirectory(prefix="chronos-") as name:
                yield Path(name)
            return
        self.sweep_temporary()
        descriptor = None
        while descriptor is None:  # another sweep may take the folder away before it is locked
            folder = self.layout.temporary / os.urandom(8).hex()
            with translate_os_errors(f"cannot write in {self.layout.temporary}"):
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
        found = []
        for row in self.catalog.find_chunks(chunk_id):
            place = row.place
            location = ChunkLocation(place.offset, place.stored_bytes, place.raw_bytes, place.codec)
            found.append((self.layout.pack(row.timeline, row.pack), location))
        return found

    def read_manifest(self, timeline: str, checkpoint_id: str) -> Manifest:
        """Read a live checkpoint's manifest. Raises DamagedManifestError or NewerFormatError."""
        path = self.layout.checkpoint(timeline, checkpoint_id) / MANIFEST
        return decode_manifest(read_limited(path, LARGEST_MANIFEST_BYTES), checkpoint_id)

    def read_checkpoint(self, row: CheckpointRow) -> State:
        """Read the code state of a live checkpoint. Raises IntegrityError or NewerFormatError."""
        return self.read_state(self.read_manifest(row.timeline, row.checkpoint_id))

    def read_state(self, manifest: Manifest) -> State:
        """Read the whole code state of a checkpoint. Raises an IntegrityError when a list is damaged or missing."""
        components = [self._read_component(component) for component in manifest.code]
        return State(
            {component.path: component for component in components},
            self._rows(manifest.receipt, ReceiptRow),
            Grade(manifest.grade),
            list(manifest.warnings),
        )

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


def find_store(layout: StoreLayout, config: Config) -> Store | None:
    """Open the store at `layout`, or return None when there is none.

    Raises NewerFormatError, DamagedStoreError when the format file is lost, BadConfigError when the folder is no store.
    """
    if not layout.is_set_up:
        obstacle = _find_obstacle(layout)
        if not layout.is_set_up:  # another process may have finished it meanwhile
            if obstacle is not None:
                raise obstacle
            return None
    return Store(layout, config, _read_format(layout.format_file))


def _find_obstacle(layout: StoreLayout) -> ChronosError | None:
    """Return why no store can be set up: the place must be free, empty, or hold what a killed set-up leaves."""
    names = _names_in(layout.root)
    timelines = {name: _names_in(layout.root / name) for name in names if not name.startswith(".")}
    if layout.system.name in names:
        if any(is_checkpoint_id(name) or name == TIMELINE for found in timelines.values() for name in found):
            return _lost_format(layout, timelines)
        if timelines.get(MAIN_TIMELINE, set()) <= {"packs"} and timelines.keys() <= {MAIN_TIMELINE}:
            return None
    if not names:
        return None
    hint = "set CHRONOS_TIMELINES_DIR to a folder that is new or empty"
    return BadConfigError(f"{layout.root} holds other files and is no store of checkpoints", hint=hint)


def _lost_format(layout: StoreLayout, timelines: Iterable[str]) -> ChronosError:
    """The id is not made up anew: the base refs of every checkpoint carry the old one."""
    store_id = "the store id, as in `git for-each-ref refs/chronos/base`"
    for timeline in timelines:
        with suppress(ChronosError):
            record = find_record(layout, timeline)
            store_id = record.store if record is not None else store_id
    hint = f"write it again, two lines: {_MAGIC} {FORMAT_VERSION}, and {store_id}"
    return DamagedStoreError(f"{layout.format_file} is gone, although there are checkpoints", hint=hint)


def _names_in(folder: Path) -> set[str]:
    try:
        with translate_os_errors(f"cannot look into {folder}"):
            return set(os.listdir(folder))
    except StorageError as cause:
        if isinstance(cause.__cause__, FileNotFoundError | NotADirectoryError):
            return set()
        raise


def set_up_store(layout: StoreLayout, config: Config, git: GitCommand) -> bool:
    """Make the store at `layout`, or whatever is missing of it; tell whether it is new.

    The format file comes last: before it is there, the store is not. A folder that was there before keeps its mode.
    """
    is_new = not layout.is_set_up
    if not is_new and not os.access(layout.system, os.W_OK):
        return False
    with translate_os_errors(f"cannot set up {layout.root}"):
        for folder in (
            layout.root, layout.system, layout.locks, layout.temporary, layout.journals, layout.indexes,
            layout.timeline(MAIN_TIMELINE), layout.packs(MAIN_TIMELINE),
        ):  # fmt: skip
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_new or not (layout.inner_repository / "HEAD").is_file():
        _finish_set_up(layout, config, git)
    return is_new


def _finish_set_up(layout: StoreLayout, config: Config, git: GitCommand) -> None:
    with locks.hold(layout.store_lock, timeout_s=config.lock_timeout_s):
        if not (layout.inner_repository / "HEAD").is_file():
            _make_inner_repository(layout, git)
        for folder in (layout.system, layout.root, layout.root.parent):
            sync_folder(folder)
        if not layout.is_set_up:
            store_id = os.urandom(_STORE_ID_BYTES).hex()
            replace_durably(layout.format_file, f"{_MAGIC} {FORMAT_VERSION}\n{store_id}\n".encode())


def _make_inner_repository(layout: StoreLayout, git: GitCommand) -> None:
    """Make it beside its place and rename it: a killed `git init` leaves locks that stop the next one."""
    draft = layout.temporary / "inner.git"
    remove_tree(draft)
    remove_tree(layout.inner_repository)
    git.at(layout.root).output("init", "-q", "--bare", "--template=", str(draft))
    with translate_os_errors(f"cannot make {layout.inner_repository}"):
        os.rename(draft, layout.inner_repository)


def _read_format(path: Path) -> str:
    fields = read_limited(path, 4096).decode("utf-8", "replace").split()
    if len(fields) != 3 or fields[0] != _MAGIC or not fields[1].isdigit():
        raise UnsupportedError(f"{path} is not a chronos format file", hint="restore it from a backup of the store")
    if int(fields[1]) > FORMAT_VERSION:
        raise NewerFormatError(f"this store has format {fields[1]}, this release reads {FORMAT_VERSION}")
    return fields[2]
