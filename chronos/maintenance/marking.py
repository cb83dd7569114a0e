"""Which chunks checkpoints need, found without building their states: each list that several share is read once.

A chunk counts here by the first eight bytes of its id. Two chunks that agree in them are both kept as long as one is
needed, so a coincidence costs space and never a chunk; and a list of a million ids is read in 10 ms.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from chronos.checkpoints import (
    LARGEST_MANIFEST_BYTES,
    ChangeSet,
    Entry,
    ListRef,
    Manifest,
    Omissions,
    StagedEntry,
    Store,
    decode_manifest,
    decode_rows,
    is_omitted,
    read_memory_records,
    read_omissions,
)
from chronos.errors import DamagedPackError
from chronos.files import read_limited
from chronos.layout import MANIFEST
from chronos.memory import MemoryFile
from chronos.pool import Content

CODE = "code"
_KEY_BYTES = 8
_KEYS_PER_ID = 4


def key_of(chunk_id: bytes) -> int:
    """Return what a chunk counts by."""
    return int.from_bytes(chunk_id[:_KEY_BYTES], sys.byteorder)


def keys_of(chunk_ids: bytes) -> list[int]:
    """Return the keys of concatenated ids. Raises DamagedPackError when they are no ids."""
    if len(chunk_ids) % (_KEY_BYTES * _KEYS_PER_ID):
        raise DamagedPackError("a chunk list is damaged")
    return memoryview(chunk_ids).cast("Q")[::_KEYS_PER_ID].tolist()


class PartList:
    """A list of a checkpoint: the part it belongs to (`code` or a memory store), and the type of rows with content.

    `omissions` is what an export left out of the checkpoint: what its rows refer to may be missing.
    """

    def __init__(self, part: str, ref: ListRef, row_type: type | None, omissions: Omissions) -> None:
        self.part = part
        self.ref = ref
        self.row_type = row_type
        self.omissions = omissions

    @property
    def key(self) -> tuple[str, type | None, bool]:
        """What is equal for lists that need the same chunks."""
        return self.ref.blake3, self.row_type, bool(self.omissions)


def read_manifest_in(folder: Path, checkpoint_id: str | None = None) -> Manifest:
    """Read the manifest in a folder of a checkpoint, live or on the shelf. Raises IntegrityError, StorageError.

    The id is the folder's name, unless it is given.
    """
    return decode_manifest(read_limited(folder / MANIFEST, LARGEST_MANIFEST_BYTES), checkpoint_id or folder.name)


def iter_lists(manifest: Manifest, folder: Path) -> Iterator[PartList]:
    """Yield every list of the checkpoint in `folder`. Raises DamagedManifestError or StorageError."""
    omissions = read_omissions(folder)
    yield PartList(CODE, manifest.receipt, None, omissions)
    if manifest.secrets is not None:
        yield PartList(CODE, manifest.secrets, None, omissions)
    for component in manifest.code:
        yield PartList(CODE, component.entries, Entry, omissions)
        yield PartList(CODE, component.staged, StagedEntry, omissions)
        yield PartList(CODE, component.hidden, None, omissions)
    for record in read_memory_records(manifest, folder):
        yield PartList(record.name, record.files, MemoryFile, omissions)


class ChunkFinder:
    """Finds the keys of all chunks behind lists and contents."""

    def __init__(self, store: Store) -> None:
        self._pool = store.pool
        self._has_chunk = store.catalog.has_chunk

    def of_list(self, part: PartList) -> set[int]:
        """Return the keys of a list's own chunks and of everything that its rows refer to. Raises IntegrityError."""
        return self.of_rows(part.ref.content(), part.row_type, part.omissions)

    def of_rows(self, listed: Content, row_type: type | None, omissions: Omissions | None = None) -> set[int]:
        """Return the keys of the chunks of a list, and of everything that its rows refer to. Raises IntegrityError.

        What an export left out, and the pool has not got since, is not needed.
        """
        found = self.of_contents([listed])
        if row_type is not None and listed.size:
            rows = decode_rows(self._pool.read_content(listed), row_type)
            contents = (row.content for row in rows if row.content is not None)
            if omissions:
                contents = (one for one in contents if not is_omitted(one, omissions, self._has_chunk))
            found |= self.of_contents(contents)
        return found

    def of_contents(self, contents: Iterable[Content]) -> set[int]:
        """Return the keys of the chunks of contents, those of their chunk lists too."""
        found: set[int] = set()
        for content in contents:
            if content.chunks is not None:
                found.add(key_of(content.chunks))
                found.update(keys_of(self._pool.read_chunk(content.chunks)))
            elif content.size:
                found.add(key_of(content.id))
        return found


class Marks:
    """The chunks that anything needs, collected list by list; a list that was seen before costs nothing."""

    def __init__(self, store: Store) -> None:
        self.keys: set[int] = set()
        self._finder = ChunkFinder(store)
        self._seen: set[tuple[str, type | None, bool]] = set()

    def add_checkpoint(self, manifest: Manifest, folder: Path) -> None:
        """Mark everything that a checkpoint needs. Raises IntegrityError, StorageError; what was marked stays so."""
        for part in iter_lists(manifest, folder):
            if part.key not in self._seen:
                self.keys |= self._finder.of_list(part)
                self._seen.add(part.key)

    def add_changes(self, changes: ChangeSet) -> None:
        """Mark everything that carrying out a change set, or taking it back, may need. Raises IntegrityError."""
        self.keys |= self._finder.of_contents(changes.contents())
        for store in changes.stores:
            for side in (store.before, store.after):
                if side is not None:
                    self.keys |= self._finder.of_rows(side.files, MemoryFile)
