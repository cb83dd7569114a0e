"""Pieces of a large database that have not changed are told by a keyed hash, and never one that has."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from chronos.checkpoints.memory import fact_key, stats_key
from chronos.memory import sqlite_macs, sqlite_reader
from chronos.memory.sqlite_files import wait_until_settled
from chronos.memory.sqlite_frames import ID_BYTES, PIECE_BYTES
from chronos.memory.sqlite_macs import MAC_BYTES, Macs
from chronos.memory.sqlite_pieces import Cutter
from chronos.memory.sqlite_view import open_view
from chronos.stat_cache import ContentFact
from tests.support import RepoBuilder

DB = "data/memory/agent.db"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database of some 5 MB, which is called large."""
    monkeypatch.setattr(sqlite_macs, "LEAST_BYTES", 1)
    place = tmp_path / "large.db"
    with closing(sqlite3.connect(place)) as database, database:
        database.execute("CREATE TABLE rows (filler BLOB)")
        database.executemany("INSERT INTO rows VALUES (?)", [(os.urandom(3000),) for _ in range(1600)])
    return place


class Named(list[bytes]):
    """Counts the pieces that are named by their bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite_macs, "blake3", lambda piece: self.append(bytes(piece)) or blake3(piece))
        monkeypatch.setattr("os.fork", refuse)  # all is done here, and seen


def test_only_what_has_changed_is_named_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ids_of(place)
    first = cut(place, ids, Macs.new())
    assert len(first.codes) == len(ids) // ID_BYTES * MAC_BYTES
    named = Named(monkeypatch)
    again = cut(place, ids, first)
    assert (again, named) == (first, [])
    alter(place, at=7 * PIECE_BYTES + 5000, by=1)
    alter(place, at=40 * PIECE_BYTES, by=128)
    third = cut(place, ids, first)
    changed = place.read_bytes()
    assert named == [changed[at * PIECE_BYTES : (at + 1) * PIECE_BYTES] for at in (7, 40)]
    differing = [at for at in range(len(ids) // ID_BYTES) if third.within(at, at + 1) != first.within(at, at + 1)]
    assert differing == [7, 40]


def test_what_is_sent_is_the_same_with_and_without(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fork", refuse)  # what comes again is sent once by each process
    before, macs = ids_of(place), cut(place, ids_of(place), Macs.new())
    for work in ("INSERT INTO rows SELECT filler FROM rows LIMIT 70", "DELETE FROM rows WHERE rowid > 1500", "VACUUM"):
        with closing(sqlite3.connect(place, isolation_level=None)) as database:
            database.execute(work)
        assert sent(place, before, macs) == sent(place, before, None)
    for at in (60, 9 * PIECE_BYTES, place.stat().st_size - 1):
        alter(place, at=at, by=3)
        assert sent(place, before, macs) == sent(place, before, None)


@pytest.mark.parametrize("codes", ["none", "short", "shifted", "of another key", "zeros"])
def test_codes_that_do_not_belong_name_nothing(place: Path, codes: str) -> None:
    ids, macs = ids_of(place), cut(place, ids_of(place), Macs.new())
    wrong = {
        "none": Macs(macs.key),
        "short": Macs(macs.key, macs.codes[: 5 * MAC_BYTES + 3]),
        "shifted": Macs(macs.key, macs.codes[MAC_BYTES:]),
        "of another key": Macs(Macs.new().key, macs.codes),
        "zeros": Macs(macs.key, bytes(len(macs.codes))),
    }[codes]
    found = cut(place, ids, wrong)
    assert sent(place, ids, wrong) == sent(place, ids, None)
    assert found == (cut(place, ids, Macs(wrong.key)))


def test_codes_without_the_ids_of_their_pieces_name_nothing(place: Path) -> None:
    ids, macs = ids_of(place), cut(place, ids_of(place), Macs.new())
    for known in (b"", ids[: 20 * ID_BYTES]):
        assert sent(place, known, macs) == sent(place, known, None)


def test_each_database_has_a_key_of_its_own() -> None:
    keys = {Macs.new().key for _ in range(100)}
    assert len(keys) == 100 and {len(key) for key in keys} == {16}


def test_without_the_library_all_is_named_by_its_bytes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, macs = ids_of(place), cut(place, ids_of(place), Macs.new())
    monkeypatch.setattr("os.fork", refuse)
    expected = sent(place, ids, None)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    assert sent(place, ids, macs) == expected
    assert cut(place, ids, macs).codes.strip(b"\0") == b""
    monkeypatch.setattr("importlib.util.find_spec", partial(find_other_than, "cryptography", importlib.util.find_spec))
    assert sqlite_reader._import_folders()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_large_database_is_checkpointed_piece_by_piece_and_comes_back(repo: RepoBuilder, mode: str) -> None:
    place = make_large(repo, mode)
    engine, wanted, keys = repo.engine(), {}, set()
    for step in range(5):  # the first has no codes to go by; in the third, pages of a -wal lie over the file
        keep = write(place, step * 50 + 1)
        if step != 2 or mode == "delete":
            keep.close()
        if step == 3:
            wait_until_settled(os.fsencode(place), time.monotonic() + 5)  # the others are read before
            engine.status()
        wanted[engine.create_checkpoint(f"step {step}")] = dump_of(place)
        keep.close()
        key, codes = fact_of(repo, place)
        keys.add(key)
        assert len(codes) == -(-place.stat().st_size // PIECE_BYTES) * MAC_BYTES
    assert len(keys) == 1  # codes that are not found are begun anew, with another key
    for checkpoint, rows in wanted.items():
        engine.restore_checkpoint(checkpoint)
        assert dump_of(place) == rows
    assert [found for found in engine.verify(deep=True) if found.severity] == []


def test_a_damaged_row_costs_nothing_but_time(repo: RepoBuilder) -> None:
    place = make_large(repo, "delete")
    engine = repo.engine()
    engine.create_checkpoint("first")
    key, _ = fact_of(repo, place)
    for step, length in enumerate((0, 1, 15, 16, 17, None)):
        with closing(sqlite3.connect(catalog_of(repo), isolation_level=None)) as catalog:
            ((packed,),) = read_row(catalog, place)
            fact = msgspec.msgpack.decode(packed, type=ContentFact)
            cut_short = b"nonsense" if length is None else msgspec.msgpack.encode((fact.content, fact.value[:length]))
            catalog.execute("UPDATE stats SET content = ? WHERE content = ?", (cut_short, packed))
        write(place, step + 1).close()
        wanted, checkpoint = dump_of(place), engine.create_checkpoint(f"step {step}")
        write(place, step + 1).close()
        engine.restore_checkpoint(checkpoint)
        assert dump_of(place) == wanted
        assert len(fact_of(repo, place)[1]) == -(-place.stat().st_size // PIECE_BYTES) * MAC_BYTES
    assert fact_of(repo, place)[0] != key


def test_the_codes_go_when_their_content_does(repo: RepoBuilder) -> None:
    place = make_large(repo, "delete")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("first")
    place.unlink()
    engine.delete_checkpoint(checkpoint)
    assert fact_of(repo, place)
    engine.gc(deleted=True)
    with closing(sqlite3.connect(catalog_of(repo))) as catalog:
        assert read_row(catalog, place) == []


def ids_of(place: Path) -> bytes:
    """Return the ids of a database's pieces, back to back."""
    data = place.read_bytes()
    return b"".join(blake3(data[at : at + PIECE_BYTES]).digest() for at in range(0, len(data), PIECE_BYTES))


def alter(place: Path, *, at: int, by: int) -> None:
    """Change one byte of a file."""
    with open(place, "r+b") as database:
        database.seek(at)
        (old,) = database.read(1)
        database.seek(at)
        database.write(bytes([old ^ by]))


def cut(place: Path, known: bytes, macs: Macs) -> Macs:
    """Return the codes of all pieces."""
    return Macs(macs.key, bytes(_cut(place, known, macs)[0].codes))


def sent(place: Path, known: bytes, macs: Macs | None) -> tuple[bytes, str]:
    """Return all that is sent of a database, and its identity."""
    cutter, data = _cut(place, known, macs)
    return data, cutter.identity()


def _cut(place: Path, known: bytes, macs: Macs | None) -> tuple[Cutter, bytes]:
    view = open_view(os.fsencode(place), time.monotonic() + 10)
    with tempfile.TemporaryFile() as stream:
        try:
            cutter = Cutter(stream, known, lambda: lambda piece: (0, bytes(piece)), macs)  # type: ignore[arg-type]
            for part, pages in view.parts.items():
                cutter.cut(part, pages, is_database=True)
        finally:
            view.close()
        stream.seek(0)
        return cutter, stream.read()


def dump_of(place: Path) -> list[tuple[object, ...]]:
    """Return what is in the rows that were written to."""
    with closing(sqlite3.connect(place)) as database:
        return database.execute("SELECT id, filler FROM rows WHERE length(filler) < 1000").fetchall()


def make_large(repo: RepoBuilder, mode: str) -> Path:
    """Make a database of 300 MB in a repository."""
    repo.write(".gitignore", "data/\n")
    repo.commit()
    place = repo.path(DB)
    place.parent.mkdir(parents=True)
    with closing(sqlite3.connect(place, isolation_level=None)) as database:
        database.execute("PRAGMA page_size = 65536")
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, filler BLOB)")
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
            "INSERT INTO rows SELECT i, zeroblob(1 << 20) FROM n"
        )
    return place


def write(place: Path, row: int) -> sqlite3.Connection:
    """Change a row; return what keeps its page in the -wal as long as it is open."""
    keep = sqlite3.connect(place, isolation_level=None)
    keep.execute("UPDATE rows SET filler = randomblob(100) WHERE id = ?", (row,))
    return keep


def fact_of(repo: RepoBuilder, place: Path) -> tuple[bytes, bytes]:
    """Return the key and the codes that are remembered of a database."""
    with closing(sqlite3.connect(catalog_of(repo))) as catalog:
        ((packed,),) = read_row(catalog, place)
    macs = Macs.unpack(msgspec.msgpack.decode(packed, type=ContentFact).value)
    assert macs is not None
    return macs.key, macs.codes


def read_row(catalog: sqlite3.Connection, place: Path) -> list[tuple[bytes]]:
    key = fact_key(stats_key(place))
    return catalog.execute("SELECT content FROM stats WHERE component = ?", (key,)).fetchall()


def catalog_of(repo: RepoBuilder) -> Path:
    return repo.path("data/timelines/.store/catalog.sqlite")


def find_other_than(hidden: str, find: Callable[[str], object], name: str) -> object:
    return None if name == hidden else find(name)


def refuse() -> int:
    """Be a system without room for another process."""
    raise BlockingIOError("no more processes")
