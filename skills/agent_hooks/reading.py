"""What a call is at a glance: one that only reads, a command line, or a change of one file.

By the name of the agent's own tool, without rules, settings or git. Most calls of an agent only read, and pass here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from skills.agent_hooks.events import Event


def _tools(names: str) -> frozenset[str]:
    return frozenset(names.split())


# The agents' own tools that change nothing, or only what the agent keeps to itself; a subagent's calls come by
# themselves. A server's tools (`mcp__…`, `mcp_…`) have other names.
_READERS: Mapping[str, frozenset[str]] = {
    "claude": _tools(
        "Read Grep Glob LS NotebookRead WebFetch WebSearch TodoRead TodoWrite Task Agent TaskCreate TaskGet TaskList "
        "TaskUpdate TaskOutput BashOutput AskUserQuestion EnterPlanMode ExitPlanMode ToolSearch Skill SlashCommand "
        "ListMcpResourcesTool ReadMcpResourceTool StructuredOutput"
    ),
    "codex": _tools(
        "update_plan view_image web_search list_mcp_resources list_mcp_resource_templates read_mcp_resource "
        "request_user_input read_file list_dir grep_files"
    ),
    "gemini": _tools(
        "read_file read_many_files list_directory glob grep_search search_file_content google_web_search web_fetch "
        "write_todos ask_user update_topic get_internal_docs complete_task list_mcp_resources read_mcp_resource "
        "enter_plan_mode exit_plan_mode invoke_agent activate_skill tracker_get_task tracker_list_tasks"
    ),
    "cursor": _tools("Read Grep Glob LS Task SemanticSearch WebSearch WebFetch TodoWrite ReadLints"),
    "copilot": _tools(
        "view grep rg glob web_fetch web_search ask_user update_todo task report_intent read_bash list_bash "
        "Read Grep Glob WebFetch WebSearch AskUserQuestion TodoWrite Agent Task"
    ),
}
# The agents' own tools that write the one file that they are given.
_EDITORS: Mapping[str, frozenset[str]] = {
    "claude": _tools("Edit MultiEdit Write NotebookEdit"),
    "codex": frozenset(),
    "gemini": _tools("replace write_file"),
    "cursor": _tools("Write Edit StrReplace EditNotebook Delete"),
    "copilot": _tools("create edit str_replace_editor Write Edit"),
}
_SHELLS: Mapping[str, frozenset[str]] = {
    "claude": _tools("Bash"),
    "codex": _tools("Bash shell local_shell exec_command unified_exec"),
    "gemini": _tools("run_shell_command"),
    "cursor": _tools("Shell"),
    "copilot": _tools("bash Bash run_in_terminal"),
}
# A project that has rules of its own, or a policy for what only reads, has the last word.
_LARGEST_SETTINGS_BYTES = 4 * 1024 * 1024
_HAS_OWN_RULES = rb"\brisk\b|\blow\b"


def only_reads(event: Event, folder: str, environment: Mapping[str, str]) -> bool:
    """Tell whether a call is certain to change nothing. False says nothing."""
    if event.tool in _READERS[event.agent]:
        return True
    command = command_of(event)
    if not command or "low" in environment.get("CHRONOS_GUARD", ""):
        return False
    from historian.risk import is_known_read

    return is_known_read(command) and not _has_own_rules(os.path.realpath(folder))


def command_of(event: Event) -> str:
    """Return the command line that a call of the agent's shell is given, "" when it is no such call."""
    given = event.arguments.get("command") if event.tool in _SHELLS[event.agent] else None
    return given if isinstance(given, str) else ""


def edited_path(event: Event) -> str:
    """Return the path that a call of the agent's own editor is given, "" when it is no such call."""
    return path_of(event) if event.tool in _EDITORS[event.agent] else ""


def path_of(event: Event) -> str:
    """Return the path of a file that a call is given, "" when there is none."""
    paths = (event.arguments.get(key) for key in ("file_path", "path", "notebook_path", "absolute_path"))
    return next((path for path in paths if isinstance(path, str)), "")


def _has_own_rules(folder: str) -> bool:
    """Tell whether the project that `folder` lies in may judge by other rules than ours, by a look at its files."""
    above = ""
    while folder != above:
        if os.path.exists(os.path.join(folder, "chronos-risk.yaml")):
            return True
        for name in ("pyproject.toml", "chronos.toml"):
            data = _read_head(os.path.join(folder, name))
            if (name == "chronos.toml" or b"tool.chronos" in data) and re.search(_HAS_OWN_RULES, data):
                return True
        if os.path.exists(os.path.join(folder, ".git")):
            return False
        above, folder = folder, os.path.dirname(folder)
    return False


def _read_head(path: str) -> bytes:
    """Return as much of a file as settings may be long, nothing where there is no such file."""
    try:
        if os.path.isfile(path):
            with open(path, "rb") as stream:
                return stream.read(_LARGEST_SETTINGS_BYTES)
    except OSError:
        pass
    return b""
