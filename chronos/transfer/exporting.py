"""Writing a checkpoint into a parcel: one file with everything that another store needs to have it.

The file takes its name when it is whole and durable; before that it is a draft beside it. Every chunk is checked by
hash on its way: a damaged one makes the export fail, because a second copy with a hole in it is found out too late.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from chronos import locks
from chronos.catalog import CheckpointRow
from chronos.checkpoints import (
    LARGEST_MANIFEST_BYTES,
    ContentWalk,
    FoundSecret,
    Manifest,
    Omissions,
    decode_manifest,
    encode_omissions,
    find_secrets,
    read_memory_records,
    read_omissions,
)
from chronos.errors import ChronosError, IntegrityError, StateError, TargetExistsError, UsageError
from chronos.files import (
    display,
    draft_of,
    publish_file,
    read_limited,
    sweep_drafts,
    translate_os_errors,
)
from chronos.git import Repository, create_base_ref, create_bundle, has_base_ref, has_commit
from chronos.layout import MANIFEST, MEMORY, PATCH
from chronos.operations import Workspace, check_outside, open_repositories
from chronos.parcel import ParcelWriter
from chronos.pool import decompress_text, digest
from chronos.transfer.screening import LeftOutFile, Screened, find_in_text, naming, screen

LARGEST_MEMBER_BYTES = 64 * 1024 * 1024
_BUFFER_BYTES = 1024 * 1024
_LARGEST_PATCH_BYTES = 64 * 1024 * 1024  # as text; what is longer is not searched for secrets, and left out


class Exported(msgspec.Struct, frozen=True):
    """What came of an export: the file, its size, what stayed out of it, and the base commits that are in it."""

    checkpoint_id: str
    name: str
    path: Path
    bytes: int
    chunks: int
    left_out: tuple[LeftOutFile, ...]
    members_left_out: tuple[str, ...]
    bases: tuple[str, ...]


def export(
    workspace: Workspace, row: CheckpointRow, target: Path, *, base: bool = False, include_secrets: bool = False
) -> Exported:
    """Write the checkpoint into the new file `target`, private to its owner.

    With `base` its base commits go along, with their whole history as git has it, which nothing searches for secrets.
    Raises TargetExistsError, SecretInSealError, IncompleteBaseError, IntegrityError, StorageError, GitFailedError.
    """
    target = Path(os.path.abspath(target))
    if target.name in ("", "-"):
        raise UsageError("an export goes into a file, not to standard output", hint="give the name of a new file")
    check_outside(workspace, target.parent)
    sweep_drafts(target.parent, target.name)
    if os.path.lexists(target):
        raise TargetExistsError(f"{display(str(target))} exists already")
    store = workspace.store
    with (
        translate_os_errors(f"cannot write {display(str(target))}"),
        store.shared(),
        store.temporary_folder() as scratch,
        _draft(target) as stream,
    ):
        source = _Source.open(workspace, row, include_secrets)
        writer = ParcelWriter(stream)
        members = source.write_head(writer)
        chunks = source.write_chunks(writer)
        bases = _write_bases(workspace, source.manifest, writer, scratch) if base else ()
        writer.finish()
        stream.flush()
        os.fsync(stream.fileno())
        publish_file(draft_of(target), target)
    files = source.screened.files
    return Exported(row.checkpoint_id, row.name, target, writer.size, chunks, files, members, bases)


class _Source(msgspec.Struct):
    """The checkpoint on its way out."""

    workspace: Workspace
    folder: Path
    data: bytes
    manifest: Manifest
    walk: ContentWalk
    screened: Screened
    include_secrets: bool

    @classmethod
    def open(cls, workspace: Workspace, row: CheckpointRow, include_secrets: bool) -> _Source:
        store = workspace.store
        folder = store.layout.checkpoint(row.timeline, row.checkpoint_id)
        data = read_limited(folder / MANIFEST, LARGEST_MANIFEST_BYTES)
        manifest = decode_manifest(data, row.checkpoint_id)
        walk = ContentWalk(store.pool, manifest, read_memory_records(manifest, folder))

        def find() -> list[FoundSecret]:
            return find_secrets(store, manifest, store.read_state(manifest, folder), scan=True, everywhere=True)

        screened = screen(walk, read_omissions(folder), store.catalog.has_chunk, None if include_secrets else find)
        return cls(workspace, folder, data, manifest, walk, screened, include_secrets)

    def write_head(self, writer: ParcelWriter) -> tuple[str, ...]:
        """Write manifest, omissions and members; return the members that are left out."""
        members: dict[str, bytes] = {}
        missing: dict[str, str] = {}
        for name in self.manifest.members:
            try:
                data = self._member(name)
                reason = self._why_without(name, data)
            except IntegrityError as cause:
                if name == MEMORY:
                    raise
                data, reason = b"", cause.message
            if reason is None:
                members[name] = data
            else:
                missing[name] = reason[:200]
        omissions = Omissions(contents=self.screened.omissions.contents, members=missing)
        writer.add_manifest(self.data)
        if omissions:
            writer.add_omissions(encode_omissions(omissions))
        for name, data in members.items():
            writer.add_member(name, data)
        return tuple(missing)

    def write_chunks(self, writer: ParcelWriter) -> int:
        """Write the lists first, then what they name, each chunk once; return how many."""
        written: set[bytes] = set()
        for ref in self.walk.lists():
            self._write(writer, self.walk.pool.chunk_ids(ref.content()), written)
        out, total = self.screened.omissions.contents, self.manifest.files_changed
        for number, held in enumerate(self.walk.contents(), 1):
            if held.content.size and held.content.key.hex() not in out:
                with naming(held):
                    self._write(writer, self.walk.pool.chunk_ids(held.content), written)
            if self.workspace.progress is not None:
                self.workspace.progress(min(number, total), total)
        return len(written)

    def _write(self, writer: ParcelWriter, chunk_ids: list[bytes], written: set[bytes]) -> None:
        for chunk_id in chunk_ids:
            if chunk_id not in written:
                writer.add_chunk(self.walk.pool.read_stored(chunk_id))
                written.add(chunk_id)

    def _member(self, name: str) -> bytes:
        """Return a member's bytes. Raises IntegrityError when it is lost, damaged or too large."""
        known = self.screened.omissions.members.get(name)
        if known is not None:
            raise IntegrityError(known)
        try:
            data = read_limited(self.folder / name, LARGEST_MEMBER_BYTES)
        except ChronosError as cause:
            raise IntegrityError(f"{name} cannot be read: {cause.message}") from cause
        if digest(data).hex() != self.manifest.members[name].blake3:
            raise IntegrityError(f"{name} is damaged")
        return data

    def _why_without(self, name: str, data: bytes) -> str | None:
        """Return why a member must stay out. The patch repeats what the files say, and what their base said."""
        if self.include_secrets or name == MEMORY:
            return None
        if name == PATCH:
            if self.screened.omissions.contents:
                return "it repeats the text of files that are left out"
            data = decompress_text(data, _LARGEST_PATCH_BYTES)
        what = find_in_text(data, name)
        return None if what is None else f"seems to hold {what}"


@contextmanager
def _draft(target: Path) -> Iterator[BinaryIO]:
    """Open the draft of `target`; what is not published when the block ends is removed. Raises OSError."""
    draft = draft_of(target)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    draft.unlink(missing_ok=True)
    try:
        with open(os.open(draft, flags, 0o600), "wb", buffering=_BUFFER_BYTES) as stream:
            yield stream
    finally:
        draft.unlink(missing_ok=True)


def _write_bases(workspace: Workspace, manifest: Manifest, writer: ParcelWriter, scratch: Path) -> tuple[str, ...]:
    """Write a bundle for each component that has a base. Raises StateError when its commit is not here."""
    store = workspace.store
    paths = {part.tree_path for part in manifest.code}
    repositories = open_repositories(workspace.repository, workspace.git, paths, workspace.notices)
    commits = []
    for number, part in enumerate(manifest.code):
        if part.base is None:
            continue
        repository = repositories.get(part.tree_path)
        if repository is None or not has_commit(repository, part.base):
            where = f" of {display(part.tree_path)}" if part.path else ""
            raise StateError(
                f"the base commit {part.base[:12]}{where} is not here", hint="fetch it, or export without --base"
            )
        _pin(workspace, repository, part.base)
        bundle = scratch / f"{number}.bundle"
        create_bundle(repository, store.id, part.base, bundle)
        with open(bundle, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            writer.add_bundle(part.path, part.base, size, iter(partial(stream.read, _BUFFER_BYTES), b""))
        bundle.unlink()
        commits.append(part.base)
    return tuple(commits)


def _pin(workspace: Workspace, repository: Repository, commit: str) -> None:
    store = workspace.store
    if not has_base_ref(repository, store.id, commit):
        with locks.hold(store.layout.refs_lock, timeout_s=store.config.lock_timeout_s):
            create_base_ref(repository, store.id, commit)
