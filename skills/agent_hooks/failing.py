"""What an agent says of a call that has been made, read for whether it failed. Loaded for nothing else.

Claude Code, Cursor and Copilot have an event of its own for failures, with `error` or `error_message`; results of MCP
tools say `isError`, Gemini's have `error`, Copilot's a `resultType`. Of a command that failed in their shells these two
say so by an exit code at the end of a result that is none of a failure. Codex hands on what a command printed, and not
how it ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_RESPONSES = ("tool_response", "tool_result", "toolResult", "result_json")
_SHOWN = ("llmContent", "textResultForLlm", "text_result_for_llm")
# 128 and the number of SIGINT and SIGTERM: somebody ended it, it did not fail.
_INTERRUPTED = frozenset(("130", "143"))
_EXIT_CODE = re.compile(r"(?:Error: )?Exit code:? (\d+)\b[.:]?\s*", re.IGNORECASE)
# How the shell tools of Gemini 0.61 (`packages/core/src/tools/shell.ts`, wrapped as untrusted) and Copilot 1.0 end.
_SHELL_ENDS = (
    re.compile(
        r"\A(?:<untrusted_context>\n)?Output: (.*)\nExit Code: (\d+)"
        r"(?:\n(?:Signal|Background PIDs|Process Group PGID): [^\n]*)*(?:\n</untrusted_context>)?\s*\Z",
        re.DOTALL,
    ),
    re.compile(r"\A(.*)<(?:shellId: \S+ completed|exited) with exit code (\d+)>\s*\Z", re.DOTALL),
)


def error_of(payload: Mapping[str, Any]) -> str:
    """Return what a call is said to have failed with, "" where it did not, was refused, or was ended by somebody."""
    if payload.get("is_interrupt") is True or payload.get("failure_type") == "permission_denied":
        return ""
    response = next((payload[key] for key in _RESPONSES if key in payload), None)
    said = (_text_of(payload.get("error")), _text_of(payload.get("error_message")), _error_in(response))
    text = next(filter(None, said), "")
    code = _EXIT_CODE.match(text)
    if code is None:
        return text
    return "" if code[1] in _INTERRUPTED else text[code.end() :] or f"exit code {code[1]}"


def _error_in(response: Any) -> str:
    """Return what a result says of its failure."""
    if isinstance(response, str) and '"isError"' in response:  # Cursor sends the result of an MCP tool as text
        with suppress(ValueError, RecursionError):
            response = json.loads(response)
    if not isinstance(response, dict):
        return ""
    if error := _text_of(response.get("error")):
        return error
    if response.get("isError") is True or response.get("is_error") is True:
        return _text_of(response.get("content")) or "the tool says that it failed"
    shown = next((_text_of(response[key]) for key in _SHOWN if key in response), "")
    if response.get("resultType", response.get("result_type")) in ("failure", "error"):
        return shown or "failure"
    end = next(filter(None, (one.match(shown) for one in _SHELL_ENDS)), None)
    if end is None or end[2] == "0":
        return ""
    return f"Exit code {end[2]}\n{end[1].strip()}".replace("\n(empty)", "")


def _text_of(said: Any) -> str:
    """Return the words of an error or a content, whichever shape they have."""
    if isinstance(said, str):
        return said.strip()
    if isinstance(said, dict):
        named = next((said[key] for key in ("stack", "message", "text") if isinstance(said.get(key), str)), "")
        return str(named).strip()
    return "\n".join(filter(None, map(_text_of, said))) if isinstance(said, list) else ""
