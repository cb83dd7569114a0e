"""Reading a parcel that may come from anybody: whole and unaltered first, then record by record, within bounds.

Nothing in a parcel names a file or a place to write to but the names of members, which the caller knows; there are no
links and no file types. Payloads stay in the file until they are asked for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from chronos.errors import BadPathError, DamagedParcelError, NewerFormatError, UnsupportedError
from chronos.files import display, translate_os_errors
from chronos.layout import ChunkLocation
from chronos.parcel import layout
from chronos.parcel.layout import Bundle, Span
from chronos.pool import LARGEST_CHUNK_BYTES, PoolReader, StoredChunk, digest, new_digest

_PIECE_BYTES = 1024 * 1024


class Parcel:
    """An open parcel. Chunks are checked by hash when they are read, everything else is the caller's to check.

    `pool` reads contents out of the file's chunks, as that of a store does.
    """

    def __init__(self, path: Path) -> None:
        """Open and check the file. Raises DamagedParcelError, NewerFormatError, UnsupportedError, StorageError."""
        self.path = Path(os.path.realpath(path))
        self.name = display(path.name)
        with translate_os_errors(f"cannot open {display(str(path))}"):
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise BadPathError(
                    f"{display(str(path))} is no regular file", hint="save it to a file first: it is read twice"
                )
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self.size = os.fstat(self._descriptor).st_size
            self.manifest = b""
            self.omissions: bytes | None = None
            self.members: dict[str, Span] = {}
            self.chunks: dict[bytes, ChunkLocation] = {}
            self.bundles: list[Bundle] = []
            self._check_whole()
            self._index()
        except BaseException:
            os.close(self._descriptor)
            raise
        self.pool = PoolReader(self._find_chunk)

    def close(self) -> None:
        """Close the file."""
        self.pool.close()
        os.close(self._descriptor)

    def __enter__(self) -> Parcel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def stored_bytes(self) -> int:
        """What all chunks take in their stored form."""
        return sum(place.stored_bytes for place in self.chunks.values())

    def read(self, span: Span) -> bytes:
        """Return the bytes of a span; the caller has looked at its length."""
        return b"".join(self.iter_pieces(span))

    def iter_pieces(self, span: Span) -> Iterator[bytes]:
        """Yield the bytes of a span piece by piece."""
        offset, end = span.offset, span.offset + span.length
        while offset < end:
            piece = self._pread(min(_PIECE_BYTES, end - offset), offset)
            yield piece
            offset += len(piece)

    def read_stored(self, chunk_id: bytes) -> StoredChunk:
        """Return one chunk as it is stored, unchecked."""
        place = self.chunks[chunk_id]
        return StoredChunk(chunk_id, place.codec, self._pread(place.stored_bytes, place.offset), place.raw_bytes)

    def damaged(self, problem: str) -> DamagedParcelError:
        """Return the error that says what is wrong with the file."""
        return DamagedParcelError(f"{self.name}: {problem}")

    def _find_chunk(self, chunk_id: bytes) -> list[tuple[Path, ChunkLocation]]:
        place = self.chunks.get(chunk_id)
        return [] if place is None else [(self.path, place)]

    def _pread(self, length: int, offset: int) -> bytes:
        with translate_os_errors(f"cannot read {self.name}"):
            data = os.pread(self._descriptor, length, offset)
        if len(data) < length:
            more = self._pread(length - len(data), offset + len(data)) if data else b""
            if not more:
                raise self.damaged("it was cut short while it was read")
            data += more
        return data

    def _check_whole(self) -> None:
        """Compare header and footer with the bytes between them."""
        header, footer = layout.HEADER, layout.FOOTER
        if self.size < header.size:
            raise self.damaged(f"it is cut short: it ends after {self.size} bytes" if self.size else "it is empty")
        begin = self._pread(header.size, 0)
        magic, version, check = header.unpack(begin)
        if magic != layout.MAGIC:
            raise UnsupportedError(
                f"{self.name} is no chrono export", hint="give a file that `chrono checkpoint export` wrote"
            )
        if digest(begin[:-4])[:4] != check:
            raise self.damaged("it is altered in its header")
        if version != layout.FORMAT:
            raise NewerFormatError(f"{self.name} has format {version}, this release reads {layout.FORMAT}")
        if self.size < header.size + footer.size:
            raise self.damaged(f"it is cut short: it ends after {self.size} bytes")
        size, expected, end = footer.unpack(self._pread(footer.size, self.size - footer.size))
        if end != layout.END or size != self.size - footer.size:
            raise self.damaged(f"it is cut short, or has more behind its end: {self.size} bytes")
        found = new_digest()
        for piece in self.iter_pieces(Span(0, size)):
            found.update(piece)
        if found.digest() != expected:
            raise self.damaged("it is altered: it does not hash to what its end says")

    def _index(self) -> None:
        """Note where every record lies. Raises DamagedParcelError for what no export writes."""
        offset, end, last = layout.HEADER.size, self.size - layout.FOOTER.size, 0
        while offset < end:
            if end - offset < layout.RECORD.size:
                raise self.damaged("a record is cut short")
            kind, length = layout.RECORD.unpack(self._pread(layout.RECORD.size, offset))
            span = Span(offset + layout.RECORD.size, length)
            if kind not in layout.KINDS or layout.KINDS.index(kind) < last or length > end - span.offset:
                raise self.damaged("its records are not what an export writes")
            last = layout.KINDS.index(kind)
            self._take(kind, span)
            offset = span.offset + length
        if not self.manifest:
            raise self.damaged("it has no manifest")

    def _take(self, kind: bytes, span: Span) -> None:
        if kind == layout.CHUNKS:
            self._take_chunk(span)
        elif kind == layout.MANIFEST and not self.manifest:
            self.manifest = self._read_text(span)
        elif kind == layout.OMISSIONS and self.omissions is None:
            self.omissions = self._read_text(span)
        elif kind == layout.MEMBER and len(self.members) < layout.MOST_MEMBERS:
            label, rest = self._split_label(span)
            if label in self.members:
                raise self.damaged("it has a member twice")
            self.members[label] = rest
        elif kind == layout.BUNDLE and len(self.bundles) < layout.MOST_BUNDLES:
            label, rest = self._split_label(span)
            commit, _, component = label.partition(" ")
            self.bundles.append(Bundle(component, commit, rest))
        else:
            raise self.damaged("it has a record twice, or too many")

    def _take_chunk(self, span: Span) -> None:
        head = layout.CHUNK
        if span.length < head.size or len(self.chunks) >= layout.LARGEST_COUNT:
            raise self.damaged("it has a chunk that is none, or too many")
        chunk_id, raw_bytes, codec = head.unpack(self._pread(head.size, span.offset))
        stored_bytes = span.length - head.size
        is_possible = codec in (0, 1) and 0 < raw_bytes <= LARGEST_CHUNK_BYTES and stored_bytes <= LARGEST_CHUNK_BYTES
        if not is_possible or chunk_id in self.chunks:
            raise self.damaged(f"chunk {chunk_id.hex()[:16]} is impossible, or there twice")
        self.chunks[chunk_id] = ChunkLocation(span.offset + head.size, stored_bytes, raw_bytes, codec)

    def _read_text(self, span: Span) -> bytes:
        if span.length > layout.LARGEST_TEXT_BYTES:
            raise self.damaged(f"a document in it is larger than {layout.LARGEST_TEXT_BYTES} bytes")
        return self.read(span)

    def _split_label(self, span: Span) -> tuple[str, Span]:
        size = layout.LABEL.size
        length = layout.LABEL.unpack(self._pread(size, span.offset))[0] if span.length >= size else 0
        if not 0 < length <= span.length - size:
            raise self.damaged("a name in it is cut short")
        try:
            label = self._pread(length, span.offset + size).decode("utf-8")
        except UnicodeDecodeError as cause:
            raise self.damaged("a name in it is no UTF-8") from cause
        return label, Span(span.offset + size + length, span.length - size - length)
