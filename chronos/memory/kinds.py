"""What every kind of memory store can do: the protocol, and the plain data that passes through it.

A kind knows how to read one place (a file with its companions, or a folder) as of one instant without changing it, how
to put such a state back whole or not at all, and how to tell people what is in it. It knows nothing of checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import msgspec

from chronos.pool import Content, ContentSink
from chronos.stat_cache import ContentFact, StatCache

if TYPE_CHECKING:
    from chronos.memory.steps import Steps
    from chronos.memory.store_merge import MergeWork, StoreMerge


# Of what lies beside a SQLite database and belongs to it.
COMPANION_ENDINGS = (b"-wal", b"-shm", b"-journal")
# Those in which a part of its state can lie.
LOG_ENDINGS = (b"-wal", b"-journal")
# The usual endings of the names of SQLite databases, where nothing but a name tells.
DATABASE_ENDINGS = (b".db", b".db3", b".sqlite", b".sqlite3", b".s3db", b".sl3")


class MemoryFile(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One file of a store. `path` is relative to its place, and empty where the store is a single file."""

    path: bytes
    is_link: bool = False
    executable: bool = False
    content: Content | None = None


class LeftOut(msgspec.Struct, frozen=True):
    """A file inside a store that was not taken: its path in the store, why, and its size in bytes."""

    path: bytes
    reason: str
    size: int = 0
    detail: str = ""


class StoreState(msgspec.Struct):
    """What a store held at one instant.

    `identity` is equal for states that a restore could not tell apart: two images of a database may differ in counters.
    `looks` is what `MemoryKind.look` said before the reading began. `facts` (a journal mode, a version for each table)
    and `notes`, which are sentences, are for people. `is_torn` says that the place would not hold still, and `waited_s`
    for how long others had to be waited for. `fact` is for the next capture to find, once the content is kept.
    """

    kind: str
    identity: str
    files: list[MemoryFile]
    looks: tuple[object, ...] = ()
    facts: dict[str, str | int] = msgspec.field(default_factory=dict)
    notes: list[str] = msgspec.field(default_factory=list)
    left_out: list[LeftOut] = msgspec.field(default_factory=list)
    is_torn: bool = False
    waited_s: float = 0.0
    fact: ContentFact | None = None

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.content.size for file in self.files if file.content is not None)

    @property
    def is_unheld(self) -> bool:
        """Whether nothing was taken of what stands there: it is no store that anything may replace or remove."""
        return bool(self.left_out) and not self.files


def _know_nothing() -> ContentFact | None:
    return None


def _take_all(_path: bytes, _size: int) -> str | None:
    return None


class CaptureWork(msgspec.Struct):
    """What a capture works with.

    `may_take(path, size)` returns why a file of the store must stay out, or None. `chunk_ids` lists the pieces of a
    content that the pool has, without the list itself. A reader in another process waits at most `timeout_s` for a
    writer to let go. `find_fact` returns what a capture before left to remember.
    """

    sink: ContentSink
    stats: StatCache
    chunk_ids: Callable[[Content], Sequence[bytes]]
    may_take: Callable[[bytes, int], str | None]
    timeout_s: float
    find_fact: Callable[[], ContentFact | None] = _know_nothing


class Present(msgspec.Struct):
    """What stands at a place now, as it was captured: a restore need not write again what both states have.

    The pool has been proven to hold what of it the new state does not have. `chunk_ids` lists the pieces of a content,
    without the list itself, and `read` gives the bytes of pieces. `was_read` says that all its bytes were read by this
    operation, and not vouched for by what `lstat` said.
    """

    state: StoreState
    chunk_ids: Callable[[Content], Sequence[bytes]]
    read: Callable[[Sequence[bytes]], Iterator[bytes]]
    was_read: bool = False


class ReplaceWork(msgspec.Struct):
    """What a restore works with.

    `pieces` gives the bytes of a content. What stands at the place goes to `trash`, a folder of ours that may
    lie on another file system, and only while it still looks like `expected` (None: whatever it is). `timeout_s` is
    for a writer in another process to let go; what was waited already is taken from it. What `may_take`, that of
    captures, keeps out of every checkpoint is not moved to the trash: it stays at the place, or else is saved beside
    the trash, which will be `saved` in the end. `present` is what stands there, where that is known.
    `is_sound` says that the very bytes of the new state passed their check before; a kind that checks them sets it.
    What it proves to be at the place in the end it may remember in `stats`.
    """

    pieces: Callable[[Content], Iterator[bytes]]
    trash: Path
    expected: tuple[object, ...] | None
    timeout_s: float
    may_take: Callable[[bytes, int], str | None] = _take_all
    present: Present | None = None
    is_sound: bool = False
    stats: StatCache = msgspec.field(default_factory=lambda: StatCache({}))
    saved: Path | None = None

    @contextmanager
    def waiting(self) -> Iterator[float]:
        """Give the block the seconds for which it may wait for others, and take what it needs from them."""
        began = time.monotonic()
        try:
            yield self.timeout_s
        finally:
            self.timeout_s = max(0.0, self.timeout_s - (time.monotonic() - began))


class TableSummary(msgspec.Struct, frozen=True):
    """One table of a store: its rows, how its columns read, and a version where the kind counts them."""

    name: str
    rows: int
    columns: str
    version: int | None = None


class TableDifference(msgspec.Struct, frozen=True):
    """How one table differs from an older state of it.

    `status` is A (added), D (dropped) or M (modified). Rows are counted by primary key; `changed` is None where a table
    has none, so that a changed row counts as one removed and one added. `notes` tells of columns and versions.
    """

    name: str
    status: str
    added: int
    removed: int
    changed: int | None
    notes: tuple[str, ...] = ()


class MemoryKind(Protocol):
    """One kind of memory store. Instances keep nothing."""

    name: ClassVar[str]

    def detect(self, place: Path) -> bool:
        """Tell whether what stands at `place` is of this kind, without harm to whoever uses it."""
        ...

    def companions(self, place: Path) -> list[Path]:
        """Return the paths beside `place` that belong to the store whether they exist or not, such as a `-wal`."""
        ...

    def look(self, place: Path) -> tuple[object, ...]:
        """Return what `lstat` says of everything that a capture reads: equal looks mean an unchanged store.

        A place where nothing stands looks like `()`. Nothing is opened. Raises OSError.
        """
        ...

    def capture(self, place: Path, work: CaptureWork) -> StoreState:
        """Read the store as of one instant, into the sink, changing nothing at the place.

        What cannot be read as this kind (a damaged or encrypted database) is taken as plain files, with a note. Raises
        OSError when it cannot be read at all, StorageError when the sink fails.
        """
        ...

    def replace(self, place: Path, state: StoreState | None, work: ReplaceWork) -> list[str]:
        """Put `state` at `place`, or with None nothing; return notes for people.

        The new state is written beside the place and checked (`quick_check`, a row count) before the old one moves.
        Nothing is overwritten but parts of it that the pool holds, `work.present` says so, under the store's own
        protocol against crashes. When it returns, the change is durable. May be run again after a crash, once
        `settle_place` has brought to its end what was on the way. Raises StoreInUseError, with the process
        where it can be told; StoreChangedError when the place does not look as expected, and then the place is as it
        was; IntegrityError when what was written does not pass its check; OSError.
        """
        ...

    def write_out(self, folder: Path, state: StoreState, pieces: Callable[[Content], Iterator[bytes]]) -> Path:
        """Write a plain copy into the empty folder `folder`; return the place of the copy. Raises OSError.

        Nothing stands there where the state has only what lies beside a place.
        """
        ...

    def summarise(self, place: Path) -> list[TableSummary]:
        """Return the tables (or files) at `place`, changing nothing. Raises UnreadableStoreError."""
        ...

    def compare(self, old: Path, new: Path, *, limit_s: float) -> list[TableDifference]:
        """Return how the tables at `new` differ from those at `old`, changing nothing at either.

        Gives up row counts after about `limit_s` seconds, with a note. Raises UnreadableStoreError.
        """
        ...

    def merge(self, base: Path | None, ours: Path, theirs: Path, work: MergeWork) -> StoreMerge:
        """Bring together what two copies changed against a third, None where there was none, in `work.folder`.

        All are places that `write_out` made, in scratch folders: what stands at `ours` and `theirs` may be moved or
        changed, and is nothing to rely on afterwards. What only one side changed is taken; what both changed is merged
        by rows (or files), and where that cannot be done it is a conflict, never a guess. Nothing is synced. Raises
        UsageError when a resolution does not fit its conflict, UnreadableStoreError, OutsideError, OSError; there is
        no merged store then.
        """
        ...


@runtime_checkable
class SteppedKind(MemoryKind, Protocol):
    """A kind that replaces many places with few syncs."""

    def replacing(self, place: Path, state: StoreState | None, work: ReplaceWork) -> Steps[list[str]]:
        """Do what `replace` does, in steps beside those of other places (see `steps`)."""
        ...
