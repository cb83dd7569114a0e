"""`chrono risk`: how dangerous an operation is, why, what it would hit, and what no checkpoint would cover."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chronos.cli import output
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.session import Session
from chronos.cli.tables import Cell, Column, Row, write_table
from chronos.errors import StorageError, UsageError
from chronos.files import display

if TYPE_CHECKING:
    from historian.risk import RiskAssessment

app = Group("Risk: how dangerous an operation is before it is done.")
_LARGEST_INPUT_BYTES = 2 * 1024 * 1024
_STYLES = {"low": "green", "medium": "yellow", "high": "red"}


@app.command()
def assess(
    session: Session,
    text: Annotated[str, Argument(metavar="TEXT", show_default=False, help="Words, a command, SQL; - reads it.")],
    kind: Annotated[
        str | None,
        Option(
            "--kind", metavar="K", show_default="what TEXT looks like", help="words, shell, sql, git, file or tool."
        ),
    ] = None,
    explain: Annotated[bool, Option("--explain", help="Also every rule that spoke, and its weight.")] = False,
    probe: Annotated[bool, Option("--probe/--no-probe", help="Look at what is there, for at most 50 ms.")] = True,
) -> None:
    """Say how dangerous an operation is: low, medium or high.

    Nothing is run or changed. Paths are seen from the working folder, with --root from that. Rules of the project are
    in [tool.chronos.risk] or chronos-risk.yaml; see docs/risk.md.
    """
    from chronos.app import open_historian
    from historian.risk import Operation, OperationKind

    if kind is not None and kind not in {known.value for known in OperationKind}:
        raise UsageError(f"{kind[:40]!r} is no kind", hint=f"known: {', '.join(item.value for item in OperationKind)}")
    given = _read() if text == "-" else text
    chosen = None if kind is None else OperationKind(kind)
    folder = str(Path.cwd()) if session.root is None else ""
    if chosen is OperationKind.FILE:
        operation = Operation(path=given, kind=chosen, cwd=folder)
    elif chosen is OperationKind.TOOL:
        operation = Operation(tool=given, kind=chosen, cwd=folder)
    else:
        operation = Operation(text=given, kind=chosen, cwd=folder)
    with open_historian(session.root) as historian:
        found = historian.assess(operation, probe=probe)
    session.show(found, lambda found: _document(found, explain=explain), lambda found: _show(found, explain=explain))


def _read() -> str:
    """Return standard input as an argument would be: bytes that are no UTF-8 are kept."""
    if sys.stdin is None:
        raise StorageError("standard input is closed")
    return sys.stdin.buffer.read(_LARGEST_INPUT_BYTES).decode("utf-8", "surrogateescape")


def _document(found: RiskAssessment, *, explain: bool) -> dict[str, Any]:
    signals = [{"rule": item.rule, "reason": item.reason, "weight": item.weight} for item in found.signals]
    return {
        "level": found.level.value,
        "score": found.score,
        "kind": found.kind.value,
        "reasons": list(found.reasons),
        "targets": [
            {"what": item.what, "coverage": item.coverage, "covered": item.is_covered} for item in found.targets
        ],
        "covered": found.covered,
        "advice": found.advice,
        "effects": list(found.effects),
    } | ({"signals": signals} if explain else {})


def _show(found: RiskAssessment, *, explain: bool) -> None:
    level = Cell(found.level.value, _STYLES[found.level.value])
    write_table(
        (Column("level", may_wrap=False), Column("score", is_number=True), Column("kind", may_wrap=False)),
        [(level, f"{found.score:.2f}", found.kind.value)],
        titles=False,
    )
    for reason in found.reasons:
        output.write(f"  {display(reason)}")
    if found.targets:
        rows: list[Row] = [
            ("" if item.is_covered else Cell("!", "red"), display(item.what), item.coverage)
            for item in found.targets[:20]
        ]
        write_table(
            (Column("", may_wrap=False), Column("target"), Column("coverage", may_wrap=False)), rows, indent="  "
        )
    for effect in found.effects:
        output.write(f"  no restore takes back: {display(effect)}")
    if found.advice:
        output.write(display(found.advice))
    if explain:
        rows = [(item.rule, f"{item.weight:.2f}", display(item.reason)) for item in found.signals]
        write_table((Column("rule"), Column("weight", is_number=True), Column("reason")), rows)
