"""Our MCP server in an agent's settings, in JSON or TOML: finding it, putting it in, taking it out.

It goes by its name. An entry of that name that starts something else is somebody's own, and is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from chronos.errors import BadConfigError, TargetExistsError
from chronos.files import display
from skills.agent_setup import jsonc, toml_table
from skills.agent_setup.agents import SERVER, Agent, Scope
from skills.agent_setup.documents import JsonSettings, read_toml, toml_problem
from skills.agent_setup.programs import SERVER_PROGRAM

_VERB = "mcp"


class ServerEntry(msgspec.Struct, frozen=True):
    """What the settings say of the server. `program` is None where the entry starts something else."""

    program: str | None
    arguments: tuple[str, ...]


def find_server(text: str, path: Path, agent: Agent) -> ServerEntry | None:
    """Return the entry, None where there is none. Raises BadConfigError."""
    if path.suffix != ".toml":
        return ServerSettings(text, path, agent).entry
    tables = read_toml(text, path).get(agent.servers_key, {})
    if not isinstance(tables, dict) or not isinstance(tables.get(SERVER, {}), dict):
        raise BadConfigError(
            f"{display(str(path))}: {agent.servers_key} is no table of tables", hint="correct it; nothing was changed"
        )
    return _entry(tables[SERVER]) if SERVER in tables else None


def with_server(text: str, path: Path, agent: Agent, scope: Scope, program: str) -> str:
    """Return the text with the server. Arguments and other keys of an entry that is there stay.

    Raises TargetExistsError where the name is taken, BadConfigError.
    """
    settings = None if path.suffix == ".toml" else ServerSettings(text, path, agent)
    there = settings.entry if settings else find_server(text, path, agent)
    values: dict[str, Any] = {"command": program, "args": [*agent.server_words.get(scope, ()), _VERB]}
    if there is not None and there.program is None:
        raise TargetExistsError(
            f"{display(str(path))} has another MCP server that is called {SERVER}",
            hint="rename it there, or leave ours out with --no-mcp; nothing was changed",
        )
    if there is not None:
        values["args"] = list(there.arguments)
        if there.program == program:
            return text
    if settings:
        return settings.installed(values)
    try:
        return toml_table.put(text, agent.servers_key, SERVER, values)
    except toml_table.TomlError as cause:
        raise toml_problem(cause, path) from cause


def without_server(text: str, path: Path, agent: Agent) -> str:
    """Return the text without the server. Raises BadConfigError."""
    settings = None if path.suffix == ".toml" else ServerSettings(text, path, agent)
    there = settings.entry if settings else find_server(text, path, agent)
    if there is None or there.program is None:
        return text
    if settings:
        return settings.removed()
    try:
        return toml_table.take_out(text, agent.servers_key, SERVER)
    except toml_table.TomlError as cause:
        raise toml_problem(cause, path) from cause


class ServerSettings(JsonSettings):
    """Settings in JSON with their MCP servers. Raises BadConfigError for another shape than the documented one."""

    def __init__(self, text: str, path: Path, agent: Agent) -> None:
        super().__init__(text, path)
        self._agent = agent
        self._servers = self.member(self.root, agent.servers_key, dict)
        self.found = self.member(self._servers.node, SERVER, dict) if self._servers else None

    @property
    def entry(self) -> ServerEntry | None:
        """What the settings say of the server; None where they have none."""
        return _entry(self.found.node.data) if self.found else None

    def installed(self, values: Mapping[str, Any]) -> str:
        """Return the text with these values in the entry."""
        if self.found is None:
            entry = {**{key: value for key, value in self._agent.server.items() if key == "type"}, **values}
            new = [(SERVER, {**entry, **self._agent.server})]
            if self._servers is not None:
                return jsonc.apply(self.text, self.editor.append(self._servers.node, new))
            return jsonc.apply(self.text, self.editor.append(self.root, [(self._agent.servers_key, dict(new))]))
        edits: list[jsonc.Edit] = []
        missing = []
        for key, value in values.items():
            there = self.found.node.find(key)
            if there is None:
                missing.append((key, value))
            elif there.node.data != value:
                edits += self.editor.replace(there.node, value)
        return jsonc.apply(self.text, edits + self.editor.append(self.found.node, missing))

    def removed(self) -> str:
        """Return the text without the entry, and without the servers if nothing else is there."""
        assert self._servers is not None and self.found is not None
        container = self._servers.node
        place = (container.items or []).index(self.found)
        if self.editor.has_only(container, [place]):
            container, place = self.root, (self.root.items or []).index(self._servers)
        return jsonc.apply(self.text, self.editor.remove(container, [place]))


def _entry(values: Mapping[str, Any]) -> ServerEntry:
    """Read an entry: ours runs a program that is called chrono with `mcp` among its arguments."""
    program, words = values.get("command"), values.get("args")
    arguments = tuple(map(str, words)) if isinstance(words, list) else ()
    is_ours = isinstance(program, str) and os.path.basename(program) == SERVER_PROGRAM and _VERB in arguments
    return ServerEntry(str(program) if is_ours else None, arguments)
