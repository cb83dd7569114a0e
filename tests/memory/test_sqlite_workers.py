"""The processes that share the reading of a large database."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest
from blake3 import blake3

from chronos.memory.sqlite_frames import ID_BYTES, PIECE_BYTES
from chronos.memory.sqlite_pieces import Cutter
from chronos.memory.sqlite_view import MovedError, open_view
from chronos.memory.sqlite_workers import BLOCK_PIECES, Block, Piped, Worker


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of some 23 MB: six blocks, the last of them not full."""
    place = tmp_path_factory.mktemp("workers") / "large.db"
    with closing(sqlite3.connect(place)) as database, database:
        database.execute("CREATE TABLE rows (filler BLOB)")
        database.executemany("INSERT INTO rows VALUES (?)", [(os.urandom(3000),) for _ in range(7500)])
    return place


def test_what_is_sent_does_not_depend_on_other_processes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forks, fork = [], os.fork
    monkeypatch.setattr("os.fork", lambda: forks.append(1) or fork())  # type: ignore[func-returns-value]
    shared = cut(place)
    assert len(forks) == 2

    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr("os.fork", refuse)
    assert cut(place) == shared
    calls = iter([fork, refuse])
    monkeypatch.setattr("os.fork", lambda: next(calls)())
    assert cut(place) == shared
    monkeypatch.setattr("os.fork", fork)
    monkeypatch.delattr("os.splice")
    assert cut(place) == shared


def test_known_pieces_are_sent_as_ids_and_the_others_once_with_their_bytes(place: Path) -> None:
    data = place.read_bytes()
    ids = [blake3(data[at : at + PIECE_BYTES]).digest() for at in range(0, len(data), PIECE_BYTES)]
    for missing in (ids[40], ids[-1]):  # in the midst of a block that is known otherwise, and at the end
        few = cut(place, known=set(ids) - {missing})
        assert missing in few and len(few) < len(ids) * ID_BYTES + 3 * PIECE_BYTES
        assert [few.count(one) for one in ids] == [1] * len(ids)


def test_no_process_is_left_behind_when_a_cut_breaks_off(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, fork = [], os.fork
    monkeypatch.setattr("os.fork", lambda: started.append(fork()) or started[-1])  # type: ignore[func-returns-value]
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", 0) as stream, pytest.raises(BrokenPipeError):
        cut_into(stream, place)
    assert len(started) == 2
    for process in started:
        with pytest.raises(ChildProcessError):
            os.waitpid(process, os.WNOHANG)


def test_what_a_worker_meets_is_raised_by_whoever_takes_its_block() -> None:
    def meet(error: Exception) -> tuple[bytes, bytes]:
        raise error

    for error, expected in (
        (MovedError(), MovedError),
        (PermissionError(errno.EACCES, "no"), PermissionError),
        (ValueError("a mistake of ours"), RuntimeError),
    ):
        worker = Worker(lambda start, error=error: (b"1" * ID_BYTES, b"") if not start else meet(error), [0, 1, 2])  # type: ignore[misc]
        try:
            assert worker.take() == Block(b"1" * ID_BYTES, b"")
            with pytest.raises(expected):
                worker.take()
        finally:
            worker.stop()


@pytest.mark.parametrize("hands_over", [True, False], ids=["by splice", "by copying"])
def test_a_worker_that_is_killed_is_an_error_and_one_that_nobody_waits_for_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hands_over: bool
) -> None:
    if not hands_over:
        monkeypatch.delattr("os.splice")

    def work(start: int) -> tuple[bytes, bytes]:
        tmp_path.joinpath(str(start)).touch()
        return os.urandom(BLOCK_PIECES * ID_BYTES), b"x" * 3 * PIECE_BYTES

    worker = Worker(work, range(1000))
    wait_for(tmp_path / "3")  # the pipe is full, and a block cut in its midst
    os.kill(worker._process, 9)
    whole = 0
    with open(tmp_path / "sent", "wb") as sent, pytest.raises(RuntimeError, match="ended early"):
        while True:
            block = worker.take()
            assert isinstance(block.frames, Piped)
            block.frames.pass_on(sent)
            whole += 1
    assert 0 < whole < 1000 and (tmp_path / "sent").stat().st_size >= whole * 3 * PIECE_BYTES
    worker.stop()
    idle = Worker(work, range(1000))
    idle.stop()
    assert not (tmp_path / "999").exists()


def cut(place: Path, known: frozenset[bytes] | set[bytes] = frozenset()) -> bytes:
    """Return all that is sent of a database, and its identity."""
    with tempfile.TemporaryFile() as stream:
        identity = cut_into(stream, place, known)
        stream.seek(0)
        return stream.read() + identity.encode()


def cut_into(stream: IO[bytes], place: Path, known: frozenset[bytes] | set[bytes] = frozenset()) -> str:
    """Send a database to a stream, and return its identity."""
    view = open_view(os.fsencode(place), time.monotonic() + 10)
    try:
        cutter = Cutter(stream, set(known), lambda: lambda piece: (0, bytes(piece)))  # type: ignore[arg-type]
        for part, pages in view.parts.items():
            cutter.cut(part, pages, is_database=True)
    finally:
        view.close()
    return cutter.identity()


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
