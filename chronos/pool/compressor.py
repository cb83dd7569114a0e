"""Compressing single pieces. The child program that reads databases loads this and nothing else of the pool."""

from __future__ import annotations

from enum import IntEnum

import zstandard

LEVEL = 3
_SMALLEST_BYTES = 64


class Codec(IntEnum):
    """How a chunk lies in its pack."""

    RAW = 0
    ZSTD = 1


class Compressor:
    """A reusable zstd compressor that keeps what does not shrink as it is. One thread at a time may use it."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._zstd = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False) if enabled else None

    def encode(self, data: bytes | memoryview) -> tuple[Codec, bytes]:
        """Return the codec and the stored form of `data`."""
        if self._zstd is not None and len(data) >= _SMALLEST_BYTES:
            packed = self._zstd.compress(data)
            if len(packed) < len(data):
                return Codec.ZSTD, packed
        return Codec.RAW, bytes(data)
