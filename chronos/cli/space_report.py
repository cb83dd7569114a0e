"""What `gc` and `du` show, as text and as JSON documents. Sizes in documents are bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from chronos.cli import documents, output
from chronos.cli.render import warnings
from chronos.cli.tables import Cell, Column, Row, write_pairs, write_table
from chronos.cli.wording import count, size, when
from chronos.files import display, to_text

if TYPE_CHECKING:
    from chronos.maintenance import GcOutcome, GcPlan, Share, Usage

Document: TypeAlias = dict[str, Any]
_GOING = (
    Column("action", may_wrap=False),
    Column("id", may_wrap=False),
    Column("name"),
    Column("created"),
    Column("why"),
)
_SHARES = tuple(Column(title, is_number=True) for title in ("own", "shared", "files"))


def plan_document(found: GcPlan) -> Document:
    """Describe what a gc would do: `checkpoints` are all, each with the reasons why it goes or stays."""
    expiry, sweep = found.expiry, found.sweep
    rows = [
        {**documents.checkpoint(one.row), "deleted": one.row.deleted, "goes": one.goes, "reasons": list(one.reasons)}
        for one in expiry.verdicts
    ]
    packs = [
        {"timeline": pack.timeline, "pack": pack.name, "bytes": pack.size, "live_bytes": pack.live_bytes,
         "dead_bytes": pack.dead_bytes, "fate": pack.fate.value, "problem": pack.problem}
        for pack in (sweep.packs if sweep else ())
    ]  # fmt: skip
    return {
        "plan_id": found.plan_id,
        "checkpoints": rows,
        "undo_ends": [{"timeline": one.timeline, "operations": one.count} for one in expiry.endings],
        "records": len(expiry.records),
        "trees": [str(path) for path in expiry.trees],
        "base_refs": {to_text(path): commits for path, commits in found.base_refs.items()},
        "packs": packs,
        "live_chunks": sweep.live_chunks if sweep else None,
        "dead_chunks": sweep.dead_chunks if sweep else None,
        "live_bytes": sweep.live_bytes if sweep else None,
        "dead_bytes": sweep.dead_bytes if sweep else None,
        "freed_bytes": sweep.freed_bytes if sweep else 0,
        "extra_bytes": sweep.extra_bytes if sweep else 0,
        "obstacles": list(found.obstacles),
    }


def outcome_document(found: GcOutcome) -> Document:
    """Describe what a gc did."""
    return {**plan_document(found.plan), "problems": list(found.problems)}


def plan(found: GcPlan) -> None:
    """Show what a gc would do."""
    _write_going(found)
    sweep = found.sweep
    if sweep is not None:
        fates = Counter(pack.fate.value for pack in sweep.packs)
        output.write(
            f"packs: {fates['drop']} to drop, {fates['rewrite']} to rewrite, {fates['keep']} to keep; "
            f"{size(sweep.freed_bytes)} come free, {size(sweep.extra_bytes)} more are needed meanwhile"
        )
    warnings(found.obstacles)


def outcome(found: GcOutcome) -> None:
    """Show what a gc did."""
    going, sweep = found.plan.expiry.going, found.plan.sweep
    freed = size(sweep.freed_bytes) if sweep else "nothing"
    output.write(f"{count(len(going), 'checkpoint')} removed, {freed} of packs freed")
    warnings(found.problems)


def usage_document(found: Usage) -> Document:
    """Describe what a store takes."""
    memory = [
        {"timeline": timeline, "part": part, **_share_document(share)}
        for (timeline, part), share in sorted(found.memory.items())
    ]
    return {
        "total_bytes": found.total_bytes,
        "quota_bytes": found.quota_bytes,
        "packs": found.packs,
        "pack_bytes": found.pack_bytes,
        "dead_bytes": found.dead_bytes,
        "member_bytes": found.member_bytes,
        "other_bytes": found.other_bytes,
        "kept_bytes": found.kept_bytes,
        "timelines": [{"timeline": name, **_share_document(share)} for name, share in sorted(found.timelines.items())],
        "parts": memory,
        "checkpoints": [
            {"checkpoint_id": row.checkpoint_id, "name": row.name, "timeline": row.timeline, "deleted": row.deleted,
             **_share_document(share)}
            for row, share in found.checkpoints
        ],
        "unread": list(found.unread),
        "trees": [
            {"timeline": one.timeline, "path": str(one.path), "bytes": one.bytes, "aside": one.is_aside}
            for one in found.trees
        ],
    }  # fmt: skip


def usage(found: Usage) -> None:
    """Show what a store takes."""
    quota = f" of {size(found.quota_bytes)}" if found.quota_bytes else ""
    write_pairs(
        [
            ("store", f"{size(found.total_bytes)}{quota}"),
            ("packs", f"{size(found.pack_bytes)} in {found.packs}, {size(found.dead_bytes)} of it dead"),
            ("files", f"{size(found.member_bytes)} beside the manifests"),
            ("other", f"{size(found.other_bytes)} for catalog and log"),
            ("kept", f"{size(found.kept_bytes)} for undo, and of what repairs set aside"),
        ]
    )
    parts: list[Row] = [(display(name), *_cells(share)) for name, share in sorted(found.timelines.items())]
    parts += [
        (f"{display(timeline)}: {display(part)}", *_cells(share))
        for (timeline, part), share in sorted(found.memory.items())
    ]
    write_table((Column("timeline"), *_SHARES), parts)
    rows: list[Row] = [
        (Cell(row.checkpoint_id, "yellow"), display(row.name), *_cells(share), "deleted" if row.deleted else "")
        for row, share in sorted(found.checkpoints, key=lambda item: -(item[1].unique_bytes + item[1].member_bytes))
    ]
    write_table((Column("id", may_wrap=False), Column("name"), *_SHARES, Column("")), rows, is_brief=True)
    if found.trees:
        trees: list[Row] = [
            (display(one.timeline), size(one.bytes), "moved aside, until gc removes it" if one.is_aside else "in use",
             display(str(one.path)))
            for one in found.trees
        ]  # fmt: skip
        write_table((Column("working tree"), Column("bytes", is_number=True), Column(""), Column("path")), trees)
    warnings(f"{checkpoint} cannot be read: see `chrono verify`" for checkpoint in found.unread)


def _write_going(found: GcPlan) -> None:
    expiry = found.expiry
    rows: list[Row] = [
        (Cell("remove", "red"), one.row.checkpoint_id, display(one.row.name), when(one.row.created_at),
         ", ".join(one.reasons))
        for one in expiry.verdicts
        if one.goes
    ]  # fmt: skip
    write_table(_GOING, rows, titles=False, indent="  ")
    output.write(f"checkpoints: {len(rows)} to remove, {len(expiry.verdicts) - len(rows)} to keep")
    kept = Counter(reason for one in expiry.verdicts if not one.goes for reason in one.reasons)
    _write_reasons(kept.most_common())
    for ending in expiry.endings:
        output.write(f"timeline {display(ending.timeline)}: undo ends before {count(ending.count, 'older operation')}")
    for path in expiry.trees:
        output.write(f"working tree moved aside: {display(str(path))} to remove")
    if found.base_refs:
        output.write(f"base refs: {sum(map(len, found.base_refs.values()))} to remove")


def _write_reasons(reasons: Sequence[tuple[str, int]]) -> None:
    columns = (Column("", may_wrap=False), Column("", is_number=True), Column("why"))
    write_table(columns, [("keep", str(number), reason) for reason, number in reasons], titles=False, indent="  ")


def _share_document(share: Share) -> Document:
    return {
        "unique_bytes": share.unique_bytes,
        "shared_bytes": share.shared_bytes,
        "member_bytes": share.member_bytes,
        "total_bytes": share.total_bytes,
    }


def _cells(share: Share) -> tuple[str, str, str]:
    return size(share.unique_bytes), size(share.shared_bytes), size(share.member_bytes)
