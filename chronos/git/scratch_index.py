"""Writing an index of a few entries without git, which would take a process of its own (4 ms) for every checkpoint.

The format is version 2 of gitformat-index(5). Nothing is known of the files on disk, so git reads each of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from chronos.files import translate_os_errors
from chronos.git.objects import TreeEntry, new_hasher, object_format_of

_LONGEST_NAME = 0xFFF  # and whatever is longer: names end at a NUL
_UNKNOWN_TIMES, _UNKNOWN_FILE = bytes(24), bytes(12)  # ctime, mtime, device, inode; owner, group, size


def write_scratch_index(path: Path, entries: Iterable[TreeEntry]) -> None:
    """Write an index file with `entries` (at least one; all of one object format) at `path`. Raises StorageError."""
    rows = sorted(entries, key=lambda entry: entry.path)
    body = b"DIRC" + (2).to_bytes(4, "big") + len(rows).to_bytes(4, "big") + b"".join(map(_row, rows))
    hasher = new_hasher(object_format_of(rows[0].oid), len(body))
    hasher.update(body)
    with translate_os_errors(f"cannot write {path}"):
        path.write_bytes(body + hasher.digest())


def _row(entry: TreeEntry) -> bytes:
    flags = min(len(entry.path), _LONGEST_NAME).to_bytes(2, "big")
    row = _UNKNOWN_TIMES + entry.mode.to_bytes(4, "big") + _UNKNOWN_FILE + bytes.fromhex(entry.oid) + flags + entry.path
    return row + bytes(8 - len(row) % 8)
