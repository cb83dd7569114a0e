"""What a sealed checkpoint says, as strict structures: the manifest and the rows of its lists.

`checkpoint.json` is the manifest; the lists (entries, staged state, flags, receipt) are MessagePack objects in the
pool, so an unchanged list costs one id. The normative description is `docs/format.md`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from enum import Enum
from typing import Annotated, Any, TypeVar

import msgspec

from chronos.errors import BadPathError, DamagedManifestError, NewerFormatError
from chronos.files import TreePath, check_tree_path, from_text
from chronos.git import HiddenEntry
from chronos.layout import FORMAT_VERSION
from chronos.memory import MemoryFile
from chronos.pool import Content, digest

ID_LENGTH = 16
LARGEST_MANIFEST_BYTES = 16 * 1024 * 1024
# What JSON readers everywhere, and SQLite, hold exactly (RFC 8259, section 6).
LARGEST_NUMBER = 2**53 - 1
_Number = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_NUMBER)]
_ID = re.compile(r"[0-9a-f]{16}")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class EntryKind(str, Enum):
    """What a path is in a captured state."""

    FILE = "file"
    LINK = "symlink"
    DELETED = "deleted"


class Trigger(str, Enum):
    """Why a checkpoint was taken."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"
    SAFETY = "safety"


class Grade(str, Enum):
    """How much of what was asked for a checkpoint holds."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    TORN = "torn"


class Reason(str, Enum):
    """Why something is not in a checkpoint."""

    SECRET = "secret"
    TOO_LARGE = "too large"
    OVER_LIMIT = "over the capture limit"
    IGNORED = "ignored"
    UNREADABLE = "unreadable"
    SPECIAL = "not a file"
    OTHER_WORKTREE = "other worktree"
    GIT_ONLY = "from git only"
    HISTORY = "history of an embedded repository"
    EXPORT = "left out by export"
    MEMORY = "memory store"


STAGED = "staged"  # the detail of a receipt row for content of the index
# What the capture saw and did not take, so that the checkpoint is partial; the other reasons are by design.
UNCAPTURED = frozenset(
    {Reason.SECRET, Reason.TOO_LARGE, Reason.OVER_LIMIT, Reason.UNREADABLE, Reason.SPECIAL, Reason.EXPORT}
)


class ComponentKind(str, Enum):
    """What kind of code component it is."""

    REPOSITORY = "repository"
    SUBMODULE = "submodule"
    EMBEDDED = "embedded"
    FOLDER = "folder"


class _Row(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


class Entry(_Row, frozen=True):
    """One path that differs from the base, relative to its component."""

    path: bytes
    kind: EntryKind
    executable: bool = False
    content: Content | None = None


class StagedEntry(_Row, frozen=True):
    """One index entry that differs from HEAD. `mode` 0 is a removal; `stage` 1-3 is a side of a conflict."""

    path: bytes
    mode: int
    oid: str
    stage: int = 0
    is_intent: bool = False
    content: Content | None = None


class ReceiptRow(_Row, frozen=True):
    """One thing that is not in the checkpoint, by its path from the root; a folder ends with a slash. Size in bytes."""

    path: bytes
    reason: Reason
    size: int = 0
    detail: str = ""

    @property
    def is_staged(self) -> bool:
        """Whether the row is about what the index has at the path, and says nothing of the file there."""
        return self.detail == STAGED


class SecretRow(_Row, frozen=True):
    """Something in a content (by its id) that looks like a secret: what, in which line (0 is unknown), who says so."""

    content: bytes
    what: str
    line: int = 0
    scanner: str = ""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class ListRef(_Document, frozen=True):
    """A list object in the pool: BLAKE3 and length of its bytes, its chunk list if it has one, its number of rows."""

    blake3: str
    bytes: _Number
    count: _Number
    chunks: str | None = None

    def content(self) -> Content:
        """Return the pool reference."""
        return Content(_unhex(self.blake3), self.bytes, _unhex(self.chunks) if self.chunks else None)


class Component(_Document, frozen=True):
    """One code component. `path` is text from the root ('' for the root itself), see `chronos.files.to_text`."""

    path: str
    kind: ComponentKind
    base: str | None
    head: str | None
    branch: str | None
    entries: ListRef
    staged: ListRef
    hidden: ListRef
    object_format: str = "sha1"
    git_dir: str | None = None
    in_progress: tuple[str, ...] = ()

    @property
    def tree_path(self) -> TreePath:
        """The component's folder as a tree path, empty for the root."""
        return from_text(self.path)


class Member(_Document, frozen=True):
    """A file beside the manifest: BLAKE3 and size of the stored bytes; `complete` is false for a patch that is not."""

    blake3: str
    bytes: _Number
    complete: bool = True


class Unscanned(_Document, frozen=True):
    """New text contents that a scanner for secrets had no time for: how many, and their bytes."""

    count: _Number
    bytes: _Number


class Manifest(_Document, frozen=True):
    """Everything a checkpoint is, by hash."""

    format: int
    timeline: str
    sequence: _Number
    name: str
    description: str
    parents: tuple[str, ...]
    created_at: str
    trigger: Trigger
    grade: Grade
    state: str
    code: tuple[Component, ...]
    receipt: ListRef
    left_out: dict[str, _Number]
    members: dict[str, Member]
    packs: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    secrets: ListRef | None = None
    unscanned: dict[str, Unscanned] = {}

    @property
    def lists(self) -> list[ListRef]:
        """The lists that the manifest itself refers to."""
        own = [self.receipt] if self.secrets is None else [self.receipt, self.secrets]
        return [*own, *(ref for part in self.code for ref in (part.entries, part.staged, part.hidden))]

    @property
    def files_changed(self) -> int:
        """How many paths differ from their base."""
        return sum(component.entries.count for component in self.code)


class MemoryRecord(_Document, frozen=True):
    """One memory store of a checkpoint. `path` is text: from the root, or absolute for a store outside of it.

    `is_found` says that nobody declared it; `identity` is equal for equal states; `files` lists `MemoryFile` rows of
    `bytes` bytes in all. `is_torn` says that the store would not hold still; `facts` and `notes` are for people.
    `beside` are the names, beside it, that belong to the store, such as those of a `-wal`.
    """

    name: str
    kind: str
    path: str
    identity: str
    files: ListRef
    bytes: _Number
    is_found: bool = False
    is_torn: bool = False
    facts: dict[str, str | int] = {}
    notes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def is_inside(self) -> bool:
        """Whether it lies in the root."""
        return not os.path.isabs(self.path)


class MemoryDump(_Document, frozen=True):
    """`memory_dump/manifest.json`: the memory stores of a checkpoint."""

    format: int
    stores: tuple[MemoryRecord, ...]


_RowType = TypeVar("_RowType", Entry, StagedEntry, HiddenEntry, ReceiptRow, SecretRow, MemoryFile)


def is_checkpoint_id(text: str) -> bool:
    """Tell whether `text` has the form of a checkpoint id."""
    return _ID.fullmatch(text) is not None


def is_object_id(text: str) -> bool:
    """Tell whether `text` has the form of a git object id."""
    return _OBJECT_ID.fullmatch(text) is not None


def encode_manifest(manifest: Manifest) -> tuple[str, bytes]:
    """Return the checkpoint id and the bytes of its `checkpoint.json`."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    return digest(data).hex()[:ID_LENGTH], data


def decode_manifest(data: bytes, checkpoint_id: str) -> Manifest:
    """Read a manifest. Raises NewerFormatError, or DamagedManifestError when it is not exactly what was sealed."""
    if digest(data).hex()[:ID_LENGTH] != checkpoint_id:
        try:
            version = msgspec.json.decode(data, type=dict[str, Any]).get("format")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            version = None
        if not isinstance(version, int) or version <= FORMAT_VERSION:
            raise DamagedManifestError(f"the manifest of checkpoint {checkpoint_id} does not match its id")
    try:
        check_format(data, f"checkpoint {checkpoint_id}")
        return _checked(msgspec.json.decode(data, type=Manifest))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
        raise DamagedManifestError(f"the manifest of checkpoint {checkpoint_id} is not valid: {cause}") from cause


def encode_memory_dump(stores: Iterable[MemoryRecord]) -> bytes:
    """Return the bytes of `memory_dump/manifest.json`."""
    return msgspec.json.format(msgspec.json.encode(MemoryDump(FORMAT_VERSION, tuple(stores))), indent=1)


def decode_memory_dump(data: bytes, what: str) -> tuple[MemoryRecord, ...]:
    """Read the memory stores of a checkpoint, whose hash has been checked. Raises as `decode_manifest` does."""
    try:
        check_format(data, what)
        stores = msgspec.json.decode(data, type=MemoryDump).stores
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
        raise DamagedManifestError(f"{what} is not valid: {cause}") from cause
    if len({store.name for store in stores}) != len(stores):
        raise DamagedManifestError(f"{what} names a store twice")
    return stores


def check_memory_files(files: Iterable[MemoryFile]) -> None:
    """Raise DamagedManifestError when a file of a store would be written outside of it."""
    try:
        for file in files:
            if file.path:
                check_tree_path(file.path)
    except BadPathError as cause:
        raise DamagedManifestError(f"a list of a memory store names an {cause.message}") from cause


def check_format(data: bytes, what: str) -> None:
    """Raise NewerFormatError when a JSON document has a format above ours, a MsgspecError when it has none."""
    head = msgspec.json.decode(data, type=_Head)
    if head.format > FORMAT_VERSION:
        raise NewerFormatError(f"{what} has format {head.format}, this release reads {FORMAT_VERSION}")


def _checked(manifest: Manifest) -> Manifest:
    """Refuse what the types allow and git or the file system would take for something else."""
    try:
        paths = [component.tree_path for component in manifest.code]
    except BadPathError as cause:
        raise DamagedManifestError(f"a manifest names a component outside the tree: {cause.message}") from cause
    commits = [
        commit for component in manifest.code for commit in (component.base, component.head) if commit is not None
    ]
    if b"" not in paths or len(set(paths)) != len(paths):
        raise DamagedManifestError("a manifest names no root component, or one component twice")
    if not all(map(is_object_id, commits)):
        raise DamagedManifestError("a manifest names a base or head that is no object id")
    return manifest


def check_rows(rows: Iterable[Entry | StagedEntry | HiddenEntry]) -> None:
    """Raise DamagedManifestError when a row names an unsafe path or something that is no object id."""
    try:
        for row in rows:
            check_tree_path(row.path)
            if not isinstance(row, Entry) and not is_object_id(row.oid):
                raise DamagedManifestError("a staged row names something that is no object id")
    except BadPathError as cause:
        raise DamagedManifestError(f"a list of a checkpoint names an {cause.message}") from cause


def encode_rows(rows: list[_RowType]) -> bytes:
    """Encode the rows of a list object; an empty list is no bytes, so that no checkpoint depends on a chunk for it."""
    return msgspec.msgpack.encode(rows) if rows else b""


def decode_rows(data: bytes, row_type: type[_RowType]) -> list[_RowType]:
    """Decode the rows of a list object. Raises DamagedManifestError."""
    if not data:
        return []
    try:
        return msgspec.msgpack.decode(data, type=list[row_type])  # type: ignore[valid-type]
    except msgspec.MsgspecError as cause:
        raise DamagedManifestError(f"a list of a checkpoint is not valid: {cause}") from cause


def list_ref(content: Content, count: int) -> ListRef:
    """Return the manifest's reference to a list object."""
    return ListRef(content.id.hex(), content.size, count, content.chunks.hex() if content.chunks else None)


class _Head(msgspec.Struct):
    format: int


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as cause:
        raise DamagedManifestError("a hash in a manifest is not hexadecimal") from cause
