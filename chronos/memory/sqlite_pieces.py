"""Cutting a database into pieces of 64 KiB in the child: read, hash, and send what the pool does not hold.

Workers take blocks of 4 MiB, of a small database of 1 MiB, and read 1 MiB at a time (less and more is slower).
New pieces are compressed here, so that the pipe carries a fifth of them: the whole 2 GB take 4 s so, and 7 s where the
parent compresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from typing import BinaryIO

from blake3 import blake3

from chronos.memory import sqlite_macs
from chronos.memory.sqlite_frames import HELD, ID_BYTES, PIECE_BYTES, NewPiece, send, send_new
from chronos.memory.sqlite_macs import MAC_BYTES, Macs, Name, name_plainly
from chronos.memory.sqlite_view import Pages
from chronos.memory.sqlite_workers import BLOCK_PIECES, Block, Piped, Work, Workers

_READ_PIECES = 16
_READ_BYTES = _READ_PIECES * PIECE_BYTES
_WORKERS = 2
# Pieces in which two copies of one database may differ: file versions, change counter, schema cookie,
# version-valid-for and the version of SQLite that wrote last.
_COUNTERS = ((18, 20), (24, 28), (40, 44), (92, 96), (96, 100))
_RUNS_AT_ONCE = 64

Encode = Callable[[memoryview], tuple[int, bytes]]


class Cutter:
    """Cuts and sends files; collects what identifies them all.

    `known` are the ids, back to back, of pieces that the pool holds: those that come again in the same place are sent
    as their ids. What comes again elsewhere is not looked for: whoever takes it in does. `make_encoder` gives a process
    what it compresses the others with; without it, their bytes are not sent either. `macs` tell of a database by what
    its known pieces can be recognised; `codes` are then those of what was cut.
    """

    def __init__(
        self, stream: BinaryIO, known: bytes = b"", make_encoder: Callable[[], Encode] | None = None,
        macs: Macs | None = None,
    ) -> None:  # fmt: skip
        self._stream = stream
        self._known = known
        self._make_encoder = make_encoder
        self._macs = macs
        self._identity = blake3()
        self._held: list[bytes] = []
        self.codes = bytearray()

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
            self._pass_reused(reused, last, first)
            for number, block in enumerate(self._blocks(pages, first, behind)):
                is_head = is_database and not first and not number
                self._identity.update(_head_digest(pages) + block.ids[ID_BYTES:] if is_head else block.ids)
                self._pass_block(block)
                if self._macs is not None:
                    self.codes += block.codes or bytes(len(block.ids) // ID_BYTES * MAC_BYTES)
            last = behind
        self._pass_reused(reused, last, -(-pages.size // PIECE_BYTES))
        self._flush()

    def _pass_block(self, block: Block) -> None:
        if not block.frames:
            self._hold(block.ids)
            return
        self._flush()
        if isinstance(block.frames, Piped):
            block.frames.pass_on(self._stream)
        else:
            self._stream.write(block.frames)

    def _pass_reused(self, reused: bytes, first: int, behind: int) -> None:
        ids = reused[ID_BYTES * first : ID_BYTES * behind]
        self._hold(ids)
        self._identity.update(ids)
        if self._macs is not None:
            self.codes += self._macs.within(first, first + len(ids) // ID_BYTES)

    def _hold(self, ids: bytes) -> None:
        if len(self._held) == _RUNS_AT_ONCE:
            self._flush()
        self._held.append(ids)

    def _flush(self) -> None:
        """Send what has been put off, so that there are few frames."""
        if ids := b"".join(self._held):
            send(self._stream.write, HELD, ids)
        self._held = []

    def _blocks(self, pages: Pages, first: int, behind: int) -> Iterator[Block]:
        """Yield the pieces of a range in order, read by workers where that pays and they can be had."""
        is_large = behind - first >= 4 * _WORKERS * BLOCK_PIECES
        step = BLOCK_PIECES if is_large else _READ_PIECES  # of few large blocks one worker would have more than others
        macs = self._macs if (behind - first) * PIECE_BYTES >= sqlite_macs.LEAST_BYTES else None
        starts, work = range(first, behind, step), self._work_on(pages, behind, step, macs)
        workers = None
        if len(starts) >= 2 * _WORKERS:
            with suppress(OSError):  # then this process does their work
                workers = Workers(work, starts, _WORKERS)
        try:
            for number, start in enumerate(starts):
                yield workers.take(number) if workers is not None else work(start)
        finally:
            if workers is not None:
                workers.stop()

    def _work_on(self, pages: Pages, behind: int, step: int, macs: Macs | None) -> Work:
        """Return the function with which one process reads, hashes and compresses a block of `step` pieces."""
        encode: Encode | None = None
        name: Name | None = None  # what it needs is loaded in each process, at the same time
        held = set[bytes]()  # what was there where something has changed, and what was sent
        # One and the same buffer, which stays in the processor's cache.
        buffer = memoryview(bytearray(_READ_BYTES))

        def work(start: int) -> Block:
            nonlocal encode, name
            name = name or (macs.make_namer() if macs is not None else name_plainly)
            end = min((start + step) * PIECE_BYTES, behind * PIECE_BYTES, pages.size)
            found, found_codes, frames, has_new = bytearray(), bytearray(), list[bytes | memoryview](), False
            for offset in range(start * PIECE_BYTES, end, _READ_BYTES):
                length = min(_READ_BYTES, end - offset)
                pages.read_into(buffer[:length], offset)
                pieces = [buffer[at : min(at + PIECE_BYTES, length)] for at in range(0, length, PIECE_BYTES)]
                first, count = offset // PIECE_BYTES, len(pieces)
                before = self._known[first * ID_BYTES : (first + count) * ID_BYTES]
                run, codes = name(pieces, before, macs.within(first, first + count) if macs is not None else b"")
                found += run
                found_codes += codes
                if self._make_encoder is None or run == before:
                    send(frames.append, HELD, run)
                    continue
                has_new, encode = True, encode or self._make_encoder()
                held.update(before[at : at + ID_BYTES] for at in range(0, len(before), ID_BYTES))
                ids = [run[at : at + ID_BYTES] for at in range(0, len(run), ID_BYTES)]
                _send_pieces(frames.append, ids, pieces, held, encode)
            return Block(bytes(found), b"".join(frames) if has_new else b"", bytes(found_codes))

        return work


def _send_pieces(
    write: Callable[[bytes | memoryview], object], ids: list[bytes], pieces: list[memoryview], held: set[bytes],
    encode: Encode,
) -> None:  # fmt: skip
    """Send pieces in order: of those that are held their ids; the others are held from then on."""
    for is_held, run in groupby(zip(ids, pieces, strict=True), lambda one: one[0] in held):
        if is_held:
            send(write, HELD, b"".join([piece_id for piece_id, _ in run]))
        else:
            send_new(write, [NewPiece(piece_id, len(piece), *encode(piece)) for piece_id, piece in run])
    held.update(ids)


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


def _head_digest(pages: Pages) -> bytes:
    head = memoryview(bytearray(min(PIECE_BYTES, pages.size)))
    pages.read_into(head, 0)
    return _digest_without_counters(head)


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
