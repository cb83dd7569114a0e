"""Hashing and compression of single pieces: BLAKE3 names, and decompression of zstd frames with a byte budget.

`ZstdDecompressor.decompress(max_output_size=…)` ignores its limit when the frame states a size (43 bytes can become
1 GiB), so everything here decompresses as a stream and stops one byte past what is allowed.
"""

from __future__ import annotations

import threading

import msgspec
import zstandard
from blake3 import blake3

from chronos.errors import DamagedPackError
from chronos.pool.compressor import LEVEL, Codec

_LARGEST_WINDOW_BYTES = 128 * 1024 * 1024
LARGEST_CHUNK_BYTES = 64 * 1024 * 1024
_of_thread = threading.local()


class StoredChunk(msgspec.Struct, frozen=True):
    """A chunk as it lies in a file: its id, its codec, its stored bytes, and the length that they decode to."""

    id: bytes
    codec: int
    stored: bytes
    raw_bytes: int

    def decoded(self) -> bytes:
        """Return the raw bytes. Raises DamagedPackError when they do not hash to the id, or are more than stated."""
        if self.raw_bytes > LARGEST_CHUNK_BYTES:
            raise DamagedPackError(f"chunk {self.id.hex()[:16]} is said to have an impossible size")
        data = decode(self.codec, self.stored, self.raw_bytes)
        if digest(data) != self.id:
            raise DamagedPackError(f"chunk {self.id.hex()[:16]} is damaged")
        return data


def digest(data: bytes | memoryview) -> bytes:
    """Return the 32-byte BLAKE3 of `data`."""
    return blake3(data).digest()


def new_digest() -> blake3:
    """Return a running BLAKE3 that takes data with `update`."""
    return blake3()


def decode(codec: int, stored: bytes, raw_bytes: int) -> bytes:
    """Return the `raw_bytes` bytes behind `stored`. Raises DamagedPackError on anything else."""
    data = stored if codec == Codec.RAW else _inflate_frame(stored, raw_bytes)
    if len(data) != raw_bytes:
        raise DamagedPackError(f"a chunk has {len(data)} bytes where {raw_bytes} were recorded")
    return data


def compress_text(data: bytes) -> bytes:
    """Compress a whole member file."""
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(data)


def decompress_text(data: bytes, limit_bytes: int) -> bytes:
    """Decompress a whole member file of at most `limit_bytes`. Raises DamagedPackError."""
    text = inflate(data, limit_bytes)
    if len(text) > limit_bytes:
        raise DamagedPackError(f"a compressed member is larger than {limit_bytes} bytes")
    return text


def _inflate_frame(stored: bytes, raw_bytes: int) -> bytes:
    """Decompress at once a frame that states the size which is expected: zstd then writes no byte more."""
    try:
        if zstandard.frame_content_size(stored) != raw_bytes:
            return inflate(stored, raw_bytes)
        decompressor = getattr(_of_thread, "decompressor", None)
        if decompressor is None:
            decompressor = _of_thread.decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES)
        return decompressor.decompress(stored)
    except zstandard.ZstdError as cause:
        raise DamagedPackError(f"a zstd frame is damaged: {cause}") from cause


def inflate(stored: bytes, limit_bytes: int) -> bytes:
    """Return what the first zstd frame of `stored` holds, at most a byte over the limit. Raises DamagedPackError."""
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES).stream_reader(stored)
        return reader.read(limit_bytes + 1)
    except zstandard.ZstdError as cause:
        raise DamagedPackError(f"a zstd frame is damaged: {cause}") from cause
