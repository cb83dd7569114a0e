"""The JSON documents of the commands: the keys that others rely on (design, section 9), and some more.

Keys are only ever added. Paths are written by `chronos.files.to_text`, which is lossless; times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from chronos.files import to_text

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import (
        Annotation,
        Change,
        Created,
        Difference,
        FoundSecret,
        Kept,
        MemoryRecord,
        Plan,
        ReceiptRow,
        Side,
        StoreChange,
        Unscanned,
    )
    from chronos.cli.views import Comparison, History, Judged, Page, Setup, Step, Verified, WrittenOut
    from chronos.engine import Details
    from chronos.maintenance import Finding, RepairOutcome, RepairPlan, RepairStep, StatusReport
    from chronos.operations import Operation, Outcome

Document: TypeAlias = dict[str, Any]


def created(found: Created) -> Document:
    """Describe what `checkpoint create` did."""
    return {
        "checkpoint_id": found.checkpoint_id,
        "name": found.name,
        "timeline": found.timeline,
        "created": found.created,
        "created_at": found.created_at,
        "grade": found.grade.value,
        "files_changed": found.files_changed,
        "receipt": receipt(found.receipt),
        "warnings": list(found.warnings),
        "secrets": [secret(item) | {"new": item.is_new} for item in found.secrets],
        "unscanned": unscanned(found.unscanned),
    }


def secret(found: FoundSecret) -> Document:
    """Describe a place that looks like a secret; `line` is null where it is unknown."""
    return {"path": to_text(found.path), "line": found.line or None, "what": found.what, "scanner": found.scanner}


def unscanned(found: Mapping[str, Unscanned]) -> Document:
    """Describe how much new text each scanner for secrets had no time for."""
    return {name: {"count": item.count, "bytes": item.bytes} for name, item in found.items()}


def checkpoint(row: CheckpointRow) -> Document:
    """Describe one checkpoint of a list."""
    return {
        "checkpoint_id": row.checkpoint_id,
        "name": row.name,
        "description": row.description,
        "timeline": row.timeline,
        "parent": row.parent,
        "created_at": row.created_at,
        "trigger": row.trigger,
        "tags": list(row.tags),
        "files_changed": row.files_changed,
        "grade": row.grade,
        "sequence": row.sequence,
        "pinned": row.pinned,
        "verdict": row.verdict or None,
    }


def verdict(found: Annotation) -> Document:
    """Describe a verdict on a checkpoint."""
    return {
        "checkpoint_id": found.checkpoint, "result": found.result.value if found.result is not None else None,
        "at": found.at, "metrics": dict(found.metrics), "note": found.note, "command": found.command,
    }  # fmt: skip


def effects(rows: Iterable[Annotation]) -> list[Document]:
    """Describe what was done that no restore takes back; `checkpoint_id` is the one after which it was done."""
    return [
        {"effects": list(row.effects), "operation": row.command, "at": row.at, "timeline": row.timeline,
         "checkpoint_id": row.checkpoint or None}
        for row in rows
    ]  # fmt: skip


def verdict_set(found: Judged) -> Document:
    """Describe a checkpoint after it was given a verdict."""
    return {**checkpoint(found.row), "verdicts": list(map(verdict, found.verdicts))}


def page(found: Page) -> Document:
    """Describe a list of checkpoints; `total` is null when only matches were looked for."""
    return {"checkpoints": [checkpoint(row) for row in found.rows], "total": found.total}


def to_delete(row: CheckpointRow) -> Document:
    """Describe what `checkpoint delete` would do."""
    return {**checkpoint(row), "deleted": False}


def deleted(row: CheckpointRow) -> Document:
    """Describe what `checkpoint delete` did."""
    return {**checkpoint(row), "deleted": True}


def details(found: Details) -> Document:
    """Describe one checkpoint with everything that it says about itself."""
    manifest = found.manifest
    components = [
        {"path": part.path, "kind": part.kind.value, "base": part.base, "head": part.head, "branch": part.branch,
         "files_changed": part.entries.count, "staged": part.staged.count, "in_progress": list(part.in_progress)}
        for part in manifest.code
    ]  # fmt: skip
    members = {name: {"bytes": part.bytes, "complete": part.complete} for name, part in manifest.members.items()}
    return {
        **checkpoint(found.row),
        "parents": list(manifest.parents),
        "code": components,
        "memory": memory(found.memory),
        "receipt": receipt(found.receipt),
        "left_out": dict(manifest.left_out),
        "verdicts": list(map(verdict, found.verdicts)),
        "warnings": list(manifest.warnings),
        "secrets": [secret(item) for item in found.secrets],
        "unscanned": unscanned(manifest.unscanned),
        "members": members,
        "folder": str(found.folder),
    }


def receipt(rows: Iterable[ReceiptRow]) -> list[Document]:
    """Describe what is not in a checkpoint."""
    return [
        {"path": to_text(row.path), "reason": row.reason.value, "bytes": row.size, "detail": row.detail} for row in rows
    ]


def plan(found: Plan) -> Document:
    """Describe what a restore or a step would do."""
    change_set = found.change_set
    head = change_set.head
    ends = [] if head is None else [(head.branch_before, head.commit_before), (head.branch_after, head.commit_after)]
    return {
        "plan_id": found.plan_id,
        "grade": found.grade.value,
        "writes": [_change(change, change.after) for change in found.writes],
        "deletes": [_change(change, change.before) for change in found.deletes],
        "stores": [_store(store) for store in change_set.stores],
        "kept": kept(found.kept),
        "warnings": list(found.warnings),
        "effects": effects(found.effects),
        "links": [{"path": to_text(link.component), "made": link.is_made} for link in change_set.links],
        "indexes": [to_text(change.component) for change in change_set.indexes],
        "head": dict(zip(("from", "to"), ({"branch": b, "commit": c} for b, c in ends), strict=False)) or None,
    }


def kept(rows: Sequence[Kept]) -> list[Document]:
    """Describe paths that are left as they are."""
    return [{"path": to_text(row.path), "reason": row.reason} for row in rows]


def outcome(found: Outcome) -> Document:
    """Describe what a restore, undo or redo did."""
    return {
        "operation": found.operation,
        "summary": found.summary,
        "safety": found.safety,
        "written": found.written,
        "deleted": found.deleted,
        "stores": list(found.stores),
        "kept": kept(found.kept),
        "warnings": list(found.warnings),
        "effects": effects(found.plan.effects),
        "plan_id": found.plan.plan_id,
    }


def skipped(found: Operation) -> Document:
    """Describe stepping over an operation."""
    return {"operation": found.operation, "summary": found.summary, "skipped": found.undoes}


def written_out(found: WrittenOut) -> Document:
    """Describe a restore into another folder."""
    return {"checkpoint": found.checkpoint, "into": str(found.folder), "written": found.written}


def step(found: Step) -> Document:
    """Describe what `undo` or `redo` would do."""
    operation = found.operation
    moves = [{"checkpoint_id": move.checkpoint_id, "back": not move.live} for move in operation.checkpoints]
    return {**plan(found.plan), "operation": operation.operation, "summary": found.summary, "checkpoints": moves}


def history(found: History) -> Document:
    """Describe the operations of a timeline."""
    rows = [
        {"operation": item.operation, "kind": item.kind.value, "timeline": item.timeline, "at": item.at,
         "summary": item.summary, "checkpoints": [move.checkpoint_id for move in item.checkpoints],
         "safety": item.safety, "target": item.target, "undoes": item.undoes, "state": found.mark(item)}
        for item in found.operations
    ]  # fmt: skip
    remarks = [
        {"kind": one.kind.value, "at": one.at, **(effects([one])[0] if one.effects else verdict(one))}
        for one in found.annotations
    ]  # fmt: skip
    steps = {"undo": found.next_undo, "redo": found.next_redo}
    return {"timeline": found.timeline, "operations": rows, **steps, "annotations": remarks}


def comparison(found: Comparison) -> Document:
    """Describe the differences from one state to another, with patches when they were asked for."""
    rows = [_both_sides(item) for item in found.differences]
    for item, patch in found.patches:
        lines = {"added": patch.added, "removed": patch.removed, "binary": patch.is_binary}
        rows.append(_both_sides(item) | lines | ({"patch": patch.text} if found.with_text else {}))
    stores = [{"name": item.name, "kind": item.kind, "path": item.path, "status": item.status} for item in found.stores]
    return {"old": found.old, "new": found.new, "differences": rows, "stores": stores}


def status(found: StatusReport) -> Document:
    """Describe where things stand."""
    return {
        "root": str(found.root),
        "store": str(found.store),
        "timeline": found.timeline,
        "newest": checkpoint(found.newest) if found.newest else None,
        "changed": [_difference(item) for item in found.changed],
        "stores": [
            {"name": pair.record.name, "kind": pair.record.kind, "path": pair.record.path, "status": pair.status}
            for pair in found.stores
        ],
        "receipt": receipt(found.receipt),
        "warnings": list(found.warnings),
        "can_undo": found.can_undo,
        "can_redo": found.can_redo,
        "interrupted": found.interrupted,
        "waiting": found.waiting,
        "conflicts": found.conflicts,
    }


def setup(found: Setup) -> Document:
    """Describe a store that was set up."""
    return {
        "root": str(found.root),
        "store": str(found.store),
        "timeline": found.timeline,
        "excluded": receipt(found.receipt),
        "config": found.settings,
    }


def findings(found: Sequence[Finding]) -> Document:
    """Describe what a check found."""
    rows = [
        {
            "severity": item.severity.name.lower(),
            "subject": item.subject,
            "problem": item.problem,
            "remedy": item.remedy,
        }
        for item in found
    ]
    return {"findings": rows}


def verified(found: Verified) -> Document:
    """Describe what a verification found."""
    return {**findings(found.findings), "deep": found.is_deep}


def repair_plan(found: RepairPlan) -> Document:
    """Describe what a repair would do."""
    return {"plan_id": found.plan_id, "steps": list(map(_step, found.steps)), **findings(found.findings)}


def repair_outcome(found: RepairOutcome) -> Document:
    """Describe what a repair did, and what is wrong after it."""
    return {"steps": list(map(_step, found.steps)), **findings(found.findings)}


def recovered(done: Sequence[str]) -> Document:
    """Describe what `recover` did."""
    return {"done": list(done)}


def _store(change: StoreChange) -> Document:
    action = "remove" if change.after is None else "create" if change.before is None else "replace"
    side = change.after or change.before
    size = None if side is None else side.size
    kind = None if side is None else side.kind
    return {"name": change.name, "path": change.path, "kind": kind, "action": action, "bytes": size}


def memory(records: Iterable[MemoryRecord]) -> list[Document]:
    """Describe the memory stores of a checkpoint."""
    return [
        {"name": record.name, "kind": record.kind, "path": record.path, "bytes": record.bytes,
         "files": record.files.count, "declared": not record.is_found, "torn": record.is_torn,
         "facts": dict(record.facts), "notes": list(record.notes)}
        for record in records
    ]  # fmt: skip


def _step(step: RepairStep) -> Document:
    return {"action": step.action, "subject": step.subject, "detail": step.detail}


def _difference(item: Difference) -> Document:
    return {"path": to_text(item.path), "status": item.status}


def _both_sides(item: Difference) -> Document:
    return {**_difference(item), "old": _side(item.old), "new": _side(item.new)}


def _change(change: Change, side: Side) -> Document:
    return {"path": to_text(change.path), **_side(side), "replaces": change.before.kind.value}


def _side(side: Side) -> Document:
    size = None if side.content is None else side.content.size
    return {"kind": side.kind.value, "executable": side.executable, "bytes": size}
