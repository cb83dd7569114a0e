"""One program with its arguments: what it starts, what it is by the rules, and what its subcommands say.

The order: a program that starts another is looked through; interpreters and clients of databases are judged by what
they are given; a few programs have a judge of their own; then the rules; then verbs in subcommands, options and names,
so that a tool of which nobody has heard is judged by how its command reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from historian.risk import scripts
from historian.risk.arguments import Arguments, Word, best_rule, split_name
from historian.risk.case import DEEPEST, Case
from historian.risk.given_texts import judge_given
from historian.risk.invocation import Invocation
from historian.risk.judges import JUDGES, find_judge
from historian.risk.listing import late, listed
from historian.risk.rules import CommandRule
from historian.risk.scripts import INTERPRETERS
from historian.risk.shell_flow import NETWORK, Flow, ShellState
from historian.risk.sql_clients import CLIENTS, judge_client, made_statements
from historian.risk.subcommands import (
    PACKAGE_RUNNERS,
    TASK_RUNNERS,
    by_flags,
    by_task,
    by_verbs,
    deploys,
    is_production,
    is_rehearsal,
    scales_to_nothing,
)
from historian.risk.wrappers import find_wrapped

_SHELLS = listed("sh bash zsh dash ksh ash fish csh tcsh mksh rbash bash.exe sh.exe git-bash")
_ENDINGS = (".exe", ".cmd", ".bat", ".com", ".ps1")
_PASSES_ON = listed(
    "cat tee tr sed awk grep rev base64 xxd openssl gunzip zcat gzip xz tar head tail sort uniq cut tac "
    "dos2unix iconv jq yq pv envsubst unxz zstd gpg perl unzip funzip bzcat"
)
_SETTINGS = frozenset(("--version", "-version", "-V"))
_GLOB = late(r"(?<=.)[*?]|\[.+\]|^[?*].")
_FEARED = listed("rm dd mkfs shred sh bash unlink")
_HALTS = listed("shutdown halt poweroff reboot")  # to them -h is no question
_METHODS = ("-X", "--method", "--request")
_HELP = frozenset(("--help", "-help", "-?", "/?"))


def judge_program(case: Case, words: list[Word], flow: Flow, state: ShellState, inner: Callable[..., Flow]) -> Flow:
    """Judge a program with its arguments and what flows into it; return what flows out."""
    name = program_name(words[0].text)
    if not words[0].is_quoted and _GLOB.search(name):
        name = _program_like(case, name)
    case_call = Invocation(case, name, words, flow, state, inner)
    wrapped = find_wrapped(name, words)
    if name in ("command", "builtin") and len(words) > 2 and words[1].text in ("-v", "-V"):
        case.add("reads", "shell.help", f"{name} {words[1].text} only tells what it is")
        return Flow(text=words[2].text, sources=(name,))
    if name == "which" and len(words) == 2:
        case.add("reads", "shell.help", "which only tells where a program is")
        return Flow(text=words[1].text, sources=(name,))
    written = state.files.get(words[0].text.removeprefix("./")) or state.files.get(words[0].text)
    if written is not None and "/" in words[0].text and state.depth < DEEPEST:
        case.add("runs", "shell.script", f"runs {words[0].text[:60]}, written a moment ago")
        return inner(written, flow)
    if scripts.is_fetched(case_call, words[0].text):
        case.add("foreign", "shell.foreign", f"runs {words[0].text[:60]}, which comes from elsewhere")
    if wrapped is not None and not _only_asks(words[:2]):
        from historian.risk.placeholders import unfold_parallel, unfold_xargs

        if wrapped.host:
            case.hit("remote", wrapped.host)
            case.effect(f"command on another machine ({wrapped.host})"[:80])
        if wrapped.text:
            before = len(case.findings)
            found = inner(unfold_parallel(wrapped.text) if name == "parallel" else wrapped.text, flow)
            _note_production(case, wrapped.host, before)
            return found
        if wrapped.words and state.depth < 30:
            commands = [list(wrapped.words)]
            if name == "xargs":
                commands = unfold_xargs(commands[0], words[1 : len(words) - len(commands[0])], flow)
            note_effects(case, name, Arguments(name, words[1:], case.rules.table.valued.get(name, ())))
            state.depth += 1
            try:
                return Flow.together(
                    [judge_program(case, rest, flow, state, inner) for rest in commands if case.step()]
                )
            finally:
                state.depth -= 1
    return _judge(case_call)


def _note_production(case: Case, host: str, before: int) -> None:
    """Note that files of a machine in production are changed by hand."""
    is_changed = any(found.action == "changes" and found.rule.startswith("path.") for found in case.findings[before:])
    if is_changed and not case.rules.production.isdisjoint(split_name(host)):
        case.add("patches", "shell.production", f"changes files of {host[:60]} by hand")


def _program_like(case: Case, pattern: str) -> str:
    """Return the program that a pattern stands for: of those that fit, the most dangerous one that rules know."""
    fitting = [name for name in (*_SHELLS, *case.rules.commands, *JUDGES) if fnmatchcase(name, pattern)]
    return min(fitting, key=lambda name: (name not in _FEARED, len(name)), default="?")


def program_name(text: str) -> str:
    """Return the name of a program without its folder and the ending of an executable."""
    name = re.split(r"[/\\]", text.rstrip("/"))[-1] if text not in (".", "..") else text
    lowered = name.lower()
    for ending in _ENDINGS:
        if lowered.endswith(ending):
            return name[: -len(ending)]
    return name


def _only_asks(words: Sequence[Word]) -> bool:
    return len(words) == 2 and (words[1].text in _HELP or words[1].text in _SETTINGS)


def _judge(call: Invocation) -> Flow:
    case, name, words = call.case, call.name, call.words
    if not words[0].is_sure and re.search(r"[$`]", words[0].text):
        return _judge_unknown(call)
    rest = [word.text for word in words[1:]]
    if name not in _HALTS and _asks_for_help(rest, is_shell=name in _SHELLS or name in INTERPRETERS):
        case.add("reads", "shell.help", f"{name} only says what it is or can do")
        return Flow(sources=(name,))
    if name in ("echo", "printf"):
        return _print(call)
    if name in _SHELLS:
        scripts.judge_shell_program(call)
        return Flow(sources=(name,))
    if name in ("eval", "source", "."):
        return scripts.judge_eval(call)
    if name.lower() in ("iex", "invoke-expression"):
        if rest:
            return call.inner(" ".join(rest))
        scripts.judge_incoming(call, call.inner)
        return Flow(sources=(name,))
    if name == ":" or (name == "true" and not rest):
        return Flow(sources=(name,), is_empty=True)
    if name in INTERPRETERS and name not in JUDGES and scripts.judge_interpreter(call):
        return Flow(sources=(name,))
    if name == "git":
        from historian.risk.git import judge_git

        judge_git(case, words, call.state, call.inner)
        if "push" not in rest:
            note_effects(case, name, call.arguments)
        return Flow(sources=(name,))
    if judge_client(case, name, Arguments(name, words[1:], _client_values(name)), call.flow, call.state, call.inner):
        return Flow(sources=(name,), guess=";".join(made_statements(word.text for word in words[1:])))
    judge = find_judge(name)
    made = judge(call) if judge is not None else None
    if made is not None:
        note_effects(case, name, call.arguments)
        return made
    scripts.judge_started_script(call, _SHELLS)
    judge_by_rules(call)
    passes = name in _PASSES_ON
    return Flow(
        sources=(name, *(call.flow.sources if passes else ())),
        is_foreign=name in NETWORK
        or (passes and call.flow.is_foreign)
        or any(Flow.from_network(word.sources) for word in words),
    )


def _judge_unknown(call: Invocation) -> Flow:
    """Judge a program whose name is put together from what only running it tells."""
    word = call.words[0]
    foreign = call.flow.is_foreign or Flow.from_network(word.sources)
    action, reason = "foreign" if foreign else "runs", f"what {word.text[:40]} is, is known only when it runs"
    call.case.add(action, "shell.unknown", reason)
    return Flow(sources=("$",))


def _asks_for_help(rest: Sequence[str], *, is_shell: bool) -> bool:
    """Tell whether a program is asked what it is or can do; a shell is so only by its first word."""
    if not rest:
        return False
    if is_shell:
        return rest[0] in _HELP or rest[0] in _SETTINGS
    is_alone = all(text.startswith("-") for text in rest[1:])
    is_first = rest[0] in _SETTINGS or rest[0] == "help" or (rest[0] == "version" and is_alone) or list(rest) == ["-h"]
    return is_first or not _HELP.isdisjoint(rest) or (rest[-1] == "-h" and not rest[0].startswith("-"))


def _client_values(name: str) -> tuple[str, ...]:
    return CLIENTS[name].valued if name in CLIENTS else ()


def _print(call: Invocation) -> Flow:
    """Echo and printf print: what they print is known when their words are."""
    from historian.risk.shell_text import unescape_ansi

    words = list(call.words[1:])
    is_escaped = call.name == "printf"
    while call.name == "echo" and words and re.fullmatch(r"-[neE]+", words[0].text):
        is_escaped = is_escaped or "e" in words[0].text
        words.pop(0)
    texts = [word.text for word in words]
    if call.name == "printf" and texts:
        form, *values = texts
        for value in values:
            form = re.sub(r"%[-\d.]*[sbdq]", lambda _, value=value: value, form, count=1)  # type: ignore[misc]
        texts = [form]
    text = " ".join(texts)
    text = unescape_ansi(text) if is_escaped else text
    call.case.add("reads", "shell.prints", f"{call.name} only prints")
    return Flow(text=text + "\n" if all(word.is_sure for word in words) else None, sources=(call.name,), guess=text)


def judge_by_rules(call: Invocation) -> None:
    """Judge by the rules, by verbs where those say nothing, and note what leaves the machine."""
    case, name = call.case, call.name
    arguments = call.arguments
    rules = case.rules.commands.get(name.lower(), ())
    rule = best_rule(rules, arguments)
    shown = " ".join(word.text for word in call.words)[:80]
    plain = (
        rule is not None and not rule.parts and not any(other.parts for other in rules if other.action != rule.action)
    )
    action = rule.action if rule is not None else ""
    if rule is None or (not rule.parts and not plain and rule.action == "changes"):
        action = by_verbs(call) or action or "runs"
    elif action == "reads" and len(rule.parts) == 1 and (other := _after_group(call, rule)):
        action = other
    if name in PACKAGE_RUNNERS or name in TASK_RUNNERS:
        action = by_task(call, action)
    if action in ("runs", "changes"):
        if by_flags(call) == "destroys":
            action = "destroys"
        elif scales_to_nothing(call):
            action = "stops"
        _look_through(call)
    if name.lower() in case.rules.clouds and arguments.names()[-1:] == ["help"]:
        action = "reads"
    if rule is None or rule.parts or action != "reads":
        judge_given(call)
    method = next((arguments.values[flag] for flag in _METHODS if flag in arguments.values), "").upper()
    if method in ("POST", "PUT", "PATCH", "DELETE") and action in ("reads", "runs", "changes"):
        action = "destroys" if method == "DELETE" else "sends"
        case.effect(f"HTTP {method} ({name})")
    if action not in ("reads", "rehearses", "") and is_rehearsal(call):
        action = "rehearses"
    if action in ("changes", "runs", "deploys", "sends") and deploys(call) and is_production(call):
        action = "deploys"
    elif action == "deploys" and rule is None:
        action = "deploys" if is_production(call) else "changes"
    case.add(action, f"command.{name.lower()}"[:60], f"{shown}: {case.rules.says(action)}")
    if action not in ("reads", "rehearses"):
        note_effects(case, name, arguments)
        if name.lower() in case.rules.clouds:
            case.effect(f"change in a cloud ({name})")
        if action == "destroys" and name.lower() in case.rules.clouds:
            case.hit("remote", next((text for text in arguments.names() if "://" in text), name))


def _after_group(call: Invocation, rule: CommandRule) -> str:
    """`ip link` shows and `ip link delete` does not: a verb right after a group of commands."""
    names, verbs = call.arguments.names(), call.case.rules.verbs
    place = next((number for number, name in enumerate(names, start=1) if name in rule.parts[0]), 1)
    if len(names) <= place or verbs.get(names[place - 1]) == "reads" or names[place] not in verbs:
        return ""
    return verbs[names[place]]


def _look_through(call: Invocation) -> None:
    """Judge what an unknown tool's `exec` or `run` starts, where that is a program that the rules know."""
    for number, word in enumerate(call.words[1:6], start=1):
        if word.text in ("exec", "run", "--") and number + 1 < len(call.words):
            rest = call.words[number + 1 :]
            name = program_name(rest[0].text)
            if name in call.case.rules.commands and len(rest) > 1 and call.state.depth < DEEPEST:
                call.state.depth += 1
                judge_program(call.case, rest, call.flow, call.state, call.inner)
                call.state.depth -= 1
            return


def note_effects(case: Case, name: str, arguments: Arguments) -> None:
    """Note what leaves the machine."""
    rules = case.rules.effects.get(name.lower(), ())
    if rules and (rule := best_rule(rules, arguments)) is not None and not arguments.has("--dry-run", "--dryrun"):
        case.effect(f"{rule.action} ({name})")
