"""Where things stand, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skills.actions.results.checkpoints import Checkpoint, LeftOut, PathDifference
from skills.actions.results.shape import MOST_LISTED, Result

if TYPE_CHECKING:
    from chronos.maintenance import Finding, StatusReport
    from chronos.operations import StoreReport


class Problem(Result, frozen=True, kw_only=True):
    """Something that a check found, and what to do about it."""

    severity: str
    subject: str
    problem: str
    remedy: str

    @classmethod
    def of(cls, found: Finding) -> Problem:
        """Describe a finding."""
        return cls(
            severity=found.severity.name.lower(), subject=found.subject, problem=found.problem, remedy=found.remedy
        )  # fmt: skip


class Problems(Result, frozen=True, kw_only=True):
    """What is wrong with the store, the worst first; nothing when all is well."""

    findings: tuple[Problem, ...]
    finding_count: int


class Status(Result, frozen=True, kw_only=True):
    """Where things stand. `receipt` is what a checkpoint taken now would not have."""

    root: str
    timeline: str
    newest: Checkpoint | None
    changed: tuple[PathDifference, ...]
    changed_count: int
    stores: tuple[str, ...]
    receipt: tuple[LeftOut, ...]
    receipt_count: int
    warnings: tuple[str, ...]
    can_undo: str | None
    can_redo: str | None
    interrupted: int
    waiting: str | None
    conflicts: int

    @classmethod
    def of(cls, found: StatusReport) -> Status:
        """Describe a report."""
        return cls(
            root=str(found.root), timeline=found.timeline,
            newest=Checkpoint.of(found.newest) if found.newest is not None else None,
            changed=tuple(map(PathDifference.of, found.changed[:MOST_LISTED])), changed_count=len(found.changed),
            stores=tuple(pair.record.name for pair in found.stores),
            receipt=tuple(map(LeftOut.of, found.receipt[:MOST_LISTED])), receipt_count=len(found.receipt),
            warnings=found.warnings, can_undo=found.can_undo, can_redo=found.can_redo, interrupted=found.interrupted,
            waiting=found.waiting, conflicts=found.conflicts,
        )  # fmt: skip


class MemoryStore(Result, frozen=True, kw_only=True):
    """A memory store that checkpoints hold."""

    name: str
    kind: str
    path: str
    bytes: int


class MemoryStores(Result, frozen=True, kw_only=True):
    """The memory stores that a checkpoint taken now would hold; `notices` is what is declared and cannot be read."""

    stores: tuple[MemoryStore, ...]
    notices: tuple[str, ...]

    @classmethod
    def of(cls, found: list[StoreReport], notices: tuple[str, ...]) -> MemoryStores:
        """Describe memory stores."""
        stores = tuple(MemoryStore(name=one.name, kind=one.kind, path=one.path, bytes=one.size) for one in found)
        return cls(stores=stores, notices=notices)
