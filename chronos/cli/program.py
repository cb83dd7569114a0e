"""The tree of commands, and running a line of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from chronos import __version__
from chronos.cli import output
from chronos.cli.declaring import Command, Group, Modules, Option
from chronos.cli.reading import read_line
from chronos.cli.session import Session

PROGRAM = "chrono"
# In the order of the help text: in which module of this room each command is.
_VERBS = {
    "init": "store", "status": "store", "log": "history", "restore": "checkpoint", "undo": "history", "redo": "history",
    "revert": "merging", "conflicts": "merging", "resolve": "merging", "doctor": "store", "verify": "store",
    "recover": "store", "run": "guarding", "update": "guarding", "watch": "watching",
    "gc": "space", "du": "space", "mcp": "mcp", "completion": "completion", "_complete": "completion",
}  # fmt: skip
_GROUPS = ("checkpoint", "timeline", "memory", "risk", "lessons", "bisect", "agent")


def _begin(
    session: Session,
    root: Annotated[
        Path | None,
        Option("--root", metavar="DIR", show_default=False, help="Work in this folder, not the current one."),
    ] = None,
    version: Annotated[bool, Option("--version", help="Print the version.")] = False,
) -> bool:
    """Take what comes before the name of a command, and return whether that was all that was asked for."""
    session.root = root
    if version:
        session.show(__version__, lambda found: {"version": found}, lambda found: output.write(f"{PROGRAM} {found}"))
    return version


BEGIN = Command(PROGRAM, _begin)
COMMANDS = Group(
    "Checkpoints of a working tree: take one in a blink, restore any of them, undo everything.",
    Modules(_VERBS, _GROUPS),
)


def run_program(words: list[str]) -> int:
    """Run a command line and return its exit code. Raises ChronosError, also for a wrong command line."""
    session = Session()
    with suppress(output.ReaderGoneError):
        line = read_line(BEGIN, COMMANDS, words)
        if line is None:
            from chronos.cli.typer_tree import run_with_typer

            run_with_typer(BEGIN, COMMANDS, words, session)
        elif not BEGIN.run(session, line.own):
            line.command.run(session, line.values)
    return session.code
