"""One pack file: header, frames, index, footer. Written once, synced, never changed.

Layout (little endian): `CHRPACK1` · frames back to back · index records of 49 bytes (id, offset, stored length, raw
length, codec) · footer (index offset, record count, BLAKE3 of all bytes before the index, BLAKE3 of the index,
`CHRPKEND`). The pack's name is the first 32 hex digits of the BLAKE3 of its index.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import msgspec
from blake3 import blake3

from chronos.errors import DamagedPackError
from chronos.files import translate_os_errors
from chronos.pool.codec import LARGEST_CHUNK_BYTES, Compressor, StoredChunk, digest

_MAGIC = b"CHRPACK1"
_END = b"CHRPKEND"
_RECORD = struct.Struct("<32sQIIB")
_FOOTER = struct.Struct("<QI32s32s8s")
_BUFFER_BYTES = 4 * 1024 * 1024
PACK_LIMIT_BYTES = 256 * 1024 * 1024


class ChunkLocation(msgspec.Struct, frozen=True):
    """Where one chunk lies in a pack: byte offset, stored and raw length in bytes, codec."""

    offset: int
    stored_bytes: int
    raw_bytes: int
    codec: int


class WrittenPack(msgspec.Struct, frozen=True):
    """A finished, synced pack that still lies in a temporary folder."""

    name: str
    path: Path
    size: int
    chunks: tuple[tuple[bytes, ChunkLocation], ...]


class PackWriter:
    """Append chunks to one new pack file."""

    def __init__(self, path: Path, compressor: Compressor) -> None:
        self._path = path
        self._compressor = compressor
        self._records: list[tuple[bytes, int, int, int, int]] = []
        self._buffer = bytearray(_MAGIC)
        self._written = 0
        self._hash = blake3()
        with translate_os_errors(f"cannot write {path}"):
            self._stream = open(path, "xb", buffering=0, opener=_open_private)  # noqa: SIM115 - lives as long as this

    @property
    def size(self) -> int:
        """Bytes appended so far."""
        return self._written + len(self._buffer)

    def add(self, chunk_id: bytes, data: bytes) -> None:
        """Append one chunk."""
        codec, stored = self._compressor.encode(data)
        self.add_stored(StoredChunk(chunk_id, codec, stored, len(data)))

    def add_stored(self, chunk: StoredChunk) -> None:
        """Append one chunk as it is stored elsewhere; it has been checked."""
        self._records.append((chunk.id, self.size, len(chunk.stored), chunk.raw_bytes, int(chunk.codec)))
        self._buffer += chunk.stored
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    def finish(self) -> WrittenPack:
        """Write index and footer, sync and close. Nothing may be added afterwards."""
        index = b"".join(_RECORD.pack(*record) for record in self._records)
        offset = self.size
        checksum = digest(index)
        self._flush()
        self._buffer += index + _FOOTER.pack(offset, len(self._records), self._hash.digest(), checksum, _END)
        self._flush()
        with translate_os_errors(f"cannot write {self._path}"):
            os.fsync(self._stream.fileno())
            self._stream.close()
        name = checksum.hex()[:32]
        return WrittenPack(name, self._path, self._written, _locations(self._records))

    def abandon(self) -> None:
        """Close without finishing; the temporary folder is swept by its owner."""
        self._stream.close()

    def _flush(self) -> None:
        with translate_os_errors(f"cannot write {self._path}"):
            self._hash.update(self._buffer)
            view = memoryview(self._buffer)
            while view:
                view = view[self._stream.write(view) or 0 :]
        self._written += len(self._buffer)
        self._buffer = bytearray()


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
        try:
            return self.read_stored(chunk_id, location).decoded()
        except DamagedPackError as cause:
            raise DamagedPackError(f"{cause.message}, in pack {self.path.name}") from cause

    def read_stored(self, chunk_id: bytes, location: ChunkLocation) -> StoredChunk:
        """Return a chunk as it lies here, unchecked."""
        if max(location.stored_bytes, location.raw_bytes) > LARGEST_CHUNK_BYTES:
            raise DamagedPackError(f"chunk {chunk_id.hex()[:16]} is said to have an impossible size")
        with translate_os_errors(f"cannot read {self.path}"):
            stored = os.pread(self._descriptor, location.stored_bytes, location.offset)
        return StoredChunk(chunk_id, location.codec, stored, location.raw_bytes)


def read_pack_index(path: Path) -> WrittenPack:
    """Read the index of a pack from its end. Raises DamagedPackError when header, footer, index or name are wrong."""
    with translate_os_errors(f"cannot read {path}"), open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size < len(_MAGIC) + _FOOTER.size:
            raise DamagedPackError(f"pack {path.name} is cut short")
        stream.seek(0)
        magic = stream.read(len(_MAGIC))
        stream.seek(size - _FOOTER.size)
        offset, count, _, checksum, end = _FOOTER.unpack(stream.read(_FOOTER.size))
        if magic != _MAGIC or end != _END or offset + count * _RECORD.size + _FOOTER.size != size:
            raise DamagedPackError(f"pack {path.name} has a damaged header or footer")
        stream.seek(offset)
        index = stream.read(count * _RECORD.size)
    name = checksum.hex()[:32]
    records = list(_RECORD.iter_unpack(index))
    if (
        digest(index) != checksum
        or path.stem != name
        or any(start + stored > offset for _, start, stored, *_ in records)
    ):
        raise DamagedPackError(f"pack {path.name} has a damaged index")
    return WrittenPack(name, path, size, _locations(records))


def check_pack(path: Path) -> None:
    """Read a whole pack and compare it with its footer. Raises DamagedPackError when a single bit differs."""
    read_pack_index(path)
    with translate_os_errors(f"cannot read {path}"), open(path, "rb") as stream:
        stream.seek(-_FOOTER.size, os.SEEK_END)
        left_bytes, _, frames, _, _ = _FOOTER.unpack(stream.read(_FOOTER.size))
        stream.seek(0)
        found = blake3()
        while left_bytes and (piece := stream.read(min(left_bytes, _BUFFER_BYTES))):
            found.update(piece)
            left_bytes -= len(piece)
    if found.digest() != frames:
        raise DamagedPackError(f"pack {path.name} has damaged frames")


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _locations(records: list[tuple[bytes, int, int, int, int]]) -> tuple[tuple[bytes, ChunkLocation], ...]:
    return tuple((record[0], ChunkLocation(*record[1:])) for record in records)
