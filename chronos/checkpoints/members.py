"""The readable files of a checkpoint: the patch from the base, and git's status. Restores read neither."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.catalog import Catalog
from chronos.checkpoints.capture import Capture
from chronos.checkpoints.component import CapturedComponent
from chronos.checkpoints.manifest import Entry, EntryKind, Grade
from chronos.checkpoints.reading import look
from chronos.checkpoints.states import ComponentState
from chronos.errors import GitFailedError
from chronos.files import FileStat, PathKind, SafeRoot, TreePath, display
from chronos.git import BlobReader, converts_any, diff_from_base, mode_of, new_file_patch
from chronos.pool import digest
from chronos.stat_cache import is_settled

if TYPE_CHECKING:
    from chronos.checkpoints.held_patches import HeldPatches

_STATUS_LIMIT_BYTES = 64 * 1024


def render_patch(
    capture: Capture, limit_bytes: int, scratch: Path, held: HeldPatches | None = None
) -> tuple[bytes, bool]:  # fmt: skip
    """Return a patch from the bases to the captured tree that `git apply` accepts, and whether it is complete.

    It is not complete above `limit_bytes` (of old and new contents together, or of the text), where git converts a
    changed file, where one changed meanwhile, of a torn capture, where a conflict is unresolved, in a sparse checkout,
    where something stands in the place of a submodule, and where git cannot render it: then a warning says so.
    `scratch` is a file name of ours; what is in `held` is not rendered again.
    """
    left_bytes = limit_bytes - sum(content.size for content in capture.state.code_contents())
    pieces, complete = [], capture.state.grade is not Grade.TORN
    for part in capture.components.values():
        try:
            left_bytes -= _base_bytes(part) if left_bytes >= 0 else 0
            if left_bytes < 0:
                return b"", False
            patch, exact = _component_patch(part, scratch, held)
        except GitFailedError as cause:
            name = display(part.state.path) or "this repository"
            capture.state.warnings.append(f"the readable patch of {name} is missing: {cause.message}")
            patch, exact = b"", False
        pieces.append(patch)
        complete &= exact
    text = b"".join(pieces)
    return (text, complete) if len(text) <= limit_bytes else (b"", False)


def recall_sizes(catalog: Catalog, capture: Capture) -> None:
    """Take from the catalog how large the blobs of the bases are: a git that is asked takes 4 ms."""
    for part in capture.components.values():
        known = part.repository.known_sizes
        if _base_oids(part) - known.keys():
            fact = catalog.find_fact(f"sizes:{part.key}")
            if fact is not None:
                known |= msgspec.msgpack.decode(fact, type=dict[str, int])


def remember_sizes(catalog: Catalog, capture: Capture) -> None:
    """Keep in the catalog what `render_patch` had to ask for, in the place of what is needed no more."""
    for part in capture.components.values():
        if part.has_new_sizes:
            known = part.repository.known_sizes
            sizes = {oid: known[oid] for oid in _base_oids(part) & known.keys()}
            catalog.set_fact(f"sizes:{part.key}", msgspec.msgpack.encode(sizes))


def render_status(capture: Capture) -> bytes:
    """Return git's status of every component as lines, cut at 64 KiB."""
    lines = []
    for path, part in capture.components.items():
        lines += [f"## {display(path)}"] if path else []
        lines += [display(record) for record in part.status_output.split(b"\0") if record]
    text = "\n".join(lines).encode("utf-8", "replace") + b"\n"
    if len(text) <= _STATUS_LIMIT_BYTES:
        return text
    return (
        text[:_STATUS_LIMIT_BYTES].rpartition(b"\n")[0] + b"\n# cut here; the entries of the checkpoint are complete\n"
    )


def _base_bytes(part: CapturedComponent) -> int:
    """Return how much the base holds at the captured paths: a deletion is rendered as long as the file was."""
    oids, known = _base_oids(part), part.repository.known_sizes
    fresh = oids - known.keys()
    if fresh:
        with BlobReader(part.repository.command) as blobs:
            known |= blobs.find_sizes(fresh)
        part.has_new_sizes = True
    return sum(known.get(oid, 0) for oid in oids)


def _base_oids(part: CapturedComponent) -> set[str]:
    return {entry.oid for path, entry in part.base_entries.items() if path in part.state.entries}


def _component_patch(part: CapturedComponent, scratch: Path, held: HeldPatches | None) -> tuple[bytes, bool]:
    state = part.state
    pieces = _find_held(state, held) if held is not None else {}
    missing = [(path, entry) for path, entry in state.entries.items() if path not in pieces]
    in_base = [part.base_entries[path] for path, _ in missing if path in part.base_entries]
    fresh = [entry for path, entry in missing if path not in part.base_entries and entry.content is not None]
    exact = part.is_patchable and not any(row.stage for row in state.staged)
    exact = exact and not any(path in state.entries for path in part.converted)
    exact = exact and not _is_converted(part)
    prefix = state.path + b"/" if state.path else b""
    texts = [piece for path, piece in pieces.items() if path in part.base_entries]
    texts.append(diff_from_base(part.repository, in_base, scratch, prefix))
    texts += [piece for path, piece in pieces.items() if path not in part.base_entries]
    with SafeRoot(part.repository.root) as tree:
        # git read the disk after the capture did: what was written in between is in the patch.
        exact = exact and all(_is_as_captured(tree, part, state.entries[old.path]) for old in in_base)
        for entry in fresh:
            data = _read_again(tree, entry)
            if data is None:
                exact = False
                continue
            mode = mode_of(is_link=entry.kind is EntryKind.LINK, executable=entry.executable)
            texts.append(new_file_patch(prefix + entry.path, mode, data, state.object_format))
    return b"".join(texts), exact


def _find_held(state: ComponentState, held: HeldPatches) -> dict[TreePath, bytes]:
    found = ((path, held.find(state, entry)) for path, entry in state.entries.items())
    return {path: piece for path, piece in found if piece is not None}


def _is_as_captured(tree: SafeRoot, part: CapturedComponent, entry: Entry) -> bool:
    """Tell whether nothing was written to a path since: by its looks, or by its bytes where those prove nothing."""
    stat = look(tree, entry.path)
    if entry.content is None:
        return stat is None or (isinstance(stat, FileStat) and stat.kind is PathKind.FOLDER)
    if isinstance(stat, FileStat) and stat == part.seen.get(entry.path) and is_settled(stat, part.started_ns):
        return True
    return _read_again(tree, entry) is not None


def _is_converted(part: CapturedComponent) -> bool:
    """Tell whether git diffs other bytes than those on disk for a changed file of the base."""
    found = (part.state.entries[path] for path in part.base_entries if path in part.state.entries)
    paths = [entry.path for entry in found if entry.kind is EntryKind.FILE]
    return part.may_convert and bool(paths) and converts_any(part.repository, paths)


def _read_again(tree: SafeRoot, entry: Entry) -> bytes | None:
    """Return the bytes at the entry's path when they are still those that were captured."""
    try:
        if entry.content is not None and entry.content.size == 0:
            return b""
        if entry.kind is EntryKind.LINK:
            data = tree.read_link(entry.path)
        else:
            with open(tree.open_file(entry.path), "rb") as stream:
                data = stream.read()
    except OSError:
        return None
    return data if entry.content is not None and digest(data) == entry.content.id else None
