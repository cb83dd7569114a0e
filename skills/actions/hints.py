"""What to do about something, in the words of whoever reads it: a person types commands, an agent has actions.

Errors, warnings and advice are written for people. Here their commands become the actions that do the same, where there
is one: `chrono checkpoint restore ID --path a.txt` becomes `restore_checkpoint(checkpoint_id="ID", paths=["a.txt"])`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import msgspec

from chronos.errors import ChronosError

# The words of a command, the action that does the same, and which of its arguments the words after the command are.
_ACTIONS_OF: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "checkpoint create": ("create_checkpoint", ("name",)),
    "checkpoint list": ("list_checkpoints", ()),
    "checkpoint show": ("show_checkpoint", ("checkpoint_id",)),
    "checkpoint diff": ("diff_checkpoints", ("old", "new")),
    "checkpoint restore": ("restore_checkpoint", ("checkpoint_id",)),
    "checkpoint delete": ("delete_checkpoint", ("checkpoint_id",)),
    "checkpoint verdict": ("set_verdict", ("checkpoint_id", "verdict")),
    "restore": ("restore_checkpoint", ("checkpoint_id",)),
    "revert": ("revert_checkpoint", ("checkpoint_id",)),
    "timeline branch": ("branch_timeline", ("name",)),
    "timeline list": ("list_timelines", ()),
    "timeline merge": ("merge_timeline", ("source",)),
    "timeline delete": ("delete_timeline", ("name",)),
    "conflicts": ("list_conflicts", ()),
    "resolve": ("resolve_conflict", ("subject",)),
    "memory list": ("list_memory", ()),
    "lessons list": ("search_lessons", ()),
    "lessons search": ("search_lessons", ("query",)),
    "lessons add": ("add_lesson", ("situation", "action", "result")),
    "lessons analyze": ("analyze_failure", ("operation",)),
    "risk assess": ("assess_risk", ("operation",)),
    "log": ("list_checkpoints", ()),
    "status": ("status", ()),
    "verify": ("verify", ()),
    "undo": ("undo", ()),
    "redo": ("redo", ()),
}
# Options that an argument of the actions is: its name, and its value where the option takes none. With one that is none
# the command stays: an action would do something else.
_FLAGS: Mapping[str, tuple[str, object]] = {
    "--patch": ("patch", True), "--deep": ("deep", True), "--memory": ("code", False), "--code": ("memory", False),
}  # fmt: skip
_OPTIONS = {"--path": "paths", "--into": "target", "--from": "checkpoint_id", "--strategy": "strategy"}
_LISTS = ("paths",)
_STANDS_FOR = frozenset(("ID", "NAME", "P", "PATH"))
_COMMAND = re.compile(r"`chrono ([a-z][^`\n]*)`")
# The keys of results in which we say something, and not the project: there as well commands are named.
_OUR_WORDS = frozenset(
    [
        "advice",
        "command",
        "detail",
        "feedback",
        "notes",
        "notices",
        "problem",
        "reason",
        "reasons",
        "remedy",
        "restore",
        "warnings",
    ]
)


def for_agents(text: str) -> str:
    """Return a text of ours that names actions where it named commands that are actions, too."""
    if text.startswith("chrono "):
        return _translated(text.removeprefix("chrono ")) or text
    return _COMMAND.sub(lambda found: f"`{call}`" if (call := _translated(found[1])) else found[0], text)


def describe_error(error: ChronosError) -> dict[str, str]:
    """Return what an agent is told of an error: its `code`, its `message`, and as `hint` what to do."""
    return {"code": error.code, "message": for_agents(error.message), "hint": for_agents(error.hint)}


def in_words_for_agents(value: Any, key: str = "") -> Any:
    """Return a result's document with actions named where what we say in it named commands."""
    if isinstance(value, dict):
        return {name: in_words_for_agents(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [in_words_for_agents(one, key) for one in value]
    return for_agents(value) if key in _OUR_WORDS and isinstance(value, str) else value


def _translated(command: str) -> str:
    """Return the call of the action that does what a command does, "" where none does."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    known = next((length for length in (2, 1) if " ".join(words[:length]) in _ACTIONS_OF), 0)
    if not known:
        return ""
    name, places = _ACTIONS_OF[" ".join(words[:known])]
    arguments = _read_arguments(words[known:], places)
    if arguments is None:
        return ""
    shown = ", ".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in arguments.items())
    return f"{name}({shown})" if shown else name


def _read_arguments(words: list[str], places: tuple[str, ...]) -> dict[str, object] | None:
    """Return the arguments that words are, without what stands for something else; None when one has no like."""
    arguments: dict[str, object] = {}
    free, rest = list(places), list(words)
    while rest:
        word = rest.pop(0)
        if word in _FLAGS:
            arguments.update((_FLAGS[word],))
        elif word in _OPTIONS and rest:
            key, value = _OPTIONS[word], rest.pop(0)
            if value not in _STANDS_FOR:
                before = arguments.get(key)
                arguments[key] = [*(before if isinstance(before, list) else ()), value] if key in _LISTS else value
        elif word.startswith("--") or not free:
            return None
        else:
            key = free.pop(0)
            if word not in _STANDS_FOR:
                arguments[key] = word
    return arguments
