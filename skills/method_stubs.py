"""Writes what type checkers and editors read about the methods of ChronoSkill, from the list of actions.

`python -m chronos.cli.reference` puts it into `action_methods.pyi`; a test compares the two.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from enum import Enum
from inspect import Parameter
from typing import Any, Literal, Union, get_args, get_origin

from skills.actions import ACTIONS, Action

_HEAD = '''"""The methods of ChronoSkill. Written by `python -m chronos.cli.reference`; change the actions instead."""

from collections.abc import Sequence
from typing import Literal

from skills.actions.results import (
{results}
)

class ActionMethods:
    """A method for each action. It raises ChronosError."""

'''


def method_stubs(actions: Iterable[Action] = ACTIONS) -> str:
    """Return the text of the stub file, formatted as `ruff format` would."""
    listed = tuple(actions)
    names = sorted({one.output_type.__name__ for one in listed})
    head = _HEAD.format(results="\n".join(f"    {name}," for name in names))
    return head + "\n".join(map(_method, listed))


def _method(action: Action) -> str:
    about = [f"{one.name}: {_words(one)}" for one in action.parameters]
    lines = action.description.splitlines() + (["", *about] if about else [])
    # One line needs no more than one pair of quotes around it, several have the closing pair on a line of its own.
    text = "\n".join(f"        {line}".rstrip() for line in lines).strip() + ("\n        " if len(lines) > 1 else "")
    given = "".join(f"        {_parameter(one)},\n" for one in action.parameters)
    listed = f"\n        self,\n{given}    " if given else "self"
    return f'    def {action.name}({listed}) -> {action.output_type.__name__}:\n        """{text}"""\n'


def _parameter(one: Parameter) -> str:
    kind = f"{one.name}: {_type(get_args(one.annotation)[0])}"
    if one.default is one.empty:
        return kind
    return f"{kind} = {_literal(one.default)}"


def _words(one: Parameter) -> str:
    return str(get_args(one.annotation)[1].description)


def _type(kind: Any) -> str:
    """Write a type as a caller may give it. One that has no writing here is a TypeError, which a test meets."""
    parts = get_args(kind)
    if kind is types.NoneType:
        return "None"
    if get_origin(kind) in (Union, types.UnionType):
        return " | ".join(map(_type, parts))
    if get_origin(kind) is Literal:
        return f"Literal[{', '.join(map(_literal, parts))}]"
    if get_origin(kind) is tuple and parts[1:] == (...,):
        return f"Sequence[{_type(parts[0])}]"
    if kind in (str, int, float, bool):
        return str(kind.__name__)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"Literal[{', '.join(_literal(one.value) for one in kind)}]"
    raise TypeError(f"say how {kind} is written in a stub")


def _literal(value: Any) -> str:
    plain = value.value if isinstance(value, Enum) else value
    return f'"{plain}"' if isinstance(plain, str) else repr(plain)
