"""Which of its events each agent should send, for whoever sets it up. Sources: see `agents`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Registration(NamedTuple):
    """An event that an agent should send: its name in the agent's settings, and which tools, "" where all or none.

    `timeout_s` is what to allow it: longer than a held lock is waited for (`lock_timeout_s`, 30 s).
    """

    event: str
    matcher: str = ""
    timeout_s: int = 60


def _registered(events: str) -> tuple[Registration, ...]:
    return tuple(map(Registration, events.split()))


_REGISTRATIONS: Mapping[str, tuple[Registration, ...]] = {
    "claude": _registered("UserPromptSubmit PreToolUse PostToolUseFailure Stop SubagentStop SessionEnd"),
    "codex": _registered("UserPromptSubmit PreToolUse Stop SubagentStop"),
    "gemini": (
        *_registered("BeforeAgent BeforeTool"),
        Registration("AfterTool", "run_shell_command"),
        *_registered("AfterAgent SessionEnd"),
    ),
    "cursor": (
        *_registered("beforeSubmitPrompt beforeShellExecution beforeMCPExecution"),
        Registration("preToolUse", "Write|Edit|StrReplace|Delete|EditNotebook|ApplyPatch"),
        *_registered("postToolUseFailure stop subagentStop sessionEnd"),
    ),
    "copilot": (
        *_registered("UserPromptSubmit PreToolUse PostToolUseFailure"),
        Registration("PostToolUse", "Bash"),
        *_registered("Stop SubagentStop SessionEnd"),
    ),
}


def registrations(agent: str) -> tuple[Registration, ...]:
    """Return what `agent`, one of AGENTS, should be set to send to `chrono-hook`.

    Cursor's `preToolUse` is asked about changes of files alone: it cannot ask its user there, and shell commands and
    MCP tools have events of their own, where it can. Gemini has no event for failures, and that of Copilot is none of
    its shell: both are asked about the results of the shell. Codex, whose results do not tell, is asked about none.
    """
    return _REGISTRATIONS[agent]
