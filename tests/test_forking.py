"""Copies of a process: what they may do, what they have of it, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.sealing import PROJECT


def run(script: str, *arguments: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, whose threads are known."""
    argv = [
        sys.executable,
        "-c",
        "from chronos.forking import *\nimport os, sys\n" + textwrap.dedent(script),
        *arguments,
    ]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_only_a_program_of_ours_with_one_thread_may_be_copied() -> None:
    done = run("""
        import threading
        print(may_copy())
        claim_process()
        print(may_copy())
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        print(may_copy())
    """)
    assert done.stdout.split() == ["False", "True", "False"], done.stderr


def test_a_copy_answers_over_its_pipes_and_ends_with_its_work() -> None:
    done = run("""
        def work():
            with open(0, closefd=False) as asked, open(1, "w", closefd=False) as answer:
                answer.write(asked.read().upper() + os.getcwd())
        copy = Copy(work)
        copy.stdin.write(b"hello")
        copy.stdin.close()
        print(copy.stdout.read().decode(), copy.wait(), copy.wait(timeout=1), repr(copy.stderr.read()))
    """)
    assert done.stdout == "HELLO/ 0 0 b''\n", done.stderr


def test_a_copy_that_fails_says_why_and_runs_nothing_of_ours() -> None:
    done = run("""
        import atexit
        atexit.register(print, "the end")
        try:
            copy = Copy(lambda: 1 // 0)
            print(copy.wait(), copy.stderr.read().decode().splitlines()[-1])
        finally:
            print("once")
    """)
    assert done.stdout.splitlines() == ["1 ZeroDivisionError: integer division or modulo by zero", "once", "the end"]


def test_a_copy_holds_none_of_our_files_and_its_pipes_may_have_the_lowest_numbers() -> None:
    done = run("""
        import fcntl
        kept = os.dup(1)
        lock = os.open(sys.argv[1], os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        reading, writing = os.pipe()
        for standard in (0, 1, 2):
            os.close(standard)
        def work():
            os.write(1, b"ready " + b" ".join(sorted(os.listdir(b"/proc/self/fd"))[:-1]))
            os.read(0, 1)
        copy = Copy(work)
        found = copy.stdout.read1()
        os.close(lock)
        other = os.open(sys.argv[1], os.O_RDWR)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(writing)
        assert os.read(reading, 1) == b""
        copy.stdin.close()
        os.write(kept, found + b" %d" % copy.wait())
    """, __file__)  # fmt: skip
    assert done.stdout == "ready 0 1 2 0", done.stderr


def test_a_copy_can_be_killed_and_a_wait_for_it_ends() -> None:
    done = run("""
        import time
        copy = Copy(lambda: time.sleep(60))
        try:
            copy.wait(timeout=0.1)
        except TimeoutError:
            copy.kill()
        print(copy.wait())
        copy.kill()
    """)
    assert done.stdout == "-9\n", done.stderr


@pytest.mark.parametrize("claims", [True, False])
def test_a_changed_database_is_captured_alike_by_a_copy_and_by_a_program(tmp_path: Path, claims: bool) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    done = run(f"""
        import sqlite3, subprocess
        from contextlib import closing
        from pathlib import Path
        from chronos.app import open_engine
        from chronos import process
        started = []
        class Copy(process.Copy):
            def __init__(self, work):
                started.append("copy")
                super().__init__(work)
        class Popen(subprocess.Popen):
            def __init__(self, argv, **how):
                started.append(os.path.basename(argv[0]))
                super().__init__(argv, **how)
        process.Copy, process.subprocess.Popen = Copy, Popen
        place = Path("data/memory/a.db")
        place.parent.mkdir(parents=True)
        with closing(sqlite3.connect(place)) as database, open_engine(Path.cwd()) as engine, database:
            database.execute("CREATE TABLE t (x)")
            database.commit()
            if {claims}:
                claim_process()
            first = engine.create_checkpoint("first")
            database.execute("INSERT INTO t VALUES (1)")
            database.commit()
            engine.create_checkpoint("second")
            (difference,) = engine.diff_memory(first, "second")
            print(difference.tables[0].added, sorted({{"copy", os.path.basename(sys.executable)}} & set(started)))
    """, folder=folder)  # fmt: skip
    name = "copy" if claims else os.path.basename(sys.executable)
    assert done.stdout == f"1 {[name]}\n", done.stderr
