"""Small real databases for tests: an agent's notes whose two tables must always agree."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path


def make_notes(path: Path, count: int = 20, *, journal: str = "delete") -> Path:
    """Make a database at `path` with `count` notes, and a table that says how many there are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
        connection.execute("CREATE TABLE totals (notes INTEGER NOT NULL)")
        connection.execute("INSERT INTO totals VALUES (0)")
        connection.commit()
    add_notes(path, *(f"note {number}" for number in range(count)))
    return path


def add_notes(path: Path, *bodies: str) -> None:
    """Add notes, in one transaction with their number."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO notes (body) VALUES (?)", [(body,) for body in bodies])
        connection.execute("UPDATE totals SET notes = notes + ?", (len(bodies),))


def run_sql(path: Path, *statements: str) -> None:
    """Run statements in one transaction."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def read_notes(path: Path) -> list[str]:
    """Return the notes; the database must be whole and agree with itself."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        bodies = [row[0] for row in connection.execute("SELECT body FROM notes ORDER BY id")]
        total = connection.execute("SELECT notes FROM totals").fetchone()[0]
    assert total == len(bodies), "the two tables disagree"
    return bodies


def leave_wal(path: Path, body: str) -> None:
    """Add a note to a database in WAL mode as a program does that crashes then: its `-wal` stays."""
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1])\n"
        "c.execute('INSERT INTO notes (body) VALUES (?)', (sys.argv[2],))\n"
        "c.execute('UPDATE totals SET notes = notes + 1'); c.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, path, body], check=True)
    assert path.with_name(f"{path.name}-wal").stat().st_size


def peek_notes(path: Path) -> list[str]:
    """Return the notes of a database, and leave its `-wal` as it is."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [body for (body,) in connection.execute("SELECT body FROM notes ORDER BY id")]
