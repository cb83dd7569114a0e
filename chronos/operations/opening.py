"""A place with its store: opened when it is first looked at, set up when it is first worked on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from chronos.checkpoints import Store, find_store, is_claimed, set_up_store
from chronos.errors import (
    CatalogDamagedError,
    DamagedStoreError,
    DisabledError,
    StorageError,
    UnknownCheckpointError,
    UntrustedStoreError,
)
from chronos.files import is_our_own
from chronos.git import GitCommand, is_tracked
from chronos.locate import Place, find_lessons
from chronos.operations.hiding import hide_store, is_hidden
from chronos.operations.journals import list_unfinished, set_aside_journals
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
        self.progress = progress
        self._store: Store | None = None
        self._is_set_up = False
        self._is_claimed: bool | None = None  # unknown before the store is opened
        self._is_new_here = False

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def find_store(self, *, despite_damage: bool = False) -> Store | None:
        """Return the store with its catalog up to date, or None when there is none yet.

        Raises UntrustedStoreError, ForeignTimelineError, NewerFormatError, and DamagedStoreError; `despite_damage`
        opens it although the timeline's record cannot be read.
        """
        store = self._open(despite_damage)
        if store is not None:
            store.refresh()
        return store

    def get_store(self, *, despite_damage: bool = False) -> Store:
        """Return the store. Raises UnknownCheckpointError when there is none yet, and see `find_store`."""
        store = self.find_store(despite_damage=despite_damage)
        if store is None:
            raise UnknownCheckpointError(
                "there are no checkpoints here yet", hint="run `chrono checkpoint create NAME`"
            )
        return store

    @contextmanager
    def workspace(self, *, despite_damage: bool = False) -> Iterator[Workspace]:
        """Give the verbs their place of work, setting the store up at first use; a broken catalog is built again.

        Raises DisabledError, GitTooOldError, StorageError, GitFailedError, and see `find_store`.
        """
        place = self.place
        if not place.config.enabled:
            raise DisabledError("chronos is switched off (ENABLE_CHRONOS=false)")
        if not self._is_set_up:
            self._set_up(despite_damage)
        store = self.get_store(despite_damage=despite_damage)
        workspace = Workspace(
            place.root, place.home, place.repository, place.timeline, store, place.config, self.git,
            _git_version(store, self.git),
            self._environment, self._notices, self.progress, lessons=find_lessons(place, self._environment),
        )  # fmt: skip
        if self._is_new_here:
            self._is_new_here = False
            self._notices += set_aside_journals(workspace)
        try:
            yield workspace
        except CatalogDamagedError:
            store.discard_catalog()
            raise

    def _open(self, despite_damage: bool) -> Store | None:
        """Open the store, unless somebody else made it or the timeline is another tree's."""
        place = self.place
        if self._store is None:
            store = find_store(place.layout, place.config)
            if store is not None:
                _refuse_strangers_store(place, store, self.git)
                if not store.is_sound and not despite_damage:
                    self._notices.append(f"{place.layout.format_file} is damaged; `chrono verify --repair` mends it")
            self._store = store
        if self._store is not None and self._is_claimed is None:
            try:
                self._is_claimed = is_claimed(place.layout, place.timeline, place.root)
            except (DamagedStoreError, StorageError):
                if not despite_damage:
                    raise
        return self._store

    def _set_up(self, despite_damage: bool) -> None:
        """Hide the store, then make it; a plain folder hides it with the store's own inner repository."""
        place = self.place
        if not place.layout.is_set_up:
            self.git.check_version()
        self._open(despite_damage)
        if not place.repository.is_plain:
            hide_store(place.home, place.repository, place.layout)
        set_up_store(place.layout, place.config, self.git, despite_damage=despite_damage)
        if place.repository.is_plain:
            hide_store(place.home, place.repository, place.layout)
        store = self._open(despite_damage)
        if store is not None and store.is_writable and self._is_claimed is False:
            store.claim(place.timeline, place.root, place.home)
            self._is_claimed = self._is_new_here = True
        self._is_set_up = True


def _refuse_strangers_store(place: Place, store: Store, git: GitCommand) -> None:
    """Raise UntrustedStoreError for a store that came with a clone: its journals would be carried out.

    git is asked only where nothing on this machine has hidden the store yet, and before a journal counts.
    """
    top = store.layout.root
    if store.is_writable and not is_our_own(top):  # what cannot be written is only read, by hash
        raise UntrustedStoreError(
            f"{top} belongs to another user", hint="give yourself a CHRONOS_TIMELINES_DIR of your own"
        )
    if place.repository.is_plain or not top.is_relative_to(place.home):
        return
    is_known = is_hidden(place.home, place.repository, store.layout) and not list_unfinished(store)
    if not is_known and is_tracked(top, git):
        raise UntrustedStoreError(
            f"{top} is tracked by git, so somebody else may have made it",
            hint=f"run git rm -r --cached {top}; then remove the folder, or keep it if you made it yourself",
        )


def _git_version(store: Store, git: GitCommand) -> str:
    """Return git's version, remembered for as long as the binary is the same file. Raises GitTooOldError."""
    found = os.stat(git.binary)
    key = f"git:{git.binary}:{found.st_mtime_ns}:{found.st_size}"
    known = store.catalog.find_fact(key)
    if known is None:
        known = git.check_version().encode("ascii", "replace")
        store.catalog.set_fact(key, known)
    return known.decode("ascii")
