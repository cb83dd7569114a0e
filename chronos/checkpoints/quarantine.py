"""Setting damaged files aside: moved, never removed, and written down so that they can be put back by hand.

The quarantine is laid out like the store. A line of its record comes before the move, so a crash leaves at most a line
about something that is still in its place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

import msgspec

from chronos import clock
from chronos.checkpoints.manifest import is_checkpoint_id
from chronos.errors import StorageError
from chronos.files import link_or_copy, sync_folder, to_text, translate_os_errors, unescape
from chronos.layout import StoreLayout
from chronos.pool import add_check, strip_check

_RECORD = "record.jsonl"


class SetAside(msgspec.Struct, frozen=True):
    """One line of the record: what was moved from where to where, both from the store's folder, and why."""

    at: str
    source: str
    target: str
    why: str


def set_aside(layout: StoreLayout, path: Path, why: str) -> Path:
    """Move a file or folder of the store into the quarantine durably, and return its place there. Raises StorageError.

    Where it is in the way of an older one it takes a number behind its name.
    """
    place = next(place for place in _places(layout, path) if not os.path.lexists(place))
    with translate_os_errors(f"cannot set {path} aside"):
        _make_folders(layout, place.parent)
        _write_down(layout, path, place, why)
        os.rename(path, place)
    sync_folder(place.parent)
    sync_folder(path.parent)
    return place


def link_aside(layout: StoreLayout, path: Path, why: str) -> None:
    """Put a file into the quarantine durably and leave it in its place, too, where something sound will replace it.

    What is there already, after a run that was cut short, is not put there again.
    """
    import filecmp  # nearly no run of a program sets anything aside

    for place in _places(layout, path):
        if not os.path.lexists(place):
            with translate_os_errors(f"cannot set {path} aside"):
                _make_folders(layout, place.parent)
                _write_down(layout, path, place, why)
            link_or_copy(path, place)
            sync_folder(place.parent)
            return
        if place.is_file() and (place.samefile(path) or filecmp.cmp(place, path, shallow=False)):
            return


def quarantined(layout: StoreLayout, path: Path) -> Path:
    """Return where the quarantine has, or would have, what stood at `path`."""
    return layout.quarantine / path.relative_to(layout.root)


def list_folders_aside(layout: StoreLayout) -> list[tuple[str, Path]]:
    """Return the checkpoints that lie in the quarantine whole, by the record: their ids, and their folders there."""
    try:
        with translate_os_errors("cannot read the quarantine's record"):
            lines = (layout.quarantine / _RECORD).read_bytes().splitlines()
    except StorageError as cause:
        if isinstance(cause.__cause__, FileNotFoundError):
            return []
        raise
    found: dict[Path, str] = {}
    for line in lines:
        with suppress(msgspec.MsgspecError, ValueError):
            row = msgspec.json.decode(strip_check(line), type=SetAside)
            source, target = (Path(os.fsdecode(unescape(text))) for text in (row.source, row.target))
            folder = layout.root / target
            if is_checkpoint_id(source.name) and layout.quarantine in folder.parents and folder.is_dir():
                found[folder] = source.name
    return [(name, folder) for folder, name in found.items()]


def _places(layout: StoreLayout, path: Path) -> Iterator[Path]:
    first = quarantined(layout, path)
    return chain([first], (first.with_name(f"{path.name}.{number}") for number in count(1)))


def _make_folders(layout: StoreLayout, folder: Path) -> None:
    missing = []
    while not folder.is_dir() and folder != layout.system:
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def _write_down(layout: StoreLayout, path: Path, place: Path, why: str) -> None:
    source, target = (to_text(os.fsencode(one.relative_to(layout.root))) for one in (path, place))
    line = add_check(msgspec.json.encode(SetAside(clock.to_text(clock.now()), source, target, why))) + b"\n"
    descriptor = os.open(layout.quarantine / _RECORD, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(layout.quarantine)
