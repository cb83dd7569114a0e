"""Putting content in: a whole file, link target or list becomes a `Content`, its chunks go to a sink.

Two sinks share one chunking: `PoolWriter` keeps what the pool does not hold yet, `HashingSink` keeps nothing and is
how a state is captured in memory. The same bytes give the same `Content` in both.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from blake3 import blake3

from chronos.errors import MissingChunkError
from chronos.pool.chunker import FILE_PROFILE, ChunkProfile
from chronos.pool.codec import StoredChunk, digest
from chronos.pool.pack import PACK_LIMIT_BYTES, PackWriter, WrittenPack

CHUNK_ID_BYTES = 32
_MORE_BYTES = 64 * 1024
_FRESH_AT_ONCE, _UNSURE_AT_ONCE, _WAITING_AT_ONCE = 64, 1800, 256


class Content(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A reference to bytes in the pool.

    `id` is the BLAKE3 of the whole content and `size` its length in bytes. Content of one chunk is that chunk;
    longer content names in `chunks` the chunk that holds the concatenated ids of its pieces. Empty content has none.
    Paged content, which is cut in pieces of a fixed size, is named by that list: `id` and `chunks` are the same.
    """

    id: bytes
    size: int
    chunks: bytes | None = None

    @property
    def key(self) -> bytes:
        """The one chunk without which it cannot be read: its chunk list, or the chunk that it is."""
        return self.chunks or self.id


class ContentSink(Protocol):
    """Where captured bytes go."""

    def add_bytes(self, data: bytes, profile: ChunkProfile = FILE_PROFILE) -> Content:
        """Take `data` in."""
        ...

    def add_file(self, descriptor: int, size: int) -> Content:
        """Take in what the open file `descriptor` holds, about `size` bytes long. Raises OSError."""
        ...

    def add_paged(self, size: int, runs: Iterable[bytes | Sequence[StoredChunk]], held: bytes = b"") -> Content:
        """Take in `size` bytes in pieces of `PAGED_PIECE_BYTES` (the last may be shorter).

        They come in order: as ids back to back where the pool is known to hold them, else as they are to be stored.
        `held` are the pieces of a content that the pool is known to hold: those that come again in the same place are
        not looked up. Raises MissingChunkError when the pool does not hold another that it should.
        """
        ...

    @property
    def wants_bytes(self) -> bool:
        """Whether the bytes of pieces are needed at all."""
        ...

    @property
    def compresses(self) -> bool:
        """Whether pieces that are to be stored should come compressed."""
        ...


class ContentInspector(Protocol):
    """Who looks at the contents of files while a `PoolWriter` takes them in; lists and paged pieces are no such."""

    def begin(self) -> None:
        """A content begins; the one before may have broken off."""
        ...

    def look(self, piece: bytes, *, is_new: bool) -> None:
        """The next piece of it, and whether the pool did not hold that yet."""
        ...

    def end(self, content_id: bytes, size: int) -> None:
        """It was this content."""
        ...


class HashingSink:
    """Compute contents without keeping any byte."""

    wants_bytes = False
    compresses = False

    def add_bytes(self, data: bytes, profile: ChunkProfile = FILE_PROFILE) -> Content:
        """See ContentSink."""
        if len(data) > profile.whole_bytes:
            return self._cut(io.BytesIO(data), profile)
        whole = digest(data)
        if data:
            self._take(whole, data, profile)
        return Content(whole, len(data))

    def add_file(self, descriptor: int, size: int) -> Content:
        """See ContentSink."""
        if size <= FILE_PROFILE.whole_bytes:
            data = _read_all(descriptor, size)
            if len(data) <= FILE_PROFILE.whole_bytes:
                return self.add_bytes(data)
            os.lseek(descriptor, 0, os.SEEK_SET)
        with open(descriptor, "rb", closefd=False) as stream:
            return self._cut(stream, FILE_PROFILE)

    def add_paged(self, size: int, runs: Iterable[bytes | Sequence[StoredChunk]], held: bytes = b"") -> Content:
        """See ContentSink."""
        ids = bytearray()
        unsure: list[bytes] = []
        fresh: list[StoredChunk] = []
        for run in runs:
            if not isinstance(run, bytes):
                ids += b"".join([chunk.id for chunk in run])
                fresh += run
            else:
                if held[len(ids) : len(ids) + len(run)] != run:
                    unsure += [run[at : at + CHUNK_ID_BYTES] for at in range(0, len(run), CHUNK_ID_BYTES)]
                ids += run
            # While whoever sends them works on: many at once, but not all at the end.
            if len(fresh) >= _FRESH_AT_ONCE or len(unsure) >= _UNSURE_AT_ONCE:
                self._keep_stored(fresh)
                self._check_kept(unsure)
                fresh, unsure = [], []
        self._keep_stored(fresh)
        self._check_kept(unsure)
        if len(ids) <= CHUNK_ID_BYTES:
            return Content(bytes(ids) or digest(b""), size)
        list_id = self._add_list(bytes(ids))
        return Content(list_id, size, list_id)

    def _cut(self, stream: io.BufferedIOBase, profile: ChunkProfile) -> Content:
        whole, size, ids = blake3(), 0, bytearray()
        for piece in profile.cut(stream):  # type: ignore[arg-type]
            whole.update(piece)
            size += len(piece)
            chunk_id = digest(piece)
            self._take(chunk_id, piece, profile)
            ids += chunk_id
        if len(ids) <= CHUNK_ID_BYTES:
            return Content(whole.digest(), size)
        return Content(whole.digest(), size, self._add_list(bytes(ids)))

    def _add_list(self, ids: bytes) -> bytes:
        list_id = digest(ids)
        self._keep(list_id, ids)
        return list_id

    def _take(self, chunk_id: bytes, piece: bytes, profile: ChunkProfile) -> None:
        """Take in a piece of what was cut by `profile`."""
        self._keep(chunk_id, piece)

    def _keep(self, chunk_id: bytes, data: bytes) -> bool:
        """Keep one chunk and tell whether it came in with this sink; this one keeps none."""
        return False

    def _keep_stored(self, chunks: Sequence[StoredChunk]) -> None:
        """Keep chunks that come as they are to be stored."""
        for chunk in chunks:
            self._keep(chunk.id, chunk.decoded())

    def _check_kept(self, chunk_ids: Sequence[bytes]) -> None:
        """Raise MissingChunkError when the pool does not hold these chunks; this sink does not ask."""


class PickingSink(HashingSink):
    """Keep only the chunks that are wanted: each goes to `take` once, and is wanted no more."""

    wants_bytes = True

    def __init__(self, wanted: set[bytes], take: Callable[[bytes, bytes], None]) -> None:
        self.wanted = wanted
        self._hand_over = take

    def add_chunk(self, data: bytes) -> None:
        """Take in bytes that are one chunk as they are."""
        self._keep(digest(data), data)

    def _keep(self, chunk_id: bytes, data: bytes) -> bool:
        if chunk_id not in self.wanted:
            return False
        self._hand_over(chunk_id, data)
        self.wanted.discard(chunk_id)
        return True


class PoolWriter(HashingSink):
    """Write new chunks into packs under a temporary folder; what `is_known` has already is not written again.

    `find_missing` asks the same for many chunks at once. Contents of one chunk wait for that until there are many, or
    for `settle`. `inspector` sees the contents of files pass by. `spend` is told of the bytes that go to the disk, as
    they go, and raises when they are too many.
    """

    wants_bytes = True

    def __init__(
        self,
        folder: Path,
        is_known: Callable[[bytes], bool],
        *,
        compress: bool = True,
        find_missing: Callable[[Sequence[bytes]], set[bytes]] | None = None,
        inspector: ContentInspector | None = None,
        spend: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.spend = spend
        self.compresses = compress
        self._folder = folder
        self._is_known = is_known
        self._inspector = inspector
        self._find_missing = find_missing or (lambda ids: {one for one in ids if not is_known(one)})
        self._fresh: set[bytes] = set()
        self._waiting: list[tuple[bytes, bytes]] = []
        self._waiting_bytes = 0
        self._open: PackWriter | None = None
        self._finished: list[WrittenPack] = []

    @property
    def has_fresh_chunks(self) -> bool:
        """Whether anything came in that the pool does not hold yet."""
        self.settle()
        return bool(self._fresh)

    def add_bytes(self, data: bytes, profile: ChunkProfile = FILE_PROFILE) -> Content:
        """See ContentSink."""
        if profile is not FILE_PROFILE or not 0 < len(data) <= profile.whole_bytes:
            return super().add_bytes(data, profile)
        content = Content(digest(data), len(data))
        self._waiting.append((content.id, data))
        self._waiting_bytes += len(data)
        if len(self._waiting) >= _WAITING_AT_ONCE or self._waiting_bytes > profile.whole_bytes:
            self.settle()
        return content

    def add_chunk(self, chunk_id: bytes, data: bytes) -> None:
        """Take in one chunk as it is; `data` must hash to `chunk_id`."""
        self._keep(chunk_id, data)

    def add_paged(self, size: int, runs: Iterable[bytes | Sequence[StoredChunk]], held: bytes = b"") -> Content:
        """See ContentSink."""
        self.settle()
        return super().add_paged(size, runs, held)

    def settle(self) -> None:
        """Keep what waits, and show it to the inspector."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        asked = [chunk_id for chunk_id, _ in waiting if chunk_id not in self._fresh]
        missing = self._find_missing(asked) if asked else set()
        for chunk_id, data in waiting:
            if chunk_id in missing and chunk_id not in self._fresh:
                self._put(chunk_id, data)
            is_new = chunk_id in self._fresh
            if self._inspector is not None:
                self._inspector.begin()
                self._inspector.look(data, is_new=is_new)
                self._inspector.end(chunk_id, len(data))

    def finish(self) -> list[WrittenPack]:
        """Seal and sync the packs and return them; they still lie in the temporary folder."""
        self.settle()
        if self._open is not None:
            self._finished.append(self._open.finish())
            self._open = None
        return self._finished

    def abandon(self) -> None:
        """Let go of an unfinished pack after an error."""
        if self._open is not None:
            self._open.abandon()

    def add_stored(self, chunk: StoredChunk) -> None:
        """Keep a chunk as it is stored elsewhere, once it is checked. Raises DamagedPackError."""
        if chunk.id not in self._fresh and not self._is_known(chunk.id):
            chunk.decoded()
            self._keep_stored([chunk])

    def _take(self, chunk_id: bytes, piece: bytes, profile: ChunkProfile) -> None:
        is_new = self._keep(chunk_id, piece)
        if self._inspector is not None and profile is FILE_PROFILE:
            self._inspector.look(piece, is_new=is_new)

    def _pack_for(self, size: int) -> PackWriter:
        """The open pack; another one when `size` bytes more are too many for it."""
        if self._open is not None and self._open.size + size > PACK_LIMIT_BYTES:
            self._finished.append(self._open.finish())
            self._open = None
        if self._open is None:
            path = self._folder / f"{len(self._finished)}.pack"
            self._open = PackWriter(path, compress=self.compresses, spend=self.spend)
        return self._open

    def _keep(self, chunk_id: bytes, data: bytes) -> bool:
        if chunk_id in self._fresh:
            return True
        if self._is_known(chunk_id):
            return False
        self._put(chunk_id, data)
        return True

    def _put(self, chunk_id: bytes, data: bytes) -> None:
        self._pack_for(len(data)).add(chunk_id, data)
        self._fresh.add(chunk_id)

    def _keep_stored(self, chunks: Sequence[StoredChunk]) -> None:
        missing = self._find_missing([chunk.id for chunk in chunks if chunk.id not in self._fresh])
        for chunk in chunks:
            if chunk.id in missing and chunk.id not in self._fresh:
                self._pack_for(len(chunk.stored)).add_stored(chunk)
                self._fresh.add(chunk.id)

    def _check_kept(self, chunk_ids: Sequence[bytes]) -> None:
        missing = self._find_missing([chunk_id for chunk_id in chunk_ids if chunk_id not in self._fresh])
        if missing:
            raise MissingChunkError(f"no pack holds chunk {min(missing).hex()[:16]}")

    def _cut(self, stream: io.BufferedIOBase, profile: ChunkProfile) -> Content:
        if self._inspector is not None:
            self._inspector.begin()
        content = super()._cut(stream, profile)
        if self._inspector is not None:
            self._inspector.end(content.id, content.size)
        return content


def _read_all(descriptor: int, size: int) -> bytes:
    """Return what a file of about `size` bytes holds, or as much as tells that it is none of one chunk any more."""
    pieces, expected, left_bytes = [], size + 1, FILE_PROFILE.whole_bytes + 1
    while left_bytes > 0 and (piece := os.read(descriptor, min(expected, left_bytes))):
        pieces.append(piece)
        expected, left_bytes = _MORE_BYTES, left_bytes - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
