"""An application that has the database open in the process of the engine keeps its locks through every capture.

Closing any descriptor of a database drops the POSIX locks of the whole process on it (fcntl(2)): then another process
writes over what this one holds. The last test does just that, so that the first can be seen to look for something.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.memory.sqlite_world import KIND, Pool, make_bank

_ROUNDS = 40
_INTRUDER = """
import sqlite3, sys
for line in sys.stdin:
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
    try:
        connection.execute("INSERT INTO steps (filler) VALUES ('of the other process')")
        print("written", flush=True)
    except sqlite3.Error:
        print("locked", flush=True)
    connection.close()
"""


@contextmanager
def intruding(place: Path) -> Iterator[Callable[[], str]]:
    """Give a function that lets another process write to the database, if it can."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _INTRUDER, place], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def intrude() -> str:
            stdin.write("\n")
            stdin.flush()
            return stdout.readline().strip()

        yield intrude
        stdin.close()


def rounds(place: Path, mode: str, count: int, disturb: Callable[[], object]) -> tuple[int, int]:
    """Let an application commit rows while something disturbs its open transaction; return rows committed and found."""
    committed = 0
    with closing(sqlite3.connect(place, isolation_level=None, timeout=5)) as connection, intruding(place) as intrude:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)
        connection.execute("PRAGMA cache_size=3")
        for number in range(count):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO steps (filler) VALUES (?)", [(f"{number} " + "x" * 900,)] * 4)
            disturb()
            intruded = intrude()
            try:
                connection.execute("COMMIT")
                committed += 4
            except sqlite3.Error:
                connection.rollback()
            committed += intruded == "written"
    try:
        with closing(sqlite3.connect(place)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return committed, -1
            return committed, connection.execute("SELECT count(*) FROM steps").fetchone()[0]
    except sqlite3.DatabaseError:
        return committed, -1


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_an_application_in_the_same_process_loses_no_committed_row(tmp_path: Path, mode: str) -> None:
    place, pool = tmp_path / "memory.db", Pool(tmp_path / "pool")
    make_bank(place, mode)

    def capture() -> None:
        pool.capture(place)

    committed, found = rounds(place, mode, _ROUNDS, capture)
    assert (committed, found) == (4 * _ROUNDS, 4 * _ROUNDS)


def test_opening_the_files_in_this_process_would_lose_rows(tmp_path: Path) -> None:
    place = tmp_path / "memory.db"
    make_bank(place, "delete")

    def open_and_close() -> None:
        os.close(os.open(place, os.O_RDONLY))

    committed, found = rounds(place, "delete", 10, open_and_close)
    assert committed != found or committed != 40


def test_the_process_of_the_engine_opens_no_file_of_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, pool = tmp_path / "memory.db", Pool(tmp_path / "pool")
    make_bank(place, "wal")
    opened: list[str] = []
    is_watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if is_watching and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            opened.append(os.fsdecode(arguments[0]))

    sys.addaudithook(watch)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("INSERT INTO steps (filler) VALUES ('x')")
        opened.clear()
        state = pool.capture(place)
        KIND.summarise(place)
        KIND.replace(place, state, pool.replace_work(tmp_path / "trash"))
    KIND.replace(place, state, pool.replace_work(tmp_path / "trash"))
    is_watching = False
    assert opened
    assert not [path for path in opened if Path(path).name.startswith("memory.db")]
