"""What the log adds up to, each lesson once: a SQLite file that can be thrown away and is built again from the log.

It remembers which log it has read, and how far. `changed` of a lesson is where the last line about it ends in the log,
so that the search index can ask for what it does not have yet. The words of failures are kept for finding those that an
operation resembles, in a millisecond and without LanceDB.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chronos.errors import StorageError
from historian.lessons.lesson import Event, Lesson, Outcome, fold
from historian.lessons.words import words_of

_VERSION = 1
_BUSY_S = 10.0
# Failures that have a word in common with an operation: of the newest so many of each word, the most alike.
_NEWEST_OF_A_WORD = 2000
_LIKELIEST = 20
_IDS_AT_ONCE = 900
_SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE lessons (number INTEGER PRIMARY KEY, lesson TEXT NOT NULL UNIQUE, changed INTEGER NOT NULL, "
    "standing INTEGER NOT NULL, updated TEXT NOT NULL, forgotten INTEGER NOT NULL, outcome TEXT NOT NULL, "
    "data BLOB NOT NULL)",
    "CREATE INDEX by_change ON lessons (changed)",
    "CREATE INDEX by_standing ON lessons (forgotten, standing DESC, updated DESC)",
    "CREATE TABLE words (word TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (word, number)) WITHOUT ROWID",
)
# What says nothing of the file itself (sqlite.org/rescode.html); every other error means damage.
_OUTSIDE = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
)


class DamagedRegisterError(Exception):
    """The file cannot be read: the answer is another one."""


class Register:
    """The register at `path`, which is made; None keeps it in memory. Every call but `take` only reads.

    Raises DamagedRegisterError, and StorageError for what the operating system refuses.
    """

    def __init__(self, path: Path | None) -> None:
        with _translated():
            self._connection = sqlite3.connect(path or ":memory:", timeout=_BUSY_S, isolation_level=None)
            try:
                self._connection.execute("PRAGMA synchronous=NORMAL")
                self._connection.execute("PRAGMA secure_delete=ON")  # what is purged is gone from the file
                self._connection.execute("PRAGMA cache_size=-32768")  # 32 MiB: a first reading of 100,000 lessons
                version = self._connection.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    self._make_schema()
                elif version != _VERSION:
                    raise DamagedRegisterError(f"it has version {version}")
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # how far it has read

    @property
    def log(self) -> str:
        """The name of the log that was read, or nothing."""
        return self.find_fact("log")

    @property
    def read_bytes(self) -> int:
        """How far the log was read."""
        return int(self.find_fact("read") or 0)

    def find_fact(self, name: str) -> str:
        """Return what was noted under `name`, or nothing."""
        with _translated():
            row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def set_fact(self, name: str, value: str) -> None:
        """Note something."""
        with _translated():
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def take(self, log: str, lines: Iterable[tuple[int, Event | None]]) -> int:
        """Take in lines of the log of this name, in one transaction; return how many cannot be read.

        Those of another log replace everything.
        """
        unreadable = 0
        with self._transaction():
            if log != self.log:
                for table in ("facts", "lessons", "words"):
                    self._connection.execute(f"DELETE FROM {table}")
                self.set_fact("log", log)
            changed: dict[str, tuple[int, Lesson]] = {}
            end = self.read_bytes
            for end, event in lines:
                name = getattr(event, "lesson", None)
                if event is None:
                    unreadable += 1
                elif name is not None:
                    known = changed[name][1] if name in changed else self.find(name)
                    lesson = fold(known, event)
                    if lesson is not None:
                        changed[name] = (end, lesson)
            self._write(changed.values())
            self.set_fact("read", str(end))
        return unreadable

    # lessons

    def find(self, lesson_id: str) -> Lesson | None:
        """Return the lesson with this id, also a forgotten one."""
        return next(iter(self.find_all([lesson_id])), None)

    def find_all(self, lesson_ids: Sequence[str]) -> list[Lesson]:
        """Return the lessons with these ids that there are, in no order."""
        found: list[Lesson] = []
        for start in range(0, len(lesson_ids), _IDS_AT_ONCE):
            some = lesson_ids[start : start + _IDS_AT_ONCE]
            marks = ",".join("?" * len(some))
            found += self._lessons(f"WHERE lesson IN ({marks})", some)
        return found

    def find_beginning(self, prefix: str) -> list[Lesson]:
        """Return at most two lessons whose ids begin so."""
        return self._lessons("WHERE lesson >= ? AND lesson < ? LIMIT 2", (prefix, prefix + "g"))

    def list_lessons(self, limit: int, *, forgotten: bool = False) -> list[Lesson]:
        """Return lessons, those with the highest standing first, then the newest; -1 is no limit."""
        order = "WHERE forgotten = ? ORDER BY standing DESC, updated DESC, number DESC LIMIT ?"
        return self._lessons(order, (int(forgotten), limit))

    def iter_lessons(self) -> Iterator[Lesson]:
        """Yield all lessons in the order in which they were learned first."""
        with _translated():
            for row in self._connection.execute("SELECT data FROM lessons ORDER BY number"):
                yield msgspec.json.decode(row[0], type=Lesson)

    def count(self) -> int:
        """Return how many lessons are not forgotten."""
        with _translated():
            found: int = self._connection.execute("SELECT count(*) FROM lessons WHERE NOT forgotten").fetchone()[0]
        return found

    def changed_since(self, changed: int, limit: int) -> list[tuple[int, Lesson]]:
        """Return the first lessons that changed after a place in the log, each with its own."""
        with _translated():
            rows = self._connection.execute(
                "SELECT changed, data FROM lessons WHERE changed > ? ORDER BY changed LIMIT ?", (changed, limit)
            ).fetchall()
        return [(row[0], msgspec.json.decode(row[1], type=Lesson)) for row in rows]

    def failures_like(self, words: frozenset[str]) -> list[Lesson]:
        """Return failures that share the most of these words."""
        shared: Counter[int] = Counter()
        newest = "SELECT number FROM words WHERE word = ? ORDER BY number DESC LIMIT ?"
        with _translated():
            for word in words:
                rows = self._connection.execute(newest, (word, _NEWEST_OF_A_WORD))
                shared.update(number for (number,) in rows)
        likely = [number for number, _ in shared.most_common(_LIKELIEST)]
        marks = ",".join("?" * len(likely))
        return self._lessons(f"WHERE number IN ({marks}) AND NOT forgotten", likely)

    def _lessons(self, rest: str, values: Sequence[object]) -> list[Lesson]:
        with _translated():
            rows = self._connection.execute(f"SELECT data FROM lessons {rest}", values).fetchall()
        return [msgspec.json.decode(row[0], type=Lesson) for row in rows]

    def _write(self, changed: Iterable[tuple[int, Lesson]]) -> None:
        for end, lesson in changed:
            number = self._connection.execute(
                "INSERT INTO lessons (lesson, changed, standing, updated, forgotten, outcome, data) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (lesson) DO UPDATE SET changed = excluded.changed, "
                "standing = excluded.standing, updated = excluded.updated, forgotten = excluded.forgotten, "
                "outcome = excluded.outcome, data = excluded.data RETURNING number",
                (lesson.lesson_id, end, lesson.standing, lesson.updated_at, lesson.forgotten, lesson.outcome.value,
                 msgspec.json.encode(lesson)),
            ).fetchone()[0]  # fmt: skip
            if lesson.outcome is Outcome.FAILURE:
                words = words_of(lesson.situation) | words_of(lesson.action)
                change = "INSERT OR IGNORE INTO words VALUES (?, ?)"
                if lesson.forgotten:  # many of them must not hide one that is not
                    change = "DELETE FROM words WHERE word = ? AND number = ?"
                self._connection.executemany(change, ((word, number) for word in words))

    def _make_schema(self) -> None:
        with self._transaction():
            if self._connection.execute("PRAGMA user_version").fetchone()[0] == 0:  # nobody else was quicker
                for statement in _SCHEMA:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as cause:
        code = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF
        if code in _OUTSIDE:
            raise StorageError(f"the register of lessons: {cause}") from cause
        raise DamagedRegisterError(str(cause)) from cause
    except msgspec.MsgspecError as cause:
        raise DamagedRegisterError(str(cause)) from cause
