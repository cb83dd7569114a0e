"""`chrono completion SHELL`, and the hidden command that its scripts call for candidates.

The command tree and the catalog are read at every TAB, so a script never goes stale. Candidates for file names are
left to the shell. An error completes to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chronos.cli import output
from chronos.cli.options import Json
from chronos.cli.session import Session
from chronos.cli.shell_scripts import SCRIPTS
from chronos.errors import ChronosError, UnknownCheckpointError
from chronos.files import display, to_text
from chronos.merging import Strategy

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine

_NEWEST = 500
# What is meant by a value is known by the name that the command gives it.
_CHECKPOINTS = frozenset({"checkpoint", "other", "base", "good", "bad", "before", "after"})
_TIMELINES = frozenset({"timeline", "other_timeline", "into"})
# Readline breaks words at these, so a candidate for bash starts after the last one (COMP_WORDBREAKS).
_BASH_BREAKS = "@><=;|&(:"
_BASH_SPECIAL = frozenset(" \t!\"#$%&'()*,;<=>?@[\\]^`{|}~:")

Candidate = tuple[str, str]

app = typer.Typer()


class Shell(str, Enum):
    """A shell that there is a completion script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(
    context: typer.Context,
    shell: Annotated[
        Shell, typer.Argument(metavar="bash|zsh|fish", show_default=False, help="The shell to complete in.")
    ],
    as_json: Json = False,
) -> None:
    """Print the completion script of a shell.

    For bash: put `eval "$(chrono completion bash)"` into ~/.bashrc; for zsh the same into ~/.zshrc after compinit;
    for fish: `chrono completion fish > ~/.config/fish/completions/chrono.fish`.
    """
    session = Session.of(context, as_json)
    session.show(SCRIPTS[shell.value], lambda script: {"shell": shell.value, "script": script}, _print_script)


@app.command("_complete", hidden=True, context_settings={"ignore_unknown_options": True})
def complete(
    context: typer.Context,
    shell: Shell,
    words: Annotated[list[str] | None, typer.Argument(show_default=False)] = None,
) -> None:
    """Print candidates for the last of `words`, one in a line; bash sends its whole line instead."""
    session = Session.of(context, as_json=False)
    if shell is Shell.BASH:
        typed = split_line((words or [""])[0])
        for value, _ in find_candidates(context.find_root().command, session, typed):
            output.write(_for_bash(value, typed[-1]))
        return
    for value, about in find_candidates(context.find_root().command, session, words or [""]):
        output.write(f"{value}\t{about}")


def find_candidates(program: Any, session: Session, words: Sequence[str]) -> list[Candidate]:
    """Return what the last of `words` (those after `chrono`) could become, with a few words about each."""
    *before, prefix = words
    command, positional, option = _walk(program, session, before)
    if option is not None:
        found = _values(option, session)
    elif prefix.startswith("-"):
        found = _options(command)
    elif hasattr(command, "commands"):
        found = _commands(command) if positional == 0 else iter(())
    else:
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        found = _values(arguments[positional], session) if positional < len(arguments) else iter(())
    return [(value, display(about)) for value, about in found if value.startswith(prefix) and value.isprintable()]


def split_line(line: str) -> list[str]:
    """Split what was typed in bash into words; the last one, which may be empty, is to be completed."""
    words, word, quote, is_escaped, has_word = [], "", "", False, False
    for char in line:
        if is_escaped:
            word, is_escaped = word + char, False
        elif char == "\\" and quote != "'":
            is_escaped = has_word = True
        elif quote:
            word, quote = (word, "") if char == quote else (word + char, quote)
        elif char in "\"'":
            quote, has_word = char, True
        elif char.isspace():
            words += [word] if has_word else []
            word, has_word = "", False
        else:
            word, has_word = word + char, True
    return [*words, word][1:] or [""]


def _print_script(script: str) -> None:
    output.write(script, end="")


def _walk(program: Any, session: Session, words: Sequence[str]) -> tuple[Any, int, Any]:
    """Follow complete words down the tree; return the command, its number of arguments so far, and an open option."""
    command, positional, option = program, 0, None
    for word in words:
        if option is not None:
            if option.name == "root":
                session.root = option.type.convert(word, option, None)
            option = None
        elif word.startswith("-") and word != "--":
            found = next((param for param in command.params if word in param.opts), None)
            option = found if found is not None and not getattr(found, "is_flag", True) else None
        elif word in getattr(command, "commands", {}):
            command, positional = command.commands[word], 0
        else:
            positional += 1
    return command, positional, option


def _commands(group: Any) -> Iterator[Candidate]:
    return ((name, child.get_short_help_str(60)) for name, child in group.commands.items() if not child.hidden)


def _options(command: Any) -> Iterator[Candidate]:
    for param in command.params:
        if param.param_type_name == "option":
            yield param.opts[0] if len(param.opts) == 1 else max(param.opts, key=len), param.help or ""
    yield "--help", "Show this message and exit."


def _values(param: Any, session: Session) -> Iterator[Candidate]:
    if param.name == "shell":
        yield from ((shell.value, "") for shell in Shell)
    elif param.name == "strategy":
        yield from ((strategy.value, "") for strategy in Strategy)
    find = next((find for names, find in _FINDERS if param.name in names), None)
    if find is None:
        return
    try:
        with session.engine() as engine:
            yield from list(find(engine))
    except ChronosError:
        return  # no place for a message: the person is typing


def _checkpoints(engine: ChronosEngine) -> Iterator[Candidate]:
    with suppress(UnknownCheckpointError):
        yield "last-green", engine.find_checkpoint("last-green").name
    rows = engine.list_checkpoints(limit=_NEWEST)
    yield from {row.name: row.created_at[:16] for row in reversed(rows) if row.trigger == "manual"}.items()
    yield from ((row.checkpoint_id, row.name) for row in rows)


def _timelines(engine: ChronosEngine) -> Iterator[Candidate]:
    return ((summary.name, f"{summary.checkpoints} checkpoints") for summary in engine.list_timelines())


def _conflicts(engine: ChronosEngine) -> Iterator[Candidate]:
    """What waits to be decided, by path or memory store; one that several conflicts are about is offered once."""
    pending = engine.list_conflicts()
    undecided = pending.open if pending is not None else []
    yield from {one.store or to_text(one.path): one.reason for one in undecided}.items()


_FINDERS: tuple[tuple[frozenset[str], Callable[[ChronosEngine], Iterator[Candidate]]], ...] = (
    (_CHECKPOINTS, _checkpoints), (_TIMELINES, _timelines), (frozenset({"subject"}), _conflicts),
)  # fmt: skip


def _for_bash(value: str, typed: str) -> str:
    """Return the part of `value` that readline replaces, quoted for it."""
    start = max((typed.rfind(char) + 1 for char in _BASH_BREAKS), default=0)
    return "".join("\\" + char if char in _BASH_SPECIAL else char for char in value[start:])
