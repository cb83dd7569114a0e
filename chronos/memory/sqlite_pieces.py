"""Cutting a database into pieces of 64 KiB in the child: read, hash, and send what the pool does not hold.

Reading and hashing give up the interpreter lock, so two threads take turns at blocks of 1 MiB (measured on two cores
for 2 GB in memory: 0.49 s with one thread, 0.27 s with two; smaller and larger blocks are slower).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import NamedTuple

from blake3 import blake3

from chronos.memory.sqlite_frames import ID_BYTES, PIECE_BYTES, send_pieces
from chronos.memory.sqlite_view import Pages

_BLOCK_PIECES = 16
_BLOCK_BYTES = _BLOCK_PIECES * PIECE_BYTES
_THREADS = 2
_BLOCKS_AHEAD = 3
# Those ahead, one that is being read and one in the hands of whoever took it.
_BUFFERS = _BLOCKS_AHEAD + 2
# Pieces in which two copies of one database may differ: file versions, change counter, schema cookie,
# version-valid-for and the version of SQLite that wrote last.
_COUNTERS = ((18, 20), (24, 28), (40, 44), (92, 96), (96, 100))
_REUSED_AT_ONCE = 4096


class Block(NamedTuple):
    """Some consecutive pieces: the first one's number, their ids and, where they were kept, their bytes."""

    first: int
    ids: bytes
    data: memoryview


class Cutter:
    """Cuts and sends files; collects what identifies them all.

    `known` are pieces that the pool holds, which are sent without their bytes, as all are unless `wants_bytes`.
    """

    def __init__(self, write: Callable[[bytes | memoryview], object], known: set[bytes], wants_bytes: bool) -> None:
        self._write = write
        self._known = known
        self._wants_bytes = wants_bytes
        self._identity = blake3()

    def identity(self) -> str:
        """Return what identifies all that was cut so far."""
        return self._identity.hexdigest()

    def cut(self, part: bytes, pages: Pages, *, is_database: bool, reused: bytes = b"") -> None:
        """Cut a file. `reused` are the ids of its pieces where nothing has changed outside of overlaid pages.

        Raises MovedError, OSError.
        """
        self._identity.update(b"%s\0%d\0" % (part, pages.size))
        last = 0
        for first, behind in _runs(pages, reused):
            self._send_reused(reused, last, first)
            for block in _blocks(pages, first, behind):
                self._send_block(block, is_database)
            last = behind
        self._send_reused(reused, last, -(-pages.size // PIECE_BYTES))

    def _send_block(self, block: Block, is_database: bool) -> None:
        ids, pieces = block.ids, []
        for start in range(0, len(ids), ID_BYTES):
            chunk_id = ids[start : start + ID_BYTES]
            at = start // ID_BYTES * PIECE_BYTES
            is_new = self._wants_bytes and chunk_id not in self._known
            pieces.append(block.data[at : at + PIECE_BYTES] if is_new else None)
            self._known.add(chunk_id)
        send_pieces(self._write, ids, pieces)
        if is_database and block.first == 0:
            self._identity.update(_digest_without_counters(block.data[:PIECE_BYTES]))
            ids = ids[ID_BYTES:]
        self._identity.update(ids)

    def _send_reused(self, reused: bytes, first: int, behind: int) -> None:
        for start in range(first, behind, _REUSED_AT_ONCE):
            ids = reused[ID_BYTES * start : ID_BYTES * min(start + _REUSED_AT_ONCE, behind)]
            send_pieces(self._write, ids)
            self._identity.update(ids)


def _runs(pages: Pages, reused: bytes) -> Iterator[tuple[int, int]]:
    """Yield the ranges of pieces that have to be read: all, or those of overlaid pages, the first and the last ones."""
    count, usable = -(-pages.size // PIECE_BYTES), min(len(reused) // ID_BYTES, pages.size // PIECE_BYTES)
    first = None
    for piece in range(count):
        if piece == 0 or piece >= usable or pages.pages_within(piece * PIECE_BYTES, PIECE_BYTES):
            first = piece if first is None else first
        elif first is not None:
            yield first, piece
            first = None
    if first is not None:
        yield first, count


def _blocks(pages: Pages, first: int, behind: int) -> Iterator[Block]:
    """Yield the pieces of a range in order, read and hashed by threads where that pays.

    The bytes of a block are good until the next one is asked for.
    """
    starts = range(first, behind, _BLOCK_PIECES)
    if len(starts) < 2 * _THREADS:
        buffer = bytearray(_BLOCK_BYTES)
        for start in starts:
            yield _read(pages, start, behind, buffer)
        return
    lanes = [_Lane(pages, starts[number::_THREADS], behind) for number in range(_THREADS)]
    try:
        for number in range(len(starts)):
            yield lanes[number % _THREADS].take()
    finally:
        for lane in lanes:
            lane.stop()


def _read(pages: Pages, start: int, behind: int, buffer: bytearray) -> Block:
    offset = start * PIECE_BYTES
    length = min(_BLOCK_BYTES, behind * PIECE_BYTES - offset, pages.size - offset)
    view = memoryview(buffer)[:length]
    pages.read_into(view, offset)
    ids = b"".join(blake3(view[at : at + PIECE_BYTES]).digest() for at in range(0, length, PIECE_BYTES))
    return Block(start, ids, view)


class _Lane:
    """A thread that reads every n-th block, a few ahead of whoever takes them."""

    def __init__(self, pages: Pages, starts: range, behind: int) -> None:
        self._ready: Queue[Block | BaseException] = Queue(_BLOCKS_AHEAD)
        self._is_stopped = False
        self._work = (pages, starts, behind)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def take(self) -> Block:
        """Return the next block. Raises what reading it raised."""
        found = self._ready.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def stop(self) -> None:
        """End the thread, however much it has left: the descriptors that it reads are about to be closed."""
        self._is_stopped = True
        while self._thread.is_alive():
            while not self._ready.empty():
                self._ready.get_nowait()
            self._thread.join(0.01)

    def _run(self) -> None:
        pages, starts, behind = self._work
        try:
            buffers = [bytearray(_BLOCK_BYTES) for _ in range(_BUFFERS)]
            for number, start in enumerate(starts):
                if self._is_stopped:
                    return
                self._ready.put(_read(pages, start, behind, buffers[number % _BUFFERS]))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes the block
            self._ready.put(error)


def _digest_without_counters(piece: memoryview) -> bytes:
    data = bytearray(piece)
    for start, behind in _COUNTERS:
        data[start:behind] = bytes(len(data[start:behind]))
    return blake3(data).digest()


def identify(size: int, first: bytes, ids: bytes | bytearray) -> str:
    """Return the identity of a database of one file, as a Cutter has it, from its first piece and the ids of all."""
    identity = blake3(b"\0%d\0" % size)
    if ids:
        identity.update(_digest_without_counters(memoryview(first)))
    return identity.update(ids[ID_BYTES:]).hexdigest()
