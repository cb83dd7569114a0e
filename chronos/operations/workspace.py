"""One place of work: a root, its repository, its timeline, and the store that serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos import checkpoints, memory
from chronos.config import Config
from chronos.files import SafeRoot, TreePath, is_tree_path
from chronos.git import GitCommand, Repository

if TYPE_CHECKING:
    from chronos.checkpoints import CapturePolicy, Request, Store, Trigger
    from chronos.memory import StorePlace


class Workspace(msgspec.Struct):
    """Everything an operation needs to know about where it works.

    `home` is the working tree that has the store (the first one of a repository); `notices` are for the front door. A
    folder `own_memory` has copies of the memory stores outside of the root, by default where its timeline keeps them.
    `lessons` is the folder that no checkpoint holds.
    """

    root: Path
    home: Path
    repository: Repository
    timeline: str
    store: Store
    config: Config
    git: GitCommand
    git_version: str
    environment: Mapping[str, str]
    notices: list[str] = msgspec.field(default_factory=list)
    progress: Callable[[int, int], None] | None = None
    own_memory: Path | None = None
    lessons: Path | None = None

    def policy(self, forced: frozenset[TreePath] = frozenset(), stores: Iterable[StorePlace] = ()) -> CapturePolicy:
        """Return the capture rules that hold now.

        `stores` are taken besides those that are known to be there, which are of the kind they say, if they can be.
        Where what is found now is divided otherwise, it gives way to them: only so can then and now be compared.
        """
        known, stores = self.places(), list(stores)
        if stores:
            known = self._with(stores, known)
        return checkpoints.CapturePolicy.load(self.root, self.config, tuple(forced), known, self.lessons, self.progress)

    def _with(self, stores: list[StorePlace], places: list[StorePlace]) -> list[StorePlace]:
        kinds = {place.path: place.kind for place in stores}
        paths = {place.path for place in places}
        strangers = [place for place in stores if place.path not in paths]
        found = memory.Territory(place.path for place in places if place.is_found)
        if any(found.overlaps(path) for place in strangers for path in place.paths()):
            places = self.places(strangers)
        known = [_seen_as(kinds.get(place.path), place) for place in places]
        taken, names = memory.Territory(place.path for place in known), {place.name for place in known}
        for place in stores:
            if not taken.overlaps(place.path):
                name = memory.free_name(place.name, place.path, names)
                known.append(msgspec.structs.replace(place, name=name))
                taken.add(place.path)
                names.add(name)
        return known

    def places(self, apart: Iterable[StorePlace] = ()) -> list[StorePlace]:
        """Return the memory stores that are declared, or lie under `data/memory` but not where those `apart` do.

        Raises BadConfigError.
        """
        layout = self.store.layout
        own_memory = self.own_memory or layout.timeline_memory(self.timeline)
        return memory.list_places(
            self.root, layout, self.config.memory, self.store.catalog, own_memory=own_memory, lessons=self.lessons,
            apart=apart,
        )  # fmt: skip

    def place_of(self, path: str) -> Path:
        """Return where the memory store with this `path` (from the root, or absolute) is on this timeline."""
        known = (place.place for place in self.places() if place.path == path and not place.is_inside)
        return next(known, memory.place_of(self.root, path))

    def texts_of(self, places: Iterable[Path | str]) -> tuple[str, ...]:
        """Return what records call the memory stores at these places (absolute, or from the root)."""
        return tuple(memory.text_of(self.root, place) for place in places)

    def request(
        self, name: str, trigger: Trigger, description: str = "", tags: tuple[str, ...] = (),
        parents: tuple[str, ...] = (), *, needed: bool = False, aside: tuple[str, ...] = (),
    ) -> Request:  # fmt: skip
        """Return a request for a checkpoint of this workspace."""
        versions = {"git": self.git_version}
        environment = checkpoints.describe_environment(
            self.root, self.environment, self.config.environment_variables, versions
        )
        return checkpoints.Request(name, description, self.timeline, trigger, environment, tags, parents, needed, aside)

    def expand(self, paths: tuple[TreePath, ...]) -> frozenset[TreePath]:
        """Return the files at and below `paths`, but for git's own, for taking ignored ones in by force."""
        found: set[TreePath] = set()
        with SafeRoot(self.root) as tree:
            for path in paths:
                found |= set(filter(is_tree_path, tree.list_files(path)))
        return frozenset(found)


def _seen_as(kind: str | None, place: StorePlace) -> StorePlace:
    """Return a place as one of `kind`, if that fits what stands there: one that was found looks for itself."""
    if kind is None or not (place.is_found or memory.fitting_kind(kind, place.place).name == kind):
        return place
    return msgspec.structs.replace(place, kind=kind)
