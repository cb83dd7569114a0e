"""Reading what a language model answers about a conflict: strictly, since it may become the content of a file.

An answer stands between two lines that hold a code nobody could know before. Whatever is not exactly what was asked
for leaves the conflict undecided; nothing in an answer is ever more than the content of this one file or row.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable
from typing import Any, NoReturn

from chronos.merging.conflicts import Choice, Conflict, ConflictKind, Resolution

ANSWER, DONE, DELETE, UNDECIDED = "ANSWER", "DONE", "DELETE", "UNDECIDED"
_GROWTH, _SLACK_BYTES = 4, 4096
_BOM = b"\xef\xbb\xbf"
_MARKER = r"(?m)^(?:<{7}|\|{7}|>{7})(?: .*)?$"
_FENCE = "```"
_THINKING = ("<think>", "</think>")
_CHECKS: dict[bytes, Callable[[str], Any]] = {b".json": json.loads, b".toml": tomllib.loads}


class UndecidedError(Exception):
    """One conflict was not decided, for the reason that the text says; the next one may be."""


def sides_of(conflict: Conflict) -> list[bytes]:
    """Return base, ours and theirs, less those that have nothing there."""
    return [side for side in (conflict.base, conflict.ours, conflict.theirs) if side is not None]


def most_bytes(conflict: Conflict) -> int:
    """Return how large an answer may be."""
    return _GROWTH * max(len(side) for side in sides_of(conflict)) + _SLACK_BYTES


def plain_text(side: bytes) -> str:
    """Return a side as a model is shown it: no byte order mark, and lines that end with a newline alone.

    Raises UndecidedError for what could not be had back from that.
    """
    data = side.removeprefix(_BOM)
    if b"\0" in data:
        raise UndecidedError("it is binary")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise UndecidedError("it is no UTF-8 text") from None
    if text.count("\r") not in (0, text.count("\n")) or text.count("\r") != text.count("\r\n"):
        raise UndecidedError("its lines end in different ways")
    return text.replace("\r\n", "\n")


def read_answer(conflict: Conflict, answer: str, token: str) -> Resolution:
    """Return what an answer decides. Raises UndecidedError when it decides nothing or is not as it was asked for."""
    text = _without_thinking(answer)
    lines = [line.strip() for line in text.split("\n")]
    count = text.count(token)
    if count == 1 and f"{UNDECIDED} {token}" in lines:
        raise UndecidedError("the model could not decide")
    if count == 1 and f"{DELETE} {token}" in lines:
        return _deletion(conflict)
    begin, end = f"{ANSWER} {token}", f"{DONE} {token}"
    if count != 2 or begin not in lines or end not in lines[lines.index(begin) :]:
        raise UndecidedError("the answer is not marked as it was asked for")
    content = "\n".join(text.split("\n")[lines.index(begin) + 1 : lines.index(end)])
    is_row = conflict.kind is ConflictKind.ROW
    data = _row(conflict, content) if is_row else _file(conflict, content)
    if len(data) > most_bytes(conflict):
        raise UndecidedError(f"the answer is larger than {most_bytes(conflict)} bytes")
    for choice, side in ((Choice.OURS, conflict.ours), (Choice.THEIRS, conflict.theirs)):
        if data == side:
            return Resolution(choice)
    return Resolution(Choice.CONTENT, data)


def _without_thinking(answer: str) -> str:
    """Leave out what some models write down before they answer, where the server does not."""
    start, end = _THINKING
    text = answer.replace("\r\n", "\n").lstrip()
    return text.partition(end)[2] if text.startswith(start) and end in text else text


def _deletion(conflict: Conflict) -> Resolution:
    if conflict.ours is not None and conflict.theirs is not None:
        raise UndecidedError("the answer deletes what neither side deleted")
    return Resolution(Choice.OURS if conflict.ours is None else Choice.THEIRS)


# files


def _file(conflict: Conflict, content: str) -> bytes:
    sides = [plain_text(side) for side in sides_of(conflict)]
    text = _without_fence(content, sides)
    if not text.strip():
        raise UndecidedError("the answer is empty")
    if "\0" in text or "\r" in text:
        raise UndecidedError("there are characters in the answer that no text has")
    known = {match for side in sides for match in re.findall(_MARKER, side)}
    if set(re.findall(_MARKER, text)) - known:
        raise UndecidedError("conflict markers are left in the answer")
    has_bom, has_returns, has_end = _looks(conflict)
    if not any(side.endswith("\n\n") for side in sides):
        text = text.rstrip("\n")
    text += "\n" if has_end else ""
    check = _CHECKS.get(_ending(conflict.path))
    if check is not None and all(_passes(check, side) for side in sides) and not _passes(check, text):
        raise UndecidedError(f"the answer is no valid {_ending(conflict.path).decode()[1:].upper()}")
    data = (text.replace("\n", "\r\n") if has_returns else text).encode("utf-8")
    return _BOM + data if has_bom else data


def _without_fence(content: str, sides: list[str]) -> str:
    """Leave out the lines with which models like to frame code, unless a side begins with one itself."""
    lines = content.split("\n")
    is_fenced = len(lines) > 1 and lines[0].startswith(_FENCE) and lines[-1].strip() == _FENCE
    return "\n".join(lines[1:-1]) if is_fenced and not any(side.startswith(_FENCE) for side in sides) else content


def _looks(conflict: Conflict) -> tuple[bool, ...]:
    """Return whether the text is to have a byte order mark, carriage returns, and a newline at its end.

    Each is merged like a line: what one side changed holds.
    """
    theirs = conflict.theirs or conflict.ours or conflict.base or b"\n"
    three = (conflict.base or theirs, conflict.ours or theirs, theirs)
    return tuple(his if own == old else own for old, own, his in zip(*map(_looks_of, three), strict=True))


def _looks_of(side: bytes) -> tuple[bool, bool, bool]:
    return side.startswith(_BOM), b"\r\n" in side, side.endswith(b"\n")


def _ending(path: bytes) -> bytes:
    name = path.rpartition(b"/")[2]
    return b"." + name.rpartition(b".")[2].lower() if b"." in name else b""


def _passes(check: Callable[[str], Any], text: str) -> bool:
    try:
        check(text)
    except (ValueError, RecursionError):
        return False
    return True


# rows


def _row(conflict: Conflict, content: str) -> bytes:
    """Return the row as it was answered, once it has the columns of the sides, and the values that nobody changed."""
    text = _without_fence(content.strip(), []).strip()
    row = parse_row(text)
    sides = [parse_row(plain_text(side)) for side in sides_of(conflict)]
    changed = [parse_row(plain_text(side)) for side in (conflict.ours, conflict.theirs) if side is not None]
    if not any(row.keys() == side.keys() for side in changed):
        raise UndecidedError("the answer has other columns than the row")
    for column, value in row.items():
        values = {_canonical(side.get(column)) for side in sides}
        if len(values) == 1 and _canonical(value) not in values:
            raise UndecidedError(f"the answer changes {column!r}, which neither side changed")
    return text.encode("utf-8")


def parse_row(text: str) -> dict[str, Any]:
    """Return a row from JSON. Raises UndecidedError for what is no object, or not one for every reader."""
    try:
        row = json.loads(text, object_pairs_hook=_pairs, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as cause:
        raise UndecidedError("the row is no valid JSON") from cause
    if not isinstance(row, dict):
        raise UndecidedError("the row is no JSON object")
    return row


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a name stands there twice")
    return row


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")
