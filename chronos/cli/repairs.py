"""What people read before and after a repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chronos.cli import output
from chronos.cli.render import findings
from chronos.cli.tables import Cell, Column, Row, write_table
from chronos.cli.wording import count
from chronos.files import display

if TYPE_CHECKING:
    from chronos.maintenance import RepairOutcome, RepairPlan, RepairStep

_STYLES = {"set aside": "yellow", "skip": "yellow"}
_COLUMNS = (Column("action", may_wrap=False), Column("what"), Column("how"))


def plan(found: RepairPlan) -> None:
    """Show what is wrong, and what a repair would do about it."""
    findings(found.findings)
    if found.steps:
        _write_steps(found.steps)
        output.write(f"plan {found.plan_id}: {count(len(found.steps), 'step')}; what is set aside can be put back")
    elif found.findings:
        output.write("nothing of it can be repaired")


def outcome(found: RepairOutcome) -> None:
    """Show what a repair did, and what a deep verification finds after it."""
    _write_steps(found.steps)
    output.write(f"{count(len(found.steps), 'step')} done; verified again, every byte:")
    findings(found.findings)


def _write_steps(steps: Sequence[RepairStep]) -> None:
    rows: list[Row] = [
        (Cell(step.action, _STYLES.get(step.action, "green")), display(step.subject), display(step.detail))
        for step in steps
    ]
    write_table(_COLUMNS, rows, titles=False, indent="  ")
