"""A capture is one consistent image, whatever others do meanwhile, and leaves everything as it was."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from chronos.errors import MissingChunkError
from chronos.memory import LeftOut
from chronos.pool import HashingSink
from tests.memory.sqlite_world import KIND, Pool, check_bank, identify, listing, make_bank, settle, writing


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path / "pool")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "db").mkdir()
    return tmp_path / "db" / "memory.db"


def write_out(pool: Pool, place: Path, folder: Path) -> Path:
    folder.mkdir()
    state = pool.capture(place)
    assert not state.is_torn, state.notes
    return KIND.write_out(folder, state, pool.reader.iter_content)


def backed_up(place: Path, target: Path) -> bytes:
    with closing(sqlite3.connect(place)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target.read_bytes()


@pytest.mark.parametrize("mode", ["wal", "delete", "truncate", "persist"])
def test_twenty_captures_under_a_writer_are_each_consistent(pool: Pool, place: Path, tmp_path: Path, mode: str) -> None:
    make_bank(place, mode)
    seen = set()
    with writing(place, mode):
        for number in range(20):
            copy = write_out(pool, place, tmp_path / str(number))
            seen.add(check_bank(copy))
    assert len(seen) > 4, "the writer stood still"


def test_a_capture_neither_changes_nor_removes_the_wal_of_a_crashed_program(
    pool: Pool, place: Path, tmp_path: Path
) -> None:
    make_bank(place, "wal")
    with writing(place, "wal"):
        while os.path.getsize(f"{place}-wal") < 100_000:
            time.sleep(0.01)
    before = listing(place.parent)
    assert before["memory.db-wal"]
    copy = write_out(pool, place, tmp_path / "copy")
    assert listing(place.parent) == before
    assert check_bank(copy) > 0
    os.unlink(f"{place}-shm")
    without_index = pool.capture(place)
    assert set(listing(place.parent)) == {"memory.db", "memory.db-wal"}
    assert pool.image(without_index) == copy.read_bytes()


def test_a_wal_database_at_rest_gets_no_companions(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place, "wal")
    assert set(listing(place.parent)) == {"memory.db"}
    state = pool.capture(place)
    assert set(listing(place.parent)) == {"memory.db"}
    assert pool.image(state) == place.read_bytes()
    assert state.facts["journal_mode"] == "wal"
    KIND.summarise(place)
    assert set(listing(place.parent)) == {"memory.db"}


def test_frames_behind_the_last_commit_are_not_in_the_image(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place, "wal")
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=5")
        connection.execute("INSERT INTO steps (filler) VALUES ('committed')")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO steps (filler) VALUES (?)", [("x" * 2000,) for _ in range(200)])
        assert os.path.getsize(f"{place}-wal") > 200_000, "nothing was spilled"
        copy = write_out(pool, place, tmp_path / "copy")
        assert check_bank(copy) == 1
        # As after a crash: the same frames without a wal-index.
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for suffix in ("", "-wal"):
            (crashed / f"memory.db{suffix}").write_bytes(Path(f"{place}{suffix}").read_bytes())
    settle()
    assert pool.image(pool.capture(crashed / "memory.db")) == copy.read_bytes()


def test_a_torn_frame_ends_the_wal(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place, "wal")
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        for _ in range(3):
            connection.execute("INSERT INTO steps (filler) VALUES (hex(randomblob(3000)))")
        crashed = tmp_path / "crashed.db"
        crashed.write_bytes(place.read_bytes())
        wal = bytearray(Path(f"{place}-wal").read_bytes())
    wal[-100] ^= 1
    Path(f"{crashed}-wal").write_bytes(wal)
    assert check_bank(write_out(pool, crashed, tmp_path / "copy")) == 2


@pytest.mark.parametrize("content", [b"", bytes(20)])
def test_a_wal_without_a_frame_says_nothing(pool: Pool, place: Path, content: bytes) -> None:
    make_bank(place, "wal")
    Path(f"{place}-wal").write_bytes(content)
    assert pool.image(pool.capture(place)) == place.read_bytes()
    assert set(listing(place.parent)) == {"memory.db", "memory.db-wal"}


def test_a_hot_journal_is_rolled_back_in_a_copy_and_said(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=5")
        connection.execute("BEGIN")
        connection.execute("UPDATE left_side SET amount = 0")
        connection.executemany("INSERT INTO steps (filler) VALUES (?)", [("x" * 2000,) for _ in range(200)])
        for suffix in ("", "-journal"):
            (crashed / f"memory.db{suffix}").write_bytes(Path(f"{place}{suffix}").read_bytes())
    before = listing(crashed)
    state = pool.capture(crashed / "memory.db")
    assert listing(crashed) == before
    (tmp_path / "copy").mkdir()
    assert check_bank(KIND.write_out(tmp_path / "copy", state, pool.reader.iter_content)) == 0
    assert any("cut short" in note for note in state.notes)
    assert not state.is_torn


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_an_idle_program_with_an_exclusive_lock_does_not_hinder(
    pool: Pool, place: Path, tmp_path: Path, mode: str
) -> None:
    make_bank(place, mode)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("INSERT INTO steps (filler) VALUES ('mine')")
        settle()
        state = pool.capture(place, timeout_s=0.1)
    (tmp_path / "copy").mkdir()
    assert check_bank(KIND.write_out(tmp_path / "copy", state, pool.reader.iter_content)) == 1
    assert not state.is_torn and state.facts["readable"] == 1


_GREEDY = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode=EXCLUSIVE")
connection.execute("PRAGMA synchronous=OFF")
while True:
    connection.execute("BEGIN")
    connection.execute("UPDATE left_side SET amount = amount + 1")
    connection.execute("UPDATE right_side SET amount = amount - 1")
    connection.execute("INSERT INTO steps (filler) VALUES ('x')")
    connection.execute("COMMIT")
    print(1, flush=True)
"""


def test_a_writer_that_never_lets_go_makes_the_state_torn(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    torn = 0
    with subprocess.Popen([sys.executable, "-c", _GREEDY, place], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        threading.Thread(target=process.stdout.read, daemon=True).start()
        for number in range(10):
            state = pool.capture(place, timeout_s=0.2)
            torn += state.is_torn
            if not state.is_torn:  # a busy machine lets the writer pause, and then the files are taken whole
                folder = tmp_path / str(number)
                folder.mkdir()
                check_bank(KIND.write_out(folder, state, pool.reader.iter_content))
            else:
                assert state.facts == {"readable": 0}
                assert any("written to all the time" in note for note in state.notes)
                break
        process.kill()
    assert torn


def test_an_empty_file_is_an_empty_database(pool: Pool, place: Path) -> None:
    place.touch()
    assert KIND.detect(place)
    state = pool.capture(place)
    assert pool.image(state) == b""
    assert state.facts["readable"] == 1
    assert set(listing(place.parent)) == {"memory.db"}


def test_the_wal_beside_an_empty_database_stays(pool: Pool, place: Path) -> None:
    place.touch()
    Path(f"{place}-wal").write_bytes(b"w" * 100)
    state = pool.capture(place)
    assert listing(place.parent) == {"memory.db": b"", "memory.db-wal": b"w" * 100}
    assert [file.path for file in state.files] == [b"", b"-wal"]


@pytest.mark.parametrize(
    "content",
    [b"no database at all", os.urandom(8192), b"SQLite format 3\0" + b"\0" * 4080],
    ids=["text", "cipher", "bad"],
)
def test_what_is_no_database_is_captured_as_plain_files(pool: Pool, place: Path, content: bytes) -> None:
    place.write_bytes(content)
    state = pool.capture(place)
    assert pool.image(state) == content
    assert state.facts == {"readable": 0}
    assert state.notes and not state.is_torn


def test_a_database_that_is_cut_short_is_captured_as_a_plain_file(pool: Pool, place: Path) -> None:
    make_bank(place)
    data = place.read_bytes()[:-4096]
    place.write_bytes(data)
    state = pool.capture(place)
    assert state.facts == {"readable": 0} and pool.image(state) == data


def test_a_database_that_is_gone_is_an_error(pool: Pool, place: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pool.capture(place)
    assert KIND.look(place) == ()


NAMES = [
    "spa ce.db",
    "what?.db",
    "100%25.db",
    "a#b.db",
    "-dash.db",
    "ümläut.db",
    "a&b=c.db",
    "n\nl.db",
    "by\udcffte.db",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_any_name_can_be_captured(pool: Pool, tmp_path: Path, name: str, mode: str) -> None:
    folder = tmp_path / f"folder of {name}"
    folder.mkdir()
    place = folder / name
    make_bank(tmp_path / "made.db", mode)
    os.rename(tmp_path / "made.db", place)
    assert KIND.detect(place)
    assert pool.image(pool.capture(place)) == place.read_bytes()
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_link_is_followed_to_the_database_and_its_wal(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place, "wal")
    link = tmp_path / "link.db"
    link.symlink_to(place)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("INSERT INTO steps (filler) VALUES ('in the wal')")
        state = pool.capture(link)
        assert state.identity == pool.capture(place).identity
    assert KIND.companions(link) == KIND.companions(place)


def test_a_read_only_database_in_a_read_only_folder_is_captured(pool: Pool, place: Path) -> None:
    make_bank(place, "wal")
    data = place.read_bytes()
    place.chmod(0o400)
    place.parent.chmod(0o500)
    try:
        assert pool.image(pool.capture(place)) == data
    finally:
        place.parent.chmod(0o700)


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
def test_the_image_is_what_the_backup_api_gives(pool: Pool, place: Path, tmp_path: Path, page_size: int) -> None:
    make_bank(place, "wal", page_size)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.executemany("INSERT INTO steps (filler) VALUES (?)", [("x" * 500,) for _ in range(300)])
        connection.execute("PRAGMA wal_checkpoint")
        connection.execute("DELETE FROM steps WHERE id > 20")
        connection.execute("VACUUM")
        state = pool.capture(place)
        backup = backed_up(place, tmp_path / "backup.db")
    image = pool.image(state)
    assert len(image) == len(backup)
    assert image[100:] == backup[100:]
    assert state.identity == identify(tmp_path / "backup.db")


# what is remembered


def test_an_unchanged_database_costs_no_child(pool: Pool, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bank(place, "wal")
    settle()
    first = pool.capture(place)
    monkeypatch.setattr("chronos.memory.sqlite_reading.start_child", lambda *_: pytest.fail("a child was started"))
    second = pool.capture(place)
    assert (second.identity, second.files, second.facts) == (first.identity, first.files, first.facts)
    assert pool.stored_bytes == 0


def test_a_wal_that_is_given_to_the_owner_of_its_database_costs_no_child(
    pool: Pool, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bank(place, "wal")
    with closing(sqlite3.connect(place)) as application:
        application.execute("CREATE TABLE more (id INTEGER PRIMARY KEY)")
        settle()
        first = pool.capture(place)
        os.chown(f"{place}-wal", os.getuid(), os.getgid())  # as SQLite does whenever it opens one, if it is root's
        monkeypatch.setattr("chronos.memory.sqlite_reading.start_child", lambda *_: pytest.fail("a child was started"))
        assert pool.capture(place).identity == first.identity


def test_a_wal_that_comes_or_goes_is_a_change(pool: Pool, place: Path) -> None:
    make_bank(place, "wal")
    settle()
    at_rest = pool.capture(place)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("INSERT INTO steps (filler) VALUES ('one')")
        settle()
        with_wal = pool.capture(place)
        assert with_wal.identity != at_rest.identity
        settle()
        assert pool.capture(place).identity == with_wal.identity
        for suffix in ("-wal", "-shm"):
            os.rename(f"{place}{suffix}", f"{place}{suffix}.away")
        assert pool.capture(place).identity == at_rest.identity
        for suffix in ("-wal", "-shm"):
            os.rename(f"{place}{suffix}.away", f"{place}{suffix}")


def test_pieces_without_a_page_in_the_wal_are_not_read_again(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place, "wal")
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.executemany("INSERT INTO steps (filler) VALUES (?)", [("x" * 3000,) for _ in range(2000)])
        connection.execute("PRAGMA wal_checkpoint")
        settle()
        pool.capture(place)
        for number in (5, 1900, 700):
            connection.execute("UPDATE steps SET filler = 'changed' WHERE id = ?", (number,))
            settle()
            state = pool.capture(place)
            assert state.identity == identify(place)
            assert 0 < pool.stored_bytes < 600_000
        connection.execute("PRAGMA wal_checkpoint")
        moved = pool.capture(place)
        assert (moved.identity, moved.files) == (state.identity, state.files)
        assert pool.stored_bytes == 0


def test_a_piece_that_the_pool_lost_is_read_again(pool: Pool, place: Path) -> None:
    make_bank(place)
    settle()
    state = pool.capture(place)
    (content,) = (file.content for file in state.files)
    assert content is not None
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("INSERT INTO steps (filler) VALUES ('x')")
    lost = pool.chunk_ids(content)[0]
    pool.forget(lost)
    try:
        pool.capture(place)
    except MissingChunkError:
        pytest.fail("the loss was not healed")


def test_nothing_is_sent_to_a_sink_that_wants_no_bytes(pool: Pool, place: Path) -> None:
    make_bank(place)

    class Strict(HashingSink):
        def add_paged(self, size, runs, held):  # type: ignore[no-untyped-def]
            runs = list(runs)
            assert all(isinstance(run, bytes) for run in runs)
            return super().add_paged(size, runs, held)

    state = KIND.capture(place, pool.work(Strict()))
    assert state.files == pool.capture(place).files


def test_a_database_that_must_stay_out_is_neither_read_nor_replaced(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place)
    work = msgspec.structs.replace(pool.work(HashingSink()), may_take=lambda path, size: f"{path!r} of {size}")
    state = KIND.capture(place, work)
    size = place.stat().st_size
    assert state.files == []
    assert state.left_out == [LeftOut(b"", f"b'' of {size}", size)]
    assert len(KIND.replace(place, state, pool.replace_work(tmp_path / "trash"))) == 1
    assert check_bank(place) == 0


def test_attached_databases_are_stores_of_their_own(pool: Pool, place: Path, tmp_path: Path) -> None:
    make_bank(place, "delete")
    other = place.with_name("other.db")
    make_bank(other, "wal")
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),))
        connection.execute("BEGIN")
        connection.execute("INSERT INTO main.steps (filler) VALUES ('x')")
        connection.execute("INSERT INTO other.steps (filler) VALUES ('y')")
        connection.execute("COMMIT")
        assert check_bank(write_out(pool, place, tmp_path / "a")) == 1
        assert check_bank(write_out(pool, other, tmp_path / "b")) == 1


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_whose_last_page_is_cut_is_held_as_a_file_and_not_as_a_sound_database(
    tmp_path: Path, mode: str
) -> None:
    place = tmp_path / "cut.db"
    make_bank(place, mode)
    os.truncate(place, place.stat().st_size - 512)
    pool = Pool(tmp_path / "pool")
    state = pool.capture(place)
    assert not state.facts["readable"] and any("shorter than its header" in note for note in state.notes)
    assert pool.image(state) == place.read_bytes()
