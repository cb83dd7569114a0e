"""What can go wrong in the historian alone; the families, and all else, are those of `chronos.errors`."""

from __future__ import annotations

from chronos.errors import UsageError


class BadLessonError(UsageError):
    """A lesson, or a line of a file with lessons, that lacks something, is too long or cannot be read."""

    code = "bad_lesson"
    default_hint = "a lesson has a situation, an action and a result; see docs/lessons.md"


class UnknownLessonError(UsageError):
    """No lesson, or more than one, answers to this id or prefix."""

    code = "unknown_lesson"
    default_hint = "run `chrono lessons list`, or give more characters of the id"
