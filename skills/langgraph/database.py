"""The database of graph checkpoints: opening it, its layout, transactions, and what SQLite's errors mean.

One connection serves all threads, one transaction at a time; no transaction outlives a call. Processes share the
database through the WAL. When another file stands at its place (a restore of chrono, or somebody's `mv`) or the process
was forked, it is opened anew; when a restore emptied it, it gets its layout again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chronos.catalog import find_error_kind
from chronos.errors import LockedError, NewerFormatError, UnreadableStoreError, UsageError
from chronos.files import display

# The mark of our databases in the header (sqlite.org/pragma.html#pragma_application_id): "ChrG".
_APPLICATION = 0x43687247
_VERSION = 1
# Contents are named by their hash and may belong to many rows: what two threads, steps or a write and its channel have
# in common is stored once. Large ones have no `data` and are cut into pieces, which they share with others: a list that
# grows at every step costs what is new in it. `versions` is JSON, from channels to their versions at that checkpoint.
_LAYOUT = """
CREATE TABLE checkpoints (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL, checkpoint_id TEXT NOT NULL,
    parent_id TEXT, run_id TEXT, chrono_id TEXT, versions TEXT NOT NULL,
    type TEXT NOT NULL, data BLOB NOT NULL, metadata_type TEXT NOT NULL, metadata BLOB NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE INDEX checkpoints_by_thread ON checkpoints (thread_id, checkpoint_id);
CREATE INDEX checkpoints_by_id ON checkpoints (checkpoint_id);
CREATE INDEX checkpoints_by_run ON checkpoints (run_id) WHERE run_id IS NOT NULL;
CREATE TABLE channels (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL, channel TEXT NOT NULL, version TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
) WITHOUT ROWID;
CREATE INDEX channels_by_content ON channels (content);
CREATE TABLE writes (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL, checkpoint_id TEXT NOT NULL, task_id TEXT NOT NULL,
    idx INTEGER NOT NULL, task_path TEXT NOT NULL, channel TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
) WITHOUT ROWID;
CREATE INDEX writes_by_content ON writes (content);
CREATE TABLE contents (id BLOB PRIMARY KEY, type TEXT NOT NULL, data BLOB);
CREATE TABLE parts (
    content BLOB NOT NULL, position INTEGER NOT NULL, piece BLOB NOT NULL, PRIMARY KEY (content, position)
) WITHOUT ROWID;
CREATE INDEX parts_by_piece ON parts (piece);
CREATE TABLE pieces (id BLOB PRIMARY KEY, data BLOB NOT NULL)
"""
# Connections of a parent process: closing one here could take its `-wal` away.
_inherited: list[sqlite3.Connection] = []


class GraphDatabase:
    """The database at one path. Nothing is opened before the first transaction."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] | None = None

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the connection inside of one transaction: all or nothing of it is stored, durably at the end.

        Raises LockedError, StorageError, UnreadableStoreError, NewerFormatError.
        """
        with self._lock, _translated(self.path):
            connection = self._begin(write)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def give_back(self) -> None:
        """Give free pages back to the disk, as far as nobody is reading."""
        with self._lock, _translated(self.path):
            if self._connection is not None:
                # One step of the pragma frees one page, and only executescript takes them all.
                self._connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the database; the next transaction opens it again."""
        with self._lock, _translated(self.path):
            self._forget()

    def _begin(self, write: bool) -> sqlite3.Connection:
        for _ in range(2):
            connection = self._ready()
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            if _number(connection, "user_version") == _VERSION:
                return connection
            connection.execute("ROLLBACK")  # a restore has emptied it
            self._prepare(connection)
        raise LockedError(f"{display(str(self.path))} is replaced over and over", hint="wait for whoever does it")

    def _ready(self) -> sqlite3.Connection:
        if self._connection is not None and self._opened != self._look():
            self._forget()
        if self._connection is None:
            connection = sqlite3.connect(
                self.path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._opened = connection, self._look()
        return self._connection

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return os.getpid(), found.st_dev, found.st_ino

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._opened is not None and self._opened[0] != os.getpid():
            _inherited.append(connection)
        elif connection is not None:
            connection.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check whose database it is, and give an empty one its layout."""
        if self._is_ours(connection):
            return
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        with suppress(sqlite3.OperationalError):  # busy at once while another process does the same
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not self._is_ours(connection):  # nobody was quicker
                for statement in _LAYOUT.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={_APPLICATION}")
                connection.execute(f"PRAGMA user_version={_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _is_ours(self, connection: sqlite3.Connection) -> bool:
        """Tell whether the layout is there; False where nothing is. Raises UnreadableStoreError, NewerFormatError."""
        version, shown = _number(connection, "user_version"), display(str(self.path))
        if _number(connection, "application_id") == _APPLICATION:
            if version > _VERSION:
                raise NewerFormatError(f"{shown} was written by a newer chronomancer (layout {version})")
            return True
        if version or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise UnreadableStoreError(
                f"{shown} is a database of something else",
                hint="give ChronoSaver a path of its own; nothing was touched",
            )
        return False


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    found: int = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return found


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeEncodeError as cause:
        raise UsageError(f"{cause.object[:60]!r} cannot be stored: it is no text", hint="use ids of text") from cause
    except sqlite3.Error as cause:
        shown = display(str(path))
        kind = find_error_kind(cause)
        if kind is LockedError:
            raise LockedError(f"{shown} is locked: {cause}", hint="wait for whoever writes to it") from cause
        if kind is not None:
            raise kind(f"{shown}: {cause}") from cause
        raise UnreadableStoreError(
            f"{shown} cannot be read as a database of graph checkpoints: {cause}",
            hint="bring it back with `chrono checkpoint restore ID --memory`, or move it away",
        ) from cause
