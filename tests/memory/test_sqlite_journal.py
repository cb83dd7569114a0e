"""SQLite itself rolls back from a journal that we wrote, whatever was overwritten, cut off or grew."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chronos.memory.sqlite_journal import PENDING_BYTE, RollbackJournal, write_at
from tests.memory.sqlite_world import KIND, Pool, make_bank, settle

_PAGE = 65536
_LOCK_PAGE = PENDING_BYTE // _PAGE + 1


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "db").mkdir()
    return tmp_path / "db" / "memory.db"


def journal_of(place: Path, main: int, page_size: int) -> RollbackJournal:
    return RollbackJournal(os.fsencode(place), os.fsencode(place.with_name("draft")), main, page_size)


def make_sparse(place: Path, pages: int) -> None:
    """Make a database of `pages` pages of 64 KiB that are free but for the first few, and holes.

    The free pages on both sides of the one that SQLite keeps for its locks will be used first.
    """
    make_bank(place, "delete", _PAGE)
    used = place.stat().st_size // _PAGE
    around = [n for n in (_LOCK_PAGE - 1, *range(_LOCK_PAGE + 1, _LOCK_PAGE + 4)) if n <= pages]
    trunks = [used + 1, used + 2]
    free = [n for n in range(used + 3, pages + 1) if n != _LOCK_PAGE and n not in around]
    leaves = [[*around, *free[:8000]], free[8000:]]
    with place.open("r+b") as file:
        file.truncate(pages * _PAGE)
        for number, following, listed in zip(trunks, [trunks[1], 0], leaves, strict=True):
            words = [following, len(listed), *listed]
            file.seek((number - 1) * _PAGE)
            file.write(b"".join(word.to_bytes(4, "big") for word in words))
        file.seek(28)
        for word in (pages, trunks[0], len(trunks) + sum(map(len, leaves))):
            file.write(word.to_bytes(4, "big"))
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]


def add_steps(place: Path, count: int) -> None:
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.executemany("INSERT INTO steps (filler) VALUES (?)", [(f"{n}" * 70_000,) for n in range(count)])


def samples(place: Path) -> list[bytes]:
    """Return what is at the start, around the page for locks and at the end."""
    with place.open("rb") as file:
        found = []
        for page in (*range(1, 8), *range(_LOCK_PAGE - 2, _LOCK_PAGE + 6)):
            file.seek((page - 1) * _PAGE)
            found.append(file.read(_PAGE))
    return [*found, str(place.stat().st_size).encode()]


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("growth", [-3, 0, 3])
def test_sqlite_brings_the_old_pages_back(place: Path, mode: str, page_size: int, growth: int) -> None:
    make_bank(place, mode, page_size)
    place.chmod(0o640)
    before = place.read_bytes()
    main = os.open(place, os.O_RDWR)
    journal = journal_of(place, main, page_size)
    pages = range(1, len(before) // page_size + 1)
    for number in pages:
        if number in (1, 2) or number > len(pages) + growth:
            journal.add(number, before[(number - 1) * page_size : number * page_size])
    journal.seal()
    write_at(main, b"\xee" * (2 * page_size), 0)
    os.ftruncate(main, len(before) + growth * page_size)
    journal.close()
    os.close(main)
    left = Path(f"{place}-journal")
    assert left.stat().st_mode & 0o777 == 0o640 and {p.name for p in place.parent.iterdir()} == {place.name, left.name}
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert place.read_bytes() == before and not left.exists()


@pytest.mark.parametrize("is_committed", [True, False])
def test_what_we_roll_back_or_commit_leaves_no_journal(place: Path, is_committed: bool) -> None:
    make_bank(place)
    before = place.read_bytes()
    main = os.open(place, os.O_RDWR)
    journal = journal_of(place, main, 4096)
    journal.add(1, before[:4096])
    journal.seal()
    write_at(main, bytes(4096), 0)
    if is_committed:
        journal.commit()
    journal.roll_back()
    journal.close()
    os.close(main)
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert (place.read_bytes() == before) is not is_committed


def test_a_database_of_more_than_a_gib_changes_on_both_sides_of_the_page_for_locks(place: Path, tmp_path: Path) -> None:
    pool = Pool(tmp_path / "pool")
    make_sparse(place, _LOCK_PAGE + 20)
    states, seen = [], []
    for count in (0, 4, 3):
        add_steps(place, count)
        settle()
        states.append(pool.capture(place))
        seen.append(samples(place))
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("DELETE FROM steps")
        connection.execute("VACUUM")  # far below one GiB
    small = pool.capture(place)
    inode, at = place.stat().st_ino, 3
    states.append(small)
    seen.append(samples(place))
    for wanted in (0, 1, 2, 0, 3):
        work = pool.replace_work(tmp_path / f"trash{wanted}", KIND.look(place), present=states[at])
        assert KIND.replace(place, states[wanted], work) == []
        assert samples(place) == seen[wanted]
        if 3 not in (at, wanted):
            assert place.stat().st_ino == inode, (at, wanted)
        inode, at = place.stat().st_ino, wanted
        with closing(sqlite3.connect(place)) as connection:
            assert connection.execute("SELECT count(*) FROM steps").fetchone() == ((0, 4, 7, 0)[wanted],)


def test_a_database_grows_and_shrinks_across_the_page_for_locks(place: Path, tmp_path: Path) -> None:
    pool, other = Pool(tmp_path / "pool"), place.with_name("other.db")
    make_sparse(place, _LOCK_PAGE - 1)
    make_sparse(other, _LOCK_PAGE + 5)
    add_steps(other, 3)
    settle()
    small, large = pool.capture(place), pool.capture(other)
    inode, wanted = place.stat().st_ino, samples(other)
    os.unlink(other)
    for state, present, count in ((large, small, 3), (small, large, 0)):
        work = pool.replace_work(tmp_path / "trash", KIND.look(place), present=present)
        assert KIND.replace(place, state, work) == []
        assert place.stat().st_ino == inode and (samples(place) == wanted) is (state is large)
        with closing(sqlite3.connect(place)) as connection:
            assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            assert connection.execute("SELECT count(*) FROM steps").fetchone() == (count,)


def test_sqlite_rolls_back_around_the_page_for_locks(place: Path) -> None:
    make_sparse(place, _LOCK_PAGE + 20)
    add_steps(place, 4)
    before = samples(place)
    main = os.open(place, os.O_RDWR)
    journal = journal_of(place, main, _PAGE)
    for number in (_LOCK_PAGE - 1, *range(_LOCK_PAGE + 1, _LOCK_PAGE + 21)):
        journal.add(number, os.pread(main, _PAGE, (number - 1) * _PAGE))
    journal.seal()
    write_at(main, b"\xee" * _PAGE, (_LOCK_PAGE - 2) * _PAGE)
    os.ftruncate(main, (_LOCK_PAGE - 1) * _PAGE)
    journal.close()
    os.close(main)
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    assert samples(place) == before
