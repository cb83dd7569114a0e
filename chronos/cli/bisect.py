"""`chrono bisect`: the first checkpoint at which a command fails."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

from chronos.cli import bisect_report
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.options import MOST, Timeline
from chronos.cli.session import Session

app = Group("Find the checkpoint that broke something.")


@app.command(is_verbatim=True)
def run(
    session: Session,
    command: Annotated[list[str], Argument(metavar="-- CMD", show_default=False, help="What to try.")],
    good: Annotated[
        str | None,
        Option("--from", metavar="ID", show_default="the newest that passed", help="A checkpoint that is good."),
    ] = None,
    bad: Annotated[
        str | None, Option("--to", metavar="ID", show_default="the newest", help="A later one that is bad.")
    ] = None,
    timeline: Timeline = None,
    jobs: Annotated[int, Option("--jobs", "-j", metavar="N", min=1, max=MOST, help="Try so many at once.")] = 1,
    check_ends: Annotated[bool, Option("--check-ends", help="Try both ends, though they are known.")] = False,
    no_verdicts: Annotated[bool, Option("--no-verdicts", help="Store no verdict on what is tried.")] = False,
    reuse: Annotated[bool, Option("--reuse", help="Believe earlier verdicts of this very command.")] = False,
    seed: Annotated[
        list[str] | None,
        Option(
            "--seed", metavar="PATTERN", show_default=False,
            help="Copy ignored files of this tree that this pattern names into each tried one; repeatable.",
        ),
    ] = None,
    keep: Annotated[bool, Option("--keep", help="Branch a timeline from what is found, to look at.")] = False,
) -> None:  # fmt: skip
    """Find the first checkpoint at which a command fails, between a good one and a bad one.

    Each is tried in a throw-away working tree with its own memory; this one, its branch and its memory are not touched.
    The command ends with 0 for good, 125 for what cannot be tried, and up to 127 for bad, as with `git bisect run`.
    Ends with 1 when a checkpoint is found, with 0 when nothing fails.
    """
    from chronos.app import open_historian
    from historian.bisecting import Request

    request = Request(
        tuple(command[command[0] == "--" :]), good, bad, timeline, jobs, check_ends, not no_verdicts, reuse,
        tuple(seed or ()), keep,
    )  # fmt: skip
    with _ended_in_order(), session.engine() as engine, open_historian(engine=engine) as historian:
        found = historian.bisect(request, None if session.as_json else bisect_report.progress)
        session.show(found, bisect_report.document, bisect_report.view)
        if found.first_bad is not None:
            session.found_something()


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the block as an error does, so that no command is left running."""
    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)
