"""Reading an error text: whose output it is, and then what it says."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Sequence

from historian.failures.compiler_text import read_compiler, read_git, read_go_compiler, read_rust_compiler
from historian.failures.parsed import Frame, ParsedError, Source
from historian.failures.python_text import read_pytest, read_python
from historian.failures.runtime_text import read_go, read_java, read_node, read_rust_panic

# A log says at its end what went wrong, and sometimes at its beginning.
_HEAD_CHARS = 64 * 1024
_TAIL_CHARS = 192 * 1024
_LONGEST_LINE = 2000
_MOST_MESSAGE = 2000
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NAMED = re.compile(
    r"(?<![\w.])((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning|Failure|Timeout)): ?(.*)$"
)
_PLACE = re.compile(r"(?<![\w:/.@~+-])((?:[\w.@~+-]*/)*[\w@+-]+\.[A-Za-z]\w{0,5}):(\d+)\b")
_MOST_PLACES = 50
# In the order in which they are asked: what can only be theirs comes first.
_READERS: tuple[Callable[[Sequence[str]], ParsedError | None], ...] = (
    read_pytest, read_python, read_java, read_rust_panic, read_rust_compiler, read_go, read_node, read_compiler,
    read_go_compiler, read_git,
)  # fmt: skip


def read_error(error: str | BaseException) -> ParsedError:
    """Take an error apart. Of a text longer than 256 KiB the beginning and the end are read; it never fails."""
    text = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else error
    if len(text) > _HEAD_CHARS + _TAIL_CHARS:
        text = f"{text[:_HEAD_CHARS]}\n{text[-_TAIL_CHARS:]}"
    lines = [line[:_LONGEST_LINE].rstrip() for line in _COLOURS.sub("", text).splitlines()]
    for reader in _READERS:
        found = reader(lines)
        if found is not None and not (
            reader is read_pytest and not any(map(_has_line, found.frames)) and read_python(lines)
        ):
            return found
    return _read_text(lines)


def _read_text(lines: Sequence[str]) -> ParsedError:
    """Words without a form: the last line that names an error, or else the first that says anything."""
    frames = [
        Frame(found[1], int(found[2])) for line in lines for found in _PLACE.finditer(line)
    ][:_MOST_PLACES]  # fmt: skip
    for line in reversed(lines):
        found = _NAMED.search(line)
        if found:
            return ParsedError(
                source=Source.TEXT, kind=found[1], message=found[2][:_MOST_MESSAGE], frames=tuple(dict.fromkeys(frames))
            )
    said = next((line.strip() for line in lines if line.strip()), "")
    return ParsedError(source=Source.TEXT, kind="", message=said[:_MOST_MESSAGE], frames=tuple(dict.fromkeys(frames)))


def _has_line(frame: Frame) -> bool:
    return frame.line is not None
