"""Checking a parcel that may come from anybody, before anything of it becomes visible.

Every hash, every path in every list, every id and name is looked at, and nothing may be in the file that its
checkpoint does not need. What passes is exactly what an export could have written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec

from chronos import clock
from chronos.checkpoints import (
    ContentWalk,
    Manifest,
    MemoryRecord,
    Omissions,
    SealedElsewhere,
    check_description,
    check_name,
    decode_manifest,
    decode_memory_dump,
    decode_omissions,
    is_checkpoint_id,
)
from chronos.errors import BadNameError, BadPathError, ChronosError, DamagedParcelError, NewerFormatError, OutsideError
from chronos.files import check_tree_path, display, unescape
from chronos.layout import ENVIRONMENT, MEMORY, OMISSIONS, PATCH, STATUS
from chronos.memory import may_be_called, place_of
from chronos.parcel import Parcel
from chronos.pool import Content, digest, new_digest
from chronos.transfer.exporting import LARGEST_MEMBER_BYTES

_MEMBERS = {PATCH, STATUS, ENVIRONMENT, MEMORY}
_LONGEST_TIMELINE = 120


class Inspected(msgspec.Struct, frozen=True):
    """A parcel that holds what it has to hold. `bytes` is what all its contents come to."""

    sealed: SealedElsewhere
    walk: ContentWalk
    omissions: Omissions
    bytes: int
    left_out: int

    @property
    def manifest(self) -> Manifest:
        """The checkpoint's manifest."""
        return self.sealed.manifest


def inspect(parcel: Parcel, progress: Callable[[int, int], None] | None = None) -> Inspected:
    """Check everything in a parcel. Raises DamagedParcelError, NewerFormatError, StorageError."""
    with _refusing(parcel):
        checkpoint_id = digest(parcel.manifest).hex()[:16]
        manifest = decode_manifest(parcel.manifest, checkpoint_id)
        _check_manifest(manifest)
        omissions = Omissions()
        if parcel.omissions is not None:
            omissions = decode_omissions(parcel.omissions, "its list of what is left out")
        files = _members(parcel, manifest, omissions)
        records = decode_memory_dump(files[MEMORY], MEMORY) if MEMORY in files else ()
        _check_records(records)
        walk = ContentWalk(parcel.pool, manifest, records)
        check = _Contents(parcel, omissions, progress)
        check.run(walk)
        _check_bundles(parcel, manifest)
    if parcel.omissions is not None:
        files[OMISSIONS] = parcel.omissions
    sealed = SealedElsewhere(checkpoint_id, manifest, parcel.manifest, files)
    return Inspected(sealed, walk, omissions, check.bytes, check.left_out)


def check_timeline_name(name: str) -> str:
    """Return `name` when a timeline's folder may have it. Raises BadPathError."""
    is_plain = name.isprintable() and not name.startswith((".", "-")) and "/" not in name and "\\" not in name
    if not is_plain or not name or len(name) > _LONGEST_TIMELINE:
        raise BadPathError(
            f"{name[:40]!r} cannot be the name of a timeline", hint="use letters, digits and . _ -, not first . or -"
        )
    check_tree_path(name.encode("utf-8", "surrogateescape"))
    return name


class _Contents:
    """Compare what the lists need with what the file has, reading all of it once."""

    def __init__(self, parcel: Parcel, omissions: Omissions, progress: Callable[[int, int], None] | None) -> None:
        self._parcel = parcel
        self._omitted = {bytes.fromhex(key) for key in omissions.contents}
        self._progress = progress
        self._needed: set[bytes] = set()
        self._long: set[Content] = set()
        self.bytes = 0
        self.left_out = 0

    def run(self, walk: ContentWalk) -> None:
        parcel = self._parcel
        for ref in walk.lists():
            content = ref.content()
            if content.size and content.key in self._omitted:
                raise parcel.damaged("a list of the checkpoint is left out")
            self._check(content)
        unused = set(self._omitted)
        for _ in walk.check_others():
            pass
        for held in walk.contents():
            key = held.content.key
            if held.content.size and key in self._omitted:
                unused.discard(key)
                self.left_out += 1
            else:
                self._check(held.content)
        if unused:
            raise parcel.damaged("it says that something is left out which its checkpoint does not have")
        if len(self._needed) != len(parcel.chunks):
            raise parcel.damaged("it has chunks that its checkpoint does not need")

    def _check(self, content: Content) -> None:
        """Check one content: its chunks are there, whole, and come to its size and hash."""
        if not content.size:
            is_sound = content.chunks is None and content.id == digest(b"")
        elif content.chunks is None:
            is_sound = self._is_sound_chunk(content)
        else:
            is_sound = content in self._long or self._is_sound(content)
        if not is_sound:
            raise self._parcel.damaged(f"content {content.id.hex()[:16]} is not what its checkpoint says")

    def _is_sound_chunk(self, content: Content) -> bool:
        if content.id not in self._needed:
            self._need(content.id)
            self._parcel.pool.read_chunk(content.id)
            self.bytes += content.size
        return self._parcel.chunks[content.id].raw_bytes == content.size

    def _is_sound(self, content: Content) -> bool:
        self._long.add(content)
        for chunk_id in self._parcel.pool.chunk_ids(content):
            self._need(chunk_id)
        found, size = new_digest(), 0
        for piece in self._parcel.pool.iter_content(content):
            found.update(piece)
            size += len(piece)
            if size > content.size:
                return False
        self.bytes += size
        return size == content.size and (content.chunks == content.id or found.digest() == content.id)

    def _need(self, chunk_id: bytes) -> None:
        if chunk_id not in self._parcel.chunks:
            raise self._parcel.damaged(f"chunk {chunk_id.hex()[:16]} is missing")
        if chunk_id not in self._needed:
            self._needed.add(chunk_id)
            if self._progress is not None:
                self._progress(len(self._needed), len(self._parcel.chunks))


def _check_manifest(manifest: Manifest) -> None:
    """Refuse what no capture seals, though the types allow it. The timeline's name is only shown."""
    check_name(manifest.name)
    check_description(manifest.description)
    for tag in manifest.tags:
        check_name(tag)
    _check_moment(manifest.created_at)
    if not all(map(is_checkpoint_id, manifest.parents)):
        raise BadPathError("a parent is no checkpoint id")
    if not manifest.members.keys() <= _MEMBERS:
        raise BadPathError("the manifest names a member that no checkpoint has")


def _check_moment(text: str) -> None:
    try:
        is_moment = clock.to_text(clock.from_text(text)) == text
    except (ValueError, OverflowError):
        is_moment = False
    if not is_moment:
        raise BadNameError(f"'{text[:40]!r}' is no time")


def _members(parcel: Parcel, manifest: Manifest, omissions: Omissions) -> dict[str, bytes]:
    """Return the members, each as its manifest says; what is declared as left out may be missing, the stores not."""
    missing = manifest.members.keys() - parcel.members.keys()
    if missing != omissions.members.keys() or MEMORY in missing or not parcel.members.keys() <= manifest.members.keys():
        raise parcel.damaged("its members are not those of its checkpoint")
    found = {}
    for name, span in parcel.members.items():
        member = manifest.members[name]
        if span.length != member.bytes or span.length > LARGEST_MEMBER_BYTES:
            raise parcel.damaged(f"{name} has {span.length} bytes")
        found[name] = parcel.read(span)
        if digest(found[name]).hex() != member.blake3:
            raise parcel.damaged(f"{name} is not what its checkpoint sealed")
    return found


def _check_records(records: tuple[MemoryRecord, ...]) -> None:
    """Refuse stores at places or with companions that no capture seals, and one in the place of another."""
    places = []
    for record in records:
        place_of(Path("/"), record.path)
        if not may_be_called(record.path, record.name):
            raise BadNameError(f"'{display(record.name[:40])}' cannot be the name of the memory store at this place")
        places.append(unescape(record.path) + b"/")
        if b"\0" in places[-1]:
            raise BadPathError("a memory store has a path with a NUL byte")
        for name in map(unescape, record.beside):
            if b"/" in check_tree_path(name):
                raise BadPathError("what belongs to a memory store does not lie beside it")
    places.sort()
    if any(inner.startswith(outer) for outer, inner in pairwise(places)):
        raise BadPathError("a memory store lies in another one")


def _check_bundles(parcel: Parcel, manifest: Manifest) -> None:
    bases = {(part.path, part.base) for part in manifest.code if part.base is not None}
    found = {(bundle.component, bundle.commit) for bundle in parcel.bundles}
    if not found <= bases or len(found) != len(parcel.bundles):
        raise parcel.damaged("it has the history of a commit that its checkpoint does not need")


@contextmanager
def _refusing(parcel: Parcel) -> Iterator[None]:
    """Say of every fault inside the file which file it is; a newer format and the disk's errors are no faults of it."""
    try:
        yield
    except (NewerFormatError, OutsideError):
        raise
    except ChronosError as cause:
        if isinstance(cause, DamagedParcelError):
            raise
        raise parcel.damaged(cause.message) from cause
