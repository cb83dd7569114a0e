"""The catalog's one door to SQLite.

Truth is the folders. Each timeline's folder times are kept beside its rows, so a look tells whether they still agree;
WAL with `synchronous=NORMAL` may forget the last writes at a power cut (the times then differ) but is never corrupted
by one. A full, locked or read-only file is said as such; every other SQLite error becomes CatalogDamagedError,
and the answer to that is to throw the file away.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from chronos.catalog.rows import CheckpointRow, ChunkRow, StatRow, TimelineMark
from chronos.catalog.schema import SCHEMA, VERSION
from chronos.errors import CatalogDamagedError, ChronosError, LockedError, StorageError
from chronos.layout import ChunkLocation

_BUSY_MS = 10_000
_PAUSE_S = 0.01
# SQLite before 3.32 takes 999 variables.
_IDS_AT_ONCE = 900
# The primary result codes (sqlite.org/rescode.html) that say nothing about the file itself; all others mean damage.
_ERRORS: dict[int, type[ChronosError]] = {
    sqlite3.SQLITE_BUSY: LockedError,
    sqlite3.SQLITE_LOCKED: LockedError,
    sqlite3.SQLITE_FULL: StorageError,
    sqlite3.SQLITE_IOERR: StorageError,
    sqlite3.SQLITE_READONLY: StorageError,
    sqlite3.SQLITE_CANTOPEN: StorageError,
    sqlite3.SQLITE_PERM: StorageError,
}
_CHECKPOINT_COLUMNS = (
    "id, timeline, sequence, name, description, parent, created_at, trigger, tags, files_changed, grade, state, "
    "deleted, other_parents, pinned, verdict"
)
_NO_SAFETY = "trigger <> 'safety'"
_CHECKPOINT_FIELDS = CheckpointRow.__struct_fields__


def open_catalog(path: Path | None) -> Catalog:
    """Open the catalog at `path`, making an empty one where there is none; None keeps it in memory.

    Raises CatalogDamagedError, LockedError or StorageError.
    """
    if path is not None and path.is_dir():
        raise CatalogDamagedError(f"{path} is a folder")
    with _translate():
        connection = sqlite3.connect(path or ":memory:", timeout=_BUSY_MS / 1000, isolation_level=None)
    try:
        with _translate():
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA recursive_triggers=ON")  # else replacing a row would not count as a delete
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                _create_schema(connection)
            elif version != VERSION:
                raise CatalogDamagedError("the catalog has another version")
    except BaseException:
        connection.close()
        raise
    return Catalog(connection)


class Catalog:
    """Queries and updates. Every method that writes is one transaction, or joins the `transaction()` around it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def clear(self) -> None:
        """Forget everything, in one transaction."""
        with self.transaction():
            for table in ("timelines", "checkpoints", "packs", "chunks", "stats", "facts"):
                self._run(f"DELETE FROM {table}", [()])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all writes in the block one transaction."""
        with _translate():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        with _translate():
            self._connection.execute("COMMIT")

    # timelines

    def find_mark(self, timeline: str) -> TimelineMark | None:
        """Return the folder times at which the rows of `timeline` were last true."""
        rows = self._all("SELECT folder_ns, packs_ns, deleted_ns FROM timelines WHERE name = ?", (timeline,))
        return TimelineMark(*rows[0]) if rows else None

    def set_mark(self, timeline: str, mark: TimelineMark) -> None:
        """Record that the rows of `timeline` are true at these folder times."""
        self._run(
            "INSERT OR REPLACE INTO timelines VALUES (?, ?, ?, ?)",
            [(timeline, mark.folder_ns, mark.packs_ns, mark.deleted_ns)],
        )

    def timelines(self) -> list[str]:
        """Return the names of all indexed timelines."""
        return [row[0] for row in self._all("SELECT name FROM timelines ORDER BY name")]

    def forget_timeline(self, timeline: str) -> None:
        """Drop every row of a timeline whose folder is gone."""
        self._run("DELETE FROM checkpoints WHERE timeline = ?", [(timeline,)])
        self._run("DELETE FROM timelines WHERE name = ?", [(timeline,)])
        self.remove_packs(timeline, self.pack_sizes(timeline))

    # checkpoints

    def add_checkpoint(self, row: CheckpointRow, own_bytes: int) -> None:
        """Add or replace a checkpoint whose folder takes `own_bytes`, but for its part of files that others share."""
        values = (
            row.checkpoint_id, row.timeline, row.sequence, row.name, row.description, row.parent, row.created_at,
            row.trigger, _to_json(row.tags), row.files_changed, row.grade, row.state, int(row.deleted),
            _to_json(row.other_parents), int(row.pinned), row.verdict, own_bytes,
        )  # fmt: skip
        self._run(f"INSERT OR REPLACE INTO checkpoints VALUES ({', '.join('?' * len(values))})", [values])

    def set_annotated(self, row: CheckpointRow) -> None:
        """Record the tags, the pin, the verdict and the description of a row."""
        self._run(
            "UPDATE checkpoints SET tags = ?, pinned = ?, verdict = ?, description = ? WHERE id = ?",
            [(_to_json(row.tags), int(row.pinned), row.verdict, row.description, row.checkpoint_id)],
        )

    def remove_checkpoints(self, checkpoint_ids: Iterable[str]) -> None:
        """Drop the rows of checkpoints."""
        self._run("DELETE FROM checkpoints WHERE id = ?", [(checkpoint_id,) for checkpoint_id in checkpoint_ids])

    def set_deleted(self, checkpoint_id: str, deleted: bool) -> None:
        """Mark a checkpoint as deleted, or as back."""
        self._run("UPDATE checkpoints SET deleted = ? WHERE id = ?", [(int(deleted), checkpoint_id)])

    def list_checkpoints(
        self,
        timeline: str | None = None,
        *,
        limit: int = -1,
        offset: int = 0,
        deleted: bool = False,
        safety: bool = True,
    ) -> list[CheckpointRow]:
        """Return checkpoints, the newest first; with `safety=False` without those that restores took."""
        where, values = "deleted = ?" if safety else f"deleted = ? AND {_NO_SAFETY}", [int(deleted)]
        if timeline is not None:
            return self._checkpoints(
                f"{where} AND timeline = ? ORDER BY sequence DESC LIMIT ? OFFSET ?", [*values, timeline, limit, offset]
            )
        return self._checkpoints(
            f"{where} ORDER BY created_at DESC, sequence DESC LIMIT ? OFFSET ?", [*values, limit, offset]
        )

    def count_checkpoints(self, timeline: str | None = None, *, safety: bool = True) -> int:
        """Return how many live checkpoints there are; with `safety=False` without those that restores took."""
        where = "deleted = 0 AND (?1 IS NULL OR timeline = ?1)" + ("" if safety else f" AND {_NO_SAFETY}")
        return int(self._all(f"SELECT count(*) FROM checkpoints WHERE {where}", (timeline,))[0][0])

    def count_automatic(self, timeline: str) -> int:
        """Return how many live automatic checkpoints a timeline has, from an index that has no others."""
        where = "timeline = ? AND deleted = 0 AND trigger = 'automatic'"
        return int(self._all(f"SELECT count(*) FROM checkpoints WHERE {where}", (timeline,))[0][0])

    def find_checkpoint(self, checkpoint_id: str) -> CheckpointRow | None:
        """Return the checkpoint with exactly this id, deleted or not."""
        rows = self._checkpoints("id = ?", [checkpoint_id])
        return rows[0] if rows else None

    def find_by_prefix(self, prefix: str, limit: int = 3) -> list[CheckpointRow]:
        """Return live checkpoints whose id begins with `prefix` (hex digits)."""
        return self._checkpoints("deleted = 0 AND id >= ? AND id < ? LIMIT ?", [prefix, prefix + "g", limit])

    def find_by_name(self, name: str, timeline: str | None) -> CheckpointRow | None:
        """Return the newest live checkpoint with this name."""
        where, values = "deleted = 0 AND name = ?1 AND (?2 IS NULL OR timeline = ?2)", [name, timeline]
        rows = self._checkpoints(f"{where} ORDER BY created_at DESC, sequence DESC LIMIT 1", values)
        return rows[0] if rows else None

    def find_by_verdict(self, verdict: str, timeline: str) -> CheckpointRow | None:
        """Return the newest live checkpoint of a timeline whose newest verdict is this one."""
        where = "deleted = 0 AND timeline = ? AND verdict = ? ORDER BY sequence DESC LIMIT 1"
        rows = self._checkpoints(where, [timeline, verdict])
        return rows[0] if rows else None

    def search(self, text: str, timeline: str | None) -> list[CheckpointRow]:
        """Return live checkpoints with `text` in name, description or tags, without regard to ASCII case."""
        pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        fields = "(name LIKE ?1 ESCAPE '\\' OR description LIKE ?1 ESCAPE '\\' OR tags LIKE ?1 ESCAPE '\\')"
        return self._checkpoints(
            f"deleted = 0 AND {fields} AND (?2 IS NULL OR timeline = ?2) ORDER BY created_at DESC", [pattern, timeline]
        )

    def highest_sequence(self, timeline: str) -> int:
        """Return the highest sequence number given out on `timeline`, deleted checkpoints included; 0 for none."""
        return int(
            self._all("SELECT coalesce(max(sequence), 0) FROM checkpoints WHERE timeline = ?", (timeline,))[0][0]
        )

    # packs and chunks

    def stored_bytes(self) -> int:
        """Return the bytes of all packs and of the files beside the manifests, kept up to date by triggers."""
        return int(self._all("SELECT bytes FROM totals")[0][0])

    def add_pack(self, timeline: str, name: str, size: int, chunks: Iterable[tuple[bytes, ChunkLocation]]) -> None:
        """Index a pack and its chunks. A chunk may lie in several packs."""
        self.remove_packs(timeline, [name])
        number = self._insert("INSERT INTO packs (timeline, name, size) VALUES (?, ?, ?)", (timeline, name, size))
        rows = [(chunk_id, number, p.offset, p.stored_bytes, p.raw_bytes, p.codec) for chunk_id, p in chunks]
        rows.sort()  # ids are random, and a tree that grows at its end grows many times faster
        self._run("INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?)", rows)

    def remove_packs(self, timeline: str, names: Iterable[str]) -> None:
        """Forget packs and what lies in them. Unknown names cost a look; the others one pass over all chunks."""
        where = "timeline = ? AND name = ?"
        found = [self._all(f"SELECT number FROM packs WHERE {where}", (timeline, name)) for name in names]
        numbers = [rows[0][0] for rows in found if rows]
        if numbers:
            listed = f"(SELECT value FROM json_each('{_to_json(numbers)}'))"
            self._run(f"DELETE FROM chunks WHERE pack IN {listed}", [()])
            self._run(f"DELETE FROM packs WHERE number IN {listed}", [()])

    def forget_chunks(self, chunk_ids: Iterable[bytes]) -> None:
        """Forget where these chunks lie."""
        self._run("DELETE FROM chunks WHERE id = ?", [(chunk_id,) for chunk_id in chunk_ids])

    def pack_sizes(self, timeline: str) -> dict[str, int]:
        """Return the indexed packs of a timeline with their sizes in bytes."""
        return dict(self._all("SELECT name, size FROM packs WHERE timeline = ?", (timeline,)))

    def find_chunks(self, chunk_id: bytes) -> list[ChunkRow]:
        """Return every place where a chunk lies."""
        return self.find_many([chunk_id]).get(chunk_id, [])

    def find_many(self, chunk_ids: Sequence[bytes]) -> dict[bytes, list[ChunkRow]]:
        """Return every place where each of these chunks lies, at a fifth of the cost of asking for one at a time."""
        found: dict[bytes, list[ChunkRow]] = {}
        for some in _batches(chunk_ids):
            for chunk_id, timeline, name, *place in self._all(
                "SELECT id, timeline, name, offset, stored, raw, codec FROM chunks "
                f"JOIN packs ON packs.number = chunks.pack WHERE chunks.id IN ({', '.join('?' * len(some))})",
                some,
            ):
                found.setdefault(chunk_id, []).append(ChunkRow(timeline, name, ChunkLocation(*place)))
        return found

    def find_missing(self, chunk_ids: Iterable[bytes]) -> set[bytes]:
        """Return those of these chunks that no pack holds."""
        missing = set(chunk_ids)
        for some in _batches(list(missing)):
            held = self._all(f"SELECT id FROM chunks WHERE id IN ({', '.join('?' * len(some))})", some)
            missing.difference_update(row[0] for row in held)
        return missing

    def has_chunk(self, chunk_id: bytes) -> bool:
        """Tell whether some pack holds the chunk."""
        return bool(self._all("SELECT 1 FROM chunks WHERE id = ? LIMIT 1", (chunk_id,)))

    def fingerprint(self) -> str:
        """Return a hash of all that was read from the folders: checkpoints, and where chunks lie."""
        places = (
            "SELECT id, timeline, name, offset, stored, raw, codec FROM chunks "
            "JOIN packs ON packs.number = chunks.pack ORDER BY id, timeline, name"
        )
        import hashlib  # OpenSSL takes 3 ms to load, and only verify asks

        seen = hashlib.sha256()
        for statement in (f"SELECT {_CHECKPOINT_COLUMNS} FROM checkpoints ORDER BY id", places):
            with _translate():
                for row in self._connection.execute(statement):
                    seen.update(repr(row).encode())
        return seen.hexdigest()

    # stat cache and other remembered facts

    def stats(self, component: str) -> dict[bytes, StatRow]:
        """Return the stat cache of one code component, by path; rows whose content the pool has lost are left out."""
        rows = self._all(
            "SELECT path, size, mtime_ns, ctime_ns, inode, mode, content, chunk FROM stats WHERE component = ? "
            "AND (size = 0 OR EXISTS (SELECT 1 FROM chunks WHERE chunks.id = stats.chunk))",
            (component,),
        )
        return {row[0]: StatRow(*row) for row in rows}

    def update_stats(self, component: str, rows: Iterable[StatRow], gone: Iterable[bytes]) -> None:
        """Put rows into the stat cache and take paths out of it."""
        self._run("DELETE FROM stats WHERE component = ? AND path = ?", [(component, path) for path in gone])
        self._run(
            "INSERT OR REPLACE INTO stats VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(component, r.path, r.size, r.mtime_ns, r.ctime_ns, r.inode, r.mode, r.content, r.chunk) for r in rows],
        )

    def list_stat_chunks(self) -> list[bytes]:
        """Return the chunks that rows of the stat cache say their contents need."""
        return [row[0] for row in self._all("SELECT DISTINCT chunk FROM stats")]

    def forget_stats(self, chunk_ids: Iterable[bytes]) -> None:
        """Drop the rows of the stat cache whose contents need one of these chunks."""
        self._run("DELETE FROM stats WHERE chunk = ?", [(chunk_id,) for chunk_id in chunk_ids])

    def find_fact(self, key: str) -> bytes | None:
        """Return a remembered value."""
        rows = self._all("SELECT value FROM facts WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def set_fact(self, key: str, value: bytes) -> None:
        """Remember a value under `key`, if it can be kept: without it the next call takes longer."""
        with suppress(LockedError, StorageError):
            self._run("INSERT OR REPLACE INTO facts VALUES (?, ?)", [(key, value)])

    def _checkpoints(self, where: str, values: Sequence[Any]) -> list[CheckpointRow]:
        rows = self._all(f"SELECT {_CHECKPOINT_COLUMNS} FROM checkpoints WHERE {where}", values)
        return [_checkpoint_row(row) for row in rows]

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with _translate():
            return self._connection.execute(statement, values).fetchall()

    def _insert(self, statement: str, values: Sequence[Any]) -> int:
        with _translate():
            return int(self._connection.execute(statement, values).lastrowid or 0)

    def _run(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        with _translate():
            if rows:
                self._connection.executemany(statement, rows)


def _create_schema(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + _BUSY_MS / 1000
    while True:  # SQLite does not wait by itself when several open a new file at once
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as cause:
            if cause.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            if time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_S)
    connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")


@contextmanager
def _translate() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as cause:
        kind = find_error_kind(cause) or CatalogDamagedError
        raise kind(f"the catalog cannot be used: {cause}") from cause


def find_error_kind(cause: sqlite3.Error) -> type[ChronosError] | None:
    """Return what an error of SQLite is here, or None for one that says something about the file itself."""
    return _ERRORS.get((getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF)


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode("utf-8")


def _batches(chunk_ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (chunk_ids[start : start + _IDS_AT_ONCE] for start in range(0, len(chunk_ids), _IDS_AT_ONCE))


def _checkpoint_row(row: Sequence[Any]) -> CheckpointRow:
    values = dict(zip(_CHECKPOINT_FIELDS, row, strict=True))
    for name in ("tags", "other_parents"):
        values[name] = () if values[name] == "[]" else msgspec.json.decode(values[name], type=tuple[str, ...])
    return CheckpointRow(**{**values, "deleted": bool(values["deleted"]), "pinned": bool(values["pinned"])})
