"""`chrono watch`: checkpoints by themselves, after each burst of changes."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from chronos.cli import guard_report, output
from chronos.cli.declaring import Group, Option
from chronos.cli.session import Session
from chronos.errors import UsageError
from chronos.files import display

app = Group()
_MOST_DIGITS = 9


@app.command()
def watch(
    session: Session,
    settle: Annotated[float, Option("--settle", metavar="S", help="Seconds without a change that end a burst.")] = 2.0,
    every: Annotated[
        float, Option("--every", metavar="S", help="Seconds at least from one checkpoint to the next.")
    ] = 10.0,
    quota: Annotated[str, Option("--quota", metavar="N/h", help="At most so many checkpoints in an hour.")] = "60/h",
) -> None:
    """Take a checkpoint after each burst of changes, made by whatever tool, until Ctrl-C.

    Git's own files, ignored ones and states that the newest checkpoint has already count for nothing. What is pending
    at the end is held by a last checkpoint. With --json each event is one line.
    """
    from historian.guard import Pace

    pace = Pace(settle, every, _quota(quota))
    with session.historian() as historian, _until_signal() as stop:
        for found in historian.watch(pace, stop=stop):
            if session.as_json:
                output.write(json.dumps(guard_report.watched_document(found)))
                output.finish()
            else:
                guard_report.watched(found)


def _quota(text: str) -> int:
    number = text.strip().removesuffix("/h")
    if not number.isdecimal() or len(number) > _MOST_DIGITS:
        shown = display(text[:60])
        raise UsageError(f"--quota '{shown}' is no number of checkpoints in an hour", hint="such as 60 or 60/h")
    return int(number)


@contextmanager
def _until_signal() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C or SIGTERM sets; the second of them ends at once what is being done."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def end(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, before[number])

    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, end)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
