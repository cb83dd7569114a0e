"""A large SQLite database of notes: `python -m benchmarks.notes make FILE BYTES`, `… edit FILE ROWS`.

`make` fills it with text until it has about BYTES bytes, in WAL mode, and folds the log in. `edit` gives ROWS random
rows a new text, in one transaction, as an agent that revises its notes would.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from benchmarks.corpus import make_text

_ROWS_AT_ONCE = 20_000
_LINES_IN_A_NOTE = 12


def make(path: Path, size_bytes: int) -> None:
    """Make the database; the same size gives the same notes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chance, lines = random.Random(size_bytes), _lines()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=wal")
        database.execute("PRAGMA synchronous=off")
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, at REAL NOT NULL, body TEXT NOT NULL)")
        while path.stat().st_size < size_bytes:
            rows = [(chance.random(), "".join(chance.choices(lines, k=_LINES_IN_A_NOTE))) for _ in range(_ROWS_AT_ONCE)]
            database.execute("BEGIN")
            database.executemany("INSERT INTO notes (at, body) VALUES (?, ?)", rows)
            database.execute("COMMIT")
            database.execute("PRAGMA wal_checkpoint(truncate)")


def edit(path: Path, count: int) -> None:
    """Give `count` rows, chosen by chance, a new text of the same length."""
    chance = random.Random()
    with closing(sqlite3.connect(path)) as database, database:
        last = database.execute("SELECT max(id) FROM notes").fetchone()[0]
        for number in (chance.randrange(1, last + 1) for _ in range(count)):
            (body,) = database.execute("SELECT body FROM notes WHERE id = ?", (number,)).fetchone()
            mark = f"revised {chance.getrandbits(60):020d}"
            database.execute("UPDATE notes SET body = ? WHERE id = ?", (mark + body[len(mark) :], number))


def _lines() -> list[str]:
    return [line for number in range(40) for line in make_text(number).decode().splitlines(keepends=True)]


if __name__ == "__main__":
    work, file, figure = sys.argv[1:]
    (make if work == "make" else edit)(Path(file), int(figure))
