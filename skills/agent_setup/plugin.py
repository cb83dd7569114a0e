"""The plugin folder for Claude Code (skill, hooks, MCP server), copied out with the paths of this installation.

The folder in the package names `chrono-hook` and `chrono` as they are found on the PATH, for those who publish it. Its
shape is that of `code.claude.com/docs/en/plugins-reference`, checked by `claude plugin validate` 2.1: the manifests in
`.claude-plugin`, all else (`hooks/hooks.json`, `.mcp.json`, `skills/*/SKILL.md`) at the top.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from chronos.errors import TargetNotEmptyError
from chronos.files import display
from skills.agent_setup.agents import Part, Scope, find_agent
from skills.agent_setup.hook_entries import HookSettings
from skills.agent_setup.planning import FileChange, SetupPlan
from skills.agent_setup.programs import HOOK, SERVER_PROGRAM, Programs
from skills.agent_setup.server_entries import with_server
from skills.agent_setup.settings_file import read_settings

_MANIFEST = ".claude-plugin/plugin.json"


def plan_plugin(folder: Path, programs: Programs, environment: Mapping[str, str]) -> SetupPlan:
    """Plan to copy the plugin into `folder`, which is new, empty, or has the plugin already.

    Raises TargetNotEmptyError for another folder, StateError where a script is missing.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _MANIFEST).is_file():
        raise TargetNotEmptyError(f"{display(str(folder))} has something else in it")
    agent = find_agent("claude")
    changes = []
    for name, data in _walk(files("skills") / "plugins" / "claude-code", ""):
        path = folder / name
        text = data.decode("utf-8")
        if name == "hooks/hooks.json":
            text = HookSettings(text, path, agent).installed(programs.path(HOOK))
        elif name == ".mcp.json":
            text = with_server(text, path, agent, Scope.PROJECT, programs.path(SERVER_PROGRAM))
        changes.append(FileChange(read_settings(path, within=folder), text.encode("utf-8"), tuple(Part), False))
    steps = (
        f"try it: `claude --plugin-dir {shlex.quote(str(folder))}`",
        f"for good: `claude plugin marketplace add {shlex.quote(str(folder))}`, then "
        "`claude plugin install chronomancer@chronomancer`",
    )
    warnings = (
        "the plugin brings hooks and server: `chrono agent uninstall claude` where they are in the settings too",
    )
    return SetupPlan(agent, Scope.USER, True, tuple(changes), warnings, steps, environment)


def _walk(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for found in sorted(folder.iterdir(), key=lambda one: one.name):
        if found.is_dir():
            yield from _walk(found, f"{name}{found.name}/")
        else:
            yield name + found.name, found.read_bytes()
