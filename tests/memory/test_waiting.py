"""Waiting for programs that use a store: all that a command does with one waits as long as the settings say, once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronos.errors import StoreInUseError
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, run_sql

DB = "data/memory/agent.db"
TIMEOUT_S = 6.0
# What looking for a still moment, and a busy machine, add to one wait; a second one would be as long as the first.
SPARE_S = 5.9
_LOCKED = """
import sqlite3, sys, time
place, mode, deed = sys.argv[1:]
connection = sqlite3.connect(place, isolation_level=None)
connection.execute("PRAGMA cache_size = 2")
if mode == "wal" and deed != "now and then":
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
while True:
    connection.execute("BEGIN EXCLUSIVE")
    for number in range(2000):
        connection.execute("INSERT INTO notes (body) VALUES (?)", ("held" * 100,))
        if number == 1000:
            print("ready", flush=True)
    while deed == "write on":
        connection.execute("UPDATE notes SET body = body || 'x'")
    if deed == "hold":
        time.sleep(600)
    connection.execute("ROLLBACK")
    connection.execute("INSERT INTO notes (body) VALUES ('now and then')")
    time.sleep(0.3)
"""


@contextmanager
def program(place: Path, mode: str, deed: str) -> Iterator[int]:
    """Let another program use a database in the block, which is given its number."""
    argv = [sys.executable, "-c", _LOCKED, str(place), mode, deed]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.fixture(params=["delete", "wal"])
def mode(request: pytest.FixtureRequest, repo: RepoBuilder) -> str:
    """A database in one of the modes, with a store behind it that is read later, and what stands in the settings."""
    make_notes(repo.path(DB))
    run_sql(repo.path(DB), f"PRAGMA journal_mode = {request.param}")
    repo.write("data/memory/facts/one.json", "1")
    repo.write("chronos.toml", f"lock_timeout_s = {TIMEOUT_S}\n")
    repo.commit()
    return str(request.param)


def test_a_checkpoint_waits_once_for_a_program_that_writes_all_the_time_and_names_it(
    repo: RepoBuilder, mode: str
) -> None:
    with program(repo.path(DB), mode, "write on") as number:
        began = time.monotonic()
        created = repo.engine().take_checkpoint("beside it")
        assert time.monotonic() - began < TIMEOUT_S + SPARE_S
    assert created.grade.value == "torn"
    assert any(str(number) in warning for warning in created.warnings)


def test_a_restore_waits_once_for_a_program_that_keeps_its_lock(repo: RepoBuilder, mode: str) -> None:
    checkpoint = repo.engine().create_checkpoint("first")
    add_notes(repo.path(DB), "later")
    with program(repo.path(DB), mode, "hold") as number:
        began = time.monotonic()
        with pytest.raises(StoreInUseError, match=str(number)) as refused:
            repo.engine().restore_checkpoint(checkpoint)
        assert time.monotonic() - began < TIMEOUT_S + SPARE_S
    assert refused.value.exit_code == 3


def test_a_program_that_writes_now_and_then_is_captured_between(repo: RepoBuilder, mode: str) -> None:
    with program(repo.path(DB), mode, "now and then"):
        grades = {repo.engine().take_checkpoint(f"number {number}").grade.value for number in range(4)}
    assert grades == {"complete"}
