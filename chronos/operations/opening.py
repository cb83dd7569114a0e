"""A place with its store: opened when it is first looked at, set up when it is first worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from chronos.catalog import CatalogDamagedError
from chronos.checkpoints import Store, find_store, set_up_store
from chronos.errors import DisabledError, UnknownCheckpointError
from chronos.git import GitCommand
from chronos.locate import Place
from chronos.operations.hiding import hide_store
from chronos.operations.workspace import Workspace


class OpenPlace:
    """Hands out the store for looking and the workspace for working. Not shared between threads."""

    def __init__(
        self,
        place: Place,
        git: GitCommand,
        environment: Mapping[str, str],
        notices: list[str],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.place = place
        self.git = git
        self._environment = environment
        self._notices = notices
        self._progress = progress
        self._store: Store | None = None
        self._is_set_up = False

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def find_store(self) -> Store | None:
        """Return the store with its catalog up to date, or None when there is none yet."""
        if self._store is None:
            self._store = find_store(self.place.layout, self.place.config)
        if self._store is not None:
            self._store.refresh()
        return self._store

    def get_store(self) -> Store:
        """Return the store. Raises UnknownCheckpointError when there is none yet."""
        store = self.find_store()
        if store is None:
            raise UnknownCheckpointError(
                "there are no checkpoints here yet", hint="run `chrono checkpoint create NAME`"
            )
        return store

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """Give the verbs their place of work, setting the store up at first use; a broken catalog is built again.

        Raises DisabledError, StorageError, GitFailedError.
        """
        place = self.place
        if not place.config.enabled:
            raise DisabledError("chronos is switched off (ENABLE_CHRONOS=false)")
        if not self._is_set_up:
            self._set_up()
        store = self.get_store()
        workspace = Workspace(
            place.root, place.home, place.repository, place.timeline, store, place.config, self.git,
            self._environment, self._notices, self._progress,
        )  # fmt: skip
        try:
            yield workspace
        except CatalogDamagedError:
            store.discard_catalog()
            raise

    def _set_up(self) -> None:
        """Hide the store, then make it; a plain folder hides it with the store's own inner repository."""
        place = self.place
        if not place.repository.is_plain:
            hide_store(place.home, place.repository, place.layout)
        set_up_store(place.layout, place.config, self.git)
        if place.repository.is_plain:
            hide_store(place.home, place.repository, place.layout)
        self._is_set_up = True
