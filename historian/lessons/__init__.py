"""Lessons: what was learned from failures and successes, kept outside of what restores rewind. Owns LanceDB here.

`lessons.jsonl` is the truth; the register (SQLite) and the search index (LanceDB) are made of it and can
be thrown away.
"""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from historian.lessons.exchange import Imported
    from historian.lessons.lesson import CHANGED, REPORTED, Lesson, Outcome
    from historian.lessons.precedents import text_of_operation
    from historian.lessons.store import LessonsStore

__all__ = ["CHANGED", "REPORTED", "Imported", "Lesson", "LessonsStore", "Outcome", "text_of_operation"]

_HOMES = {
    "CHANGED": "lesson", "Imported": "exchange", "Lesson": "lesson", "LessonsStore": "store", "Outcome": "lesson",
    "REPORTED": "lesson", "text_of_operation": "precedents",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
