"""Processes that the child forks to share its reading: each works on every n-th block of a database.

Threads would wait for the interpreter lock twice a piece (measured on two cores for 2 GB in memory: 0.45 s with two
threads, 0.36 s with two processes).
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import BinaryIO, NamedTuple, TypeAlias

from chronos.background import move_bytes, widen_pipe
from chronos.memory.sqlite_frames import ID_BYTES, encode_json, read_exactly, read_json
from chronos.memory.sqlite_view import MovedError

BLOCK_PIECES = 64
# Of a fixed length, so that one read takes it and nothing behind it: how long the ids are, or none after a failure; how
# long is what follows; the ids.
_HEAD = struct.Struct(f"<iQ{BLOCK_PIECES * ID_BYTES}s")
_FAILED = -1
# Returns ids and frames (see Block) of the block that begins with a piece. Raises MovedError, OSError.
Work: TypeAlias = Callable[[int], tuple[bytes, bytes]]


class Piped(NamedTuple):
    """Bytes that still are in the pipe of a worker."""

    pipe: BinaryIO
    length: int

    def pass_on(self, stream: BinaryIO) -> None:
        """Write them to a buffered stream. Raises OSError, RuntimeError when the worker ended in their midst."""
        if move_bytes(self.pipe, stream, self.length):
            raise _early_end()


class Block(NamedTuple):
    """Some consecutive pieces: the ids of all, back to back, and the frames to send where not all of them are held."""

    ids: bytes
    frames: bytes | Piped = b""


class Worker:
    """A process that works on some blocks, in order. Raises OSError when there can be no other process."""

    def __init__(self, work: Work, starts: Iterable[int]) -> None:
        reading, writing = os.pipe()
        try:
            self._process = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if not self._process:
            os.close(reading)
            widen_pipe(writing)
            _work(work, starts, writing)
        os.close(writing)
        self._blocks = open(reading, "rb", 0)  # noqa: SIM115 - closed by stop

    def take(self) -> Block:
        """Return the next block; its frames have to be passed on before the one after it.

        Raises MovedError and OSError as the work on it did, RuntimeError after a kill.
        """
        try:
            count, length, ids = _HEAD.unpack(read_exactly(self._blocks, _HEAD.size))
            if count == _FAILED:
                told = read_json(read_exactly(self._blocks, length))
                raise MovedError if told is None else OSError(*told)
        except EOFError:
            raise _early_end() from None
        return Block(ids[:count], Piped(self._blocks, length) if length else b"")

    def stop(self) -> None:
        """End the process, however much it has left."""
        self._blocks.close()
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def _early_end() -> RuntimeError:
    return RuntimeError("a process that read the database ended early")


def _work(work: Work, starts: Iterable[int], writing: int) -> None:
    """Be the process of a worker: whoever waits for the end of the child's output does not wait for this one."""
    try:
        for standard in (0, 1):
            os.close(standard)
        with open(writing, "wb") as stream:
            _write_blocks(work, starts, stream)
    except BrokenPipeError:  # nobody waits for more
        pass
    except BaseException:  # noqa: BLE001 - the parent says that this process ended early; here is why
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _write_blocks(work: Work, starts: Iterable[int], stream: BinaryIO) -> None:
    try:
        for start in starts:
            ids, frames = work(start)
            stream.write(_HEAD.pack(len(ids), len(frames), ids))
            stream.write(frames)
            stream.flush()
    except MovedError:
        _write_failure(stream, None)
    except BrokenPipeError:
        raise
    except OSError as cause:
        _write_failure(stream, [cause.errno, cause.strerror])


def _write_failure(stream: BinaryIO, told: object) -> None:
    data = encode_json(told)
    stream.write(_HEAD.pack(_FAILED, len(data), b"") + data)
