"""Lessons and analyses of failures, as documents and as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chronos.cli import output, render
from chronos.cli.tables import Cell, Column, Row, write_pairs, write_table
from chronos.cli.wording import count, when

if TYPE_CHECKING:
    from historian.failures import FailureAnalysis
    from historian.lessons import Lesson

_LONGEST_CELL = 60
_STYLES = {"success": "green", "failure": "red"}


def document(lesson: Lesson) -> dict[str, Any]:
    """Describe a lesson."""
    return {
        "lesson_id": lesson.lesson_id, "situation": lesson.situation, "action": lesson.action, "result": lesson.result,
        "outcome": lesson.outcome.value, "feedback": lesson.feedback, "tags": list(lesson.tags),
        "checkpoint_before": lesson.checkpoint_before, "checkpoint_after": lesson.checkpoint_after,
        "count": lesson.count, "standing": lesson.standing, "learned_at": lesson.learned_at,
        "updated_at": lesson.updated_at, "forgotten": lesson.forgotten, "score": lesson.score,
    }  # fmt: skip


def documents(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """Describe lessons."""
    return {"lessons": [document(lesson) for lesson in lessons]}


def show_learned(lesson: Lesson) -> None:
    """Say that a lesson was learned."""
    times = "learned" if lesson.count == 1 else f"learned {lesson.count} times now"
    output.write(f"lesson {lesson.lesson_id} {times} ({lesson.outcome.value})")


def show_all(lessons: Sequence[Lesson]) -> None:
    """Show lessons, one in a line."""
    if not lessons:
        output.write("no lessons")
        return
    columns = (
        Column("lesson", may_wrap=False), Column("times", is_number=True), Column("situation"), Column("result"),
        Column("tags"),
    )  # fmt: skip
    rows: list[Row] = [
        (Cell(lesson.lesson_id, "bold"), f"{lesson.count}{'★' * min(lesson.standing, 3)}", _short(lesson.situation),
         Cell(_short(lesson.result), _STYLES.get(lesson.outcome.value, "")), _short(", ".join(lesson.tags)))
        for lesson in lessons
    ]  # fmt: skip
    write_table(columns, rows)


def show_one(lesson: Lesson) -> None:
    """Show a lesson with everything."""
    pairs = [
        ("lesson", lesson.lesson_id), ("situation", lesson.situation), ("action", lesson.action),
        ("result", lesson.result), ("feedback", lesson.feedback), ("tags", ", ".join(lesson.tags)),
        ("before", lesson.checkpoint_before or ""), ("after", lesson.checkpoint_after or ""),
        ("learned", f"{count(lesson.count, 'time')}, first {when(lesson.learned_at)}, last {when(lesson.updated_at)}"),
        ("confirmed", count(lesson.standing, "time") if lesson.standing else ""),
        ("forgotten", "yes; `chrono lessons forget --undo` brings it back" if lesson.forgotten else ""),
    ]  # fmt: skip
    write_pairs((name, output.harmless(" ".join(value.split()))) for name, value in pairs if value)


def show_forgotten(lessons: Sequence[Lesson], what: str, *, done: bool) -> None:
    """Say which lessons were forgotten, came back or are gone for good, or would be."""
    show_all(lessons)
    if lessons:
        verbs = {"forget": "forgotten", "recall": "brought back", "purge": "removed for good"}
        output.write(f"{count(len(lessons), 'lesson')} {verbs[what] if done else f'would be {verbs[what]}'}")


def analysis_document(found: FailureAnalysis) -> dict[str, Any]:
    """Describe an analysis."""
    error = found.error
    return {
        "operation": found.operation,
        "error": {
            "source": error.source.value, "kind": error.kind, "message": error.message,
            "frames": [{"path": one.path, "line": one.line, "function": one.function} for one in error.frames],
            "causes": [{"kind": cause.kind, "message": cause.message} for cause in error.causes],
        },
        "checkpoint_id": found.checkpoint_id,
        "checkpoint_name": found.checkpoint_name,
        "changed": found.changed,
        "suspects": [
            {"path": one.path, "status": one.status, "score": one.score, "reasons": list(one.reasons),
             "added": one.added, "removed": one.removed}
            for one in found.suspects
        ],
        "restore": found.restore,
        "advice": found.advice,
        "lesson": document(found.lesson) if found.lesson else None,
        "warnings": list(found.notes),
    }  # fmt: skip


def show_analysis(found: FailureAnalysis) -> None:
    """Show an analysis."""
    error = found.error
    output.write(output.harmless(": ".join(filter(None, (error.kind, error.message)))))
    for cause in error.causes[:5]:
        output.write(output.harmless(f"  because of {cause.kind}: {cause.message}"))
    for frame in error.frames[:3]:
        place = f"{frame.path}:{frame.line}" if frame.line else frame.path
        output.write(output.harmless(f"  at {place}{f' in {frame.function}' if frame.function else ''}"))
    if found.suspects:
        output.write("suspects, the likeliest first:")
        rows: list[Row] = [
            (
                f"{one.score:.2f}",
                one.status,
                Cell(output.harmless(one.path), "bold"),
                output.harmless("; ".join(one.reasons)),
            )
            for one in found.suspects
        ]
        columns = (Column("", is_number=True), Column("", may_wrap=False), Column("path"), Column("why"))
        write_table(columns, rows, titles=False, indent="  ", is_brief=True)
    output.write(output.harmless(found.advice))
    if found.lesson is not None:
        show_learned(found.lesson)
    render.warnings(found.notes)


def _short(text: str) -> str:
    text = output.harmless(" ".join(text[: 4 * _LONGEST_CELL].split()))
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
