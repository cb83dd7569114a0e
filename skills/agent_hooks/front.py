"""The front door of `chrono-hook`: reads one event, answers it, and ends with 0 whatever happened.

Here is the one `except Exception` of this interface. An event that needs nothing is answered before anything of the
engine or the historian is loaded.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO, NamedTuple, NoReturn

from chronos import __version__
from chronos.lazy import OBJECTS_PER_COLLECTION, load_msgspec
from skills.agent_hooks.agents import AGENTS, Decision, Moment, answer, find_call, find_moment
from skills.agent_hooks.events import LARGEST_BYTES, Event, find_folder, parse_event
from skills.agent_hooks.reading import only_reads

_INTERRUPTED = 130
_LONGEST_MESSAGE = 600
_USAGE = f"""\
usage: chrono-hook [--event NAME] AGENT

Reads one hook event of a coding agent (JSON) on standard input, takes the checkpoint that it asks for, and answers in
the agent's own form. `chrono agent install AGENT` sets it up.

  AGENT         one of {", ".join(AGENTS)}
  --event NAME  which event it is, where its payload does not say
  --version     show the version and end
  --help        show this and end
"""


class Said(NamedTuple):
    """What goes to standard output, for the agent, and to standard error, for people."""

    output: str = ""
    errors: str = ""


def run() -> NoReturn:
    """Be the process `chrono-hook`: answer one event and end.

    All that is open has been closed by then, and taking the interpreter down object by object would cost 15 ms more.
    """
    from chronos.forking import claim_process, split_off

    claim_process()
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    code = 0
    try:
        said = main(sys.argv[1:], sys.stdin.buffer if sys.stdin is not None else None, os.environ, split_off)
        for stream, text in ((sys.stdout, said.output), (sys.stderr, said.errors)):
            with suppress(OSError, ValueError, AttributeError):  # closed, from the start or meanwhile
                stream.buffer.write(text.encode("utf-8", "replace"))
                stream.flush()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    os._exit(code)


def main(
    arguments: Sequence[str], source: BinaryIO | None, environment: Mapping[str, str], detach: Callable[[], bool]
) -> Said:
    """Answer the event that can be read from `source`; see `chronos.forking.split_off` for `detach`."""
    words = list(arguments)
    if words in (["--version"], ["--help"], ["-h"]):
        return Said(f"chrono-hook {__version__}\n" if words == ["--version"] else _USAGE)
    named = ""
    if "--event" in words[:-1]:
        place = words.index("--event")
        named = words[place + 1]
        del words[place : place + 2]
    if len(words) != 1 or words[0] not in AGENTS:
        return _warn(f"which agent? known: {', '.join(AGENTS)} (see chrono-hook --help)")
    agent, data, problem = words[0], b"", ""
    try:
        data = _read(source)
        event = parse_event(agent, data, named)
        if event.moment is None:
            problem = f"{agent} has no event {event.name[:60]!r} that we know"
    except (ValueError, RecursionError, OSError) as cause:
        problem = f"this event cannot be read: {cause}"
    if problem:
        moment = find_moment(agent, named)
        name = find_call(agent, data) if moment is None else named if moment is Moment.TOOL else ""
        return _answer(Event(agent, name, Moment.TOOL), environment, detach, problem) if name else _warn(problem)
    return Said() if event.moment is Moment.OTHER else _answer(event, environment, detach)


def _read(source: BinaryIO | None) -> bytes:
    """Return all of `source`, or so much that it is seen to be too much. Raises ValueError when there is nothing."""
    if source is None or source.isatty():
        raise ValueError("it has to come on standard input")
    return source.read(LARGEST_BYTES + 1)


def _answer(event: Event, environment: Mapping[str, str], detach: Callable[[], bool], unread: str = "") -> Said:
    """Act on an event; `unread` says why what it asks for cannot be read."""
    work = None
    try:
        folder = find_folder(event, environment, _present_folder(environment))
        if event.moment in (Moment.TOOL, Moment.RESULT) and not unread and only_reads(event, folder, environment):
            return Said()
        load_msgspec()
        from pathlib import Path

        from skills.agent_hooks.acting import Work

        work = Work(event, Path(folder), environment)
        outcome = work.turn_away(unread) if unread else work.do(detach)
    except Exception as problem:  # noqa: BLE001 - the outermost door of this interface
        message = getattr(problem, "message", "") or f"{type(problem).__name__}: {problem}"
        if work is None:
            return _warn(message)
        outcome = work.turn_away(message)
    if unread and outcome.decision is Decision.NONE:
        return _warn(unread)
    return _say(event, outcome.decision, outcome.reason, outcome.warnings)


def _present_folder(environment: Mapping[str, str]) -> str:
    """Return the folder that we were started in, also where it is gone: a call there is judged as any other."""
    try:
        return os.getcwd()
    except OSError:
        return environment.get("PWD") or os.sep


def _say(event: Event, decision: Decision, reason: str, warnings: Sequence[str]) -> Said:
    import json

    shown = "; ".join(dict.fromkeys(_line(warning) for warning in warnings))
    message = f"chrono: {shown}" if shown else ""
    document = answer(event.agent, event.name, decision, f"chrono: {_line(reason)}" if reason else "", message)
    return Said(
        f"{json.dumps(document, ensure_ascii=False)}\n" if document is not None else "",
        f"{message}\n" if message else "",
    )


def _warn(message: str) -> Said:
    return Said(errors=f"chrono-hook: {_line(message)}\n")


def _line(text: str) -> str:
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}…"
