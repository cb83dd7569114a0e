"""What exports and imports say, to people and as JSON: plans before, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chronos.cli import output
from chronos.cli.documents import Document
from chronos.cli.render import warnings
from chronos.cli.tables import Cell, Column, Row, write_pairs, write_table
from chronos.cli.wording import count, size, when
from chronos.files import display

if TYPE_CHECKING:
    from chronos.transfer import BaseNeed, Exported, Imported, ImportPlan, LeftOutFile


def exported_document(found: Exported) -> Document:
    """Describe what `checkpoint export` did."""
    return {
        "checkpoint_id": found.checkpoint_id,
        "name": found.name,
        "file": str(found.path),
        "bytes": found.bytes,
        "chunks": found.chunks,
        "left_out": [{"path": row.path, "reason": row.reason} for row in found.left_out],
        "members_left_out": list(found.members_left_out),
        "bases": list(found.bases),
    }


def exported(found: Exported) -> None:
    """Show what `checkpoint export` did, and what stayed out."""
    output.write(f"{found.checkpoint_id}  {display(found.name)}  {size(found.bytes)} in {display(str(found.path))}")
    for commit in found.bases:
        output.write(f"with the history of {commit[:12]}, as git has it: it was not searched for secrets")
    if found.left_out:
        output.write(f"left out: {count(len(found.left_out), 'file')}; --include-secrets takes them along")
        _left_out(found.left_out)
    if found.members_left_out:
        output.write(f"left out as well: {', '.join(found.members_left_out)}")


def plan_document(found: ImportPlan) -> Document:
    """Describe what `checkpoint import` would do."""
    manifest = found.inspected.manifest
    return {
        "checkpoint_id": found.inspected.sealed.checkpoint_id,
        "name": manifest.name,
        "description": manifest.description,
        "created_at": manifest.created_at,
        "grade": manifest.grade.value,
        "from_timeline": manifest.timeline,
        "timeline": found.timeline,
        "present": found.present,
        "files_changed": manifest.files_changed,
        "content_bytes": found.inspected.bytes,
        "chunks": found.chunks,
        "new_chunks": found.new_chunks,
        "new_bytes": found.new_bytes,
        "left_out": found.inspected.left_out,
        "members_left_out": list(found.inspected.omissions.members),
        "missing_bases": [_base(need) for need in found.bases],
    }


def plan(found: ImportPlan) -> None:
    """Show what `checkpoint import` would do."""
    inspected = found.inspected
    manifest = inspected.manifest
    write_pairs(
        [
            ("id", inspected.sealed.checkpoint_id),
            ("name", display(manifest.name)),
            ("created", f"{when(manifest.created_at)}, on timeline {display(manifest.timeline)} there"),
            ("grade", manifest.grade.value),
            ("changed", count(manifest.files_changed, "file")),
            ("content", size(inspected.bytes)),
            ("new here", f"{count(found.new_chunks, 'chunk')} of {found.chunks}, {size(found.new_bytes)}"),
            ("lands on", display(found.timeline)),
        ]
    )
    if inspected.left_out:
        output.write(f"left out by the export: {count(inspected.left_out, 'content')}; a restore keeps such paths")
    for need in found.bases:
        if need.is_brought:
            output.write(
                f"writes {size(need.bundle_bytes or 0)} of git objects and a base ref for {need.commit[:12]} into "
                f"{display(need.component) or 'this repository'}"
            )
    if found.is_empty:
        output.write("nothing to do: the checkpoint is here already")
    elif found.present == "live":
        output.write("the checkpoint is here already; it gets what it lacks")
    elif found.present == "deleted":
        output.write("the checkpoint was deleted here; it comes back")
    _warn_of_bases(found)


def imported_document(found: Imported) -> Document:
    """Describe what `checkpoint import` did."""
    return {**plan_document(found.plan), "imported": found.imported, "completed": found.completed}


def imported(found: Imported) -> None:
    """Show what `checkpoint import` did."""
    sealed, timeline = found.plan.inspected.sealed, display(found.plan.timeline)
    name = f"{sealed.checkpoint_id}  {display(sealed.manifest.name)}"
    if found.imported:
        output.write(f"{name}  imported on timeline {timeline}; `chrono undo` takes it back")
    elif found.completed:
        output.write(f"{name}  is here already, on timeline {timeline}; what it lacked came in")
    else:
        output.write(f"{name}  is here already, on timeline {timeline}")
    _warn_of_bases(found.plan)


def _left_out(rows: Sequence[LeftOutFile]) -> None:
    cells: list[Row] = [(display(row.path), Cell(display(row.reason), "yellow")) for row in rows]
    write_table((Column("path"), Column("reason")), cells, titles=False, indent="  ", is_brief=True)


def _base(need: BaseNeed) -> Document:
    return {
        "component": need.component,
        "commit": need.commit,
        "bundle_bytes": need.bundle_bytes,
        "brought": need.is_brought,
    }


def _warn_of_bases(found: ImportPlan) -> None:
    warnings(
        f"the base commit {need.commit[:12]} of {display(need.component) or 'this repository'} is not here, so only "
        "what was captured can be restored: "
        + (
            "fetch it, or import a file that was exported with --base"
            if need.has_repository
            else "there is no repository to take it; get that first, and import again"
        )
        for need in found.bases
        if not need.is_brought
    )
