"""The table of one MCP server in a TOML file: put in, brought up to date, taken out; the rest keeps its bytes.

A new table is text at the end of the file, and an old one is taken out with its lines: tomlkit would take the comments
along that stand before the next table. tomlkit edits what is written in another way (an inline table, a value that
changes). Each result is read again by tomllib, and is refused unless it says what was wanted and nothing else.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

_WHERE = re.compile(r"\(at line (\d+), column (\d+)\)")
_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)


class TomlError(Exception):
    """A text that is no TOML, and where: line and column count from 1, or are 0 where nobody knows."""

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        super().__init__(problem)
        self.problem, self.line, self.column = problem, line, column


def read(text: str) -> dict[str, Any]:
    """Return what a TOML text says. Raises TomlError."""
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        found = _WHERE.search(str(cause))
        line, column = (int(found[1]), int(found[2])) if found else (text.count("\n") + 1, 1)
        raise TomlError(_WHERE.sub("", str(cause)).strip().lower(), line, column) from cause
    except RecursionError as cause:
        raise TomlError("it is nested too deeply") from cause


def put(text: str, parent: str, name: str, values: Mapping[str, Any]) -> str:
    """Return the text with the table `parent.name`, or with other values in the one that is there. Raises TomlError."""
    wanted = read(text)
    tables = wanted.setdefault(parent, {})
    if not isinstance(tables, dict):
        raise TomlError(f"{parent} is no table")
    if name in tables:
        tables[name].update(values)
        return _first(wanted, lambda: _update(text, parent, name, values))
    tables[name] = dict(values)
    return _first(
        wanted, lambda: _append(text, parent, name, values), lambda: _insert_inline(text, parent, name, values)
    )


def take_out(text: str, parent: str, name: str) -> str:
    """Return the text without the table `parent.name`, which is there. Raises TomlError."""
    wanted = read(text)
    del wanted[parent][name]
    bare = copy.deepcopy(wanted)
    if not bare[parent]:
        del bare[parent]
    for found in (bare, wanted):
        try:
            cuts = [partial(_cut, text, parent, name, header) for header in _headers(text, parent, name)]
            return _first(found, *cuts, lambda: _delete(text, parent, name))
        except TomlError:
            continue
    raise TomlError(f"the table {parent}.{name} is written in a way that cannot be taken out")


def _first(wanted: dict[str, Any], *ways: Callable[[], str | None]) -> str:
    for way in ways:
        found = way()
        try:
            if found is not None and read(found) == wanted:
                return found
        except TomlError:
            continue
    raise TomlError("it is written in a way that cannot be edited")


def _append(text: str, parent: str, name: str, values: Mapping[str, Any]) -> str:
    newline = "\r\n" if text.endswith("\r\n") or ("\r\n" in text and not text.endswith("\n")) else "\n"
    lines = [
        f"[{parent}.{name}]",
        *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()),
    ]
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return text + gap + newline.join(lines) + newline


def _headers(text: str, parent: str, name: str) -> list[re.Match[str]]:
    """Return what looks like the header of the table: all but one stand in a text of several lines."""
    pattern = rf"^[ \t]*\[[ \t]*{re.escape(parent)}[ \t]*\.[ \t]*{re.escape(name)}[ \t]*\]"
    return list(re.finditer(pattern, text, re.MULTILINE))


def _cut(text: str, parent: str, name: str, header: re.Match[str]) -> str:
    """Take out the lines from the table's header to its last value, and the empty line before them."""
    ends = [found.start() for found in _HEADER.finditer(text, header.end())]
    own = re.compile(rf"[ \t]*\[+[ \t]*{re.escape(parent)}[ \t]*\.[ \t]*{re.escape(name)}[ \t]*\.")
    end = next((place for place in ends if not own.match(text, place)), len(text))
    lines = text[header.start() : end].splitlines(keepends=True)
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    before, after = text[: header.start()], text[header.start() + len("".join(lines)) :]
    for blank in ("\r\n", "\n"):
        if before.endswith(blank * 2):
            return before[: -len(blank)] + after
    return before + after


def _update(text: str, parent: str, name: str, values: Mapping[str, Any]) -> str | None:
    def change(document: Any) -> None:
        for key, value in values.items():
            document[parent][name][key] = value

    return _with_tomlkit(text, change)


def _insert_inline(text: str, parent: str, name: str, values: Mapping[str, Any]) -> str | None:
    def change(document: Any) -> None:
        import tomlkit

        table = tomlkit.inline_table()
        table.update(values)
        document[parent][name] = table

    return _with_tomlkit(text, change)


def _delete(text: str, parent: str, name: str) -> str | None:
    def change(document: Any) -> None:
        del document[parent][name]

    return _with_tomlkit(text, change)


def _with_tomlkit(text: str, change: Callable[[Any], None]) -> str | None:
    import tomlkit  # 30 ms, and few files need it
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        change(document)
        return document.as_string()
    except (TOMLKitError, ValueError, KeyError, IndexError, AttributeError, TypeError, AssertionError):
        return None  # tomlkit's own bugs in odd documents
