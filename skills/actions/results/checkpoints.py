"""Checkpoints, what is in them, and what differs between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chronos.files import to_text
from skills.actions.results.shape import MOST_LISTED, MOST_TEXT_CHARS, Result

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Created, Difference, ReceiptRow
    from chronos.engine import Details as EngineDetails
    from chronos.git import TextPatch
    from chronos.operations import StoreDifference


class Checkpoint(Result, frozen=True, kw_only=True):
    """One checkpoint, as lists show it."""

    checkpoint_id: str
    name: str
    description: str
    timeline: str
    parent: str | None
    created_at: str
    trigger: str
    tags: tuple[str, ...]
    files_changed: int
    grade: str
    pinned: bool
    verdict: str | None

    @classmethod
    def of(cls, row: CheckpointRow) -> Checkpoint:
        """Describe a row of the catalog."""
        return cls(
            checkpoint_id=row.checkpoint_id, name=row.name, description=row.description, timeline=row.timeline,
            parent=row.parent, created_at=row.created_at, trigger=row.trigger, tags=row.tags,
            files_changed=row.files_changed, grade=row.grade, pinned=row.pinned, verdict=row.verdict or None,
        )  # fmt: skip


class Checkpoints(Result, frozen=True, kw_only=True):
    """Checkpoints, the newest first. `total` is how many the timeline has, null when only matches were looked for."""

    checkpoints: tuple[Checkpoint, ...]
    total: int | None


class LeftOut(Result, frozen=True, kw_only=True):
    """A path that is not in a checkpoint, and why."""

    path: str
    reason: str
    bytes: int

    @classmethod
    def of(cls, row: ReceiptRow) -> LeftOut:
        """Describe a row of a receipt."""
        return cls(path=to_text(row.path), reason=row.reason.value, bytes=row.size)


class Taken(Result, frozen=True, kw_only=True):
    """A checkpoint that was taken. `receipt` says what is not in it, `secrets` which files look as if they had some."""

    checkpoint_id: str
    name: str
    timeline: str
    created: bool
    created_at: str
    grade: str
    files_changed: int
    receipt: tuple[LeftOut, ...]
    receipt_count: int
    secrets: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, found: Created) -> Taken:
        """Describe what a create did."""
        secrets = dict.fromkeys(to_text(one.path) for one in found.secrets)
        return cls(
            checkpoint_id=found.checkpoint_id, name=found.name, timeline=found.timeline, created=found.created,
            created_at=found.created_at, grade=found.grade.value, files_changed=found.files_changed,
            receipt=tuple(map(LeftOut.of, found.receipt[:MOST_LISTED])), receipt_count=len(found.receipt),
            secrets=tuple(secrets)[:MOST_LISTED], warnings=found.warnings,
        )  # fmt: skip


class PathDifference(Result, frozen=True, kw_only=True):
    """A path that differs: A (added), M (modified), D (deleted), T (another type or mode) or ? (unknown)."""

    path: str
    status: str

    @classmethod
    def of(cls, found: Difference) -> PathDifference:
        """Describe one difference."""
        return cls(path=to_text(found.path), status=found.status)


class TableRows(Result, frozen=True, kw_only=True):
    """How many rows of a table differ; `changed` is null where the table has no primary key."""

    name: str
    status: str
    added: int
    removed: int
    changed: int | None


class MemoryDifference(Result, frozen=True, kw_only=True):
    """A memory store that differs: A (added), M (modified) or D (deleted). `tables` says which rows, if asked for."""

    name: str
    kind: str
    path: str
    status: str
    tables: tuple[TableRows, ...]

    @classmethod
    def of(cls, found: StoreDifference) -> MemoryDifference:
        """Describe one memory store."""
        tables = tuple(
            TableRows(name=one.name, status=one.status, added=one.added, removed=one.removed, changed=one.changed)
            for one in found.tables[:MOST_LISTED]
        )
        return cls(name=found.name, kind=found.kind, path=found.path, status=found.status, tables=tables)


class Differences(Result, frozen=True, kw_only=True):
    """What differs. `patch` has lines when they were asked for, cut after 20,000 characters."""

    old: str
    new: str | None
    differences: tuple[PathDifference, ...]
    difference_count: int
    stores: tuple[MemoryDifference, ...]
    patch: str
    is_patch_cut: bool


class Details(Checkpoint, frozen=True, kw_only=True):
    """One checkpoint with what it holds: bases of repositories, memory stores, verdicts; `receipt` is what it lacks."""

    parents: tuple[str, ...]
    bases: dict[str, str]
    memory: dict[str, str]
    receipt: tuple[LeftOut, ...]
    receipt_count: int
    verdicts: tuple[str, ...]
    secrets: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of_details(cls, found: EngineDetails) -> Details:
        """Describe everything that a checkpoint says about itself."""
        shown = Checkpoint.of(found.row)
        return cls(
            **{name: getattr(shown, name) for name in Checkpoint.__struct_fields__},
            parents=tuple(found.manifest.parents),
            bases={part.path or ".": part.base or "" for part in found.manifest.code},
            memory={part.name: part.kind for part in found.memory},
            receipt=tuple(map(LeftOut.of, found.receipt[:MOST_LISTED])), receipt_count=len(found.receipt),
            verdicts=tuple(f"{one.result.value if one.result else ''} {one.note}".strip() for one in found.verdicts),
            secrets=tuple(dict.fromkeys(to_text(one.path) for one in found.secrets))[:MOST_LISTED],
            warnings=tuple(found.manifest.warnings),
        )  # fmt: skip


def join_patches(patches: Iterable[tuple[Difference, TextPatch]]) -> tuple[str, bool]:
    """Return the text of patches, and whether it was cut: what comes after the cut is not even rendered."""
    texts, length = [], 0
    for _, patch in patches:
        texts.append(patch.text)
        length += len(patch.text)
        if length > MOST_TEXT_CHARS:
            return "".join(texts)[:MOST_TEXT_CHARS], True
    return "".join(texts), False
