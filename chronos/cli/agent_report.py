"""What people and programs read of setting agents up: plans as diffs, what was written, and how things stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chronos.cli import output
from chronos.cli.tables import Cell, Column, Row, write_patch, write_table
from chronos.files import display

if TYPE_CHECKING:
    from skills.agent_setup import FileChange, PartStatus, SetupPlan, Written

_STYLES = {"installed": "green", "other": "yellow", "own": "yellow", "incomplete": "yellow", "unreadable": "red"}
_COLUMNS = (
    Column("agent", may_wrap=False), Column("scope", may_wrap=False), Column("part", may_wrap=False),
    Column("state", may_wrap=False), Column("file"),
)  # fmt: skip


def plan_document(found: SetupPlan) -> dict[str, Any]:
    """Describe what would be written."""
    return {
        "agent": found.agent.name,
        "scope": found.scope.value,
        "files": [_change(change) for change in found.changes],
        "warnings": list(found.warnings),
        "steps": list(found.steps),
        "written": False,
    }


def plan(found: SetupPlan) -> None:
    """Show what would be written, line by line."""
    if not found.is_needed:
        output.write("nothing to do")
    for change in found.changes:
        if change.is_needed:
            output.write(f"{change.verb} {_place(change)}")
            write_patch(change.diff())
    _warnings(found)


def done_document(found: SetupPlan, rows: Sequence[Written]) -> dict[str, Any]:
    """Describe what was written, and where the copies are."""
    copies = {row.change.path: str(row.backup) for row in rows if row.backup is not None}
    document = plan_document(found)
    for file, change in zip(document["files"], found.changes, strict=True):
        file["backup"] = copies.get(change.path)
    return {**document, "written": True}


def done(found: SetupPlan, rows: Sequence[Written]) -> None:
    """Show what was written, and what is left to do."""
    for row in rows:
        verb = {"create": "created", "change": "changed", "remove": "removed"}[row.change.verb]
        copy = f"; as it was: {display(str(row.backup))}" if row.backup else ""
        output.write(f"{verb} {_place(row.change)}{copy}")
    _warnings(found)
    for step in found.steps:
        output.write(f"next: {display(step)}")


def status_document(rows: Sequence[PartStatus]) -> dict[str, Any]:
    """Describe how things stand."""
    return {
        "parts": [
            {
                "agent": row.agent,
                "scope": row.scope.value,
                "part": row.part.value,
                "state": row.state.value,
                "path": str(row.path),
                "programs": list(row.programs),
                "problem": row.problem,
                "obstacles": list(row.obstacles),
            }
            for row in rows
        ]
    }


def status(rows: Sequence[PartStatus], *, is_full: bool) -> None:
    """Show how things stand; what is absent only when one agent was asked for."""
    shown = [row for row in rows if is_full or row.state.value != "absent"]
    if not shown:
        output.write("no agent is set up: `chrono agent install claude|codex|gemini|cursor|copilot`")
        return
    cells: list[Row] = []
    for row in shown:
        state = Cell(row.state.value, _STYLES.get(row.state.value, ""))
        cells.append((row.agent, row.scope.value, row.part.value, state, display(str(row.path))))
    write_table(_COLUMNS, cells)
    for row in shown:
        for problem in filter(None, (row.problem, *row.obstacles)):
            output.write(f"! {row.agent} {row.part.value}: {display(problem)}")
        if row.state.value == "other" and not row.problem:
            output.write(f"  {row.agent} {row.part.value}: {', '.join(map(display, row.programs))}")


def _change(change: FileChange) -> dict[str, Any]:
    return {
        "path": str(change.path),
        "target": str(change.file.target),
        "change": change.verb,
        "parts": [part.value for part in change.parts],
        "diff": change.diff(),
    }


def _place(change: FileChange) -> str:
    name, target = display(str(change.path)), display(str(change.file.target))
    return name if change.path == change.file.target or not change.path.is_symlink() else f"{name} (a link to {target})"


def _warnings(found: SetupPlan) -> None:
    for warning in found.warnings:
        output.write_error(output.harmless(f"chrono: warning: {warning}"))
