"""Mending files that are known by a hash, or carry it: a sound copy of the same bytes, or the one bit that is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from chronos.checkpoints import (
    LARGEST_MANIFEST_BYTES,
    Trigger,
    decode_manifest,
    link_aside,
    list_checkpoint_folders,
    list_timelines,
)
from chronos.errors import ChronosError
from chronos.files import read_limited, sync_folder, translate_os_errors, write_new
from chronos.layout import MANIFEST
from chronos.maintenance.survey import BadMember
from chronos.operations import Workspace
from chronos.pool import digest, strip_check

# Each bit is tried: 32 KiB take about a second.
_LARGEST_TRIED_BYTES = 32 * 1024


def find_manifest(folder: Path) -> bytes | None:
    """Return what the manifest in `folder` must have been, if it is one bit away from the id of the checkpoint."""
    with suppress(ChronosError):
        data = read_limited(folder / MANIFEST, _LARGEST_TRIED_BYTES)
        return _find_bit(data, lambda tried: digest(tried).hex().startswith(folder.name))
    return None


def find_checked(path: Path) -> bytes | None:
    """Return what a document that carries its check must have been, if one bit of it is wrong."""
    with suppress(ChronosError):
        return _find_bit(read_limited(path, _LARGEST_TRIED_BYTES), _has_right_check)
    return None


def _has_right_check(document: memoryview) -> bool:
    data = bytes(document)
    with suppress(ValueError):
        return strip_check(data) != data
    return False


class MemberSources:
    """Where the bytes of members may be had again. What the checkpoints have is looked up once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._known: dict[str, list[Path]] | None = None

    def find(self, bad: BadMember) -> bytes | None:
        """Return the bytes that a member must have, or None."""
        if self._known is None:
            self._known = {}
            for blake3, path in self._list_members():
                self._known.setdefault(blake3, []).append(path)
        for path in self._known.get(bad.blake3, ()):
            with suppress(ChronosError):
                data = read_limited(path, bad.size)
                if digest(data).hex() == bad.blake3:
                    return data
        environment = self._workspace.request("repair", Trigger.MANUAL).environment
        if digest(environment).hex() == bad.blake3:
            return environment
        with suppress(ChronosError):
            data = read_limited(bad.folder / bad.name, _LARGEST_TRIED_BYTES)
            return _find_bit(data, lambda tried: digest(tried).hex() == bad.blake3)
        return None

    def _list_members(self) -> Iterator[tuple[str, Path]]:
        layout = self._workspace.store.layout
        for timeline in list_timelines(layout):
            for shelf in (layout.timeline(timeline), layout.deleted(timeline)):
                for folder in list_checkpoint_folders(shelf):
                    with suppress(ChronosError):
                        data = read_limited(folder / MANIFEST, LARGEST_MANIFEST_BYTES)
                        manifest = decode_manifest(data, folder.name)
                        yield from ((member.blake3, folder / name) for name, member in manifest.members.items())


def put_in_place(workspace: Workspace, path: Path, data: bytes, why: str) -> None:
    """Replace the damaged file at `path` by sound bytes in one step; the damaged one is in the quarantine before."""
    if os.path.lexists(path):
        link_aside(workspace.store.layout, path, why)
    with workspace.store.temporary_folder() as scratch:
        write_new(scratch / "sound", data)
        with translate_os_errors(f"cannot write {path}"):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(scratch / "sound", path)
        sync_folder(path.parent)


def _find_bit(data: bytes, is_right: Callable[[memoryview], bool]) -> bytes | None:
    tried = bytearray(data)
    for place in range(len(tried)):
        for bit in range(8):
            tried[place] ^= 1 << bit
            if is_right(memoryview(tried)):
                return bytes(tried)
            tried[place] ^= 1 << bit
    return None
