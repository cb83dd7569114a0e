"""Cutting content into chunks. Small content stays whole; large content is cut where its own bytes say so.

Content-defined boundaries (FastCDC, Xia et al., USENIX ATC 2016) keep the chunks of an edited file equal on both
sides of the edit. Changing a profile costs dedupe against old packs, never correctness.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

_KIB = 1024


class ChunkProfile(msgspec.Struct, frozen=True):
    """Sizes in bytes: content up to `whole_bytes` is one chunk, larger content is cut around `average_bytes`."""

    whole_bytes: int
    smallest_bytes: int
    average_bytes: int
    largest_bytes: int

    def cut(self, stream: BinaryIO) -> Iterator[bytes]:
        """Yield the chunks of `stream`. Memory stays within a few times `largest_bytes`."""
        from pyfastcdc import FastCDC  # loaded only for large content: 36 ms

        cutter = FastCDC(avg_size=self.average_bytes, min_size=self.smallest_bytes, max_size=self.largest_bytes, seed=0)
        for piece in cutter.cut_stream(stream):
            yield bytes(piece.data)


FILE_PROFILE = ChunkProfile(1024 * _KIB, 256 * _KIB, 1024 * _KIB, 4096 * _KIB)
LIST_PROFILE = ChunkProfile(64 * _KIB, 8 * _KIB, 32 * _KIB, 128 * _KIB)
# SQLite changes pages of a database in place: pieces of a fixed size keep all others equal.
PAGED_PIECE_BYTES = 64 * _KIB
