"""The processes that share the reading of a large database."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import IO

import pytest
from blake3 import blake3

from chronos.memory import sqlite_child
from chronos.memory.sqlite_frames import (
    BEGIN,
    END,
    ID_BYTES,
    KNOWN_IDS,
    MACS,
    NEW,
    PIECE_BYTES,
    NewPiece,
    read_frame,
    send,
    send_new,
    unpack_new,
)
from chronos.memory.sqlite_pieces import Cutter
from chronos.memory.sqlite_view import MovedError, Pages, open_view
from chronos.memory.sqlite_workers import _TURN, BLOCK_PIECES, Block, Piped, Workers, _Turns
from chronos.pool import PoolWriter, StoredChunk
from tests.memory.sqlite_world import Pool


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
    monkeypatch.delattr("os.splice", raising=False)
    assert cut(place) == shared


def test_known_pieces_are_sent_as_ids_and_the_others_once_with_their_bytes(place: Path) -> None:
    data = place.read_bytes()
    ids = [blake3(data[at : at + PIECE_BYTES]).digest() for at in range(0, len(data), PIECE_BYTES)]
    for missing in (40, len(ids) - 1):  # in the midst of a block that is known otherwise, and at the end
        few = cut(place, known=b"".join([*ids[:missing], bytes(ID_BYTES), *ids[missing + 1 :]]))
        assert ids[missing] in few and len(few) < len(ids) * ID_BYTES + 3 * PIECE_BYTES
        assert [few.count(one) for one in ids] == [1] * len(ids)


def test_pieces_that_come_again_in_other_places_are_not_stored_again(tmp_path: Path) -> None:
    pool, place = Pool(tmp_path / "pool"), tmp_path / "paged.db"
    with closing(sqlite3.connect(place, isolation_level=None)) as database:
        database.execute(f"PRAGMA page_size={PIECE_BYTES}")
        database.execute("CREATE TABLE gone (filler BLOB)")
        database.execute("CREATE TABLE kept (filler BLOB)")
        rows = [(os.urandom(PIECE_BYTES // 3),) for _ in range(100)]
        database.executemany("INSERT INTO gone VALUES (?)", rows[:20])
        database.executemany("INSERT INTO kept VALUES (?)", rows[20:])
        pool.capture(place)
        assert pool.stored_bytes > 30 * PIECE_BYTES
        database.execute("DROP TABLE gone")
        database.execute("VACUUM")
    assert pool.image(pool.capture(place)) == place.read_bytes()
    assert pool.stored_bytes < 4 * PIECE_BYTES


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


def test_a_database_is_read_though_whoever_started_us_ignores_the_end_of_children(place: Path) -> None:
    expected, before = cut(place), signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert cut(place) == expected
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_what_a_worker_meets_is_raised_by_whoever_takes_its_block() -> None:
    def meet(error: Exception) -> Block:
        raise error

    for error, expected in (
        (MovedError(), MovedError),
        (PermissionError(errno.EACCES, "no"), PermissionError),
        (ValueError("a mistake of ours"), RuntimeError),
    ):
        workers = Workers(lambda start, error=error: Block(b"1" * ID_BYTES) if not start else meet(error), [0, 1, 2], 1)  # type: ignore[misc]
        try:
            assert workers.take(0) == Block(b"1" * ID_BYTES, b"")
            with pytest.raises(expected):
                workers.take(1)
        finally:
            workers.stop()


def test_whoever_is_done_takes_the_next_block_and_all_come_in_order() -> None:
    reading, writing = os.pipe()

    def work(start: int) -> Block:
        if start == 3:  # in one process, until everything else has been done, in the other
            os.read(reading, 1)
        if start == 99:
            os.write(writing, b"x")
        return Block(start.to_bytes(ID_BYTES, "big"), bytes(start))

    workers = Workers(work, range(100), 2)
    try:
        for number in range(100):
            block = workers.take(number)
            assert int.from_bytes(block.ids, "big") == number
            if number:
                assert isinstance(block.frames, Piped)
                assert block.frames.pipe.read(block.frames.length) == bytes(number)
        with pytest.raises(RuntimeError, match="ended early"):
            workers.take(100)
    finally:
        workers.stop()
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("is_holding", [True, False])
def test_one_that_is_killed_is_noticed_though_the_others_go_on(is_holding: bool) -> None:
    def work(start: int) -> Block:
        if start == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return Block(bytes(ID_BYTES))

    def kill_on_the_way(turns: _Turns) -> int:
        (number,) = _TURN.unpack(os.read(turns._reading, _TURN.size))
        if number == 5:  # nobody gets another number
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(turns._writing, _TURN.pack(number + 1))
        return int(number)

    with pytest.MonkeyPatch.context() as patch:
        if is_holding:
            patch.setattr(_Turns, "take", kill_on_the_way)
        workers = Workers(work, range(100), 2)
    try:
        with pytest.raises(RuntimeError, match="ended early"):
            for number in range(100):
                workers.take(number)
    finally:
        workers.stop()


@pytest.mark.parametrize("how", ["by splice", "by copying"])
def test_frames_of_a_worker_that_is_killed_in_their_midst_are_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "by copying":
        monkeypatch.delattr("os.splice", raising=False)
    more_than_a_pipe_holds = bytes(BLOCK_PIECES * PIECE_BYTES)
    workers = Workers(lambda _: Block(os.urandom(BLOCK_PIECES * ID_BYTES), more_than_a_pipe_holds), range(3), 1)
    block = workers.take(0)
    os.kill(workers._workers[0]._process, signal.SIGKILL)
    assert isinstance(block.frames, Piped)
    with open(tmp_path / "sent", "wb") as sent, pytest.raises(RuntimeError, match="ended early"):
        block.frames.pass_on(sent)
    with pytest.raises(RuntimeError, match="ended early"):
        workers.take(1)
    workers.stop()


def test_where_splice_is_refused_bytes_are_copied(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    expected = cut(place)
    refused = []

    def refuse(*_: int) -> int:
        refused.append(1)
        raise OSError(errno.ENOSYS, "not in this kernel")

    monkeypatch.setattr("os.splice", refuse, raising=False)
    assert cut(place) == expected and refused


def test_a_worker_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    def work(start: int) -> Block:
        tmp_path.joinpath(str(start)).touch()
        return Block(os.urandom(BLOCK_PIECES * ID_BYTES), bytes(PIECE_BYTES))

    Workers(work, range(1000), 2).stop()
    assert not (tmp_path / "999").exists()


def test_what_was_sent_before_the_database_moved_is_sent_again(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "no more processes")

    offsets, read_into = [], Pages.read_into

    def move(pages: Pages, view: memoryview, offset: int) -> None:
        offsets.append(offset)
        if len(offsets) == 3:
            raise MovedError
        read_into(pages, view, offset)

    monkeypatch.setattr("os.fork", refuse)
    monkeypatch.setattr(Pages, "read_into", move)
    requests = BytesIO()
    send(requests.write, KNOWN_IDS, b"")
    send(requests.write, MACS, b"")
    requests.seek(0)
    request = {
        "place": os.fsencode(place).hex(),
        "timeout_s": 10,
        "wants_bytes": True,
        "compresses": False,
        "base": None,
    }
    with open(tmp_path / "answers", "w+b") as answers:
        sqlite_child._capture(request, requests, answers)
        answers.seek(0)
        frames = []
        while answers.peek(1):
            frames.append(read_frame(answers))
    tags = [tag for tag, _ in frames]
    assert tags.count(BEGIN) == 2 and tags[-1] == END
    last = frames[len(tags) - tags[::-1].index(BEGIN) : -1]
    sent = [piece for tag, data in last for piece in (unpack_new(data) if tag == NEW else ())]
    assert b"".join(piece.stored for piece in sent) == place.read_bytes()


def test_frames_of_which_little_is_kept_are_let_go(tmp_path: Path) -> None:
    known: set[bytes] = set()

    def frames() -> Iterator[list[StoredChunk]]:
        for _ in range(100):
            found: list[bytes | memoryview] = []
            pieces = [NewPiece(os.urandom(ID_BYTES), PIECE_BYTES, 0, os.urandom(PIECE_BYTES)) for _ in range(15)]
            known.update(piece.id for piece in pieces)
            send_new(found.append, [*pieces, NewPiece(os.urandom(ID_BYTES), 10, 0, bytes(10))])
            data = b"".join(found[1:])
            yield [StoredChunk(one.id, one.codec, one.stored, one.raw_bytes) for one in unpack_new(data)]

    writer = PoolWriter(tmp_path, known.__contains__)
    tracemalloc.start()
    try:
        writer.add_paged(1600 * PIECE_BYTES, frames())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 30_000_000 < 100 * 15 * PIECE_BYTES


def cut(place: Path, known: bytes = b"") -> bytes:
    """Return all that is sent of a database, and its identity."""
    with tempfile.TemporaryFile() as stream:
        identity = cut_into(stream, place, known)
        stream.seek(0)
        return stream.read() + identity.encode()


def cut_into(stream: IO[bytes], place: Path, known: bytes = b"") -> str:
    """Send a database to a stream, and return its identity."""
    view = open_view(os.fsencode(place), time.monotonic() + 10)
    try:
        cutter = Cutter(stream, known, lambda: lambda piece: (0, bytes(piece)))  # type: ignore[arg-type]
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
