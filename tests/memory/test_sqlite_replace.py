"""A restore is all or nothing, never beside a stale companion, and never under somebody's feet."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chronos.background import in_background
from chronos.errors import IntegrityError, StoreChangedError, StoreInUseError
from chronos.files import move_to_free_name
from chronos.memory import StoreState, sqlite_reader, sqlite_replace
from tests.memory.sqlite_world import KIND, Pool, check_bank, identify, listing, make_bank

_USER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
print(connection.execute(sys.argv[2]).fetchall(), flush=True)
for line in sys.stdin:
    print(connection.execute(line).fetchall(), flush=True)
"""


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path / "pool")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "db").mkdir()
    return tmp_path / "db" / "memory.db"


def step(place: Path, text: str) -> None:
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("INSERT INTO steps (filler) VALUES (?)", (text,))


def leave_wal(place: Path, text: str) -> None:
    """Leave a database with its -wal, as a program that crashes does."""
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('INSERT INTO steps (filler) VALUES (?)', (sys.argv[2],)); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, place, text], check=True)
    assert os.path.getsize(f"{place}-wal")


@contextmanager
def using(place: Path, statement: str = "SELECT count(*) FROM steps") -> Iterator[subprocess.Popen[str]]:
    """Run a process that has the database open for the length of the block."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _USER, place, statement], stdin=pipe, stdout=pipe, text=True) as user:
        assert user.stdout is not None
        user.stdout.readline()
        try:
            yield user
        finally:
            user.kill()


def ask(user: subprocess.Popen[str], statement: str) -> str:
    assert user.stdin is not None and user.stdout is not None
    user.stdin.write(statement + "\n")
    user.stdin.flush()
    return user.stdout.readline().strip()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_restore_brings_the_image_back_and_moves_the_old_files_away(
    pool: Pool, place: Path, tmp_path: Path, mode: str
) -> None:
    make_bank(place, mode)
    state = pool.capture(place)
    step(place, "later")
    if mode == "wal":
        leave_wal(place, "in the wal")
    old = listing(place.parent)
    place.chmod(0o640)
    trash = tmp_path / "trash"
    assert KIND.replace(place, state, pool.replace_work(trash, KIND.look(place))) == []
    assert set(listing(place.parent)) == {"memory.db"}
    assert place.read_bytes() == pool.image(state)
    assert identify(place) == state.identity
    assert place.stat().st_mode & 0o777 == 0o640
    assert listing(trash) == old
    assert check_bank(place) == 0


def test_nothing_can_be_restored_where_something_was(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place, "wal")
    leave_wal(place, "x")
    assert KIND.replace(place, None, pool.replace_work(tmp_path / "trash")) == []
    assert listing(place.parent) == {}
    assert set(listing(tmp_path / "trash")) == {"memory.db", "memory.db-wal", "memory.db-shm"}


def test_a_database_comes_back_where_nothing_is_any_more(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    state = pool.capture(place)
    place.unlink()
    place.parent.rmdir()
    KIND.replace(place, state, pool.replace_work(tmp_path / "trash", ()))
    assert check_bank(place) == 0
    assert place.stat().st_mode & 0o777 == 0o600


def test_a_stale_wal_without_a_database_does_not_stay(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place, "wal")
    state = pool.capture(place)
    leave_wal(place, "must not come back")
    place.unlink()
    KIND.replace(place, state, pool.replace_work(tmp_path / "trash", KIND.look(place)))
    assert set(listing(place.parent)) == {"memory.db"}
    assert check_bank(place) == 0


def test_what_changed_since_the_plan_is_not_replaced(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    state = pool.capture(place)
    step(place, "one")
    expected = KIND.look(place)
    step(place, "two")
    before = listing(place.parent)
    with pytest.raises(StoreChangedError):
        KIND.replace(place, state, pool.replace_work(tmp_path / "trash", expected))
    assert listing(place.parent) == before
    assert listing(tmp_path / "trash") == {}


def test_a_write_at_the_last_moment_puts_everything_back(
    pool: Pool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bank(place, "wal")
    state = pool.capture(place)
    leave_wal(place, "kept")
    move = os.rename

    def write_and_move(source: Path, target: Path) -> None:
        if source == place:
            with open(f"{source}-wal", "r+b") as wal:
                wal.write(b"\0")
        move(source, target)

    monkeypatch.setattr(sqlite_replace.os, "rename", write_and_move)
    with pytest.raises(StoreChangedError):
        KIND.replace(place, state, pool.replace_work(tmp_path / "trash", KIND.look(place)))
    assert set(listing(place.parent)) == {"memory.db", "memory.db-wal", "memory.db-shm"}
    assert listing(tmp_path / "trash") == {}


def test_a_database_that_somebody_makes_meanwhile_is_never_overwritten(
    pool: Pool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bank(place, "wal")
    state = pool.capture(place)
    leave_wal(place, "old")
    old = listing(place.parent)

    def make_and_link(source: Path, target: Path) -> None:
        place.write_bytes(b"somebody's")
        move_to_free_name(source, target)

    monkeypatch.setattr(sqlite_replace, "move_to_free_name", make_and_link)
    with pytest.raises(StoreChangedError):
        KIND.replace(place, state, pool.replace_work(tmp_path / "trash", KIND.look(place)))
    assert listing(place.parent) == {"memory.db": b"somebody's"}
    assert listing(tmp_path / "trash") == old


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_in_use_gets_its_content_through_sqlite(pool: Pool, place: Path, tmp_path: Path, mode: str) -> None:
    make_bank(place, mode)
    state = pool.capture(place)
    step(place, "later")
    inode = place.stat().st_ino
    with using(place) as user:
        notes = KIND.replace(place, state, pool.replace_work(tmp_path / "trash", KIND.look(place)))
        assert str(user.pid) in notes[0] and len(notes) == 1
        assert ask(user, "SELECT count(*) FROM steps") == "[(0,)]"
        assert place.stat().st_ino == inode
        assert ask(user, "INSERT INTO steps (filler) VALUES ('goes on')") == "[]"
    assert check_bank(place) == 1


def test_a_database_open_in_this_process_gets_its_content_through_sqlite(
    pool: Pool, place: Path, tmp_path: Path
) -> None:
    make_bank(place, "wal")
    state = pool.capture(place)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("INSERT INTO steps (filler) VALUES ('later')")
        notes = KIND.replace(place, state, pool.replace_work(tmp_path / "trash", KIND.look(place)))
        assert str(os.getpid()) in notes[0]
        assert connection.execute("SELECT count(*) FROM steps").fetchone() == (0,)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_locked_database_is_refused_with_the_process_that_uses_it(
    pool: Pool, place: Path, tmp_path: Path, mode: str
) -> None:
    make_bank(place, mode)
    state = pool.capture(place)
    step(place, "later")
    with using(place, "BEGIN IMMEDIATE") as user:
        before = listing(place.parent)
        with pytest.raises(StoreInUseError, match=str(user.pid)):
            KIND.replace(place, state, pool.replace_work(tmp_path / "trash", KIND.look(place)))
        assert listing(place.parent) == before
        assert ask(user, "COMMIT") == "[]"
    assert check_bank(place) == 1


@pytest.mark.parametrize("mode", ["wal", "delete", "truncate"])
def test_what_is_committed_while_a_restore_waits_for_the_lock_is_not_overwritten(
    pool: Pool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    has_asked = threading.Event()

    def ask_child(at: Path, request: Mapping[str, Any]) -> Any:
        if request["work"] == "overwrite":
            has_asked.set()
        return sqlite_reader.ask(at, request)

    monkeypatch.setattr(sqlite_replace, "ask", ask_child)
    make_bank(place, mode)
    state = pool.capture(place)
    step(place, "later")
    with using(place, "BEGIN IMMEDIATE") as user:
        work = pool.replace_work(tmp_path / "trash", KIND.look(place), timeout_s=10)
        replaced = in_background(lambda: KIND.replace(place, state, work))
        assert has_asked.wait(20)
        time.sleep(0.5)  # the child has looked at the place by then, and waits
        assert ask(user, "INSERT INTO steps (filler) VALUES ('at the last moment')") == "[]"
        assert ask(user, "COMMIT") == "[]"
        with pytest.raises(StoreChangedError):
            replaced()
        assert ask(user, "SELECT count(*) FROM steps") == "[(2,)]"
        assert ask(user, "INSERT INTO steps (filler) VALUES ('goes on')") == "[]"
    assert check_bank(place) == 3


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_what_is_committed_while_the_new_database_is_written_is_not_moved_away(
    pool: Pool, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    make_bank(place, mode)
    state = pool.capture(place)
    step(place, "later")
    write_drafts = sqlite_replace._write_drafts

    def write_and_wait(*args: Any) -> list[str]:
        notes = write_drafts(*args)
        step(place, "committed, and closed again")
        return notes

    monkeypatch.setattr(sqlite_replace, "_write_drafts", write_and_wait)
    with pytest.raises(StoreChangedError):
        KIND.replace(place, state, pool.replace_work(tmp_path / "trash", KIND.look(place)))
    assert check_bank(place) == 2


def test_a_database_in_use_cannot_be_taken_away(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    with using(place), pytest.raises(StoreInUseError):
        KIND.replace(place, None, pool.replace_work(tmp_path / "trash"))
    assert check_bank(place) == 0


def test_other_page_sizes_are_refused_while_a_wal_database_is_in_use(pool: Pool, place: Path, tmp_path: Path) -> None:
    other = place.with_name("other.db")
    make_bank(other, "wal", 1024)
    state = pool.capture(other)
    make_bank(place, "wal", 4096)
    with using(place), pytest.raises(StoreInUseError):
        KIND.replace(place, state, pool.replace_work(tmp_path / "trash"))
    assert check_bank(place) == 0


def test_what_was_no_database_comes_back_as_it_was(pool: Pool, place: Path, tmp_path: Path) -> None:
    place.write_bytes(b"encrypted" * 1000)
    Path(f"{place}-wal").write_bytes(b"its wal")
    old = listing(place.parent)
    state = pool.capture(place)
    place.write_bytes(b"other")
    notes = KIND.replace(place, state, pool.replace_work(tmp_path / "trash", KIND.look(place)))
    assert listing(place.parent) == old
    assert "no readable database" in notes[0]


def test_a_damaged_page_comes_back_and_is_said(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    step(place, "x")
    data = bytearray(place.read_bytes())
    data[3 * 4096 : 3 * 4096 + 200] = b"\xff" * 200
    place.write_bytes(data)
    state = pool.capture(place)
    assert state.facts["readable"] == 1
    place.unlink()
    notes = KIND.replace(place, state, pool.replace_work(tmp_path / "trash"))
    assert "damaged, as it was" in notes[0]
    assert place.read_bytes() == data


def test_an_image_with_a_wrong_byte_is_not_put_in_place(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    state = pool.capture(place)
    step(place, "later")
    before = listing(place.parent)
    wrong = bytearray(pool.image(state))
    wrong[-1] ^= 1
    work = msgspec.structs.replace(pool.replace_work(tmp_path / "trash"), pieces=lambda _: iter([bytes(wrong)]))
    with pytest.raises(IntegrityError):
        KIND.replace(place, state, work)
    assert listing(place.parent) == before


@pytest.mark.parametrize("back", [False, True])
def test_the_trash_may_lie_on_another_file_system(
    pool: Pool, place: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    make_bank(place, "wal")
    state = pool.capture(place)
    leave_wal(place, "x")
    old = listing(place.parent)
    trash = elsewhere / "trash"
    if back:
        monkeypatch.setattr(sqlite_replace, "_is_as_before", lambda *_: False)
        with pytest.raises(StoreChangedError):
            KIND.replace(place, state, pool.replace_work(trash))
        assert listing(place.parent) == old and listing(trash) == {}
    else:
        KIND.replace(place, state, pool.replace_work(trash))
        assert listing(trash) == old and check_bank(place) == 0


def test_an_empty_database_can_be_restored(pool: Pool, place: Path, tmp_path: Path) -> None:
    place.touch()
    state: StoreState = pool.capture(place)
    make_bank(place.with_name("other.db"))
    os.replace(place.with_name("other.db"), place)
    KIND.replace(place, state, pool.replace_work(tmp_path / "trash"))
    assert place.read_bytes() == b""
