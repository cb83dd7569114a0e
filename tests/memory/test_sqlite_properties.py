"""Over any transactions, page sizes, checkpoints and journal modes, an image is what the backup API gives."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.memory.sqlite_world import KIND, Pool, identify, settle

_STEP = st.one_of(
    st.tuples(st.just("insert"), st.integers(1, 60), st.integers(0, 6000)),
    st.tuples(st.just("update"), st.integers(1, 200), st.integers(0, 3000)),
    st.tuples(st.just("delete"), st.integers(1, 200), st.just(0)),
    st.tuples(st.just("index"), st.just(0), st.just(0)),
    st.tuples(st.just("rollback"), st.integers(1, 40), st.integers(0, 3000)),
    st.tuples(st.just("checkpoint"), st.sampled_from([0, 1, 2, 3]), st.just(0)),
    st.tuples(st.just("vacuum"), st.just(0), st.just(0)),
    st.tuples(st.just("capture"), st.integers(0, 1), st.just(0)),
)
_CHECKPOINTS = ("PASSIVE", "FULL", "RESTART", "TRUNCATE")


def apply(connection: sqlite3.Connection, step: tuple[str, int, int]) -> None:
    what, number, size = step
    if what == "insert":
        connection.executemany("INSERT INTO t (v) VALUES (randomblob(?))", [(size,)] * number)
    elif what == "update":
        connection.execute("UPDATE t SET v = zeroblob(?) WHERE id % ? = 0", (size, number))
    elif what == "delete":
        connection.execute("DELETE FROM t WHERE id % ? = 0", (number,))
    elif what == "index":
        connection.execute("CREATE INDEX IF NOT EXISTS by_value ON t (v)")
    elif what == "rollback":
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t (v) VALUES (randomblob(?))", [(size,)] * number)
        connection.execute("ROLLBACK")
    elif what == "checkpoint":
        connection.execute(f"PRAGMA wal_checkpoint({_CHECKPOINTS[number]})")
    elif what == "vacuum":
        connection.execute("VACUUM")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([512, 1024, 4096, 8192, 65536]),
    st.sampled_from(["wal", "delete", "truncate", "persist"]),
    st.sampled_from(["NONE", "FULL"]),
    st.lists(_STEP, max_size=12),
)
def test_an_image_equals_what_the_backup_api_copies(
    page_size: int, mode: str, vacuum: str, steps: list[tuple[str, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool, place, backup = Pool(folder / "pool"), folder / "t.db", folder / "backup.db"
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA page_size={page_size}")
            connection.execute(f"PRAGMA auto_vacuum={vacuum}")
            connection.execute(f"PRAGMA journal_mode={mode}")
            connection.execute("PRAGMA cache_size=4")
            connection.execute("PRAGMA wal_autocheckpoint=40")
            connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)")
            for step in [*steps, ("capture", 1, 0)]:
                if step[0] != "capture":
                    apply(connection, step)
                    continue
                if step[1]:
                    settle()
                state = pool.capture(place)
                backup.unlink(missing_ok=True)
                with closing(sqlite3.connect(backup)) as copy:
                    connection.backup(copy)
                image, copied = pool.image(state), backup.read_bytes()
                assert len(image) == len(copied)
                assert image[100:] == copied[100:]
                assert state.identity == identify(backup)
        (folder / "out").mkdir()
        with closing(sqlite3.connect(KIND.write_out(folder / "out", state, pool.reader.iter_content))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
