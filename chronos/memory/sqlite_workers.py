"""Processes that the child forks to share its reading: each takes the next block of a database that none has yet.

Threads would wait for the interpreter lock twice a piece (measured on two cores for 2 GB in memory: 0.45 s with two
threads, 0.36 s with two processes). With every second block for each, one of them was done 80 ms before the other in
most runs: whoever passes on what they find, and all else on the machine, takes its time from one of them.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import BinaryIO, NamedTuple, NoReturn, TypeAlias

from chronos.background import move_bytes, widen_pipe
from chronos.memory.sqlite_frames import ID_BYTES, encode_json, read_exactly, read_json
from chronos.memory.sqlite_macs import MAC_BYTES
from chronos.memory.sqlite_view import MovedError

BLOCK_PIECES = 64
# Of a fixed length, so that one read takes it and nothing behind it: the number of the block, or what else it is; how
# long ids, codes and what follows are; the ids; the codes.
_HEAD = struct.Struct(f"<qIIQ{BLOCK_PIECES * ID_BYTES}s{BLOCK_PIECES * MAC_BYTES}s")
_DONE, _FAILED = -1, -2
_TURN = struct.Struct("<q")


class Piped(NamedTuple):
    """Bytes that still are in the pipe of a worker."""

    pipe: BinaryIO
    length: int

    def pass_on(self, stream: BinaryIO) -> None:
        """Write them to a buffered stream. Raises OSError, RuntimeError when the worker ended in their midst."""
        if move_bytes(self.pipe, stream, self.length):
            raise _early_end()


class Block(NamedTuple):
    """Some consecutive pieces: the ids of all, back to back, and the frames to send where not all of them are held.

    With `codes` (see sqlite_macs) where they were computed.
    """

    ids: bytes
    frames: bytes | Piped = b""
    codes: bytes = b""


# Returns the block that begins with a piece. Raises MovedError, OSError.
Work: TypeAlias = Callable[[int], Block]


class Workers:
    """At most `count` processes that work on the blocks that begin with `starts`, until `stop`.

    Raises OSError when there can be no other process.
    """

    def __init__(self, work: Work, starts: Sequence[int], count: int) -> None:
        self._workers: list[_Worker] = []
        self._ready: dict[int, tuple[Block, _Worker]] = {}
        self._silent: dict[int, _Worker] = {}  # by descriptor: those of which the next block is still to be heard
        self._poll = select.poll()
        with _Turns() as turns:
            try:
                for _ in range(count):
                    self._workers.append(_Worker(work, starts, turns))
                    self._wait_for(self._workers[-1])
            except OSError:
                if not self._workers:
                    raise

    def take(self, number: int) -> Block:
        """Return the block with the next number; its frames have to be passed on before the one after it.

        Raises MovedError and OSError as the work on any block did, RuntimeError after a kill.
        """
        while number not in self._ready:
            if not self._silent:
                raise _early_end()
            for descriptor, _ in self._poll.poll():
                self._poll.unregister(descriptor)
                worker = self._silent.pop(descriptor)
                if (heard := worker.hear()) is not None:
                    found, block = heard
                    self._ready[found] = block, worker
        block, worker = self._ready.pop(number)
        self._wait_for(worker)
        return block

    def stop(self) -> None:
        """End them, however much they have left."""
        for worker in self._workers:
            worker.stop()

    def _wait_for(self, worker: _Worker) -> None:
        self._silent[worker.descriptor] = worker
        self._poll.register(worker.descriptor, select.POLLIN)


class _Turns:
    """Gives every number once, to whichever process asks first: the next one lies in a pipe."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.write(self._writing, _TURN.pack(0))

    def __enter__(self) -> _Turns:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reading)
        os.close(self._writing)

    def take(self) -> int:
        """Return the next number, which nobody else gets."""
        (number,) = _TURN.unpack(os.read(self._reading, _TURN.size))
        os.write(self._writing, _TURN.pack(number + 1))
        return int(number)


class _Worker:
    """One process. Raises OSError when there can be no other."""

    def __init__(self, work: Work, starts: Sequence[int], turns: _Turns) -> None:
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
            _work(work, starts, turns, writing)
        os.close(writing)
        self.descriptor = reading
        self._blocks = open(reading, "rb", 0)  # noqa: SIM115 - closed by stop

    def hear(self) -> tuple[int, Block] | None:
        """Wait for its next block and return that with its number, or None when there is no more. Raises as `take`."""
        try:
            number, *lengths, ids, codes = _HEAD.unpack(read_exactly(self._blocks, _HEAD.size))
            id_bytes, code_bytes, length = lengths
            if number == _FAILED:
                told = read_json(read_exactly(self._blocks, length))
                raise MovedError if told is None else OSError(*told)
        except EOFError:
            raise _early_end() from None
        if number == _DONE:
            return None
        frames = Piped(self._blocks, length) if length else b""
        return number, Block(ids[:id_bytes], frames, codes[:code_bytes])

    def stop(self) -> None:
        """End the process, however much it has left."""
        self._blocks.close()
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        with suppress(ChildProcessError):  # whoever started us had SIGCHLD ignored: the system has waited for it
            os.waitpid(self._process, 0)


def _early_end() -> RuntimeError:
    return RuntimeError("a process that read the database ended early")


def _work(work: Work, starts: Sequence[int], turns: _Turns, writing: int) -> NoReturn:
    """Be the process of a worker: whoever waits for the end of the child's output does not wait for this one."""
    try:
        for standard in (0, 1):
            os.close(standard)
        with open(writing, "wb") as stream:
            _write_blocks(work, starts, turns, stream)
    except BrokenPipeError:  # nobody waits for more
        pass
    except BaseException:  # noqa: BLE001 - the parent says that this process ended early; here is why
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _write_blocks(work: Work, starts: Sequence[int], turns: _Turns, stream: BinaryIO) -> None:
    try:
        while (number := turns.take()) < len(starts):
            ids, frames, codes = work(starts[number])
            assert isinstance(frames, bytes)
            stream.write(_HEAD.pack(number, len(ids), len(codes), len(frames), ids, codes))
            stream.write(frames)
            stream.flush()
        stream.write(_HEAD.pack(_DONE, 0, 0, 0, b"", b""))
    except MovedError:
        _write_failure(stream, None)
    except BrokenPipeError:
        raise
    except OSError as cause:
        _write_failure(stream, [cause.errno, cause.strerror])


def _write_failure(stream: BinaryIO, told: object) -> None:
    data = encode_json(told)
    stream.write(_HEAD.pack(_FAILED, 0, 0, len(data), b"", b"") + data)
