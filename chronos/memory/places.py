"""Which memory stores there are: declared in the settings or on this machine, or found under `data/memory`.

A declaration in a file of the project may come with a clone, so it cannot lead out of the project; one that was made
on this machine (`chrono memory add`) can.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import chain
from itertools import count as count_from
from pathlib import Path

import msgspec

from chronos.config import MemoryDeclaration
from chronos.errors import BadConfigError, BadPathError, DamagedStoreError, UnknownKindError, UnknownStoreError
from chronos.files import (
    TreePath,
    check_tree_path,
    display,
    is_inside,
    is_our_own,
    read_limited,
    replace_durably,
    to_text,
    unescape,
    with_siblings,
)
from chronos.layout import FORMAT_VERSION, StoreLayout
from chronos.memory.finding import Facts, find_stores
from chronos.memory.kinds import MemoryKind
from chronos.memory.registry import detect_kind, fitting_kind, get_kind
from chronos.pool import add_check, strip_check

_LARGEST_FILE_BYTES = 1024 * 1024
_NAME = r"\w[\w.-]{0,63}"


class StorePlace(msgspec.Struct, frozen=True):
    """Where one memory store is. `path` is text: from the root, or absolute; see `chronos.files.to_text`.

    `kind` is None where nobody said and nothing stood there to tell. `is_found` says that nobody declared it, and
    `refusal` why what was found is no store.
    """

    name: str
    kind: str | None
    place: Path
    path: str
    is_found: bool = False
    refusal: str = ""

    @property
    def is_inside(self) -> bool:
        """Whether it lies in the root."""
        return not os.path.isabs(self.path)

    def find_kind(self) -> MemoryKind:
        """Return the kind: what was declared is of that kind, and what was found may have become another."""
        if self.kind is not None and not self.is_found:
            return get_kind(self.kind)
        return fitting_kind(self.kind, self.place)

    def companions(self) -> list[Path]:
        """Return the paths beside the place that belong to the store, whether they exist or not."""
        return self.find_kind().companions(self.place) if not self.refusal else []

    def paths(self) -> set[str]:
        """Return the text of the path and of those beside it that belong to the store."""
        return {self.path, *map(to_text, self.tree_paths())}

    def tree_paths(self) -> set[TreePath]:
        """Return the paths from the root that belong to a store inside, and never to the code."""
        if self.refusal or not self.is_inside:
            return set()
        return with_siblings(unescape(self.path), (os.fsencode(beside.name) for beside in self.companions()))


class _Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`.store/memory.json`: the stores that were declared on this machine, by name."""

    format: int
    stores: dict[str, MemoryDeclaration]


def list_places(
    root: Path, layout: StoreLayout, settings: Mapping[str, MemoryDeclaration], facts: Facts, own_memory: Path,
    lessons: Path | None = None, apart: Iterable[StorePlace] = (),
) -> list[StorePlace]:  # fmt: skip
    """Return the declared stores and those under `data/memory`, by name.

    What is found is divided as it would be with the stores `apart`, which are not in the list.

    A timeline that has the folder `own_memory` has its own copies there of the stores that lie outside the root.
    `lessons` is where the lessons are.

    Raises BadConfigError when two have one name or one place lies in another, DamagedStoreError.
    """
    declared = {
        name: _declared_place(root, layout, name, found, lessons, is_shared=True) for name, found in settings.items()
    }
    for name, found in read_declarations(layout).items():
        if name in declared:
            raise BadConfigError(
                f"two memory stores are called {name!r}", hint=f"`chrono memory remove {name}`, or rename one"
            )
        declared[name] = _declared_place(root, layout, name, found, lessons, is_shared=False)
    _check_apart(declared.values())
    if any(not place.is_inside for place in declared.values()) and own_memory.is_dir():
        declared = {name: _own_copy(place, own_memory) for name, place in declared.items()}
    places = dict(declared)
    known = Territory(place.path for place in declared.values())
    own = [*declared.values(), *(place for place in apart if not known.overlaps(place.path))]
    taken, known = (
        {to_text(path) for place in own for path in place.tree_paths()},
        Territory(place.path for place in own),
    )
    for row in find_stores(root, tuple(sorted(taken)), facts):
        if not known.overlaps(row.path):
            name, place = free_name(row.path.rpartition("/")[2], row.path, places), place_of(root, row.path)
            places[name] = StorePlace(name, row.kind, place, row.path, is_found=True, refusal=row.refusal)
    return [places[name] for name in sorted(places)]


def _own_copy(place: StorePlace, own_memory: Path) -> StorePlace:
    return place if place.is_inside else msgspec.structs.replace(place, place=own_memory / place.name)


def free_name(name: str, path: str, taken: Container[str]) -> str:
    """Return a name for a found store at `path` that no other one has: `name`, or one made of its path."""
    candidates = chain((name, path), (f"{'./' * count}{path}" for count in count_from(1)))
    return next(candidate for candidate in candidates if candidate not in taken)


def may_be_called(path: str, name: str) -> bool:
    """Tell whether a store at `path` can have a name: one that somebody declares, or one that is made of its path."""
    while name.startswith("./"):
        name = name.removeprefix("./")
    return name in (path, path.rpartition("/")[2]) or re.fullmatch(_NAME, name) is not None


def overlap(one: str, other: str) -> bool:
    """Tell whether one store's path is that of the other, or lies in it."""
    first, second = unescape(one), unescape(other)
    return is_inside(first, second) or is_inside(second, first)


class Territory:
    """Paths of stores, which can be many, to be asked about others."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._own: set[bytes] = set()
        self._above: set[bytes] = set()
        for path in paths:
            self.add(path)

    def add(self, path: str) -> None:
        """Take one more path in."""
        self._own.add(unescape(path))
        self._above.update(_with_folders_above(unescape(path)))

    def overlaps(self, path: str) -> bool:
        """Tell whether one of the paths is `path`, lies in it, or has it in it."""
        data = unescape(path)
        return data in self._above or not self._own.isdisjoint(_with_folders_above(data))


def _with_folders_above(path: bytes) -> Iterator[bytes]:
    while path:
        yield path
        path = path.rpartition(b"/")[0]


def is_allowed(root: Path, layout: StoreLayout, path: str, lessons: Path | None = None) -> bool:
    """Tell whether a store may be at `path` from the root: in the tree, and in nothing that is not the user's."""
    place = place_of(root, path)
    return Path(os.path.realpath(place)) == place and _find_obstacle(root, layout, place, lessons) is None


def place_of(root: Path, path: str) -> Path:
    """Return where the text of a record's `path` leads. Raises BadPathError when it leaves the root by `..`."""
    data = unescape(path)
    if not os.path.isabs(path):
        check_tree_path(data)
    elif os.path.normpath(data) != data:
        raise BadPathError(f"the memory store {display(path)!r} is not at a plain path")
    return root / os.fsdecode(data)


def text_of(root: Path, path: Path | str) -> str:
    """Return what a record calls the store at `path` (absolute, or from the root), behind all links."""
    real = Path(os.path.realpath(root / path))
    return to_text(os.fsencode(real.relative_to(root) if real.is_relative_to(root) else real))


def read_declarations(layout: StoreLayout) -> dict[str, MemoryDeclaration]:
    """Return what was declared on this machine. Raises DamagedStoreError or StorageError."""
    path = layout.declarations
    if not path.is_file():
        return {}
    data = read_limited(path, _LARGEST_FILE_BYTES, too_large=DamagedStoreError)
    try:
        return msgspec.json.decode(strip_check(data), type=_Declared).stores
    except (msgspec.MsgspecError, ValueError, RecursionError) as cause:
        raise DamagedStoreError(
            f"{path} is damaged: {cause}",
            hint="`chrono verify --repair` mends one wrong bit, or sets it aside: then declare the stores again",
        ) from cause


def declare(
    root: Path, layout: StoreLayout, path: Path, kind: str | None, name: str | None, lessons: Path | None = None
) -> StorePlace:
    """Declare the store at `path` on this machine; return it. The store's exclusive lock must be held.

    Raises UnknownKindError, BadConfigError, BadPathError, StorageError.
    """
    real = Path(os.path.realpath(path))
    if kind is not None:
        get_kind(kind)
    if not os.path.lexists(real):
        raise BadPathError(f"nothing stands at {display(str(path))}", hint="create it first, or check the path")
    if not os.path.isfile(real) and not os.path.isdir(real):
        raise BadPathError(f"{display(str(path))} is no file and no folder", hint="give one that holds memory")
    if kind is None:
        kind = detect_kind(real).name
    text = text_of(root, real)
    found = MemoryDeclaration(text, kind)
    name = name or re.sub(r"[^\w.-]", "-", real.name).lstrip("-.") or "memory"
    place = _declared_place(root, layout, name, found, lessons, is_shared=False)
    known = read_declarations(layout)
    if name in known and known[name].path != text:
        raise BadConfigError(f"a memory store called {name!r} is declared already", hint="give another --name")
    others = [_declared_place(root, layout, other, where, lessons, is_shared=False) for other, where in known.items()]
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
    replace_durably(layout.declarations, add_check(msgspec.json.encode(_Declared(FORMAT_VERSION, stores))) + b"\n")


def _declared_place(
    root: Path, layout: StoreLayout, name: str, found: MemoryDeclaration, lessons: Path | None, *, is_shared: bool
) -> StorePlace:
    """Return the place of a declaration: the one behind all links, from the root where it lies in it."""
    if not re.fullmatch(_NAME, name):
        raise BadConfigError(f"a memory store cannot be called {display(name)!r}", hint="use letters, digits and . _ -")
    try:
        if found.kind is not None:
            get_kind(found.kind)
        place = Path(os.path.realpath(place_of(root, os.path.normpath(found.path))))
    except (BadPathError, UnknownKindError) as cause:
        raise BadConfigError(f"memory store {name!r}: {cause.message}", hint=cause.hint) from cause
    is_in_root = place.is_relative_to(root)
    if is_shared and not is_in_root:
        raise BadConfigError(
            f"memory store {name!r} at {display(found.path)} leads out of the project",
            hint="a project's own files may not say so; declare it on this machine with `chrono memory add`",
        )
    obstacle = _find_obstacle(root, layout, place, lessons)
    if obstacle is not None:
        raise BadConfigError(
            f"memory store {name!r} cannot be at {display(str(place))}: {obstacle}",
            hint="give a file or folder that holds memory and nothing else",
        )
    path = to_text(os.fsencode(place.relative_to(root) if is_in_root else place))
    return StorePlace(name, found.kind, place, path)


def _find_obstacle(root: Path, layout: StoreLayout, place: Path, given: Path | None) -> str | None:
    """Return why no store may be at a place: it is or holds what is none, or lies in what is never rewound."""
    lessons = {root / "data" / "lessons", layout.root.parent / "lessons", *((given,) if given else ())}
    if any(other.is_relative_to(place) for other in (root, layout.root, *lessons, *_homes())):
        return "it holds the project, the checkpoints, lessons or a home"
    is_in_branched = root.is_relative_to(layout.root) and place.is_relative_to(root)
    if any(place.is_relative_to(other) for other in (*(() if is_in_branched else (layout.root,)), *lessons)):
        return "checkpoints and lessons are never rewound"
    if ".git" in place.parts or len(place.parts) < 3:
        return "it is git's own, or a folder of the system"
    return "it belongs to another user" if place.exists() and not is_our_own(place) else None


def _homes() -> list[Path]:
    try:
        return [Path(pwd.getpwuid(os.geteuid()).pw_dir)]
    except KeyError:  # a container's user may have no entry
        return []


def _check_apart(places: Iterable[StorePlace]) -> None:
    known: list[StorePlace] = []
    for place in places:
        for other in known:
            if overlap(place.path, other.path) or place.paths() & other.paths():
                raise BadConfigError(
                    f"the memory stores {other.name!r} and {place.name!r} overlap",
                    hint="one place can belong to one store only; `chrono memory remove` takes a declaration back",
                )
        known.append(place)
