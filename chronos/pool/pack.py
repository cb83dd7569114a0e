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
from chronos.pool.codec import Compressor, decode, digest

MAGIC = b"CHRPACK1"
_END = b"CHRPKEND"
RECORD = struct.Struct("<32sQIIB")
FOOTER = struct.Struct("<QI32s32s8s")
_BUFFER_BYTES = 4 * 1024 * 1024
LARGEST_CHUNK_BYTES = 64 * 1024 * 1024
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
        self._buffer = bytearray(MAGIC)
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
        self._records.append((chunk_id, self.size, len(stored), len(data), int(codec)))
        self._buffer += stored
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    def finish(self) -> WrittenPack:
        """Write index and footer, sync and close. Nothing may be added afterwards."""
        index = b"".join(RECORD.pack(*record) for record in self._records)
        offset = self.size
        checksum = digest(index)
        self._flush()
        self._buffer += index + FOOTER.pack(offset, len(self._records), self._hash.digest(), checksum, _END)
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
        if max(location.stored_bytes, location.raw_bytes) > LARGEST_CHUNK_BYTES:
            raise DamagedPackError(f"pack {self.path.name} records a chunk of an impossible size")
        with translate_os_errors(f"cannot read {self.path}"):
            stored = os.pread(self._descriptor, location.stored_bytes, location.offset)
        data = decode(location.codec, stored, location.raw_bytes)
        if digest(data) != chunk_id:
            raise DamagedPackError(f"chunk {chunk_id.hex()[:16]} in pack {self.path.name} is damaged")
        return data


def read_pack_index(path: Path) -> WrittenPack:
    """Read the index of a pack from its end. Raises DamagedPackError when header, footer, index or name are wrong."""
    with translate_os_errors(f"cannot read {path}"), open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size < len(MAGIC) + FOOTER.size:
            raise DamagedPackError(f"pack {path.name} is cut short")
        stream.seek(0)
        magic = stream.read(len(MAGIC))
        stream.seek(size - FOOTER.size)
        offset, count, _, checksum, end = FOOTER.unpack(stream.read(FOOTER.size))
        if magic != MAGIC or end != _END or offset + count * RECORD.size + FOOTER.size != size:
            raise DamagedPackError(f"pack {path.name} has a damaged header or footer")
        stream.seek(offset)
        index = stream.read(count * RECORD.size)
    name = checksum.hex()[:32]
    records = list(RECORD.iter_unpack(index))
    if (
        digest(index) != checksum
        or path.stem != name
        or any(start + stored > offset for _, start, stored, *_ in records)
    ):
        raise DamagedPackError(f"pack {path.name} has a damaged index")
    return WrittenPack(name, path, size, _locations(records))


def check_pack(path: Path) -> tuple[list[bytes], list[bytes]]:
    """Read a whole pack and return the ids of its whole chunks and of its damaged ones.

    Raises DamagedPackError when header, footer or index are wrong, or a bit between the frames is; StorageError.
    """
    pack = read_pack_index(path)
    whole: list[bytes] = []
    damaged: list[bytes] = []
    seen, at = blake3(), 0
    with translate_os_errors(f"cannot read {path}"), open(path, "rb", buffering=_BUFFER_BYTES) as stream:
        stream.seek(-FOOTER.size, os.SEEK_END)
        frames = FOOTER.unpack(stream.read(FOOTER.size))[2]
        stream.seek(0)
        for chunk_id, place in pack.chunks:
            if place.offset != at:  # the magic, before the first
                seen.update(stream.read(max(0, place.offset - at)))
            stored = stream.read(place.stored_bytes)
            seen.update(stored)
            at = place.offset + place.stored_bytes
            (whole if _is_whole(chunk_id, place, stored) else damaged).append(chunk_id)
    if seen.digest() != frames and not damaged:
        raise DamagedPackError(f"pack {path.name} has damaged frames")
    return whole, damaged


def _is_whole(chunk_id: bytes, place: ChunkLocation, stored: bytes) -> bool:
    if max(place.stored_bytes, place.raw_bytes) > LARGEST_CHUNK_BYTES:
        return False
    try:
        return digest(decode(place.codec, stored, place.raw_bytes)) == chunk_id
    except DamagedPackError:
        return False


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _locations(records: list[tuple[bytes, int, int, int, int]]) -> tuple[tuple[bytes, ChunkLocation], ...]:
    return tuple((record[0], ChunkLocation(*record[1:])) for record in records)
