"""What the catalog hands out: frozen rows, no cursors."""

from __future__ import annotations

import msgspec

from chronos.layout import ChunkLocation


class ChunkRow(msgspec.Struct, frozen=True):
    """Where one chunk lies: the timeline and name of a pack, and where in it."""

    timeline: str
    pack: str
    location: ChunkLocation


class CheckpointRow(msgspec.Struct, frozen=True):
    """One checkpoint as lists show it. `parent` is its first parent; `state` tells equal states apart from others.

    `tags` and `pinned` are what the annotations of the log make of those of the manifest; `verdict` is the newest one,
    `passed` or `failed`, or nothing.
    """

    checkpoint_id: str
    timeline: str
    sequence: int
    name: str
    description: str
    parent: str | None
    created_at: str
    trigger: str
    tags: tuple[str, ...]
    files_changed: int
    grade: str
    state: str
    deleted: bool = False
    other_parents: tuple[str, ...] = ()
    pinned: bool = False
    verdict: str = ""

    @property
    def timestamp(self) -> str:
        """When it was taken, as ISO 8601: the name that the guide gave this field."""
        return self.created_at


class StatRow(msgspec.Struct, frozen=True):
    """What a captured path looked like to `lstat`, the encoded content of its bytes, and a chunk that it needs."""

    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int
    content: bytes
    chunk: bytes


class TimelineMark(msgspec.Struct, frozen=True):
    """The folder times (ns) of a timeline when the catalog last agreed with it: its own, `packs` and `.deleted`."""

    folder_ns: int
    packs_ns: int
    deleted_ns: int
