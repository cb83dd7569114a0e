"""What can go wrong in the historian alone; the families, and all else, are those of `chronos.errors`."""

from __future__ import annotations

from chronos.errors import RefusedError, UsageError


class BadLessonError(UsageError):
    """A lesson, or a line of a file with lessons, that lacks something, is too long or cannot be read."""

    code = "bad_lesson"
    default_hint = "a lesson has a situation, an action and a result; see docs/lessons.md"


class UnknownLessonError(UsageError):
    """No lesson, or more than one, answers to this id or prefix."""

    code = "unknown_lesson"
    default_hint = "run `chrono lessons list`, or give more characters of the id"


class PatchRejectedError(UsageError):
    """A diff, JSON Patch or key that does not fit the file that it is to change."""

    code = "patch_rejected"
    default_hint = "read the file again and make the change for what it says now; nothing was changed"


class BrokenContentError(UsageError):
    """A change after which a file would not be valid in its own format any more."""

    code = "broken_content"
    default_hint = "nothing was changed; correct the content"


class BlockedError(RefusedError):
    """The guard's policy refuses an operation as dangerous as this one."""

    code = "blocked"
    default_hint = "look at the reasons; another --policy lets it go on"


class NotConfirmedError(RefusedError):
    """The guard's policy asks first, and the answer was no, or there is nobody to ask."""

    code = "not_confirmed"
    default_hint = "nothing was done; run it on a terminal, or take another --policy"


class UnprotectedError(RefusedError):
    """The guard wants a checkpoint before an operation and none could be taken."""

    code = "unprotected"
    default_hint = "fix the cause named above; --policy advise goes on without a checkpoint"
