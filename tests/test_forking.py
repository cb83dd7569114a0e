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


def test_a_copy_says_why_it_failed_also_where_we_can_say_nothing_and_nothing_that_we_were_about_to_say() -> None:
    done = run("""
        for stderr in (None, open(os.dup(2), "w")):
            if stderr is not None:
                stderr.write("about to be said ")
            sys.stderr = stderr
            copy = Copy(lambda: os.stat("/\\udcff"))
            print(copy.wait(), copy.stderr.read().decode().splitlines()[-1])
    """)
    error = "1 FileNotFoundError: [Errno 2] No such file or directory: '/\\udcff'"
    assert (done.stdout.splitlines(), done.stderr) == ([error, error], "about to be said ")


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


def test_a_copy_that_is_interrupted_at_once_runs_nothing_of_ours() -> None:
    done = run("""
        import signal
        fork, us = os.fork, os.getpid()
        def interrupted_fork():
            pid = fork()
            if not pid:
                os.kill(os.getpid(), signal.SIGINT)
            return pid
        os.fork = interrupted_fork
        try:
            copy = Copy(lambda: print("worked", flush=True))
            print(copy.stdout.read(), copy.stderr.read().decode().splitlines()[-1], copy.wait())
        finally:
            print("undone by us" if os.getpid() == us else "undone by the copy", flush=True)
    """)
    assert done.stdout.splitlines() == ["b'' KeyboardInterrupt 1", "undone by us"], done.stderr
    assert done.stderr == ""


def test_signals_reach_us_and_a_copy_as_before() -> None:
    done = run("""
        import signal
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        def work():
            print(signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGUSR1}, flush=True)
        copy = Copy(work)
        print(copy.stdout.read(), copy.wait(), signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGUSR1})
    """)
    assert done.stdout == "b'True\\n' 0 True\n", done.stderr


def test_a_copy_whose_end_the_system_does_not_keep_has_ended() -> None:
    done = run("""
        import signal
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        copy = Copy(lambda: None)
        print(copy.stdout.read(), copy.wait(), copy.wait(timeout=1))
        copy = Copy(lambda: None)
        copy.stdout.read()
        print(copy.wait(timeout=5))
    """)
    assert done.stdout == "b'' 0 0\n0\n", done.stderr


def test_a_copy_takes_down_no_garbage_of_ours() -> None:
    done = run("""
        import gc
        class Loop:
            def __init__(self):
                self.loop = self
            def __del__(self):
                os.write(1, b"gone ")
        gc.disable()
        Loop()
        copy = Copy(gc.collect)
        print(copy.stdout.read(), copy.wait(), flush=True)
        gc.collect()
    """)
    assert done.stdout == "b'' 0\ngone ", done.stderr


def test_where_no_copy_can_be_had_the_program_does_its_work() -> None:
    done = run("""
        import errno
        from pathlib import Path
        from chronos.process import Conversation
        def no_fork():
            raise OSError(errno.ENOMEM, "no memory")
        os.fork = no_fork
        claim_process()
        opened = len(os.listdir("/proc/self/fd"))
        talk = Conversation(["cat"], environment={}, cwd=Path("/"), work=lambda: None)
        talk.input.write(b"hello")
        talk.input.close()
        print(talk.output.read())
        talk.close()
        print(len(os.listdir("/proc/self/fd")) - opened)
    """)
    assert done.stdout == "b'hello'\n0\n", done.stderr


@pytest.mark.parametrize(("claims", "is_open"), [(True, False), (True, True), (False, False)])
def test_a_changed_database_is_captured_alike_by_a_copy_and_by_a_program(
    tmp_path: Path, claims: bool, is_open: bool
) -> None:
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
        def change(statement):
            with closing(sqlite3.connect(place, isolation_level=None)) as database:
                database.execute("PRAGMA journal_mode = wal")
                database.execute(statement)
        change("CREATE TABLE t (x)")
        kept = sqlite3.connect(place) if {is_open} else None
        if kept is not None:
            kept.execute("SELECT * FROM t").fetchall()
        with open_engine(Path.cwd()) as engine:
            if {claims}:
                claim_process()
            first = engine.create_checkpoint("first")
            change("INSERT INTO t VALUES (1)")
            engine.create_checkpoint("second")
            seen = set(started)
            (difference,) = engine.diff_memory(first, "second")
            print(difference.tables[0].added, sorted({{"copy", os.path.basename(sys.executable)}} & seen))
    """, folder=folder)  # fmt: skip
    name = "copy" if claims and not is_open else os.path.basename(sys.executable)
    assert done.stdout == f"1 {[name]}\n", done.stderr
