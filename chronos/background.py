"""Work in a thread, for what waits for disks and programs, or gives up the interpreter lock. Loads next to nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def in_background(function: Callable[[], _Result]) -> Callable[[], _Result]:
    """Start `function` in a thread; the callable that comes back waits for it and returns or raises what it did."""
    done: list[_Result] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            done.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks for the result
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def result() -> _Result:
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    return result
