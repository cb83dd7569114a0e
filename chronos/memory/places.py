"""Which memory stores there are: declared in the settings or on this machine, or found under `data/memory`.

A declaration in a file of the project may come with a clone, so it cannot lead out of the project; one that was made
on this machine (`chrono memory add`) can.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from chronos.config import MemoryDeclaration
from chronos.errors import BadConfigError, BadPathError, DamagedStoreError, UnknownKindError, UnknownStoreError
from chronos.files import check_tree_path, display, is_our_own, read_limited, replace_durably, to_text, unescape
from chronos.layout import FORMAT_VERSION, StoreLayout
from chronos.memory.registry import detect_kind, get_kind

FOUND_FOLDER = "data/memory"
COMPANION_ENDINGS = (b"-wal", b"-shm", b"-journal")
_LARGEST_FILE_BYTES = 1024 * 1024
_MOST_LOOSE_FILES = 100
_NAME = re.compile(r"\w[\w.-]{0,63}")


class StorePlace(msgspec.Struct, frozen=True):
    """Where one memory store is. `path` is text: from the root, or absolute; see `chronos.files.to_text`.

    `kind` is None where nobody said and nothing stood there to tell. `is_found` says that nobody declared it.
    """

    name: str
    kind: str | None
    place: Path
    path: str
    is_found: bool = False

    @property
    def is_inside(self) -> bool:
        """Whether it lies in the root."""
        return not os.path.isabs(self.path)


class Facts(Protocol):
    """Where things are remembered that can be found out again."""

    def find_fact(self, key: str) -> bytes | None:
        """Return a remembered value."""
        ...

    def set_fact(self, key: str, value: bytes) -> None:
        """Remember a value."""
        ...


class _Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`.store/memory.json`: the stores that were declared on this machine, by name."""

    format: int
    stores: dict[str, MemoryDeclaration]


def list_places(
    root: Path, layout: StoreLayout, settings: Mapping[str, MemoryDeclaration], facts: Facts
) -> list[StorePlace]:
    """Return the declared stores and those under `data/memory`, by name.

    Raises BadConfigError when two have one name or one place lies in another, DamagedStoreError.
    """
    declared = {name: _declared_place(root, layout, name, found, is_shared=True) for name, found in settings.items()}
    for name, found in read_declarations(layout).items():
        if name in declared:
            raise BadConfigError(
                f"two memory stores are called {name!r}", hint=f"`chrono memory remove {name}`, or rename one"
            )
        declared[name] = _declared_place(root, layout, name, found, is_shared=False)
    _check_apart(declared.values())
    places = dict(declared)
    taken = [place.place for place in declared.values()]
    for store in _find(root, facts):
        if not any(_overlap(store.place, place) for place in taken):
            name = store.name if store.name not in places else store.path
            places[name] = msgspec.structs.replace(store, name=name)
    return [places[name] for name in sorted(places)]


def place_of(root: Path, path: str) -> Path:
    """Return where the text of a record's `path` leads. Raises BadPathError when it leaves the root by `..`."""
    data = unescape(path)
    if not os.path.isabs(path):
        check_tree_path(data)
    elif os.path.normpath(data) != data:
        raise BadPathError(f"the memory store {display(path)!r} is not at a plain path")
    return root / os.fsdecode(data)


def read_declarations(layout: StoreLayout) -> dict[str, MemoryDeclaration]:
    """Return what was declared on this machine. Raises DamagedStoreError or StorageError."""
    path = layout.declarations
    if not path.is_file():
        return {}
    data = read_limited(path, _LARGEST_FILE_BYTES, too_large=DamagedStoreError)
    try:
        return msgspec.json.decode(data, type=_Declared).stores
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
        raise DamagedStoreError(
            f"{path} is damaged: {cause}", hint="move it away and declare the stores again with `chrono memory add`"
        ) from cause


def declare(root: Path, layout: StoreLayout, path: Path, kind: str | None, name: str | None) -> StorePlace:
    """Declare the store at `path` on this machine; return it. The store's exclusive lock must be held.

    Raises UnknownKindError, BadConfigError, BadPathError, StorageError.
    """
    real = Path(os.path.realpath(path))
    if kind is not None:
        get_kind(kind)
    if not os.path.lexists(real):
        raise BadPathError(f"nothing stands at {display(str(path))}", hint="create it first, or check the path")
    if kind is None:
        kind = detect_kind(real).name
    is_inside = real.is_relative_to(root)
    text = to_text(os.fsencode(real.relative_to(root) if is_inside else real))
    found = MemoryDeclaration(text, kind)
    name = name or re.sub(r"[^\w.-]", "-", real.name).lstrip("-.") or "memory"
    place = _declared_place(root, layout, name, found, is_shared=False)
    known = read_declarations(layout)
    if name in known and known[name].path != text:
        raise BadConfigError(f"a memory store called {name!r} is declared already", hint="give another --name")
    others = [_declared_place(root, layout, other, where, is_shared=False) for other, where in known.items()]
    _check_apart([place, *(other for other in others if other.name != name)])
    _write(layout, {**known, name: found})
    return place


def undeclare(layout: StoreLayout, name: str) -> MemoryDeclaration:
    """Take a declaration back; return it. The store's exclusive lock must be held. Raises UnknownStoreError."""
    known = read_declarations(layout)
    if name not in known:
        raise UnknownStoreError(
            f"no memory store called {display(name)!r} is declared on this machine",
            hint="what the settings declare is removed there; what is found under data/memory is no declaration",
        )
    _write(layout, {other: found for other, found in known.items() if other != name})
    return known[name]


def _write(layout: StoreLayout, stores: dict[str, MemoryDeclaration]) -> None:
    data = msgspec.json.format(msgspec.json.encode(_Declared(FORMAT_VERSION, stores)), indent=1) + b"\n"
    replace_durably(layout.declarations, data)


def _declared_place(
    root: Path, layout: StoreLayout, name: str, found: MemoryDeclaration, *, is_shared: bool
) -> StorePlace:
    if not _NAME.fullmatch(name):
        raise BadConfigError(f"a memory store cannot be called {display(name)!r}", hint="use letters, digits and . _ -")
    try:
        if found.kind is not None:
            get_kind(found.kind)
        place = place_of(root, os.path.normpath(found.path))
    except (BadPathError, UnknownKindError) as cause:
        raise BadConfigError(f"memory store {name!r}: {cause.message}", hint=cause.hint) from cause
    real = Path(os.path.realpath(place.parent)) / place.name
    if is_shared and not real.is_relative_to(root):
        raise BadConfigError(
            f"memory store {name!r} at {display(found.path)} leads out of the project",
            hint="a project's own files may not say so; declare it on this machine with `chrono memory add`",
        )
    _refuse_dangerous(root, layout, name, real)
    return StorePlace(name, found.kind, place, os.path.normpath(found.path))


def _refuse_dangerous(root: Path, layout: StoreLayout, name: str, place: Path) -> None:
    """Refuse a place that holds the project, the checkpoints, git's own folder, or a home or system folder."""
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    holds = [other for other in (root, layout.root, home) if other.is_relative_to(place)]
    if holds or place.is_relative_to(layout.root) or ".git" in place.parts or len(place.parts) < 3:
        raise BadConfigError(
            f"memory store {name!r} cannot be at {display(str(place))}",
            hint="give a file or folder that holds memory and nothing else",
        )
    if place.exists() and not is_our_own(place):
        raise BadConfigError(f"memory store {name!r} at {display(str(place))} belongs to another user", hint="")


def _check_apart(places: Iterable[StorePlace]) -> None:
    known: list[StorePlace] = []
    for place in places:
        for other in known:
            if _overlap(place.place, other.place):
                raise BadConfigError(
                    f"the memory stores {other.name!r} and {place.name!r} overlap",
                    hint="one place can belong to one store only; `chrono memory remove` takes a declaration back",
                )
        known.append(place)


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _find(root: Path, facts: Facts) -> list[StorePlace]:
    """Return the stores under `data/memory`; while no folder in it has changed they are known already."""
    top = root / FOUND_FOLDER
    if not top.is_dir() or top.is_symlink():
        return []
    key = f"memory:{top}"
    remembered = facts.find_fact(key)
    if remembered is not None:
        times, rows = msgspec.msgpack.decode(remembered, type=tuple[dict[str, int], list[tuple[str, str]]])
        if all(_time_of(top / folder) == time for folder, time in times.items()):
            return [_found(root, path, kind) for path, kind in rows]
    times = {}
    rows = [(to_text(os.fsencode(path.relative_to(root))), kind) for path, kind in _scan(top, top, times)]
    facts.set_fact(key, msgspec.msgpack.encode((times, rows)))
    return [_found(root, path, kind) for path, kind in rows]


def _found(root: Path, path: str, kind: str) -> StorePlace:
    return StorePlace(path.rpartition("/")[2], kind, place_of(root, path), path, is_found=True)


def _scan(top: Path, folder: Path, times: dict[str, int]) -> Iterator[tuple[Path, str]]:
    """Yield the stores in `folder`: databases by themselves, folders without any as a whole, and loose files."""
    times[str(folder.relative_to(top))] = _time_of(folder)
    loose = []
    for path in sorted(folder.iterdir()):
        data = os.fsencode(path.name)
        if data.startswith(b".") or path.is_symlink() or data.endswith(COMPANION_ENDINGS):
            continue
        kind = detect_kind(path).name if path.is_file() or path.is_dir() else None
        if path.is_file() and kind == "files":
            loose.append((path, kind))
        elif kind == "files" and (path / ".git").exists():
            continue
        elif kind == "files" and _holds_store(top, path, times):
            yield from _scan(top, path, times)
        elif kind is not None:
            yield path, kind
    yield from loose if len(loose) <= _MOST_LOOSE_FILES else ()


def _holds_store(top: Path, folder: Path, times: dict[str, int]) -> bool:
    times[str(folder.relative_to(top))] = _time_of(folder)
    for path in folder.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir() or path.is_file():
            kind = detect_kind(path).name
            if kind != "files" or (path.is_dir() and _holds_store(top, path, times)):
                return True
    return False


def _time_of(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
