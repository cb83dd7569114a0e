"""Lessons as JSON lines, one object a line, for export and import."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chronos import clock
from historian.errors import BadLessonError
from historian.lessons.lesson import MOST_TIMES, ExportedLesson, Learned, Lesson, as_event, id_of
from historian.lessons.making import check_lesson

_LARGEST_LINE_BYTES = 64 * 1024 * 1024


class Imported(msgspec.Struct, frozen=True):
    """What an import did: lessons that are new, that were here and count more now, that changed nothing."""

    added: int
    merged: int
    unchanged: int


def encode_lesson(lesson: Lesson) -> bytes:
    """Return a lesson as a line."""
    document = msgspec.to_builtins(lesson)
    for name in ("forgotten", "score"):
        del document[name]
    return msgspec.json.encode(document) + b"\n"


def decode_lessons(lines: Iterable[bytes]) -> list[Learned]:
    """Return what lines say, all or nothing; empty ones do not count. Raises BadLessonError with the line's number."""
    events = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(line) > _LARGEST_LINE_BYTES:
            raise BadLessonError(f"line {number} has more than {_LARGEST_LINE_BYTES} bytes")
        try:
            events.append(_event(msgspec.json.decode(line.lstrip(b"\xef\xbb\xbf"), type=ExportedLesson)))
        except (msgspec.MsgspecError, ValueError, RecursionError) as cause:
            raise BadLessonError(f"line {number} is no lesson: {cause}", hint="nothing was imported") from cause
        except BadLessonError as cause:
            raise BadLessonError(f"line {number}: {cause.message}", hint="nothing was imported") from cause
    return events


def _event(line: ExportedLesson) -> Learned:
    """The id is made anew, for another program may have written the line; times that are none, or to come, are now."""
    checked = check_lesson(
        line.situation,
        line.action,
        line.result,
        line.feedback,
        line.tags,
        line.checkpoint_before,
        line.checkpoint_after,
    )
    now = clock.to_text(clock.now())
    times = [
        min(_moment(text) or now, now)
        for text in (line.learned_at or line.updated_at, line.updated_at or line.learned_at)
    ]
    if not (1 <= line.count <= MOST_TIMES and 0 <= line.standing <= MOST_TIMES):
        raise BadLessonError(f"count is not 1 to {MOST_TIMES}, or standing not 0 to {MOST_TIMES}")
    lesson = Lesson(
        lesson_id=id_of(checked.situation, checked.action, checked.result), situation=checked.situation,
        action=checked.action, result=checked.result, feedback=checked.feedback, tags=checked.tags,
        checkpoint_before=checked.before, checkpoint_after=checked.after, count=line.count, standing=line.standing,
        learned_at=times[0], updated_at=times[1],
    )  # fmt: skip
    return as_event(lesson)


def _moment(text: str) -> str:
    try:
        return clock.to_text(clock.from_text(text)) if text else ""
    except (ValueError, OverflowError):
        return ""
