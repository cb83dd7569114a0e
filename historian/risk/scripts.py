"""Shells and interpreters: the text they are given, the script they read, or what flows into them from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Container

from historian.risk.arguments import Arguments, Word
from historian.risk.invocation import Invocation
from historian.risk.listing import late, listed
from historian.risk.shell_flow import Flow
from historian.risk.shell_text import decode_powershell
from historian.risk.subcommands import name_says

# By name the options after which code stands.
INTERPRETERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("python", "python2", "python3", "pypy", "pypy3", "ipython", "expect", "guile"), ("-c",)),
    **dict.fromkeys(
        ("tsx", "ts-node", "ruby", "lua", "Rscript", "julia", "groovy", "scala", "osascript", "swift", "racket", "irb",
         "bb", "clojure"), ("-e",),
    ),
    **dict.fromkeys(("bun", "elixir"), ("-e", "--eval")),
    **dict.fromkeys(("sbcl", "octave", "octave-cli"), ("--eval",)),
    **dict.fromkeys(("pwsh", "powershell"), ("-c", "-command", "-Command")),
    **dict.fromkeys(("tclsh", "java", "awk", "fish", "jshell"), ()),
    "node": ("-e", "--eval", "-p", "--print", "-pe"), "nodejs": ("-e", "-p", "--eval", "--print"), "deno": ("eval",),
    "perl": ("-e", "-E"), "php": ("-r",), "matlab": ("-batch", "-r"),
}  # fmt: skip
_STRONG = ("destroys", "migrates", "stops", "publishes")
_SHELL_ENDINGS = (".sh", ".bash", ".zsh", "")
_PYTHON_MODULES_READ = listed(
    "json.tool site sysconfig platform this pydoc tabnanny dis tokenize ast calendar timeit trace py_compile "
    "compileall inspect"
)
_SYNTAX = {
    "ruby": ("-c", "-cw", "-wc"),
    "perl": ("-c", "-wc", "-cw"),
    "php": ("-l", "-i", "-m"),
    "node": ("--check", "-c"),
}
_FETCHES_AND_RUNS = late(
    r"(?i)(?:iwr|irm|invoke-webrequest|invoke-restmethod|downloadstring|curl)\b.*(?:iex|invoke-expression)"
    r"|(?:iex|invoke-expression)\W.*(?:iwr|irm|downloadstring|invoke-webrequest|invoke-restmethod)"
)
_SERVERS = frozenset(("http.server", "SimpleHTTPServer", "uvicorn", "gunicorn", "flask", "streamlit", "jupyter"))


def judge_shell_program(call: Invocation) -> None:
    """Judge `sh`: `-c` with a text, a script, or what flows in."""
    words = call.words[1:]
    place = 0
    while place < len(words) and re.match(r"[-+]\w|--\w", words[place].text):
        flag = words[place].text
        if re.fullmatch(r"-[a-zA-Z]*c[a-zA-Z]*", flag):
            rest = words[place + 1 :]
            while rest and re.match(r"[-+]\w", rest[0].text):
                rest = rest[1:]
            if rest:
                _judge_given(call, rest)
            return
        if re.fullmatch(r"-[a-zA-Z]*s[a-zA-Z]*", flag):
            place = len(words)
            break
        if flag == "-n" and place + 1 < len(words):
            call.case.add("reads", "shell.syntax", "only checks the syntax of a script")
            return
        place += 2 if flag in ("-o", "-O", "--rcfile", "--init-file") else 1
    if place < len(words) and words[place].text not in ("-", "/dev/stdin"):
        _judge_script(call, words[place])
        return
    judge_incoming(call, lambda text: call.inner(text))


def _judge_given(call: Invocation, rest: list[Word]) -> None:
    text = rest[0].text
    if "$@" in text or "$*" in text:
        given = " ".join("'" + word.text.replace("'", "'\\''") + "'" for word in rest[2:])
        text = re.sub(r'"?\$[@*]"?', lambda _: given, text)
    for number, word in enumerate(rest[1:10]):
        text = text.replace(f"${number}", word.text) if word.is_sure else text
    if Flow.from_network(rest[0].sources):
        call.case.add("foreign", "shell.foreign", f"{call.name} runs what comes from elsewhere")
    if not rest[0].is_sure and re.fullmatch(r"\s*\$(\(.*\)|\w+|\{.*\})\s*", text, re.S):
        call.case.add("runs", "shell.unknown", f"what {call.name} runs is known only when it runs")
        return
    call.inner(text)


def judge_incoming(call: Invocation, judge: object) -> None:
    """Judge what flows into something that runs it."""
    flow, name = call.flow, call.name
    if flow.text is not None and callable(judge):
        judge(flow.text)
    elif flow.is_foreign or Flow.from_network(flow.sources):
        call.case.add(
            "foreign", "shell.foreign", f"{name} runs what comes from elsewhere ({', '.join(flow.sources[:3])})"
        )
    elif flow.sources[:1] == ("<",) and flow.guess and "\n" not in flow.guess:
        call.case.add("runs", "shell.script", f"{name} runs what stands in {flow.guess[:60]}")
        judge_name(call, flow.guess)
    elif flow.guess and callable(judge):
        call.case.add(
            "runs", "shell.incoming", f"{name} runs what {flow.sources[0] if flow.sources else 'something'} gives it"
        )
        judge(flow.guess)
    elif flow.sources:
        hidden = {"base64", "xxd", "openssl", "gunzip", "rev", "tr", "gpg", "uudecode", "base32"} & set(flow.sources)
        action = "foreign" if hidden else "runs"
        call.case.add(action, "shell.incoming", f"{name} runs what {flow.sources[0]} gives it, which is not known here")
    else:
        call.case.add("runs", "shell.interactive", f"{name} runs what it is told later")


def _judge_script(call: Invocation, word: Word) -> None:
    case, path = call.case, word.text
    if Flow.from_network(word.sources) or is_fetched(call, path):
        case.add("foreign", "shell.foreign", f"{call.name} runs what comes from elsewhere")
        return
    text = call.state.files.get(path)
    if text is None and case.probe is not None and word.is_sure:
        text = case.probe.read_text(path, call.state.folder)
    case.add("runs", "shell.script", f"runs the script {path[:80]}")
    if text is not None:
        call.inner(text)
        return
    judge_name(call, path)
    following = call.words[call.words.index(word) + 1 :]
    if following:
        said = name_says(Arguments(call.name, following).first(), case.rules.verbs)
        if said in _STRONG:
            case.add(said, "shell.script_argument", f"{path[:60]} {following[0].text[:40]} {case.rules.says(said)}")


def is_fetched(call: Invocation, path: str) -> bool:
    """Tell whether a file was fetched from elsewhere a moment ago."""
    return bool(call.state.foreign) and path.removeprefix("./") in {
        name.removeprefix("./") for name in call.state.foreign
    }


def judge_name(call: Invocation, path: str) -> None:
    """Judge a script that cannot be read by what its name says."""
    stem = path.rpartition("/")[2].partition(".")[0]
    action = name_says(stem, call.case.rules.verbs)
    if action in _STRONG:
        call.case.add(
            action, "shell.script_name", f"the script's name says that it {call.case.rules.says(action)}: {stem[:60]}"
        )


def judge_started_script(call: Invocation, shells: Container[str]) -> None:
    """Judge what stands in a script that is started by its path, when its first line says who reads it."""
    path = call.words[0].text
    if "/" not in path or not call.words[0].is_sure:
        return
    text = call.state.files.get(path)
    if text is None and call.case.probe is not None:
        text = call.case.probe.read_text(path, call.state.folder)
    match = re.match(r"#![ \t]*(?:\S*/env[ \t]+(?:-\S+[ \t]+)*)?(?:\S*/)?(\w+)", text or "")
    if text is None or match is None:
        return
    if match[1] in shells:
        call.inner(text)
    elif match[1] in INTERPRETERS:
        _judge_code(call, match[1], text)


def judge_eval(call: Invocation) -> Flow:
    """Judge `eval TEXT` and `source FILE`."""
    words = call.words[1:]
    if not words:
        return Flow()
    if call.name == "eval":
        if any(Flow.from_network(word.sources) for word in words):
            call.case.add("foreign", "shell.foreign", "eval runs what comes from elsewhere")
        text = " ".join(word.text for word in words)
        if not all(word.is_sure for word in words) and re.match(r"\s*\$", text):
            call.case.add("runs", "shell.unknown", "what eval runs is known only when it runs")
            return Flow()
        return call.inner(text)
    _judge_script(call, words[0])
    return Flow()


def judge_interpreter(call: Invocation) -> bool:
    """Judge an interpreter; False where it is given none of the things that are known here."""
    words, name = call.words[1:], call.name
    options = INTERPRETERS[name]
    if words and words[0].text in _SYNTAX.get(name, ()):
        call.case.add("reads", "code.syntax", f"{name} only checks the syntax")
        return True
    for number, word in enumerate(words):
        flag, equals, value = word.text.partition("=")
        if name in ("pwsh", "powershell") and flag.lower() in ("-encodedcommand", "-enc", "-e", "-ec"):
            decoded = decode_powershell(words[number + 1].text) if number + 1 < len(words) else None
            if decoded is None:
                call.case.add("foreign", "code.hidden", "runs a command that is encoded")
            else:
                _judge_powershell(call, decoded)
            return True
        if name in ("pwsh", "powershell") and flag.lower() in ("-command", "-c"):
            _judge_powershell(call, " ".join(word.text for word in words[number + 1 :]))
            return True
        if flag in options or (name in ("perl", "ruby") and re.fullmatch(r"-[a-zA-Z0-9.]*[eE]", flag)):
            code = value if equals else " ".join(word.text for word in words[number + 1 : number + 2])
            if (name in ("perl", "ruby") and "i" in flag[1:]) or any(
                re.match(r"-[pnalw0]*i", other.text) for other in words[:number]
            ):
                call.case.add("changes", "code.in_place", f"{name} changes files in place")
            if Flow.from_network(x for other in words[number + 1 : number + 2] for x in other.sources):
                call.case.add("foreign", "shell.foreign", f"{name} runs what comes from elsewhere")
            _judge_code(call, name, code)
            return True
        if word.text == "-m" and name.startswith(("python", "pypy")) and number + 1 < len(words):
            _judge_module(call, words[number + 1 :])
            return True
        if not word.text.startswith("-"):
            return _judge_file(call, words[number:])
    if words and words[-1].text != "-" and not call.flow.sources:
        return False
    judge_incoming(call, lambda text: _judge_code(call, name, text))
    return True


def _judge_code(call: Invocation, language: str, text: str) -> None:
    from historian.risk.interpreters import Code, judge_code  # 2 ms, and most commands have no code in them

    judge_code(call.case, Code(language, text, call.state.folder), call.inner)


def fetches_and_runs(text: str) -> bool:
    """Tell whether PowerShell runs what it fetches."""
    return _FETCHES_AND_RUNS.search(text) is not None


def _judge_powershell(call: Invocation, text: str) -> None:
    _judge_code(call, call.name, text)
    if fetches_and_runs(text):
        call.case.add("foreign", "shell.foreign", "PowerShell runs what comes from elsewhere")
    call.inner(text)


def _judge_module(call: Invocation, words: list[Word]) -> None:
    from historian.risk.programs import judge_program

    name = words[0].text
    if name in _PYTHON_MODULES_READ:
        call.case.add("reads", "code.module", f"python -m {name} only reads")
    elif name in _SERVERS:
        call.case.add("runs", "code.module", f"python -m {name} starts a server")
    else:
        judge_program(call.case, words, call.flow, call.state, call.inner)


def _judge_file(call: Invocation, words: list[Word]) -> bool:
    """Judge a script of an interpreter: `manage.py` is a program of its own, others are read or told by name."""
    from historian.risk.programs import judge_by_rules, program_name

    case, path = call.case, words[0].text
    name = program_name(path)
    if (
        call.name in ("php", "deno", "bun", "java", "ruby", "node", "elixir", "scala", "swift", "dotnet")
        and name.isalpha()
        and name in ("run", "test", "install", "task", "compile", "build", "add", "package")
    ):
        return False
    own = Invocation(case, name, words, call.flow, call.state, call.inner)
    if name.lower() in case.rules.commands:
        judge_by_rules(own)
        return True
    text = call.state.files.get(path)
    if text is None and case.probe is not None and words[0].is_sure:
        text = case.probe.read_text(path, call.state.folder)
    if Flow.from_network(words[0].sources) or is_fetched(call, path):
        case.add("foreign", "shell.foreign", f"{call.name} runs what comes from elsewhere")
    case.add("runs", "code.script", f"{call.name} runs {path[:80]}")
    if text is not None:
        _judge_code(call, call.name, text)
        return True
    judge_name(call, path)
    if len(words) > 1:
        said = name_says(own.arguments.first(), case.rules.verbs)
        if said in _STRONG:
            case.add(said, "code.argument", f"{path[:60]} {own.arguments.first()[:40]} {case.rules.says(said)}")
        elif own.arguments.has("--dry-run", "--dryrun"):
            case.add("rehearses", "code.rehearsal", "a rehearsal, by its own option")
    return True
