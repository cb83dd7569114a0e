"""`chrono completion SHELL`, and the hidden command that its scripts call for candidates.

The command tree and the catalog are read at every TAB, so a script never goes stale. Candidates for file names are
left to the shell. An error completes to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from chronos.cli import output
from chronos.cli.declaring import Argument, Command, Group, Option, Parameter
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

app = Group()


class Shell(str, Enum):
    """A shell that there is a completion script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(
    session: Session,
    shell: Annotated[Shell, Argument(metavar="bash|zsh|fish", show_default=False, help="The shell to complete in.")],
) -> None:
    """Print the completion script of a shell.

    For bash: put `eval "$(chrono completion bash)"` into ~/.bashrc; for zsh the same into ~/.zshrc after compinit;
    for fish: `chrono completion fish > ~/.config/fish/completions/chrono.fish`.
    """
    session.show(SCRIPTS[shell.value], lambda script: {"shell": shell.value, "script": script}, _print_script)


@app.command("_complete", is_hidden=True, has_json=False)
def complete(
    session: Session,
    shell: Shell,
    words: Annotated[list[str] | None, Argument(show_default=False)] = None,
) -> None:
    """Print candidates for the last of `words`, one in a line; bash sends its whole line instead."""
    from chronos.cli.program import BEGIN, COMMANDS

    typed = split_line((words or [""])[0]) if shell is Shell.BASH else words or [""]
    for value, about in find_candidates(BEGIN, COMMANDS, session, typed):
        output.write(_for_bash(value, typed[-1]) if shell is Shell.BASH else f"{value}\t{about}")


def find_candidates(begin: Command, commands: Group, session: Session, words: Sequence[str]) -> list[Candidate]:
    """Return what the last of `words` (those after `chrono`) could become, with a few words about each."""
    *before, prefix = words
    command, parameters, positional, option = _walk(begin, commands, session, before)
    if option is not None:
        found = _values(option, session)
    elif prefix.startswith("-"):
        found = _options(parameters)
    elif isinstance(command, Group):
        found = _commands(command) if positional == 0 else iter(())
    else:
        arguments = [one for one in parameters if isinstance(one.about, Argument)]
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


def _walk(
    begin: Command, commands: Group, session: Session, words: Sequence[str]
) -> tuple[Command | Group, list[Parameter], int, Parameter | None]:
    """Follow complete words down the tree.

    Returns the command, its parameters, how many arguments it has so far, and an option that waits for its value.
    """
    command: Command | Group = commands
    parameters, positional, option = begin.parameters, 0, None
    for word in words:
        if option is not None:
            if option.name == "root":
                session.root = Path(word)
            option = None
        elif word.startswith("-") and word != "--":
            found = next((one for one in parameters if isinstance(one.about, Option) and word in one.about.words), None)
            option = found if found is not None and found.kind is not bool else None
        elif isinstance(command, Group) and word in command.commands:
            command, positional = command.commands[word], 0
            parameters = command.parameters if isinstance(command, Command) else []
        else:
            positional += 1
    return command, parameters, positional, option


def _commands(group: Group) -> Iterator[Candidate]:
    for name, child in group.commands.items():
        if isinstance(child, Group) or not child.is_hidden:
            yield name, child.summary


def _options(parameters: Sequence[Parameter]) -> Iterator[Candidate]:
    for parameter in parameters:
        if isinstance(parameter.about, Option):
            yield from ((word, parameter.about.help) for word in parameter.about.words if word.startswith("--"))
    yield "--help", "Show this message and exit."


def _values(parameter: Parameter, session: Session) -> Iterator[Candidate]:
    if parameter.name == "shell":
        yield from ((shell.value, "") for shell in Shell)
    elif parameter.name == "strategy":
        yield from ((strategy.value, "") for strategy in Strategy)
    find = next((find for names, find in _FINDERS if parameter.name in names), None)
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
