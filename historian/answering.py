"""What the historian answers to words: a verdict with its reasons and what to do, a history, or lessons."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from historian.risk import RiskLevel

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from historian.lessons import Lesson
    from historian.risk import RiskAssessment

_ASKING = (
    r"(?:(?:please|can you|could you|show|list|display|print|get|give|tell|see|what|which|where|find|search|view|me|us|"
    r"is|are|the|my|our|all|recent|last|of|any|full|do|does|have|we|there|know)[\s,]+)*"
)
_HISTORY = re.compile(
    rf"\s*{_ASKING}(?:checkpoint\s+)?(?:history|checkpoints|log)(?:\s+(?:of|for)\s+(?:(?:the|all|my)\s+)?(?:checkpoints?|timeline))?\s*[?.!]*\s*",
    re.IGNORECASE,
)  # fmt: skip
_LESSONS = re.compile(
    rf"\s*{_ASKING}(?:lessons?|we learn(?:ed|t)?)(?:\s+(?:learn(?:ed|t)|(?:do )?we (?:have|know)))?"
    r"(?:\s+(?:about|for|on|of|from|with|regarding|concerning)\s+(.+?))?\s*[?.!]*\s*",
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
_LONGEST_ECHO = 120


class Answer(str):
    """The text of an answer, with what it was made of: an assessment, lessons, or checkpoints."""

    assessment: RiskAssessment | None = None
    lessons: Sequence[Lesson] = ()
    checkpoints: Sequence[CheckpointRow] = ()


class Sources(NamedTuple):
    """Where answers come from."""

    assess: Callable[[str], RiskAssessment]
    find_lessons: Callable[[str], Sequence[Lesson]]
    list_lessons: Callable[[], Sequence[Lesson]]
    list_history: Callable[[], Sequence[CheckpointRow]]


def answer(text: str, sources: Sources) -> Answer:
    """Answer a request for the history or for lessons; any other text is an operation, which is assessed."""
    if len(text) <= 500:
        if _HISTORY.fullmatch(text):
            return _tell_history(sources.list_history())
        asked = _LESSONS.fullmatch(text)
        if asked:
            return _tell_lessons(sources, asked[1] or "")
    return _tell_risk(text, sources)


def _tell_history(rows: Sequence[CheckpointRow]) -> Answer:
    lines = [
        f"{row.checkpoint_id}  {row.created_at[:19].replace('T', ' ')}  {row.name}"
        f" ({row.files_changed} changed, {row.grade}{', ' + row.trigger if row.trigger != 'manual' else ''})"
        + (f": {row.description}" if row.description else "")
        for row in rows
    ]
    found = Answer(
        "\n".join(
            [f"{len(rows)} checkpoints, the newest first:", *lines] if rows else ["There are no checkpoints yet."]
        )
    )
    found.checkpoints = rows
    return found


def _tell_lessons(sources: Sources, about: str) -> Answer:
    lessons = sources.find_lessons(about) if about else sources.list_lessons()
    where = f" about {_short(about)}" if about else ""
    lines = [f"Lessons{where}:", *map(_line, lessons)] if lessons else [f"There are no lessons{where} yet."]
    found = Answer("\n".join(lines))
    found.lessons = lessons
    return found


def _tell_risk(text: str, sources: Sources) -> Answer:
    verdict = sources.assess(text)
    lessons = sources.find_lessons(text[:2000]) if text.strip() else ()
    lines = [f"Risk: {verdict.level.value} (score {verdict.score:.2f}) for: {_short(text)}"]
    lines += [f"- {reason}" for reason in verdict.reasons]
    lines += [f"- cannot be taken back: {effect}" for effect in verdict.effects]
    lines += [_recommend(verdict, sources)]
    lines += [verdict.advice] if verdict.advice and verdict.covered is False else []
    if lessons:
        lines += ["What was learned before:", *map(_line, lessons)]
    found = Answer("\n".join(lines))
    found.assessment, found.lessons = verdict, lessons
    return found


def _recommend(verdict: RiskAssessment, sources: Sources) -> str:
    if verdict.level is RiskLevel.LOW:
        return "No checkpoint is needed."
    newest = next(iter(sources.list_history()), None)
    last = f" The newest is {newest.name} ({newest.checkpoint_id}), of {newest.created_at[:19]}." if newest else ""
    if verdict.level is RiskLevel.MEDIUM:
        return f"A checkpoint before it is a good idea.{last}"
    return (
        f"Recommended: create a checkpoint first (create_safety_checkpoint, or `chrono checkpoint create NAME`).{last}"
    )


def _line(lesson: Lesson) -> str:
    times = f", {lesson.count} times" if lesson.count > 1 else ""
    more = f" ({_short(lesson.feedback)})" if lesson.feedback else ""
    return f"- {lesson.lesson_id}: {_short(lesson.situation)} → {_short(lesson.result)}{times}{more}"


def _short(text: str) -> str:
    text = " ".join(text[: 4 * _LONGEST_ECHO].split())
    return text if len(text) <= _LONGEST_ECHO else text[: _LONGEST_ECHO - 1] + "…"
