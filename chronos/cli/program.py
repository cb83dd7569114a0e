"""The tree of commands, and running it: typer's own errors become ours here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from chronos import __version__
from chronos.cli import output
from chronos.cli.commands import Commands, load_noun, load_verb, make_group
from chronos.cli.options import Json
from chronos.cli.session import Session
from chronos.errors import UsageError

PROGRAM = "chrono"
# typer carries its own copy of click since 0.26; its public BadParameter leads to the base of usage errors either way.
_TyperUsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name=PROGRAM,
    help="Checkpoints of a working tree: take one in a blink, restore any of them, undo everything.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# In the order of the help text: in which module of this room each command is.
_VERBS = {
    "init": "store", "status": "store", "log": "history", "restore": "checkpoint", "undo": "history", "redo": "history",
    "revert": "merging", "conflicts": "merging", "resolve": "merging", "doctor": "store", "verify": "store",
    "recover": "store", "run": "guarding", "update": "guarding", "watch": "watching",
    "gc": "space", "du": "space", "mcp": "mcp", "completion": "completion", "_complete": "completion",
}  # fmt: skip
_NOUNS = ("checkpoint", "timeline", "memory", "risk", "lessons", "bisect", "agent")


def _show_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.obj.show(__version__, lambda version: {"version": version}, _write_version)
        raise typer.Exit


def _write_version(version: str) -> None:
    output.write(f"{PROGRAM} {version}")


@app.callback(invoke_without_command=True)
def chrono(
    context: typer.Context,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", show_default=False, help="Work in this folder, not the current one."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Checkpoints of a working tree: take one in a blink, restore any of them, undo everything."""
    session = Session.of(context, as_json)
    session.root = root
    if context.invoked_subcommand is None:
        session.show(context.get_help(), lambda text: {"help": text}, output.write)


def command_tree() -> Any:
    """Return the commands as click sees them."""
    verbs = {name: partial(load_verb, module, name) for name, module in _VERBS.items()}
    return make_group(app, Commands(verbs | {name: partial(load_noun, name) for name in _NOUNS}))


def run_program(words: list[str], as_json: bool) -> int:
    """Run a command line and return its exit code. Raises ChronosError, also for a wrong command line."""
    session = Session(as_json=as_json)
    program = command_tree()
    try:
        # Not `program.main()`: it would take a broken pipe to git for one of standard output, and exit in silence.
        with program.make_context(PROGRAM, words, obj=session) as context:
            program.invoke(context)
    except typer.Exit as cause:
        return cause.exit_code
    except output.ReaderGoneError:
        return session.code
    except _TyperUsageError as cause:
        raise _translate_usage(cause) from cause
    return session.code


def _translate_usage(cause: Any) -> UsageError:
    context = getattr(cause, "ctx", None)
    message = cause.format_message().strip()
    if type(cause).__name__ == "NoArgsIsHelpError":
        message = "which command?"
    return UsageError(message, hint=f"see `{context.command_path if context else PROGRAM} --help`")
