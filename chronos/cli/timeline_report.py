"""What `chrono timeline` says, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronos.cli import documents, output
from chronos.cli.memory import differences_document, show_differences
from chronos.cli.render import warnings
from chronos.cli.session import Session
from chronos.cli.tables import Cell, Column, Row, write_table
from chronos.cli.wording import count
from chronos.files import display, to_text

if TYPE_CHECKING:
    from chronos.operations import Operation, StoreDifference
    from chronos.timelines import Branched, Leaving, LeavingPlan, TimelineDetails, TimelineSummary

_LIST = (Column("name", may_wrap=False), Column("checkpoints", is_number=True), Column("from"), Column("path"))
_MOST_SHOWN = 10


def branched_document(found: Branched) -> dict[str, Any]:
    """Describe a timeline that was branched."""
    return {
        "name": found.name,
        "path": str(found.path),
        "source": found.source,
        "head": found.head,
        "branch": found.branch or None,
        "seeded": list(found.seeded),
        "kept": [{"path": to_text(row.path), "reason": row.reason} for row in found.kept],
        "warnings": list(found.warnings),
    }


def branched(found: Branched) -> None:
    """Say where the new timeline is."""
    where = f" on branch {found.branch}" if found.branch else ""
    output.write(f"timeline {found.name} is at {display(str(found.path))}{where}")
    if found.seeded:
        output.write(f"  {count(len(found.seeded), 'ignored file')} copied: {', '.join(found.seeded[:_MOST_SHOWN])}")
    for row in found.kept:
        output.write(f"  left out {display(row.path)}: {display(row.reason)}")
    warnings(found.warnings)


def summary_document(found: TimelineSummary) -> dict[str, Any]:
    """Describe a timeline of a list."""
    return {
        "name": found.name,
        "path": str(found.path) if found.path is not None else None,
        "head": found.head.checkpoint_id if found.head is not None else None,
        "parent": found.parent.checkpoint_id if found.parent is not None else None,
        "parent_timeline": found.parent.timeline if found.parent is not None else None,
        "checkpoints": found.checkpoints,
        "has_tree": found.is_there,
    }


def list_document(found: Sequence[TimelineSummary]) -> dict[str, Any]:
    """Describe all timelines."""
    return {"timelines": [summary_document(one) for one in found]}


def list_(found: Sequence[TimelineSummary], current: str) -> None:
    """Show all timelines, the one of this working tree marked."""
    rows: list[Row] = []
    for one in found:
        mark = "*" if one.name == current else " "
        where = display(str(one.path)) if one.path is not None else ""
        tree = Cell(where) if one.is_there else Cell(f"{where} (gone)" if where else "no working tree", "yellow")
        origin = f"{one.parent.timeline} {one.parent.checkpoint_id[:8]}" if one.parent is not None else ""
        rows.append(
            (Cell(f"{mark} {display(one.name)}", "bold" if mark == "*" else ""), str(one.checkpoints), origin, tree)
        )
    if rows:
        write_table(_LIST, rows)
    else:
        output.write("no timelines yet; `chrono timeline branch NAME` makes one")


def details_document(found: TimelineDetails) -> dict[str, Any]:
    """Describe one timeline."""
    return {
        **summary_document(found.summary),
        "branch": found.git.branch.removeprefix("refs/heads/") if found.git and found.git.branch else None,
        "commit": found.git.commit if found.git is not None else None,
        "memory": {name: str(place) for name, place in found.memory.items()},
        "adopted": found.is_adopted,
        "newest": documents.checkpoint(found.summary.head) if found.summary.head is not None else None,
    }


def details(found: TimelineDetails) -> None:
    """Show one timeline."""
    one = found.summary
    output.write(f"timeline {display(one.name)}")
    where = display(str(one.path)) if one.path is not None else "no working tree"
    output.write(f"  tree     {where}{'' if one.is_there or one.path is None else ' (gone)'}")
    if found.git is not None:
        branch = display(found.git.branch.removeprefix("refs/heads/")) if found.git.branch else "no branch"
        output.write(f"  git      {branch} at {found.git.commit[:12] if found.git.commit else 'no commit'}")
    if one.parent is not None:
        output.write(
            f"  from     {one.parent.checkpoint_id} {display(one.parent.name)} of {display(one.parent.timeline)}"
        )
    if one.head is not None:
        output.write(f"  newest   {one.head.checkpoint_id} {display(one.head.name)}, of {one.checkpoints}")
    for name, place in sorted(found.memory.items()):
        output.write(f"  memory   {display(name)} at {display(str(place))}")


def path(found: Path) -> None:
    """Print a path for a shell."""
    output.write_path(found)


def leaving_document(found: LeavingPlan) -> dict[str, Any]:
    """Describe which timelines would go."""
    return {
        "plan_id": found.plan_id,
        "timelines": [_leaving(one) for one in found.timelines],
        "links": [_leaving(one) for one in found.links],
    }


def _leaving(one: Leaving) -> dict[str, Any]:
    return {
        "name": one.name,
        "path": str(one.path) if one.path is not None else None,
        "goes": one.goes,
        "reason": one.reason,
        "checkpoints": one.checkpoints,
        "uncovered": documents.receipt(one.uncovered),
        "branch": one.branch or None,
        "kept_branch": {"name": one.kept_branch.name, "reason": one.kept_branch.reason} if one.kept_branch else None,
    }


def leaving(found: LeavingPlan) -> None:
    """Show which timelines would go, and which stay."""
    rows: list[Row] = []
    everything = (*found.timelines, *found.links)
    for one in found.timelines:
        verb = Cell("take away", "red") if one.goes else Cell("keep", "green")
        where = display(str(one.path)) if one.has_tree else "no working tree"
        rows.append((verb, display(one.name), one.reason, where))
    rows += [(Cell("unlink", "yellow"), display(o.name), o.reason, display(str(o.path))) for o in found.links]
    if not rows:
        output.write("nothing to take away")
        return
    write_table((Column("what", may_wrap=False), Column("timeline"), Column("why"), Column("path")), rows, titles=False)
    for row in (row for one in found.timelines if one.goes for row in one.uncovered):
        output.write(f"  in no checkpoint: {display(row.path)} ({row.reason.value})")
    for branch in (one.branch for one in everything if one.branch):
        output.write(f"  git branch {display(branch)} goes too; another ref leads to its commits")
    for kept in (one.kept_branch for one in everything if one.kept_branch is not None):
        output.write(f"  {kept}")
    if any(one.goes and one.has_tree for one in found.timelines):
        output.write("trees are only moved aside: `chrono undo` brings them back until a gc removes them")


def left_document(found: Operation) -> dict[str, Any]:
    """Describe a timeline that was taken away."""
    assert found.tree is not None
    return {
        "name": found.tree.timeline,
        "operation": found.operation,
        "deleted": True,
        "branch": found.tree.branch or None,
        "checkpoints": [move.checkpoint_id for move in found.checkpoints],
    }


def left(found: Operation) -> None:
    """Say that a timeline was taken away."""
    assert found.tree is not None
    output.write(
        f"timeline {display(found.tree.timeline)} is gone, with {count(len(found.checkpoints), 'checkpoint')}; "
        "`chrono undo` brings it back"
    )


def pruned_document(found: Sequence[Operation]) -> dict[str, Any]:
    """Describe what a prune did."""
    return {"pruned": [one.tree.timeline for one in found if one.tree is not None]}


def pruned(found: Sequence[Operation], plan: LeavingPlan) -> None:
    """Say what the prune of `plan` did."""
    had_trees = {one.name for one in plan.timelines if one.goes}
    names = [one.tree.timeline for one in found if one.tree is not None]
    trees = [display(name) for name in names if name in had_trees]
    if trees:
        output.write(
            f"{count(len(trees), 'working tree')} taken away: {', '.join(trees)}; `chrono undo` brings each back"
        )
    if len(trees) < len(names):
        output.write(f"{count(len(names) - len(trees), 'link')} of git to trees that are gone removed")


def show_memory(session: Session, found: Sequence[StoreDifference]) -> None:
    """Show how the memory stores of two timelines differ."""
    session.show(found, differences_document, show_differences)
