"""One pack file: header, frames, index, footer. Written once, synced, never changed.

Layout (little endian): `CHRPACK1` · frames back to back · index records of 49 bytes (id, offset, stored length, raw
length, codec) · footer (index offset, record count, BLAKE3 of all bytes before the index, BLAKE3 of the index,
`CHRPKEND`). The pack's name is the first 32 hex digits of the BLAKE3 of its index.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec
from blake3 import blake3

from chronos.background import in_background
from chronos.errors import DamagedPackError
from chronos.files import start_writing_back, translate_os_errors, write_all
from chronos.layout import ChunkLocation
from chronos.pool.codec import LARGEST_CHUNK_BYTES, StoredChunk, decode, digest
from chronos.pool.compressor import Compressor

MAGIC = b"CHRPACK1"
_END = b"CHRPKEND"
RECORD = struct.Struct("<32sQIIB")
FOOTER = struct.Struct("<QI32s32s8s")
_BUFFER_BYTES = 4 * 1024 * 1024
PACK_LIMIT_BYTES = 256 * 1024 * 1024
RECORD_BYTES = RECORD.size
_BATCH_BYTES = 2 * 1024 * 1024
_BATCHES_AHEAD = 3
# Id, raw length, codec and stored bytes of a chunk.
_Packed: TypeAlias = tuple[bytes, int, int, bytes]


class WrittenPack(msgspec.Struct, frozen=True):
    """A finished, synced pack that still lies in a temporary folder."""

    name: str
    path: Path
    size: int
    chunks: tuple[tuple[bytes, ChunkLocation], ...]


class PackWriter:
    """Append chunks to one new pack file.

    Much at once is compressed in threads, a batch each; their order in the pack is that in which they came. `spend` is
    told what each takes on the disk, and may raise.
    """

    def __init__(self, path: Path, *, compress: bool = True, spend: Callable[[int], None] = lambda _: None) -> None:
        self._path = path
        self._spend = spend
        # One for each batch that may be on its way, and one for the last.
        self._compressors = [Compressor(enabled=compress) for _ in range(_BATCHES_AHEAD + 1)]
        self._batch: list[tuple[bytes, bytes]] = []
        self._batch_bytes = 0
        self._pending: deque[tuple[int, Callable[[], list[_Packed]]]] = deque()
        self._pending_bytes = 0
        self._batches = 0
        self._records: list[tuple[bytes, int, int, int, int]] = []
        self._buffer: list[bytes] = [MAGIC]
        self._buffered_bytes = len(MAGIC)
        self._written = 0
        self._hash = blake3()
        with translate_os_errors(f"cannot write {path}"):
            self._stream = open(path, "xb", buffering=0, opener=_open_private)  # noqa: SIM115 - lives as long as this

    @property
    def size(self) -> int:
        """Bytes appended so far; what is still being compressed counts in full."""
        return self._written + self._buffered_bytes + self._pending_bytes + self._batch_bytes

    def add(self, chunk_id: bytes, data: bytes) -> None:
        """Append one chunk."""
        self._batch.append((chunk_id, data))
        self._batch_bytes += len(data)
        if self._batch_bytes >= _BATCH_BYTES:
            if len(self._pending) == _BATCHES_AHEAD:
                self._take_pending()
            self._pending.append((self._batch_bytes, in_background(self._next_batch())))
            self._pending_bytes += self._batch_bytes
            self._batch, self._batch_bytes = [], 0

    def add_stored(self, chunk: StoredChunk) -> None:
        """Append one chunk in the form that it is stored in."""
        self._append(chunk.id, chunk.raw_bytes, chunk.codec, chunk.stored)

    def finish(self) -> WrittenPack:
        """Write index and footer, sync and close. Nothing may be added afterwards."""
        while self._pending:
            self._take_pending()
        self._append_all(self._next_batch()())
        self._batch, self._batch_bytes = [], 0
        index = b"".join(RECORD.pack(*record) for record in self._records)
        offset = self.size
        checksum = digest(index)
        self._flush()
        self._write(index + FOOTER.pack(offset, len(self._records), self._hash.digest(), checksum, _END))
        with translate_os_errors(f"cannot write {self._path}"):
            os.fsync(self._stream.fileno())
            self._stream.close()
        name = checksum.hex()[:32]
        return WrittenPack(name, self._path, self._written, _locations(self._records))

    def abandon(self) -> None:
        """Close without finishing; the temporary folder is swept by its owner."""
        self._stream.close()

    def _next_batch(self) -> Callable[[], list[_Packed]]:
        batch, compressor = self._batch, self._compressors[self._batches % len(self._compressors)]
        self._batches += 1
        return lambda: [(chunk_id, len(data), *compressor.encode(data)) for chunk_id, data in batch]

    def _take_pending(self) -> None:
        size, result = self._pending.popleft()
        self._pending_bytes -= size
        self._append_all(result())

    def _append_all(self, packed: list[_Packed]) -> None:
        for one in packed:
            self._append(*one)

    def _append(self, chunk_id: bytes, raw_bytes: int, codec: int, stored: bytes) -> None:
        self._records.append((chunk_id, self._written + self._buffered_bytes, len(stored), raw_bytes, int(codec)))
        self._buffer.append(stored)
        self._buffered_bytes += len(stored)
        self._spend(len(stored) + RECORD_BYTES)
        if self._buffered_bytes >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        frames = b"".join(self._buffer)
        self._buffer, self._buffered_bytes = [], 0
        self._hash.update(frames)
        self._write(frames)

    def _write(self, data: bytes) -> None:
        with translate_os_errors(f"cannot write {self._path}"):
            write_all(self._stream.fileno(), data)
        if len(data) >= _BUFFER_BYTES:
            start_writing_back(self._stream.fileno(), self._written, len(data))
        self._written += len(data)


class PackFile:
    """A pack opened for reading. Every chunk is checked against its id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with translate_os_errors(f"cannot open {path}"):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def read(self, chunk_id: bytes, location: ChunkLocation) -> bytes:
        """Return the raw bytes of a chunk. Raises DamagedPackError when they do not hash to `chunk_id`."""
        return self.unpack(chunk_id, location, self.read_stored(location))

    def read_stored(self, location: ChunkLocation) -> bytes:
        """Return the bytes of a chunk as they lie in the pack. Raises DamagedPackError, StorageError."""
        if max(location.stored_bytes, location.raw_bytes) > LARGEST_CHUNK_BYTES:
            raise DamagedPackError(f"pack {self.path.name} records a chunk of an impossible size")
        with translate_os_errors(f"cannot read {self.path}"):
            return os.pread(self._descriptor, location.stored_bytes, location.offset)

    def unpack(self, chunk_id: bytes, location: ChunkLocation, stored: bytes) -> bytes:
        """Return the raw bytes behind `read_stored`; any thread may. Raises DamagedPackError as `read` does."""
        data = decode(location.codec, stored, location.raw_bytes)
        if digest(data) != chunk_id:
            raise DamagedPackError(f"chunk {chunk_id.hex()[:16]} in pack {self.path.name} is damaged")
        return data


def read_pack_index(path: Path) -> WrittenPack:
    """Read the index of a pack from its end. Raises DamagedPackError when it does not hash to the pack's name.

    What else of the header and footer is wrong hides no chunk, for each is compared with its id: see `check_ends`.
    """
    return _read_ends(path)[0]


def check_ends(path: Path) -> str:
    """Return what is wrong with the header and footer of a pack, or nothing. Raises as `read_pack_index` does."""
    return _read_ends(path)[1]


def _read_ends(path: Path) -> tuple[WrittenPack, str]:
    with translate_os_errors(f"cannot read {path}"), open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size < len(MAGIC) + FOOTER.size:
            raise DamagedPackError(f"pack {path.name} is cut short")
        stream.seek(0)
        magic = stream.read(len(MAGIC))
        stream.seek(size - FOOTER.size)
        offset, count, _, checksum, end = FOOTER.unpack(stream.read(FOOTER.size))
        if offset + count * RECORD.size + FOOTER.size != size:
            raise DamagedPackError(f"pack {path.name} has a damaged footer")
        stream.seek(offset)
        index = stream.read(count * RECORD.size)
    found = digest(index)
    name = found.hex()[:32]
    records = list(RECORD.iter_unpack(index))
    if path.stem != name or any(start + stored > offset for _, start, stored, *_ in records):
        raise DamagedPackError(f"pack {path.name} has a damaged index")
    is_sound = (magic, checksum, end) == (MAGIC, found, _END)
    problem = "" if is_sound else f"pack {path.name} has a damaged header or footer"
    return WrittenPack(name, path, size, _locations(records)), problem


def check_pack(path: Path) -> tuple[list[bytes], list[bytes], str]:
    """Read a whole pack; return the ids of its whole chunks, those of its damaged ones, and what is wrong with it.

    Raises DamagedPackError when its index is wrong; StorageError.
    """
    pack, problem = _read_ends(path)
    whole: list[bytes] = []
    damaged: list[bytes] = []
    seen, at = blake3(), 0
    with translate_os_errors(f"cannot read {path}"), open(path, "rb", buffering=_BUFFER_BYTES) as stream:
        stream.seek(-FOOTER.size, os.SEEK_END)
        frames = FOOTER.unpack(stream.read(FOOTER.size))[2]
        stream.seek(0)
        for chunk_id, location in pack.chunks:
            if location.offset != at:  # the magic, before the first
                seen.update(stream.read(max(0, location.offset - at)))
            stored = stream.read(location.stored_bytes)
            seen.update(stored)
            at = location.offset + location.stored_bytes
            (whole if _is_whole(chunk_id, location, stored) else damaged).append(chunk_id)
    if damaged:
        problem = f"{len(damaged)} of its {len(whole) + len(damaged)} chunks are damaged"
    elif seen.digest() != frames:
        problem = problem or f"pack {path.name} has damaged frames"
    return whole, damaged, problem


def _is_whole(chunk_id: bytes, location: ChunkLocation, stored: bytes) -> bool:
    if max(location.stored_bytes, location.raw_bytes) > LARGEST_CHUNK_BYTES:
        return False
    try:
        return digest(decode(location.codec, stored, location.raw_bytes)) == chunk_id
    except DamagedPackError:
        return False


def copy_chunks(path: Path, wanted: Callable[[bytes], bool], target: PackWriter) -> None:
    """Append the wanted chunks of a pack to another one, as they are stored, and compare the whole pack on the way.

    Raises DamagedPackError when a single bit of it differs: then `target` must be abandoned.
    """
    pack = read_pack_index(path)
    found, position = blake3(), 0
    with translate_os_errors(f"cannot read {path}"), open(path, "rb", _BUFFER_BYTES) as stream:
        stream.seek(-FOOTER.size, os.SEEK_END)
        end, _, frames, _, _ = FOOTER.unpack(stream.read(FOOTER.size))
        stream.seek(0)
        for chunk_id, location in sorted(pack.chunks, key=lambda item: item[1].offset):
            if not position <= location.offset <= location.offset + location.stored_bytes <= end:
                raise DamagedPackError(f"pack {path.name} has chunks that overlap")
            found.update(stream.read(location.offset - position))
            stored = stream.read(location.stored_bytes)
            found.update(stored)
            position = location.offset + location.stored_bytes
            if wanted(chunk_id):
                target.add_stored(StoredChunk(chunk_id, location.codec, stored, location.raw_bytes))
        found.update(stream.read(end - position))
    if found.digest() != frames:
        raise DamagedPackError(f"pack {path.name} has damaged frames")


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _locations(records: list[tuple[bytes, int, int, int, int]]) -> tuple[tuple[bytes, ChunkLocation], ...]:
    return tuple((record[0], ChunkLocation(*record[1:])) for record in records)
