"""Risks, lessons, failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skills.actions.results.shape import MOST_LISTED, Result, cut

if TYPE_CHECKING:
    from historian.failures import FailureAnalysis
    from historian.lessons import Lesson
    from historian.risk import RiskAssessment


class Assessment(Result, frozen=True, kw_only=True):
    """How dangerous an operation is: low, medium or high, 0 to 1, why, what it would hit, what no restore takes back.

    `covered` is false when something of `targets` is in no checkpoint, null when the targets are not known.
    """

    level: str
    score: float
    reasons: tuple[str, ...]
    targets: tuple[str, ...]
    uncovered: tuple[str, ...]
    covered: bool | None
    advice: str
    effects: tuple[str, ...]

    @classmethod
    def of(cls, found: RiskAssessment) -> Assessment:
        """Describe an assessment."""
        return cls(
            level=found.level.value, score=found.score, reasons=found.reasons,
            targets=tuple(one.what for one in found.targets)[:MOST_LISTED],
            uncovered=tuple(one.what for one in found.targets if not one.is_covered)[:MOST_LISTED],
            covered=found.covered, advice=found.advice, effects=found.effects,
        )  # fmt: skip


class LearnedLesson(Result, frozen=True, kw_only=True):
    """Something that was learned: the situation, what was done, how it went; `count` is how often."""

    lesson_id: str
    situation: str
    action: str
    result: str
    outcome: str
    feedback: str
    tags: tuple[str, ...]
    checkpoint_before: str | None
    checkpoint_after: str | None
    count: int
    standing: int
    updated_at: str
    score: float | None

    @classmethod
    def of(cls, found: Lesson) -> LearnedLesson:
        """Describe a lesson."""
        return cls(
            lesson_id=found.lesson_id, situation=cut(found.situation), action=cut(found.action),
            result=cut(found.result), outcome=found.outcome.value, feedback=cut(found.feedback), tags=found.tags,
            checkpoint_before=found.checkpoint_before, checkpoint_after=found.checkpoint_after, count=found.count,
            standing=found.standing, updated_at=found.updated_at, score=found.score,
        )  # fmt: skip


class Lessons(Result, frozen=True, kw_only=True):
    """Lessons, the best first."""

    lessons: tuple[LearnedLesson, ...]


class BlamedChange(Result, frozen=True, kw_only=True):
    """A change that may be to blame, 0 to 1, and why."""

    path: str
    status: str
    score: float
    reasons: tuple[str, ...]


class Analysis(Result, frozen=True, kw_only=True):
    """What is known of a failure: the error, the changes that may be to blame, the way back, the lesson learned."""

    operation: str
    kind: str
    message: str
    places: tuple[str, ...]
    checkpoint_id: str | None
    suspects: tuple[BlamedChange, ...]
    restore: str
    advice: str
    lesson_id: str | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, found: FailureAnalysis) -> Analysis:
        """Describe an analysis."""
        suspects = tuple(
            BlamedChange(path=one.path, status=one.status, score=one.score, reasons=one.reasons)
            for one in found.suspects
        )
        return cls(
            operation=cut(found.operation), kind=found.error.kind, message=cut(found.error.message),
            places=tuple(f"{one.path}:{one.line}" for one in found.error.frames[:20]),
            checkpoint_id=found.checkpoint_id, suspects=suspects, restore=found.restore, advice=found.advice,
            lesson_id=found.lesson.lesson_id if found.lesson else None, notes=found.notes,
        )  # fmt: skip
