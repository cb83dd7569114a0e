"""YAML that is edited as text: comments, quotes, order and indentation of what is not edited stay.

Only the parser's events are used, nothing is constructed. Documents with anchors, aliases, tags or more than one
document in them are left alone, and so is whatever is not a mapping in block style, one key on a line, or in flow style
(`{a: 1}`), all on one line. What says nothing is a mapping without keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from chronos.merging.keys import DEEPEST, DocumentError, Edit, group_edits, place_new


class _Scalar(msgspec.Struct, frozen=True):
    """A scalar as it is written: whether without quotes, and its text."""

    is_plain: bool
    text: str


class _Node(msgspec.Struct):
    """A value, where it is in the text, and of a mapping its members, in block or flow style."""

    start: int
    end: int
    data: Any
    members: dict[str, _Member] | None = None
    is_flow: bool = False


class _Member(msgspec.Struct):
    """A key with its value: its column, and in block style the lines that are its own."""

    key: int
    column: int
    value: _Node
    start: int = 0
    end: int = 0


class YamlDocument:
    """A YAML text and what it says. Raises DocumentError when it is not valid, or cannot be edited without loss."""

    def __init__(self, text: str) -> None:
        self._text = text if text.endswith("\n") else text + "\n"
        self._is_cut = self._text != text
        self._events = _events_of(text)
        first = next(self._events, None)
        nothing = len(self._text) if text else 0
        self._root = self._read(first, 0) if first is not None else _Node(nothing, nothing, {}, {})
        if self._root.members is None or next(self._events, None) is not None:
            raise DocumentError("not one mapping")
        self._find_lines(self._root, len(self._text))
        self.data: dict[str, Any] = self._root.data

    def edited(self, edits: Iterable[Edit], theirs: YamlDocument) -> str:
        """Return the text with the edits made; what comes from `theirs` is written as it is there, comments too."""
        splices = sorted(self._splices(self._root, edits, theirs, theirs._root), key=lambda one: one[:2])
        parts, position = [], 0
        for start, end, text in splices:
            parts += [self._text[position:start], text]
            position = end
        text = "".join((*parts, self._text[position:]))
        return text[:-1] if self._is_cut else text

    # reading

    def _read(self, event: Any, depth: int) -> _Node:
        name = type(event).__name__
        if depth > DEEPEST:
            raise DocumentError("nested too deeply")
        if name == "AliasEvent" or event.anchor is not None or event.tag is not None:
            raise DocumentError("it has anchors or tags")
        start = event.start_mark.index
        if name == "ScalarEvent":
            return _Node(start, event.end_mark.index, _Scalar(not event.style, event.value))
        if name == "SequenceStartEvent":
            items = []
            while type(following := next(self._events)).__name__ != "SequenceEndEvent":
                items.append(self._read(following, depth + 1).data)
            return _Node(start, following.end_mark.index, tuple(items))
        return self._read_mapping(event, depth)

    def _read_mapping(self, event: Any, depth: int) -> _Node:
        members: dict[str, _Member] = {}
        while type(following := next(self._events)).__name__ != "MappingEndEvent":
            key = self._read(following, depth + 1)
            if not isinstance(key.data, _Scalar) or key.data.text in members or key.data == _Scalar(True, "<<"):
                raise DocumentError("a key that is no word, or is there twice")
            value = self._read(next(self._events), depth + 1)
            members[key.data.text] = _Member(key.start, following.start_mark.column, value)
        data = {key: member.value.data for key, member in members.items()}
        end = following.end_mark.index
        return _Node(event.start_mark.index, end, data, members, bool(event.flow_style))

    def _find_lines(self, node: _Node, end: int) -> None:
        """Find the lines of each member: until the next one's, but for blank ones and comments that belong to that."""
        members = [] if node.is_flow else list((node.members or {}).values())
        for member in members:
            member.start = self._text.rfind("\n", 0, member.key) + 1
            if member.key - member.start != member.column or self._text[member.start : member.key].strip(" "):
                raise DocumentError("a key that does not begin its line")
        for number, member in enumerate(members, start=1):
            member.end = self._trim(member, members[number].start if number < len(members) else end)
            self._find_lines(member.value, member.end)

    def _trim(self, member: _Member, end: int) -> int:
        first_end = self._text.index("\n", member.key) + 1
        while end > first_end:
            start = self._text.rfind("\n", 0, end - 1) + 1
            line = self._text[start:end].rstrip()
            words = line.lstrip(" ")
            if words and not (words.startswith("#") and len(line) - len(words) <= member.column):
                break
            end = start
        return end

    # writing

    def _splices(
        self, ours: _Node, edits: Iterable[Edit], other: YamlDocument, theirs: _Node
    ) -> Iterator[tuple[int, int, str]]:  # fmt: skip
        if ours.members is None or theirs.members is None or ours.is_flow is not theirs.is_flow:
            raise DocumentError("no mapping, or in another style")
        if ours.is_flow:
            yield ours.start, ours.end, self._write_flow(ours, edits, other, theirs)
            return
        groups = group_edits(edits)
        first = next(iter(ours.members.values()), _Member(ours.start, 0, ours, ours.start))
        for key, edit in groups.items():
            member = ours.members.get(key)
            if member is None:
                continue
            if isinstance(edit, list):
                yield from self._splices(member.value, edit, other, theirs.members[key].value)
            elif edit.is_removal:
                yield member.start, member.end, ""
            else:
                yield self._replace(member, other, theirs.members[key])
        for place, keys in place_new(list(ours.members), theirs.members, groups.keys() - ours.members.keys()).items():
            position = ours.members[place].end if place is not None else first.start
            text = "".join(other._copy(theirs.members[key], first.column, self._text) for key in keys)
            yield position, position, text

    def _write_flow(self, ours: _Node, edits: Iterable[Edit], other: YamlDocument, theirs: _Node) -> str:
        """Return a mapping in flow style with the edits made: what is not edited stays with the space before it."""
        assert ours.members is not None and theirs.members is not None
        groups = group_edits(edits)
        new = place_new(list(ours.members), theirs.members, groups.keys() - ours.members.keys())
        first = next((member.key for member in ours.members.values()), ours.start + 1)
        last, written = first, [("", other._in_flow(theirs.members[name])) for name in new.get(None, ())]
        for key, member in ours.members.items():
            between, last, edit = self._text[last : member.key], member.value.end, groups.get(key)
            if isinstance(edit, list):
                _, _, value = next(self._splices(member.value, edit, other, theirs.members[key].value))
                written.append((between, self._text[member.key : member.value.start] + value))
            elif edit is None:
                written.append((between, self._in_flow(member)))
            elif not edit.is_removal:
                written.append((between, other._in_flow(theirs.members[key])))
            written += [("", other._in_flow(theirs.members[name])) for name in new.get(key, ())]
        body = "".join((between or ", ") * (number > 0) + text for number, (between, text) in enumerate(written))
        whole = self._text[ours.start : first] + body + self._text[last : ours.end]
        if "\n" in whole:
            raise DocumentError("a mapping in flow style on several lines")
        return whole

    def _in_flow(self, member: _Member) -> str:
        return self._text[member.key : member.value.end]

    def _replace(self, ours: _Member, other: YamlDocument, theirs: _Member) -> tuple[int, int, str]:
        """Replace one word by another where it stands, so that a comment on its line stays; else the whole lines."""
        old = self._text[ours.value.start : ours.value.end]
        new = other._text[theirs.value.start : theirs.value.end]
        words = isinstance(ours.value.data, _Scalar) and isinstance(theirs.value.data, _Scalar)
        if words and old and new and not any("\n" in text or text[0] in "|>" for text in (old, new)):
            return ours.value.start, ours.value.end, new
        return ours.start, ours.end, other._copy(theirs, ours.column)

    def _copy(self, member: _Member, column: int, beside: str | None = None) -> str:
        """Return the lines of a member as they are at another column, for a text `beside` which it is new.

        Then the comment right above it comes along, unless that text has it already.
        """
        start = member.start
        while beside is not None and start:
            above = self._text.rfind("\n", 0, start - 1) + 1
            comment = self._text[above:start]
            if not comment.startswith(" " * member.column + "#") or comment in beside:
                break
            start = above
        lines = self._text[start : member.end].split("\n")[:-1]
        return "".join(f"{_shift(line, column - member.column)}\n" for line in lines)


def _shift(line: str, columns: int) -> str:
    if columns >= 0:
        return " " * columns + line if line.strip() else line
    if line[:-columns].strip(" "):
        raise DocumentError("a line that cannot move to the left")
    return line[-columns:]


def _events_of(text: str) -> Iterator[Any]:
    """Yield the events of the one document. Raises DocumentError."""
    import yaml  # 10 ms, and few merges need it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1:
                raise DocumentError("more than one document")
            if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                yield event
    except (yaml.YAMLError, ValueError) as cause:
        raise DocumentError(str(cause)) from cause
