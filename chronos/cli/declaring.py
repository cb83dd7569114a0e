"""What the commands of `chrono` take, declared once, beside the function of each.

`reading` reads a plain line by it. `typer_tree` makes typer's commands of it, which write help texts and say what is
wrong with a line: typer takes 20 ms to load, a fifth of what a whole `chrono checkpoint create` took.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from chronos.cli.session import Session

_Function = TypeVar("_Function", bound=Callable[..., Any])
NEEDED: Any = object()  # the default of what has to be given


class Argument(NamedTuple):
    """What an argument is; `show_default` says whether help tells the default, or what it tells instead."""

    metavar: str | None = None
    help: str | None = None
    show_default: bool | str = True


class Option:
    """What an option is, by names such as `-y`, `--yes`, `--check/--no-check`; `min` and `max` are of a number."""

    def __init__(
        self, *names: str, help: str, metavar: str | None = None, show_default: bool | str = True,
        min: int | None = None, max: int | None = None,
    ) -> None:  # fmt: skip
        self.names = names
        self.help = help
        self.metavar = metavar
        self.show_default = show_default
        self.min, self.max = min, max

    @property
    def words(self) -> dict[str, bool]:
        """What is typed, with what it makes of a truth value."""
        return {word: not no for name in self.names for no, word in enumerate(name.split("/"))}


Json = Annotated[bool, Option("--json", help="Print one JSON document.")]


class Parameter(NamedTuple):
    """A parameter of a command's function. `kind` is the type of one value; a list takes any number of them."""

    name: str
    about: Argument | Option
    annotation: Any
    kind: Any
    is_list: bool
    default: Any


class Command(NamedTuple):
    """A command: a function that gets the session and what is declared. `--json` is, unless `has_json` is false.

    A verbatim one ends in a command of somebody else: nothing after its first argument is an option.
    """

    name: str
    function: Callable[..., Any]
    is_hidden: bool = False
    is_verbatim: bool = False
    has_json: bool = True

    @property
    def summary(self) -> str:
        """The first sentence of what it says about itself."""
        return _first_sentence(self.function.__doc__ or "")

    @property
    def parameters(self) -> list[Parameter]:
        """What it takes besides the session, in the order of its function, and `--json`."""
        code = self.function.__code__
        names = code.co_varnames[1 : code.co_argcount]
        defaults = self.function.__defaults__ or ()
        hints = get_type_hints(self.function, include_extras=True)
        found = [
            _parameter(name, hints[name], default)
            for name, default in zip(names, [NEEDED] * (len(names) - len(defaults)) + [*defaults], strict=True)
        ]
        return [*found, _parameter("as_json", Json, default=False)] if self.has_json else found

    def run(self, session: Session, values: Mapping[str, Any]) -> Any:
        """Call the function with values by the names of its parameters."""
        session.as_json = values.get("as_json", False) or session.as_json
        return self.function(session, **{name: value for name, value in values.items() if name != "as_json"})


class Group:
    """A command that has others: those of `commands`, or the functions that are declared to be in it."""

    def __init__(self, about: str = "", commands: Mapping[str, Command | Group] | None = None) -> None:
        self.about = about
        self._declared: dict[str, Command | Group] = {}
        self.commands: Mapping[str, Command | Group] = self._declared if commands is None else commands

    @property
    def summary(self) -> str:
        """The first sentence of what it says about itself."""
        return _first_sentence(self.about)

    def command(self, name: str = "", **how: bool) -> Callable[[_Function], _Function]:
        """Declare a function to be a command, of its own name unless `name` is given; `how` are fields of Command."""

        def declare(function: _Function) -> _Function:
            called = name or function.__name__
            self._declared[called] = Command(called, function, **how)
            return function

        return declare


class Modules(Mapping[str, "Command | Group"]):
    """The commands in the modules of this room, each of which loads when it is asked for.

    `verbs` says in which module each command is; the others are groups, which have modules of the same names.
    """

    def __init__(self, verbs: Mapping[str, str], groups: Sequence[str]) -> None:
        self._verbs = verbs
        self._groups = groups

    def __getitem__(self, name: str) -> Command | Group:
        if name not in self._verbs and name not in self._groups:
            raise KeyError(name)
        group: Group = import_module(f"chronos.cli.{self._verbs.get(name, name)}").app
        return group.commands[name] if name in self._verbs else group

    def __iter__(self) -> Iterator[str]:
        yield from self._verbs
        yield from self._groups

    def __len__(self) -> int:
        return len(self._verbs) + len(self._groups)


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    annotation, about = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, Argument())
    kind = annotation
    if isinstance(kind, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not types.NoneType)
    is_list = get_origin(kind) is list
    return Parameter(name, about, annotation, get_args(kind)[0] if is_list else kind, is_list, default)


def _first_sentence(text: str) -> str:
    sentence, stop, _ = " ".join(text.split()).partition(". ")
    return sentence + stop.strip()
