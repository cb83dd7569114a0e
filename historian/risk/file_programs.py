"""Programs about files and processes that have a judge of their own: what counts is which paths they are given."""

from __future__ import annotations

import os
import re

from historian.risk.arguments import Arguments, Word
from historian.risk.invocation import Invocation
from historian.risk.listing import late
from historian.risk.paths import is_device, is_schedule, is_wide, judge_change, kind_of_path, scheduled_command
from historian.risk.placeholders import UNKNOWN, fill_marks, put
from historian.risk.shell_flow import Flow

_MODE = late(r"^(?:[0-7]{3,4}|[ugoa]*[-+=][rwxXst]*(?:,[ugoa]*[-+=][rwxXst]*)*)$")


def judge_remove(call: Invocation) -> Flow:
    """Rm and its kin: high, unless all of it is temporary."""
    if call.arguments.has("-WhatIf"):
        call.case.add("rehearses", "path.rehearsal", f"{call.name} only says what it would remove")
        return Flow(sources=(call.name,))
    arguments = Arguments(call.name, call.words[1:], ("-n", "-s", "-u") if call.name in ("shred", "truncate") else ())
    for word in arguments.positionals:
        judge_change(call.case, word.text, call.state.folder, "delete", call.name)
    if not arguments.positionals:
        call.case.add("destroys", "path.delete", f"{call.name} removes what it is given")
    return Flow(sources=(call.name,))


def judge_truncate(call: Invocation) -> Flow:
    """Judge `truncate`: each file is cut, or made to grow."""
    arguments = Arguments("truncate", call.words[1:], ("-s", "--size", "-r", "--reference"))
    size = arguments.values.get("-s", arguments.values.get("--size", ""))
    for word in arguments.positionals:
        judge_change(
            call.case, word.text, call.state.folder, "update" if size.startswith("+") else "delete", "truncate"
        )
    return Flow(sources=(call.name,))


def judge_move(call: Invocation) -> Flow:
    """Judge `mv`: what is moved goes, what it replaces is lost."""
    names = call.arguments.positionals
    target = call.arguments.values.get("-t", "") or (names[-1].text if names else "")
    if target.rstrip("/") == "/dev/null":
        for word in names[:-1]:
            judge_change(call.case, word.text, call.state.folder, "delete", "mv")
        return Flow()
    for word in names[:-1]:
        judge_change(call.case, word.text, call.state.folder, "rename", "mv")
    judge_change(
        call.case, target, call.state.folder, "append" if call.arguments.has("-n", "--no-clobber") else "update", "mv"
    )
    return Flow()


def judge_copy(call: Invocation) -> Flow:
    """Judge `cp` and `install`: what the target had is lost."""
    names = call.arguments.positionals
    if names:
        is_emptied = len(names) > 1 and names[0].text == "/dev/null"
        change = "delete" if is_emptied else "append" if call.arguments.has("-n", "--no-clobber") else "update"
        judge_change(call.case, names[-1].text, call.state.folder, change, call.name)
    call.case.add("changes", "path.copy", f"{call.name} writes")
    return Flow()


def judge_link(call: Invocation) -> Flow:
    """Judge `ln`: a forced one replaces."""
    names = call.arguments.positionals
    if names:
        judge_change(
            call.case,
            names[-1].text,
            call.state.folder,
            "update" if call.arguments.has("-f", "--force") else "create",
            "ln",
        )
    call.case.add("changes", "path.link", "ln makes a link")
    return Flow()


def judge_tee(call: Invocation) -> Flow:
    """Judge `tee`: what flows in is written, and flows on."""
    for word in call.arguments.positionals:
        change = "append" if call.arguments.has("-a", "--append") else "update"
        if call.flow.text is not None and is_schedule(word.text):
            for line in call.flow.text.split("\n"):
                call.inner(scheduled_command(line, has_user=True))
        if change == "update" and call.flow.text is not None:
            call.state.files[word.text] = call.flow.text
            change = "update" if call.flow.text.strip() else "delete"
        judge_change(call.case, word.text, call.state.folder, change, "tee")
    return call.flow


def judge_modes(call: Invocation) -> Flow:
    """Chmod and chown: high when they go through very much."""
    positionals = [word for word in call.arguments.positionals if word.text]
    targets = positionals[1:] if not call.arguments.has("--reference") else positionals
    is_deep = call.arguments.has("-R", "--recursive")
    for word in targets:
        kind = kind_of_path(call.case, word.text, call.state.folder)
        if is_deep and (is_wide(word.text) or not word.is_sure or kind in ("system", "protected")):
            call.case.add("permits", "path.modes", f"{call.name} changes all of {word.text[:60]}")
        else:
            call.case.add("changes", "path.modes", f"{call.name} changes {word.text[:60]}")
        call.case.hit("path", word.text, call.state.folder)
    call.case.add("changes", "path.modes", f"{call.name} changes who may do what")
    return Flow()


def judge_dd(call: Invocation) -> Flow:
    """Judge `dd`, which may write to a disk as a whole."""
    values = dict(word.text.partition("=")[::2] for word in call.words[1:] if "=" in word.text)
    target = values.get("of", "")
    if is_device(target):
        call.case.add("disks", "path.device", f"dd writes to {target[:60]}")
    elif target and target != "/dev/null":
        kind = kind_of_path(call.case, target, call.state.folder)
        action = "changes" if kind == "temporary" else "disks"
        call.case.add(action, "path.dd", f"dd writes to {target[:60]}")
        call.case.hit("overwritten", target, call.state.folder)
    else:
        call.case.add("reads", "path.dd", "dd only reads")
    return Flow(sources=("dd",))


def judge_find(call: Invocation) -> Flow:
    """find: reads, unless it removes or starts something for what it finds."""
    words = call.words[1:]
    acts = False
    for number, word in enumerate(words):
        if word.text == "-delete":
            acts = True
            for root in _roots(words):
                if kind_of_path(call.case, f"{root}/x", call.state.folder) == "temporary":
                    call.case.add("changes", "path.temporary", f"find -delete removes what is temporary in {root[:60]}")
                else:
                    judge_change(call.case, root, call.state.folder, "delete", "find -delete")
        elif word.text in ("-exec", "-execdir", "-ok", "-okdir"):
            acts = True
            end = next((at for at in range(number + 1, len(words)) if words[at].text in (";", "+", "\\;")), len(words))
            found = _roots(words)[0] if _roots(words) else "."
            _start(call, [_of_found(other, found) for other in words[number + 1 : end]])
        elif word.text in ("-fprint", "-fls", "-fprintf", "-fprint0"):
            acts = True
            call.case.add("changes", "path.find", "find writes a list into a file")
    if not acts:
        call.case.add("reads", "path.find", "find only looks")
    return Flow(sources=("find",))


def _roots(words: list[Word]) -> list[str]:
    roots: list[str] = []
    for word in words:
        if word.text.startswith(("-", "(", "!")):
            if not roots and word.text in ("-L", "-H", "-P"):
                continue
            break
        roots.append(word.text)
    return roots or ["."]


def judge_fd(call: Invocation) -> Flow:
    """Judge `fd`, which finds and may start a program on what it finds."""
    words = call.words[1:]
    for number, word in enumerate(words):
        if word.text in ("-x", "-X", "--exec", "--exec-batch"):
            _start(call, fill_marks(words[number + 1 :]))
            return Flow(sources=("fd",))
    call.case.add("reads", "path.find", "fd only looks")
    return Flow(sources=("fd",))


def _of_found(word: Word, found: str) -> Word:
    """Return a word of `find -exec`: for `{}` alone or in a command stands where it looks, a longer name is unknown."""
    is_whole = re.search(r"(?:^|\s|[\"'])\{\}(?:$|\s|[\"';])", word.text) is not None
    return put(word, "{}", found) if is_whole else put(word, "{}", UNKNOWN, is_sure=False)


def _start(call: Invocation, words: list[Word]) -> None:
    from historian.risk.programs import judge_program

    if words:
        call.state.depth += 1
        judge_program(call.case, words, Flow(), call.state, call.inner)
        call.state.depth -= 1


def judge_text_queue(call: Invocation) -> Flow | None:
    """at, batch and crontab: what flows in is run later."""
    if call.name == "crontab":
        if call.arguments.has("-l"):
            call.case.add("reads", "shell.later", "crontab lists")
        elif call.arguments.has("-r"):
            call.case.add("destroys", "shell.later", "crontab -r removes every job")
        else:
            call.case.add("changes", "shell.later", "crontab replaces the jobs")
            if call.flow.text is not None:
                for line in call.flow.text.split("\n"):
                    call.inner(scheduled_command(line))
        return Flow()
    if call.flow.text is not None:
        call.inner(call.flow.text)
    call.case.add("runs", "shell.later", f"{call.name} runs something later")
    return Flow()


def judge_kill(call: Invocation) -> Flow:
    """Judge what ends processes, or asks for them."""
    if call.arguments.has("-l", "-L", "-0") and not call.arguments.has("-9"):
        call.case.add("reads", "process.kill", "only asks")
    elif call.name == "kill" and ("-1" in [word.text for word in call.words[2:]]):
        call.case.add("stops", "process.kill", "kill ends every process")
    else:
        call.case.add("changes", "process.kill", f"{call.shown} ends processes")
    return Flow()


def judge_trap(call: Invocation) -> Flow:
    """Judge the command that `trap` keeps for later."""
    if len(call.words) > 1 and not call.words[1].text.startswith("-"):
        call.inner(call.words[1].text)
    return Flow()


def judge_change_folder(call: Invocation) -> Flow:
    """Judge `cd`: what comes after it happens in another folder."""
    names = call.arguments.names()
    call.case.add("reads", "shell.folder", "goes into another folder")
    if names and call.arguments.positionals[0].is_sure:
        call.state.folder = (
            os.path.normpath(os.path.join(call.state.folder, names[0]))
            if call.state.folder or names[0].startswith("/")
            else names[0]
        )
    return Flow()
