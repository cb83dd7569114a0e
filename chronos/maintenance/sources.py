"""Where the bytes of lost chunks may still be: packs set aside, git, the working tree, complete patches, live memory.

Everything found passes by its hash or not at all, so a source may be asked for anything. The cheap ones come first;
none of them is written to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from chronos.checkpoints import (
    LARGEST_MANIFEST_BYTES,
    Component,
    ComponentState,
    Entry,
    EntryKind,
    Manifest,
    State,
    capture_in_memory,
    decode_manifest,
    encode_rows,
    put_lists,
)
from chronos.errors import ChronosError
from chronos.files import PathKind, SafeRoot, TreePath, read_limited, unescape
from chronos.git import (
    EXECUTABLE_MODE,
    LINK_MODE,
    BlobReader,
    PatchedTree,
    Repository,
    TreeEntry,
    list_blobs,
    list_index_paths,
    list_tree,
)
from chronos.layout import MANIFEST, PATCH
from chronos.maintenance.patch_check import base_entries, has_bases, patched_tree, read_patch
from chronos.maintenance.survey import Survey
from chronos.memory import CaptureWork, get_kind
from chronos.operations import Workspace
from chronos.pool import FILE_PROFILE, LIST_PROFILE, Content, PickingSink, salvage_chunks
from chronos.stat_cache import StatCache

# Large files are read for pieces that they may share with what was lost, up to so many bytes from each source.
_PIECES_BUDGET_BYTES = 4 * 1024 * 1024 * 1024


class Sources:
    """Look for the chunks that `sink` wants, one source after the other, until it wants nothing more."""

    def __init__(self, workspace: Workspace, survey: Survey, sink: PickingSink) -> None:
        self._workspace = workspace
        self._survey = survey
        self._sink = sink
        files = [need for need in survey.needs if need.path is not None and need.record is None]
        self._sizes = {need.content.size for need in files}
        self._has_pieces = any(need.content.chunks is not None for need in files)

    def ask_all(self) -> dict[str, int]:
        """Ask every source; return how many chunks each one gave, by its name for people."""
        sources: dict[str, Callable[[], None]] = {
            "packs set aside": self._ask_quarantine,
            "git objects": self._ask_git,
            "the working tree": self._ask_tree,
            "the present state": self._ask_capture,
            "complete patches": self._ask_patches,
            "memory stores": self._ask_memory,
        }
        found = {}
        for name, ask in sources.items():
            before = len(self._sink.wanted)
            if before:
                with suppress(ChronosError, OSError):  # a source that cannot be read has nothing
                    ask()
            found[name] = before - len(self._sink.wanted)
        return {name: count for name, count in found.items() if count}

    def _ask_quarantine(self) -> None:
        """What an earlier round set aside may have what only later ones know to be wanted."""
        for path in sorted(self._workspace.store.layout.quarantine.glob("*/packs/*.pack*")):
            if not self._sink.wanted:
                return
            with suppress(ChronosError, OSError):
                for _, data in salvage_chunks(path, self._sink.wanted):
                    self._sink.add_chunk(data)

    def _repositories(self) -> Iterator[Repository]:
        for repository in self._survey.repositories.values():
            if repository is not None:
                yield repository

    def _ask_git(self) -> None:
        """Every blob as long as a lost content: staged ones, and whatever was committed since, are among them."""
        for repository in self._repositories():
            if repository.is_plain:
                continue
            budget = _PIECES_BUDGET_BYTES
            with suppress(ChronosError), BlobReader(repository.command) as blobs:
                for oid, size in list_blobs(repository):
                    if not self._sink.wanted or not self._may_have(size, budget):
                        continue
                    budget -= size
                    self._sink.add_bytes(blobs.read(oid))

    def _may_have(self, size: int, budget: int) -> bool:
        return size in self._sizes or (self._has_pieces and FILE_PROFILE.whole_bytes < size <= budget)

    def _ask_tree(self) -> None:
        """The files at the very paths first, then every file that git knows."""
        own = [need.path for need in self._survey.needs if need.path is not None and need.record is None]
        self._read_files(self._workspace.repository, own, has_any_size=True)
        for repository in self._repositories():
            with suppress(ChronosError):
                self._read_files(repository, list_index_paths(repository, repository.index))

    def _read_files(self, repository: Repository, paths: list[TreePath], *, has_any_size: bool = False) -> None:
        budget = _PIECES_BUDGET_BYTES
        with SafeRoot(repository.root) as tree:
            for path in dict.fromkeys(paths):
                with suppress(ChronosError, OSError):
                    stat = tree.find_stat(path)
                    if stat is None or not (has_any_size or self._may_have(stat.size, budget)):
                        continue
                    if stat.kind is PathKind.LINK:
                        self._sink.add_bytes(tree.read_link(path))
                    elif stat.kind is PathKind.FILE:
                        budget -= stat.size
                        descriptor = tree.open_file(path)
                        try:
                            self._sink.add_file(descriptor, stat.size)
                        finally:
                            os.close(descriptor)

    def _ask_capture(self) -> None:
        """What a checkpoint would take in now, with its lists: what has not changed since has the same chunks."""
        workspace = self._workspace
        capture = capture_in_memory(workspace.store, workspace.repository, workspace.policy(), self._sink)
        put_lists(self._sink, capture.state)

    def _ask_patches(self) -> None:
        for folder in dict.fromkeys(need.folder for need in self._survey.needs):
            if not self._sink.wanted:
                return
            with suppress(ChronosError, OSError):
                manifest = decode_manifest(read_limited(folder / MANIFEST, LARGEST_MANIFEST_BYTES), folder.name)
                member = manifest.members.get(PATCH)
                if member is not None and member.complete:
                    self._ask_patch(manifest, read_patch(folder, member.bytes, self._workspace.config))

    def _ask_patch(self, manifest: Manifest, patch: bytes) -> None:
        """Rebuild the captured entries from the patch alone: their list may be lost, too."""
        state = State({part.tree_path: _bare(part) for part in manifest.code})
        repositories = self._survey.repositories
        if not has_bases(state, repositories):
            return
        bases = {entry.path: entry for entry in base_entries(state, repositories, _whole_base)}
        with patched_tree(self._workspace, repositories, list(bases.values()), patch) as found:
            for path in sorted(bases.keys() | found.entries.keys()):
                if bases.get(path) != found.entries.get(path):
                    owner = state.owner(path)
                    own = owner.own_path(path)
                    owner.entries[own] = self._entry(own, found.entries.get(path), found)
        put_lists(self._sink, state)

    def _entry(self, path: TreePath, made: TreeEntry | None, found: PatchedTree) -> Entry:
        if made is None:
            return Entry(path, EntryKind.DELETED)
        kind = EntryKind.LINK if made.mode == LINK_MODE else EntryKind.FILE
        content = self._sink.add_bytes(found.blobs.read(made.oid))
        return Entry(path, kind, made.mode == EXECUTABLE_MODE, content)

    def _ask_memory(self) -> None:
        """Let each kind read its place as for a capture; what did not change since has the same pieces."""
        records = {need.record.path: need.record for need in self._survey.needs if need.record is not None}
        for text, record in records.items():
            with suppress(ChronosError, OSError):
                place = self._workspace.root / os.fsdecode(unescape(text))  # which may be absolute
                state = get_kind(record.kind).capture(place, self._capture_work())
                self._sink.add_bytes(encode_rows(state.files), LIST_PROFILE)

    def _capture_work(self) -> CaptureWork:
        timeout_s = self._workspace.config.lock_timeout_s
        return CaptureWork(self._sink, StatCache({}), _no_pieces, lambda _path, _size: None, timeout_s)


def _no_pieces(_content: Content) -> list[bytes]:
    return []


def _whole_base(repository: Repository, part: ComponentState) -> Iterator[TreeEntry]:
    return list_tree(repository, part.base or "")


def _bare(part: Component) -> ComponentState:
    """Return a component as the manifest alone has it: without its lists."""
    names = (part.object_format, part.git_dir, part.in_progress)
    return ComponentState(part.tree_path, part.kind, part.base, part.head, part.branch, *names)
