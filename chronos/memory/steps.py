"""Changes that go side by side: each pauses where what it wrote must be durable, and one sync serves all of them.

A change is a generator. What it yields is a pause: the folders whose file systems must be synced before it goes on,
and whether it is decided and has to be brought to its end. One that is closed at an earlier pause takes itself back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from chronos.files import sync_file_system, translate_os_errors

T = TypeVar("T")


class Pause(NamedTuple):
    """Where a change waits."""

    folders: tuple[Path, ...]
    is_decided: bool = False


Steps: TypeAlias = Generator[Pause, None, T]


def carry_out(changes: Iterable[Steps[T]], note: Callable[[T], None]) -> None:
    """Carry all changes out; `note` is told what each that came to its end returns.

    When one fails, those that are decided come to their end, and the others take themselves back. When a sync fails,
    what is decided stays on its way: a second one could succeed with bytes lost (fsync(2), "EIO").
    """
    waiting: dict[Steps[T], Pause | None] = dict.fromkeys(changes)
    try:
        while waiting:
            try:
                _advance(waiting, note)
            except BaseException:
                _close(waiting)
                while waiting:
                    _advance(waiting, note)
                    _sync(waiting.values())
                raise
            _sync(waiting.values())
    finally:
        _close(waiting)


def carry_out_one(change: Steps[T]) -> T:
    """Carry one change out; return what it returns."""
    ended: list[T] = []
    carry_out([change], ended.append)
    return ended[0]


def _advance(waiting: dict[Steps[T], Pause | None], note: Callable[[T], None]) -> None:
    """Let each go on to its next pause; one that fails or ends waits no more."""
    for steps in list(waiting):
        del waiting[steps]
        try:
            waiting[steps] = next(steps)
        except StopIteration as end:
            note(end.value)


def _close(waiting: dict[Steps[T], Pause | None]) -> None:
    for steps, pause in list(waiting.items()):
        if pause is None or not pause.is_decided:
            del waiting[steps]
            steps.close()


def _sync(pauses: Iterable[Pause | None]) -> None:
    """Sync each file system once."""
    folders = {folder for pause in pauses if pause is not None for folder in pause.folders}
    with translate_os_errors("cannot sync what was changed"):
        devices = {os.stat(folder).st_dev: folder for folder in sorted(folders, reverse=True)}
    for folder in devices.values():
        sync_file_system(folder)
