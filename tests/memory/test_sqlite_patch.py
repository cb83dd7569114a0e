"""A database at rest is restored by the pages that differ, in place, all or none, and otherwise in the other ways."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos.errors import IntegrityError, MissingChunkError, StoreChangedError, StoreInUseError
from chronos.memory import Present, StoreState, sqlite_patch, sqlite_reading, sqlite_replace
from chronos.stat_cache import StatCache
from tests.memory.sqlite_world import KIND, Pool, check_bank, identify, listing, make_bank
from tests.memory.test_sqlite_properties import _STEP, apply
from tests.memory.test_sqlite_replace import ask, leave_wal, using
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes

_PIECE_BYTES = 64 * 1024


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path / "pool")


@pytest.fixture
def agent(repo: RepoBuilder) -> RepoBuilder:
    repo.write("app.py", "version = 1\n")
    repo.commit()
    return repo


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "db").mkdir()
    return tmp_path / "db" / "memory.db"


def run(place: Path, *statements: str) -> None:
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def fill(place: Path, count: int = 60) -> None:
    """Give the steps some pieces of their own, unequal ones."""
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        rows = [(f"{number:05d}" * 1000,) for number in range(count)]
        connection.executemany("INSERT INTO steps (filler) VALUES (?)", rows)


def two_states(pool: Pool, place: Path, mode: str = "delete", page_size: int = 4096) -> tuple[StoreState, StoreState]:
    """Make a database of some pieces, capture it, change a few rows, and capture it again."""
    make_bank(place, mode, page_size)
    fill(place)
    old = pool.capture(place)
    run(place, "UPDATE steps SET filler = 'later' WHERE id % 20 = 0", "INSERT INTO steps (filler) VALUES ('more')")
    return old, pool.capture(place)


def put(
    pool: Pool, place: Path, state: StoreState, present: StoreState, trash: Path, was_read: bool = False
) -> list[str]:
    work = pool.replace_work(trash, KIND.look(place), present=present, was_read=was_read)
    return KIND.replace(place, state, work)


def settle() -> None:
    """Wait until a capture remembers what it reads."""
    time.sleep(0.08)


def pieces(pool: Pool, state: StoreState) -> Sequence[bytes]:
    (file,) = state.files
    assert file.content is not None
    return pool.chunk_ids(file.content)


def was_in_place(place: Path, inode: int, trash: Path) -> bool:
    return place.stat().st_ino == inode and listing(trash) == {} and set(listing(place.parent)) == {place.name}


@pytest.mark.parametrize(
    ("page_size", "mode"), [(512, "delete"), (1024, "wal"), (4096, "wal"), (16384, "delete"), (65536, "wal")]
)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE steps SET filler = 'later' WHERE id % 20 = 0",
        "INSERT INTO steps (filler) VALUES (hex(randomblob(90000)))",
        "DELETE FROM steps WHERE id > 40; VACUUM",
        "CREATE INDEX by_filler ON steps (substr(filler, 1, 100))",
    ],
    ids=["rows", "growth", "shrink", "schema"],
)
def test_only_what_differs_is_written_and_both_ways_lead_back(
    pool: Pool, place: Path, tmp_path: Path, mode: str, page_size: int, change: str
) -> None:
    make_bank(place, mode, page_size)
    fill(place)
    place.chmod(0o640)
    old = pool.capture(place)
    run(place, *change.split(";"))
    new = pool.capture(place)
    inode, trash = place.stat().st_ino, tmp_path / "trash"
    for state, present in ((old, new), (new, old)):
        assert put(pool, place, state, present, trash) == []
        assert place.read_bytes() == pool.image(state)
        assert was_in_place(place, inode, trash)
        assert place.stat().st_mode & 0o777 == 0o640
        assert check_bank(shutil.copy(place, tmp_path / "copy.db"))


@pytest.mark.parametrize(("before", "after"), [("wal", "delete"), ("delete", "wal")])
def test_the_journal_mode_comes_back_too(pool: Pool, place: Path, tmp_path: Path, before: str, after: str) -> None:
    make_bank(place, before)
    old = pool.capture(place)
    run(place, f"PRAGMA journal_mode={after}", "INSERT INTO steps (filler) VALUES ('x')")
    new = pool.capture(place)
    inode = place.stat().st_ino
    assert put(pool, place, old, new, tmp_path / "trash") == []
    assert was_in_place(place, inode, tmp_path / "trash")
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (before,)


def test_a_link_to_a_database_stays_one(pool: Pool, place: Path, tmp_path: Path) -> None:
    old, new = two_states(pool, place)
    link = tmp_path / "link.db"
    link.symlink_to(place)
    inode = place.stat().st_ino
    put(pool, link, old, new, tmp_path / "trash")
    assert link.is_symlink() and was_in_place(place, inode, tmp_path / "trash")
    assert identify(place) == old.identity


@pytest.mark.parametrize("is_large", [True, False])
def test_what_was_read_while_it_was_locked_is_not_read_again_unless_it_is_small(
    pool: Pool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    old, new = two_states(pool, place)
    work = pool.replace_work(tmp_path / "trash", KIND.look(place), present=new)
    monkeypatch.setattr(sqlite_patch, "_CHEAP_BYTES", 0 if is_large else 1 << 20)
    KIND.replace(place, old, work)
    again, read_anew = [], sqlite_reading.read

    def read(*arguments: Any) -> StoreState:
        again.append(arguments)
        return read_anew(*arguments)

    monkeypatch.setattr(sqlite_reading, "read", read)
    pool.stats = StatCache(work.stats.fresh)
    assert pool.capture(place).identity == old.identity
    assert len(again) == (not is_large)


def _hard_link(place: Path) -> None:
    os.link(place, place.with_name("other name"))


def _stale_wal(place: Path) -> None:
    Path(f"{place}-wal").touch()


def _stale_index(place: Path) -> None:
    Path(f"{place}-shm").write_bytes(b"\xff" * 32768)


def _kept_journal(place: Path) -> None:
    run(place, "PRAGMA journal_mode=persist", "INSERT INTO steps (filler) VALUES ('x')")
    assert Path(f"{place}-journal").exists()


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("prepare", [_hard_link, _stale_wal, _stale_index, _kept_journal])
def test_what_is_not_alone_at_its_place_is_swapped(
    pool: Pool, place: Path, tmp_path: Path, prepare: Callable[[Path], None], mode: str
) -> None:
    old, _ = two_states(pool, place, mode)
    prepare(place)
    new = pool.capture(place)
    before = listing(place.parent)
    put(pool, place, old, new, tmp_path / "trash")
    assert place.read_bytes() == pool.image(old)
    assert listing(tmp_path / "trash") == {name: data for name, data in before.items() if name != "other name"}
    assert set(listing(place.parent)) - {"other name"} == {"memory.db"}


def test_frames_in_a_wal_are_never_left_beside_older_pages(pool: Pool, place: Path, tmp_path: Path) -> None:
    old, _ = two_states(pool, place, "wal")
    leave_wal(place, "in the wal")
    new = pool.capture(place)
    put(pool, place, old, new, tmp_path / "trash")
    assert set(listing(place.parent)) == {"memory.db"}
    assert identify(place) == old.identity


def test_what_differs_almost_everywhere_is_swapped(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    fill(place, 600)
    old = pool.capture(place)
    run(place, "UPDATE steps SET filler = hex(randomblob(2500))")
    new = pool.capture(place)
    inode = place.stat().st_ino
    put(pool, place, old, new, tmp_path / "trash")
    assert place.stat().st_ino != inode
    assert place.read_bytes() == pool.image(old)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_that_others_have_open_gets_its_content_through_sqlite(
    pool: Pool, place: Path, tmp_path: Path, mode: str
) -> None:
    old, new = two_states(pool, place, mode)
    with using(place) as user:
        notes = put(pool, place, old, new, tmp_path / "trash")
        assert str(user.pid) in notes[0]
        assert ask(user, "SELECT max(id) FROM steps") == "[(60,)]"
        assert ask(user, "INSERT INTO steps (filler) VALUES ('goes on')") == "[]"
    assert check_bank(place) == 61


@pytest.mark.parametrize("lock", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_lock_of_a_process_that_cannot_be_seen_is_heeded(
    pool: Pool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    old, new = two_states(pool, place)
    for module in (sqlite_patch, sqlite_replace):
        monkeypatch.setattr(module, "find_users", lambda *_: [])
    with using(place, f"BEGIN {lock}") as user:
        with pytest.raises(StoreInUseError, match="cannot see"):
            put(pool, place, old, new, tmp_path / "trash")
        assert ask(user, "SELECT max(id) FROM steps") == "[(61,)]"
        assert ask(user, "COMMIT") == "[]"
    assert put(pool, place, old, new, tmp_path / "trash") == []


def test_a_wal_of_a_process_that_cannot_be_seen_is_kept_open(
    pool: Pool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = two_states(pool, place, "wal")
    for module in (sqlite_patch, sqlite_replace):
        monkeypatch.setattr(module, "find_users", lambda *_: [])
    find, hidden = os.path.lexists, (f"{place}-wal", f"{place}-shm")
    with using(place) as user:
        # As if they appeared in the moment between the look and the lock.
        monkeypatch.setattr(sqlite_patch.os.path, "lexists", lambda path: str(path) not in hidden and find(path))
        notes = put(pool, place, old, new, tmp_path / "trash")
        assert "cannot see" in notes[0]
        assert ask(user, "SELECT max(id) FROM steps") == "[(60,)]"


def test_a_connection_in_this_very_process_keeps_its_locks_and_sees_the_new_content(
    pool: Pool, place: Path, tmp_path: Path
) -> None:
    old, new = two_states(pool, place)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        assert connection.execute("SELECT max(id) FROM steps").fetchone() == (61,)
        notes = put(pool, place, old, new, tmp_path / "trash")
        assert str(os.getpid()) in notes[0]
        assert connection.execute("SELECT max(id) FROM steps").fetchone() == (60,)


# What a reader may meet: a lock, no main file in the moment of a swap, or none any more when it opens the -wal.
_POLLER = """
import json, sqlite3, sys, time
seen = set()
print("ready", flush=True)
while True:
    try:
        connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=rw", uri=True, timeout=0)
        rows = connection.execute("SELECT count(*), coalesce(sum(length(filler)), 0), max(id) FROM steps").fetchall()
        total = connection.execute("SELECT (SELECT sum(amount) FROM left_side) + (SELECT sum(amount) FROM right_side)")
        assert total.fetchone() == (1000,)
        seen.add(rows[0])
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'stop'").fetchone():
            break
    except sqlite3.OperationalError as cause:
        expected = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_IOERR_FSTAT")
        assert cause.sqlite_errorname.startswith(expected), (cause, cause.sqlite_errorname)
    finally:
        connection.close()
    time.sleep(0.002)
print(json.dumps(sorted(seen)), flush=True)
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_reader_sees_the_old_or_the_new_state_and_nothing_else(
    pool: Pool, place: Path, tmp_path: Path, mode: str
) -> None:
    old, new = two_states(pool, place, mode)
    facts = []
    for state in (old, new):
        copy = tmp_path / "fact.db"
        copy.write_bytes(pool.image(state))
        with closing(sqlite3.connect(copy)) as connection:
            facts.append(connection.execute("SELECT count(*), sum(length(filler)), max(id) FROM steps").fetchone())
    argv = [sys.executable, "-c", _POLLER, str(place)]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as poller,
        ExitStack() as stack,
    ):
        stack.callback(poller.kill)  # it would go on for ever
        assert poller.stdout is not None and poller.stderr is not None
        poller.stdout.readline()
        for number in range(12):
            state, present = (old, new) if identify(place) == new.identity else (new, old)
            work = pool.replace_work(tmp_path / f"trash{number}", KIND.look(place), 5.0, present=present)
            # A companion of the reader came or went in between, or it never let go.
            with suppress(StoreChangedError, StoreInUseError):
                KIND.replace(place, state, work)
        run(place, "CREATE TABLE stop (x)")
        output, errors = poller.communicate(timeout=60)
    assert not errors
    seen = {tuple(row) for row in json.loads(output)}
    assert seen and seen <= set(facts)


def test_a_byte_that_changed_without_a_trace_is_not_overwritten(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    fill(place)
    old = pool.capture(place)
    run(place, "UPDATE steps SET filler = 'later' WHERE id = 60")
    new = pool.capture(place)
    number = next(n for n, (a, b) in enumerate(zip(pieces(pool, old), pieces(pool, new), strict=False)) if n and a != b)
    about = place.stat()
    with place.open("r+b") as file:
        file.seek(number * _PIECE_BYTES + 100)
        file.write(b"\x7f")
    os.utime(place, ns=(about.st_atime_ns, about.st_mtime_ns))
    before = listing(place.parent)
    with pytest.raises(StoreChangedError):
        put(pool, place, old, new, tmp_path / "trash")
    assert listing(place.parent) == before


@pytest.mark.parametrize("was_read", [False, True])
def test_an_image_that_is_not_what_was_asked_for_is_taken_back(
    pool: Pool, place: Path, tmp_path: Path, was_read: bool
) -> None:
    old, _ = two_states(pool, place)
    settle()
    new = pool.capture(place)

    def read(ids: Sequence[bytes]) -> Iterator[bytes]:
        for data in pool.reader.iter_chunks(ids):
            yield data[:-1] + bytes([data[-1] ^ 1])

    before = listing(place.parent)
    work = pool.replace_work(tmp_path / "trash", KIND.look(place))
    work.present = Present(new, pool.chunk_ids, read, was_read)
    with pytest.raises(IntegrityError):
        KIND.replace(place, old, work)
    assert listing(place.parent) == before
    assert work.stats.fresh == {}


def test_only_what_was_written_is_read_again_when_all_was_read_just_before(
    pool: Pool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = two_states(pool, place)
    settle()
    new = pool.capture(place, remembers=False)
    requests = []
    converse = sqlite_patch.open_child

    def open_child(place: Path, request: dict[str, object]) -> object:
        requests.append(request["was_read"])
        return converse(place, request)

    monkeypatch.setattr(sqlite_patch, "open_child", open_child)
    assert put(pool, place, old, new, tmp_path / "trash", was_read=True) == []
    assert place.read_bytes() == pool.image(old)
    settle()
    old_again = pool.capture(place, remembers=False)
    assert put(pool, place, new, old_again, tmp_path / "trash", was_read=False) == []
    assert put(pool, place, old, new, tmp_path / "trash", was_read=True) == []
    assert requests == [True, False, False], "in the end it looked otherwise than when it was read"


def test_a_byte_that_changed_after_all_was_read_is_found(pool: Pool, place: Path, tmp_path: Path) -> None:
    old, _ = two_states(pool, place)
    settle()
    new = pool.capture(place, remembers=False)
    same = [n for n, (a, b) in enumerate(zip(pieces(pool, old), pieces(pool, new), strict=False)) if a == b]
    about = place.stat()
    with place.open("r+b") as file:
        file.seek(same[-1] * _PIECE_BYTES + 100)
        file.write(b"\x7f")
    os.utime(place, ns=(about.st_atime_ns, about.st_mtime_ns))
    before = listing(place.parent)
    with pytest.raises(IntegrityError):
        put(pool, place, old, new, tmp_path / "trash", was_read=True)
    assert listing(place.parent) == before


@pytest.mark.parametrize("moment", ["before the lock", "under the lock"])
def test_a_byte_that_changes_just_before_the_first_is_written_is_found(
    pool: Pool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    old, _ = two_states(pool, place)
    settle()
    new = pool.capture(place, remembers=False)
    same = [n for n, (a, b) in enumerate(zip(pieces(pool, old), pieces(pool, new), strict=False)) if a == b]

    def change() -> None:
        about = place.stat()
        with place.open("r+b") as file:
            file.seek(same[-1] * _PIECE_BYTES + 100)
            file.write(b"\x7f")
        os.utime(place, ns=(about.st_atime_ns, about.st_mtime_ns))

    def first(action: Callable[..., object]) -> Callable[..., object]:
        def changing(*arguments: object) -> object:
            change()
            return action(*arguments)

        return changing

    name = "open_child" if moment == "before the lock" else "find_users"
    monkeypatch.setattr(sqlite_patch, name, first(getattr(sqlite_patch, name)))
    with pytest.raises(IntegrityError):
        put(pool, place, old, new, tmp_path / "trash", was_read=True)
    assert pieces(pool, pool.capture(place))[: same[-1]] == pieces(pool, new)[: same[-1]]


def test_a_restore_reads_again_what_it_wrote_and_an_undo_reads_all(
    agent: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, place, asked = agent.engine(), agent.path("agent.db"), []
    wanted = read_notes(make_notes(place))
    checkpoint = engine.create_checkpoint("first")
    converse = sqlite_patch.open_child

    def open_child(place: Path, request: dict[str, object]) -> object:
        asked.append(request["was_read"])
        return converse(place, request)

    monkeypatch.setattr(sqlite_patch, "_CHEAP_BYTES", 0)
    monkeypatch.setattr(sqlite_patch, "open_child", open_child)
    add_notes(place, "later")
    settle()
    engine.restore_checkpoint(checkpoint)
    assert read_notes(place) == wanted
    engine.undo()  # what is there is known by its looks, and was not read by this operation
    assert len(read_notes(place)) == len(wanted) + 1
    assert asked == [True, False]


def test_lost_bytes_leave_everything_as_it_was(pool: Pool, place: Path, tmp_path: Path) -> None:
    old, new = two_states(pool, place)
    pool.forget((set(pieces(pool, old)) - set(pieces(pool, new))).pop())
    before = listing(place.parent)
    with pytest.raises(MissingChunkError):
        put(pool, place, old, new, tmp_path / "trash")
    assert listing(place.parent) == before


def test_a_damaged_image_comes_back_and_is_said(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    fill(place)
    data = bytearray(place.read_bytes())
    data[3 * 4096 : 3 * 4096 + 200] = b"\xff" * 200
    place.write_bytes(data)
    old = pool.capture(place)
    run(place, "UPDATE left_side SET amount = 0")
    new, inode = pool.capture(place), place.stat().st_ino
    work = pool.replace_work(tmp_path / "trash", KIND.look(place), present=new)
    notes = KIND.replace(place, old, work)
    assert "damaged, as it was" in notes[0] and not work.is_sound
    assert place.read_bytes() == data and was_in_place(place, inode, tmp_path / "trash")


def test_bytes_that_passed_their_check_are_not_checked_again(
    agent: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = agent.engine()
    place = agent.path("agent.db")
    wanted = read_notes(make_notes(place))
    checkpoint, asked, read = engine.create_checkpoint("first"), [], []
    converse, capture = sqlite_patch.open_child, sqlite_reading.read

    def open_child(place: Path, request: dict[str, object]) -> object:
        asked.append(request["is_sound"])
        read.clear()
        return converse(place, request)

    def read_anew(place: Path, *arguments: Any) -> StoreState:
        read.append(place)
        return capture(place, *arguments)

    monkeypatch.setattr(sqlite_patch, "_CHEAP_BYTES", 0)
    monkeypatch.setattr(sqlite_patch, "open_child", open_child)
    monkeypatch.setattr(sqlite_reading, "read", read_anew)
    for number in range(2):
        add_notes(place, f"later {number}")
        engine.restore_checkpoint(checkpoint)
        assert read == []  # the verification knows what the child has read
        engine.undo()
        assert len(read_notes(place)) == len(wanted) + 1
        engine.redo()
        assert read_notes(place) == wanted
    assert asked == [False, False, True, True, False, True]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([512, 1024, 4096, 8192, 65536]),
    st.sampled_from(["wal", "delete", "truncate", "persist"]),
    st.sampled_from(["NONE", "FULL"]),
    st.lists(_STEP.filter(lambda step: step[0] != "capture"), max_size=6),
    st.lists(_STEP.filter(lambda step: step[0] != "capture"), min_size=1, max_size=6),
    st.booleans(),
)
def test_whatever_was_done_in_between_the_bytes_come_back(
    page_size: int,
    mode: str,
    vacuum: str,
    first: list[tuple[str, int, int]],
    second: list[tuple[str, int, int]],
    was_read: bool,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool, place = Pool(folder / "pool"), folder / "t.db"
        states = []
        for number, steps in enumerate((first, second)):
            with closing(sqlite3.connect(place, isolation_level=None)) as connection:
                if not number:
                    connection.execute(f"PRAGMA page_size={page_size}")
                    connection.execute(f"PRAGMA auto_vacuum={vacuum}")
                    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)")
                connection.execute(f"PRAGMA journal_mode={mode}")
                for done in steps:
                    apply(connection, done)
            states.append(pool.capture(place))
        old, new = states
        for state, present in ((old, new), (new, old)):
            trash = folder / f"trash-{state.identity[:8]}"
            if was_read:
                settle()
                assert pool.capture(place, remembers=False).identity == present.identity
            put(pool, place, state, present, trash, was_read)
            assert place.read_bytes() == pool.image(state)
            with closing(sqlite3.connect(shutil.copy(place, folder / "copy.db"))) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
