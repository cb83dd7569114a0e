"""A pool, databases and writers to try the SQLite kind with."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from chronos.layout import ChunkLocation
from chronos.memory import CaptureWork, Present, ReplaceWork, StoreState
from chronos.memory.sqlite import SqliteKind
from chronos.pool import Content, ContentSink, HashingSink, PoolReader, PoolWriter
from chronos.stat_cache import StatCache

KIND = SqliteKind()
SUFFIXES = ("", "-wal", "-shm", "-journal")
# Two accounts between which every transaction moves money: their sum is the invariant.
TOTAL = 1000
_BANK = """
CREATE TABLE IF NOT EXISTS left_side (id INTEGER PRIMARY KEY, amount INT, filler TEXT);
CREATE TABLE IF NOT EXISTS right_side (id INTEGER PRIMARY KEY, amount INT, filler TEXT);
CREATE TABLE IF NOT EXISTS steps (id INTEGER PRIMARY KEY, filler TEXT);
"""
_WRITER = """
import random, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("PRAGMA synchronous=OFF")
connection.execute("PRAGMA cache_size=20")
print(connection.execute(f"PRAGMA journal_mode={sys.argv[2]}").fetchone(), flush=True)
while True:
    connection.execute("BEGIN IMMEDIATE")
    amount, row = random.randint(-9, 9), random.randint(1, 10)
    filler = "x" * random.randint(0, 3000)
    connection.execute("UPDATE left_side SET amount = amount + ?, filler = ? WHERE id = ?", (amount, filler, row))
    connection.execute("UPDATE right_side SET amount = amount - ?, filler = ? WHERE id = ?", (amount, filler, row))
    connection.execute("INSERT INTO steps (filler) VALUES (?)", (filler,))
    connection.execute("DELETE FROM steps WHERE id < (SELECT max(id) FROM steps) - ?", (random.randint(20, 200),))
    connection.execute("COMMIT" if random.random() < 0.9 else "ROLLBACK")
"""


class Pool:
    """Captures go in, contents come out; what one capture remembers of files is known to the next."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._chunks: dict[bytes, list[tuple[Path, ChunkLocation]]] = {}
        self.reader = PoolReader(lambda chunk_id: self._chunks.get(chunk_id, []))
        self.stats = StatCache({})
        self.stored_bytes = 0

    def capture(self, place: Path, *, timeout_s: float = 5.0, remembers: bool = True) -> StoreState:
        """Capture into the pool."""
        self.stats = StatCache(self.stats.known | self.stats.fresh if remembers else {})
        writer = PoolWriter(self._next_folder(), self._chunks.__contains__)
        state = KIND.capture(place, self.work(writer, timeout_s))
        packs = writer.finish()
        self.stored_bytes = sum(pack.size for pack in packs)
        for pack in packs:
            for chunk_id, location in pack.chunks:
                self._chunks.setdefault(chunk_id, []).append((pack.path, location))
        return state

    def work(self, sink: ContentSink, timeout_s: float = 5.0) -> CaptureWork:
        return CaptureWork(sink, self.stats, self.chunk_ids, lambda _path, _size: None, timeout_s)

    def chunk_ids(self, content: Content) -> Sequence[bytes]:
        ids = self.reader.chunk_ids(content)
        return ids if content.chunks is None else ids[1:]

    def image(self, state: StoreState) -> bytes:
        """Return the bytes of the one file of a state."""
        (file,) = state.files
        assert file.path == b"" and file.content is not None
        return b"".join(self.reader.iter_content(file.content))

    def replace_work(
        self,
        trash: Path,
        expected: tuple[object, ...] | None = None,
        timeout_s: float = 0.2,
        present: StoreState | None = None,
        was_read: bool = False,
    ) -> ReplaceWork:
        """`was_read` says that the last capture has read what is there; it counts where that capture remembers it."""
        trash.mkdir(exist_ok=True)
        known = self.present(present, was_read) if present is not None else None
        stats = StatCache(self.stats.fresh)
        return ReplaceWork(self.reader.iter_content, trash, expected, timeout_s, present=known, stats=stats)

    def present(self, state: StoreState, was_read: bool = False) -> Present:
        """Say that `state` is what stands at a place."""
        return Present(state, self.chunk_ids, self.reader.iter_chunks, was_read)

    def forget(self, chunk_id: bytes) -> None:
        del self._chunks[chunk_id]

    def _next_folder(self) -> Path:
        folder = self._folder / str(len(list(self._folder.iterdir())))
        folder.mkdir()
        return folder


def identify(place: Path) -> str:
    """Return the identity of what stands at a place, read anew."""
    return KIND.capture(
        place, CaptureWork(HashingSink(), StatCache({}), lambda _: (), lambda _p, _s: None, 5.0)
    ).identity


def make_bank(place: Path, mode: str = "delete", page_size: int = 4096) -> None:
    """Make a database of the two sides."""
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.executescript(_BANK)
        for side in ("left_side", "right_side"):
            connection.executemany(
                f"INSERT INTO {side} (amount, filler) VALUES (?, '')", [(TOTAL // 20,) for _ in range(10)]
            )


def check_bank(image: Path) -> int:
    """Check an image by everything that SQLite and the invariant know; return the number of steps in it."""
    with closing(sqlite3.connect(image)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        (total,) = connection.execute(
            "SELECT (SELECT sum(amount) FROM left_side) + (SELECT sum(amount) FROM right_side)"
        ).fetchone()
        assert total == TOTAL
        for table in ("left_side", "right_side", "steps"):
            connection.execute(f"SELECT * FROM {table}").fetchall()
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM steps").fetchone()[0])


@contextmanager
def writing(place: Path, mode: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that writes without a pause for the length of the block."""
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(place), mode], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
            assert process.poll() is None, "the writer died"
        finally:
            process.kill()


def settle() -> None:
    """Wait until files that were just written count as settled."""
    time.sleep(0.08)


def listing(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder with their bytes; a -shm, which is only an index, without."""
    return {p.name: b"" if p.name.endswith("-shm") else p.read_bytes() for p in folder.iterdir() if p.is_file()}
