"""Reading a database through the child: what is asked, and how the pieces that come back go into the sink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronos.files import FileStat
from chronos.memory.kinds import CaptureWork, MemoryFile, StoreState
from chronos.memory.sqlite_files import NAME
from chronos.memory.sqlite_frames import BEGIN, END, HELD, ID_BYTES, KNOWN_IDS, MACS, NEW, PIECE_BYTES, unpack_new
from chronos.memory.sqlite_macs import Macs
from chronos.memory.sqlite_reader import Child, hexed, start_child
from chronos.pool import Content, StoredChunk
from chronos.stat_cache import ContentFact

if TYPE_CHECKING:
    from chronos.memory.sqlite_capture import Known


class _MovedError(Exception):
    """The child begins again."""


def read(place: Path, work: CaptureWork, find_known: Callable[[], Known]) -> StoreState:
    """Have a child read the database; what is known of it is looked up while the child starts.

    Raises what `Child.next_frame` raises, and MissingChunkError when the pool does not hold a piece that it should.
    """
    with start_child(place) as child:
        known = find_known()
        macs = known.macs.pack() if known.macs is not None else b""
        child.work_on(_request(place, work, known.base), (KNOWN_IDS, known.ids), (MACS, macs))
        while True:
            tag, length = child.next_frame()
            assert tag == BEGIN
            begun = child.read_document(length)
            files, end = [], None
            try:
                for part, size in begun["parts"]:
                    content = work.sink.add_paged(size, _runs(child, size), known.ids)
                    files.append(MemoryFile(part.encode(), content=content))
                tag, length = child.next_frame()
                end = child.read_document(length)
            except _MovedError as moved:
                end = moved.args[0]
            told = _read_macs(child) if macs else b""
            if end["is_held"] or end["is_last"]:
                state = _state(begun, end, files)
                if told and not state.is_torn:
                    state.fact = _fact_of(files[0].content, told)
                return state


def _read_macs(child: Child) -> bytes:
    tag, length = child.next_frame()
    assert tag == MACS
    return child.read(length)


def _fact_of(content: Content | None, packed: bytes) -> ContentFact | None:
    macs = Macs.unpack(packed)
    is_known = macs is not None and macs.codes.strip(b"\0")
    return ContentFact(content, packed) if content is not None and is_known else None


def _request(place: Path, work: CaptureWork, base: FileStat | None) -> dict[str, Any]:
    return {
        "work": "capture",
        "place": hexed(place),
        "timeout_s": work.timeout_s,
        "wants_bytes": work.sink.wants_bytes,
        "compresses": work.sink.compresses,
        "base": [base.inode, base.size, base.mtime_ns, base.ctime_ns] if base is not None else None,
    }


def _state(begun: dict[str, Any], end: dict[str, Any], files: list[MemoryFile]) -> StoreState:
    return StoreState(
        NAME, end["identity"], files, facts=begun["facts"], notes=begun["notes"], is_torn=not end["is_held"],
        waited_s=end["waited_s"],
    )  # fmt: skip


def _runs(child: Child, size: int) -> Iterator[bytes | list[StoredChunk]]:
    left = -(-size // PIECE_BYTES)
    while left:
        tag, length = child.next_frame()
        if tag == END:
            raise _MovedError(child.read_document(length))
        data = child.read(length)
        if tag == HELD:
            left -= len(data) // ID_BYTES
            yield data
        else:
            assert tag == NEW
            pieces = unpack_new(data)
            left -= len(pieces)
            yield [StoredChunk(piece.id, piece.codec, piece.stored, piece.raw_bytes) for piece in pieces]
