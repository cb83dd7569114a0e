"""Tool calls of agents: what they run, write or send is judged as that; the rest by the words of the tool's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from historian.risk.arguments import split_name
from historian.risk.case import Case
from historian.risk.listing import listed
from historian.risk.operations import Operation, OperationKind

_COMMANDS = (
    "command",
    "cmd",
    "commands",
    "script",
    "shell_command",
    "bash",
    "input",
    "args",
    "argv",
    "code",
    "keystrokes",
)
_STATEMENTS = ("sql", "query", "statement", "statements", "queries")
_PATHS = (
    "file_path",
    "path",
    "filename",
    "file",
    "target_file",
    "notebook_path",
    "filepath",
    "filePath",
    "uri",
    "absolute_path",
    "relative_workspace_path",
    "target",
    "dest",
    "destination",
    "source",
    "AbsolutePath",
    "TargetFile",
    "relative_path",
)
_CONTENTS = (
    "content",
    "contents",
    "new_string",
    "new_str",
    "file_text",
    "text",
    "new_source",
    "code_edit",
    "diff",
    "patch",
    "data",
)
_SHELL_NAMES = listed(
    "bash shell sh terminal run_command run_terminal_cmd exec execute_command command cmd powershell "
    "run_shell_command execute_bash local_shell run_in_terminal zsh console run_shell computer_terminal "
    "shell_exec process"
)
_DELETES = listed("delete remove rm unlink trash erase")
_READS = listed(
    "read view get list ls search grep glob find cat open fetch show describe lookup query browse look inspect "
    "head tail stat exists count navigate screenshot snapshot scroll hover wait observe recall retrieve "
    "download todo think plan ask check status preview diff log whoami resolve explain summarize extract "
    "analyze analyse websearch webfetch"
)
_SENDS = listed(
    "send post publish email mail tweet message reply notify submit pay charge refund transfer buy order "
    "invite share comment call dial sms slack"
)
_CODE = listed("python node javascript repl interpreter notebook ipython jupyter ruby code")


def judge_tool(case: Case, operation: Operation, judge: Callable[[Case, Operation], None]) -> None:
    """Judge a call: `judge` judges the operation that it stands for."""
    name, given = operation.tool or operation.text, operation.arguments
    parts = [part for part in split_name(name.rpartition("__")[2] or name) if part not in ("tool", "mcp")]
    said = set(parts)
    bare = re.sub(r"[^a-z_]", "", name.lower())
    command = _text(given, _COMMANDS)
    if command and (
        bare in _SHELL_NAMES
        or said & _SHELL_NAMES
        or ("run" in said and "code" not in said)
        or (("command" in given or "cmd" in given) and not _text(given, _PATHS))
    ):
        judge(
            case,
            Operation(
                text=command,
                kind=OperationKind.SHELL,
                cwd=operation.cwd or str(given.get("cwd") or given.get("workdir") or ""),
            ),
        )
        return
    if (statements := _text(given, _STATEMENTS)) and (
        said & {"sql", "database", "db", "postgres", "mysql", "sqlite", "bigquery", "snowflake", "execute"}
        or "sql" in given
    ):
        judge(case, Operation(text=statements, kind=OperationKind.SQL, dialect=operation.dialect))
        return
    if command and said & _CODE:
        _judge_code(case, parts, command, judge, operation.cwd)
        return
    path = _text(given, _PATHS)
    if _judge_file_tool(case, said, path, given, judge, operation.cwd):
        return
    _judge_name(case, name, parts, given)


def _judge_code(case: Case, parts: list[str], code: str, judge: Callable[[Case, Operation], None], cwd: str) -> None:
    from historian.risk.interpreters import Code, judge_code

    language = next((part for part in parts if part in ("python", "node", "javascript", "ruby")), "python")
    judge_code(
        case, Code(language, code), lambda text: judge(case, Operation(text=text, kind=OperationKind.SHELL, cwd=cwd))
    )


def _judge_file_tool(
    case: Case, said: set[str], path: str, given: Mapping[str, Any], judge: Callable[[Case, Operation], None], cwd: str
) -> bool:
    if not path or said & _SENDS:
        return False
    size = sum(len(str(given[key])) for key in _CONTENTS if given.get(key))
    verb = str(given.get("command") or "").lower()
    if said & _DELETES:
        change = "delete"
    elif verb in ("view",) or (
        said & _READS and not said & {"write", "edit", "create", "update", "replace", "append", "insert"}
    ):
        change = "read"
    elif said & {"move", "rename"}:
        change = "rename"
    elif said & {"create", "mkdir", "new"} or verb == "create":
        change = "create"
    elif said & {
        "write",
        "edit",
        "update",
        "replace",
        "append",
        "insert",
        "patch",
        "apply",
        "modify",
        "save",
        "multi",
        "notebook",
        "str",
        "file",
        "copy",
    }:
        change = "update"
    else:
        return False
    judge(
        case,
        Operation(
            kind=OperationKind.FILE, path=path.removeprefix("file://"), change=change, size_bytes=size or None, cwd=cwd
        ),
    )
    return True


def _judge_name(case: Case, name: str, parts: list[str], given: Mapping[str, Any]) -> None:
    rules, said = case.rules, set(parts)
    shown = name[:60]
    method = str(given.get("method") or "").upper()
    first = next((part for part in parts if part in rules.verbs or part in _READS or part in _SENDS), "")
    action = "reads" if first in _READS else "sends" if first in _SENDS else rules.verbs.get(first, "")
    if method in ("POST", "PUT", "PATCH", "DELETE"):
        action = "destroys" if method == "DELETE" else "sends"
        case.effect(f"HTTP {method}")
    if "browser" in said and action in ("", "runs"):
        action = "reads" if said & _READS or not given else "runs"
    verb = str(given.get("action") or given.get("operation") or given.get("op") or "").lower()
    if verb and (chosen := next((rules.verbs[part] for part in split_name(verb) if part in rules.verbs), "")):
        action = chosen
    if action == "deploys":
        texts = {part for value in (name, *map(str, given.values())) for part in split_name(value[:200])}
        action = "deploys" if texts & rules.production else "changes"
    if action == "sends":
        case.effect(f"message or write to somewhere else ({shown})")
    case.add(action or "runs", "tool.name", f"the tool {shown} {rules.says(action) if action else 'is not known'}")
    if given.get("force") is True or given.get("recursive") is True:
        case.add(
            action or "runs",
            "tool.force",
            "with force or in depth",
            weight=min(1.0, rules.weight(action or "runs") + 0.05),
        )


def _text(given: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = given.get(key)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, list | tuple) and value and all(isinstance(part, str) for part in value):
            return " ".join(
                "'" + part.replace("'", "'\\''") + "'" if re.search(r"[^\w./=:@%+,-]", part) else part for part in value
            )
    return ""
