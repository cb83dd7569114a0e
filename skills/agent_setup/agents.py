"""The agents that can be set up: which of their files hold hooks and MCP servers, and in which shape.

What each file looks like was read in these sources, in November 2026:

- Claude Code 2.1 (`code.claude.com/docs`: hooks, settings, mcp; schemastore `claude-code-settings`): hooks in
  `.claude/settings.local.json` (of one person), `.claude/settings.json` (shared) and `~/.claude/settings.json`,
  time-outs in seconds; MCP servers in `.mcp.json` (asked about at the next start) and `~/.claude.json`.
  `CLAUDE_CONFIG_DIR` moves what is in the home folder.
- Codex CLI 0.171 (`developers.openai.com/codex/hooks`, `codex-rs/hooks`, schemastore `codex-hooks`): `hooks.json`
  beside `config.toml` in `.codex` (of a trusted project) and `~/.codex` (`CODEX_HOME`), seconds; a hook runs only after
  `/hooks` has trusted it; the flag `features.hooks` is on unless somebody turned it off.
- Gemini CLI 0.61 (its package's `docs/hooks/reference.md`, `docs/reference/configuration.md`): `settings.json` in
  `.gemini` and `~/.gemini` (`GEMINI_CLI_HOME`), comments allowed, milliseconds; `hooks` holds nothing but events,
  `hooksConfig.enabled` turns all off.
- Cursor (`cursor.com/docs/agent/hooks`, `cursor.com/docs/context/mcp`; the schema of the npm package `cursor-hooks`):
  `hooks.json` with `"version": 1` and `mcp.json` in `.cursor` and `~/.cursor`, seconds; `${workspaceFolder}` is
  replaced in `mcp.json`.
- Copilot CLI 1.0 (`docs.github.com/en/copilot/reference/hooks-reference`, `copilot mcp --help`): `*.json` with
  `"version": 1` in `.github/hooks` and `~/.copilot/hooks` (`COPILOT_HOME`), seconds; MCP servers in `.github/mcp.json`
  and `~/.copilot/mcp-config.json`. A `preToolUse` hook that cannot be started refuses the tool call. It runs the hooks
  in `.claude/settings.json` and `.claude/settings.local.json` as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from chronos.config import expand_home
from chronos.errors import UsageError
from skills.agent_hooks import registrations

SERVER = "chronomancer"
_COMMAND = {"type": "command"}


class Scope(str, Enum):
    """Whose settings: those of one project, or those of the user for all projects."""

    PROJECT = "project"
    USER = "user"


class Part(str, Enum):
    """What is set up: the hooks, or the MCP server."""

    HOOKS = "hooks"
    MCP = "mcp"


class Agent(msgspec.Struct, frozen=True):
    """One agent. File names are relative to the project, or to the folder of the agent's own settings.

    `also` names files that are looked at, and cleaned up, but not written into: they are shared with other people.
    `is_nested` tells whether a hook stands in a group with a matcher, or by itself; `field` is what holds its command,
    `timeout` its time-out in `per_second` units. `reads` names agents whose hooks in a project it runs as well (Cursor
    does where its settings say so).
    """

    name: str
    title: str
    hooks: Mapping[Scope, str]
    servers: Mapping[Scope, str]
    home: Callable[[Mapping[str, str], str], str]
    also: Mapping[Scope, tuple[str, ...]] = {}
    is_nested: bool = True
    field: str = "command"
    timeout: str = "timeout"
    per_second: int = 1
    hook: Mapping[str, Any] = {}
    head: Mapping[str, Any] = {}
    server: Mapping[str, Any] = {}
    server_words: Mapping[Scope, tuple[str, ...]] = {}
    servers_key: str = "mcpServers"
    is_guarded: bool = False
    reads: tuple[str, ...] = ()

    @property
    def events(self) -> tuple[str, ...]:
        """The events that `chrono-hook` is told of, a prompt first."""
        return tuple(one.event for one in registrations(self.name))

    def file(self, part: Part, scope: Scope, root: Path, environment: Mapping[str, str]) -> Path:
        """Return the file that holds a part. Raises BadConfigError where the home folder is not known."""
        name = (self.hooks if part is Part.HOOKS else self.servers)[scope]
        return root / name if scope is Scope.PROJECT else Path(self.home(environment, name))

    def other_files(self, part: Part, scope: Scope, root: Path, environment: Mapping[str, str]) -> tuple[Path, ...]:
        """Return the files in which the hooks may stand as well."""
        if part is not Part.HOOKS or scope is not Scope.PROJECT:
            return ()
        return tuple(root / name for name in self.also.get(scope, ()))


def _under(variable: str, usual: str) -> Callable[[Mapping[str, str], str], str]:
    """Return where a file of the user is: in the folder that `variable` names, or in the usual one."""

    def place(environment: Mapping[str, str], name: str) -> str:
        return os.path.join(expand_home(environment.get(variable) or usual, environment), name)

    return place


def _claude_home(environment: Mapping[str, str], name: str) -> str:
    """`.claude.json` is beside the folder `.claude`, and inside it where CLAUDE_CONFIG_DIR says which one it is."""
    folder = environment.get("CLAUDE_CONFIG_DIR")
    if name == ".claude.json":
        return os.path.join(expand_home(folder or "~/", environment), name)
    return os.path.join(expand_home(folder or "~/.claude", environment), name)


def _gemini_home(environment: Mapping[str, str], name: str) -> str:
    return os.path.join(expand_home(environment.get("GEMINI_CLI_HOME") or "~/", environment), ".gemini", name)


AGENTS: Mapping[str, Agent] = {
    agent.name: agent
    for agent in (
        Agent(
            "claude", "Claude Code",
            hooks={Scope.PROJECT: ".claude/settings.local.json", Scope.USER: "settings.json"},
            also={Scope.PROJECT: (".claude/settings.json",)},
            servers={Scope.PROJECT: ".mcp.json", Scope.USER: ".claude.json"},
            home=_claude_home, hook=_COMMAND,
        ),
        Agent(
            "codex", "Codex CLI",
            hooks={Scope.PROJECT: ".codex/hooks.json", Scope.USER: "hooks.json"},
            servers={Scope.PROJECT: ".codex/config.toml", Scope.USER: "config.toml"},
            home=_under("CODEX_HOME", "~/.codex"), hook=_COMMAND,
            servers_key="mcp_servers",
        ),
        Agent(
            "gemini", "Gemini CLI",
            hooks={Scope.PROJECT: ".gemini/settings.json", Scope.USER: "settings.json"},
            servers={Scope.PROJECT: ".gemini/settings.json", Scope.USER: "settings.json"},
            home=_gemini_home,
            per_second=1000,
            hook={"name": SERVER, **_COMMAND},
        ),
        Agent(
            "cursor", "Cursor",
            hooks={Scope.PROJECT: ".cursor/hooks.json", Scope.USER: "hooks.json"},
            servers={Scope.PROJECT: ".cursor/mcp.json", Scope.USER: "mcp.json"},
            home=_under("", "~/.cursor"),
            is_nested=False, head={"version": 1}, server={"type": "stdio"},
            server_words={Scope.PROJECT: ("--root", "${workspaceFolder}")},
        ),
        Agent(
            "copilot", "Copilot CLI",
            hooks={Scope.PROJECT: ".github/hooks/chronomancer.json", Scope.USER: "hooks/chronomancer.json"},
            servers={Scope.PROJECT: ".github/mcp.json", Scope.USER: "mcp-config.json"},
            home=_under("COPILOT_HOME", "~/.copilot"),
            hook=_COMMAND, is_nested=False, field="bash", timeout="timeoutSec", head={"version": 1},
            server={"type": "local", "tools": ["*"]}, is_guarded=True, reads=("claude",),
        ),
    )
}  # fmt: skip


def find_agent(name: str) -> Agent:
    """Return the agent of this name. Raises UsageError."""
    if name not in AGENTS:
        raise UsageError(f"{name[:40]!r} is no agent that can be set up", hint=f"known: {', '.join(AGENTS)}")
    return AGENTS[name]
