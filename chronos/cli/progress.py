"""A progress bar on standard error for work that takes more than a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PATIENCE_S = 1.0


class ProgressBar:
    """Called by the engine with (done, total); shows nothing during the first second, and rich is not imported."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()
        self._shown: tuple[Progress, TaskID] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Move the bar."""
        if self._shown is None:
            if time.monotonic() - self._start_s < _PATIENCE_S or done >= total:
                return
            self._shown = _open_bar()
        bar, task = self._shown
        bar.update(task, completed=done, total=total)

    def restart(self) -> None:
        """Count the second from now on: somebody was asked a question meanwhile."""
        self._start_s = time.monotonic()

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._shown is not None:
            self._shown[0].stop()
            self._shown = None


def _open_bar() -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("working", total=None)
    bar.start()
    return bar, task
