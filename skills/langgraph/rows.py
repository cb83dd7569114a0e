"""What is stored of graph checkpoints, row by row: written, read, copied, and really gone when it is deleted.

Every function works inside of a transaction of GraphDatabase. Values come and go as their serializer made them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from chronos.errors import UnreadableStoreError
from skills.langgraph.contents import ContentReader, Typed, add_content, sweep_contents

if TYPE_CHECKING:
    from sqlite3 import Connection

Versions = dict[str, str | int | float]
_KEY_COLUMNS = "thread_id, checkpoint_ns, checkpoint_id"
_COLUMNS = f"{_KEY_COLUMNS}, parent_id, run_id, chrono_id, versions, type, data, metadata_type, metadata"
_PLACE = "thread_id = ? AND checkpoint_ns = ?"
_THIS = f"{_PLACE} AND checkpoint_id = ?"
_WITH_CONTENT = "LEFT JOIN contents ON contents.id = content"


class Key(NamedTuple):
    """Which graph checkpoint."""

    thread: str
    namespace: str
    checkpoint: str


class Row(msgspec.Struct, frozen=True):
    """A graph checkpoint without its values. `chrono_id` is the checkpoint of chrono that has the files of then."""

    key: Key
    parent: str | None
    run: str | None
    chrono_id: str | None
    versions: Versions
    data: Typed
    metadata: Typed


class Write(NamedTuple):
    """What a task wrote to a channel."""

    task: str
    number: int
    path: str
    channel: str
    value: Typed


class Loaded(msgspec.Struct, frozen=True):
    """A graph checkpoint with its values by channel, and the writes that wait on it, in the order of tasks."""

    row: Row
    values: dict[str, Typed]
    writes: list[Write]


class Wanted(msgspec.Struct, frozen=True):
    """Which graph checkpoints to list; None stands for any. `before` is an id, which itself is left out."""

    thread: str | None = None
    namespace: str | None = None
    checkpoint: str | None = None
    before: str | None = None


def add_checkpoint(connection: Connection, row: Row, values: Mapping[str, Typed], new: Versions) -> None:
    """Store a graph checkpoint, and of its `values` those of channels with a `new` version."""
    place = (row.key.thread, row.key.namespace)
    for channel, version in new.items():
        if channel in values:
            content = add_content(connection, values[channel])
            connection.execute(
                "INSERT OR REPLACE INTO channels VALUES (?, ?, ?, ?, ?)", (*place, channel, str(version), content)
            )
    connection.execute(
        f"INSERT OR REPLACE INTO checkpoints ({_COLUMNS}) VALUES ({', '.join('?' * 11)})",
        (
            *row.key,
            row.parent,
            row.run,
            row.chrono_id,
            msgspec.json.encode(row.versions).decode(),
            *row.data,
            *row.metadata,
        ),
    )


def add_writes(connection: Connection, key: Key, writes: Iterable[Write]) -> None:
    """Store writes. What a task has written once stays as it is, but for those below 0 (errors, interrupts)."""
    for write in writes:
        verb = "INSERT OR IGNORE" if write.number >= 0 else "INSERT OR REPLACE"
        content = add_content(connection, write.value)
        values = (*key, write.task, write.number, write.path, write.channel, content)
        connection.execute(f"{verb} INTO writes VALUES ({', '.join('?' * len(values))})", values)


def set_chrono_id(connection: Connection, key: Key, chrono_id: str) -> None:
    """Record which checkpoint of chrono has the files."""
    connection.execute(f"UPDATE checkpoints SET chrono_id = ? WHERE {_THIS}", (chrono_id, *key))


def find_row(connection: Connection, thread: str, namespace: str, checkpoint: str | None) -> Row | None:
    """Return one graph checkpoint, without an id the newest."""
    wanted = Wanted(thread, namespace, checkpoint)
    return next(iter(list_rows(connection, wanted, limit=1)), None)


def list_rows(connection: Connection, wanted: Wanted, *, after: Key | None = None, limit: int) -> list[Row]:
    """Return at most `limit` graph checkpoints, the newest first, beginning behind `after`."""
    conditions, values = ["1"], []
    for column, operator, value in (
        ("thread_id", "=", wanted.thread),
        ("checkpoint_ns", "=", wanted.namespace),
        ("checkpoint_id", "=", wanted.checkpoint),
        ("checkpoint_id", "<", wanted.before),
    ):
        if value is not None:
            conditions.append(f"{column} {operator} ?")
            values.append(value)
    if after is not None:
        conditions.append("(checkpoint_id, thread_id, checkpoint_ns) < (?, ?, ?)")
        values += [after.checkpoint, after.thread, after.namespace]
    order = "checkpoint_id DESC, thread_id DESC, checkpoint_ns DESC"
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM checkpoints WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ?",
        (*values, limit),
    )
    return [_row(columns) for columns in found]


def load_all(connection: Connection, page: Iterable[Row]) -> list[Loaded]:
    """Return graph checkpoints with everything that belongs to them. Raises UnreadableStoreError."""
    contents = ContentReader(connection)
    return [
        Loaded(
            row, read_values(connection, row, row.versions, contents), list(read_writes(connection, row.key, contents))
        )
        for row in page
    ]


def read_values(
    connection: Connection, row: Row, channels: Iterable[str], contents: ContentReader | None = None
) -> dict[str, Typed]:
    """Return those values of a graph checkpoint that are not empty."""
    contents, found = contents or ContentReader(connection), {}
    for channel in channels:
        if channel in row.versions:
            held = connection.execute(
                f"SELECT content, type, data FROM channels {_WITH_CONTENT} "
                f"WHERE {_PLACE} AND channel = ? AND version = ?",
                (row.key.thread, row.key.namespace, channel, str(row.versions[channel])),
            ).fetchone()
            if held is not None:
                found[channel] = contents.read(*held)
    return found


def read_writes(connection: Connection, key: Key, contents: ContentReader | None = None) -> Iterator[Write]:
    """Yield the writes on a graph checkpoint in the order in which a step applies them (`writes_sort_key`)."""
    contents = contents or ContentReader(connection)
    for task, number, path, channel, *content in connection.execute(
        f"SELECT task_id, idx, task_path, channel, content, type, data FROM writes {_WITH_CONTENT} "
        f"WHERE {_THIS} ORDER BY task_path, task_id, idx",
        key,
    ):
        yield Write(task, number, path, channel, contents.read(*content))


def copy_thread(connection: Connection, source: str, target: str) -> None:
    """Give `target` all that `source` has; what it has already stays. The contents are shared."""
    for table, columns in (
        ("checkpoints", _COLUMNS.removeprefix("thread_id, ")),
        ("channels", "checkpoint_ns, channel, version, content"),
        ("writes", "checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, content"),
    ):
        connection.execute(
            f"INSERT OR IGNORE INTO {table} (thread_id, {columns}) "
            f"SELECT ?, {columns} FROM {table} WHERE thread_id = ?",
            (target, source),
        )


def delete_thread(connection: Connection, thread: str) -> None:
    """Delete everything of a thread."""
    contents = _contents_of(connection, thread)
    for table in ("checkpoints", "channels", "writes"):
        connection.execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread,))
    sweep_contents(connection, contents)


def delete_runs(connection: Connection, runs: Sequence[str]) -> None:
    """Delete the graph checkpoints of these runs, with their writes and the values that only they had."""
    keys = [
        Key(*found)
        for run in runs
        for found in connection.execute(f"SELECT {_KEY_COLUMNS} FROM checkpoints WHERE run_id = ?", (run,))
    ]
    _delete(connection, keys)


def keep_newest(connection: Connection, thread: str, deltas_of: Callable[[Row], Iterable[str]]) -> None:
    """Delete all but the newest graph checkpoint of each namespace, and those that its delta channels are made from.

    `deltas_of` says which channels of a graph checkpoint are kept as writes since their last whole value.
    """
    spaces = connection.execute("SELECT DISTINCT checkpoint_ns FROM checkpoints WHERE thread_id = ?", (thread,))
    for (namespace,) in spaces.fetchall():
        newest = find_row(connection, thread, namespace, None)
        assert newest is not None
        missing = set(deltas_of(newest))
        missing -= read_values(connection, newest, missing).keys()
        kept = {newest.key.checkpoint}
        line = ancestors(connection, newest)
        while missing and (ancestor := next(line, None)) is not None:
            kept.add(ancestor.key.checkpoint)
            missing -= read_values(connection, ancestor, missing).keys()
        ids = "SELECT checkpoint_id FROM {} WHERE thread_id = ?1 AND checkpoint_ns = ?2"
        both = f"{ids.format('checkpoints')} UNION {ids.format('writes')}"
        known = {found for (found,) in connection.execute(both, (thread, namespace))}
        # A write on one that is not there yet is newer than all that are.
        gone = sorted(found for found in known - kept if found < newest.key.checkpoint)
        _delete(connection, [Key(thread, namespace, found) for found in gone])


def ancestors(connection: Connection, row: Row) -> Iterator[Row]:
    """Yield what a graph checkpoint comes from, the nearest first, as far as it is there."""
    seen = {row.key.checkpoint}
    while row.parent is not None and row.parent not in seen:
        seen.add(row.parent)
        found = find_row(connection, row.key.thread, row.key.namespace, row.parent)
        if found is None:
            return
        row = found
        yield row


def _delete(connection: Connection, keys: Sequence[Key]) -> None:
    """Delete graph checkpoints, their writes, and the channel versions that no other one of their namespace has."""
    contents: set[bytes] = set()
    for key in keys:
        contents.update(found for (found,) in connection.execute(f"SELECT content FROM writes WHERE {_THIS}", key))
        for table in ("writes", "checkpoints"):
            connection.execute(f"DELETE FROM {table} WHERE {_THIS}", key)
    for place in {(key.thread, key.namespace) for key in keys}:
        needed: set[tuple[str, str]] = set()
        for (versions,) in connection.execute(f"SELECT versions FROM checkpoints WHERE {_PLACE}", place):
            needed.update((channel, str(version)) for channel, version in _decode(versions).items())
        held = connection.execute(f"SELECT channel, version, content FROM channels WHERE {_PLACE}", place).fetchall()
        for channel, version, content in held:
            if (channel, version) not in needed:
                contents.add(content)
                connection.execute(
                    f"DELETE FROM channels WHERE {_PLACE} AND channel = ? AND version = ?", (*place, channel, version)
                )
    sweep_contents(connection, contents)


def _contents_of(connection: Connection, thread: str) -> set[bytes]:
    both = "SELECT content FROM channels WHERE thread_id = ?1 UNION SELECT content FROM writes WHERE thread_id = ?1"
    return {found for (found,) in connection.execute(both, (thread,))}


def _row(columns: Sequence[Any]) -> Row:
    *key, parent, run, chrono_id, versions, kind, data, metadata_kind, metadata = columns
    return Row(Key(*key), parent, run, chrono_id, _decode(versions), (kind, data), (metadata_kind, metadata))


def _decode(versions: str) -> Versions:
    try:
        return msgspec.json.decode(versions, type=Versions)
    except msgspec.MsgspecError as cause:
        raise UnreadableStoreError("the channel versions of a graph checkpoint cannot be read") from cause
