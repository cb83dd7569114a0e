"""Writes `docs/cli.md` from the command tree, `docs/errors.md` from the classes of errors, and ChronoSkill's stubs.

Run `python -m chronos.cli.reference` after a change; a test compares the files with what this would write.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chronos import errors
from chronos.cli.program import BEGIN, COMMANDS, PROGRAM
from chronos.cli.typer_tree import build_tree
from historian import errors as historian_errors
from skills import errors as skill_errors
from skills.method_stubs import method_stubs

_ERROR_MODULES = (errors, historian_errors, skill_errors)
_WRITTEN_BY = "<!-- Written by `python -m chronos.cli.reference`; change the code instead. -->"
_CLI_HEAD = f"""{_WRITTEN_BY}
# The command line

Every command takes `--json`: one document on standard output, errors as `{{"error": {{code, message, hint}}}}` on
standard error. A checkpoint is named by its id, a unique prefix of it, its name (the newest one with that name), `@`
for the newest, `@~2` for the second before it, `main@~1`, or `last-green` (`main@last-green`) for the newest that
passed. Whatever overwrites or deletes shows its plan and asks on a terminal; without a terminal it needs `--yes`.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | finished, and found something (`verify`, `doctor`, `gc`) |
"""
_ERRORS_HEAD = f"""{_WRITTEN_BY}
# Errors

Every error has a stable `code`, says what happened, and names what to type next. `chrono` exits with the exit code;
HTTP front doors answer with the status.

| code | exit | HTTP | meaning | hint |
|---|---|---|---|---|
"""


def cli_reference() -> str:
    """Return the text of `docs/cli.md`."""
    families: list[type[errors.ChronosError]] = [errors.ChronosError, *errors.ChronosError.__subclasses__()]
    codes = sorted((family.exit_code, _meaning(family)) for family in families)
    table = "".join(f"| {code} | {meaning} |\n" for code, meaning in codes)
    head = _CLI_HEAD + table + "| 130 | Interrupted by Ctrl-C. |\n"
    program = build_tree(BEGIN, COMMANDS)
    return head + "".join(_describe(program.make_context(PROGRAM, [], resilient_parsing=True), program, PROGRAM))


def error_reference() -> str:
    """Return the text of `docs/errors.md`."""
    rows = []
    classes = {kind for module in _ERROR_MODULES for _, kind in inspect.getmembers(module, inspect.isclass)}
    for found in classes:
        if issubclass(found, errors.ChronosError):
            row = (f"`{found.code}`", str(found.exit_code), str(found.http_status), _meaning(found), found.default_hint)
            rows.append((found.exit_code, found.__module__, inspect.getsourcelines(found)[1], row))
    return _ERRORS_HEAD + "".join(f"| {' | '.join(_cell(text) for text in row)} |\n" for *_, row in sorted(rows))


def main() -> None:
    """Write the files into the source tree."""
    top = Path(__file__).resolve().parents[2]
    (top / "docs/cli.md").write_text(cli_reference(), encoding="utf-8")
    (top / "docs/errors.md").write_text(error_reference(), encoding="utf-8")
    (top / "skills/action_methods.pyi").write_text(method_stubs(), encoding="utf-8")


def _describe(context: Any, command: Any, path: str) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n## {path}\n\n```\n{path} {usage}\n```\n\n{inspect.cleandoc(command.help or '')}\n\n"
    rows = [record for param in command.get_params(context) if (record := param.get_help_record(context)) is not None]
    if rows:
        yield "| | |\n|---|---|\n"
        yield from (f"| `{_cell(name)}` | {_cell(about)} |\n" for name, about in rows)
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            below = child.make_context(name, [], parent=context, resilient_parsing=True)
            yield from _describe(below, child, f"{path} {name}")


def _meaning(error: type[errors.ChronosError]) -> str:
    return " ".join((error.__doc__ or "").split())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
