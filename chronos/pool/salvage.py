"""Getting whole chunks out of a damaged pack: by its index as far as that can be believed, else by its frames.

Nothing is believed but hashes: a chunk comes out only when its bytes hash to the id that its record gives, or to an id
that somebody asks for. Raw chunks of a pack that lost its index have no bounds, and stay lost here.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from chronos.errors import DamagedPackError
from chronos.files import translate_os_errors
from chronos.pool.codec import LARGEST_CHUNK_BYTES, digest, inflate
from chronos.pool.compressor import Codec
from chronos.pool.pack import FOOTER, MAGIC, PACK_LIMIT_BYTES, RECORD

_FRAME = b"\x28\xb5\x2f\xfd"  # RFC 8878, section 3.1.1
_FIRST_OFFSET = len(MAGIC).to_bytes(8, "little")
_ID_BYTES = 32
_FRAME_TRIES = 4
_READ_BYTES = 64 * 1024

_Record = tuple[bytes, int, int, int, int]
_Found = Iterator[tuple[bytes, bytes]]


def salvage_chunks(path: Path, wanted: Collection[bytes]) -> _Found:
    """Yield the id and bytes of each chunk that is still whole in the pack at `path`; `wanted` are ids to look for.

    A chunk may come twice. What the device does not give counts as zeros. Raises StorageError for no file at all.
    """
    data = _read_tolerantly(path)
    records, index = _find_records(data, path.name.partition(".")[0])
    if records:
        yield from _by_records(data, records, index, wanted)
    elif wanted:
        yield from _by_frames(data, wanted)


def _read_tolerantly(path: Path) -> bytes:
    """Read a whole pack, which a broken disk gives in parts only. Not mapped: a bad sector would kill the process."""
    data = bytearray()
    with translate_os_errors(f"cannot read {path}"), open(path, "rb", buffering=0) as stream:
        size = min(os.fstat(stream.fileno()).st_size, 2 * PACK_LIMIT_BYTES)
        while len(data) < size:
            length = min(_READ_BYTES, size - len(data))
            try:
                piece = os.pread(stream.fileno(), length, len(data))
            except OSError:
                piece = b""
            data += piece or bytes(length)
    return bytes(data)


def _find_records(data: bytes, name: str) -> tuple[list[_Record], int]:
    """Return the records of the index, damaged ones too, and where the index begins; nothing when it is gone."""
    size = len(data)
    if size >= len(MAGIC) + FOOTER.size:
        start, count, *_ = FOOTER.unpack(data[size - FOOTER.size :])
        length = size - FOOTER.size - start
        if len(MAGIC) <= start and length > 0 and length == count * RECORD.size:
            return list(RECORD.iter_unpack(data[start : start + length])), start
        starts = (start, size - FOOTER.size - count * RECORD.size)
        for start in starts:
            index = data[start : size - FOOTER.size] if len(MAGIC) <= start < size - FOOTER.size else b""
            if index and len(index) % RECORD.size == 0 and digest(index).hex().startswith(name):
                return list(RECORD.iter_unpack(index)), start
    return _find_chain(data)


def _find_chain(data: bytes) -> tuple[list[_Record], int]:
    """Find the index by what it must look like: its first record begins behind the magic, each other at the last's end.

    That is how a pack is read whose end is cut off.
    """
    best: tuple[list[_Record], int] = [], 0
    at = data.find(_FIRST_OFFSET, len(MAGIC) + _ID_BYTES)
    while at >= 0:
        start, end, chain = at - _ID_BYTES, len(MAGIC), []
        for place in range(start, len(data) - RECORD.size + 1, RECORD.size):
            record = RECORD.unpack(data[place : place + RECORD.size])
            if record[1] != end or record[1] + record[2] > start:
                break
            chain.append(record)
            end = record[1] + record[2]
        if len(chain) > len(best[0]):
            best = chain, start
        at = data.find(_FIRST_OFFSET, at + 1)
    return best


def _by_records(data: bytes, records: list[_Record], index: int, wanted: Collection[bytes]) -> _Found:
    """Frames lie back to back, so that a damaged record is known by its neighbours."""
    end = len(MAGIC)
    for number, (chunk_id, offset, stored, raw, codec) in enumerate(records):
        following = records[number + 1][1] if number + 1 < len(records) else index
        places = dict.fromkeys([(offset, offset + stored), (end, end + stored), (end, following), (offset, following)])
        ids = {chunk_id} if chunk_id in wanted else {chunk_id, *wanted}
        for start, stop in places:
            if len(MAGIC) <= start < stop <= index and stop - start <= LARGEST_CHUNK_BYTES:
                chunk = _decode(data[start:stop], codec, raw, ids)
                if chunk is not None:
                    yield digest(chunk), chunk
                    stored, offset = stop - start, start
                    break
        end = offset + stored


def _decode(stored: bytes, codec: int, raw: int, ids: Collection[bytes]) -> bytes | None:
    """Return the bytes behind `stored` that hash to one of `ids`, whatever the record says of codec and length."""
    limits = dict.fromkeys([min(raw, LARGEST_CHUNK_BYTES), LARGEST_CHUNK_BYTES])
    tries = [(Codec.RAW, 0), *((Codec.ZSTD, limit) for limit in limits)]
    for kind, limit in sorted(tries, key=lambda one: one[0] != codec):
        try:
            chunk = stored if kind is Codec.RAW else inflate(stored, limit)
        except DamagedPackError:
            continue
        if digest(chunk) in ids:
            return chunk
    return None


def _by_frames(data: bytes, wanted: Collection[bytes]) -> _Found:
    """Try every place where a zstd frame could begin; it ends where another begins, or a little later."""
    at = data.find(_FRAME, len(MAGIC))
    while at >= 0:
        following = stop = data.find(_FRAME, at + len(_FRAME))
        for _ in range(_FRAME_TRIES):
            try:
                chunk = inflate(data[at : stop if stop >= 0 else at + LARGEST_CHUNK_BYTES], LARGEST_CHUNK_BYTES)
            except DamagedPackError:
                chunk = b""
            if digest(chunk) in wanted:
                yield digest(chunk), chunk
                break
            if stop < 0:
                break
            stop = data.find(_FRAME, stop + len(_FRAME))
        at = following
