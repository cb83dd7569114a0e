"""Values as their serializer made them: each stored once, and what large ones have in common stored once as well.

A content is named by the BLAKE3 of its type and its bytes, and what is read is checked against that.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import TYPE_CHECKING

from chronos.errors import UnreadableStoreError
from chronos.pool import ChunkProfile, new_digest

if TYPE_CHECKING:
    from sqlite3 import Connection

Typed = tuple[str, bytes]
_HASH_BYTES = 16
_KIB = 1024
# A step adds a message or a few to a list; a piece around what they took keeps all others as they were.
_PROFILE = ChunkProfile(8 * _KIB, 1 * _KIB, 4 * _KIB, 16 * _KIB)


def add_content(connection: Connection, value: Typed) -> bytes:
    """Store a value unless it is there; return its id."""
    kind, data = value
    content = _name(kind, data)
    if connection.execute("SELECT 1 FROM contents WHERE id = ?", (content,)).fetchone():
        return content
    is_cut = len(data) > _PROFILE.whole_bytes
    connection.execute("INSERT INTO contents VALUES (?, ?, ?)", (content, kind, None if is_cut else data))
    for position, piece in enumerate(_PROFILE.cut(io.BytesIO(data)) if is_cut else ()):
        name = _name("", piece)
        connection.execute("INSERT OR IGNORE INTO pieces VALUES (?, ?)", (name, piece))
        connection.execute("INSERT INTO parts VALUES (?, ?, ?)", (content, position, name))
    return content


class ContentReader:
    """Reads the values of rows that are looked at together, each once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[bytes, Typed] = {}

    def read(self, content: bytes, kind: str | None, data: bytes | None) -> Typed:
        """Return a value by its id, and what its row in `contents` says. Raises UnreadableStoreError.

        It does so when that is not what was stored; `kind` is None where no row was found.
        """
        if (found := self._known.get(content)) is None:
            found = self._known[content] = _read(self._connection, content, kind, data)
        return found


def _read(connection: Connection, content: bytes, kind: str | None, data: bytes | None) -> Typed:
    if kind is not None and data is None:
        parts = "SELECT data FROM parts JOIN pieces ON pieces.id = piece WHERE content = ? ORDER BY position"
        data = b"".join([piece for (piece,) in connection.execute(parts, (content,)).fetchall()])
    if kind is None or data is None or _name(kind, data) != content:
        raise UnreadableStoreError(
            "a value of a graph checkpoint is damaged or gone",
            hint="bring the database back from a checkpoint of chrono",
        )
    return kind, data


def sweep_contents(connection: Connection, contents: Collection[bytes]) -> None:
    """Delete those of `contents` that belong to no row any more, and the pieces that only they had."""
    gone = [
        (content,)
        for content in contents
        if not connection.execute(
            "SELECT 1 FROM channels WHERE content = ?1 UNION ALL SELECT 1 FROM writes WHERE content = ?1", (content,)
        ).fetchone()
    ]
    pieces: set[bytes] = set()
    for one in gone:
        pieces.update(piece for (piece,) in connection.execute("SELECT piece FROM parts WHERE content = ?", one))
    connection.executemany("DELETE FROM parts WHERE content = ?", gone)
    connection.executemany("DELETE FROM contents WHERE id = ?", gone)
    connection.executemany(
        "DELETE FROM pieces WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM parts WHERE piece = ?1)",
        ((piece,) for piece in pieces),
    )


def _name(kind: str, data: bytes) -> bytes:
    running = new_digest()
    running.update(kind.encode() + b"\0")
    running.update(data)
    return running.digest()[:_HASH_BYTES]
