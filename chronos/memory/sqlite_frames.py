"""What parent and child say to each other over pipes: frames of a tag, a length and that many bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

# Parent to child.
REQUEST = b"Q"
KNOWN_IDS = b"K"
MACS = b"M"  # also back, behind an END, where any were sent
# Child to parent.
BEGIN, HELD, NEW, END = b"B", b"H", b"N", b"E"
ANSWER = b"A"
CONFLICT = b"?"  # answered with a document
FAILURE = b"X"

ID_BYTES = 32
PIECE_BYTES = 64 * 1024
_HEAD = struct.Struct("<cQ")
_COUNT = struct.Struct("<I")
_RECORD = struct.Struct("<32sIIB")


class NewPiece(NamedTuple):
    """A piece as the pool stores it: its id, its length, and the codec and the bytes that it is stored in."""

    id: bytes
    raw_bytes: int
    codec: int
    stored: bytes


def send(write: Callable[[bytes | memoryview], object], tag: bytes, *parts: bytes | memoryview) -> None:
    """Write one frame."""
    write(_HEAD.pack(tag, sum(len(part) for part in parts)))
    for part in parts:
        write(part)


def send_json(write: Callable[[bytes | memoryview], object], tag: bytes, value: object) -> None:
    """Write one frame that holds a JSON document."""
    send(write, tag, encode_json(value))


def send_new(write: Callable[[bytes | memoryview], object], pieces: list[NewPiece]) -> None:
    """Write consecutive pieces that the pool does not hold."""
    records = b"".join(_RECORD.pack(one.id, one.raw_bytes, len(one.stored), one.codec) for one in pieces)
    send(write, NEW, _COUNT.pack(len(pieces)), records, *(one.stored for one in pieces))


def read_head(stream: BinaryIO) -> tuple[bytes, int]:
    """Read the tag and the length of the next frame. Raises EOFError."""
    tag, length = _HEAD.unpack(read_exactly(stream, _HEAD.size))
    return tag, length


def read_frame(stream: BinaryIO) -> tuple[bytes, bytes]:
    """Read a whole frame. Raises EOFError."""
    tag, length = read_head(stream)
    return tag, read_exactly(stream, length)


def encode_json(value: object) -> bytes:
    """Return a document as a frame holds it."""
    return json.dumps(value).encode()


def read_json(data: bytes) -> Any:
    """Return the document of a frame."""
    return json.loads(data)


def unpack_new(data: bytes) -> list[NewPiece]:
    """Return what `send_new` was given, from the data of its frame."""
    at = _COUNT.size + _COUNT.unpack_from(data)[0] * _RECORD.size
    found = []
    for piece_id, raw, stored, codec in _RECORD.iter_unpack(memoryview(data)[_COUNT.size : at]):
        found.append(NewPiece(piece_id, raw, codec, data[at : at + stored]))  # a view would keep all of the frame
        at += stored
    return found


def read_exactly(stream: BinaryIO, count: int) -> bytes:
    """Read `count` bytes. Raises EOFError when the other side is gone."""
    data = stream.read(count)
    while len(data) < count:  # as much as there was
        more = stream.read(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


# Parent to child, while a database is restored in place: a piece that changes, and END after the last one.
CHANGE = b"C"
_CHANGE = struct.Struct("<I32s32s")


def send_change(
    write: Callable[[bytes | memoryview], object], number: int, old_id: bytes, new_id: bytes, data: bytes
) -> None:
    """Write what piece `number` will be, with its id and the id of what it is now; b"" where there is none."""
    send(write, CHANGE, _CHANGE.pack(number, old_id, new_id), data)


def unpack_change(data: bytes) -> tuple[int, bytes, bytes, memoryview]:
    """Return what `send_change` was given, from the data of its frame."""
    number, *ids = _CHANGE.unpack_from(data)
    old_id, new_id = (found if any(found) else b"" for found in ids)
    return number, old_id, new_id, memoryview(data)[_CHANGE.size :]
