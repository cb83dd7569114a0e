"""The commands of a group, each built when it is asked for: a run needs one, and typer takes 15 ms for all of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import typer


class Commands(Mapping[str, Any]):
    """The commands of a group by name, as click looks them up; `makers` say how each is built."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self._makers = makers
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def load_verb(module: str, name: str) -> Any:
    """Return the command `name` of a module of this room."""
    return _commands_of(_load(module))[name]


def load_noun(module: str) -> Any:
    """Return the group of all commands of a module of this room."""
    app = _load(module)
    return make_group(app, _commands_of(app))


def make_group(app: typer.Typer, commands: Commands) -> Any:
    """Return the group that `app` describes, with these commands instead of those that are registered with it."""
    bare = copy.copy(app)
    bare.registered_commands = []
    group = typer.main.get_group(bare)
    group.commands = commands  # type: ignore[assignment]  # nothing adds to it
    return group


def _load(module: str) -> typer.Typer:
    app: typer.Typer = import_module(f"chronos.cli.{module}").app
    return app


def _commands_of(app: typer.Typer) -> Commands:
    found = {}
    for info in app.registered_commands:
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.registered_commands = [info]
        assert info.callback is not None
        found[info.name or info.callback.__name__] = partial(typer.main.get_command, alone)
    return Commands(found)
