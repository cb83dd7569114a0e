"""What merges say, as text and as JSON: what comes, what stays, and what has to be decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chronos.cli import documents, output
from chronos.cli.plans import outcome as show_outcome
from chronos.cli.plans import plan as show_plan
from chronos.cli.render import warnings
from chronos.cli.tables import Cell, Column, Row, write_table
from chronos.cli.wording import count
from chronos.files import display, to_text
from chronos.layout import MAIN_TIMELINE

if TYPE_CHECKING:
    from chronos.merging import Conflict
    from chronos.timelines import MergeOutcome, PendingMerge, StoreResult

_COLUMNS = (Column("id", may_wrap=False), Column("conflict"), Column("where"), Column("why"))

_SETTLED = {"keys": "merged key by key", "strategy": "decided by the strategy", "resolver": "as it was decided"}


def document(found: MergeOutcome) -> dict[str, Any]:
    """Describe what a merge did, or would do."""
    return {
        "summary": found.summary,
        "into": found.timeline,
        "merged": found.is_done,
        "base": found.base.checkpoint_id if found.base is not None else None,
        "theirs": found.theirs.checkpoint_id,
        "checkpoint": found.checkpoint,
        "plan": documents.plan(found.plan),
        "conflicts": [conflict(one) for one in found.conflicts],
        "stores": {name: _store(one) for name, one in found.stores.items()},
        "settled": {to_text(path): why for path, why in found.settled.items()},
        "operation": found.outcome.operation if found.outcome is not None else None,
        "safety": found.outcome.safety if found.outcome is not None else None,
    }


def conflict(one: Conflict) -> dict[str, Any]:
    """Describe one conflict. Sides that are no UTF-8 are given as hex; of a large one only the hash is known."""
    return {
        "id": one.conflict_id,
        "kind": one.kind.value,
        "path": to_text(one.path),
        "store": one.store or None,
        "table": one.table or None,
        "key": one.key or None,
        "reason": one.reason,
        "large": one.is_large,
        "base": _side(one.base),
        "ours": _side(one.ours),
        "theirs": _side(one.theirs),
        "merged": _side(one.merged),
    }


def _side(data: bytes | None) -> dict[str, str] | None:
    if data is None:
        return None
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def _store(found: StoreResult) -> dict[str, Any]:
    tables = [{"name": t.name, "added": t.added, "changed": t.changed, "removed": t.removed} for t in found.tables]
    return {"summary": found.summary, "tables": tables, "conflicts": len(found.conflicts)}


def plan(found: MergeOutcome) -> None:
    """Show what a merge would do."""
    _head(found)
    if found.conflicts:
        _conflicts(found.conflicts)
        output.write(f"{count(len(found.conflicts), 'conflict')}: until they are decided nothing is changed")
    else:
        show_plan(found.plan)
    _rows(found)


def outcome(found: MergeOutcome) -> None:
    """Show what a merge did."""
    if found.conflicts:
        into = f" --into {found.timeline}" if found.timeline != MAIN_TIMELINE else ""
        _head(found)
        _conflicts(found.conflicts)
        _rows(found)
        warnings(found.plan.warnings)
        output.write(
            f"{count(len(found.conflicts), 'conflict')}; nothing was changed. Decide with `chrono resolve PATH{into}` "
            "and `--ours`, `--theirs`, `--edit` or `--with CMD`, then run this again"
        )
        return
    if found.outcome is not None:
        _rows(found)
        show_outcome(found.outcome)
    else:
        output.write(f"{display(found.summary)}: {_nothing_new(found)}")
        for row in found.plan.kept:
            output.write(f"  kept {display(row.path)}: {display(row.reason)}")
        warnings(found.plan.warnings)
    if found.checkpoint is not None:
        output.write(f"checkpoint {found.checkpoint} has both sides")


def _nothing_new(found: MergeOutcome) -> str:
    if found.checkpoint is not None:
        return "the tree has everything already; now that is known"
    if found.base is not None and found.base.checkpoint_id == found.theirs.checkpoint_id:
        return f"merged already up to {found.theirs.checkpoint_id}; --base ID compares with another checkpoint"
    return "everything is here already"


def _head(found: MergeOutcome) -> None:
    base = f"{found.base.checkpoint_id} {display(found.base.name)}" if found.base is not None else "nothing"
    output.write(f"{display(found.summary)}: what changed from {base} to {found.theirs.checkpoint_id}")


def _rows(found: MergeOutcome) -> None:
    """Say what comes into memory stores, in rows, and what was settled without git."""
    for name, store in sorted(found.stores.items()):
        output.write(f"  memory {display(name)}: {store.summary}")
        for table in store.tables:
            output.write(f"    {display(table.name)}: +{table.added} ~{table.changed} -{table.removed} rows")
    for path, why in sorted(found.settled.items()):
        output.write(f"  {display(path)}: {_SETTLED[why]}")


def _conflicts(found: tuple[Conflict, ...] | list[Conflict]) -> None:
    rows: list[Row] = []
    for one in found:
        where = f"{display(one.store)} {display(one.table)}" if one.table else display(one.path)
        where += f" {display(one.key)}" if one.key else ""
        rows.append((one.conflict_id[:8], Cell(one.kind.value, "yellow"), where, display(one.reason)))
    write_table(_COLUMNS, rows, is_brief=True, what="more conflicts")


def pending_document(found: PendingMerge | None) -> dict[str, Any]:
    """Describe what waits to be decided."""
    if found is None:
        return {"summary": None, "command": None, "conflicts": [], "open": 0}
    return {
        "summary": found.summary,
        "command": found.command,
        "conflicts": [
            {**conflict(one), "resolution": _choice(found, one)} for one in found.conflicts
        ],
        "open": len(found.open),
    }  # fmt: skip


def _choice(found: PendingMerge, one: Conflict) -> str | None:
    resolution = found.resolutions.get(one.conflict_id)
    return resolution.choice.value if resolution is not None else None


def pending(found: PendingMerge | None, *, patch: bool) -> None:
    """Show what waits to be decided."""
    if found is None:
        output.write("no merge waits for decisions")
        return
    if found.open:
        output.write(display(found.summary))
        _conflicts(found.open)
    if patch:
        for one in found.open:
            _show_sides(one)
    _show_rest(found)


def resolved(found: PendingMerge) -> None:
    """Say what is left to be decided."""
    if found.open:
        _conflicts(found.open)
    _show_rest(found)


def forgotten(found: PendingMerge) -> None:
    """Say that a merge was given up."""
    output.write(f"{display(found.summary)} is given up; nothing was changed by it")


def _show_rest(found: PendingMerge) -> None:
    if found.open:
        output.write(f"{len(found.open)} of {count(len(found.conflicts), 'conflict')} to decide")
    else:
        output.write(f"all is decided: `{display(found.command)}` makes it")


def _show_sides(one: Conflict) -> None:
    output.write(f"--- {one.conflict_id} {display(one.path)} {display(one.table)} {display(one.key)}".rstrip())
    if one.is_large:
        output.write("  too large to be shown")
        return
    sides = {"base": one.base, "ours": one.ours, "theirs": one.theirs}
    for label, data in ({"merged": one.merged} if one.merged is not None else sides).items():
        text = "nothing" if data is None else data.decode("utf-8", "backslashreplace")
        output.write(f"  {label}:")
        output.write(output.harmless("\n".join(f"    {line}" for line in text.splitlines())))
