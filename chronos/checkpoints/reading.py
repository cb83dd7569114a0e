"""Reading paths of one component into a sink: policy first, the stat cache next, the bytes last.

A file whose stat moves while it is read is read again. What cannot be read, or may not be kept, becomes a receipt
row and never silence.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO

import msgspec

from chronos.checkpoints.manifest import Entry, EntryKind, Reason, ReceiptRow
from chronos.checkpoints.policy import CapturePolicy
from chronos.errors import BadPathError
from chronos.files import DatabaseFileError, FileStat, PathKind, SafeRoot, TreePath, check_tree_path, stat_of
from chronos.git import matches_blob
from chronos.pool import Content, ContentSink
from chronos.stat_cache import StatCache

_ATTEMPTS = 3
_BY_SIZE = (Reason.TOO_LARGE, Reason.OVER_LIMIT)


class Budget(msgspec.Struct):
    """The bytes that one capture may still take, over all components."""

    left_bytes: int

    def refusal(self, policy: CapturePolicy, path: TreePath, size: int, *, included: bool) -> Reason | None:
        """Return why `size` bytes of `path` (from the root) must stay out; when they may come in, charge for them."""
        reason = policy.refusal(path, size, included=included)
        if reason is None and size > self.left_bytes and path not in policy.forced:
            reason = Reason.OVER_LIMIT
        if reason is None:
            self.left_bytes -= size
        return reason


def look(tree: SafeRoot, path: TreePath) -> FileStat | str | None:
    """Return what stands at a path, or why it cannot be looked at."""
    try:
        return tree.find_stat(path)
    except OSError as cause:
        return cause.strerror or str(cause)


def is_clean_blob(tree: SafeRoot, path: TreePath, oid: str) -> bool:
    """Tell whether the bytes on disk are exactly those of the blob: the proof that git holds them."""
    try:
        stat = tree.find_stat(path)
        if stat is not None and (stat.kind is PathKind.LINK or stat.size == 0):
            return matches_blob(oid, BytesIO(tree.read_link(path) if stat.size else b""))
        with tree.reading(path) as descriptor, open(descriptor, "rb", closefd=False) as stream:
            return matches_blob(oid, stream)
    except OSError:
        return False


class PathReader(msgspec.Struct):
    """Read the candidate paths of one component, and remember what they looked like.

    `databases` (from the root) are files that turned out to be SQLite databases: memory stores, and no entries. Of the
    paths in `known` the bytes were not read, because of their stat.
    """

    tree: SafeRoot
    prefix: TreePath
    policy: CapturePolicy
    sink: ContentSink
    stats: StatCache
    included: set[TreePath]
    budget: Budget
    entries: dict[TreePath, Entry] = msgspec.field(default_factory=dict)
    receipt: dict[TreePath, ReceiptRow] = msgspec.field(default_factory=dict)
    torn: list[TreePath] = msgspec.field(default_factory=list)
    databases: list[TreePath] = msgspec.field(default_factory=list)
    known: set[TreePath] = msgspec.field(default_factory=set)
    _seen: dict[TreePath, FileStat | str | None] = msgspec.field(default_factory=dict)
    _charged: dict[TreePath, int] = msgspec.field(default_factory=dict)

    def read_all(self, present_in_base: set[TreePath], others: Iterable[TreePath]) -> None:
        """Read every path; one that is gone is a deletion when the base has it. Then look at each once more."""
        paths = sorted(path for path in present_in_base | set(others) if self._may_be_named(path))
        for number, path in enumerate(paths, 1):
            self._read(path, path in present_in_base)
            if self.policy.progress is not None:
                self.policy.progress(number, len(paths))
        for _ in range(_ATTEMPTS):
            self.tree.forget()
            moved = [path for path in paths if self._look(path) != self._seen[path]]
            if not moved:
                break
            for path in moved:
                self._read(path, path in present_in_base)
        else:
            self.torn.extend(path for path in paths if self._look(path) != self._seen[path])
        self.entries = dict(sorted(self.entries.items()))

    @property
    def seen(self) -> dict[TreePath, FileStat | str | None]:
        """What stood at each path when it was read, but for those that would not hold still."""
        return {path: stat for path, stat in self._seen.items() if path not in self.torn}

    @property
    def folders(self) -> list[TreePath]:
        """The paths at which a folder stands."""
        return [p for p, stat in self._seen.items() if isinstance(stat, FileStat) and stat.kind is PathKind.FOLDER]

    def _may_be_named(self, path: TreePath) -> bool:
        """Leave out what could never be written back: a name that is git's own folder somewhere."""
        try:
            check_tree_path(path)
        except BadPathError as cause:
            self._leave_out(path, Reason.UNREADABLE, 0, cause.message)
            return False
        return True

    def _look(self, path: TreePath) -> FileStat | str | None:
        return look(self.tree, path)

    def _forget(self, path: TreePath) -> None:
        self.entries.pop(path, None)
        self.receipt.pop(path, None)
        self.budget.left_bytes += self._charged.pop(path, 0)

    def _read(self, path: TreePath, is_in_base: bool) -> None:
        for attempt in range(_ATTEMPTS):
            self._forget(path)
            stat = self._seen[path] = self._look(path)
            if isinstance(stat, str):
                self._leave_out(path, Reason.UNREADABLE, 0, stat)
                return
            if stat is None or stat.kind is PathKind.FOLDER:
                if is_in_base:
                    self.entries[path] = Entry(path, EntryKind.DELETED)
                return
            try:
                self._take(path, stat)
                return
            except DatabaseFileError:
                self._forget(path)
                self.databases.append(self._from_root(path))
                return
            except OSError as cause:
                if cause.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL) and attempt + 1 < _ATTEMPTS:
                    continue
                self._forget(path)
                self._leave_out(path, Reason.UNREADABLE, stat.size, cause.strerror or str(cause))
                return

    def _take(self, path: TreePath, stat: FileStat) -> None:
        full_path = self._from_root(path)
        if stat.kind is PathKind.SPECIAL:
            self._leave_out(path, Reason.SPECIAL, 0, "a FIFO, socket or device")
            return
        reason = self.budget.refusal(self.policy, full_path, stat.size, included=path in self.included)
        if reason is not None:
            if reason in _BY_SIZE and self.tree.is_database(path):
                self.databases.append(full_path)
                return
            self._leave_out(path, reason, stat.size)
            return
        self._charged[path] = stat.size
        kind = EntryKind.LINK if stat.kind is PathKind.LINK else EntryKind.FILE
        content = self.stats.find(path, stat)
        if content is not None:
            self.known.add(path)
        else:
            self.known.discard(path)
            stat, content = self._read_content(path, stat)
            self.stats.remember(path, stat, content)
        self.entries[path] = Entry(path, kind, kind is EntryKind.FILE and stat.is_executable, content)

    def _read_content(self, path: TreePath, stat: FileStat) -> tuple[FileStat, Content]:
        if stat.kind is PathKind.LINK:
            return stat, self.sink.add_bytes(self.tree.read_link(path))
        if stat.size == 0:  # a database may be being born in it, and must not be opened
            return stat, self.sink.add_bytes(b"")
        with self._open(path) as descriptor:
            before = stat_of(os.fstat(descriptor))
            content = self.sink.add_file(descriptor, before.size)
        self._seen[path] = before
        return before, content

    @contextmanager
    def _open(self, path: TreePath) -> Iterator[int]:
        """Give a descriptor of a file; a database is given as code only where that is asked for by force."""
        if self._from_root(path) in self.policy.forced:
            with self.tree.reading(path) as descriptor:
                yield descriptor
            return
        descriptor = self.tree.open_file(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _leave_out(self, path: TreePath, reason: Reason, size: int, detail: str = "") -> None:
        self.receipt[path] = ReceiptRow(self._from_root(path), reason, size, detail)

    def _from_root(self, path: TreePath) -> TreePath:
        return self.prefix + b"/" + path if self.prefix else path
