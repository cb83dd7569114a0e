"""Getting content out: chunks are found through a look-up that the catalog gives, and checked by hash as they come."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from chronos.background import in_background
from chronos.errors import ChronosError, DamagedPackError, IntegrityError, MissingChunkError, StorageError
from chronos.layout import ChunkLocation
from chronos.pool.codec import StoredChunk
from chronos.pool.content import CHUNK_ID_BYTES, Content
from chronos.pool.pack import PackFile

_OPEN_PACKS = 16
_LISTS = 2  # of chunks are kept: what is restored, and what is there; for 2 GB each is 3 MB
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_IDS_AT_ONCE = 4096
_BATCH_BYTES = 2 * 1024 * 1024
_BYTES_AHEAD = 8 * 1024 * 1024
# Every pack that holds a chunk, and where in it.
Places: TypeAlias = Sequence[tuple[Path, ChunkLocation]]


class PoolReader:
    """Read chunks and whole contents from the packs of a store."""

    def __init__(
        self,
        find_chunks: Callable[[bytes], Places],
        find_many: Callable[[Sequence[bytes]], Mapping[bytes, Places]] | None = None,
    ) -> None:
        self._find_chunks = find_chunks
        self._find_many = find_many or (lambda ids: {chunk_id: find_chunks(chunk_id) for chunk_id in ids})
        self._packs: OrderedDict[Path, PackFile] = OrderedDict()
        self._expected: dict[bytes, Places] = {}
        self._lists: dict[bytes, list[bytes]] = {}

    def close(self) -> None:
        """Close every open pack."""
        while self._packs:
            self._packs.popitem()[1].close()

    def ahead(self, items: Iterable[_Item], content_of: Callable[[_Item], Content | None]) -> Iterator[_Item]:
        """Yield `items` as they are; what their contents need is looked up for many at once before they come."""
        left = iter(items)
        while some := list(islice(left, _IDS_AT_ONCE)):
            contents = [content for item in some if (content := content_of(item)) is not None and content.size]
            self._expected = dict(self._find_many([content.chunks or content.id for content in contents]))
            yield from some

    def read_chunk(self, chunk_id: bytes) -> bytes:
        """Return one chunk, from the first pack that has it whole.

        Raises MissingChunkError, and when every copy is damaged DamagedPackError or StorageError.
        """
        return self._first_whole(chunk_id, PackFile.read)

    def read_stored(self, chunk_id: bytes) -> StoredChunk:
        """Return one chunk as the first pack that has it whole stores it. Raises as `read_chunk` does."""

        def read(pack: PackFile, chunk_id: bytes, location: ChunkLocation) -> StoredChunk:
            stored = pack.read_stored(location)
            pack.unpack(chunk_id, location, stored)
            return StoredChunk(chunk_id, location.codec, stored, location.raw_bytes)

        return self._first_whole(chunk_id, read)

    def _first_whole(self, chunk_id: bytes, read: Callable[[PackFile, bytes, ChunkLocation], _Result]) -> _Result:
        failure: ChronosError = MissingChunkError(f"no pack holds chunk {chunk_id.hex()[:16]}")
        tried: set[Path] = set()
        found = self._expected.pop(chunk_id, None) or self._find_chunks(chunk_id)
        while places := [place for place in found if place[0] not in tried]:
            for path, location in places:  # a gc may move it meanwhile: then there is a new place to try
                tried.add(path)
                try:
                    return read(self._open(path), chunk_id, location)
                except (DamagedPackError, StorageError) as cause:
                    failure = cause
            found = self._find_chunks(chunk_id)
        raise failure

    def iter_content(self, content: Content) -> Iterator[bytes]:
        """Yield the bytes of `content` piece by piece."""
        if content.chunks is None:
            if content.size:
                yield self.read_chunk(content.id)
            return
        yield from self.iter_chunks(self.chunk_ids(content)[1:])

    def iter_chunks(self, chunk_ids: Sequence[bytes]) -> Iterator[bytes]:
        """Yield chunks in order; they are read here and decompressed in threads, some batches ahead."""
        for start in range(0, len(chunk_ids), _IDS_AT_ONCE):
            yield from self._iter_some(chunk_ids[start : start + _IDS_AT_ONCE])

    def _iter_some(self, chunk_ids: Sequence[bytes]) -> Iterator[bytes]:
        places = self._find_many(chunk_ids)
        pending: deque[tuple[list[_Stored], Callable[[], list[bytes | None]]]] = deque()
        batch, size, ahead = list[_Stored](), 0, 0
        for chunk_id in chunk_ids:
            stored = self._read_stored(chunk_id, places.get(chunk_id, ()))
            batch.append(stored)
            size += stored.raw_bytes
            if size >= _BATCH_BYTES:
                pending.append((batch, in_background(partial(_unpack, batch))))
                ahead += size
                batch, size = [], 0
                while ahead > _BYTES_AHEAD:  # one chunk alone may be more
                    ahead -= sum(stored.raw_bytes for stored in pending[0][0])
                    yield from self._whole(*pending.popleft())
        while pending:
            yield from self._whole(*pending.popleft())
        yield from self._whole(batch, partial(_unpack, batch))

    def _whole(self, batch: list[_Stored], unpacked: Callable[[], list[bytes | None]]) -> Iterator[bytes]:
        """Yield the chunks of a batch; one whose first copy is damaged is looked for in other packs."""
        for stored, data in zip(batch, unpacked(), strict=True):
            yield self.read_chunk(stored.chunk_id) if data is None else data

    def _read_stored(self, chunk_id: bytes, places: Places) -> _Stored:
        for path, location in places[:1]:
            with suppress(DamagedPackError, StorageError):
                pack = self._open(path)
                data = pack.read_stored(location)
                return _Stored(chunk_id, location.raw_bytes, partial(pack.unpack, chunk_id, location, data))
        return _Stored(chunk_id, 0, None)

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
        pieces = self._lists.get(content.chunks)
        if pieces is None:
            ids = self.read_chunk(content.chunks)
            if len(ids) % CHUNK_ID_BYTES:
                raise DamagedPackError(f"chunk list {content.chunks.hex()[:16]} is damaged")
            pieces = [ids[start : start + CHUNK_ID_BYTES] for start in range(0, len(ids), CHUNK_ID_BYTES)]
            self._lists[content.chunks] = pieces
            if len(self._lists) > _LISTS:
                del self._lists[next(iter(self._lists))]
        return [content.chunks, *pieces]

    def damaged_chunks(self, content: Content) -> list[bytes]:
        """Read everything of `content` and return the ids of the chunks that no pack has whole."""
        try:
            chunk_ids = self.chunk_ids(content)
        except (IntegrityError, StorageError):
            return [content.chunks or content.id]
        return self.lost_chunks(chunk_ids)

    def lost_chunks(self, chunk_ids: Sequence[bytes]) -> list[bytes]:
        """Read chunks and return those that no pack has whole."""
        lost = []
        for start in range(0, len(chunk_ids), _IDS_AT_ONCE):
            some = chunk_ids[start : start + _IDS_AT_ONCE]
            if unknown := [chunk_id for chunk_id in some if chunk_id not in self._expected]:
                self._expected |= self._find_many(unknown)
            lost += [chunk_id for chunk_id in some if not self.has_whole(chunk_id)]
        return lost

    def has_whole(self, chunk_id: bytes) -> bool:
        """Tell whether a chunk can be read."""
        try:
            self.read_chunk(chunk_id)
        except (IntegrityError, StorageError):
            return False
        return True

    def _open(self, path: Path) -> PackFile:
        pack = self._packs.get(path)
        if pack is None:
            pack = self._packs[path] = PackFile(path)
            if len(self._packs) > _OPEN_PACKS:
                self._packs.popitem(last=False)[1].close()
        else:
            self._packs.move_to_end(path)
        return pack


class _Stored(NamedTuple):
    """A chunk as it lies in a pack; `unpack` is None where it could not be read."""

    chunk_id: bytes
    raw_bytes: int
    unpack: Callable[[], bytes] | None


def _unpack(batch: list[_Stored]) -> list[bytes | None]:
    """Decompress and check chunks; None stands for a damaged one."""
    found: list[bytes | None] = []
    for stored in batch:
        try:
            found.append(stored.unpack() if stored.unpack is not None else None)
        except DamagedPackError:
            found.append(None)
    return found
