"""What a verification found: findings for people, and the same as data, which is what a repair works with."""

from __future__ import annotations

from pathlib import Path

import msgspec

from chronos.checkpoints import MemoryRecord
from chronos.files import TreePath
from chronos.git import Repository
from chronos.maintenance.findings import Finding, Severity
from chronos.operations import Operation
from chronos.pool import Content


class BadPack(msgspec.Struct, frozen=True):
    """A damaged pack, and in which way it is."""

    timeline: str
    path: Path
    problem: str


class BadMember(msgspec.Struct, frozen=True):
    """A member whose bytes are not those of its manifest; `is_needed` by restores. It may be gone altogether."""

    folder: Path
    name: str
    blake3: str
    size: int
    is_needed: bool = False


class Need(msgspec.Struct, frozen=True):
    """A content of a checkpoint that has lost chunks.

    A list has no path. `oid` is the blob that git may still have of a staged content; `record` the memory store that
    a file belongs to.
    """

    timeline: str
    folder: Path
    content: Content
    path: TreePath | None = None
    component: TreePath = b""
    oid: str | None = None
    record: MemoryRecord | None = None


class Survey(msgspec.Struct):
    """The findings, and the damage behind them.

    `lost` are ids of chunks that are needed and that no pack has whole; `sound`, after a deep verification, those that
    packs without any damage have. `repositories` are those of the components, None for one that is gone.
    """

    findings: list[Finding] = msgspec.field(default_factory=list)
    packs: list[BadPack] = msgspec.field(default_factory=list)
    manifests: list[Path] = msgspec.field(default_factory=list)
    members: list[BadMember] = msgspec.field(default_factory=list)
    needs: list[Need] = msgspec.field(default_factory=list)
    lost: set[bytes] = msgspec.field(default_factory=set)
    sound: set[bytes] = msgspec.field(default_factory=set)
    repositories: dict[TreePath, Repository | None] = msgspec.field(default_factory=dict)
    journals: list[Path] = msgspec.field(default_factory=list)
    changes: list[Path] = msgspec.field(default_factory=list)
    operations: list[Operation] = msgspec.field(default_factory=list)
    bases: list[tuple[TreePath, str]] = msgspec.field(default_factory=list)
    timelines: list[str] = msgspec.field(default_factory=list)
    is_format_damaged: bool = False
    is_inner_damaged: bool = False
    are_declarations_damaged: bool = False

    def note(self, subject: str, problem: str, remedy: str = "") -> None:
        """Add something worth knowing."""
        self.findings.append(Finding(Severity.NOTE, subject, problem, remedy))

    def warn(self, subject: str, problem: str, remedy: str) -> None:
        """Add something that is wrong and costs no content."""
        self.findings.append(Finding(Severity.WARNING, subject, problem, remedy))

    def error(self, subject: str, problem: str, remedy: str) -> None:
        """Add something that is lost or damaged."""
        self.findings.append(Finding(Severity.ERROR, subject, problem, remedy))

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    def worst_first(self) -> list[Finding]:
        """Return the findings in the order in which people want them."""
        return sorted(self.findings, key=lambda finding: -finding.severity)
