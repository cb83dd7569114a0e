"""Walking what a sealed checkpoint refers to, list by list and row by row, within bounds that hold for any origin.

A state (`Store.read_state`) has everything in memory at once; here one list at a time is, as its bytes, and each row
is decoded, checked and let go. Exports and imports are written on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from chronos.checkpoints.manifest import (
    Entry,
    EntryKind,
    ListRef,
    Manifest,
    MemoryRecord,
    ReceiptRow,
    SecretRow,
    StagedEntry,
    check_memory_files,
    check_rows,
)
from chronos.errors import DamagedManifestError
from chronos.files import TreePath
from chronos.git import HiddenEntry
from chronos.memory import MemoryFile
from chronos.pool import CHUNK_ID_BYTES, Content, PoolReader, digest

LARGEST_LIST_BYTES = 256 * 1024 * 1024
LARGEST_ROWS = 4 * 1024 * 1024
_LONGEST_LINK_BYTES = 4096
_Row = TypeVar("_Row", Entry, StagedEntry, HiddenEntry, ReceiptRow, SecretRow, MemoryFile)


class HeldContent(msgspec.Struct, frozen=True):
    """A content and whose it is: a path from the root, or the file `path` of the memory store `store`."""

    path: TreePath
    content: Content
    store: str | None = None
    is_staged: bool = False


class ContentWalk(msgspec.Struct):
    """Go over every list of a checkpoint that `pool` holds, as often as wanted.

    Raises DamagedManifestError for lists and rows that no checkpoint has, and what reading the pool raises.
    """

    pool: PoolReader
    manifest: Manifest
    records: Sequence[MemoryRecord]

    def lists(self) -> list[ListRef]:
        """Return every list that the checkpoint has. Raises DamagedManifestError when they are too long to be read."""
        found = [*self.manifest.lists, *(record.files for record in self.records)]
        if sum(ref.count for ref in found) > LARGEST_ROWS or any(ref.bytes > LARGEST_LIST_BYTES for ref in found):
            raise DamagedManifestError("the lists of a checkpoint are longer than can be exported or imported")
        return found

    def contents(self) -> Iterator[HeldContent]:
        """Yield every content of an entry, a staged row or a memory store, once for each of them."""
        self.lists()
        for component in self.manifest.code:
            prefix = component.tree_path + b"/" if component.path else b""
            for entry in self.rows(component.entries, Entry, _check_entry):
                if entry.content is not None:
                    yield HeldContent(prefix + entry.path, entry.content)
            for staged in self.rows(component.staged, StagedEntry, _check_row):
                if staged.content is not None:
                    yield HeldContent(prefix + staged.path, staged.content, is_staged=True)
        for record in self.records:
            for file in self.rows(record.files, MemoryFile, _check_file):
                if file.content is not None:
                    yield HeldContent(file.path, file.content, record.name)

    def check_others(self) -> Iterator[str]:
        """Check the lists without contents: flags of the index, the receipt, findings. Yield the texts in them."""
        for component in self.manifest.code:
            for hidden in self.rows(component.hidden, HiddenEntry, _check_row):
                yield hidden.path.decode("utf-8", "replace")
        for row in self.rows(self.manifest.receipt, ReceiptRow, lambda _: None):
            yield f"{row.path.decode('utf-8', 'replace')} {row.detail}"
        if self.manifest.secrets is not None:
            for found in self.rows(self.manifest.secrets, SecretRow, _check_secret):
                yield f"{found.what} {found.scanner}"

    def rows(self, ref: ListRef, row_type: type[_Row], check: Callable[[_Row], None]) -> Iterator[_Row]:
        """Yield the rows of a list, each checked. Memory stays within the list's bytes and 72 for each row."""
        data = self._read(ref)
        decoder = msgspec.msgpack.Decoder(row_type)
        count = 0
        try:
            if _count_of(data) != ref.count:
                raise DamagedManifestError("a list of a checkpoint has not as many rows as its manifest says")
            for raw in msgspec.msgpack.decode(data, type=list[msgspec.Raw]) if data else ():
                row = decoder.decode(raw)
                check(row)
                count += 1
                yield row
        except (msgspec.MsgspecError, RecursionError) as cause:
            raise DamagedManifestError(f"row {count} of a list of a checkpoint is not valid: {cause}") from cause

    def _read(self, ref: ListRef) -> bytes:
        data = bytearray()
        for piece in self.pool.iter_content(ref.content()):
            data += piece
            if len(data) > ref.bytes:
                break
        whole = bytes(data)
        if len(whole) != ref.bytes or digest(whole).hex() != ref.blake3:
            raise DamagedManifestError("a list of a checkpoint does not match its hash")
        return whole


def _count_of(data: bytes) -> int:
    """Return how many elements a MessagePack array has, before any of them is made (the format's specification)."""
    first = data[0] if data else 0x90
    if first == 0xDC:
        return int.from_bytes(data[1:3], "big")
    if first == 0xDD:
        return int.from_bytes(data[1:5], "big")
    return first - 0x90 if 0x90 <= first <= 0x9F else -1


def _check_row(row: StagedEntry | HiddenEntry) -> None:
    check_rows((row,))


def _check_entry(entry: Entry) -> None:
    check_rows((entry,))
    if (entry.content is None) != (entry.kind is EntryKind.DELETED):
        raise DamagedManifestError("an entry has no content, or a deletion has one")
    if entry.kind is EntryKind.LINK and entry.content is not None and entry.content.size > _LONGEST_LINK_BYTES:
        raise DamagedManifestError("the target of a symlink is longer than a path can be")


def _check_secret(row: SecretRow) -> None:
    if len(row.content) != CHUNK_ID_BYTES or row.line < 0:
        raise DamagedManifestError("what looks like a secret stands in no content, or in no line")


def _check_file(file: MemoryFile) -> None:
    check_memory_files((file,))
