"""The only place that writes to standard output and standard error, and that knows what these are.

A write that fails is an error with an exit code, a reader that went away is none, and neither gives a traceback.
Names, messages and patches go through `harmless`, so that a terminal obeys nothing that a repository says.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from chronos.errors import OutsideError

if TYPE_CHECKING:
    from pathlib import Path

# Control characters but tab, newline and the CR of a CRLF; and the marks that reorder text (CVE-2021-42574).
_HARMFUL = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]|\r(?!\n)"
_STANDARD_OUTPUT = 1
_USUAL_WIDTH = 80
_MOST_DIGITS = 9


class ReaderGoneError(Exception):
    """Whoever read standard output has seen enough (`| head -1`)."""


def prepare() -> None:
    """Let no character fail to be written, whatever the terminal's encoding is."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def harmless(text: str) -> str:
    """Return `text` with control characters as escapes, all but newline, tab and CRLF."""
    if text.replace("\n", "").isprintable():
        return text
    return re.sub(_HARMFUL, lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def write(text: str = "", *, end: str = "\n") -> None:
    """Write to standard output. Raises ReaderGoneError, or OutsideError when the device refuses."""
    with translated():
        print(text, end=end)


def write_path(path: Path) -> None:
    """Write a path and a newline for a program: its own bytes, whatever they are. Raises what `write` raises."""
    if sys.stdout is None or is_terminal():
        write(harmless(str(path)))
        return
    with translated():
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")


def write_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document to standard output, in ASCII, so that it survives every encoding."""
    import json  # 2 ms, and most runs print text

    write(json.dumps(document, indent=1))


def write_error(text: str) -> None:
    """Write a line to standard error, after everything that was said on standard output."""
    with suppress(OSError):  # `finish` reports it
        if sys.stdout is not None:
            sys.stdout.flush()
    with suppress(OSError):  # there is nowhere left to say it; the exit code does
        print(text, file=sys.stderr, flush=True)


def is_terminal() -> bool:
    """Tell whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def is_colourful() -> bool:
    """Tell whether to colour: on a terminal that can, unless NO_COLOR (no-color.org) is set."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def encodable(text: str) -> str:
    """Return `text` as standard output shows it: characters that its encoding lacks are escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def find_width() -> int | None:
    """Return how many cells a line of the terminal has, None where standard output is no terminal."""
    if not is_terminal():
        return None
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and len(wanted) <= _MOST_DIGITS and int(wanted):
        return int(wanted)
    try:
        return os.get_terminal_size(_STANDARD_OUTPUT).columns or _USUAL_WIDTH
    except OSError:
        return _USUAL_WIDTH


def is_interactive() -> bool:
    """Tell whether there is somebody to ask: both ends are a terminal."""
    return is_terminal() and sys.stdin is not None and sys.stdin.isatty()


def has_progress() -> bool:
    """Tell whether standard error can show a progress bar."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def ask(question: str) -> bool:
    """Ask on the terminal; anything but y or yes means no."""
    write(f"{question} [y/N] ", end="")
    finish()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        write()
    return answer.strip().lower() in ("y", "yes")


def finish() -> None:
    """Send what is buffered. Raises ReaderGoneError, or OutsideError when the device refuses."""
    with translated():
        if sys.stdout is not None:
            sys.stdout.flush()


def abandon() -> None:
    """Throw away what cannot be written, so that the interpreter does not try again at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, _STANDARD_OUTPUT)
    os.close(null)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what writing to standard output can raise into ReaderGoneError or OutsideError."""
    try:
        yield
    except BrokenPipeError as cause:
        abandon()
        raise ReaderGoneError from cause
    except OSError as cause:
        abandon()
        raise OutsideError(
            f"cannot write to standard output: {cause.strerror}",
            hint="the command itself may have done its work; see `chrono log`",
        ) from cause
