"""What people read before and after something is overwritten or deleted: the plan, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chronos.cli import output
from chronos.cli.render import warnings
from chronos.cli.tables import Cell, Column, Row, write_table
from chronos.cli.wording import count, size, when
from chronos.files import display

if TYPE_CHECKING:
    from chronos.checkpoints import Annotation, Kept, Plan, StoreChange
    from chronos.cli.views import Step, WrittenOut
    from chronos.operations import Operation, Outcome

_ABSENT = "absent"
_COLUMNS = (Column("action", may_wrap=False), Column("path"), Column("why"))


def plan(found: Plan) -> None:
    """Show what a restore would do."""
    if found.change_set.is_empty:
        output.write(_nothing_to_do(found.kept, found.warnings))
    if found.grade.value != "complete":
        output.write(
            f"the checkpoint is {found.grade.value}: it does not hold everything, see `chrono checkpoint show`"
        )
    first, writes = _rows(found), _writes(found)
    write_table(
        _COLUMNS, [*first, *writes], titles=False, indent="  ", is_brief=True, always=len(first), what="more to write"
    )
    output.write(
        f"plan {found.plan_id}: {len(found.writes)} to write, {len(found.deletes)} to delete, {len(found.kept)} to keep"
        + (f", {count(len(found.change_set.stores), 'memory store')}" if found.change_set.stores else "")
    )
    warnings(found.warnings)
    _effects(found.effects)


def step(found: Step) -> None:
    """Show what `undo` or `redo` would do."""
    output.write(display(found.summary))
    for move in found.operation.checkpoints:
        verb = "delete" if move.live else "bring back"
        output.write(f"  {verb} checkpoint {move.checkpoint_id}")
    if found.operation.tree is not None:
        warnings(found.plan.warnings)
    elif not is_only_about_checkpoints(found.operation):
        plan(found.plan)


def outcome(found: Outcome) -> None:
    """Show what a restore or redo did."""
    _outcome(found, "undo")


def undone(found: Outcome) -> None:
    """Show what an undo did."""
    _outcome(found, "redo")


def skipped(found: Operation) -> None:
    """Show that an operation was stepped over."""
    output.write(display(found.summary))


def written_out(found: WrittenOut) -> None:
    """Show a restore into another folder."""
    output.write(f"{count(found.written, 'path')} written into {display(str(found.folder))}")


def is_only_about_checkpoints(operation: Operation) -> bool:
    """Tell whether taking `operation` back moves checkpoints and touches no file."""
    return bool(operation.checkpoints) and not operation.has_changes


def _nothing_to_do(kept: Sequence[Kept], warned: Sequence[str]) -> str:
    if kept:
        return "nothing to do: what differs is kept"
    rest = "nothing that can be compared differs" if warned else "everything is as it was then"
    return f"nothing to do: {rest}"


def _outcome(found: Outcome, way_back: str) -> None:
    if found.operation is None:
        output.write(_nothing_to_do(found.kept, found.warnings))
    else:
        done = f"{found.written} written, {found.deleted} deleted, {len(found.kept)} kept"
        done += f", memory: {', '.join(map(display, found.stores))}" if found.stores else ""
        output.write(f"{display(found.summary)}: {done}" if found.safety else display(found.summary))
    rows: list[Row] = [(Cell("keep", "yellow"), display(row.path), display(row.reason)) for row in found.kept]
    write_table(_COLUMNS, rows, titles=False, indent="  ")
    if found.operation is not None and found.safety:
        output.write(f"the state before is checkpoint {found.safety}; `chrono {way_back}` goes back to it")
    warnings(found.warnings)
    _effects(found.plan.effects)


def _effects(found: Sequence[Annotation]) -> None:
    """Say what stays as it is in the world outside, which no restore reaches."""
    rows: list[Row] = [
        (Cell("done", "yellow"), display(effect), ", by ".join(filter(None, (when(one.at), display(one.command)))))
        for one in found for effect in one.effects
    ]  # fmt: skip
    if rows:
        output.write("not taken back:")
        write_table(_COLUMNS, rows, titles=False, indent="  ", is_brief=True)


def _writes(found: Plan) -> list[Row]:
    rows: list[Row] = []
    for change in found.writes:
        why = "new" if change.before.kind.value == _ABSENT else f"replaces a {change.before.kind.value}"
        rows.append((Cell("write", "green"), display(change.path), why))
    return rows


def _rows(found: Plan) -> list[Row]:
    """Everything that must be read before saying yes, however long the plan is."""
    rows: list[Row] = [(Cell("delete", "red"), display(change.path), "was not there then") for change in found.deletes]
    rows += [(Cell("keep", "yellow"), display(row.path), display(row.reason)) for row in found.kept]
    for store in found.change_set.stores:
        rows.append((Cell("memory", "magenta"), display(store.path), _store(store)))
    for link in found.change_set.links:
        what = "the submodule's .git is linked again" if link.is_made else "the submodule's .git is taken away again"
        rows.append((Cell("link", "cyan"), display(link.component), what))
    for change_of_index in found.change_set.indexes:
        where = f"{display(change_of_index.component)}/" if change_of_index.component else ""
        rows.append((Cell("index", "cyan"), where, "the staged state comes back"))
    if found.change_set.head is not None:
        rows.append((Cell("head", "cyan"), "", _head(found)))
    return rows


def _store(change: StoreChange) -> str:
    if change.after is None:
        return f"the {change.before.kind if change.before else ''} store was not there then and goes"
    verb = "comes back" if change.before is None else "is replaced as a whole"
    return f"the {change.after.kind} store {display(change.name)} {verb}, {size(change.after.size)}"


def _head(found: Plan) -> str:
    head = found.change_set.head
    if head is None:
        return ""
    ends = [(head.branch_before, head.commit_before), (head.branch_after, head.commit_after)]
    return " to ".join(_position(branch, commit) for branch, commit in ends)


def _position(branch: str | None, commit: str | None) -> str:
    name = display(branch.removeprefix("refs/heads/")) if branch else "no branch"
    return f"{name} at {commit[:12] if commit else 'no commit'}"
