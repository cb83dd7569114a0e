"""A small database of facts, each row by itself, for tests of merges."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support.databases import run_sql

DB = "data/memory/facts.db"
BOTH = {1: "one", 2: "two", 3: "three", 4: "four"}


def make_facts(path: Path, facts: dict[int, str], *, journal: str = "delete") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("CREATE TABLE facts (id INTEGER PRIMARY KEY, body TEXT, weight INTEGER DEFAULT 0)")
        connection.executemany("INSERT INTO facts (id, body) VALUES (?, ?)", facts.items())
    return path


def read_facts(path: Path) -> dict[int, str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(connection.execute("SELECT id, body FROM facts ORDER BY id"))


def set_fact(path: Path, number: int, body: str) -> None:
    run_sql(path, f"INSERT INTO facts (id, body) VALUES ({number}, '{body}') "
            f"ON CONFLICT (id) DO UPDATE SET body = '{body}'")  # fmt: skip
