"""Tool calls of agents: what they run, write or send is judged as that; the rest by the words of the tool's name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from historian.risk.arguments import kind_of_migration, split_name, verb_of
from historian.risk.calls import Call, steps_of, take_apart
from historian.risk.case import Case
from historian.risk.listing import late, listed
from historian.risk.operations import Operation, OperationKind
from historian.risk.words import judge_words

Judge = Callable[[Case, Operation], None]

_SHELLS = listed(
    "bash shell sh terminal exec command cmd powershell zsh console process cli ssh execute run invoke subprocess"
)
_RIGHTS = listed(
    "role roles policy policies permission permissions access member members grant collaborator acl rights"
)
_MIGHTY = listed("admin administrator administrators owner root superuser sudo")
_EVERYWHERE = frozenset(("0.0.0.0/0", "::/0", "allUsers", "public-read", "public-read-write"))
_WORLD = frozenset(("public", "*", "everyone", "anyone", "world"))
_AUDIENCES = listed("visibility access acl principal audience sharing")
_CHANNELS = listed("queue topic exchange channel event message routing subject")
_COUNTS = listed("replicas desired capacity instances")
_MIGRATIONS = listed("migrate migration migrations")
# A request of GraphQL, and the names of what it asks for.
_GRAPH = late(r"\s*(?:(query|mutation|subscription)\b[^{]*)?\{")
_FIELD = late(r"(?:^|\})\s*(?:\w+\s*:\s*)?([A-Za-z]\w*)\s*[({]")
_DELETES = listed("delete remove rm unlink trash erase rmdir rmtree destroy")
_READS = listed(
    "read view get list ls search grep glob find cat open fetch show describe lookup query browse look inspect "
    "head tail stat exists count navigate screenshot snapshot scroll hover wait observe recall retrieve "
    "download todo think plan ask check status preview diff log whoami resolve explain summarize extract "
    "analyze analyse websearch webfetch validate verify lint compare select is has monitor watch"
)
_SEARCHES = listed("search grep websearch find glob lookup browse think ask recall webfetch rg codebase")
_SENDS = listed(
    "send post publish email mail tweet message reply notify submit pay charge refund transfer buy order "
    "invite share comment call dial sms slack"
)
_WRITES = listed(
    "write edit update replace append insert patch apply modify save multi notebook str file copy overwrite"
)
_MAKES = listed("create mkdir new touch make")
_CODE = listed("python node javascript js repl interpreter notebook ipython jupyter ruby code cell typescript deno")
# Programs that tools are named after: `git_push`, `terraform_apply`.
_PROGRAMS = listed(
    "git terraform tofu docker kubectl helm npm yarn pnpm pip cargo gh aws gcloud az alembic redis systemctl podman "
    "psql mysql sqlite mongo ansible pulumi flyctl heroku vercel rsync crontab apt brew"
)
_SAME_PROGRAM = {"k8s": "kubectl", "kubernetes": "kubectl", "github": "gh"}
_WORK = late(r"^\*\*\* (Add|Update|Delete) File: (.+)$", re.M)
_PATCH_CHANGES = {"Add": "create", "Update": "update", "Delete": "delete"}
_MILD = frozenset(("", "changes", "runs", "sends"))
_DEEPEST = 3


def judge_tool(case: Case, operation: Operation, judge: Judge, depth: int = 0) -> None:
    """Judge a call: `judge` judges the operation that it stands for."""
    call = take_apart(operation.tool or operation.text, operation.arguments)
    if (inner := call.inner) is not None and depth < _DEEPEST:
        judge_tool(case, inner, judge, depth + 1)
        return
    if call.is_rehearsal:
        case.add("rehearses", "tool.rehearsal", "says that nothing is to be done")
        return
    steps = list(steps_of(call.given)) if depth < _DEEPEST else []
    for step in steps:
        judge_tool(case, Operation(tool=_step_name(call, step), arguments=step, cwd=operation.cwd), judge, depth + 1)
    if not _judge_given(case, call, operation, judge) and not (steps and not _action_of(case, call)):
        _judge_name(case, call, judge)


def _step_name(call: Call, step: Any) -> str:
    chosen = next(
        (str(step[key]) for key in ("action", "operation", "op", "tool", "type", "name") if step.get(key)), ""
    )
    return chosen if len(chosen) <= 60 and chosen else call.name


def _judge_given(case: Case, call: Call, operation: Operation, judge: Judge) -> bool:
    """Judge the command, statements, code or file that a call is given; False where there is none."""
    said, cwd = set(call.parts), operation.cwd
    if not said.isdisjoint(_SEARCHES) and said.isdisjoint(_SHELLS):
        return False
    if (request := call.request) and " " in request:
        judge(case, Operation(text=request, kind=OperationKind.WORDS))
        return True
    command = call.command
    if command and "*** Begin Patch" in command:
        return _judge_patch(case, command, judge, cwd)
    patch = call.text(("patch", "input", "diff"))
    if patch and "*** Begin Patch" in patch:
        return _judge_patch(case, patch, judge, cwd)
    statements = call.statements
    if statements and _is_sql(statements):
        judge(case, Operation(text=statements, kind=OperationKind.SQL, dialect=operation.dialect))
        if (named := _by_words(case, call.parts)) == "migrates":
            case.add(named, "tool.name", f"the tool {call.name[:60]} {case.rules.says(named)}")
        return True
    if (graph := _GRAPH.match(statements)) is not None:
        fields = _FIELD.findall(statements[graph.end() :]) if graph[1] == "mutation" else []
        for action in [verb_of(field, case.rules.verbs) or "changes" for field in fields] or ["reads"]:
            case.add(action, "tool.graph", f"a {graph[1] or 'query'} {case.rules.says(action)}")
        return True
    if (code := call.code) and not said.isdisjoint(_CODE) and said.isdisjoint(_WRITES):
        return _judge_code(case, call, code, judge, cwd)
    if command and (not said.isdisjoint(_SHELLS) or not call.path) and _is_run(call):
        where = cwd or str(call.given.get("cwd") or call.given.get("workdir") or "")
        judge(case, Operation(text=_with_program(case, call, command), kind=OperationKind.SHELL, cwd=where))
        return True
    if statements and ("sql" in call.given or not said.isdisjoint(("sql", "execute"))) and " " in statements:
        judge(case, Operation(text=statements, kind=OperationKind.SQL, dialect=operation.dialect))
        return True
    return _judge_file_tool(case, call, judge, cwd)


def _is_sql(text: str) -> bool:
    from historian.risk.detecting import looks_like_sql  # 10 ms, and few calls are given what may be statements

    return looks_like_sql(text)


def _is_run(call: Call) -> bool:
    """Whether a text under `command` and the like is to be run, not typed, searched for or written."""
    if not _SHELLS.isdisjoint(call.context) or not _PROGRAMS.isdisjoint(call.context):
        return True
    return any(split_name(key)[-1:] in (["command"], ["cmd"]) for key in call.given)


def _with_program(case: Case, call: Call, command: str) -> str:
    """Return the command with the program that the tool is named after, where it begins with a subcommand."""
    first = command.split(maxsplit=1)[0].rsplit("/", 1)[-1]
    named = [_SAME_PROGRAM.get(part, part) for part in call.context]
    program = next((part for part in named if part in _PROGRAMS), "")
    if not program or first == program or first in case.rules.commands or not re.fullmatch(r"[a-z][\w-]*", first):
        return command
    return f"{program} {command}"


def _judge_patch(case: Case, text: str, judge: Judge, cwd: str) -> bool:
    """Judge a patch by the files that it adds, updates and deletes."""
    found = _WORK.findall(text)
    for change, path in found:
        judge(case, Operation(kind=OperationKind.FILE, path=path.strip(), change=_PATCH_CHANGES[change], cwd=cwd))
    if not found:
        case.add("changes", "tool.patch", "applies a patch")
    return True


def _judge_code(case: Case, call: Call, code: str, judge: Judge, cwd: str) -> bool:
    from historian.risk.interpreters import Code, judge_code

    for line in code.splitlines():
        if line.lstrip().startswith("!"):
            judge(case, Operation(text=line.lstrip()[1:], kind=OperationKind.SHELL, cwd=cwd))
    named = {"js": "javascript", "typescript": "javascript", "deno": "javascript"}
    language = next(
        (named.get(part, part) for part in call.context if part in named or part in ("node", "javascript", "ruby")),
        str(call.given.get("language") or "python").lower(),
    )
    judge_code(
        case, Code(language, code), lambda text: judge(case, Operation(text=text, kind=OperationKind.SHELL, cwd=cwd))
    )
    return True


def _judge_file_tool(case: Case, call: Call, judge: Judge, cwd: str) -> bool:
    said, path = set(call.parts), call.path
    if not path or said & _SENDS or not _PROGRAMS.isdisjoint(call.context):
        return False
    verb = str(call.given.get("command") or "").lower()
    if said & _DELETES:
        change = "delete"
    elif verb == "view" or (said & _READS and not said & (_WRITES | _MAKES) - {"file", "notebook"}):
        change = "read"
    elif said & {"move", "rename"}:
        change = "rename"
    elif said & _MAKES or verb == "create":
        change = "create"
    elif said & _WRITES:
        change = "update"
        if said & {"overwrite", "truncate", "empty", "clear", "wipe"}:
            case.add("destroys", "tool.overwrites", f"overwrites {path[:120]}")
    else:
        return False
    judge(case, Operation(kind=OperationKind.FILE, path=path, change=change, size_bytes=call.size or None, cwd=cwd))
    return True


def _judge_name(case: Case, call: Call, judge: Judge) -> None:
    """Judge a call of which only the name and plain arguments are known."""
    shown, given = call.name[:60], call.given
    method = str(given.get("method") or "").upper()
    if method in ("POST", "PUT", "PATCH", "DELETE"):
        case.effect(f"HTTP {method}")
        action = "destroys" if method == "DELETE" else "sends"
    elif method in ("GET", "HEAD", "OPTIONS") and not set(call.parts).isdisjoint(("http", "request", "fetch", "url")):
        action = "reads"
    else:
        action = _action_of(case, call)
        if action in _MILD and (command := _as_command(call)):
            judge(case, Operation(text=command, kind=OperationKind.SHELL))
    if action == "sends":
        case.effect(f"message or write to somewhere else ({shown})")
    case.add(action or "runs", "tool.name", f"the tool {shown} {case.rules.says(action) if action else 'is not known'}")
    if action != "reads" and (given.get("force") is True or given.get("recursive") is True):
        weight = min(1.0, case.rules.weight(action or "runs") + 0.05)
        case.add(action or "runs", "tool.force", "with force or in depth", weight=weight)


def _action_of(case: Case, call: Call) -> str:
    """Return what the name says: its first verb, what it says as words, and what its arguments choose."""
    rules, parts = case.rules, call.parts
    first = next((part for part in parts if part in rules.verbs or part in _READS or part in _SENDS), "")
    if not _MIGRATIONS.isdisjoint(parts) and (said := kind_of_migration(parts, rules.verbs)) in ("reads", "changes"):
        return said
    action = "reads" if first in _READS else "sends" if first in _SENDS else rules.verbs.get(first, "")
    is_browser = "browser" in call.context
    if is_browser and action in ("", "runs", "reads"):
        return "reads" if not _READS.isdisjoint(parts) else "runs"
    if action == "reads" and "and" not in parts:
        return action
    choices = [split_name(choice) for choice in call.choices()]
    chosen = ["reads" if choice[:1] and choice[0] in _READS else _by_words(case, choice) for choice in choices]
    if any(_opens(call, key, value) for key, value in call.scalars()):
        chosen.append("permits")
    if any(value == 0 and value is not False and _COUNTS & set(split_name(key)) for key, value in call.given.items()):
        chosen.append("stops")
    if "ref" in parts and call.given.get("force") is True:
        chosen.append("rewrites")
    found = [action, _by_words(case, parts), _by_words(case, (parts[-1], *parts[:-1])), *chosen]
    if action == "" and any(one == "reads" for one in chosen):
        found = [one for one in found if one not in _MILD]
        action = "reads"
    heaviest = max(found, key=lambda one: rules.weight(one) if one else 0.0, default=action)
    if heaviest == "publishes" and not _CHANNELS.isdisjoint(part for key in call.given for part in split_name(key)):
        return "sends"
    if rules.weight(heaviest) <= rules.weight("sends") and heaviest:
        heaviest = action or heaviest
    if (action or heaviest) == "deploys":
        texts = {part for value in (call.name, *map(str, call.given.values())) for part in split_name(value[:200])}
        heaviest = "deploys" if texts & rules.production else "changes"
    return heaviest


def _opens(call: Call, key: str, value: str) -> bool:
    """Whether a value gives somebody all rights, or everybody some."""
    name = split_name(key)[-1:]
    if value in _EVERYWHERE or (value.lower() in _WORLD and not _AUDIENCES.isdisjoint(name)):
        return True
    return not _RIGHTS.isdisjoint((*call.parts, *name)) and not _MIGHTY.isdisjoint(split_name(value[:200]))


def _by_words(case: Case, parts: list[str] | tuple[str, ...]) -> str:
    """Return the heaviest thing that words of a name say, "" where nothing is known of them."""
    inner = Case(case.rules)
    judge_words(inner, " ".join(parts).strip())
    worst = max(inner.findings, key=lambda finding: finding.weight, default=None)
    action = worst.action if worst is not None and worst.rule != "words.unknown" else ""
    if action in _MILD and len(parts) == 1:
        return case.rules.verbs.get(parts[0], action)
    return action


def _as_command(call: Call) -> str:
    """Return the command that a tool of a program stands for: `git_push` with `force: true`."""
    named = [_SAME_PROGRAM.get(part, part) for part in call.context]
    at = next((number for number, part in enumerate(named) if part in _PROGRAMS), -1)
    if at < 0:
        return ""
    program = named[at]
    words = [part for part in call.parts if _SAME_PROGRAM.get(part, part) != program]
    return shlex.join([program, *words, *call.options()]) if words else ""
