"""One event of an agent, whichever it is: its payload read into the few things that we act on. Loads nothing but json.

A field of a wrong type counts as missing: what an agent sends is not ours to refuse.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from skills.agent_hooks.agents import Moment, find_moment, infer_event

LARGEST_BYTES = 32 * 1024 * 1024
_LONGEST_CALL_MS = 7 * 24 * 3600 * 1000
# What says in which project an agent works, also while it is in a folder elsewhere.
_PROJECT_VARIABLES = ("CLAUDE_PROJECT_DIR", "GEMINI_PROJECT_DIR", "CURSOR_PROJECT_DIR")


class Event(NamedTuple):
    """One event. `folder` is the absolute folder that the agent is in, "" where it does not say.

    `session`, `turn` and `call` are the agent's own ids; `tool` and `arguments` are of a call that is about to be made,
    or that was made and failed with `error`, `took_ms` after it had begun.
    """

    agent: str
    name: str
    moment: Moment | None
    folder: str = ""
    session: str = ""
    turn: str = ""
    prompt: str = ""
    tool: str = ""
    arguments: Mapping[str, Any] = {}
    call: str = ""
    error: str = ""
    took_ms: float = 0.0


def parse_event(agent: str, data: bytes, named: str = "") -> Event:
    """Return the event that `data`, a JSON object, is; `named` is its name where the payload has none.

    Raises ValueError for what is no such object or larger than LARGEST_BYTES, RecursionError for too deep a nesting.
    """
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES:,} bytes")
    payload = json.loads(data)
    if not isinstance(payload, dict):
        raise ValueError("it is no JSON object")
    name = _text(payload, "hook_event_name", "hookEventName") or named or infer_event(agent, payload)
    folder = _text(payload, "cwd", "workingDirectory") or _first_root(payload)
    tool, arguments = _text(payload, "tool_name", "toolName"), _arguments(payload)
    if name == "beforeShellExecution":
        tool, arguments = "Shell", {"command": _text(payload, "command")}
    moment, error = find_moment(agent, name), ""
    if moment is Moment.RESULT:
        from skills.agent_hooks.failing import error_of  # of most events nothing can have failed

        error = error_of(payload)
        moment = Moment.RESULT if error else Moment.OTHER
    return Event(
        agent, name, moment, folder if _can_be_folder(folder) else "",
        session=_text(payload, "session_id", "sessionId", "conversation_id"),
        turn=_text(payload, "turn_id", "prompt_id", "generation_id"),
        prompt=_text(payload, "prompt"), tool=tool, arguments=arguments,
        call=_text(payload, "tool_use_id", "toolUseId", "toolCallId") or str(payload.get("timestamp", "")), error=error,
        took_ms=_number(payload, "duration_ms", "duration"),
    )  # fmt: skip


def find_folder(event: Event, environment: Mapping[str, str], here: str) -> str:
    """Return the folder whose project an event is about: the agent's, unless it has left its project for elsewhere.

    An agent that `chrono timeline run` has started works in that tree, wherever it went (see `Surroundings.start`).
    """
    folder = event.folder or here
    if environment.get("CHRONOS_TIMELINE") and environment.get("CHRONOS_ROOT"):
        return os.path.join(folder, environment["CHRONOS_ROOT"])
    project = next((environment[name] for name in _PROJECT_VARIABLES if environment.get(name)), "")
    if not os.path.isabs(project) or not os.path.isdir(project):
        return folder
    inside = os.path.realpath(folder) + os.sep
    return folder if inside.startswith(os.path.join(os.path.realpath(project), "")) else project


def _text(payload: Mapping[str, Any], *keys: str) -> str:
    return next((payload[key] for key in keys if isinstance(payload.get(key), str)), "")


def _number(payload: Mapping[str, Any], *keys: str) -> float:
    found = next((payload[key] for key in keys if isinstance(payload.get(key), int | float)), 0.0)
    return float(found) if 0 <= found < _LONGEST_CALL_MS else 0.0


def _can_be_folder(path: str) -> bool:
    try:
        return os.path.isabs(path) and b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _first_root(payload: Mapping[str, Any]) -> str:
    roots = payload.get("workspace_roots")
    return roots[0] if isinstance(roots, list) and roots and isinstance(roots[0], str) else ""


def _arguments(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a call's arguments; some agents send them as a text of JSON."""
    given = payload.get("tool_input", payload.get("toolArgs"))
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return {"input": given}
    return given if isinstance(given, dict) else {} if given is None else {"input": given}
