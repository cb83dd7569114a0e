"""JSON with comments that is edited as text: what is not edited keeps every byte, comments and commas among them.

Reads JSON with // and /* */ comments and trailing commas, as VS Code and Gemini CLI write it, and knows where in the
text each value is. An edit is a list of pieces of text to be replaced; nothing is ever written out anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

_SPACE = re.compile(r"(?:[ \t\r\n]++|//[^\r\n]*+|/\*(?:[^*]|\*(?!/))*+\*/)*+")
_COMMENT = re.compile(r"//[^\r\n]*+|/\*(?:[^*]|\*(?!/))*+\*/")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+"')
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][-+]?\d++)?|true|false|null", re.ASCII)
_INDENT = re.compile(r"[\r\n]([ \t]+)[^\s/]")
_DEEPEST = 200
_BLANK = " \t\r\n"

Edit = tuple[int, int, str]


class JsoncError(Exception):
    """A text that is no JSON, and where: line and column count from 1."""

    def __init__(self, problem: str, text: str, position: int) -> None:
        super().__init__(problem)
        before = text[:position]
        self.problem = problem
        self.line = before.count("\n") + 1
        self.column = position - (before.rfind("\n") + 1) + 1


class Item(msgspec.Struct):
    """A member of an object, or an element of a list (`key` is None): where it begins, and the comma after it."""

    key: str | None
    start: int
    node: Node
    comma: int | None = None


class Node(msgspec.Struct):
    """A value and where it is. `items` is None for what is neither an object nor a list."""

    start: int
    end: int
    data: Any
    items: list[Item] | None = None

    def find(self, key: str) -> Item | None:
        """Return the member of this name, the last of several, as JSON readers do."""
        return next((item for item in reversed(self.items or ()) if item.key == key), None)


def parse(text: str) -> Node:
    """Return the one value of a document. Raises JsoncError."""
    reader = _Reader(text)
    root = reader.value(reader.skip(0), 0)
    end = reader.skip(root.end)
    if end != len(text):
        raise JsoncError("something stands after the end", text, end)
    return root


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Return the text with its pieces replaced. Pieces at one place come in the order in which they are given."""
    parts, at = [], 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def skip(self, position: int) -> int:
        found = _SPACE.match(self._text, position)
        end = found.end() if found else position
        if self._text.startswith("/*", end):
            raise JsoncError("a comment does not end", self._text, end)
        return end

    def value(self, start: int, depth: int) -> Node:
        if depth > _DEEPEST:
            raise JsoncError("it is nested too deeply", self._text, start)
        first = self._text[start : start + 1]
        if first == "{":
            return self._object(start, depth)
        if first == "[":
            return self._list(start, depth)
        if first == '"':
            data, end = self._string(start)
            return Node(start, end, data)
        found = _SCALAR.match(self._text, start)
        if found is None:
            raise JsoncError("a value is missing" if first else "it ends too early", self._text, start)
        return Node(start, found.end(), json.loads(found[0]))

    def _string(self, start: int) -> tuple[str, int]:
        found = _STRING.match(self._text, start)
        if found is None:
            raise JsoncError("a text in double quotes is missing or does not end", self._text, start)
        if "\\" not in found[0]:
            return found[0][1:-1], found.end()
        try:
            text: str = json.loads(found[0])
        except ValueError as cause:
            raise JsoncError("a text has an escape that JSON does not know", self._text, start) from cause
        return text, found.end()

    def _list(self, start: int, depth: int) -> Node:
        items: list[Item] = []
        position = self.skip(start + 1)
        while self._text[position : position + 1] != "]":
            node = self.value(position, depth + 1)
            position = self._end_item(items, Item(None, position, node), "]")
        return Node(start, position + 1, [item.node.data for item in items], items)

    def _object(self, start: int, depth: int) -> Node:
        items: list[Item] = []
        position = self.skip(start + 1)
        while self._text[position : position + 1] != "}":
            key, end = self._string(position)
            colon = self.skip(end)
            if self._text[colon : colon + 1] != ":":
                raise JsoncError("a colon is missing", self._text, colon)
            node = self.value(self.skip(colon + 1), depth + 1)
            position = self._end_item(items, Item(key, position, node), "}")
        return Node(start, position + 1, {item.key: item.node.data for item in items}, items)

    def _end_item(self, items: list[Item], item: Item, closing: str) -> int:
        """Add an item with the comma after it, and return where the next one or the end of the container is."""
        items.append(item)
        after = self.skip(item.node.end)
        sign = self._text[after : after + 1]
        if sign == ",":
            item.comma = after
            return self.skip(after + 1)
        if sign != closing:
            raise JsoncError(f"a comma or {closing} is missing" if sign else "it ends too early", self._text, after)
        return after


class Editor:
    """Makes edits of one document in the style that it has: its indentation, its line ends, its trailing commas."""

    def __init__(self, text: str, root: Node) -> None:
        self._text = text
        found = _INDENT.search(text, root.start, root.end)
        self._unit = found[1] if found else "  "
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._is_one_line = bool(root.items) and not set("\r\n") & set(text[root.start : root.end])

    def append(self, container: Node, entries: Sequence[tuple[str | None, Any]]) -> list[Edit]:
        """Return the edits that put entries at the end of an object (with keys) or a list (keys are None)."""
        items = container.items
        assert items is not None
        if not entries:
            return []
        if not items:
            return [self._fill(container, entries)]
        last = items[-1]
        tail = last.node.end if last.comma is None else last.comma + 1
        at = self._end_of_comments(tail, container.end - 1)
        inside = self._indent_at(items[0].start)
        has_lines = inside is not None or "//" in self._text[tail:at]
        indent = inside if inside is not None else self._line_indent(container.start) + self._unit
        lead = self._newline + indent if has_lines else " "
        new = ",".join(lead + self._write(key, value, indent, has_lines) for key, value in entries)
        if last.comma is not None:
            return [(at, at, new + ",")]
        return [(last.node.end, last.node.end, ","), (at, at, new)]

    def replace(self, node: Node, value: Any) -> list[Edit]:
        """Return the edits that put another value without items of its own in the place of `node`."""
        return [(node.start, node.end, json.dumps(value, ensure_ascii=False))]

    def remove(self, container: Node, gone: Collection[int]) -> list[Edit]:
        """Return the edits that take the items of these places out, with the space before them and their commas."""
        items = container.items
        assert items is not None
        edits: list[Edit] = []
        for place in sorted(gone):
            item = items[place]
            before = items[place - 1].comma if place else container.start
            assert before is not None
            edits.append(self._cut(before + 1, item))
            if item.comma is not None:
                edits.append((item.comma, item.comma + 1, ""))
        kept = [place for place in range(len(items)) if place not in gone]
        inside = (container.start + 1, container.end - 1)
        if not kept and not _COMMENT.search(apply(self._text, edits)[inside[0] : inside[1] - _shrunk(edits)]):
            return [(*inside, "")]
        if kept and kept[-1] != len(items) - 1 and items[-1].comma is None:
            comma = items[kept[-1]].comma
            assert comma is not None
            edits.append((comma, comma + 1, ""))
        return edits

    def has_only(self, container: Node, places: Collection[int]) -> bool:
        """Tell whether an object or list holds nothing but the items of these places: no other, no comment by them."""
        items = container.items
        assert items is not None
        starts = [*(item.start for item in items), container.end - 1]
        ends = [container.start + 1, *(item.node.end for item in items)]
        gaps = zip(ends, starts, strict=True)
        return len(places) == len(items) and not any(_COMMENT.search(self._text, *gap) for gap in gaps)

    def _fill(self, container: Node, entries: Sequence[tuple[str | None, Any]]) -> Edit:
        at = self._end_of_comments(container.start + 1, container.end - 1)
        has_lines = not self._is_one_line or "//" in self._text[container.start : at]
        outer = self._line_indent(container.start)
        indent = outer + self._unit
        lead, end = (self._newline + indent, self._newline + outer) if has_lines else ("", "")
        joint = "," if has_lines else ", "
        new = joint.join(lead + self._write(key, value, indent, has_lines) for key, value in entries)
        return at, container.end - 1, new + end

    def _write(self, key: str | None, value: Any, indent: str, has_lines: bool) -> str:
        text = json.dumps(value, ensure_ascii=False, indent=self._unit if has_lines else None)
        text = text.replace("\n", self._newline + indent)
        return text if key is None else f"{json.dumps(key, ensure_ascii=False)}: {text}"

    def _cut(self, before: int, item: Item) -> Edit:
        """Return the edit that takes an item out with the space before it, but not the end of a comment before that.

        `before` is where what comes before the item ends.
        """
        first = len(self._text[: item.start].rstrip(_BLANK))
        comments = _COMMENT.findall(self._text, before, first)
        after = item.node.end if item.comma is None else item.comma + 1
        follows = self._text[after:].lstrip(" \t")[:1]
        keeps_line = bool(comments) and comments[-1].startswith("//") and follows not in ("\r", "\n")
        return first, item.node.end, self._newline if keeps_line else ""

    def _end_of_comments(self, start: int, stop: int) -> int:
        """Return where the last comment between two places ends, or `start`."""
        end = start
        for found in _COMMENT.finditer(self._text, start, stop):
            end = found.end()
        return end

    def _indent_at(self, start: int) -> str | None:
        """Return the space before what begins a line at `start`; None where it does not begin one."""
        before = self._text[:start]
        space = before[len(before.rstrip(" \t")) :]
        return space if before[: len(before) - len(space)].endswith(("\n", "\r")) else None

    def _line_indent(self, position: int) -> str:
        begin = max(self._text.rfind("\n", 0, position), self._text.rfind("\r", 0, position)) + 1
        line = self._text[begin:position]
        return line[: len(line) - len(line.lstrip(" \t"))]


def _shrunk(edits: Sequence[Edit]) -> int:
    return sum(end - start - len(new) for start, end, new in edits)
