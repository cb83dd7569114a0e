"""Which files need not be read again: what each looked like to `lstat` when its content was taken.

Racily clean files are never remembered: a file changed in the very tick of its capture can change again without a
trace, so a row counts only when the file was settled before the capture began.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from chronos import clock
from chronos.catalog import StatRow
from chronos.files import FileStat, TreePath
from chronos.pool import Content

# Ticks are 10 ms on Linux, 2 s on FAT.
_SETTLED_NS = 50_000_000
_COARSE_SETTLED_NS = 2_000_000_000


class StatCache(msgspec.Struct):
    """The remembered files of one component or store, by path; `fresh` are the rows that this capture adds."""

    known: dict[TreePath, StatRow]
    fresh: dict[TreePath, StatRow] = msgspec.field(default_factory=dict)
    started_ns: int = msgspec.field(default_factory=clock.now_ns)
    _asked_for: set[TreePath] = msgspec.field(default_factory=set)

    def find(self, path: TreePath, stat: FileStat) -> Content | None:
        """Return the content of the file at `path` when it still looks as it did."""
        self._asked_for.add(path)
        row = self.known.get(path)
        if row is None or (row.size, row.mtime_ns, row.ctime_ns, row.inode, row.mode) != _key(stat):
            return None
        return msgspec.msgpack.decode(row.content, type=Content)

    def find_last(self, path: TreePath) -> Content | None:
        """Return the content that the file at `path` had last, whatever it looks like now."""
        self._asked_for.add(path)
        row = self.known.get(path)
        return msgspec.msgpack.decode(row.content, type=Content) if row is not None else None

    def remember(self, path: TreePath, stat: FileStat, content: Content) -> None:
        """Remember the content of a file that looked like `stat` before it was read, if it was settled by then."""
        if is_settled(stat, self.started_ns):
            self.fresh[path] = StatRow(path, *_key(stat), msgspec.msgpack.encode(content), content.chunks or content.id)

    def changes(self) -> tuple[list[StatRow], list[TreePath]]:
        """Return the rows to add, and the paths of those to drop: nobody asked for them, so there is no such file."""
        used = self._asked_for | self.fresh.keys()
        return list(self.fresh.values()), [path for path in self.known if path not in used]


class ContentFact(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a content and can be found out again: one row, loaded when asked for.

    As any row of the stat cache it goes when the pool no longer holds the content.
    """

    content: Content
    value: bytes

    @classmethod
    def of(cls, rows: dict[TreePath, StatRow]) -> ContentFact | None:
        """Return the fact that is in the rows, if it can be read."""
        with suppress(KeyError, msgspec.MsgspecError):
            return msgspec.msgpack.decode(rows[b""].content, type=cls)
        return None

    def row(self) -> StatRow:
        """Return the row to keep it in."""
        return StatRow(b"", self.content.size, 0, 0, 0, 0, msgspec.msgpack.encode(self), self.content.key)


def is_settled(stat: FileStat, moment_ns: int) -> bool:
    """Tell whether a file had looked like this for so long before a moment that any later write shows."""
    newest = max(stat.mtime_ns, stat.ctime_ns)
    is_coarse = stat.mtime_ns % 1_000_000_000 == 0
    return newest + (_COARSE_SETTLED_NS if is_coarse else _SETTLED_NS) < moment_ns


def _key(stat: FileStat) -> tuple[int, int, int, int, int]:
    return stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode, stat.mode
