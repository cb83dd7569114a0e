"""Getting content out: chunks are found through a look-up that the catalog gives, and checked by hash as they come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from chronos.errors import ChronosError, DamagedPackError, IntegrityError, MissingChunkError, StorageError
from chronos.pool.codec import StoredChunk
from chronos.pool.content import CHUNK_ID_BYTES, Content
from chronos.pool.pack import ChunkLocation, PackFile

_OPEN_PACKS = 16
_Result = TypeVar("_Result")


class PoolReader:
    """Read chunks and whole contents from the packs of a store."""

    def __init__(self, find_chunks: Callable[[bytes], Sequence[tuple[Path, ChunkLocation]]]) -> None:
        self._find_chunks = find_chunks
        self._packs: OrderedDict[Path, PackFile] = OrderedDict()

    def close(self) -> None:
        """Close every open pack."""
        while self._packs:
            self._packs.popitem()[1].close()

    def read_chunk(self, chunk_id: bytes) -> bytes:
        """Return one chunk, from the first pack that has it whole.

        Raises MissingChunkError, and when every copy is damaged DamagedPackError or StorageError.
        """
        return self._first_whole(chunk_id, PackFile.read)

    def read_stored(self, chunk_id: bytes) -> StoredChunk:
        """Return one chunk as the first pack that has it whole stores it. Raises as `read_chunk` does."""

        def read(pack: PackFile, chunk_id: bytes, location: ChunkLocation) -> StoredChunk:
            stored = pack.read_stored(chunk_id, location)
            stored.decoded()
            return stored

        return self._first_whole(chunk_id, read)

    def iter_content(self, content: Content) -> Iterator[bytes]:
        """Yield the bytes of `content` piece by piece."""
        if content.chunks is None:
            if content.size:
                yield self.read_chunk(content.id)
            return
        for chunk_id in self.chunk_ids(content)[1:]:
            yield self.read_chunk(chunk_id)

    def read_content(self, content: Content) -> bytes:
        """Return all bytes of `content`. Raises DamagedPackError when their number is not the recorded one."""
        data = b"".join(self.iter_content(content))
        if len(data) != content.size:
            raise DamagedPackError(f"content {content.id.hex()[:16]} has {len(data)} bytes, not {content.size}")
        return data

    def chunk_ids(self, content: Content) -> list[bytes]:
        """Return every chunk that `content` needs, its chunk list first. Raises MissingChunkError, DamagedPackError."""
        if content.chunks is None:
            return [content.id] if content.size else []
        ids = self.read_chunk(content.chunks)
        if len(ids) % CHUNK_ID_BYTES:
            raise DamagedPackError(f"chunk list {content.chunks.hex()[:16]} is damaged")
        pieces = [ids[start : start + CHUNK_ID_BYTES] for start in range(0, len(ids), CHUNK_ID_BYTES)]
        return [content.chunks, *pieces]

    def damaged_chunks(self, content: Content) -> list[bytes]:
        """Read everything of `content` and return the ids of the chunks that no pack has whole."""
        try:
            chunk_ids = self.chunk_ids(content)
        except (IntegrityError, StorageError):
            return [content.chunks or content.id]
        return [chunk_id for chunk_id in chunk_ids if not self.has_whole(chunk_id)]

    def has_whole(self, chunk_id: bytes) -> bool:
        """Tell whether a chunk can be read."""
        try:
            self.read_chunk(chunk_id)
        except (IntegrityError, StorageError):
            return False
        return True

    def _first_whole(self, chunk_id: bytes, read: Callable[[PackFile, bytes, ChunkLocation], _Result]) -> _Result:
        failure: ChronosError = MissingChunkError(f"no pack holds chunk {chunk_id.hex()[:16]}")
        for path, location in self._find_chunks(chunk_id):
            try:
                return read(self._open(path), chunk_id, location)
            except (DamagedPackError, StorageError) as cause:
                failure = cause
        raise failure

    def _open(self, path: Path) -> PackFile:
        pack = self._packs.get(path)
        if pack is None:
            pack = self._packs[path] = PackFile(path)
            if len(self._packs) > _OPEN_PACKS:
                self._packs.popitem(last=False)[1].close()
        else:
            self._packs.move_to_end(path)
        return pack
