"""Checking one checkpoint after the other: manifest, members, lists, and that every chunk it needs is there.

Whether a chunk is there is asked of `is_held`: in a plain verification that is an index of all sound packs, in a deep
one what was just read. What many checkpoints share is looked at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from chronos.checkpoints import (
    LARGEST_MANIFEST_BYTES,
    Entry,
    ListRef,
    Manifest,
    MemoryRecord,
    Omissions,
    Reason,
    StagedEntry,
    State,
    Store,
    decode_manifest,
    is_for_imports,
    quarantined,
    read_memory_records,
    read_omissions,
)
from chronos.errors import ChronosError, IntegrityError
from chronos.files import display, read_limited, to_text, translate_os_errors
from chronos.layout import MANIFEST, MEMORY, OMISSIONS
from chronos.maintenance.survey import BadMember, Need, Survey
from chronos.pool import Content, digest

LOST = "every checkpoint not named here still restores; get this one back from a backup or delete it"
_NOT_NEEDED = "restores do not need it"


class CheckpointCheck:
    """Check checkpoints into one survey. `is_deep` reads members; otherwise their sizes are compared."""

    def __init__(self, survey: Survey, store: Store, is_held: Callable[[bytes], bool], *, is_deep: bool) -> None:
        self._survey = survey
        self._store = store
        self._is_held = is_held
        self._is_deep = is_deep
        self._sound: set[bytes] = set()

    def check(self, timeline: str, folder: Path) -> tuple[Manifest, State | None] | None:
        """Check the checkpoint in `folder`; return its manifest, and its state unless an equal one was sound before.

        None when there is no manifest to read, or no state.
        """
        subject = f"checkpoint {folder.name}"
        try:
            manifest = decode_manifest(read_limited(folder / MANIFEST, LARGEST_MANIFEST_BYTES), folder.name)
        except ChronosError as cause:
            if isinstance(cause, IntegrityError) or not os.path.lexists(folder / MANIFEST):
                self._survey.manifests.append(folder)
            self._survey.error(subject, cause.message, LOST)
            return None
        if manifest.timeline != timeline and not is_for_imports(self._store.layout, timeline):
            self._survey.error(subject, f"it belongs to timeline {manifest.timeline}", "move its folder back")
        omissions = Omissions()
        with suppress(ChronosError):  # reading the state says it
            omissions = read_omissions(folder)
        self._check_members(subject, folder, manifest, omissions)
        self._check_secrets(subject, manifest)
        return manifest, self._check_state(subject, timeline, folder, manifest)

    def _check_members(self, subject: str, folder: Path, manifest: Manifest, omissions: Omissions) -> None:
        for name, member in manifest.members.items():
            path = folder / name
            if name in omissions.members and name != MEMORY and not os.path.lexists(path):
                self._survey.note(subject, f"{name} was left out by the export: {omissions.members[name]}", _NOT_NEEDED)
                continue
            if Path(name).is_absolute() or ".." in Path(name).parts:
                self._survey.error(subject, f"it names a member {display(name)} outside of its folder", LOST)
                continue
            problem = self._problem_of(path, name, member.bytes, member.blake3)
            if problem is None:
                continue
            is_needed = name == MEMORY
            bad = BadMember(folder, name, member.blake3, member.bytes, is_needed)
            if is_needed:
                self._survey.error(subject, problem, "its memory stores cannot be restored; " + LOST)
            elif not os.path.lexists(path) and os.path.lexists(quarantined(self._store.layout, path)):
                self._survey.note(subject, f"{name} was set aside as damaged", _NOT_NEEDED)
            else:
                self._survey.warn(subject, problem, _NOT_NEEDED)
            self._survey.members.append(bad)

    def _check_secrets(self, subject: str, manifest: Manifest) -> None:
        try:
            self._store.read_secrets(manifest)
        except ChronosError as cause:
            problem = f"what it says of secrets is lost: {cause.message}"
            self._survey.warn(subject, problem, f"{_NOT_NEEDED}; show it with --scan")

    def _problem_of(self, path: Path, name: str, size: int, blake3: str) -> str | None:
        try:
            if not (self._is_deep or name == MEMORY):
                with translate_os_errors(f"cannot read {path}"):
                    is_same = path.is_file() and path.stat().st_size == size
            else:
                is_same = digest(read_limited(path, size + 1)).hex() == blake3
        except ChronosError as cause:
            return cause.message
        return None if is_same else f"{name} is damaged" if path.is_file() else f"{name} is gone"

    def _check_state(self, subject: str, timeline: str, folder: Path, manifest: Manifest) -> State | None:
        key = _key_of(manifest)
        is_whole = not os.path.lexists(folder / OMISSIONS)
        if is_whole and key in self._sound:
            return None
        try:
            state = self._store.read_state(manifest, folder)
        except ChronosError as cause:
            self._survey.error(subject, cause.message, LOST)
            self._find_lost_lists(timeline, folder, manifest)
            return None
        self._note_left_out(subject, state)
        if self._check_contents(subject, timeline, folder, state) and is_whole:
            self._sound.add(key)
        return state

    def _note_left_out(self, subject: str, state: State) -> None:
        """Name what an export left out: missing, and no damage."""
        for row in state.receipt:
            if row.reason is Reason.EXPORT:
                problem = f"{to_text(row.path)} was left out by the export: {row.detail}"
                self._survey.note(subject, problem, "import a file that was exported with --include-secrets")

    def _find_lost_lists(self, timeline: str, folder: Path, manifest: Manifest) -> None:
        refs: list[tuple[ListRef, MemoryRecord | None]] = [(ref, None) for ref in manifest.lists]
        with suppress(ChronosError):  # the check of its members says so
            refs += [(record.files, record) for record in read_memory_records(manifest, folder)]
        for ref, record in refs:
            with suppress(ChronosError):  # no hash at all
                self._note_lost(Need(timeline, folder, ref.content(), record=record))

    def _check_contents(self, subject: str, timeline: str, folder: Path, state: State) -> bool:
        is_sound = True
        for need, name in _needs_of(timeline, folder, state):
            if self._note_lost(need):
                is_sound = False
                self._survey.error(subject, f"the content of {name} is lost or damaged", LOST)
        return is_sound

    def _note_lost(self, need: Need) -> bool:
        lost = self._lost_chunks(need.content)
        if lost:
            # A chunk that is whole and no list of chunks is what a manifest took it for by mistake, and is not lost.
            self._survey.lost.update(chunk_id for chunk_id in lost if not self._is_whole_list(need.content, chunk_id))
            self._survey.needs.append(need)
        return bool(lost)

    def _is_whole_list(self, content: Content, chunk_id: bytes) -> bool:
        return chunk_id == content.chunks and self._store.pool.has_whole(chunk_id)

    def _lost_chunks(self, content: Content) -> list[bytes]:
        if content.chunks is None:
            return [] if not content.size or self._is_held(content.id) else [content.id]
        try:
            chunk_ids = self._store.pool.chunk_ids(content)
        except ChronosError:
            return [content.chunks]
        return [chunk_id for chunk_id in chunk_ids if not self._is_held(chunk_id)]


def _needs_of(timeline: str, folder: Path, state: State) -> Iterable[tuple[Need, str]]:
    """Yield every content of a state as a need, with its name for people."""
    for component in state.components.values():
        rows: list[Entry | StagedEntry] = [*component.entries.values(), *component.staged]
        for row in rows:
            if row.content is not None:
                path, oid = component.from_root(row.path), row.oid if isinstance(row, StagedEntry) else None
                yield Need(timeline, folder, row.content, path, component.path, oid), to_text(path)
    for name, part in state.memory.items():
        for file in part.files:
            if file.content is not None:
                where = f"{to_text(file.path)} in memory store {name}" if file.path else f"memory store {name}"
                yield Need(timeline, folder, file.content, file.path, record=part.record), where


def _key_of(manifest: Manifest) -> bytes:
    """Return what is equal for manifests with the same lists."""
    memory = manifest.members.get(MEMORY)
    parts = [(part.path, part.base, part.git_dir) for part in manifest.code]
    return digest(msgspec.json.encode((manifest.lists, parts, memory.blake3 if memory else None)))
