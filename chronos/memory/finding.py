"""Looking for memory stores under `data/memory`; what was found is known while no folder in it has changed.

Entries that come and go meanwhile are found or not; one that cannot be looked into counts as a store, whose capture
says why it cannot be read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from chronos import clock
from chronos.files import SMALLEST_PAGE_BYTES, is_inside, to_text, unescape
from chronos.memory.registry import detect_kind

FOUND_FOLDER = "data/memory"
_SETTLED_NS = 2_000_000_000
_GIT_FOLDER, _OWN_DRAFTS = ".git", ".chronos-"
# What git reads or keeps there is no memory, and stays with the code.
_OF_GIT = frozenset({b".gitignore", b".gitattributes", b".gitmodules", b".gitkeep"})
_RULES = "a file of git, and no memory store"
_LINK = "a link, which is not followed; `chrono memory add` declares what it leads to"
_REPOSITORY = "a repository of its own, and no memory store"


class Facts(Protocol):
    """Where things are remembered that can be found out again."""

    def find_fact(self, key: str) -> bytes | None:
        """Return a remembered value."""
        ...

    def set_fact(self, key: str, value: bytes) -> None:
        """Remember a value."""
        ...


class Found(msgspec.Struct, frozen=True, array_like=True):
    """A store at `path` (text, from the root), or with a `refusal` what is none, and why."""

    path: str
    kind: str
    refusal: str = ""


# The paths that were taken, the change time of each folder that was looked into, and what was found.
_Remembered = tuple[tuple[str, ...], dict[str, int], list[Found]]


def find_stores(root: Path, taken: tuple[str, ...], facts: Facts) -> list[Found]:
    """Return what is under `data/memory`, apart from the paths `taken`."""
    top = root / FOUND_FOLDER
    if not os.path.isdir(top) or os.path.realpath(top) != str(top):
        return []
    key = f"found:{to_text(os.fsencode(top))}"
    remembered = facts.find_fact(key)
    if remembered is not None:
        known: _Remembered = msgspec.msgpack.decode(remembered, type=_Remembered)
        is_same = known[0] == taken and all(_time_of(_below(root, folder)) == time for folder, time in known[1].items())
        if is_same and not any(_became_database(root, row) for row in known[2]):
            return known[2]
    scan = _Scan(root, {unescape(path) for path in taken})
    stores = list(scan.stores(FOUND_FOLDER.encode()))
    if max(scan.times.values()) + _SETTLED_NS < clock.now_ns():  # a younger folder can change without a trace
        facts.set_fact(key, msgspec.msgpack.encode((taken, scan.times, stores)))
    return stores


class _Scan:
    """A walk through `data/memory`, by paths from the root; `times` are those of the folders that were looked into."""

    def __init__(self, root: Path, taken: set[bytes]) -> None:
        self.times: dict[str, int] = {}
        self._root = root
        self._taken = taken
        self._seen: dict[bytes, list[tuple[bytes, str]] | None] = {}

    def stores(self, folder: bytes) -> Iterator[Found]:
        """Yield databases by themselves, folders without any as a whole, loose files, and what is no store."""
        children = self._children(folder)
        if children is None:
            yield Found(to_text(folder), "files")
        for path, kind in children or ():
            text = to_text(path)
            if not kind:
                yield Found(text, "files", _RULES if path.rpartition(b"/")[2] in _OF_GIT else _LINK)
            elif kind != "files" or not self._is_folder(path):
                yield Found(text, kind)
            elif self._holds_store(path):
                yield from self.stores(path)
            else:
                yield Found(text, kind, _REPOSITORY if os.path.lexists(_below(self._root, text) / ".git") else "")

    def _holds_store(self, folder: bytes) -> bool:
        return any(is_inside(path, folder) for path in self._taken) or any(
            kind not in ("files", "") or (self._is_folder(path) and self._holds_store(path))
            for path, kind in self._children(folder) or ()
        )

    def _is_folder(self, path: bytes) -> bool:
        place = self._root / os.fsdecode(path)
        return os.path.isdir(place) and not os.path.islink(place)

    def _children(self, folder: bytes) -> list[tuple[bytes, str]] | None:
        """Return what may be a store in a folder, with its kind; what is none has none. None: it cannot be listed."""
        if folder not in self._seen:
            self._seen[folder] = self._look_into(folder)
        return self._seen[folder]

    def _look_into(self, folder: bytes) -> list[tuple[bytes, str]] | None:
        place = self._root / os.fsdecode(folder)
        self.times[to_text(folder)] = _time_of(place)
        try:
            names = sorted(os.listdir(place))
        except OSError:
            return None
        found, companions = [], set()
        for name in names:
            child, path = place / name, folder + b"/" + os.fsencode(name)
            is_ours = name == _GIT_FOLDER or name.startswith(_OWN_DRAFTS)
            if is_ours or path in self._taken or child in companions:
                continue  # what belongs to a database must not even be opened
            if os.path.islink(child) or os.fsencode(name) in _OF_GIT:
                found.append((path, ""))
                continue
            kind = detect_kind(child)
            companions.update(kind.companions(child))
            found.append((path, kind.name))
        return found


def _became_database(root: Path, found: Found) -> bool:
    """Tell whether what was a plain file was written to, in place, so that it is a database now."""
    if found.kind != "files" or found.refusal:
        return False
    path = os.path.join(root, os.fsdecode(unescape(found.path)))
    try:
        about = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISREG(about.st_mode) or about.st_size % SMALLEST_PAGE_BYTES:
        return False
    return detect_kind(Path(path)).name != found.kind


def _below(root: Path, text: str) -> Path:
    return root / os.fsdecode(unescape(text))


def _time_of(folder: Path) -> int:
    """Return the change time, which that of its rights is too."""
    try:
        return folder.stat().st_ctime_ns
    except OSError:
        return 0
