"""Our hooks in an agent's settings: finding them, putting them in, bringing them up to date, taking them out.

Ours is what has a command line such as we write it, whatever path it names. A line in which somebody runs `chrono-hook`
in a way of their own counts as there, and is neither changed nor removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from skills.agent_hooks import Registration, registrations
from skills.agent_setup import jsonc
from skills.agent_setup.agents import Agent
from skills.agent_setup.documents import JsonSettings
from skills.agent_setup.programs import hook_line, mentions_hook, parse_hook_line

_LINES = ("command", "bash")


class HookEntry(msgspec.Struct, frozen=True):
    """One hook that runs ours. `program` is None where the line is its author's own; `group` where it stands alone."""

    event: str
    group: int | None
    place: int
    line: jsonc.Node
    program: str | None
    arguments: tuple[str, ...] = ()


class HookSettings(JsonSettings):
    """Settings with their hooks. Raises BadConfigError where these have not the shape that the agent documents."""

    def __init__(self, text: str, path: Path, agent: Agent) -> None:
        super().__init__(text, path)
        self._agent = agent
        self._hooks = self.member(self.root, "hooks", dict)
        self.entries = tuple(self._find_entries()) if self._hooks else ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The events that none of our hooks is told of."""
        there = {entry.event for entry in self.entries}
        return tuple(event for event in self._agent.events if event not in there)

    def installed(self, program: str) -> str:
        """Return the text with one hook of ours for each event, that runs `program`."""
        edits: list[jsonc.Edit] = []
        mine = [entry for entry in self.entries if entry.program is not None]
        for event in dict.fromkeys(entry.event for entry in mine):
            ours = [entry for entry in mine if entry.event == event]
            kept = next((entry for entry in ours if entry.program == program), ours[0])
            if kept.program != program:
                edits += self.editor.replace(kept.line, self._line(program, *kept.arguments[1:]))
            edits += self._without([entry for entry in ours if entry is not kept])
        return jsonc.apply(self.text, edits + self._added(program))

    def removed(self) -> str:
        """Return the text without our hooks, and without what held nothing else: comments are kept."""
        return jsonc.apply(self.text, self._without([entry for entry in self.entries if entry.program is not None]))

    def _find_entries(self) -> Iterator[HookEntry]:
        assert self._hooks is not None
        for item in self._hooks.node.items or ():
            if item.key not in self._agent.events and not isinstance(item.node.data, list):
                continue
            event = str(item.key)
            self.member(self._hooks.node, event, list)
            for place, one in enumerate(item.node.items or ()):
                if event not in self._agent.events and not isinstance(one.node.data, dict):
                    continue
                hook = self.element(one, f"a hook of {event}")
                if not self._agent.is_nested:
                    yield from self._read(event, None, place, hook)
                    continue
                inner = self.member(hook, "hooks", list)
                for number, handler in enumerate(inner.node.items or () if inner else ()):
                    yield from self._read(event, place, number, self.element(handler, f"a hook of {event}"))

    def _read(self, event: str, group: int | None, place: int, hook: jsonc.Node) -> Iterator[HookEntry]:
        for field in _LINES:
            found = hook.find(field)
            if found is None or not isinstance(found.node.data, str):
                continue
            parsed = parse_hook_line(found.node.data)
            if parsed is not None:
                yield HookEntry(event, group, place, found.node, parsed[0], tuple(parsed[1]))
                return
            if mentions_hook(found.node.data):
                yield HookEntry(event, group, place, found.node, None)
                return

    def _line(self, program: str, *arguments: str) -> str:
        return hook_line(program, self._agent.name, is_guarded=self._agent.is_guarded, arguments=arguments)

    def _new(self, program: str, wanted: Registration) -> Mapping[str, Any]:
        agent, line = self._agent, self._line(program)
        hook = {**agent.hook, agent.field: line, agent.timeout: wanted.timeout_s * agent.per_second}
        matcher = {"matcher": wanted.matcher} if wanted.matcher else {}
        return {**matcher, "hooks": [hook]} if agent.is_nested else {**matcher, **hook}

    def _added(self, program: str) -> list[jsonc.Edit]:
        missing = self.missing
        new = {one.event: self._new(program, one) for one in registrations(self._agent.name) if one.event in missing}
        head = [(key, value) for key, value in self._agent.head.items() if self.root.find(key) is None]
        if self._hooks is None:
            return self.editor.append(self.root, [*head, ("hooks", {event: [hook] for event, hook in new.items()})])
        edits = self.editor.append(self.root, head)
        lists = {event: self._hooks.node.find(event) for event in missing}
        for event, found in lists.items():
            edits += self.editor.append(found.node, [(None, new[event])]) if found else []
        return edits + self.editor.append(
            self._hooks.node, [(event, [new[event]]) for event, found in lists.items() if found is None]
        )

    def _without(self, gone: list[HookEntry]) -> list[jsonc.Edit]:
        """Return the edits that take hooks out: the groups and events that hold nothing else go as a whole."""
        if not gone or self._hooks is None:
            return []
        edits: list[jsonc.Edit] = []
        empty = []
        for number, item in enumerate(self._hooks.node.items or ()):
            ours = [entry for entry in gone if entry.event == item.key]
            if not ours:
                continue
            whole, inside = self._split(item.node, ours)
            if self.editor.has_only(item.node, whole):
                empty.append(number)
            else:
                edits += self.editor.remove(item.node, whole) if whole else []
                edits += inside
        if self.editor.has_only(self._hooks.node, empty):
            return self.editor.remove(self.root, [(self.root.items or []).index(self._hooks)])
        return edits + (self.editor.remove(self._hooks.node, empty) if empty else [])

    def _split(self, event: jsonc.Node, ours: list[HookEntry]) -> tuple[list[int], list[jsonc.Edit]]:
        """Return which elements of an event's list hold nothing but `ours`, and the edits inside the others."""
        if not self._agent.is_nested:
            return [entry.place for entry in ours], []
        whole, edits = [], []
        for group in sorted({entry.group for entry in ours if entry.group is not None}):
            inner = self.member((event.items or [])[group].node, "hooks", list)
            places = [entry.place for entry in ours if entry.group == group]
            if inner is None or self.editor.has_only(inner.node, places):
                whole.append(group)
            else:
                edits += self.editor.remove(inner.node, places)
        return whole, edits
