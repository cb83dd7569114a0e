"""Where an engine works: the root, the store that serves it, and letting go of both. No verbs but setting up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from chronos import checkpoints, operations
from chronos.config import Config, Surroundings
from chronos.errors import UnknownTimelineError
from chronos.files import display
from chronos.git import GitCommand
from chronos.lazy import expect
from chronos.locate import Place, find_place

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Store


def _tree_of(place: Place, timeline: str) -> Path:
    """Return the tree of the timeline that CHRONOS_TIMELINE names. Raises UnknownTimelineError."""
    hint = "see `chrono timeline list`; where CHRONOS_TIMELINE names it, unset that"
    shown = display(timeline[:60])
    if not place.layout.is_set_up or timeline not in checkpoints.list_timelines(place.layout):
        raise UnknownTimelineError(f"no timeline is called {shown!r} here", hint=hint)
    tree = operations.find_tree(place.layout, place.repository, timeline)
    if tree is None or not tree.is_dir():
        raise UnknownTimelineError(f"timeline {shown} has no working tree", hint=hint)
    return tree


class EnginePlace:
    """One working tree with its store. CHRONOS_TIMELINE leads to the tree of another timeline of the same store.

    Without a `root` it is that of the folder, or, where CHRONOS_TIMELINE is set with it, that of CHRONOS_ROOT.
    `notices` collects what a front door should show, such as a finished restore.
    """

    def __init__(
        self,
        root: Path | str | None = None,
        *,
        config: Config | None = None,
        surroundings: Surroundings | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        surroundings = surroundings or Surroundings.current()
        expect("chronos.operations.opening")
        git = GitCommand.find(surroundings.environment)
        place = find_place(Path(root or surroundings.start), surroundings, git, config)
        wanted = surroundings.environment.get("CHRONOS_TIMELINE")
        if wanted and wanted != place.timeline:
            place = find_place(_tree_of(place, wanted), surroundings, git, config)
        self._surroundings, self._config = surroundings, config
        self.notices: list[str] = []
        self._here = operations.OpenPlace(place, git, surroundings.environment, self.notices, progress)

    @property
    def root(self) -> Path:
        """The top of the working tree."""
        return self._here.place.root

    @property
    def store_path(self) -> Path:
        """The store's folder, which may not exist before the first checkpoint."""
        return self._here.place.layout.root

    @property
    def timeline(self) -> str:
        """The timeline of this working tree."""
        return self._here.place.timeline

    @property
    def config(self) -> Config:
        """The settings in force."""
        return self._here.place.config

    def claim_lessons(self, *, hide: bool = False) -> Path:
        """Return the folder of the historian's lessons, which all timelines share; it may not exist.

        With `hide` git sees nothing of it from now on. Raises BadConfigError, UntrustedStoreError.
        """
        return operations.claim_lessons(self._here.place, self._here.git, self._surroundings.environment, hide=hide)

    def close(self) -> None:
        """Close the store."""
        self._here.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set_up(self) -> None:
        """Make the store and hide it from git, as the first checkpoint does by itself."""
        with self._here.workspace():
            return

    def find_checkpoint(self, checkpoint: str, timeline: str | None = None, *, damaged: bool = False) -> CheckpointRow:
        """Return the checkpoint that `checkpoint` means. Raises UnknownCheckpointError, AmbiguousCheckpointError.

        With `damaged` also one whose manifest cannot be read, by its full id: it can be deleted, and nothing else.
        """
        return operations.resolve(self._here.find_store(), checkpoint, timeline or self.timeline, damaged=damaged)

    def _find_store(self, timeline: str | None) -> Store | None:
        """The store, which has the timeline that was asked for. Raises UnknownTimelineError."""
        store = self._here.find_store()
        if timeline not in (None, self.timeline, *(checkpoints.list_timelines(store.layout) if store else ())):
            raise UnknownTimelineError(f"no timeline is called {display(str(timeline)[:60])!r}")
        return store

    def _own_timeline(self, timeline: str | None) -> None:
        if timeline not in (None, self.timeline):
            raise UnknownTimelineError(
                f"this working tree is timeline {self.timeline!r}, not {timeline!r}",
                hint="run chrono in the working tree of that timeline",
            )
