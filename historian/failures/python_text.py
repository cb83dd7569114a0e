"""Python's tracebacks (chained, groups, syntax errors) and pytest's reports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from historian.failures.parsed import Cause, Frame, ParsedError, Source

_FILE = re.compile(r'  ?(?:  )?File "([^"]+)", line (\d+)(?:, in (.+))?$')
_ERROR = re.compile(r"([A-Za-z_][\w.]*)(?:: (.*))?$")
_MARGIN = re.compile(r" *[|+](?:-\+)?(?:-{3,} \d+ -{3,})?(?:-{3,})? ?")
_HEADS = ("Traceback (most recent call last):", "Exception Group Traceback (most recent call last):")
_BETWEEN = ("During handling of", "The above exception was")
_PLACE = re.compile(r"(\S.*?\.py):(\d+): (?:in (.+)|([A-Za-z_][\w.]*))$")
_ONE_LINE = re.compile(r"(\S.*?\.py):(\d+): ")
_SUMMARY = re.compile(r"(?:FAILED|ERROR) (\S+?\.py)(?:::\S+)?(?: - (?:([A-Za-z_][\w.]*): )?(.*))?$")
_MOST_MESSAGE_LINES = 20


class _Section(msgspec.Struct):
    """One traceback with its error."""

    in_group: bool
    frames: list[Frame] = msgspec.field(default_factory=list)
    kind: str = ""
    message: list[str] = msgspec.field(default_factory=list)


def read_python(lines: Sequence[str]) -> ParsedError | None:
    """Return what Python's tracebacks say, or None when there is none. Formats: traceback of the standard library."""
    sections = [section for section in _sections(lines) if section.kind and section.frames]
    if not sections:
        return None
    is_group = any(section.in_group for section in sections)
    top = next(one for one in sections if one.in_group) if is_group else sections[-1]
    others = [section for section in sections if section is not top]
    frames = [frame for section in (*others, top) for frame in reversed(section.frames)]
    return ParsedError(
        source=Source.PYTHON, kind=_plain(top.kind), message="\n".join(top.message).strip(),
        frames=tuple(dict.fromkeys(frames)),
        causes=tuple(Cause(_plain(one.kind), "\n".join(one.message).strip()) for one in reversed(others)),
    )  # fmt: skip


def _sections(lines: Sequence[str]) -> Iterator[_Section]:
    section: _Section | None = None
    for line in lines:
        margin = _MARGIN.match(line)
        text = line[margin.end() :] if margin else line
        if text.strip() in _HEADS:
            if section is not None:
                yield section
            section = _Section(margin is not None)
            continue
        found = _FILE.match(text)
        if found:
            if section is None or section.kind:
                if section is not None:
                    yield section
                section = _Section(margin is not None)
            section.frames.append(Frame(found[1], int(found[2]), found[3] or ""))
        elif section is not None and section.frames and not text.startswith(" "):
            if not section.kind:
                error = _ERROR.match(text)
                if error:
                    section.kind, section.message = error[1], [error[2] or ""]
            elif not text or text.startswith((*_BETWEEN, "====", "____")) or (margin and not text.strip("-+ |")):
                yield section
                section = None
            elif len(section.message) < _MOST_MESSAGE_LINES:
                section.message.append(text)
    if section is not None:
        yield section


def read_pytest(lines: Sequence[str]) -> ParsedError | None:
    """Return what a pytest run says of its first failure, with the places of all, or None when it is no such report.

    Format: the long and short tracebacks of pytest 8; the summary where there is nothing else.
    """
    if not any(
        line.startswith(("E   ", "FAILED ", "ERROR ")) or (line.startswith("=") and "pytest" in line) for line in lines
    ):
        return None
    failures = list(_failures(lines))
    summary = [found for line in lines if (found := _SUMMARY.match(line))]
    if not failures and not summary:
        return None
    frames = [frame for failure in failures for frame in reversed(failure.frames)]
    if not frames:
        frames = [Frame(found[1], int(found[2])) for line in lines if (found := _ONE_LINE.match(line))]
    frames += [Frame(found[1]) for found in summary if not any(frame.path.endswith(found[1]) for frame in frames)]
    errors = [(one.kind, "\n".join(one.message).strip()) for one in failures]
    errors += [(found[2] or "", found[3] or "") for found in summary] if not errors else []
    (kind, message), rest = errors[0], errors[1:]
    return ParsedError(
        source=Source.PYTEST, kind=_plain(kind) or _guess(message), message=message,
        frames=tuple(dict.fromkeys(frames)),
        causes=tuple(Cause(_plain(kind), message) for kind, message in dict.fromkeys(rest)),
    )  # fmt: skip


def _failures(lines: Sequence[str]) -> Iterator[_Section]:
    section = _Section(False)
    for line in lines:
        place = _PLACE.match(line)
        if line.startswith("E   "):
            _take_message(section, line[1:].strip())
        elif place:
            section.frames.append(Frame(place[1], int(place[2]), place[3] or ""))
            section.kind = place[4] or section.kind
        elif line.startswith(("____", "====")) and (section.frames or section.kind):
            if section.message:
                yield section
            section = _Section(False)
    if section.frames and section.message:
        yield section


def _take_message(section: _Section, text: str) -> None:
    error = _ERROR.match(text) if not section.message else None
    if error and error[2] is not None:
        section.kind, section.message = error[1], [error[2]]
    elif len(section.message) < _MOST_MESSAGE_LINES:
        section.message.append(text)


def _guess(message: str) -> str:
    return "AssertionError" if message.startswith("assert") else "TestFailure"


def _plain(kind: str) -> str:
    return kind.removeprefix("__main__.")
