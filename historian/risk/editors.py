"""Editors that are given commands: vim, ex, ed and Emacs, which empty files and start programs unseen."""

from __future__ import annotations

import re

from historian.risk.invocation import Invocation
from historian.risk.listing import late
from historian.risk.paths import judge_change
from historian.risk.shell_flow import Flow

_EMPTIES = late(
    r"^:?\s*(?:(?:arg|buf|win|tab)do!?\s+)?(?:%|1,\$|,)\s*d(?:e|el|elete)?\b|^:?\s*(?:g|global)/\.?\*?/d"
    r"|call\s+delete\(|\bnormal!?\s+ggdG"
)
_LISP_REMOVES = late(r"\((?:delete-file|delete-directory|erase-buffer)\b")
_LISP_STARTS = late(r"\((?:shell-command|call-process-shell-command)\s+\"((?:[^\"\\]|\\.)*)\"")


def judge_vim(call: Invocation) -> Flow:
    """Vim and ex: `-c` and `+` give commands, ex and ed also read them."""
    commands, files = [], []
    words = [word.text for word in call.words[1:]]
    while words:
        text = words.pop(0)
        if text in ("-c", "--cmd", "-S") and words:
            commands.append(words.pop(0))
        elif text.startswith("+") and len(text) > 1:
            commands.append(text[1:])
        elif not text.startswith("-"):
            files.append(text)
    if call.name in ("ed", "ex", "red") and call.flow.text is not None:
        commands += call.flow.text.split("\n")
    _judge_commands(call, [part for command in commands for part in _split(command)], files)
    return Flow(sources=(call.name,))


def _split(command: str) -> list[str]:
    return [command] if "!" in command else command.split("|")


def _judge_commands(call: Invocation, commands: list[str], files: list[str]) -> None:
    is_emptied = False
    for command in commands:
        bare = command.strip()
        started = re.match(r"^:?\s*(?:silent!?\s+|%|r\s*|read\s*|\.)*!\s*(.+)", bare, re.S) or re.search(
            r"\bsystem\(['\"](.+?)['\"]\)", bare
        )
        if started:
            call.inner(started[1])
        is_emptied = is_emptied or _EMPTIES.search(bare) is not None
    for name in files:
        judge_change(call.case, name, call.state.folder, "delete" if is_emptied else "append", call.name)
    if is_emptied and not files:
        call.case.add("destroys", "path.editor", f"{call.name} empties what it edits")
    call.case.add("changes", "path.editor", f"{call.name} edits files")


def judge_emacs(call: Invocation) -> Flow:
    """Judge the Lisp that Emacs is given, and what that starts."""
    for word in call.words[1:]:
        if _LISP_REMOVES.search(word.text):
            call.case.add("destroys", "code.removes", f"{call.name} removes: {word.text[:40]}")
        for match in _LISP_STARTS.finditer(word.text):
            call.inner(match[1].replace('\\"', '"'))
    call.case.add("changes", "path.editor", f"{call.name} edits files")
    return Flow(sources=(call.name,))


def judge_debugger(call: Invocation) -> None:
    """Judge what a debugger is told to start; the rules say the rest."""
    for word in call.words[1:]:
        started = re.match(r"\s*(?:shell\s+|!|platform shell\s+)(.+)", word.text, re.S)
        if started:
            call.inner(started[1])
