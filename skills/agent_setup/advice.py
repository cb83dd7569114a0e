"""What no settings file of ours can do: what is left for the user to do, and what keeps hooks from running."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chronos.errors import ChronosError
from chronos.files import display
from skills.agent_setup import jsonc, toml_table
from skills.agent_setup.agents import Agent, Part, Scope
from skills.agent_setup.hook_entries import HookEntry
from skills.agent_setup.settings_file import read_settings

_OFF = "hooks are turned off in"


def next_steps(
    agent: Agent, scope: Scope, parts: Collection[Part], root: Path, environment: Mapping[str, str]
) -> list[str]:
    """Return what is left to do after an install, and what in the agent's other settings stands in the way."""
    steps = list(find_obstacles(agent, root, environment)) if Part.HOOKS in parts else []
    keys = [(agent.name, part, where) for part in Part if part in parts for where in (None, scope)]
    steps += [_STEPS[key] for key in keys if key in _STEPS]
    beside = agent.file(Part.MCP, scope, root, environment)
    if agent.name == "codex" and Part.HOOKS in parts and _has_inline_hooks(beside):
        steps.append(f"codex also runs the hooks in {display(str(beside))}, and says at its start that there are both")
    if agent.name == "codex" and scope is Scope.PROJECT and not _is_trusted(agent, root, environment):
        steps.append("codex reads .codex of a project that it trusts: say so when it asks at its next start here")
    if scope is Scope.PROJECT:
        names = sorted({agent.file(part, scope, root, environment).name for part in parts if _is_shared(agent, part)})
        if names:
            steps.append(f"the paths are those of this machine: keep {', '.join(names)} out of commits, or use --user")
    return steps


def find_obstacles(agent: Agent, root: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what in an agent's settings keeps all hooks from running. What cannot be read is passed over."""
    for path in _setting_files(agent, root, environment):
        found = _read(path)
        name = display(str(path))
        if agent.name == "codex":
            features = found.get("features")
            flags = features if isinstance(features, dict) else {}
            if False in (flags.get("hooks"), flags.get("codex_hooks")):
                yield f"{_OFF} {name}: run `codex features enable hooks`"
        elif found.get("disableAllHooks") is True:
            yield f"{_OFF} {name}: take out disableAllHooks"
        elif isinstance(found.get("hooksConfig"), dict) and found["hooksConfig"].get("enabled") is False:
            yield f"{_OFF} {name}: set hooksConfig.enabled to true"


def find_untrusted(
    agent: Agent, path: Path, entries: Iterable[HookEntry], root: Path, environment: Mapping[str, str]
) -> Iterator[str]:
    """Yield what Codex has not been told to run yet of the hooks in `path`, as far as its settings say.

    It keeps a hash of each hook that was trusted in `[hooks.state]` of the user's `config.toml`, by file, event and
    place (read there after `/hooks`, 0.171). Whether that hash is of the present line only Codex can tell.
    """
    if agent.name != "codex":
        return
    hooks = _read(agent.file(Part.MCP, Scope.USER, root, environment)).get("hooks")
    states = hooks.get("state") if isinstance(hooks, dict) else None
    for entry in entries:
        event = re.sub(r"(?<!^)(?=[A-Z])", "_", entry.event).lower()
        found = states.get(f"{path}:{event}:{entry.group}:{entry.place}") if isinstance(states, dict) else None
        if not isinstance(found, dict) or "trusted_hash" not in found:
            yield "codex skips hooks that it has not been told to trust: run codex, then /hooks"
            return
        if found.get("enabled") is False:
            yield f"codex was told to leave out the hook for {entry.event}: see /hooks"


def _setting_files(agent: Agent, root: Path, environment: Mapping[str, str]) -> list[Path]:
    part = Part.MCP if agent.name == "codex" else Part.HOOKS
    found = []
    for scope in Scope:
        found += [agent.file(part, scope, root, environment), *agent.other_files(part, scope, root, environment)]
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = read_settings(path).text
        data = toml_table.read(text) if path.suffix == ".toml" else jsonc.parse(text or "{}").data
    except (ChronosError, jsonc.JsoncError, toml_table.TomlError):
        return {}
    return data if isinstance(data, dict) else {}


def _has_inline_hooks(path: Path) -> bool:
    hooks = _read(path).get("hooks")
    return isinstance(hooks, dict) and bool(hooks.keys() - {"state"})


def _is_trusted(agent: Agent, root: Path, environment: Mapping[str, str]) -> bool:
    projects = _read(agent.file(Part.MCP, Scope.USER, root, environment)).get("projects")
    found = projects.get(str(root)) if isinstance(projects, dict) else None
    return isinstance(found, dict) and found.get("trust_level") == "trusted"


def _is_shared(agent: Agent, part: Part) -> bool:
    """Whether a project's file is usually committed. `settings.local.json` is one person's own."""
    return not (agent.name == "claude" and part is Part.HOOKS)


_STEPS: Mapping[tuple[str, Part, Scope | None], str] = {
    ("claude", Part.HOOKS, None): "sessions of claude that are running take up hooks when they are started again",
    ("claude", Part.MCP, Scope.PROJECT): "start claude here and approve the MCP server chronomancer",
    ("codex", Part.HOOKS, None): "run codex and trust the hooks with /hooks: it skips new and changed ones until then",
    ("gemini", Part.HOOKS, Scope.PROJECT): "gemini runs hooks of a project only in a folder that it trusts",
    ("cursor", Part.MCP, None): "turn the MCP server chronomancer on in the settings of Cursor",
    ("copilot", Part.HOOKS, Scope.PROJECT): "copilot runs hooks of a project only in a folder that it trusts",
}
