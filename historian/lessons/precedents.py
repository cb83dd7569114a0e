"""Failures of the past that an operation resembles. Nothing heavy is loaded for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from historian.lessons.lesson import CHANGED, REPORTED, Lesson
from historian.lessons.words import apart, places_of, resemblance, words_of
from historian.risk import Operation, Precedent

LEAST_SIMILAR = 0.55
_MOST = 3
_MOST_CHARS = 160
_DEEPEST = 4


def text_of_operation(operation: Operation) -> str:
    """Return the words of an operation, whatever kind it is."""
    parts = [operation.text, *operation.argv, operation.tool]
    if operation.path:
        parts += [operation.change, operation.path]
    parts += _strings(operation.arguments, _DEEPEST)
    return " ".join(filter(None, parts))


def rank(text: str, candidates: list[Lesson]) -> list[Precedent]:
    """Return the failures among `candidates` that resemble a text, the most alike first, at most three.

    One that was reported and changed nothing is none: tests that fail again and again make running them no riskier.
    """
    words, places = words_of(text), places_of(text)
    found = []
    for lesson in candidates:
        if REPORTED in lesson.tags and CHANGED not in lesson.tags:
            continue
        own = places_of(lesson.situation) | places_of(lesson.action)
        alike = max(resemblance(words, words_of(part)) for part in (lesson.situation, lesson.action))
        alike *= apart(places, own)
        if alike >= LEAST_SIMILAR:
            found.append((alike, lesson.standing, lesson.updated_at, lesson))
    found.sort(key=lambda row: row[:3], reverse=True)
    return [Precedent(lesson.lesson_id, _summary(lesson), round(alike, 3)) for alike, _, _, lesson in found[:_MOST]]


def _summary(lesson: Lesson) -> str:
    times = f" ({lesson.count} times)" if lesson.count > 1 else ""
    text = " ".join(f"{lesson.situation[:_MOST_CHARS]}{times}: {lesson.result[:_MOST_CHARS]}".split())
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 1] + "…"


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from _strings(inner, depth - 1)
    elif depth and isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner, depth - 1)
