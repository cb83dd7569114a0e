"""What a three-way merge cannot decide, as data, and what somebody decided about it.

One type stands for a path of the code, for a row of a table, and for a whole memory store, so that people, programs and
language models are asked in one way. A resolution belongs to a conflict's identity: where one of the three sides is
another one later, it is another conflict.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec

from chronos.errors import UsageError
from chronos.files import display
from chronos.pool import digest


class ConflictKind(str, Enum):
    """Why two sides cannot both be had."""

    CONTENT = "content"  # both changed the same lines, keys or bytes
    BINARY = "binary"  # both changed bytes that have no lines
    ADDED = "added twice"  # both added something here, and not the same
    DELETED = "deleted and changed"  # one deleted what the other changed
    RENAMED = "renamed twice"  # both renamed it, and not to the same place
    PLACE = "file and folder"  # one needs a folder where the other has a file
    MODE = "mode"  # file, link and submodule, or the executable bit
    SUBMODULE = "submodule"  # two commits of a repository inside
    ROW = "row"  # both changed the row, or one deleted what the other changed
    CONSTRAINT = "constraint"  # the row of one side cannot stand beside a row of the other
    SCHEMA = "schema"  # the tables are not made alike, or there is no key to tell rows by
    HELD = "in the way"  # what stands here is in no checkpoint, or of another sort: nothing takes its place
    STORE = "store"  # a memory store that can only be had whole


class Conflict(msgspec.Struct, frozen=True):
    """One thing to decide. A side that is None has nothing there.

    `path` is from the root; of a memory store it is the store's. A row has its `store`, `table` and `key` (JSON text),
    and its sides are JSON objects. `merged` is what could be made of a text, with git's conflict markers. Sides that
    are too large to be shown are the hash of their bytes, and `is_large` says so.
    """

    kind: ConflictKind
    path: bytes
    reason: str
    base: bytes | None = None
    ours: bytes | None = None
    theirs: bytes | None = None
    merged: bytes | None = None
    store: str = ""
    table: str = ""
    key: str = ""
    is_large: bool = False

    @property
    def conflict_id(self) -> str:
        """16 hex digits of BLAKE3 of what is to be decided: the same conflict has the same id in every attempt."""
        parts = (self.kind.value, self.path, self.store, self.table, self.key, self.base, self.ours, self.theirs)
        return digest(msgspec.msgpack.encode(parts)).hex()[:16]


class Choice(str, Enum):
    """What is taken: one side, or `CONTENT` that somebody wrote."""

    OURS = "ours"
    THEIRS = "theirs"
    CONTENT = "content"


class Resolution(msgspec.Struct, frozen=True):
    """The decision about one conflict. `content` is the bytes of the file, or the row as a JSON object."""

    choice: Choice
    content: bytes = b""


Resolver = Callable[[Conflict], Resolution | None]


class Strategy(str, Enum):
    """What a merge does with conflicts by itself: keep them, take one side of each, or where both can be had, both."""

    CONFLICT = "conflict"
    OURS = "ours"
    THEIRS = "theirs"
    UNION = "union"


def parse_strategy(name: str) -> Strategy:
    """Return the strategy of this name. Raises UsageError."""
    names = [strategy.value for strategy in Strategy]
    if name not in names:
        raise UsageError(f"no strategy is called {display(name[:40])!r}", hint=f"there are {', '.join(names)}")
    return Strategy(name)
