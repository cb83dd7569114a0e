"""The declared commands as typer's: for help texts, for lines that are not plain, and to say what is wrong with one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chronos.cli.declaring import NEEDED, Command, Group, Option, Parameter
from chronos.cli.output import write
from chronos.errors import UsageError

if TYPE_CHECKING:
    from chronos.cli.session import Session

# typer carries its own copy of click since 0.26; its public BadParameter leads to the base of usage errors either way.
_TyperUsageError: type[Exception] = typer.BadParameter.__bases__[0]
_STYLE: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}


def run_with_typer(begin: Command, commands: Group, words: list[str], session: Session) -> None:
    """Run a command line, or show the help that it asks for; see `program.run_program`. Raises UsageError."""
    tree = build_tree(begin, commands)
    try:
        # Not `tree.main()`: it would take a broken pipe to git for one of standard output, and exit in silence.
        with tree.make_context(begin.name, words, obj=session) as context:
            tree.invoke(context)
    except typer.Exit as cause:
        session.code = cause.exit_code
    except _TyperUsageError as cause:
        raise _translate_usage(cause, begin.name) from cause


def build_tree(begin: Command, commands: Group) -> Any:
    """Return all commands as click sees them; `begin` is what comes before the name of one."""
    help_names = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(name=begin.name, help=commands.about, context_settings=help_names, **_STYLE)
    app.callback(invoke_without_command=True)(_callback(begin, _after_begin))
    return _fill(app, commands)


class _Built(Mapping[str, Any]):
    """The commands of a group as click looks them up, each built when it is asked for: a help text needs few."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _build(self._group.commands[name])
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._group.commands)

    def __len__(self) -> int:
        return len(self._group.commands)


def _build(declared: Command | Group) -> Any:
    app = typer.Typer(**_STYLE)
    if isinstance(declared, Group):
        app.info.help, app.info.no_args_is_help = declared.about, True
        return _fill(app, declared)
    settings = {"allow_interspersed_args": not declared.is_verbatim}
    app.command(declared.name, hidden=declared.is_hidden, context_settings=settings)(_callback(declared))
    return typer.main.get_command(app)


def _fill(app: typer.Typer, group: Group) -> Any:
    found = typer.main.get_group(app)
    found.commands = _Built(group)  # type: ignore[assignment]  # nothing adds to it
    return found


def _callback(command: Command, after: Callable[[typer.Context, Any], None] | None = None) -> Callable[..., None]:
    """Return a function that runs a command, with the signature and help that typer looks for.

    `after` gets what the command returned.
    """

    def call(context: typer.Context, **values: Any) -> None:
        found = command.run(context.obj, values)
        if after is not None:
            after(context, found)

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    signature = inspect.Signature([context, *map(_typer_parameter, command.parameters)])
    call.__signature__ = signature  # type: ignore[attr-defined] # inspect's own way to say it
    call.__doc__ = command.function.__doc__
    return call


def _after_begin(context: typer.Context, is_all: bool) -> None:
    if is_all:
        raise typer.Exit
    if context.invoked_subcommand is None:
        context.obj.show(context.get_help(), lambda text: {"help": text}, write)


def _typer_parameter(parameter: Parameter) -> inspect.Parameter:
    about = parameter.about
    if isinstance(about, Option):
        info = typer.Option(
            *about.names, help=about.help, metavar=about.metavar, show_default=about.show_default,
            min=about.min, max=about.max,
        )  # fmt: skip
    else:
        info = typer.Argument(help=about.help, metavar=about.metavar, show_default=about.show_default)
    return inspect.Parameter(
        parameter.name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[parameter.annotation, info],
        default=inspect.Parameter.empty if parameter.default is NEEDED else parameter.default,
    )  # fmt: skip


def _translate_usage(cause: Any, program: str) -> UsageError:
    context = getattr(cause, "ctx", None)
    message = cause.format_message().strip()
    if type(cause).__name__ == "NoArgsIsHelpError":
        message = "which command?"
    return UsageError(message, hint=f"see `{context.command_path if context else program} --help`")
