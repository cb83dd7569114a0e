"""Cutting a database into pieces of 64 KiB in the child: read, hash, and send what the pool does not hold.

Reading, hashing and compressing give up the interpreter lock, so two threads take turns at blocks of 1 MiB (measured on
two cores for 2 GB in memory: 0.49 s with one thread, 0.27 s with two; smaller and larger blocks are slower). New pieces
are compressed here, so that the pipe carries a fifth of them: the whole 2 GB take 4 s so, and 7 s where the parent
compresses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import NamedTuple

from blake3 import blake3

from chronos.memory.sqlite_frames import HELD, ID_BYTES, PIECE_BYTES, NewPiece, send, send_new
from chronos.memory.sqlite_view import Pages

_BLOCK_PIECES = 16
_BLOCK_BYTES = _BLOCK_PIECES * PIECE_BYTES
_THREADS = 2
_BLOCKS_AHEAD = 3
# Pieces in which two copies of one database may differ: file versions, change counter, schema cookie,
# version-valid-for and the version of SQLite that wrote last.
_COUNTERS = ((18, 20), (24, 28), (40, 44), (92, 96), (96, 100))
_RUNS_AT_ONCE = 64

Encode = Callable[[memoryview], tuple[int, bytes]]


class Block(NamedTuple):
    """Some consecutive pieces: their ids, those to send (None: held), and what identifies them."""

    ids: bytes
    new: list[NewPiece | None]
    identity: bytes


class Cutter:
    """Cuts and sends files; collects what identifies them all.

    `known` are pieces that the pool holds, which are sent as their ids. `make_encoder` gives a thread what it
    compresses the others with; without it, their bytes are not sent either.
    """

    def __init__(
        self,
        write: Callable[[bytes | memoryview], object],
        known: set[bytes],
        make_encoder: Callable[[], Encode] | None = None,
    ) -> None:
        self._write = write
        self._known = known
        self._make_encoder = make_encoder
        self._identity = blake3()
        self._held: list[bytes] = []
        self._new: list[NewPiece] = []

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
            self._pass_held(reused[ID_BYTES * last : ID_BYTES * first])
            for block in self._blocks(pages, first, behind, is_database):
                self._pass_block(block)
            last = behind
        self._pass_held(reused[ID_BYTES * last : ID_BYTES * -(-pages.size // PIECE_BYTES)])
        self._flush()

    def _pass_block(self, block: Block) -> None:
        self._identity.update(block.identity)
        if not block.new:
            self._hold(block.ids)
        for number, piece in enumerate(block.new):
            if piece is None or piece.id in self._known:
                self._hold(block.ids[ID_BYTES * number : ID_BYTES * (number + 1)])
            else:
                self._bring(piece)

    def _pass_held(self, ids: bytes) -> None:
        self._hold(ids)
        self._identity.update(ids)

    def _hold(self, ids: bytes) -> None:
        if self._new or len(self._held) == _RUNS_AT_ONCE:
            self._flush()
        self._held.append(ids)

    def _bring(self, piece: NewPiece) -> None:
        if self._held or len(self._new) == _RUNS_AT_ONCE:
            self._flush()
        self._new.append(piece)
        self._known.add(piece.id)

    def _flush(self) -> None:
        """Send what has been put off, so that there are few frames."""
        if ids := b"".join(self._held):
            send(self._write, HELD, ids)
        if self._new:
            send_new(self._write, self._new)
        self._held, self._new = [], []

    def _blocks(self, pages: Pages, first: int, behind: int, is_database: bool) -> Iterator[Block]:
        """Yield the pieces of a range in order, worked on by threads where that pays."""
        starts = range(first, behind, _BLOCK_PIECES)
        if len(starts) < 2 * _THREADS:
            work = self._worker(pages, behind, is_database)
            yield from map(work, starts)
            return
        lanes = [
            _Lane(self._worker(pages, behind, is_database), starts[number::_THREADS]) for number in range(_THREADS)
        ]
        try:
            for number in range(len(starts)):
                yield lanes[number % _THREADS].take()
        finally:
            for lane in lanes:
                lane.stop()

    def _worker(self, pages: Pages, behind: int, is_database: bool) -> Callable[[int], Block]:
        """Return the function with which one thread reads, hashes and compresses a block."""
        encode: Encode | None = None
        # One and the same buffer, which stays in the processor's cache.
        buffer = memoryview(bytearray(_BLOCK_BYTES))

        def work(start: int) -> Block:
            nonlocal encode
            offset = start * PIECE_BYTES
            length = min(_BLOCK_BYTES, behind * PIECE_BYTES - offset, pages.size - offset)
            pages.read_into(buffer[:length], offset)
            pieces = [buffer[at : min(at + PIECE_BYTES, length)] for at in range(0, length, PIECE_BYTES)]
            ids = [blake3(piece).digest() for piece in pieces]
            new: list[NewPiece | None] = []
            if self._make_encoder is not None and not self._known.issuperset(ids):
                encode = encode or self._make_encoder()
                for piece_id, piece in zip(ids, pieces, strict=True):
                    is_held = piece_id in self._known
                    new.append(None if is_held else NewPiece(piece_id, len(piece), *encode(piece)))
            identity = [_digest_without_counters(pieces[0]), *ids[1:]] if is_database and start == 0 else ids
            return Block(b"".join(ids), new, b"".join(identity))

        return work


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


class _Lane:
    """A thread that works on every n-th block, a few ahead of whoever takes them."""

    def __init__(self, work: Callable[[int], Block], starts: range) -> None:
        self._ready: Queue[Block | BaseException] = Queue(_BLOCKS_AHEAD)
        self._is_stopped = False
        self._work, self._starts = work, starts
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def take(self) -> Block:
        """Return the next block. Raises what the work on it raised."""
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
        try:
            for start in self._starts:
                if self._is_stopped:
                    return
                self._ready.put(self._work(start))
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
