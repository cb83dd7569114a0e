"""`chrono run` and `update`: a command, or a change of one file, under the guard."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chronos.cli import guard_report, output, plans
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.options import PlanOnly, Yes
from chronos.cli.session import Session
from chronos.errors import ChronosError, StorageError, UnsupportedError, UsageError
from chronos.files import display, read_limited

if TYPE_CHECKING:
    from historian import HistorianAgent
    from historian.risk import OperationKind

app = Group()
_LARGEST_INPUT_BYTES = 64 * 1024 * 1024
PolicyText = Annotated[
    str | None,
    Option(
        "--policy", metavar="P", show_default="as the settings say",
        help="off, advise, auto, confirm or block, for medium and high risk; or by level: high=block,medium=advise.",
    ),
]  # fmt: skip


@app.command(is_verbatim=True)
def run(
    session: Session,
    command: Annotated[list[str], Argument(metavar="-- CMD", show_default=False, help="What to run.")],
    policy: PolicyText = None,
    restore_on_failure: Annotated[
        bool,
        Option(
            "--restore-on-failure", help="Take a checkpoint whatever the risk, and restore it when the command fails."
        ),
    ] = False,
    kind: Annotated[
        str,
        Option("--kind", metavar="K", help="What it is assessed as: shell, git, sql, tool or words."),
    ] = "shell",
    yes: Yes = False,
) -> None:
    """Run a command under the guard, and end as it ends.

    The risk is assessed first; when it is medium or high a checkpoint is taken. After a failure it says what has
    changed since, and offers to restore that. With --json the command's output goes to standard error.
    """
    with session.historian(yes=yes) as historian:
        found = historian.run_command(
            command[command[0] == "--" :], policy=policy, kind=_kind(kind), restore_on_failure=restore_on_failure,
            output_to_errors=session.as_json,
        )  # fmt: skip
        session.code = found.code
        if session.as_json:
            session.show(found, guard_report.run_document, guard_report.ran)
            return
        guard_report.ran(found)
        if found.restored is not None:
            plans.outcome(found.restored)
        elif found.has_failed and found.has_changes and found.passage.checkpoint_id:
            _offer_restore(session, historian, found.passage.checkpoint_id)


@app.command()
def update(
    session: Session,
    file: Annotated[Path, Argument(metavar="FILE", show_default=False, help="The file to change, or to make.")],
    content: Annotated[
        str | None,
        Option("--with", metavar="FILE|-", show_default=False, help="The whole new content; - is stdin."),
    ] = None,
    diff: Annotated[
        str | None, Option("--diff", metavar="FILE|-", show_default=False, help="A unified diff of this file.")
    ] = None,
    json_patch: Annotated[
        str | None,
        Option("--json-patch", metavar="FILE|-|TEXT", show_default=False, help="A JSON Patch (RFC 6902)."),
    ] = None,
    values: Annotated[
        list[str] | None,
        Option(
            "--set", metavar="KEY=VALUE", show_default=False,
            help="A value by its key, such as a.b=1, in YAML, JSON or TOML: JSON, or else text. Repeatable.",
        ),
    ] = None,
    check: Annotated[bool, Option("--check/--no-check", help="Refuse what is not valid in its format.")] = True,
    policy: PolicyText = None,
    plan_only: PlanOnly = False,
    yes: Yes = False,
) -> None:  # fmt: skip
    """Change one file under the guard, in one step or not at all.

    The result must be valid in its format (JSON, TOML, YAML, Python, XML). The file keeps its mode, its encoding and
    the ends of its lines. It is not written when it changed meanwhile.
    """
    with session.historian(yes=yes) as historian:
        plan = historian.plan_update(
            session.from_root(historian.engine, [str(file)])[0],
            content=_as_text(_read(content)) if content is not None else None,
            diff=_read(diff) if diff is not None else None,
            json_patch=_read_patch(json_patch) if json_patch is not None else None,
            yaml_keys=_read_values(values) if values else None,
            check=check,
        )
        if plan_only:
            session.show(plan, guard_report.change_document, guard_report.change)
            return
        done = historian.apply_update(plan, policy=policy)
        session.show(done, guard_report.update_document, guard_report.updated)


def _offer_restore(session: Session, historian: HistorianAgent, checkpoint: str) -> None:
    """Show what a restore would do and ask; where nobody can be asked, name the command. It may bring nothing back."""
    try:
        plan = historian.engine.plan_restore(checkpoint)
    except ChronosError as error:  # the exit code is the command's
        output.write_error(output.harmless(f"  no restore can be planned: {error.message}"))
        return
    if session.is_interactive:
        plans.plan(plan)
        if not plan.change_set.is_empty and output.ask("Restore it?"):
            plans.outcome(historian.engine.restore_checkpoint(checkpoint, plan_id=plan.plan_id))
        return
    for row in plan.kept:
        output.write_error(output.harmless(f"  keep {display(row.path)}: {row.reason}"))
    if not plan.change_set.is_empty:
        what = "the rest" if plan.kept else "that"
        output.write_error(f"  `chrono checkpoint restore {checkpoint}` brings {what} back")


def _kind(word: str) -> OperationKind:
    from historian.risk import OperationKind

    try:
        return OperationKind(word)
    except ValueError:
        known = ", ".join(kind.value for kind in OperationKind)
        raise UsageError(f"--kind {word!r} is none of: {known}") from None


def _read(name: str) -> bytes:
    if name != "-":
        return read_limited(Path(name), _LARGEST_INPUT_BYTES, too_large=UnsupportedError)
    if sys.stdin is None:
        raise StorageError("standard input is closed")
    data = sys.stdin.buffer.read(_LARGEST_INPUT_BYTES + 1)
    if len(data) > _LARGEST_INPUT_BYTES:
        raise UnsupportedError(f"standard input is larger than {_LARGEST_INPUT_BYTES} bytes")
    return data


def _as_text(data: bytes) -> str | bytes:
    """Text takes on how the file is written; what is none goes in as it is."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return data
    return data if "\0" in text or "\r" in text else text


def _read_patch(given: str) -> str:
    return given if given.lstrip().startswith("[") else _read(given).decode("utf-8", "replace")


def _read_values(pairs: list[str]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise UsageError(f"--set {pair!r} is no KEY=VALUE")
        found[key] = _value(key, text)
    return found


def _value(key: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, float) and json.dumps(value) != text.strip():
        raise UsageError(
            f"--set {key}={text} would be written as {json.dumps(value)}",
            hint=f"write that, or '{key}=\"{text}\"' for the text",
        )
    return value
