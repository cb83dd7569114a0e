"""Work beside other work in a thread of its own, and much through pipes. Loads next to nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, TypeVar

_PIPE_BYTES = 1024 * 1024
_Result = TypeVar("_Result")


def widen_pipe(descriptor: int) -> None:
    """Let a pipe hold 1 MiB instead of 64 KiB, where that can be had: who writes is woken less often."""
    import fcntl

    with suppress(OSError, AttributeError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def move_bytes(source: BinaryIO, target: BinaryIO, count: int) -> int:
    """Move `count` bytes from an unbuffered pipe to a stream over another one; return how many did not come.

    Linux hands the pages of one pipe to the other, and copies nothing. Raises OSError.
    """
    target.flush()
    left = count
    try:
        while left and (moved := os.splice(source.fileno(), target.fileno(), left)):
            left -= moved
        return left
    except (AttributeError, OSError):  # other systems have it not, and some sandboxes refuse it
        if left < count:
            raise
    while count and (data := source.read(min(count, _PIPE_BYTES))):
        count -= len(data)
        target.write(data)
    return count


def in_background(function: Callable[[], _Result]) -> Callable[[], _Result]:
    """Start `function` in a thread; the callable that comes back waits for it and returns or raises what it did.

    It may be called again, also where a wait was interrupted: a thread of Python 3.11 whose join was interrupted counts
    as ended, and goes on.
    """
    from threading import Event, Thread  # 1 ms, and who only splits off has no other thread

    done: list[_Result] = []
    failed: list[BaseException] = []
    is_over = Event()

    def work() -> None:
        try:
            done.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks for the result
            failed.append(error)
        finally:
            is_over.set()

    thread = Thread(target=work, daemon=True)
    thread.start()

    def result() -> _Result:
        is_over.wait()
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    return result
