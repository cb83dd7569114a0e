"""What an assessment says."""

from __future__ import annotations

from enum import Enum

import msgspec

from historian.risk.operations import OperationKind

# How the reason begins that names what an ordinary checkpoint would lack; one taken for the operation may be asked to
# hold it all the same.
NOT_HELD = "no checkpoint would hold"


class RiskLevel(str, Enum):
    """How dangerous: only reads; changes; destroys, rewrites history, migrates, or cannot be undone."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Signal(msgspec.Struct, frozen=True):
    """One thing that spoke for or against: the rule's name, what was seen, and how much it counts (-1 to 1)."""

    rule: str
    reason: str
    weight: float


class Precedent(msgspec.Struct, frozen=True):
    """A past failure that resembles an operation: the lesson that tells of it, what failed, and how alike (0 to 1)."""

    lesson_id: str
    what_failed: str
    similarity: float


class Target(msgspec.Struct, frozen=True):
    """Something that the operation would hit.

    `what` is a path (absolute), a table, a branch or a remote; `coverage` says where a checkpoint has it: `code`,
    `memory`, `ignored`, `secret`, `too-large`, `outside`, `history` (git's own), `store` (the checkpoints' own),
    `remote`, or `unknown` where nobody looked; only the first two are covered, and `absent`, where nothing stands.
    """

    what: str
    coverage: str
    is_covered: bool


class RiskAssessment(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one operation.

    `score` is 0 to 1. `covered` is False when something of `targets` is in no checkpoint, None when the targets are
    not known. `effects` are those that no restore takes back (a push, an e-mail), in words.
    """

    level: RiskLevel
    score: float
    kind: OperationKind
    reasons: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    covered: bool | None = None
    advice: str = ""
    effects: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()
