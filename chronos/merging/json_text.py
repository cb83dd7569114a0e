"""JSON that is edited as text: what is not edited keeps its spaces, its order, and every digit of its numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from chronos.merging.keys import DEEPEST, DocumentError, Edit, group_edits, place_new

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+"')
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null", re.ASCII)
_INDENT = re.compile(r"\n([ \t]+)")


class _Number(msgspec.Struct, frozen=True):
    """A number, true, false or null, as it is written."""

    text: str


class _Node(msgspec.Struct):
    """A value, where it is in the text, and of an object its members."""

    start: int
    end: int
    data: Any
    members: dict[str, _Member] | None = None


class _Member(msgspec.Struct):
    """A member of an object: where its key begins, its value, and the space before it and after it."""

    start: int
    value: _Node
    lead: str = ""
    tail: str = ""


class JsonDocument:
    """A JSON text and what it says. Raises DocumentError when it is not valid, or a key is there twice."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._root = self._read_value(self._skip(0), 0)
        if self._skip(self._root.end) != len(text) or self._root.members is None:
            raise DocumentError("not one JSON object")
        found = _INDENT.search(text)
        self._unit = found[1] if found else ""
        self.data: dict[str, Any] = self._root.data

    def edited(self, edits: Iterable[Edit], theirs: JsonDocument) -> str:
        """Return the text with the edits made; what comes from `theirs` is written as it is there."""
        body = self._write_object(self._root, edits, theirs, theirs._root, 0)
        return self._text[: self._root.start] + body + self._text[self._root.end :]

    # reading

    def _skip(self, position: int) -> int:
        found = _SPACE.match(self._text, position)
        return found.end() if found else position

    def _read_value(self, start: int, depth: int) -> _Node:
        if depth > DEEPEST:
            raise DocumentError("nested too deeply")
        first = self._text[start : start + 1]
        if first == "{":
            return self._read_object(start, depth)
        if first == "[":
            return self._read_list(start, depth)
        if first == '"':
            data, end = self._read_string(start)
            return _Node(start, end, data)
        found = _SCALAR.match(self._text, start)
        if found is None:
            raise DocumentError(f"no JSON at character {start}")
        return _Node(start, found.end(), _Number(found[0]))

    def _read_string(self, start: int) -> tuple[str, int]:
        found = _STRING.match(self._text, start)
        if found is None:
            raise DocumentError(f"no string at character {start}")
        try:
            text: str = json.loads(found[0])
        except ValueError as cause:
            raise DocumentError(str(cause)) from cause
        return text, found.end()

    def _read_list(self, start: int, depth: int) -> _Node:
        items: list[Any] = []
        position = self._skip(start + 1)
        while self._text[position : position + 1] != "]":
            if items:
                position = self._skip(self._expect(",", position))
            value = self._read_value(position, depth + 1)
            items.append(value.data)
            position = self._skip(value.end)
        return _Node(start, position + 1, tuple(items))

    def _read_object(self, start: int, depth: int) -> _Node:
        members: dict[str, _Member] = {}
        last, position = start + 1, self._skip(start + 1)
        while self._text[position : position + 1] != "}":
            if members:
                last = self._expect(",", position)
                position = self._skip(last)
            key, end = self._read_string(position)
            value = self._read_value(self._skip(self._expect(":", self._skip(end))), depth + 1)
            if key in members:
                raise DocumentError(f"{key!r} is there twice")
            after = self._skip(value.end)
            members[key] = _Member(position, value, self._text[last:position], self._text[value.end : after])
            position = after
        return _Node(start, position + 1, {key: one.value.data for key, one in members.items()}, members)

    def _expect(self, sign: str, position: int) -> int:
        if self._text[position : position + 1] != sign:
            raise DocumentError(f"no {sign!r} at character {position}")
        return position + 1

    # writing

    def _write_object(self, ours: _Node, edits: Iterable[Edit], other: JsonDocument, theirs: _Node, depth: int) -> str:
        if ours.members is None or theirs.members is None:
            raise DocumentError("no object here")
        groups = group_edits(edits)
        new = place_new(list(ours.members), theirs.members, groups.keys() - ours.members.keys())
        first, other_lead, end = self._spaces(ours.members, depth)
        written: list[tuple[str, str, str]] = []  # the space before, the member, the space after
        for key in (None, *ours.members):
            if key is not None:
                written += self._write_member(key, ours.members[key], groups.get(key), other, theirs, depth)
            written += [("", other._copy(theirs.members[name], self._unit), "") for name in new.get(key, ())]
        if not written:
            return "{}"
        old_first = next(iter(ours.members.values()), None)
        body = []
        for number, (lead, text, tail) in enumerate(written):
            is_first_of_old = old_first is not None and lead == old_first.lead and number == 0
            space = lead if is_first_of_old else first if number == 0 else lead if "\n" in lead else other_lead
            is_last = number == len(written) - 1
            body.append(space + text + (end if is_last else "" if "\n" in tail else tail))
        return "{" + ",".join(body) + "}"

    def _write_member(
        self, key: str, member: _Member, edit: Edit | list[Edit] | None, other: JsonDocument, theirs: _Node, depth: int
    ) -> list[tuple[str, str, str]]:  # fmt: skip
        if isinstance(edit, Edit) and edit.is_removal:
            return []
        start, value = member.start, member.value
        text = self._text[value.start : value.end]
        if isinstance(edit, Edit):
            text = other._indent(_member_of(theirs, key).value.start, _member_of(theirs, key).value.end, self._unit)
        elif edit is not None:
            text = self._write_object(value, edit, other, _member_of(theirs, key).value, depth + 1)
        return [(member.lead, self._text[start : value.start] + text, member.tail)]

    def _spaces(self, members: dict[str, _Member], depth: int) -> tuple[str, str, str]:
        """Return the space before the first member, before another one, and after the last."""
        some = list(members.values())
        if not some:
            if not self._unit:
                return "", " ", ""
            line = "\n" + self._unit * (depth + 1)
            return line, line, "\n" + self._unit * depth
        first = some[0].lead
        return first, some[1].lead if len(some) > 1 else first if "\n" in first else " ", some[-1].tail

    def _copy(self, member: _Member, unit: str) -> str:
        return self._indent(member.start, member.value.end, unit)

    def _indent(self, start: int, end: int, unit: str) -> str:
        """Return a part of the text, with its lines indented by another unit."""
        text = self._text[start:end]
        if not unit or not self._unit or unit == self._unit:
            return text
        mine = self._unit
        return _INDENT.sub(lambda found: "\n" + unit * (len(found[1]) // len(mine)), text)


def _member_of(node: _Node, key: str) -> _Member:
    if node.members is None:
        raise DocumentError("no object here")
    return node.members[key]
