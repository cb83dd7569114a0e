"""Writing a parcel from its first byte to its last, hashing on the way. The caller owns the file and its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from chronos.parcel.layout import (
    BUNDLE,
    CHUNK,
    CHUNKS,
    END,
    FOOTER,
    FORMAT,
    HEADER,
    LABEL,
    MAGIC,
    MANIFEST,
    MEMBER,
    OMISSIONS,
    RECORD,
)
from chronos.pool import StoredChunk, digest, new_digest


class ParcelWriter:
    """Append the parts in the order of the format: manifest, omissions, members, chunks, bundles; then `finish`.

    Raises what writing to the stream raises: OSError.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = new_digest()
        self.size = 0
        begin = HEADER.pack(MAGIC, FORMAT, b"")[:12]
        self._write(begin + digest(begin)[:4])

    def add_manifest(self, data: bytes) -> None:
        """Write the sealed `checkpoint.json`."""
        self._record(MANIFEST, data)

    def add_omissions(self, data: bytes) -> None:
        """Write what is left out, as `chronos.checkpoints` encodes it."""
        self._record(OMISSIONS, data)

    def add_member(self, name: str, data: bytes) -> None:
        """Write one file beside the manifest."""
        self._record(MEMBER, _label(name) + data)

    def add_chunk(self, chunk: StoredChunk) -> None:
        """Write one chunk in its stored form."""
        self._record(CHUNKS, CHUNK.pack(chunk.id, chunk.raw_bytes, chunk.codec) + chunk.stored)

    def add_bundle(self, component: str, commit: str, size: int, pieces: Iterable[bytes]) -> None:
        """Write a git bundle of exactly `size` bytes."""
        label = _label(f"{commit} {component}")
        self._write(RECORD.pack(BUNDLE, len(label) + size) + label)
        for piece in pieces:
            self._write(piece)

    def finish(self) -> None:
        """Write the footer: without it nobody takes the file for whole."""
        self._write(FOOTER.pack(self.size, self._hash.digest(), END))

    def _record(self, kind: bytes, payload: bytes) -> None:
        self._write(RECORD.pack(kind, len(payload)) + payload)

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._hash.update(data)
        self.size += len(data)


def _label(text: str) -> bytes:
    data = text.encode("utf-8")
    return LABEL.pack(len(data)) + data
