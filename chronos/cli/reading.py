"""Reading a plain command line: known options in full, values of the right types, nothing missing, nothing twice.

Of any other line this says nothing: typer reads it then, and writes what is wrong with it or the help that it asks
for. What both can read they read the same, which tests/cli/test_reading.py compares.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from chronos.cli.declaring import NEEDED, Argument, Command, Group, Option, Parameter

_MOST_DIGITS = 18  # of a number


class Line(NamedTuple):
    """A line that was read: values by the names of parameters, for what comes before the command and for it."""

    own: Mapping[str, Any]
    command: Command
    values: Mapping[str, Any]


class _NotPlainError(Exception):
    """A line for typer."""


def read_line(begin: Command, commands: Group, words: Sequence[str]) -> Line | None:
    """Read what was typed after `chrono`, or return None where it is not plain; see `program.run_program`."""
    try:
        own, rest = _split(begin.parameters, words, is_verbatim=True)
        found: Command | Group = commands
        while isinstance(found, Group):
            if not rest:
                return None
            name, *rest = rest
            found = found.commands[name]
        parameters = found.parameters
        given, others = _split(parameters, rest, is_verbatim=found.is_verbatim)
        return Line(_values(begin.parameters, own, []), found, _values(parameters, given, others))
    except (_NotPlainError, KeyError):
        return None


def _split(
    parameters: Sequence[Parameter], words: Sequence[str], *, is_verbatim: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return the values of options by parameter, and the other words. Raises KeyError for an option that is none."""
    options = {
        word: (one, truth)
        for one in parameters
        if isinstance(one.about, Option)
        for word, truth in one.about.words.items()
    }
    values: dict[str, Any] = {}
    others: list[str] = []
    waiting = list(reversed(words))
    while waiting:
        word = waiting.pop()
        is_option = _is_option(word)
        if not is_option:
            others.append(word)
        if word == "--" or (others and is_verbatim):
            others += reversed(waiting)
            break
        if is_option:
            name, has_value, value = word.partition("=") if word.startswith("--") else (word, "", "")
            parameter, truth = options[name]
            is_switch = parameter.kind is bool and not has_value
            _keep(values, parameter, truth if is_switch else _value(parameter, value if has_value else _next(waiting)))
    return values, others


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"  # which is a file: standard input or output


def _next(waiting: list[str]) -> str:
    if not waiting or _is_option(waiting[-1]):
        raise _NotPlainError
    return waiting.pop()


def _keep(values: dict[str, Any], parameter: Parameter, found: Any) -> None:
    if parameter.is_list:
        values.setdefault(parameter.name, []).append(found)
    elif parameter.name in values:
        raise _NotPlainError
    else:
        values[parameter.name] = found


def _values(parameters: Sequence[Parameter], given: Mapping[str, Any], others: list[str]) -> dict[str, Any]:
    """Return the values of all parameters: options as `given`, arguments from `others` in their order, defaults."""
    values = dict(given)
    for parameter in parameters:
        if isinstance(parameter.about, Argument) and others:
            count = len(others) if parameter.is_list else 1
            found = [_value(parameter, word) for word in others[:count]]
            values[parameter.name], others = found if parameter.is_list else found[0], others[count:]
        elif parameter.name not in values:
            if parameter.default is NEEDED:
                raise _NotPlainError
            values[parameter.name] = parameter.default
    if others:
        raise _NotPlainError
    return values


def _value(parameter: Parameter, word: str) -> Any:
    """Return what `word` is for a parameter."""
    kind = parameter.kind
    if kind is str:
        return word
    if kind is Path and (os.access(word, os.R_OK) or not os.path.lexists(word)):
        return Path(word)
    if kind is int and word.isascii() and word.isdecimal() and len(word) <= _MOST_DIGITS:
        number, least, most = int(word), getattr(parameter.about, "min", None), getattr(parameter.about, "max", None)
        if (least is None or number >= least) and (most is None or number <= most):
            return number
    if isinstance(kind, type) and issubclass(kind, Enum) and any(word == one.value for one in kind):
        return kind(word)
    raise _NotPlainError
