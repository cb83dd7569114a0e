"""Timelines, merges and their conflicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronos.files import to_text
from skills.actions.results.plans import Planned
from skills.actions.results.shape import MOST_LISTED, Result, cut

if TYPE_CHECKING:
    from chronos.merging import Conflict
    from chronos.timelines import Branched as EngineBranched
    from chronos.timelines import MergeOutcome, PendingMerge, TimelineSummary


class Timeline(Result, frozen=True, kw_only=True):
    """One timeline: where its working tree is, its newest checkpoint, and the one it was branched from."""

    name: str
    path: str | None
    head: str | None
    parent: str | None
    checkpoints: int
    has_tree: bool

    @classmethod
    def of(cls, found: TimelineSummary) -> Timeline:
        """Describe a timeline as lists show it."""
        return cls(
            name=found.name, path=str(found.path) if found.path is not None else None,
            head=found.head.checkpoint_id if found.head is not None else None,
            parent=found.parent.checkpoint_id if found.parent is not None else None,
            checkpoints=found.checkpoints, has_tree=found.is_there,
        )  # fmt: skip


class Timelines(Result, frozen=True, kw_only=True):
    """All timelines; `current` is that of this working tree."""

    timelines: tuple[Timeline, ...]
    current: str


class Clash(Result, frozen=True, kw_only=True):
    """A conflict: what is to be decided, and the sides, as text cut after 2,000 characters; null is an absent one.

    `merged` is what could be made of a text, with conflict markers.
    """

    id: str
    kind: str
    path: str
    store: str | None
    table: str | None
    key: str | None
    reason: str
    ours: str | None
    theirs: str | None
    merged: str | None

    @classmethod
    def of(cls, found: Conflict) -> Clash:
        """Describe one conflict."""
        return cls(
            id=found.conflict_id, kind=found.kind.value, path=to_text(found.path), store=found.store or None,
            table=found.table or None, key=found.key or None, reason=found.reason,
            ours=_side(found.ours), theirs=_side(found.theirs),
            merged=_side(found.merged),
        )  # fmt: skip


class Branched(Result, frozen=True, kw_only=True):
    """A new timeline: work in the folder `path`. `source` is the checkpoint whose state it has."""

    name: str
    path: str
    source: str
    head: str
    branch: str | None
    seeded: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, found: EngineBranched) -> Branched:
        """Describe a branch."""
        return cls(
            name=found.name, path=str(found.path), source=found.source, head=found.head, branch=found.branch or None,
            seeded=found.seeded[:MOST_LISTED], warnings=found.warnings,
        )  # fmt: skip


class Merged(Result, frozen=True, kw_only=True):
    """What a merge did, or would do. While there are conflicts nothing was changed.

    `rows` says what comes of each memory store, `settled` by path what decided what lines alone could not.
    """

    plan_id: str
    summary: str
    into: str
    merged: bool
    checkpoint: str | None
    operation: str | None
    safety: str | None
    plan: Planned
    conflicts: tuple[Clash, ...]
    conflict_count: int
    rows: dict[str, str]
    settled: dict[str, str]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, found: MergeOutcome) -> Merged:
        """Describe a merge or its plan."""
        plan = Planned.of(found.plan, found.summary)
        settled = list(found.settled.items())[:MOST_LISTED]
        return cls(
            plan_id=plan.plan_id, summary=found.summary, into=found.timeline, merged=found.is_done,
            checkpoint=found.checkpoint, operation=found.outcome.operation if found.outcome is not None else None,
            safety=found.outcome.safety if found.outcome is not None else None, plan=plan,
            conflicts=tuple(map(Clash.of, found.conflicts[:MOST_LISTED])), conflict_count=len(found.conflicts),
            rows={name: one.summary for name, one in found.stores.items()},
            settled={to_text(path): why for path, why in settled}, notes=found.notes,
        )  # fmt: skip


class Conflicts(Result, frozen=True, kw_only=True):
    """The merge that waits for decisions, null when none does; `open` is how many conflicts nobody has decided."""

    summary: str | None
    conflicts: tuple[Clash, ...]
    open: int
    command: str | None

    @classmethod
    def of(cls, found: PendingMerge | None) -> Conflicts:
        """Describe what waits; conflicts that were decided are not listed."""
        if found is None:
            return cls(summary=None, conflicts=(), open=0, command=None)
        listed = tuple(map(Clash.of, found.open[:MOST_LISTED]))
        return cls(summary=found.summary, conflicts=listed, open=len(found.open), command=found.command)


def _side(data: bytes | None) -> str | None:
    return None if data is None else cut(data.decode("utf-8", "backslashreplace"))
