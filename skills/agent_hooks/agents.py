"""What each agent calls its events, and how it is answered. Loads nothing but re.

Sources, read in November 2026: the types of @anthropic-ai/claude-agent-sdk 0.3, codex-rs/hooks of openai/codex, the
sources and docs of @google/gemini-cli 0.61, cursor.com/docs/hooks, and GitHub's and VS Code's references of Copilot
hooks; tests/skills/agent_hooks/payloads has their shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

AGENTS = ("claude", "codex", "gemini", "cursor", "copilot")


class Moment(Enum):
    """What an event is for us; a result is of a call that was made, and asks for something where that failed."""

    PROMPT = "prompt"
    TOOL = "tool"
    STOP = "stop"
    RESULT = "result"
    OTHER = "other"


class Decision(Enum):
    """What becomes of a tool call: nothing is said and the agent's own rules hold, its user is asked, it is refused."""

    NONE = "none"
    ASK = "ask"
    DENY = "deny"


def _named(moment: Moment, names: str) -> dict[str, Moment]:
    return dict.fromkeys(names.split(), moment)


_CLAUDE = {
    "UserPromptSubmit": Moment.PROMPT,
    **_named(Moment.TOOL, "PreToolUse PreSkillShellCommand"),
    **_named(Moment.RESULT, "PostToolUse PostToolUseFailure"),
    **_named(Moment.STOP, "Stop StopFailure SubagentStop SessionEnd"),
    **_named(
        Moment.OTHER,
        "PostToolBatch Notification UserPromptExpansion SessionStart SubagentStart PreCompact PostCompact "
        "PreModelSwitch PostModelSwitch PermissionRequest PermissionDenied Setup TeammateIdle TaskCreated "
        "TaskCompleted Elicitation ElicitationResult ConfigChange WorktreeCreate WorktreeRemove InstructionsLoaded "
        "CwdChanged FileChanged DirectoryAdded MessageDisplay",
    ),
}
_EVENTS: Mapping[str, Mapping[str, Moment]] = {
    "claude": _CLAUDE,
    "codex": {
        "UserPromptSubmit": Moment.PROMPT,
        "PreToolUse": Moment.TOOL,
        "PostToolUse": Moment.RESULT,
        **_named(Moment.STOP, "Stop StopFailure SubagentStop Interrupt"),
        **_named(Moment.OTHER, "PermissionRequest SessionStart SubagentStart PreCompact PostCompact"),
    },
    "gemini": {
        "BeforeAgent": Moment.PROMPT,
        "BeforeTool": Moment.TOOL,
        "AfterTool": Moment.RESULT,
        **_named(Moment.STOP, "AfterAgent SessionEnd"),
        **_named(Moment.OTHER, "BeforeModel AfterModel BeforeToolSelection Notification SessionStart PreCompress"),
    },
    "cursor": {
        "beforeSubmitPrompt": Moment.PROMPT,
        **_named(Moment.TOOL, "beforeShellExecution beforeMCPExecution preToolUse"),
        **_named(Moment.RESULT, "postToolUse postToolUseFailure afterMCPExecution"),
        **_named(Moment.STOP, "stop subagentStop sessionEnd"),
        **_named(
            Moment.OTHER,
            "sessionStart subagentStart afterShellExecution beforeReadFile afterFileEdit beforeTabFileRead "
            "afterTabFileEdit afterAgentResponse afterAgentThought preCompact workspaceOpen",
        ),
    },
    # Its own names send its own fields, without the event's name; the others those of VS Code.
    "copilot": {
        **_named(Moment.PROMPT, "userPromptSubmitted UserPromptSubmit"),
        **_named(Moment.TOOL, "preToolUse PreToolUse"),
        **_named(Moment.RESULT, "postToolUse PostToolUse postToolUseFailure PostToolUseFailure"),
        **_named(Moment.STOP, "agentStop Stop subagentStop SubagentStop sessionEnd SessionEnd"),
        **_named(
            Moment.OTHER,
            "sessionStart SessionStart errorOccurred ErrorOccurred preCompact PreCompact subagentStart SubagentStart "
            "permissionRequest PermissionRequest notification Notification userPromptTransformed",
        ),
    },
}
# What a payload has that cannot be read or whose event nobody knows: the event's name, its fields, and those of a call
# that is about to be made and of one that was made.
# Patterns, and not compiled: few payloads are like that, and the two take 1.5 ms.
_STATED = rb'(?i)"hook_?event_?name"\s*:\s*"([^"\\]{1,60})"'
_FIELD = rb'"([A-Za-z_]{1,40})"\s*:'
_CALL_FIELDS = frozenset(("tool_name", "toolName", "command"))
_RESULT_FIELDS = frozenset(
    ("tool_response", "tool_result", "toolResult", "tool_output", "result_json", "output", "error", "error_message")
)


def find_moment(agent: str, event: str) -> Moment | None:
    """Return what an event of `agent` is for us, None when none of that name is known."""
    return _EVENTS[agent].get(event)


def infer_event(agent: str, payload: Mapping[str, Any]) -> str:
    """Return the event whose fields a payload without its name has, "" when that cannot be told: Copilot's own form."""
    if agent != "copilot":
        return ""
    if "toolName" in payload:
        return (
            "postToolUseFailure" if "error" in payload else "postToolUse" if "toolResult" in payload else "preToolUse"
        )
    by_field = (
        ("transformedPrompt", "userPromptTransformed"), ("prompt", "userPromptSubmitted"),
        ("agentId", "subagentStop"), ("agentName", "subagentStart"), ("stopReason", "agentStop"),
        ("trigger", "preCompact"), ("error", "errorOccurred"), ("source", "sessionStart"), ("reason", "sessionEnd"),
    )  # fmt: skip
    return next((event for field, event in by_field if field in payload), "")


def find_call(agent: str, data: bytes) -> str:
    """Return the event before a tool call that a payload speaks of which is malformed or of a name that is not known.

    "" where it speaks of none: an event of another kind is never taken for a call, for what is refused there would end
    a turn or never let one end. A call of an unknown name is known by its fields: a tool or a command, and no result.
    """
    stated = re.search(_STATED, data)
    name = stated[1].decode("utf-8", "replace") if stated else ""
    if moment := find_moment(agent, name):
        return name if moment is Moment.TOOL else ""
    fields = dict.fromkeys(field.decode() for field in re.findall(_FIELD, data))
    calls = [event for event, moment in _EVENTS[agent].items() if moment is Moment.TOOL]
    if not name:
        spoken_of = next((event for event in calls if f'"{event}"'.encode() in data), "")
        if found := spoken_of or infer_event(agent, fields):
            return found if found in calls else ""
    is_call = not _CALL_FIELDS.isdisjoint(fields) and _RESULT_FIELDS.isdisjoint(fields)
    return (name or calls[0]) if is_call and not name.lower().startswith(("post", "after")) else ""


def can_ask(agent: str, event: str) -> bool:
    """Tell whether an answer to this event can make the agent ask its user."""
    if agent == "cursor":  # it takes "ask" from preToolUse and lets the call go on
        return event in ("beforeShellExecution", "beforeMCPExecution")
    return agent != "codex" and event != "PreSkillShellCommand"  # codex parses "ask" and lets the call go on


def answer(agent: str, event: str, decision: Decision, reason: str, message: str) -> dict[str, Any] | None:
    """Return the document for standard output, None where the agent is to see none. `message` is for its user.

    Nothing is ever allowed: that would take away what the agent would ask by itself.
    """
    return _ANSWERS[agent](event, decision, reason, message)


def _claude(event: str, decision: Decision, reason: str, message: str) -> dict[str, Any] | None:
    document: dict[str, Any] = {"systemMessage": message} if message else {}
    if decision is Decision.DENY and find_moment("claude", event) is not Moment.TOOL:
        document |= {"decision": "block", "reason": reason}  # of every event; what follows is of those that are known
    elif decision is not Decision.NONE:
        document["hookSpecificOutput"] = {
            "hookEventName": event, "permissionDecision": decision.value, "permissionDecisionReason": reason,
        }  # fmt: skip
    return document or None


def _gemini(event: str, decision: Decision, reason: str, message: str) -> dict[str, Any] | None:
    if decision is Decision.NONE:
        return {"systemMessage": message} if message else None
    return {"decision": decision.value, "reason": reason, "systemMessage": _both(reason, message)}


def _cursor(event: str, decision: Decision, reason: str, message: str) -> dict[str, Any] | None:
    """A message alone has no place here: a document without `permission` would be refused, with one it would allow."""
    if decision is Decision.NONE:
        return None
    return {"permission": decision.value, "user_message": _both(reason, message), "agent_message": reason}


def _both(reason: str, message: str) -> str:
    return "\n".join(filter(None, (reason, message)))


def _copilot(event: str, decision: Decision, reason: str, message: str) -> dict[str, Any] | None:
    """The command line reads the decision at the top, VS Code inside of `hookSpecificOutput`."""
    is_shared_form = event[:1].isupper()
    document = (_claude(event, decision, reason, message) or {}) if is_shared_form else {}
    if decision is not Decision.NONE:
        document |= {"permissionDecision": decision.value, "permissionDecisionReason": reason}
    return document or None


_ANSWERS: Mapping[str, Callable[[str, Decision, str, str], dict[str, Any] | None]] = {
    "claude": _claude, "codex": _claude, "gemini": _gemini, "cursor": _cursor, "copilot": _copilot,
}  # fmt: skip
